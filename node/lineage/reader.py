"""What a question needs of the index. Opened on one height: all answers of one reader hold at it."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from consensus.types import Digest, Height
from node.lineage.closure import Closure
from node.lineage.names import NameTable
from node.lineage.records import EventRef, EventRow, ItemRow, MasterRow, Posting, PostingKind


class LineageReader(Protocol):
    """A snapshot of the index."""

    @property
    def height(self) -> Height:
        """The executed height that the snapshot holds at."""
        ...

    def height_at(self, time_ms: int) -> Height:
        """Return the newest executed height whose block is not later than this ledger time; 0 if none is."""
        ...

    def get_event(self, ref: EventRef) -> EventRow:
        """Return the event at `ref`. Raises KeyError if there is none."""
        ...

    def postings_of(self, kind: PostingKind, key: str) -> Sequence[Posting]:
        """Return what is filed under (kind, key), by time, then by place on the ledger."""
        ...

    def postings_within(
        self, kind: PostingKind, key: str, *, from_ms: int, to_ms: int, limit: int, newest: bool = False
    ) -> Sequence[Posting]:
        """Return what is filed under (kind, key) from from_ms to to_ms, as `postings_of`.

        At most `limit`: the first, or with `newest` the last, these from the last to the first.
        """
        ...

    def find_item(self, item: str) -> ItemRow | None:
        """Return the item with this canonical id, or None if no event named it."""
        ...

    def next_name(self, table: NameTable, at: str) -> str | None:
        """Return the first name of a table that is not before `at`, or None: what a search by jumps needs."""
        ...

    def named(self, table: NameTable, name: str, *, limit: int) -> Sequence[str]:
        """Return the ids that stand under a name, in their order, at most `limit`."""
        ...

    def closure_of(self, item: str, *, is_back: bool, items_max: int) -> Closure:
        """Return all that the item can come from, or go into, whatever the times. items_max: at most so many items."""
        ...

    def items_of_product(self, product: str, *, limit: int) -> Sequence[ItemRow]:
        """Return lots and serials of a product (canonical GTIN Digital Link), by id."""
        ...

    def master_of(self, id: str, *, known_at: Height | None = None) -> Sequence[MasterRow]:  # noqa: A002 - the field's word
        """Return master data entered for this canonical id by known_at, the newest of each member, by member."""
        ...

    def iterate_events(self) -> Iterator[EventRow]:
        """Yield every event in ledger order."""
        ...

    def transaction_ref(self, transaction_id: Digest) -> tuple[Height, int] | None:
        """Return where a transaction stands (block, place in the block), or None."""
        ...
