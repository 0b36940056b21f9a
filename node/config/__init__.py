"""What the operator of one node may set, and where each value came from.

Owns `node.toml`: its keys, their defaults and their meaning (`settings.py`), the order flag, environment, file,
default (`loading.py`), and the folder that all of a node lies in (`home.py`). What all nodes must share is in
genesis instead. Imports the leaf files alone. Read `settings.py` first.
"""
