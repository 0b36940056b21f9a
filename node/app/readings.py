"""How events are read at a height: by the parameters that were in force there.

A question about an earlier height gets the answer that it had then, at every node, whatever has been voted since.
"""

from consensus.types import Height
from node.lineage.readings import Readings
from node.storage.following import parameters_at, readings_of
from node.storage.index import IndexStore


class ReadingsByHeight:
    """Finds the epoch of a height in the index."""

    def __init__(self, index: IndexStore) -> None:
        self._index = index

    def at(self, height: Height) -> Readings:
        """Return the readings after the block at `height`, which is executed."""
        with self._index.reader() as reader:
            return readings_of(parameters_at(reader, height))
