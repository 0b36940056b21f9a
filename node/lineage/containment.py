"""What was in a unit, from when until when: intervals, read from the unit's own packings, unpackings and sightings.

A pack puts children in from the earliest it can have happened; an unpack takes them out at the latest. A class in a
unit leaves it when as much was unpacked as was packed; a DELETE without children empties the unit. Children first
named at an unpack or a sighting were inside since the unit was last known empty, else since its first event: a
reading, marked `inferred`. Associations and aggregations end apart: unpacking does not take a sensor off.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from node.epcis.model import Action, EventType, Goods
from node.lineage.items import ItemKind, read_item
from node.lineage.records import ROLE_CHILD, ROLE_ENDED, ROLE_MADE, ROLE_PARENT, EventRow
from node.lineage.timeline import FOREVER_MS, Entry, Note, Timeline, Timelines
from node.lineage.units import convert


class Stay(NamedTuple):
    """A child inside a parent. since: the packing, or what first told of it. until: what ended it, or None.

    last: the newest packing of it. lo_ms … hi_ms: when it may have been inside; FOREVER_MS while nothing ended it.
    """

    parent: str
    child: str
    since: EventRow
    last: EventRow
    lo_ms: int
    until: EventRow | None
    hi_ms: int
    amount: Decimal | None
    uom: str | None
    inferred: bool


@dataclass(frozen=True, slots=True)
class Contents:
    """All stays in one parent, by child; notes: what did not add up."""

    stays: dict[str, tuple[Stay, ...]]
    notes: tuple[Note, ...]


@dataclass(slots=True)
class _Open:
    """A stay that has begun."""

    since: EventRow
    last: EventRow
    lo_ms: int
    amount: Decimal | None
    uom: str | None
    inferred: bool
    taken: Decimal | None = Decimal(0)


class Containment:
    """Contents for one question, each unit's read once."""

    def __init__(self, timelines: Timelines) -> None:
        self._timelines = timelines
        self._contents: dict[str, Contents] = {}

    def contents_of(self, parent: str) -> Contents:
        """Return all that was ever in `parent`, as intervals."""
        found = self._contents.get(parent)
        if found is None:
            found = self._contents[parent] = _Reckoning(parent, self._timelines.of_item(parent)).reckon()
        return found

    def stays_of(self, child: str, timeline: Timeline) -> list[Stay]:
        """Return where `child` was inside, in order; timeline: the child's.

        A piece packed into a second unit has left the first, whatever that one's record says.
        """
        parents = {entry.row.event.parent: None for entry in timeline.entries if entry.role & ROLE_CHILD}
        stays: list[Stay] = []
        for parent in parents:
            if parent is not None and read_item(parent).kind is not ItemKind.PLACE:
                stays += self.contents_of(parent).stays.get(child, ())
        if len(stays) < 2:
            return stays
        stays.sort(key=lambda stay: (stay.lo_ms, stay.since.event.content_digest, stay.parent))
        if read_item(child).single:
            for place, (stay, later) in enumerate(pairwise(stays)):
                moved_ms = later.since.event.time.hi_ms
                # A tracker or tray that it is associated with is no second unit.
                is_moved = later.parent != stay.parent and later.since.event.type is stay.since.event.type
                if is_moved and not later.inferred and moved_ms < stay.hi_ms:
                    stays[place] = stay._replace(until=later.since, hi_ms=moved_ms)
        return stays


