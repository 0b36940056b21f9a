"""Agreement on one chain of blocks among the validators of an epoch: a pure state machine.

Owns the protocol (Simplex with round-robin leaders), nothing else: no sockets, files, clocks, randomness,
asyncio or logging, and no import of `node/`. The same inputs give the same effects. Read in this order:
`types`, `quorum`, `elector`, `messages`, `scheme`, `evidence`, `inputs`, `effects`, `view_state`, `rules`,
`core`. The rules in words, with their reasons, are in `docs/protocol.md`.
"""
