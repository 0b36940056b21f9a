"""The command `lotvine`, one file a subcommand. A running node is reached only by the client in `api/`.

May import everything. Read `entry.py` first: it names the commands and turns errors into words and exit codes.
"""

from node.cli.entry import main

__all__ = ["main"]
