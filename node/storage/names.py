"""What is found by its name: items by code, read from either end, and by id; master data by words of names.

Each table is sorted by name, and read by jumps: `next_name` is all that a search for misread codes needs
(`lineage/near.py`).
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from node.epcis.model import MasterRecord
from node.lineage.names import NameTable, words_of_master
from node.storage import keys
from node.storage.store import Cursor, Row, Snapshot

_TABLES: Final = {
    NameTable.CODE: keys.CODE,
    NameTable.CODE_REVERSED: keys.CODE_REVERSED,
    NameTable.ID: keys.ITEM,
    NameTable.WORD: keys.WORD,
}
_END: Final = 0


class NameReader:
    """The tables of names of one snapshot; its cursors are opened when first needed. Close it before the snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._cursors: dict[NameTable, Cursor] = {}

    def next_name(self, table: NameTable, at: str) -> str | None:
        """Return the first name of the table that is not before `at`, or None."""
        cursor = self._cursors.get(table)
        if cursor is None:
            cursor = self._cursors[table] = self._snapshot.cursor(_TABLES[table])
        # A text cut inside a pair of surrogates is no text; nothing in the table begins so.
        key = cursor.first_from(_TABLES[table] + at.encode(errors="replace"))
        if key is None:
            return None
        end = len(key) if table is NameTable.ID else key.index(_END)
        return key[1:end].decode()

    def named(self, table: NameTable, name: str, *, limit: int) -> Sequence[str]:
        """Return the ids that stand under a name, in their order: items, of `WORD` those of master data."""
        if table is NameTable.ID:
            key = _TABLES[table] + name.encode()
            return (name,) if self._snapshot.get(key) is not None else ()
        prefix = _TABLES[table] + name.encode() + b"\0"
        rows = islice(self._snapshot.rows(prefix=prefix), limit)
        return tuple([key[len(prefix) :].decode() for key, _ in rows])

    def close(self) -> None:
        """Let go of the cursors."""
        for cursor in self._cursors.values():
            cursor.close()
        self._cursors.clear()


def word_rows(records: Iterable[MasterRecord]) -> Iterator[Row]:
    """Yield the rows by which master data are found by the words of their names."""
    for record in records:
        for word in words_of_master(record):
            yield keys.word_key(word, record.id), b""
