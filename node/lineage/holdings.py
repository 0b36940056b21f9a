"""Who holds an item at last: its stock per custodian, place and unit, from its own events in the order of their times.

Every event credits and debits stock. Each credit stands at the earliest it can have happened and each draw at the
latest, which allows every order that may be true. What is drawn, received or seen beyond the stock there (a
*shortfall*) came unrecorded from the only other holding that has it, else from nowhere known; either is a finding.
Balances here only tell holders apart: they bound nothing and are in no answer.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

from node.epcis.model import Action, Event, EventType, Goods
from node.lineage.containment import FOREVER_MS
from node.lineage.custody import NOBODY, Custody, Holder
from node.lineage.items import read_item
from node.lineage.readings import Movement, Readings
from node.lineage.records import (
    ROLE_CHILD,
    ROLE_ENDED,
    ROLE_INPUT,
    ROLE_INSTANCES,
    ROLE_MADE,
    ROLE_OUTPUT,
    ROLE_PARENT,
    EventRow,
)
from node.lineage.timeline import Entry

_ONE: Final = Decimal(1)
_GONE: Final = frozenset({"destroyed", "disposed", "retail_sold", "dispensed"})
_KEY_DOCUMENTS: Final = ("desadv", "bol")


class Held(NamedTuple):
    """Stock at the end. since: the event that brought it there. in_transit: shipped to `holder`, not yet received."""

    holder: Holder
    since: EventRow
    in_transit: bool


class Finding(NamedTuple):
    """What did not add up. code: as in docs/lineage.md. ask: who can say. other: another event that shows it."""

    code: str
    row: EventRow
    ask: Holder
    other: EventRow | None = None


class Step(NamedTuple):
    """An event that touches the item's stock: its own, or one of the unit that it is in."""

    row: EventRow
    role: int
    unit: str
    """The unit whose contents the event moves as a whole, or "" for the item's own event."""


@dataclass(slots=True)
class _Stock:
    holder: Holder
    since: EventRow
    amount: Decimal | None
    uom: str | None
    unit: str


@dataclass(slots=True)
class _Shipment:
    sender: Holder
    receiver: Holder | None
    row: EventRow
    amount: Decimal | None
    uom: str | None
    unit: str


