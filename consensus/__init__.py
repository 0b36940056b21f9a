"""Agreement on one chain of blocks among the validators of an epoch: a pure state machine.

Owns the protocol (Simplex with round-robin leaders), nothing else: no sockets, files, clocks, randomness,
asyncio or logging, and no import of `node/`. The same inputs give the same effects. Read in this order, each
importing only what stands before it:

- the words: `types`, `errors`, `quorum`, `elector`, `messages`, `scheme`, `evidence`, `timing`;
- what goes in and out: `inputs`, `effects`, `recovery`;
- what is known: `archive`, `view_state`, `chain`, `certificates`, and `restoration` of both after a restart;
- the rules: `rules` (may we vote?), `voting` (the only place that signs), `proposal_rules` (is a proposal good?),
  `proposing` (what a leader shows), `admission` (what of others is let in);
- time and repair: `pacemaker`, `repair`;
- `core`, which joins them: `Core.step`.

The rules in words, with their reasons, are in `docs/protocol.md`.
"""
