"""What a question has read, kept for the next one at the same height.

In a recall the same lots are asked about again and again: back and forward, as text and as a picture, one neighbour
after the other. All that a question reads is a function of the ledger at its height and of the readings, so the next
question at that height finds the same; with the next block it is let go of.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from node.lineage.facts import open_facts
from node.lineage.reader import LineageReader
from node.lineage.readings import Readings
from node.lineage.trace import Read

SIZE_MAX: Final = 32_768
"""Events, their lines and histories that are kept, some 0.7 KB each; of a larger question nothing is."""


class Kept:
    """Keeps what one question has read. Any thread may ask; two that ask at once do not share."""

    def __init__(self) -> None:
        self._read: Read | None = None

    @contextmanager
    def at_newest(self, reader: LineageReader, readings: Readings) -> Iterator[Read]:
        """Give what reads the ledger at the reader's height, with all that was read before if that holds still."""
        # One step for the interpreter: no other thread gets the same.
        kept, self._read = self._read, None
        if kept is None or kept.facts.known_at != reader.height or kept.facts.readings != readings:
            kept = Read(open_facts(reader, readings, as_of_ms=None, known_at=reader.height), {})
        else:
            kept = Read(kept.facts.read_by(reader), kept.plains)
        yield kept
        # Not of a question that was ended: it may have been ended for what it took.
        if kept.facts.timelines.size <= SIZE_MAX:
            self._read = kept
