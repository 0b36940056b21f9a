"""JSON-RPC for the organisation's own systems, the operations routes, and the client of both.

Owns the operations, one file a resource (`network.py`, `member.py`, `govern.py`, `evidence.py`, `backup.py`,
`event.py`, `tx.py`, `block.py`, `item.py`, `trace.py`), each declared once: parameters, result and handler give
validation, dispatch and the description in `rpc.discover`. Reaches the node through the Protocols in `backends.py`,
which `app/` fills in. May import everything below. Read `operations.py` first, then `dispatch.py`, then one resource.
"""
