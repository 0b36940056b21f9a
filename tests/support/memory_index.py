"""A `LineageReader` over dictionaries, filled with rows by the rules of the real index."""

from collections.abc import Iterable, Iterator, Sequence

from consensus.types import Digest, Height
from node.epcis.model import MasterRecord
from node.lineage.closure import Closure, close_backward, close_forward
from node.lineage.indexing import file_event
from node.lineage.items import read_item
from node.lineage.links import Links
from node.lineage.names import NameTable, words_of_master
from node.lineage.near import CODE_LENGTH_MAX, fold_code
from node.lineage.records import EventRef, EventRow, ItemRow, MasterRow, Posting, PostingKind
from node.wire.ids import MemberId


class MemoryIndex:
    """A snapshot that holds at the height of its newest row."""

    def __init__(self, rows: Iterable[EventRow] = (), masters: Iterable[MasterRow] = ()) -> None:
        self._rows: dict[EventRef, EventRow] = {}
        self._postings: dict[tuple[PostingKind, str], list[Posting]] = {}
        self._items: dict[str, ItemRow] = {}
        self._masters: dict[str, list[MasterRow]] = {}
        self._height = Height(0)
        self.reads = 0
        for row in rows:
            self._add(row)
        for postings in self._postings.values():
            postings.sort(key=lambda posting: (posting.time_ms, posting.ref))
        for master in masters:
            self._height = max(self._height, master.ref.height)
            self._masters.setdefault(master.record.id, []).append(master)

    def _add(self, row: EventRow) -> None:
        self._rows[row.ref] = row
        self._height = max(self._height, row.ref.height)
        filing = file_event(row)
        for posting in filing.postings():
            self._postings.setdefault((posting.kind, posting.key), []).append(posting)
        for item in filing.roles:
            facts = read_item(item)
            self._items[item] = ItemRow(item, facts.product, facts.code)

    @property
    def height(self) -> Height:
        return self._height

    def height_at(self, time_ms: int) -> Height:
        later = [ref.height for ref, row in self._rows.items() if row.ledger_time_ms > time_ms]
        return Height(min(later, default=self._height + 1) - 1)

    def get_event(self, ref: EventRef) -> EventRow:
        self.reads += 1
        return self._rows[ref]

    def postings_of(self, kind: PostingKind, key: str) -> Sequence[Posting]:
        return self._postings.get((kind, key), ())

    def postings_within(
        self, kind: PostingKind, key: str, *, from_ms: int, to_ms: int, limit: int, newest: bool = False
    ) -> Sequence[Posting]:
        found = [one for one in self.postings_of(kind, key) if from_ms <= one.time_ms <= to_ms]
        return (found[::-1] if newest else found)[:limit]

    def find_item(self, item: str) -> ItemRow | None:
        return self._items.get(item)

    def next_name(self, table: NameTable, at: str) -> str | None:
        return min((name for name, _id in self._names(table) if name >= at), default=None)

    def named(self, table: NameTable, name: str, *, limit: int) -> Sequence[str]:
        return sorted({item for one, item in self._names(table) if one == name})[:limit]

    def _names(self, table: NameTable) -> Iterator[tuple[str, str]]:
        if table is NameTable.WORD:
            for rows in self._masters.values():
                for row in rows:
                    yield from ((word, row.record.id) for word in words_of_master(row.record))
            return
        for item in self._items.values():
            folded = fold_code(item.code or "")[:CODE_LENGTH_MAX]
            if table is NameTable.ID:
                yield item.item, item.item
            elif folded:
                yield (folded if table is NameTable.CODE else folded[::-1]), item.item

    def closure_of(self, item: str, *, is_back: bool, items_max: int) -> Closure:
        links = Links()
        rows = [self._rows[ref] for ref in sorted(self._rows)]
        links.add(self._height, rows, [file_event(row) for row in rows])
        walk = close_backward if is_back else close_forward
        return walk(links, links.find(item), edge_count=links.edge_count(self._height), items_max=items_max)

    def items_of_product(self, product: str, *, limit: int) -> Sequence[ItemRow]:
        found = (row for row in self._items.values() if row.product == product and row.item != product)
        return sorted(found, key=lambda row: row.item)[:limit]

    def master_of(self, id: str, *, known_at: Height | None = None) -> Sequence[MasterRow]:  # noqa: A002 - the field's word
        newest: dict[MemberId, MasterRow] = {}
        for row in sorted(self._masters.get(id, ()), key=lambda row: row.ref):
            if known_at is None or row.ref.height <= known_at:
                newest[row.member] = row
        return [row for _member, row in sorted(newest.items())]

    def iterate_events(self) -> Iterator[EventRow]:
        for ref in sorted(self._rows):
            yield self._rows[ref]

    def transaction_ref(self, transaction_id: Digest) -> tuple[Height, int] | None:
        for ref, row in self._rows.items():
            if row.transaction_id == transaction_id:
                return ref.height, ref.transaction
        return None


def build_master(record: MasterRecord, number: int, *, member: str = "mill") -> MasterRow:
    """Return master data entered by `member` in block `number`."""
    return MasterRow(EventRef(Height(number), 0, 0), MemberId(member), record)
