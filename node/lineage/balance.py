"""Credits and draws on pools, and where what lacks came from: the arithmetic under `ledger.py`.

What is drawn, received or seen beyond the stock there (a *shortfall*) came, in this order, if it has enough: from the
only other site of this custodian that holds the lot; from the only other holding of the lot at all; else from a source
that nobody knows, and the other holdings may have less (docs/lineage.md). Either is a finding, and excludes nothing.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from node.lineage.custody import Holder
from node.lineage.descent import Descent
from node.lineage.portions import ZERO, Finding, Flow, Portion, PortionKind
from node.lineage.records import EventRow
from node.lineage.sightings import Sightings
from node.lineage.stock import UNCOUNTED, Pool, Stocks, Transit, Way

WAYS_MAX: Final = 64
"""Shipments on their way that are looked through for the only one that goods may have come from."""


class Balance:
    """The pools of one item. `portions`, `flows` and `findings` grow as the lot's events are gone through.

    single: a piece, which is at one place; is_unit: a logistic unit or asset, whose making nobody records.
    """

    def __init__(self, *, single: bool, is_unit: bool) -> None:
        self.portions: list[Portion] = []
        self.flows: list[Flow] = []
        self.findings: list[Finding] = []
        self.stocks = Stocks()
        self.sightings = Sightings(self.stocks)
        self.transit = Transit()
        self.drawn_short: dict[str, EventRow] = {}
        self._single = single
        self._is_unit = is_unit
        self._lost: dict[str | None, Decimal] = {}
        self._credited: list[EventRow] = []
        self._pools: dict[int, Pool] = {}
        """By the number of their newest state."""
        self._descent = Descent(self.flows)
        self.pieces: dict[str, Decimal] = {}
        """Pieces of the lot with numbers of their own, by where they were made: its stock too, though each is kept by
        itself."""

    def portion(
        self,
        kind: PortionKind,
        row: EventRow,
        holder: Holder,
        amount: Decimal | None,
        uom: str | None,
        *,
        unit: str = "",
        reading: bool = False,
    ) -> Portion:
        """Return a new portion. amount: None is unknown."""
        low = ZERO if amount is None else amount
        one = Portion(len(self.portions), kind, row, holder, unit, low, amount, uom, reading=reading)
        self.portions.append(one)
        return one

    def flow(
        self, source: Portion, target: Portion, hi: Decimal | None, uom: str | None, *, reading: bool = False
    ) -> None:
        """Add a flow."""
        self.flows.append(Flow(source.number, target.number, hi, uom, reading))

    def credit(self, source: Portion, holder: Holder, *, unit: str = "", since: EventRow | None = None) -> None:
        """Put a portion into the stock of a holder."""
        if len(self._credited) < 2 and source.row not in self._credited:
            self._credited.append(source.row)
        uom = UNCOUNTED if source.hi is None and source.lo == 0 else source.uom
        pool = self.stocks.pool_at(holder, unit, uom)
        if self._single and pool is not None and not pool.is_empty:
            # One piece: a second report of its being here adds nothing.
            self.flow(source, pool.state, source.hi, uom)
            return
        if pool is None:
            state = self._state(source, holder, unit, uom)
            pool = Pool(holder, unit, uom, state, since or source.row)
            self.stocks.add(pool)
            self._pools[state.number] = pool
        elif pool.is_empty:
            pool.since = since or source.row
        self._pour(source, pool)
        self.stocks.note(pool)
        if self.sightings.is_watching:
            self.sightings.note_credit(holder, unit)

    def send(self, shipped: Portion, receiver: Holder | None, documents: frozenset[str]) -> Way:
        """Put a shipment on its way; return what it is on."""
        uom = UNCOUNTED if shipped.hi is None and shipped.lo == 0 else shipped.uom
        sender, unit = shipped.holder, shipped.unit
        way = self.transit.find(sender, receiver, documents, unit, uom)
        if way is None:
            state = self._state(shipped, sender, unit, uom, PortionKind.WAY)
            way = Way(sender, receiver, documents, unit, uom, state, shipped.row)
            self.transit.add(way)
            self._pools[state.number] = way
        if way.is_empty:
            way.shipped = []
            way.receipt, way.received, way.undoubted = None, {}, []
        way.shipped.append(shipped)
        self._pour(shipped, way)
        self.transit.note(way)
        return way

    def raise_amount(self, pool: Pool, source: Portion, amount: Decimal) -> None:
        """A later report of the same thing states more: add the difference."""
        more = amount - source.lo
        source.lo = source.hi = amount
        self.flow(source, pool.state, more, source.uom)
        pool.lo += more
        if pool.hi is not None:
            pool.hi += more
        self.note(pool)

    def lower(self, holder: Holder, less: Decimal, uom: str | None) -> None:
        """Let loose stock of a holder be less by so much, at least."""
        pool = self.stocks.pool_at(holder, "", uom)
        if pool is not None:
            pool.lo = max(ZERO, pool.lo - less)

    def note(self, pool: Pool) -> None:
        """Count a pool anew, after its amount changed."""
        if isinstance(pool, Way):
            self.transit.note(pool)
        else:
            self.stocks.note(pool)

    def _state(
        self,
        source: Portion,
        holder: Holder,
        unit: str,
        uom: str | None,
        kind: PortionKind = PortionKind.POOL,
    ) -> Portion:
        state = Portion(len(self.portions), kind, source.row, holder, unit, ZERO, None, uom)
        self.portions.append(state)
        return state

    def _pour(self, source: Portion, pool: Pool) -> None:
        """Credit a pool: what was drawn from its state before cannot have been of this."""
        if pool.is_drawn:
            state = self._state(source, pool.holder, pool.unit, pool.uom, pool.state.kind)
            self.flow(pool.state, state, pool.hi, pool.uom)
            self._pools[state.number] = self._pools.pop(pool.state.number)
            pool.state, pool.is_drawn = state, False
        self.flow(source, pool.state, source.hi, source.uom)
        self._settle(pool)
        pool.lo += source.lo
        pool.hi = None if pool.hi is None or source.hi is None else pool.hi + source.hi

    def _settle(self, pool: Pool) -> None:
        """Take off what lacked elsewhere since, for it may have come from here."""
        lost = self._lost.get(pool.uom, ZERO)
        if lost > pool.lost:
            pool.lo = max(ZERO, pool.lo - (lost - pool.lost))
        pool.lost = lost

    def low(self, pool: Pool) -> Decimal:
        """Return the least that can be in a pool."""
        self._settle(pool)
        return pool.lo

    def draw(
        self, target: Portion, pools: list[Pool], amount: Decimal | None, uom: str | None, *, reading: bool = False
    ) -> Decimal | None:
        """Take from what may have been the source; return what it lacks: 0 for nothing, None for an unknown amount.

        Of several pools, or of one in another unit of measure, each gives between nothing and the amount.
        """
        live = [pool for pool in pools if not pool.is_empty]
        for pool in pools:
            if pool.is_empty:
                # By the record nothing of it is here; only the amounts say so.
                self.flow(pool.state, target, ZERO, pool.uom, reading=reading)
                pool.is_drawn = pool.is_touched = True
        if not live:
            return amount
        if len(live) == 1 and amount is not None and live[0].uom == uom:
            return self._draw_from(target, live[0], amount, reading=reading)
        left = amount
        for pool in live:
            same = pool.uom == uom
            self._settle(pool)
            most = pool.hi
            if amount is not None and (same or pool.uom == UNCOUNTED):
                most = amount if pool.hi is None else min(amount, pool.hi)
            elif amount is not None:
                self.findings.append(
                    Finding("unit_mismatch", target.row, target.holder, pool.since, pool.holder, amount, uom)
                )
            self.flow(pool.state, target, most, uom if pool.uom == UNCOUNTED else pool.uom, reading=reading)
            pool.is_drawn = pool.is_touched = True
            pool.lo = max(ZERO, pool.lo - amount) if same and amount is not None else ZERO
            if not same or pool.hi is None:
                left = ZERO if amount is not None else None
            elif left is not None:
                left = max(ZERO, left - pool.hi)
        return ZERO if left is None else left

    def _draw_from(self, target: Portion, pool: Pool, amount: Decimal, *, reading: bool) -> Decimal:
        self._settle(pool)
        taken = amount if pool.hi is None else min(amount, pool.hi)
        self.flow(pool.state, target, taken, pool.uom, reading=reading)
        pool.is_drawn = pool.is_touched = True
        pool.lo = max(ZERO, pool.lo - taken)
        if pool.hi is not None:
            pool.hi -= taken
            if pool.hi == 0:
                self.note(pool)
        return amount - taken

    def empty(self, target: Portion, pool: Pool) -> None:
        """Take all of a pool."""
        self._settle(pool)
        self.flow(pool.state, target, pool.hi, target.uom if pool.uom == UNCOUNTED else pool.uom)
        pool.is_drawn = pool.is_touched = True
        pool.lo = pool.hi = ZERO
        self.note(pool)

    def come_short(
        self,
        target: Portion,
        lack: Decimal | None,
        uom: str | None,
        *,
        without: Way | None = None,
        landed: bool = False,
        is_said: bool = False,
    ) -> None:
        """Say where what lacks came from. is_said: a finding tells of it.

        without: what this event itself sent; landed: whether some of that has been received already. Goods do not come
        from themselves, and what was received may be anywhere by now.
        """
        row, holder = target.row, target.holder
        if self.sightings.is_watching:
            self.sightings.note_short(holder, lack, uom)
        below, alone = self._descent.below(target.number)
        is_here = self._take_pieces(lack, uom, holder.key)
        for pool in () if landed or is_here else self._only_others(target, without, below):
            if pool.uom == uom and lack is not None and pool.hi is not None and pool.hi < lack:
                continue
            self._move(target, pool, lack, uom)
            return
        source = self.portion(PortionKind.UNKNOWN, row, holder, lack, uom, reading=True)
        self.flow(source, target, lack, uom, reading=True)
        if lack is not None:
            self._lose(holder, lack, uom, alone)
        if is_here or any(self._take_pieces(lack, uom, key) for key in list(self.pieces)):
            return
        if any(before is not row for before in self._credited):
            self.findings.append(Finding("overdrawn", row, holder, amount=lack, uom=uom))
        elif not is_said and not self._is_unit:
            # A unit begins where it is first packed, and an asset is brought: nobody records their making.
            self.findings.append(Finding("no_source", row, holder, amount=lack, uom=uom))

    def begin(self, row: EventRow, holder: Holder, amount: Decimal | None, uom: str | None) -> None:
        """Goods are first seen at a holder: they come from nowhere, and not from where they went from there."""
        found = self.portion(PortionKind.FOUND, row, holder, amount, uom)
        source = self.portion(PortionKind.UNKNOWN, row, holder, amount, uom, reading=True)
        self.flow(source, found, amount, uom, reading=True)
        if not self._is_unit:
            self.findings.append(Finding("no_source", row, holder, amount=amount, uom=uom))
        self.credit(found, holder)

    def _take_pieces(self, lack: Decimal | None, uom: str | None, key: str) -> bool:
        """Return whether what lacks may be pieces that were made at a holder: any of them that are left."""
        left = self.pieces.get(key)
        if left is None or uom is not None or lack is None or lack > left:
            return False
        self.pieces[key] = left - lack
        return True

    def add_doubt(self, target: Portion) -> None:
        """Goods may have come from a source that nobody recorded, and not from where the amounts allow."""
        source = self.portion(PortionKind.UNKNOWN, target.row, target.holder, target.hi, target.uom, reading=True)
        self.flow(source, target, target.hi, target.uom, reading=True)
        if target.hi is not None:
            self._lose(target.holder, target.hi, target.uom, set())

    def _lose(self, holder: Holder, lack: Decimal, uom: str | None, alone: set[int]) -> None:
        """What lacks at a holder may be what others have less: nobody recorded who sent it.

        alone: what the goods that lack a source became. Who has nothing but these has nothing less.
        """
        own = self.stocks.all_at(holder)
        here = {id(pool) for pool in own}
        became = [self._pools[number] for number in sorted(alone) if number in self._pools]
        own += [pool for pool in became if id(pool) not in here]
        for pool in own:
            self._settle(pool)
        self._lost[uom] = self._lost.get(uom, ZERO) + lack
        for pool in own:
            if pool.uom == uom:
                pool.lost += lack

    def _only_others(self, target: Portion, without: Way | None, below: set[int]) -> list[Pool]:
        """Return the only other holding of this custodian, then the only other one at all.

        Goods do not come from what they became (`below`), nor from what was shipped or brought only later.
        """

        def may_have_had(pool: Pool) -> bool:
            return pool.state.number not in below and not _is_later(pool, target.row)

        holder = target.holder
        found: list[Pool] = []
        own = self.stocks.own_elsewhere(holder, may_have_had)
        if len(own) == 1:
            found += own
        elsewhere = self.stocks.elsewhere(holder, may_have_had)
        if len(self.transit) > WAYS_MAX:
            return found
        # What a holder has sent is not what it sends later.
        ways: list[Pool] = [
            way for way in self.transit if way is not without and way.holder.key != holder.key and may_have_had(way)
        ]
        if len(elsewhere) + len(ways) == 1:
            found += [one for one in (*elsewhere, *ways) if one not in found]
        return found

    def _move(self, target: Portion, pool: Pool, lack: Decimal | None, uom: str | None) -> None:
        moved = self.portion(PortionKind.MOVED, target.row, target.holder, lack, uom, reading=True)
        other = pool.shipped[0].row if isinstance(pool, Way) and pool.shipped else pool.since
        self.findings.append(Finding("moved_without_record", target.row, target.holder, other, pool.holder, lack, uom))
        self.draw(moved, [pool], lack, uom, reading=True)
        self.flow(moved, target, lack, uom, reading=True)

    def close(self) -> None:
        """Add what is held, and what is on its way, at last."""
        self._feed_uncounted()
        for pool in self.stocks:
            self._end(pool, PortionKind.HELD, pool.since, pool.state)
        for way in self.transit:
            if not way.is_touched:
                for shipped in way.shipped:
                    last = self._end(way, PortionKind.IN_TRANSIT, shipped.row, shipped)
                    last.lo, last.hi, last.receiver = shipped.lo, shipped.hi, way.receiver
                continue
            last = self._end(way, PortionKind.IN_TRANSIT, way.shipped[0].row, way.state)
            last.receiver = way.receiver
            if way.receipt is not None:
                last.reports = (way.receipt,)

    def _feed_uncounted(self) -> None:
        """Give receipts without an amount a source for what was taken beyond all that was shipped to them.

        Their stock has no bound of its own, so no draw on it comes short: only all draws together tell.
        """
        received = [one for one in self.portions if one.kind is PortionKind.RECEIVED and one.hi is None]
        if not received:
            return
        came: dict[int, list[Flow]] = {}
        for flow in self.flows:
            came.setdefault(flow.target, []).append(flow)
        places: dict[tuple[str, str], list[Portion]] = {}
        for one in received:
            places.setdefault((one.holder.key, one.unit), []).append(one)
        for (key, unit), ones in places.items():
            states = {
                portion.number
                for portion in self.portions
                if portion.kind is PortionKind.POOL and (portion.holder.key, portion.unit) == (key, unit)
            }
            fed = [source for state in states for source in came.get(state, ()) if source.source not in states]
            sources = [self.portions[number] for number in sorted({flow.source for flow in fed})]
            # What was credited there, by its own amount or by all that was shipped to it.
            bounds = [one.hi if one.hi is not None else _total(came.get(one.number, ())) for one in sources]
            taken = sum(
                (
                    self.portions[target].lo
                    for target, flows in came.items()
                    if target not in states and all(flow.source in states for flow in flows)
                ),
                ZERO,
            )
            uoms = {portion.uom for portion in (*sources, *ones)}
            if None in bounds or len(uoms) > 1 or taken <= sum((one for one in bounds if one is not None), ZERO):
                continue
            first = ones[0]
            source = self.portion(PortionKind.UNKNOWN, first.row, first.holder, None, first.uom, reading=True)
            self.flow(source, first, None, first.uom, reading=True)
            self.findings.append(Finding("amounts_differ", first.row, first.holder, uom=first.uom))

    def _end(self, pool: Pool, kind: PortionKind, row: EventRow, source: Portion) -> Portion:
        self._settle(pool)
        uom = None if pool.uom == UNCOUNTED else pool.uom
        last = Portion(len(self.portions), kind, row, pool.holder, pool.unit, pool.lo, pool.hi, uom)
        self.portions.append(last)
        self.flow(source, last, pool.hi if source is pool.state else source.hi, uom)
        return last


def _is_later(pool: Pool, row: EventRow) -> bool:
    """Return whether all of a holding was shipped or brought, as it is told, only after an event."""
    end_ms = row.event.time.hi_ms
    if isinstance(pool, Way):
        return all(one.row.event.time.lo_ms > end_ms for one in pool.shipped)
    return pool.since.event.time.lo_ms > end_ms


def _total(flows: Iterable[Flow]) -> Decimal | None:
    """Return how much flows bring at most; None without bound, also if there are none."""
    amounts = [flow.hi for flow in flows]
    known = [amount for amount in amounts if amount is not None]
    return sum(known, ZERO) if amounts and len(known) == len(amounts) else None