class _Reckoning:
    """Goes through a unit's events in order and keeps what is inside."""

    def __init__(self, parent: str, timeline: Timeline) -> None:
        self._parent = parent
        entries = [entry for entry in timeline.entries if entry.role & (ROLE_PARENT | ROLE_MADE | ROLE_ENDED)]
        self._entries: Sequence[Entry] = sorted(entries, key=_order) if len(entries) > 1 else entries
        self._empty_since_ms = timeline.entries[0].row.event.time.lo_ms if timeline.entries else 0
        self._inside: dict[tuple[str, EventType], _Open] = {}
        self._stays: dict[str, list[Stay]] = {}
        self._notes: list[Note] = []

    def reckon(self) -> Contents:
        """Return the intervals."""
        for entry in self._entries:
            row, event = entry.row, entry.row.event
            if not entry.role & ROLE_PARENT:
                # Made anew or ended: nothing stays inside what begins or is no more.
                self._empty(row, None)
            elif event.action is Action.ADD:
                self._pack(row)
            elif event.action is Action.OBSERVE:
                self._observe(row)
            elif event.goods:
                self._unpack(row)
            else:
                self._empty(row, event.type)
        for child, kind in list(self._inside):
            self._close(child, kind, None)
        return Contents({child: tuple(stays) for child, stays in self._stays.items()}, tuple(self._notes))

    def _pack(self, row: EventRow) -> None:
        event = row.event
        for goods in event.goods:
            inside = self._inside.get((goods.item, event.type))
            if inside is None:
                self._inside[goods.item, event.type] = _Open(
                    row, row, event.time.lo_ms, goods.amount, goods.uom, inferred=False
                )
            else:
                inside.amount = _sum(inside.amount, inside.uom, goods)
                inside.last = row

    def _observe(self, row: EventRow) -> None:
        event = row.event
        if event.type is EventType.TRANSACTION:
            return
        seen = {goods.item for goods in event.goods}
        for goods in event.goods:
            if (goods.item, event.type) not in self._inside:
                self._infer(row, goods)
        if seen and any(child not in seen for child, kind in self._inside if kind is event.type):
            self._notes.append(Note("contents_differ", row))

    def _unpack(self, row: EventRow) -> None:
        event = row.event
        for goods in event.goods:
            if (goods.item, event.type) not in self._inside:
                self._infer(row, goods)
                self._notes.append(Note("unpacked_without_packing", row))
            inside = self._inside[goods.item, event.type]
            inside.taken = _sum(inside.taken, inside.uom, goods)
            if _has_left(inside, goods):
                self._close(goods.item, event.type, row)
        if not self._inside:
            self._empty_since_ms = event.time.lo_ms

    def _empty(self, row: EventRow, kind: EventType | None) -> None:
        for child, inside in list(self._inside):
            if kind is None or inside is kind:
                self._close(child, inside, row)
        self._empty_since_ms = row.event.time.lo_ms

    def _infer(self, row: EventRow, goods: Goods) -> None:
        self._inside[goods.item, row.event.type] = _Open(
            row, row, min(self._empty_since_ms, row.event.time.lo_ms), goods.amount, goods.uom, inferred=True
        )

    def _close(self, child: str, kind: EventType, row: EventRow | None) -> None:
        inside = self._inside.pop((child, kind))
        hi_ms = FOREVER_MS if row is None else row.event.time.hi_ms
        self._stays.setdefault(child, []).append(
            Stay(
                self._parent,
                child,
                inside.since,
                inside.last,
                inside.lo_ms,
                row,
                hi_ms,
                inside.amount,
                inside.uom,
                inside.inferred,
            )
        )


def _order(entry: Entry) -> tuple[int, int, bytes]:
    """Order what goes in at its earliest and what comes out at its latest; unpack before pack at one instant."""
    event = entry.row.event
    goes_in = event.action is not Action.DELETE and entry.role & ROLE_PARENT
    time_ms = event.time.lo_ms if goes_in or entry.role & ROLE_MADE else event.time.hi_ms
    rank = 0 if entry.role & ROLE_MADE else 1 if not goes_in else 2 if event.action is Action.ADD else 3
    return time_ms, rank, event.content_digest


def _sum(amount: Decimal | None, uom: str | None, goods: Goods) -> Decimal | None:
    if amount is None or goods.amount is None:
        return None
    more = convert(goods.amount, goods.uom, uom)
    return None if more is None else amount + more


def _has_left(inside: _Open, goods: Goods) -> bool:
    """Return whether all of a child is out: a piece at once, an amount when as much came out as went in.

    Where either side is unknown the rest may be inside still, but for a child that never had an amount.
    """
    if read_item(goods.item).single:
        return True
    if inside.amount is None and goods.amount is None:
        return True
    return inside.amount is not None and inside.taken is not None and inside.taken >= inside.amount
