"""The whole node: builds the parts, owns the top task group, knows in which order they start and stop.

Owns a node's life (`run.py`), what the API's operations need of it (`backends/`), new homes, keys and genesis documents
(`provision.py`, `joining.py`), and what is done to a stopped node. Imports everything below the command line. Read
`run.py` first.
"""
