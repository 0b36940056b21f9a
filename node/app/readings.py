"""How events are read at a height: by the parameters that were in force there.

A question about an earlier height gets the answer that it had then, at every node, whatever has been voted since.
"""

from consensus.types import Epoch, Height
from node.lineage.readings import Readings
from node.storage.index import IndexStore


class ReadingsByHeight:
    """Finds the epoch of a height in the index."""

    def __init__(self, index: IndexStore) -> None:
        self._index = index

    def at(self, height: Height) -> Readings:
        """Return the readings after the block at `height`, which is executed."""
        with self._index.reader() as reader:
            roster = reader.governance.roster
            for number in range(roster.epoch, -1, -1):
                record = reader.find_epoch(Epoch(number))
                if record is not None and record.anchor_height <= height:
                    roster = record.roster
                    break
        return Readings(clock_tolerance_ms=roster.parameters.clock_tolerance_ms)
