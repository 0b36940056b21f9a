"""What `api/` needs of the node, filled in from the parts: one file a Protocol of `api/backends.py`.

Read `transactions.py` first: it shows how a submission becomes accepted, then final.
"""
