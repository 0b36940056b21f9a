"""What a walk has found so far: items with their bounds, edges, the events that touch them, and what was odd.

Everything here is keyed by content (an event's digest, an item's id), never by its place on the ledger, so that the
same facts give the same graph in whatever order they arrived.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from consensus.types import Digest
from node.lineage.custody import Holder
from node.lineage.parts import Part
from node.lineage.records import EventRow
from node.lineage.timeline import FOREVER_MS


class EdgeKind(StrEnum):
    """How goods pass from one item to another. All edges point the way the goods went."""

    MADE = "made"
    """Input to output of a run."""
    INSTANCE = "instance"
    """A lot to a serial of it, or a serial to the lot whose stock it is part of."""
    PACKED = "packed"
    """Contents to the unit that they are in."""
    UNPACKED = "unpacked"
    """A unit to what was in it."""
    CLASS = "class"
    """A lot to its product named without lot, or back: any lot of it at that custodian then."""


class EdgeKey(NamedTuple):
    """An edge by content. A tuple, for it is hashed at every link."""

    source: str
    target: str
    kind: EdgeKind
    event: Digest


class Edge(msgspec.Struct, frozen=True, gc=False):
    """row: what makes the edge. input_event: where the run took the source in, if that is another event.

    until: what ended a stay in a unit. found: the end (source or target) that the walk reached by this edge.
    """

    row: EventRow
    found: str
    input_row: EventRow | None = None
    until: EventRow | None = None
    amount: Decimal | None = None
    uom: str | None = None


@dataclass(slots=True)
class Reached:
    """An item in the answer. lo_ms … hi_ms: when it can matter; carrier: only as the unit around other goods."""

    lo_ms: int
    hi_ms: int
    carrier: bool
    made_rows: dict[Digest, EventRow] = field(default_factory=dict)
    origin: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something that the record does not say. reason: a stable code. ask: who can say."""

    item: str
    reason: str
    ask: Holder
    row: EventRow | None


@dataclass(frozen=True, slots=True)
class Oddity:
    """A warning before it has words: code, the item and event that it is about."""

    code: str
    item: str
    row: EventRow | None
    other: EventRow | None = None


RUN_LINKS_MAX: Final = 20_000
"""Links of one run that are listed one by one; its items are all found, however many links there are."""


class Graph:
    """Collects. `items_max` bounds it: what does not fit is counted in `left_out`."""

    def __init__(self, items_max: int) -> None:
        self._items_max = items_max
        self.items: dict[str, Reached] = {}
        self.edges: dict[EdgeKey, Edge] = {}
        self.events: dict[Digest, EventRow] = {}
        self.touched: dict[Digest, dict[str, None]] = {}
        self.unknowns: dict[tuple[str, str, Digest | None], Unknown] = {}
        self.oddities: dict[tuple[str, str, Digest | None], Oddity] = {}
        self.parts: dict[str, Part | None] = {}
        """Of an item that was made more than once, the part that the answer is about; None: all."""
        self.left_out = 0
        self.depth_reached = False

    def reach(self, item: str, lo_ms: int, hi_ms: int, *, carrier: bool) -> Reached | None:
        """Return the item's place in the answer, made or widened; None if the answer is full."""
        reached = self.items.get(item)
        if reached is None:
            if len(self.items) >= self._items_max:
                self.left_out += 1
                return None
            reached = self.items[item] = Reached(lo_ms, hi_ms, carrier)
            return reached
        if lo_ms < reached.lo_ms:
            reached.lo_ms = lo_ms
        if hi_ms > reached.hi_ms:
            reached.hi_ms = hi_ms
        if not carrier:
            reached.carrier = False
        return reached

    def touch(self, row: EventRow, item: str) -> None:
        """Show the event in the answer, as one of the item."""
        key = row.event.event_digest
        items = self.touched.get(key)
        if items is None:
            self.touched[key] = {item: None}
            self.events[key] = row
        else:
            items[item] = None

    def link(self, source: str, target: str, kind: EdgeKind, edge: Edge) -> None:
        """Add an edge, or replace the one of an earlier, narrower look."""
        row = edge.row
        key = row.event.event_digest
        self.edges[EdgeKey(source, target, kind, key)] = edge
        items = self.touched.get(key)
        if items is None:
            self.touched[key] = {source: None, target: None}
            self.events[key] = row
        else:
            items[source] = items[target] = None
        if edge.input_row is not None:
            self.touch(edge.input_row, source)
        if edge.until is not None:
            self.touch(edge.until, source)

    def link_run(self, item: str, edges: Sequence[Edge], *, is_output: bool) -> None:
        """Link what a run took in or put out to its other end, `item`. edges: of one row; is_output: of the item."""
        if not edges:
            return
        row = edges[0].row
        key = row.event.event_digest
        touched = self.touched.get(key)
        if touched is None:
            touched = self.touched[key] = {}
            self.events[key] = row
        links, new, kind = self.edges, tuple.__new__, EdgeKind.MADE
        for edge in edges:
            found = edge.found
            source, target = (found, item) if is_output else (item, found)
            links[new(EdgeKey, (source, target, kind, key))] = edge
            touched[found] = None
            if edge.input_row is not None:
                self.touch(edge.input_row, source)
        touched[item] = None

    def know_not(self, item: str, reason: str, ask: Holder, row: EventRow | None) -> None:
        """Add an unknown."""
        key = (item, reason, None if row is None else row.event.event_digest)
        self.unknowns.setdefault(key, Unknown(item, reason, ask, row))

    def warn(self, code: str, item: str, row: EventRow | None, other: EventRow | None = None) -> None:
        """Add a warning."""
        self.oddities.setdefault(
            (code, item, None if row is None else row.event.event_digest), Oddity(code, item, row, other)
        )


ALWAYS = (-FOREVER_MS, FOREVER_MS)
