"""Shipments and receipts: which receipt took from which shipment, and which reports tell of one hand-over.

Same unit or piece, a shared despatch advice or bill of lading: a fact. Else what one holder sent to another is one
pool, and a receipt takes any of it; where several pools fit, between nothing and its amount of each.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain, islice
from typing import Final

from node.lineage.balance import Balance
from node.lineage.custody import Custody, Holder
from node.lineage.facts import Facts, Side
from node.lineage.portions import ZERO, Finding, Portion, PortionKind
from node.lineage.readings import Readings
from node.lineage.records import EventRow
from node.lineage.stock import REPORTS_MAX, Pool, Way, despatch_documents, is_same
from node.lineage.units import last_place

RECEIPTS_MAX: Final = 256
"""Receipts of several shipments up to which each is counted once."""


@dataclass(slots=True)
class _Sending:
    """A report of a shipment that its sender's stock is yet to be drawn for."""

    shipped: Portion
    way: Way


class Matching:
    """Matches for one item, on its `Balance`."""

    def __init__(self, item: str, balance: Balance, facts: Facts, *, single: bool) -> None:
        self._item = item
        self._facts = facts
        self._balance = balance
        self._custody: Custody = facts.custody
        self._readings: Readings = facts.readings
        self._single = single
        self._sendings: dict[tuple[bytes, str], _Sending] = {}
        self._steps: dict[int, set[str | None]] = {}
        self._receipts: dict[str, Portion] = {}
        self._received: dict[int, Decimal] = {}
        """The largest amount that reports of one receipt state, where later ones state more."""
        self._to_match: dict[bytes, Portion] = {}
        self._drawn: dict[int, Decimal] = {}
        self._doubted: set[int] = set()
        self._leaving: dict[str, dict[int, Way]] = {}
        """Shipments that are yet to be drawn from their sender, by it."""

    def send(self, row: EventRow, holder: Holder, amount: Decimal | None, uom: str | None, unit: str) -> None:
        """Open a shipment to receipts, or add to the one that another step of the same hand-over opened."""
        earlier = self._same_handover(row, holder, unit)
        key = (row.event.event_digest, unit)
        if earlier is not None:
            shipped, way = earlier
            if amount is not None and shipped.hi is not None and shipped.uom == uom and amount > shipped.hi:
                # Loading, then departing: one shipment, of the largest amount that was stated.
                self._balance.raise_amount(way, shipped, amount)
            self._sendings[key] = _Sending(shipped, way)
            return
        way = self._open(row, holder, amount, uom, unit)
        shipped = way.shipped[-1]
        self._sendings[key] = _Sending(shipped, way)
        self._leaving.setdefault(holder.key, {})[shipped.number] = way

    def has_landed_early(self, holder: Holder) -> bool:
        """Return whether what is yet to leave a holder has been received: wide times, or two clocks, put that first."""
        return any(way.is_empty or self._is_landing(way) for way in self._leaving.get(holder.key, {}).values())

    def _open(self, row: EventRow, holder: Holder, amount: Decimal | None, uom: str | None, unit: str) -> Way:
        receiver = self._custody.receiver_of(row.event)
        shipped = self._balance.portion(PortionKind.SHIPPED, row, holder, amount, uom, unit=unit)
        shipped.receiver = receiver
        way = self._balance.send(shipped, receiver, despatch_documents(row.event))
        self._balance.transit.remember(shipped, way, row.event.step)
        self._steps[shipped.number] = {row.event.step}
        return way

    def ship_all(
        self, row: EventRow, holder: Holder, amount: Decimal | None, uom: str | None, unit: str, *, low: Decimal
    ) -> Portion:
        """Send what is in a unit; the caller empties the unit's stock into what is returned."""
        way = self._open(row, holder, amount, uom, unit)
        shipped = way.shipped[-1]
        if low < shipped.lo:
            way.lo -= shipped.lo - low
            shipped.lo = low
        return shipped

    def is_sent(self, row: EventRow, holder: Holder, unit: str) -> bool:
        """Return whether another step of the same hand-over sent the unit; names its receiver if that is new."""
        return self._same_handover(row, holder, unit) is not None

    def _same_handover(self, row: EventRow, holder: Holder, unit: str) -> tuple[Portion, Way] | None:
        receiver = self._custody.receiver_of(row.event)
        documents = despatch_documents(row.event)
        step = row.event.step
        for shipped, way in self._balance.transit.sent_otherwise(holder, unit, step):
            if step in self._steps[shipped.number] or way.is_empty:
                continue
            if self._is_long_ago(shipped.row, row) or _differ(way.documents, documents):
                continue
            if way.receiver is not None and receiver is not None and way.receiver.key != receiver.key:
                continue
            self._steps[shipped.number].add(step)
            shipped.reports += (row,)
            if way.receiver is None and receiver is not None and len(way.shipped) == 1:
                self._balance.transit.name_receiver(way, receiver)
                shipped.receiver = receiver
            return shipped, way
        return None

    def _is_long_ago(self, before: EventRow, row: EventRow) -> bool:
        """Return whether two reports are too far apart to be of one hand-over."""
        return row.event.time.lo_ms - before.event.time.lo_ms > self._readings.handover_window_ms

    def leave(self, row: EventRow, unit: str) -> None:
        """Draw a shipment from its sender's stock: of several reports of it, what each states more."""
        sending = self._sendings.get((row.event.event_digest, unit))
        if sending is None:
            return
        shipped = sending.shipped
        self._leaving.get(shipped.holder.key, {}).pop(shipped.number, None)
        drawn = self._drawn.get(shipped.number)
        if drawn is not None:
            if shipped.hi is not None and shipped.hi > drawn:
                self._drawn[shipped.number] = shipped.hi
                self.draw_here(shipped, shipped.hi - drawn, without=sending.way)
            return
        self._drawn[shipped.number] = ZERO if shipped.hi is None else shipped.hi
        self.draw_here(shipped, without=sending.way)

    def draw_here(self, target: Portion, amount: Decimal | None = None, *, without: Way | None = None) -> None:
        """Draw a portion from its holder's loose stock, from its packed stock where nothing is loose, or fall short."""
        balance = self._balance
        holder, uom = target.holder, target.uom
        wanted = target.hi if amount is None else amount
        pools: list[Pool] = balance.stocks.at(holder, "")
        if not any(not pool.is_empty for pool in pools):
            pools = pools + balance.stocks.packed_at(holder)
        lack = balance.draw(target, pools, wanted, uom)
        if lack != 0:
            balance.drawn_short.setdefault(holder.key, target.row)
            landed = without is not None and self._has_landed(without)
            balance.come_short(target, lack, uom, without=without, landed=landed)

    def _has_landed(self, way: Way) -> bool:
        """Return whether a shipment has been received, perhaps by a receipt that is yet to be matched to it."""
        return way.is_touched or self._is_landing(way)

    def _is_landing(self, way: Way) -> bool:
        return any(way is fit for one in self._to_match.values() for fit in self._fits(one.row, one.holder)[0])

    def take_back(self, row: EventRow, holder: Holder, amount: Decimal | None, uom: str | None) -> bool:
        """Return to its sender what is on its way by a shipment that is void; False where nothing is."""
        documents = despatch_documents(row.event)
        to = self._custody.receiver_of(row.event)
        ways: list[Pool] = [
            way
            for way in self._balance.transit
            if way.holder.key == holder.key
            and not way.unit
            and not _differ(way.documents, documents)
            and not (to is not None and way.receiver is not None and way.receiver.key != to.key)
        ]
        if not ways:
            return False
        back = self._balance.portion(PortionKind.RECEIVED, row, holder, amount, uom)
        lack = self._balance.draw(back, ways, amount, uom)
        if lack != 0:
            self._balance.come_short(back, lack, uom)
        self._balance.credit(back, holder)
        return True

    def is_awaited(self, row: EventRow, holder: Holder) -> bool:
        """Return whether a shipment fits a receipt, and no other receipt there is about to be matched to it."""
        if any(one.holder.key == holder.key for one in self._to_match.values()):
            return False
        return any(not pool.is_empty for pool in self._fits(row, holder)[0])

    def come(self, row: EventRow, holder: Holder, amount: Decimal | None, uom: str | None) -> None:
        """Credit a receipt to its receiver, or add to the one that another step of the same hand-over credited."""
        balance = self._balance
        earlier = self._receipts.get(holder.key)
        if earlier is not None and self._is_same_receipt(earlier, row):
            self._steps[earlier.number].add(row.event.step)
            earlier.reports += (row,)
            more = self._more_than(earlier, amount, uom)
            if more is None:
                return
            # Arriving, then receiving: one hand-over, of the largest amount that was stated.
            rest = balance.portion(PortionKind.RECEIVED, row, holder, more, uom)
            self._to_match[row.event.event_digest] = rest
            balance.credit(rest, holder)
            return
        received = balance.portion(PortionKind.RECEIVED, row, holder, amount, uom)
        self._receipts[holder.key] = received
        self._steps[received.number] = {row.event.step}
        self._to_match[row.event.event_digest] = received
        short = balance.drawn_short.get(holder.key)
        if short is not None and row.event.time.lo_ms > short.event.time.hi_ms:
            # The use stands before the receipt: it carries nothing there.
            balance.findings.append(Finding("used_before_receipt", row, holder, short))
        balance.credit(received, holder)

    def _more_than(self, earlier: Portion, amount: Decimal | None, uom: str | None) -> Decimal | None:
        """Return by how much a report of a receipt states more than all before it, or None."""
        known = self._received.get(earlier.number, earlier.hi)
        if amount is None or known is None or uom != earlier.uom or amount <= known:
            return None
        self._received[earlier.number] = amount
        return amount - known

    def _is_same_receipt(self, earlier: Portion, row: EventRow) -> bool:
        return (
            row.event.step not in self._steps[earlier.number]
            and not self._is_long_ago(earlier.row, row)
            and not _differ(despatch_documents(earlier.row.event), despatch_documents(row.event))
        )

    def match(self, row: EventRow) -> None:
        """Draw a receipt from what was on its way; what lacks came without a recorded shipment."""
        received = self._to_match.pop(row.event.event_digest, None)
        if received is None:
            return
        balance = self._balance
        ways, reading = self._fits(row, received.holder)
        amount = received.hi
        self._note_received(received, [way for way in ways if isinstance(way, Way) and not way.is_empty])
        if reading:
            received.reading = True
        lack = balance.draw(received, ways, amount, received.uom, reading=reading)
        if len(ways) == 1 and isinstance(ways[0], Way) and (amount is None or ways[0].hi is None):
            ways[0].receipt = row
        if len(ways) == 1 and isinstance(ways[0], Way) and self._is_rounded(received, ways[0], lack):
            return
        if lack == 0:
            return
        sender = self._custody.sender_of(row.event)
        code = "amounts_differ" if ways and lack != amount else "receipt_without_shipment"
        balance.findings.append(Finding(code, row, received.holder, also=sender, amount=lack, uom=received.uom))
        balance.come_short(received, lack, received.uom, is_said=True)

    def _is_rounded(self, received: Portion, way: Way, lack: Decimal | None) -> bool:
        """Let what lacks or is left be nothing, if the receipt is in another unit and states no place so fine."""
        amount, uom = self._facts.amounts.of(received.row, Side.GOODS, self._item)
        if amount is None or lack is None or not way.shipped or received.uom is None or way.hi is None:
            return False
        if self._facts.amounts.of(way.shipped[-1].row, Side.GOODS, self._item)[1] == uom:
            return False
        place, of_uom = self._facts.in_base(self._item, last_place(amount), uom)
        rest = lack or way.hi
        if place is None or of_uom != received.uom or not 0 < rest < place * max(1, len(way.received)):
            return False
        if lack:
            # As much as was shipped, at least.
            received.lo -= lack
            self._balance.lower(received.holder, lack, received.uom)
        else:
            way.lo = way.hi = ZERO
            self._balance.note(way)
        return True

    def _note_received(self, received: Portion, ways: list[Way]) -> None:
        """Doubt what was received more often than it was sent, where amounts do not tell which receipt is of what.

        One of them may be of a shipment that nobody recorded, and no one knows which.
        """
        documents = despatch_documents(received.row.event)
        is_told = any(way.documents & documents for way in ways)
        if any(way.is_vague for way in ways) and _count_received(ways) >= sum(len(way.shipped) for way in ways):
            for one in [*chain.from_iterable(way.undoubted for way in ways), *(() if is_told else (received,))]:
                if one.number not in self._doubted:
                    self._doubted.add(one.number)
                    one.reading = True
                    self._balance.add_doubt(one)
            for way in ways:
                way.undoubted = []
        for way in ways:
            way.received[received.number] = None
            if not is_told and received.number not in self._doubted:
                way.undoubted.append(received)

    def find(self, row: EventRow, holder: Holder, amount: Decimal | None, uom: str | None) -> None:
        """Goods are seen where nothing had brought them: they came by a shipment to here, else unrecorded."""
        balance = self._balance
        addressed: list[Pool] = list(balance.transit.addressed_to(holder))
        if addressed:
            found = balance.portion(PortionKind.RECEIVED, row, holder, amount, uom)
            self._receipts[holder.key] = found
            self._steps[found.number] = {row.event.step}
        else:
            found = balance.portion(PortionKind.FOUND, row, holder, amount, uom)
        lack = balance.draw(found, addressed, amount, uom) if addressed else amount
        if lack != 0:
            balance.come_short(found, lack, uom)
        balance.credit(found, holder)

    def _fits(self, row: EventRow, holder: Holder) -> tuple[list[Pool], bool]:
        """Return the open shipments that a receipt fits, and whether that is only our reading."""
        transit = self._balance.transit
        documents = despatch_documents(row.event)
        if self._single:
            # The same piece: whoever the shipment was meant for, this is it.
            return [way for way in transit if way.holder.key != holder.key], False
        named: dict[int, Pool] = {}
        for document in sorted(documents):
            for way in transit.with_document(document):
                if way.holder.key != holder.key:
                    named[way.number] = way
        if named:
            return list(named.values()), False
        sender = self._custody.sender_of(row.event)
        found: dict[int, Pool] = {}
        for way in self._candidates(holder, sender):
            if way.holder.key == holder.key or _differ(way.documents, documents):
                continue
            if sender is not None and _is_other(sender, way.holder):
                continue
            found[way.number] = way
            if len(found) >= REPORTS_MAX:
                break
        # A document that no shipment bears: matched to another, it is only a reading.
        return list(found.values()), bool(documents) and bool(found)

    def _candidates(self, holder: Holder, sender: Holder | None) -> Iterable[Way]:
        transit = self._balance.transit
        yield from transit.addressed_to(holder)
        for way in transit.unaddressed():
            if sender is None or is_same(sender, way.holder):
                yield way
        if holder.party is None:
            yield from islice(transit.unplaced(), REPORTS_MAX)


def _count_received(ways: Sequence[Way]) -> int:
    """Return how many receipts may have been of these; of very many, perhaps those twice that fit two of them."""
    several = sum(len(way.received) for way in ways)
    if len(ways) == 1 or several > RECEIPTS_MAX:
        return several
    return len({number for way in ways for number in way.received})


def _differ(documents: frozenset[str], others: frozenset[str]) -> bool:
    return bool(documents and others and not documents & others)


def _is_other(sender: Holder, holder: Holder) -> bool:
    """Return whether a stated sender certainly is not this holder."""
    if sender.site is not None and holder.site is not None:
        return sender.site != holder.site
    return sender.party is not None and holder.party is not None and sender.party != holder.party
