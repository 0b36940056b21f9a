"""What a member enters: documents in, a verdict on each event, signed transactions out for the member's feed.

May import all that carries meaning (`epcis`, `ledger`, …), but not `storage` or `api`: what is known already is asked
through `KnownEvents`, which `app/` fills in. Read `capture` first, then `results` for the shape of the answer.
"""
