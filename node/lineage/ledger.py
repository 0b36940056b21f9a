"""The portion ledger of one item: credits and debits per custodian, place and unit, from its own events.

`build_ledger(item, facts)` is pure: it reads the item's timeline and those of the units around it, and gives the same
ledger in whatever order the events arrived. Read `movements.py` for the order of the acts, `matching.py` for shipments
and receipts, `balance.py` for stock and shortfalls; docs/lineage.md for the readings and their tests.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Final

from node.epcis.model import Action, EventType
from node.lineage.balance import Balance
from node.lineage.custody import Holder
from node.lineage.facts import Amount, Facts, Side
from node.lineage.indexing import lot_of_serial
from node.lineage.items import ItemKind, read_item
from node.lineage.matching import Matching
from node.lineage.movements import Act, Step, moves_of
from node.lineage.pace import tick
from node.lineage.portions import ZERO, Finding, LotLedger, Portion, PortionKind
from node.lineage.records import ROLE_PARENT, EventRow
from node.lineage.stock import UNCOUNTED, Pool, may_be
from node.lineage.timeline import Timeline

_ONE: Final = Decimal(1)
VOID_STEP: Final = "void_shipping"
"""What was shipped has not left, or is taken back."""
COUNTING_STEPS: Final = frozenset({"cycle_counting", "stock_taking"})


def build_ledger(item: str, facts: Facts, timeline: Timeline | None = None) -> LotLedger:
    """Return the ledger of an item. timeline: the item's, if it is at hand."""
    tick()
    builder = _Builder(item, facts)
    return builder.build(facts.timelines.of_item(item) if timeline is None else timeline)


