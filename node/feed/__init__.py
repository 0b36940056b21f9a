"""Feeds: this member's own log of batches and everybody else's, and which cut over them is safe to propose.

May import `ledger`, `wire`, `crypto` and `consensus`. Pure: no clock, no I/O; bodies of batches are not kept here, only
what links and counts them. Read `records` first, then `branches` (one feed), `feeds` (all of them), `own` (sealing),
`acknowledged` (what others hold) and `cutting` (the safe cut).
"""
