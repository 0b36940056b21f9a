"""Who holds an item at last: its stock per custodian, place and unit, from its own events in the order of their times.

Every event credits and debits stock. Each credit stands at the earliest it can have happened and each draw at the
latest, which allows every order that may be true. What is drawn, received or seen beyond the stock there (a
*shortfall*) came unrecorded from the only other holding that has it, else from nowhere known; either is a finding.
Balances here only tell holders apart: they bound nothing and are in no answer.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain, islice
from typing import Final, NamedTuple

from node.epcis.model import Action, Event, EventType
from node.lineage.custody import NOBODY, Holder
from node.lineage.facts import Amount, Facts, Side
from node.lineage.items import ItemKind, read_item
from node.lineage.readings import Movement
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
from node.lineage.stock import REPORTS_MAX, Shipment, Stock, Stocks, Transit, despatch_documents, is_same, may_be
from node.lineage.timeline import FOREVER_MS, Entry
from node.lineage.units import to_base

_ONE: Final = Decimal(1)
_GONE: Final = frozenset({"destroyed", "disposed", "retail_sold", "dispensed"})


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


@dataclass(slots=True, eq=False)
class Awaited:
    """A receipt whose shipment may be yet to come, for the times of the two do not tell which was first.

    lacks: what no shipment accounts for so far; None is unknown.
    """

    row: EventRow
    holder: Holder
    lacks: Decimal | None
    uom: str | None
    unit: str


class Reckoner:
    """Reckons the stock of one item. `run` once; then read `held` and `findings`."""

    def __init__(self, item: str, facts: Facts) -> None:
        self._item = item
        self._single = read_item(item).single
        self._is_unit = read_item(item).kind in (ItemKind.UNIT, ItemKind.ASSET)
        self._custody = facts.custody
        self._readings = facts.readings
        self._amounts = facts.amounts
        self._stocks = Stocks()
        self._transit = Transit()
        self._outbound: list[Step] = []
        self._outbound_done = 0
        self._awaited: list[Awaited] = []
        self._receipts: dict[str, EventRow] = {}
        self._drawn_short: dict[str, EventRow] = {}
        self._was_held = False
        self.findings: list[Finding] = []

    def run(self, entries: Sequence[Entry], carried: Iterable[Step] = ()) -> None:
        """Go through the item's own events and those of the units that carried it."""
        is_sorted = not (steps := [*carried]) and _is_in_order(entries)
        steps += [Step(row, role, "") for row, role in entries]
        if not is_sorted:
            steps.sort(key=self._order)
        self._outbound = [step for step in steps if self._custody.read(step.row)[0] is Movement.OUTBOUND]
        for step in steps:
            if self._outbound_done < len(self._outbound) and step is self._outbound[self._outbound_done]:
                self._outbound_done += 1
            if step.unit:
                self._on_unit(step)
            else:
                self._on_own(step.row, step.role)

        for one in self._awaited:
            self._receive_unshipped(one.row, one.holder, one.lacks, one.uom, one.lacks)

    @property
    def held(self) -> list[Held]:
        """Return what is held at the end, in order of key; then what is on its way."""
        held = {stock.holder.key: Held(stock.holder, stock.since, in_transit=False) for stock in self._stocks}
        moving = [Held(one.receiver or NOBODY, one.row, in_transit=True) for one in self._transit]
        return [*held.values(), *moving]

    @property
    def shipments(self) -> list[tuple[EventRow, Holder, Holder | None]]:
        """Return shipments that nobody received: (event, sender, receiver if stated)."""
        return [(one.row, one.sender, one.receiver) for one in self._transit]

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
                self._draw(row, holder, *self._amount_of(row, Side.INPUTS), "")
            if role & ROLE_OUTPUT:
                self._credit(row, holder, *self._amount_of(row, Side.OUTPUTS), "")
            return
        if role == ROLE_INSTANCES:
            return  # Its pieces hold themselves.
        amount, uom = (_ONE, None) if role & ROLE_PARENT else self._amount_of(row, Side.GOODS)
        if role & ROLE_MADE:
            self._make(row, holder, amount, uom)
        elif role & ROLE_CHILD and event.parent is not None and event.action is not Action.OBSERVE:
            self._move_and_repack(event, row, holder, amount, uom)
        elif not role & ROLE_CHILD:
            self._move(row, holder, amount, uom, "")

    def _on_unit(self, step: Step) -> None:
        """The unit's event happens to what is in it then, whole."""
        row, unit = step.row, step.unit
        holder = self._custody.holder_of(row)
        if step.role & ROLE_INPUT:
            self._arrive(row, holder, unit)
            for stock in self._stocks.inside(unit):
                self._stocks.remove(stock)
            return
        emptied = step.role & ROLE_PARENT and row.event.action is Action.DELETE and not row.event.goods
        ended = step.role & ROLE_ENDED and row.event.disposition not in _GONE
        if emptied or (ended and row.event.step not in self._readings.ending_steps):
            self._arrive(row, holder, unit)
            self._loosen(self._stocks.inside(unit), row, holder)
            return
        inside, open_ones = self._stocks.inside(unit), self._transit.inside(unit)
        if not inside and not open_ones:
            return
        here = self._stocks.find(holder, unit)
        if here is not None and self._custody.read(row)[0] is Movement.OUTBOUND:
            # A receipt that is read before the shipment has the same goods elsewhere already.
            inside, open_ones = [here], []
        known = [*[stock.amount for stock in inside], *[shipment.amount for shipment in open_ones]]
        amounts = [amount for amount in known if amount is not None]
        amount = sum(amounts, Decimal(0)) if len(amounts) == len(known) else None
        self._move(row, holder, amount, inside[0].uom if inside else open_ones[0].uom, unit)

    def _arrive(self, row: EventRow, holder: Holder, unit: str) -> None:
        """Close what was on its way in a unit that is opened or used: it is here, whoever failed to record that."""
        for shipment in self._transit.inside(unit) if holder.key else ():
            if shipment.receiver is not None and not may_be(shipment.receiver, holder):
                self.findings.append(Finding("moved_without_record", row, holder, shipment.row))
            self._transit.remove(shipment)
            self._credit(row, holder, shipment.amount, shipment.uom, unit)

    def _loosen(self, inside: list[Stock], row: EventRow, holder: Holder) -> None:
        """Take all out of a unit, where it is emptied."""
        for stock in inside:
            self._stocks.remove(stock)
            since = stock.since if stock.holder.key == holder.key else row
            self._credit(row, holder if holder.key else stock.holder, stock.amount, stock.uom, "", since=since)

    def _amount_of(self, row: EventRow, side: Side) -> Amount:
        """Return how much of the item the event lists there."""
        return (_ONE, None) if self._single else to_base(*self._amounts.of(row, side, self._item))

    def _make(self, row: EventRow, holder: Holder, amount: Decimal | None, uom: str | None) -> None:
        """Credit what an Object event made, unless it only commissions what a run put out."""
        there = self._stocks.find(holder, "")
        if (
            there is not None
            and there.since.event.type is EventType.TRANSFORMATION
            and (self._single or (there.amount == amount and there.uom == uom))
        ):
            return
        if self._single and self._stocks:
            self.findings.append(Finding("made_twice", row, holder, next(iter(self._stocks)).since))
            self._stocks = Stocks()
        self._credit(row, holder, amount, uom, "")

    def _move_and_repack(
        self, event: Event, row: EventRow, holder: Holder, amount: Decimal | None, uom: str | None
    ) -> None:
        """Pack or unpack, and move by the step of the same event: packed to leave, opened as it comes."""
        movement, unit = self._custody.read(row)[0], event.parent or ""
        packs = event.action is Action.ADD
        arrives = movement is Movement.INBOUND and bool(self._transit.inside(unit))
        if arrives:
            self._on_unit(Step(row, 0, unit))
        elif movement is Movement.INBOUND and packs:
            self._move(row, holder, amount, uom, "")
        if not (arrives and packs):
            self._repack(event, row, holder, amount, uom)
        if movement is Movement.OUTBOUND:
            if packs:
                self._on_unit(Step(row, 0, unit))
            else:
                self._move(row, holder, amount, uom, "")

    def _repack(self, event: Event, row: EventRow, holder: Holder, amount: Decimal | None, uom: str | None) -> None:
        """Pack loose stock into a unit, or take it out again, where it is."""
        unit = event.parent or ""
        source, target = ("", unit) if event.action is Action.ADD else (unit, "")
        if source:
            self._arrive(row, holder, unit)
        here = self._stocks.find(holder, source)
        since = here.since if here is not None else row
        if here is None and source:
            # It was not known to be inside: then it may be loose here already, and nothing moves.
            if self._stocks.find(holder, "") is None:
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
        packed = [] if unit or self._stocks.find(holder, "") else self._stocks.packed_at(holder)
        if packed:
            # It lists a unit's goods beside the unit: these leave in it.
            for stock in packed:
                self._ship(row, holder, stock.amount, stock.uom, stock.unit)
            return
        documents = despatch_documents(row.event)
        for shipment in self._transit.sent_otherwise(holder, unit, row.event.step):
            if not self._is_one_handover(shipment, row, receiver, documents):
                continue
            # Loading, then departing: one shipment, of the largest amount that was stated.
            more = _difference(amount, uom, shipment.amount, shipment.uom)
            if more is not None and more > 0:
                self._draw(row, holder, more, uom, unit)
                shipment.amount = amount
            if shipment.receiver is None and receiver is not None:
                self._transit.name_receiver(shipment, receiver)
            return
        self._draw(row, holder, amount, uom, unit)
        if self._awaited:
            amount, is_left = self._give_awaited(Shipment(holder, receiver, row, amount, uom, unit, documents))
            if not is_left:
                return
        self._transit.add(Shipment(holder, receiver, row, amount, uom, unit, documents))

    def _is_long_ago(self, before: EventRow, row: EventRow) -> bool:
        """Return whether two reports are too far apart to be of one hand-over."""
        return row.event.time.lo_ms - before.event.time.lo_ms > self._readings.handover_window_ms

    def _is_one_handover(
        self, shipment: Shipment, row: EventRow, receiver: Holder | None, documents: frozenset[str]
    ) -> bool:
        return (
            not self._is_long_ago(shipment.row, row)
            and not _differ(shipment.documents, documents)
            and (shipment.receiver is None or receiver is None or shipment.receiver.key == receiver.key)
        )

    def _receive(self, row: EventRow, holder: Holder, amount: Decimal | None, uom: str | None, unit: str) -> None:
        earlier = self._receipts.get(holder.key + unit)
        if (
            earlier is not None
            and earlier.event.step != row.event.step
            and not self._is_long_ago(earlier, row)
            and not _differ(despatch_documents(earlier.event), despatch_documents(row.event))
        ):
            return
        self._receipts[holder.key + unit] = row
        left = self._take_from_shipments(row, holder, amount, uom, unit)
        if left is None or left > 0:
            there = None if left is None else self._stocks.find(holder, unit)
            if left is not None and there is not None and left == amount:
                # Already here by another report: the receipt confirms it.
                return
            if self._may_ship_yet(row, holder, unit):
                self._awaited.append(Awaited(row, holder, left, uom, unit))
            elif left is not None or not self._has_shipped_unknown(unit):
                self._receive_unshipped(row, holder, amount, uom, left)
        short = self._drawn_short.get(holder.key)
        if short is not None and row.event.time.lo_ms > short.event.time.hi_ms:
            # The use stands before the receipt: it carries nothing there.
            self.findings.append(Finding("used_before_receipt", row, holder, short))
        self._credit(row, holder, amount, uom, unit)

    def _receive_unshipped(
        self, row: EventRow, holder: Holder, amount: Decimal | None, uom: str | None, lacks: Decimal | None
    ) -> None:
        self.findings.append(Finding("receipt_without_shipment", row, holder))
        self._short(row, holder, amount, uom, needed=lacks, is_said=True)

    def _may_ship_yet(self, row: EventRow, holder: Holder, unit: str) -> bool:
        """Return whether a shipment that is yet to be read may have been before the receipt."""
        for step in self._outbound[self._outbound_done : self._outbound_done + REPORTS_MAX]:
            receiver = self._custody.receiver_of(step.row.event)
            if self._is_of_receipt(step.row, self._custody.holder_of(step.row), receiver, step.unit, row, holder, unit):
                return True
        return False

    def _is_of_receipt(
        self,
        shipped: EventRow,
        sender: Holder,
        receiver: Holder | None,
        packed: str,
        row: EventRow,
        holder: Holder,
        unit: str,
    ) -> bool:
        """Return whether a shipment, in the unit `packed`, may be what was received, in `unit`, before it was read."""
        slack_ms = self._readings.slack_ms(shipped.member, row.member)
        return (
            shipped.event.time.lo_ms <= row.event.time.hi_ms + slack_ms
            and sender.key != holder.key
            and (not unit or packed == unit)
            and (receiver is None or may_be(receiver, holder))
            and not _differ(despatch_documents(shipped.event), despatch_documents(row.event))
        )

    def _give_awaited(self, sent: Shipment) -> tuple[Decimal | None, bool]:
        """Close receipts that were read before the shipment; return what of it is left, and whether any is."""
        for one in list(self._awaited):
            if not self._is_of_receipt(sent.row, sent.sender, sent.receiver, sent.unit, one.row, one.holder, one.unit):
                continue
            if sent.amount is None or one.lacks is None or sent.uom != one.uom:
                self._awaited.remove(one)
                return None, False
            taken = min(sent.amount, one.lacks)
            sent.amount -= taken
            one.lacks -= taken
            if not one.lacks:
                self._awaited.remove(one)
            if not sent.amount:
                return None, False
        return sent.amount, True

    def _has_shipped_unknown(self, unit: str) -> bool:
        return any(shipment.amount is None for shipment in self._transit.inside(unit))

    def _fits(self, row: EventRow, holder: Holder, unit: str) -> Iterator[Shipment]:
        """Yield the open shipments that a receipt fits: by document, by receiver, then those that name none."""
        seen: set[int] = set()
        sender = self._custody.sender_of(row.event)
        transit = self._transit
        named = [transit.with_document(one) for one in sorted(despatch_documents(row.event))]
        unaddressed = (
            shipment for shipment in transit.unaddressed() if sender is None or is_same(sender, shipment.sender)
        )
        if self._single or unit:
            # The same piece or unit: whoever the shipment was meant for, this is it.
            named = [iter(transit if self._single else transit.inside(unit))]
        for shipment in chain(*named, transit.addressed_to(holder), unaddressed, self._fits_perhaps(holder, sender)):
            if shipment.number not in seen and (not unit or shipment.unit == unit):
                seen.add(shipment.number)
                if shipment.sender.key != holder.key:
                    yield shipment

    def _fits_perhaps(self, holder: Holder, sender: Holder | None) -> Iterator[Shipment]:
        """Yield the one open shipment to a party of whose places nobody told, if the party of this place is untold."""
        if holder.party is not None:
            return
        found = [
            shipment
            for shipment in islice(self._transit.unplaced(), REPORTS_MAX)
            if sender is None or is_same(sender, shipment.sender)
        ]
        if len(found) == 1:
            yield found[0]

    def _take_from_shipments(
        self, row: EventRow, holder: Holder, amount: Decimal | None, uom: str | None, unit: str
    ) -> Decimal | None:
        """Close what open shipments a receipt fits, best fit first; return what it lacks (None: unknown)."""
        left = amount
        closed: list[Shipment] = []
        for shipment in self._fits(row, holder, unit):
            if shipment.amount is None or left is None or shipment.uom != uom:
                closed.append(shipment)
                left = Decimal(0)
            elif shipment.amount <= left:
                closed.append(shipment)
                left -= shipment.amount
            else:
                shipment.amount -= left
                left = Decimal(0)
            if left <= 0:
                break
        for shipment in closed:
            self._transit.remove(shipment)
        return left

    def _see(self, row: EventRow, holder: Holder, amount: Decimal | None, uom: str | None, unit: str) -> None:
        """Presence: confirms what is here; at a shipment's destination it closes it; elsewhere it is a shortfall."""
        if not holder.key or self._stocks.find(holder, unit) is not None:
            return
        if not unit and self._stocks.has(holder):
            return
        if any(shipment.unit == unit for shipment in self._transit.addressed_to(holder)):
            self._take_from_shipments(row, holder, amount, uom, unit)
        else:
            self._short(row, holder, amount, uom, needed=amount)
        self._credit(row, holder, amount, uom, unit)

    def _credit(
        self,
        row: EventRow,
        holder: Holder,
        amount: Decimal | None,
        uom: str | None,
        unit: str,
        since: EventRow | None = None,
    ) -> None:
        stock = self._stocks.find(holder, unit)
        self._was_held = True
        if stock is None:
            self._stocks.add(Stock(holder, since or row, amount, uom, unit))
        elif self._single:
            return
        elif stock.amount is None or amount is None or stock.uom != uom:
            stock.amount = None
        else:
            stock.amount += amount

    def _draw(self, row: EventRow, holder: Holder, amount: Decimal | None, uom: str | None, unit: str) -> None:
        """Take from the stock here; what lacks is a shortfall. An unknown draw may leave some, so the stock stays."""
        stock = self._stocks.find(holder, unit)
        if stock is None:
            self._short(row, holder, amount, uom, needed=amount)
            self._drawn_short.setdefault(holder.key, row)
        elif self._single:
            self._stocks.remove(stock)
        elif stock.amount is None or amount is None or stock.uom != uom:
            stock.amount = None
        elif amount >= stock.amount:
            self._stocks.remove(stock)
            if amount > stock.amount:
                self._short(row, holder, amount, uom, needed=amount - stock.amount)
        else:
            stock.amount -= amount

    def _short(
        self,
        row: EventRow,
        holder: Holder,
        amount: Decimal | None,
        uom: str | None,
        *,
        needed: Decimal | None,
        is_said: bool = False,
    ) -> None:
        """Say where what lacks here came from: the only other holding that has it, else nobody knows.

        is_said: a finding already says that nobody recorded the source.
        """
        own = self._stocks.only_own_elsewhere(holder)
        only = own or (None if self._transit else self._stocks.only_elsewhere(holder))
        for stock in dict.fromkeys((own, only)):
            if stock is not None and self._takes_from(stock, needed, uom):
                self.findings.append(Finding("moved_without_record", row, holder, stock.since))
                return
        if len(self._transit) == 1 and not self._stocks.has_elsewhere(holder):
            shipment = next(iter(self._transit))
            if self._single or shipment.amount == amount:
                self.findings.append(Finding("moved_without_record", row, holder, shipment.row))
                self._transit.remove(shipment)
                return
        if self._was_held:
            self.findings.append(Finding("overdrawn", row, holder))
        elif not is_said and not self._is_unit:
            # A unit begins where it is first packed, and an asset is brought: nobody records their making.
            self.findings.append(Finding("no_source", row, holder))

    def _takes_from(self, stock: Stock, needed: Decimal | None, uom: str | None) -> bool:
        """Debit another holding by what lacks, if it has enough."""
        if self._single:
            self._stocks.remove(stock)
            return True
        if needed is None or stock.amount is None or stock.uom != uom:
            # An unknown part of it: both places may hold some.
            stock.amount = None
            return True
        if stock.amount < needed:
            return False
        stock.amount -= needed
        if stock.amount == 0:
            self._stocks.remove(stock)
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


def _differ(documents: frozenset[str], others: frozenset[str]) -> bool:
    return bool(documents and others and not documents & others)
