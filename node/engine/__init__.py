"""The asyncio driver: it feeds the replica its inputs and carries out its effects, in their order.

May import everything below `intake`, `query` and `engine`. Read `driver` first (one task touches the replica), then
`journal` (what is on disk before what is said), `execution` (final blocks into the index), `checking` and `serving`
(work in threads), and `recovery` (what a restart goes on from).
"""
