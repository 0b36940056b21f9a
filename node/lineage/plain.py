"""Whether a lot's history is plain: so simple that its ledger can have no findings, told without building it.

Most lots of a sound record are made, shipped, received and used up, one thing after another, loose or in a unit. For
these every order of credits and draws that may be true is the one of their times, nothing is read in our way, and
nothing lacks: so the portion ledger has no findings, and what is held at last is a sum. `read_plain` may leave out a
lot that is sound; it takes none whose ledger has a finding, or other holders (held by tests that build it beside).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Final, NamedTuple

from node.epcis.model import Action, EventType
from node.lineage.custody import NOBODY, Holder
from node.lineage.facts import Facts, Side
from node.lineage.items import read_item
from node.lineage.ledger import COUNTING_STEPS, VOID_STEP
from node.lineage.portions import ZERO, Held
from node.lineage.readings import Movement
from node.lineage.records import (
    ROLE_CHILD,
    ROLE_ENDED,
    ROLE_INPUT,
    ROLE_INSTANCES,
    ROLE_MADE,
    ROLE_OUTPUT,
    ROLE_PARENT,
    ROLE_SEEN,
    EventRow,
)
from node.lineage.stock import despatch_documents
from node.lineage.timeline import Timeline

_ENTRIES_MAX: Final = 64
_PLAIN_UNIT: Final = [ROLE_PARENT, ROLE_SEEN, ROLE_SEEN, ROLE_PARENT]
_PLAIN_STAY: Final = [
    (EventType.AGGREGATION, Action.ADD, Movement.PRESENCE),
    (EventType.OBJECT, Action.OBSERVE, Movement.OUTBOUND),
    (EventType.OBJECT, Action.OBSERVE, Movement.INBOUND),
    (EventType.AGGREGATION, Action.DELETE, Movement.PRESENCE),
]
_SIDES: Final = {
    ROLE_MADE: Side.GOODS,
    ROLE_OUTPUT: Side.OUTPUTS,
    ROLE_INPUT: Side.INPUTS,
    ROLE_ENDED: Side.GOODS,
    ROLE_SEEN: Side.GOODS,
}


class _Way(NamedTuple):
    """The one shipment that is open. amount: what of it is not received yet."""

    row: EventRow
    sender: Holder
    receiver: Holder | None
    documents: frozenset[str]
    amount: Decimal


@dataclass(slots=True)
class _Stock:
    """What one site has. since: the event that brought it there when there was none."""

    holder: Holder
    since: EventRow
    amount: Decimal


class Plain:
    """A plain history, gone through to its end."""

    def __init__(self, walk: "_Walk") -> None:
        self._walk = walk

    @property
    def shipped(self) -> EventRow | None:
        """The one shipment that nobody has received all of, or None."""
        way = self._walk.way
        return None if way is None else way.row

    @property
    def receiver(self) -> Holder | None:
        """Who can say whether it came: to whom it was sent, else who sent it."""
        way = self._walk.way
        return None if way is None else way.receiver or way.sender

    @property
    def held(self) -> list[Held]:
        """What is held at last, by site, then what is on its way: as `LotLedger.held`."""
        uom, way = self._walk.uom, self._walk.way
        held = [
            Held(one.holder, one.since, in_transit=False, lo=one.amount, hi=one.amount, uom=uom, unit="")
            for _key, one in sorted(self._walk.stock.items())
            if one.amount > 0
        ]
        if way is not None:
            to = way.receiver or NOBODY
            held.append(Held(to, way.row, in_transit=True, lo=way.amount, hi=way.amount, uom=uom, unit=""))
        return held


def read_plain(item: str, timeline: Timeline, facts: Facts) -> Plain | None:
    """Return a history whose ledger certainly has no findings, or None where that is yet to be reckoned."""
    entries = timeline.entries
    if timeline.notes or len(entries) > _ENTRIES_MAX or read_item(item).single:
        return None
    first = entries[0].row.member
    tolerance_ms = facts.readings.clock_tolerance_ms
    gap_ms = 0 if all(row.member == first for row, _role in entries) else 4 * tolerance_ms
    walk = _Walk(item, facts, gap_ms)
    last_ms: int | None = None
    places = iter(range(len(entries)))
    for place in places:
        row, role = entries[place]
        time = row.event.time
        if role == ROLE_CHILD and (last_ms is None or time.lo_ms > last_ms + gap_ms):
            until = entries[place + 1] if place + 1 < len(entries) else None
            if until is None or until.role != ROLE_CHILD or not walk.carry(row, until.row):
                return None
            last_ms = until.row.event.time.lo_ms
            next(places)
            continue
        if time.lo_ms != time.hi_ms or role not in _SIDES or (last_ms is not None and time.lo_ms <= last_ms + gap_ms):
            if role == ROLE_INSTANCES:
                continue
            return None
        last_ms = time.lo_ms
        if not walk.take(row, role):
            return None
    return Plain(walk)


class _Walk:
    """Stock by holder, and the one shipment that may be open."""

    def __init__(self, item: str, facts: Facts, gap_ms: int) -> None:
        self._item = item
        self._facts = facts
        self._gap_ms = gap_ms
        self.stock: dict[str, _Stock] = {}
        self.uom: str | None = None
        self._steps: dict[Movement, str | None] = {}
        self._received_ms: int | None = None
        self._has_any = False
        self.way: _Way | None = None

    def take(self, row: EventRow, role: int) -> bool:
        """Go through one event; return False where it is not plain."""
        facts = self._facts
        amount, uom = facts.base_amount(self._item, row, _SIDES[role])
        movement, holder = facts.custody.read(row)
        key = holder.key
        if not amount or not key or (self._has_any and uom != self.uom):
            return False
        if role == ROLE_OUTPUT:
            self._credit(row, holder, amount)
        elif role == ROLE_MADE:
            if self._has_any:
                return False  # It may only commission what a run put out.
            self._credit(row, holder, amount)
        elif role in (ROLE_INPUT, ROLE_ENDED) or movement is Movement.END:
            if movement is Movement.OUTBOUND or movement is Movement.INBOUND:
                return False
            if not self._draw(key, amount):
                return False
        elif movement is Movement.OUTBOUND:
            return self._send(row, holder, amount)
        elif movement is Movement.INBOUND:
            return self._receive(row, holder, amount)
        elif self._amount_at(key) < amount or row.event.step in COUNTING_STEPS or row.event.step == VOID_STEP:
            return False
        self._has_any, self.uom = True, uom
        return True

    def carry(self, packed: EventRow, unpacked: EventRow) -> bool:
        """Go through a stay in a unit that was packed, shipped, received and unpacked, and nothing else.

        The unit's two moves stand for those of the goods; return False where it is not so plain.
        """
        facts, unit = self._facts, packed.event.parent
        amount, uom = facts.base_amount(self._item, packed, Side.GOODS)
        if (
            unit is None
            or self.way is not None
            or not self._has_any
            or amount is None
            or amount == 0
            or uom != self.uom
        ):
            return False
        if unpacked.event.parent != unit or facts.base_amount(self._item, unpacked, Side.GOODS) != (amount, uom):
            return False
        timeline = facts.timelines.of_item(unit)
        if timeline.notes or [role for _row, role in timeline.entries] != _PLAIN_UNIT:
            return False
        rows = [row for row, _role in timeline.entries]
        if rows[0] is not packed or rows[3] is not unpacked or any(row.member != packed.member for row in rows):
            return False
        if not _is_in_order(rows, self._gap_ms):
            return False
        kinds = [(row.event.type, row.event.action, facts.custody.read(row)[0]) for row in rows]
        holders = [facts.custody.holder_of(row) for row in rows]
        if kinds != _PLAIN_STAY or not holders[0].key or not holders[2].key:
            return False
        if (
            holders[0].key != holders[1].key
            or holders[2].key != holders[3].key
            or not self._draw(holders[0].key, amount)
        ):
            return False
        self._credit(rows[2], holders[3], amount)
        return True

    def _amount_at(self, key: str) -> Decimal:
        one = self.stock.get(key)
        return ZERO if one is None else one.amount

    def _credit(self, row: EventRow, holder: Holder, amount: Decimal) -> None:
        one = self.stock.get(holder.key)
        if one is None:
            self.stock[holder.key] = _Stock(holder, row, ZERO + amount)
            return
        if one.amount == 0:
            one.since = row
        one.amount += amount

    def _draw(self, key: str, amount: Decimal) -> bool:
        one = self.stock.get(key)
        if one is None or one.amount < amount:
            return False
        one.amount -= amount
        return True

    def _is_other_step(self, movement: Movement, row: EventRow) -> bool:
        """Return whether another step of this kind was met: the two may tell of one hand-over."""
        return self._steps.setdefault(movement, row.event.step) != row.event.step

    def _send(self, row: EventRow, holder: Holder, amount: Decimal) -> bool:
        time_ms = row.event.time.lo_ms
        open_ms = 2 * self._facts.readings.clock_tolerance_ms
        # It is open to receipts from a little earlier on: one shortly before could be of either shipment.
        is_near = self._received_ms is not None and time_ms - open_ms <= self._received_ms
        if self.way is not None or is_near or self._is_other_step(Movement.OUTBOUND, row):
            return False
        receiver = self._facts.custody.receiver_of(row.event)
        self.way = _Way(row, holder, receiver, despatch_documents(row.event), ZERO + amount)
        return self._draw(holder.key, amount)

    def _receive(self, row: EventRow, holder: Holder, amount: Decimal) -> bool:
        way = self.way
        if way is None or amount > way.amount or way.sender.key == holder.key:
            return False
        if self._is_other_step(Movement.INBOUND, row) or not self._fits(way, row, holder):
            return False
        if amount < way.amount and self._stated_uom(row) != self._stated_uom(way.row):
            return False  # What is left may be no more than what was rounded.
        self._received_ms = row.event.time.lo_ms
        self._credit(row, holder, amount)
        self.way = None if amount == way.amount else way._replace(amount=way.amount - amount)
        return True

    def _stated_uom(self, row: EventRow) -> str | None:
        return self._facts.amounts.of(row, Side.GOODS, self._item)[1]

    def _fits(self, way: _Way, row: EventRow, holder: Holder) -> bool:
        documents = despatch_documents(row.event)
        if documents and way.documents:
            return bool(documents & way.documents)
        sender = self._facts.custody.sender_of(row.event)
        if documents or way.receiver is None or way.receiver.site is None or way.receiver.site != holder.site:
            return False
        return sender is None or sender.key == way.sender.key


def _is_in_order(rows: Sequence[EventRow], gap_ms: int) -> bool:
    """Return whether the events certainly happened one after another, each at an instant."""
    return all(row.event.time.lo_ms == row.event.time.hi_ms for row in rows) and all(
        later.event.time.lo_ms > row.event.time.lo_ms + gap_ms for row, later in pairwise(rows)
    )


def is_balanced(row: EventRow, facts: Facts, loss_permille: int) -> bool:
    """Return whether a run of one event certainly has no gain, and no more loss than so many thousandths.

    That is so where all amounts are known and of one unit of measure, and no piece or unit is among the goods.
    """
    event = row.event
    total, taken, uom = ZERO, ZERO, None
    for number, (side, goods) in enumerate(((Side.INPUTS, event.inputs), (Side.OUTPUTS, event.outputs))):
        for item in dict.fromkeys(one.item for one in goods):
            found = read_item(item)
            if found.single:
                return False
            amount, measure = facts.base_amount(item, row, side)
            if amount is None or measure is None or (uom is not None and measure != uom):
                return False
            uom = measure
            total += -amount if number else amount
            taken += ZERO if number else amount
    return ZERO <= total * 1000 <= taken * loss_permille