class Reckoner:
    """Reckons the stock of one item. `run` once; then read `held` and `findings`."""

    def __init__(self, item: str, custody: Custody, readings: Readings) -> None:
        self._item = item
        self._single = read_item(item).single
        self._custody = custody
        self._readings = readings
        self._stock: dict[tuple[str, str], _Stock] = {}
        self._shipments: list[_Shipment] = []
        self._receipts: dict[str, EventRow] = {}
        self._drawn_short: dict[str, EventRow] = {}
        self._was_held = False
        self.findings: list[Finding] = []

    def run(self, entries: Sequence[Entry], carried: Iterable[Step] = ()) -> None:
        """Go through the item's own events and those of the units that carried it."""
        steps = [*carried]
        if not steps and _is_in_order(entries):
            for row, role in entries:
                self._on_own(row, role)
            return
        steps += [Step(row, role, "") for row, role in entries]
        steps.sort(key=self._order)
        for step in steps:
            if step.unit:
                self._on_unit(step)
            else:
                self._on_own(step.row, step.role)

    @property
    def held(self) -> list[Held]:
        """Return what is held at the end, in order of key; then what is on its way."""
        stocks = sorted(self._stock.items())
        held = {stock.holder.key: Held(stock.holder, stock.since, in_transit=False) for _key, stock in stocks}
        moving = [Held(shipment.receiver or NOBODY, shipment.row, in_transit=True) for shipment in self._shipments]
        return [*held.values(), *moving]

    @property
    def shipments(self) -> list[tuple[EventRow, Holder, Holder | None]]:
        """Return shipments that nobody received: (event, sender, receiver if stated)."""
        return [(shipment.row, shipment.sender, shipment.receiver) for shipment in self._shipments]

    def _order(self, step: Step) -> tuple[int, int, bytes, str]:
        event, role = step.row.event, step.role
        movement = self._custody.read(step.row)[0]
        draws = movement in (Movement.OUTBOUND, Movement.END) or role & ROLE_INPUT
        time_ms = event.time.hi_ms if draws else event.time.lo_ms
        if movement is Movement.INBOUND or role & ROLE_MADE:
            rank = 0
        elif event.type is EventType.AGGREGATION and event.action is Action.DELETE:
            rank = 1
        elif role & ROLE_INPUT:
            rank = 2
        elif role & ROLE_OUTPUT:
            rank = 3
        elif movement is Movement.OUTBOUND:
            rank = 6
        elif movement is Movement.END:
            rank = 7
        else:
            rank = 4 if event.action is Action.ADD else 5
        return time_ms, rank, event.content_digest, step.unit

    def _on_own(self, row: EventRow, role: int) -> None:
        event = row.event
        holder = self._custody.holder_of(row)
        if event.type is EventType.TRANSFORMATION:
            # What a run takes before what it gives of the same lot; a piece that is in and out goes on.
            if role & ROLE_INPUT and not (self._single and role & ROLE_OUTPUT):
                self._draw(row, holder, *self._amount_of(event.inputs), "")
            if role & ROLE_OUTPUT:
                self._credit(row, holder, *self._amount_of(event.outputs), "")
            return
        if role == ROLE_INSTANCES:
            return  # Its pieces hold themselves.
        amount, uom = (_ONE, None) if role & ROLE_PARENT else self._amount_of(event.goods)
        if role & ROLE_MADE:
            self._make(row, holder, amount, uom)
        elif role & ROLE_CHILD and event.parent is not None and event.action is not Action.OBSERVE:
            self._repack(event, row, holder, amount, uom)
        elif not role & ROLE_CHILD:
            self._move(row, holder, amount, uom, "")

    def _on_unit(self, step: Step) -> None:
        """The unit's event happens to what is in it then, whole."""
        row, unit = step.row, step.unit
        holder = self._custody.holder_of(row)
        inside = [stock for stock in self._stock.values() if stock.unit == unit]
        if step.role & ROLE_INPUT:
            for stock in inside:
                self._remove(stock)
            return
        emptied = step.role & ROLE_PARENT and row.event.action is Action.DELETE and not row.event.goods
        ended = step.role & ROLE_ENDED and row.event.disposition not in _GONE
        if emptied or (ended and row.event.step not in self._readings.ending_steps):
            self._loosen(inside, row, holder)
            return
        open_ones = [shipment for shipment in self._shipments if shipment.unit == unit]
        if not inside and not open_ones:
            return
        known = [*[stock.amount for stock in inside], *[shipment.amount for shipment in open_ones]]
        amounts = [amount for amount in known if amount is not None]
        amount = sum(amounts, Decimal(0)) if len(amounts) == len(known) else None
        self._move(row, holder, amount, inside[0].uom if inside else open_ones[0].uom, unit)

    def _loosen(self, inside: list[_Stock], row: EventRow, holder: Holder) -> None:
        """Take all out of a unit, where it is emptied."""
        for stock in inside:
            self._remove(stock)
            since = stock.since if stock.holder.key == holder.key else row
            self._credit(row, holder if holder.key else stock.holder, stock.amount, stock.uom, "", since=since)

    def _amount_of(self, goods: tuple[Goods, ...]) -> tuple[Decimal | None, str | None]:
        """Return how much of the item `goods` list, over all its lines; unknown if one line is."""
        if self._single:
            return _ONE, None
        if len(goods) == 1:
            return goods[0].amount, goods[0].uom
        lines = [one for one in goods if one.item == self._item]
        if not lines:
            return None, None
        uom = lines[0].uom
        total = Decimal(0)
        for line in lines:
            if line.amount is None or line.uom != uom:
                return None, uom
            total += line.amount
        return total, uom

    def _make(self, row: EventRow, holder: Holder, amount: Decimal | None, uom: str | None) -> None:
        """Credit what an Object event made, unless it only commissions what a run put out."""
        there = self._find(holder, "")
        if (
            there is not None
            and there.since.event.type is EventType.TRANSFORMATION
            and (self._single or (there.amount == amount and there.uom == uom))
        ):
            return
        if self._single and self._stock:
            self.findings.append(Finding("made_twice", row, holder, next(iter(self._stock.values())).since))
            self._stock.clear()
        self._credit(row, holder, amount, uom, "")

    def _repack(self, event: Event, row: EventRow, holder: Holder, amount: Decimal | None, uom: str | None) -> None:
        """Pack loose stock into a unit, or take it out again, where it is."""
        unit = event.parent or ""
        source, target = ("", unit) if event.action is Action.ADD else (unit, "")
        here = self._find(holder, source)
        since = here.since if here is not None else row
        if here is None and source:
            # It was not known to be inside: then it may be loose here already, and nothing moves.
            if self._find(holder, "") is None:
                self._short(row, holder, amount, uom, needed=amount)
                self._credit(row, holder, amount, uom, target)
            return
        self._draw(row, holder, amount, uom, source)
        self._credit(row, holder, amount, uom, target, since=since)

    def _move(self, row: EventRow, holder: Holder, amount: Decimal | None, uom: str | None, unit: str) -> None:
        movement = self._custody.read(row)[0]
        if movement is Movement.OUTBOUND:
            self._ship(row, holder, amount, uom, unit)
        elif movement is Movement.INBOUND:
            self._receive(row, holder, amount, uom, unit)
        elif movement is Movement.END:
            self._draw(row, holder, amount, uom, unit)
        elif amount != 0:
            self._see(row, holder, amount, uom, unit)

    def _ship(self, row: EventRow, holder: Holder, amount: Decimal | None, uom: str | None, unit: str) -> None:
        receiver = self._custody.receiver_of(row.event)
        packed = [] if unit or self._find(holder, "") else self._packed_at(holder)
        if packed:
            # It lists a unit's goods beside the unit: these leave in it.
            for stock in packed:
                self._ship(row, holder, stock.amount, stock.uom, stock.unit)
            return
        for shipment in self._shipments:
            if shipment.unit == unit and self._is_one_handover(shipment, row, holder, receiver):
                # Loading, then departing: one shipment, of the largest amount that was stated.
                more = _difference(amount, uom, shipment.amount, shipment.uom)
                if more is not None and more > 0:
                    self._draw(row, holder, more, uom, unit)
                    shipment.amount = amount
                shipment.receiver = shipment.receiver or receiver
                return
        self._draw(row, holder, amount, uom, unit)
        self._shipments.append(_Shipment(holder, receiver, row, amount, uom, unit))

    def _is_one_handover(self, shipment: _Shipment, row: EventRow, holder: Holder, receiver: Holder | None) -> bool:
        before, now = shipment.row.event, row.event
        return (
            before.step != now.step
            and shipment.sender.key == holder.key
            and abs(now.time.lo_ms - before.time.lo_ms) <= self._readings.handover_window_ms
            and not _differ(_despatch_documents(before), _despatch_documents(now))
            and (shipment.receiver is None or receiver is None or shipment.receiver.key == receiver.key)
        )

    def _receive(self, row: EventRow, holder: Holder, amount: Decimal | None, uom: str | None, unit: str) -> None:
        earlier = self._receipts.get(holder.key + unit)
        if (
            earlier is not None
            and earlier.event.step != row.event.step
            and row.event.time.lo_ms - earlier.event.time.lo_ms <= self._readings.handover_window_ms
            and not _differ(_despatch_documents(earlier.event), _despatch_documents(row.event))
        ):
            return
        self._receipts[holder.key + unit] = row
        left = self._take_from_shipments(row, holder, amount, uom, unit)
        if left is None or left > 0:
            there = None if left is None else self._find(holder, unit)
            if left is not None and there is not None and left == amount:
                # Already here by another report: the receipt confirms it.
                return
            if left is not None or not self._has_shipped_unknown(unit):
                self.findings.append(Finding("receipt_without_shipment", row, holder))
                self._short(row, holder, amount, uom, needed=left)
        short = self._drawn_short.get(holder.key)
        if short is not None and row.event.time.lo_ms > short.event.time.hi_ms:
            # The use stands before the receipt: it carries nothing there.
            self.findings.append(Finding("used_before_receipt", row, holder, short))
        self._credit(row, holder, amount, uom, unit)

    def _has_shipped_unknown(self, unit: str) -> bool:
        return any(shipment.unit == unit and shipment.amount is None for shipment in self._shipments)

    def _take_from_shipments(
        self, row: EventRow, holder: Holder, amount: Decimal | None, uom: str | None, unit: str
    ) -> Decimal | None:
        """Close what open shipments a receipt fits, best fit first; return what it lacks (None: unknown)."""
        fits: list[tuple[int, int, _Shipment]] = []
        documents = _despatch_documents(row.event)
        sender = self._custody.sender_of(row.event)
        for number, shipment in enumerate(self._shipments):
            if (unit and shipment.unit != unit) or shipment.sender.key == holder.key:
                continue
            if documents and documents & _despatch_documents(shipment.row.event):
                fits.append((0, number, shipment))
            elif shipment.receiver is not None:
                if _is_same(shipment.receiver, holder):
                    fits.append((1, number, shipment))
            elif sender is None or _is_same(sender, shipment.sender):
                fits.append((2, number, shipment))
        left = amount
        for _rank, _number, shipment in sorted(fits, key=lambda fit: fit[:2]):
            if left is not None and left <= 0:
                break
            if shipment.amount is None or left is None or shipment.uom != uom:
                self._shipments.remove(shipment)
                left = Decimal(0)
            elif shipment.amount <= left:
                self._shipments.remove(shipment)
                left -= shipment.amount
            else:
                shipment.amount -= left
                left = Decimal(0)
        return left

    def _see(self, row: EventRow, holder: Holder, amount: Decimal | None, uom: str | None, unit: str) -> None:
        """Presence: confirms what is here; at a shipment's destination it closes it; elsewhere it is a shortfall."""
        if not holder.key or self._find(holder, unit) is not None:
            return
        if not unit and any(stock.holder.key == holder.key for stock in self._stock.values()):
            return
        open_here = [
            shipment
            for shipment in self._shipments
            if shipment.unit == unit and shipment.receiver is not None and _is_same(shipment.receiver, holder)
        ]
        if open_here:
            self._take_from_shipments(row, holder, amount, uom, unit)
        else:
            self._short(row, holder, amount, uom, needed=amount)
        self._credit(row, holder, amount, uom, unit)

    def _packed_at(self, holder: Holder) -> list[_Stock]:
        return [stock for _key, stock in sorted(self._stock.items()) if stock.unit and stock.holder.key == holder.key]

    def _find(self, holder: Holder, unit: str) -> _Stock | None:
        return self._stock.get((holder.key, unit))

    def _remove(self, stock: _Stock) -> None:
        self._stock.pop((stock.holder.key, stock.unit), None)

    def _credit(
        self,
        row: EventRow,
        holder: Holder,
        amount: Decimal | None,
        uom: str | None,
        unit: str,
        since: EventRow | None = None,
    ) -> None:
        key = (holder.key, unit)
        stock = self._stock.get(key)
        self._was_held = True
        if stock is None:
            self._stock[key] = _Stock(holder, since or row, amount, uom, unit)
        elif self._single:
            return
        elif stock.amount is None or amount is None or stock.uom != uom:
            stock.amount = None
        else:
            stock.amount += amount

    def _draw(self, row: EventRow, holder: Holder, amount: Decimal | None, uom: str | None, unit: str) -> None:
        """Take from the stock here; what lacks is a shortfall. An unknown draw may leave some, so the stock stays."""
        stock = self._find(holder, unit)
        if stock is None:
            self._short(row, holder, amount, uom, needed=amount)
            self._drawn_short.setdefault(holder.key, row)
        elif self._single:
            self._remove(stock)
        elif stock.amount is None or amount is None or stock.uom != uom:
            stock.amount = None
        elif amount >= stock.amount:
            self._remove(stock)
            if amount > stock.amount:
                self._short(row, holder, amount, uom, needed=amount - stock.amount)
        else:
            stock.amount -= amount

    def _short(
        self, row: EventRow, holder: Holder, amount: Decimal | None, uom: str | None, *, needed: Decimal | None
    ) -> None:
        """Say where what lacks here came from: the only other holding that has it, else nobody knows."""
        others = [stock for stock in self._stock.values() if stock.holder.key != holder.key]
        own = [stock for stock in others if holder.party is not None and stock.holder.party == holder.party]
        for pool in (own, others):
            if len(pool) == 1 and (pool is own or not self._shipments) and self._takes_from(pool[0], needed, uom):
                self.findings.append(Finding("moved_without_record", row, holder, pool[0].since))
                return
        if not others and len(self._shipments) == 1 and (self._single or self._shipments[0].amount == amount):
            self.findings.append(Finding("moved_without_record", row, holder, self._shipments[0].row))
            self._shipments.clear()
            return
        self.findings.append(Finding("overdrawn" if self._was_held else "no_source", row, holder))

    def _takes_from(self, stock: _Stock, needed: Decimal | None, uom: str | None) -> bool:
        """Debit another holding by what lacks, if it has enough."""
        if self._single:
            self._remove(stock)
            return True
        if needed is None or stock.amount is None or stock.uom != uom:
            # An unknown part of it: both places may hold some.
            stock.amount = None
            return True
        if stock.amount < needed:
            return False
        stock.amount -= needed
        if stock.amount == 0:
            self._remove(stock)
        return True


def _is_in_order(entries: Sequence[Entry]) -> bool:
    """Return whether the events are points in time, one after the other: then nothing is to be settled."""
    last_ms = -FOREVER_MS
    for row, _role in entries:
        time = row.event.time
        if time.lo_ms != time.hi_ms or time.lo_ms <= last_ms:
            return False
        last_ms = time.lo_ms
    return True


def _difference(
    amount: Decimal | None, uom: str | None, other: Decimal | None, other_uom: str | None
) -> Decimal | None:
    return None if amount is None or other is None or uom != other_uom else amount - other


def _despatch_documents(event: Event) -> frozenset[str]:
    """Return the despatch advices and bills of lading; orders and invoices are no key of a shipment."""
    return frozenset(document for kind, document in event.documents if kind in _KEY_DOCUMENTS)


def _differ(documents: frozenset[str], others: frozenset[str]) -> bool:
    return bool(documents and others and not documents & others)


def _is_same(one: Holder, other: Holder) -> bool:
    """Return whether two names may mean one holder: by site where both state it, else by party."""
    if one.site is not None and other.site is not None:
        return one.site == other.site
    if one.party is not None and other.party is not None:
        return one.party == other.party
    return False
