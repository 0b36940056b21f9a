"""Genesis, transactions, batches, blocks, and what executing a block means: pure, without I/O or clock.

May import `lineage`, `epcis`, `wire`, `crypto` and below. Read `genesis` first, then `transaction`, `batch`, `cut`,
`state` (what execution reads and writes) and `apply` (what it does).
"""