class _Builder:
    """Goes through the moves of one item."""

    def __init__(self, item: str, facts: Facts) -> None:
        kind = read_item(item).kind
        self._item = item
        self._facts = facts
        self._single = read_item(item).single
        self._custody = facts.custody
        self._balance = Balance(single=self._single, is_unit=kind in (ItemKind.UNIT, ItemKind.ASSET))
        self._matching = Matching(item, self._balance, facts, single=self._single)
        self._packed: dict[bytes, Portion] = {}
        self._listed: set[bytes] = set()
        self._done_units: set[tuple[str, bytes]] = set()
        self._unit_sends: dict[str, list[Step]] = {}

    def build(self, timeline: Timeline) -> LotLedger:
        """Return the ledger."""
        moves = moves_of(self._item, timeline, self._facts)
        for move in moves:
            tick()
            if move.act is Act.UNIT_SEND:
                self._unit_sends.setdefault(move.unit, []).append(move.step._replace(unit=move.unit))
        for move in moves:
            tick()
            _ACTS[move.act](self, move.step if not move.unit else move.step._replace(unit=move.unit))
        self._balance.close()
        return LotLedger(self._item, self._balance.portions, self._balance.flows, self._balance.findings)

    def _amount_of(self, row: EventRow, side: Side) -> Amount:
        """Return how much of the item the event lists there, in the unit that its kind is counted in."""
        if self._single:
            return _ONE, None
        return self._facts.base_amount(self._item, row, side)

    def _goods(self, step: Step) -> Amount:
        """Return how much the event moves."""
        return (_ONE, None) if step.role & ROLE_PARENT else self._amount_of(step.row, Side.GOODS)

    def _make(self, step: Step) -> None:
        """Credit what an Object event made, unless it only commissions what a run put out."""
        row = step.row
        holder = self._custody.holder_of(row)
        amount, uom = self._goods(step)
        if amount == 0:
            return
        stocks = self._balance.stocks
        for there in stocks.live_at(holder, ""):
            last = there.since.event.type is EventType.TRANSFORMATION
            if last and (self._single or _is_amount(there, amount, uom)):
                return
        if self._single and not self._matching.has_landed_early(holder):
            elsewhere = stocks.any_pool()
            if elsewhere is not None:
                self._balance.findings.append(Finding("made_twice", row, holder, elsewhere.since, elsewhere.holder))
                for pool in list(stocks):
                    pool.lo = pool.hi = ZERO
                    stocks.note(pool)
        self._balance.credit(self._balance.portion(PortionKind.MADE, row, holder, amount, uom), holder)

    def _number(self, step: Step) -> None:
        event = step.row.event
        made = event.outputs if event.type is EventType.TRANSFORMATION else event.goods
        count = sum(1 for goods in made if lot_of_serial(event, goods.item) == self._item)
        key = self._custody.holder_of(step.row).key
        self._balance.pieces[key] = self._balance.pieces.get(key, ZERO) + count

    def _give(self, step: Step) -> None:
        holder = self._custody.holder_of(step.row)
        amount, uom = self._amount_of(step.row, Side.OUTPUTS)
        if amount != 0:
            self._balance.credit(self._balance.portion(PortionKind.OUTPUT, step.row, holder, amount, uom), holder)

    def _take(self, step: Step) -> None:
        self._draw_to(PortionKind.USED, step.row, *self._amount_of(step.row, Side.INPUTS))

    def _end(self, step: Step) -> None:
        self._draw_to(PortionKind.ENDED, step.row, *self._goods(step))

    def _draw_to(self, kind: PortionKind, row: EventRow, amount: Decimal | None, uom: str | None) -> None:
        """Take loose stock of the holder; what is packed at the same place counts if nothing is loose."""
        if amount == 0:
            return
        holder = self._custody.holder_of(row)
        used = self._balance.portion(kind, row, holder, amount, uom)
        self._matching.draw_here(used)

    def _send(self, step: Step) -> None:
        amount, uom = self._goods(step)
        if amount != 0:
            self._matching.send(step.row, self._custody.holder_of(step.row), amount, uom, "")

    def _leave(self, step: Step) -> None:
        self._matching.leave(step.row, "")

    def _come(self, step: Step) -> None:
        amount, uom = self._goods(step)
        if amount != 0:
            self._matching.come(step.row, self._custody.holder_of(step.row), amount, uom)

    def _match(self, step: Step) -> None:
        self._matching.match(step.row)

    def _look(self, step: Step) -> None:
        holder, (amount, uom) = self._custody.holder_of(step.row), self._goods(step)
        if holder.key and amount != 0:
            self._balance.sightings.look(step.row.event.event_digest, holder, amount, uom)

    def _unit_look(self, step: Step) -> None:
        holder = self._custody.holder_of(step.row)
        if holder.key:
            self._balance.sightings.look_in(step.row.event.event_digest, holder, step.unit)

    def _see(self, step: Step) -> None:
        """Presence: confirms what is here; at a shipment's destination it closes it; elsewhere it is a shortfall."""
        row = step.row
        holder = self._custody.holder_of(row)
        amount, uom = self._goods(step)
        if not holder.key or amount == 0:
            return
        if row.event.step == VOID_STEP and self._matching.take_back(row, holder, amount, uom):
            return
        was_there = self._balance.sightings.was_there(row.event.event_digest, "")
        if not self._balance.stocks.has(holder):
            if not was_there and self._single and self._matching.has_landed_early(holder):
                self._balance.begin(row, holder, amount, uom)  # It is about to leave, so it was not brought back.
            elif not was_there:
                self._matching.find(row, holder, amount, uom)
            return
        pools = self._balance.stocks.all_at(holder)
        if amount is None or any(pool.uom != uom or pool.hi is None for pool in pools):
            return
        most = sum((pool.hi or ZERO for pool in pools), ZERO)
        if amount > most and not was_there:
            # More is here than the record brought: the rest came as goods that are seen elsewhere do.
            self._matching.find(row, holder, amount - most, uom)
        elif row.event.step in COUNTING_STEPS:
            self._count(row, holder, amount, uom, pools)

    def _count(self, row: EventRow, holder: Holder, amount: Decimal, uom: str | None, pools: Sequence[Pool]) -> None:
        """A count below the book is flagged and sets nothing (ADR 0016)."""
        lack = sum((self._balance.low(pool) for pool in pools), ZERO) - amount
        if lack > 0:
            finding = Finding("counted_below_book", row, holder, pools[0].since, amount=lack, uom=uom)
            self._balance.findings.append(finding)

    def _pack(self, step: Step) -> None:
        """Credit the unit with what is packed, or loose stock with what is unpacked."""
        row, event = step.row, step.row.event
        unit = event.parent or ""
        holder = self._custody.holder_of(row)
        amount, uom = self._amount_of(row, Side.GOODS)
        packs = event.action is Action.ADD
        if event.event_digest in self._listed or amount == 0:
            return
        balance = self._balance
        if packs:
            self._note_packed(balance.portion(PortionKind.PACKED, row, holder, amount, uom, unit=unit), unit)
            return
        self._arrive(row, holder, unit)
        if not any(not pool.is_empty for pool in balance.stocks.inside(unit)) and balance.stocks.live_at(holder, ""):
            return  # It was not known to be inside: then it may be loose here already, and nothing moves.
        self._note_packed(balance.portion(PortionKind.UNPACKED, row, holder, amount, uom), "")

    def _unit_list(self, step: Step) -> None:
        """Pack what is seen in a unit that by the record has none of it."""
        row, unit = step.row, step.row.event.parent or ""
        holder = self._custody.holder_of(row)
        amount, uom = self._amount_of(row, Side.GOODS)
        balance = self._balance
        is_known = row.event.event_digest in self._listed or balance.stocks.inside(unit) or balance.transit.inside(unit)
        if is_known or amount == 0 or not holder.key:
            return
        if not balance.stocks.live_at(holder, "") and any(balance.transit.addressed_to(holder)):
            self._matching.find(row, holder, amount, uom)
        self._note_packed(balance.portion(PortionKind.PACKED, row, holder, amount, uom, unit=unit), unit)

    def _note_packed(self, portion: Portion, unit: str) -> None:
        source = "" if unit else (portion.row.event.parent or "")
        here = self._balance.stocks.live_at(portion.holder, source)
        self._packed[portion.row.event.event_digest] = portion
        self._balance.credit(portion, portion.holder, unit=unit, since=here[0].since if here else None)

    def _take_out(self, step: Step) -> None:
        """Draw what was packed from loose stock, or what was unpacked from the unit."""
        portion = self._packed.get(step.row.event.event_digest)
        if portion is None:
            return
        source = "" if portion.unit else (step.row.event.parent or "")
        amount, uom = (None if portion.hi is None else portion.lo), portion.uom
        lack = self._balance.draw(portion, self._balance.stocks.at(portion.holder, source), amount, uom)
        if lack != 0:
            self._balance.come_short(portion, lack, uom)

    def _infer(self, step: Step) -> None:
        """Contents first named later were inside from here on, wherever they came from."""
        stay = step.stay
        assert stay is not None
        holder = self._custody.holder_of(step.row)
        amount, uom = (_ONE, None) if self._single else self._facts.in_base(self._item, stay.amount, stay.uom)
        balance = self._balance
        portion = balance.portion(PortionKind.PACKED, step.row, holder, amount, uom, unit=step.unit, reading=True)
        balance.credit(portion, holder, unit=step.unit)
        lack = balance.draw(portion, balance.stocks.at(holder, ""), amount, uom, reading=True)
        if lack != 0:
            source = balance.portion(PortionKind.UNKNOWN, step.row, holder, lack, uom, reading=True)
            balance.flow(source, portion, lack, uom, reading=True)
            balance.findings.append(Finding("no_source", step.row, holder, stay.since, amount=lack, uom=uom))

    # What happens to a unit happens to all that is in it then.

    def _arrive(self, row: EventRow, holder: Holder, unit: str) -> None:
        """Close what was on its way in a unit that is opened or used: it is here, whoever failed to record that."""
        for way in self._balance.transit.inside(unit) if holder.key else ():
            is_void = row.event.step == VOID_STEP and way.holder.key == holder.key
            if way.receiver is not None and not may_be(way.receiver, holder) and not is_void:
                other = way.shipped[0].row
                self._balance.findings.append(Finding("moved_without_record", row, holder, other, way.receiver))
            self._transfer(way, PortionKind.RECEIVED, row, holder, unit)
        self._bring(row, holder, unit)

    def _bring(self, row: EventRow, holder: Holder, unit: str) -> None:
        """A unit is one thing: what is in it elsewhere by the record came here without one."""
        for pool in self._balance.stocks.inside(unit) if holder.key else ():
            if pool.holder.key != holder.key:
                finding = Finding("moved_without_record", row, holder, pool.since, pool.holder)
                self._balance.findings.append(finding)
                self._transfer(pool, PortionKind.MOVED, row, holder, unit)

    def _transfer(
        self, pool: Pool, kind: PortionKind, row: EventRow, holder: Holder, unit: str, *, since: EventRow | None = None
    ) -> Portion:
        """Move all of a pool into the stock of a holder."""
        uom = None if pool.uom == UNCOUNTED else pool.uom
        one = self._balance.portion(kind, row, holder, pool.hi, uom, unit=unit)
        one.lo = self._balance.low(pool)
        self._balance.empty(one, pool)
        self._balance.credit(one, holder, unit=unit, since=since)
        return one

    def _end_all(self, pool: Pool, kind: PortionKind, row: EventRow, holder: Holder) -> None:
        uom = None if pool.uom == UNCOUNTED else pool.uom
        one = self._balance.portion(kind, row, holder, pool.hi, uom, unit=pool.unit)
        one.lo = self._balance.low(pool)
        self._balance.empty(one, pool)

    def _unit_take(self, step: Step) -> None:
        holder = self._custody.holder_of(step.row)
        self._arrive(step.row, holder, step.unit)
        for pool in self._balance.stocks.inside(step.unit):
            self._end_all(pool, PortionKind.USED, step.row, holder)

    def _unit_end(self, step: Step) -> None:
        holder = self._custody.holder_of(step.row)
        self._arrive(step.row, holder, step.unit)
        for pool in self._balance.stocks.inside(step.unit):
            self._end_all(pool, PortionKind.ENDED, step.row, holder)

    def _unit_open(self, step: Step) -> None:
        """Take all out of a unit, where it is emptied."""
        holder = self._custody.holder_of(step.row)
        self._arrive(step.row, holder, step.unit)
        for pool in self._balance.stocks.inside(step.unit):
            at = holder if holder.key else pool.holder
            since = pool.since if pool.holder.key == at.key else None
            self._transfer(pool, PortionKind.UNPACKED, step.row, at, "", since=since)

    def _unit_send(self, step: Step) -> None:
        row, unit = step.row, step.unit
        key = (unit, row.event.event_digest)
        if key in self._done_units:
            return
        self._done_units.add(key)
        holder = self._custody.holder_of(row)
        if self._matching.is_sent(row, holder, unit):
            return
        balance = self._balance
        if balance.transit.inside(unit) and not balance.stocks.inside(unit):
            self._arrive(row, holder, unit)
        self._bring(row, holder, unit)
        for pool in balance.stocks.inside(unit):
            uom = None if pool.uom == UNCOUNTED else pool.uom
            low, high = balance.low(pool), pool.hi
            shipped = self._matching.ship_all(row, holder, high, uom, unit, low=low)
            balance.empty(shipped, pool)

    def _unit_come(self, step: Step) -> None:
        row, unit = step.row, step.unit
        event = row.event
        holder = self._custody.holder_of(row)
        balance = self._balance
        if not balance.transit.inside(unit):
            self._send_early(row, holder, unit)
        ways = balance.transit.inside(unit)
        for way in ways:
            self._transfer(way, PortionKind.RECEIVED, row, holder, unit)
        if not ways:
            self._bring(row, holder, unit)
        if event.type is EventType.AGGREGATION and not step.role & ROLE_PARENT:
            self._receive_to_pack(row, holder, unit)

    def _receive_to_pack(self, row: EventRow, holder: Holder, unit: str) -> None:
        """An Aggregation with an inbound step: it lists what came in the unit, or what came loose and is packed now."""
        digest = row.event.event_digest
        if self._balance.stocks.live_at(holder, unit):
            self._listed.add(digest)  # It lists what is inside already: nothing is packed.
            return
        if self._balance.stocks.live_at(holder, "") and not self._matching.is_awaited(row, holder):
            return  # It has been received loose, by an event of its own.
        amount, uom = self._amount_of(row, Side.GOODS)
        if amount != 0:
            self._matching.come(row, holder, amount, uom)
            self._matching.match(row)

    def _send_early(self, row: EventRow, holder: Holder, unit: str) -> None:
        """Read a shipment of the unit now that two clocks, or wide times, put after its receipt."""
        tolerance_ms = 2 * self._facts.readings.clock_tolerance_ms
        for step in self._unit_sends.get(unit, ()):
            slack_ms = 0 if step.row.member == row.member else tolerance_ms
            if (unit, step.row.event.event_digest) in self._done_units:
                continue
            if step.row.event.time.lo_ms > row.event.time.hi_ms + slack_ms:
                continue
            if self._custody.holder_of(step.row).key != holder.key:
                self._unit_send(step)
                return

    def _unit_see(self, step: Step) -> None:
        row, unit = step.row, step.unit
        holder = self._custody.holder_of(row)
        balance = self._balance
        if not holder.key or balance.stocks.live_at(holder, unit):
            return
        if balance.sightings.was_there(row.event.event_digest, unit):
            return
        self._arrive(row, holder, unit)


