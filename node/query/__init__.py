"""Questions on the index: what a person typed becomes an item, an item becomes an answer, an answer becomes text.

May import everything below the faces but `intake` and `engine`; writes nothing. Read `service` first, then `text`.
"""
