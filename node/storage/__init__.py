"""What a node keeps on its disk: the chain (the truth), the index (derived from it), and the vote log.

May import `ledger` and below; alone imports `plyvel`, in `store`. Read `keys` first (the whole key schema), then
`vote_log` (a plain file, because votes must never be lost silently), `chain` and `index`; `reindex` builds the index
anew from the chain. Nothing here repairs by guessing: what is damaged is refused with the way out.
"""