def _is_amount(pool: Pool, amount: Decimal | None, uom: str | None) -> bool:
    if pool.uom == UNCOUNTED:
        return amount is None
    return pool.uom == uom and pool.lo == pool.hi == amount


_ACTS: Final[dict[Act, Callable[[_Builder, Step], None]]] = {
    Act.MAKE: _Builder._make,
    Act.GIVE: _Builder._give,
    Act.TAKE: _Builder._take,
    Act.SEND: _Builder._send,
    Act.LEAVE: _Builder._leave,
    Act.COME: _Builder._come,
    Act.MATCH: _Builder._match,
    Act.SEE: _Builder._see,
    Act.END: _Builder._end,
    Act.PACK: _Builder._pack,
    Act.TAKE_OUT: _Builder._take_out,
    Act.UNIT_TAKE: _Builder._unit_take,
    Act.UNIT_OPEN: _Builder._unit_open,
    Act.UNIT_SEND: _Builder._unit_send,
    Act.UNIT_COME: _Builder._unit_come,
    Act.UNIT_SEE: _Builder._unit_see,
    Act.UNIT_END: _Builder._unit_end,
    Act.INFER: _Builder._infer,
    Act.LOOK: _Builder._look,
    Act.UNIT_LOOK: _Builder._unit_look,
    Act.UNIT_LIST: _Builder._unit_list,
    Act.NUMBER: _Builder._number,
}
