"""How much of an item the record accounts for: back to recorded origins, and on to where it is or what became of it.

The score of a lot is the share of its quantity whose sources are recorded, through every run: of an output, the share
of what went into its run, weighed by amount. What is recorded as made counts as traced; what nobody recorded the coming
of counts as not. Where amounts are unknown or do not convert, each source weighs the same. What runs round a loop of
rework counts as the rest of the loop does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Context, Decimal
from typing import Final, NamedTuple

from node.lineage.custody import Holder
from node.lineage.facts import Facts
from node.lineage.indexing import lot_of_serial
from node.lineage.items import ItemKind, read_item
from node.lineage.ledger import build_ledger
from node.lineage.portions import LotLedger, Portion, PortionKind
from node.lineage.records import ROLE_INSTANCES
from node.lineage.runs import RunKey, build_run

ITEMS_MAX: Final = 2_000
"""Items that one score is reckoned over; beyond them, what goes in counts as traced, and the answer says so."""
_ROUNDS_MAX: Final = 64
_DIGITS: Final = Context(prec=28, rounding=ROUND_FLOOR)
_ONE: Final = Decimal(1)
_ZERO: Final = Decimal(0)
_SOURCES: Final = (PortionKind.MADE, PortionKind.OUTPUT, PortionKind.UNKNOWN)


class Gap(NamedTuple):
    """What the record lacks. reason: as of unknowns (docs/lineage.md). ask: who can say. amount: None unknown."""

    item: str
    reason: str
    ask: Holder
    amount: Decimal | None
    uom: str | None


class Completeness(NamedTuple):
    """upstream, downstream: 0 … 100, rounded down. origins: items that begin by the record. items: looked at.

    complete: False if there were more than are looked at.
    """

    upstream: int
    downstream: int
    origins: tuple[str, ...]
    gaps: tuple[Gap, ...]
    items: int
    complete: bool


class _Source(NamedTuple):
    """Of what a thing is: an amount of an item, of a run's inputs, of a recorded origin (1) or of nothing known (0)."""

    amount: Decimal | None
    uom: str | None
    item: str | None = None
    run: RunKey | None = None
    share: Decimal = _ZERO


@dataclass(slots=True)
class _Walk:
    facts: Facts
    items: dict[str, list[_Source]] = field(default_factory=dict)
    runs: dict[RunKey, list[_Source]] = field(default_factory=dict)
    pending: list[str] = field(default_factory=list)
    origins: dict[str, None] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    known: set[str] = field(default_factory=set)

    def add(self, item: str) -> None:
        """Have an item looked at, once."""
        if item not in self.known:
            self.known.add(item)
            self.pending.append(item)

    def look_at(self, item: str) -> LotLedger:
        """Note of what an item is."""
        ledger = build_ledger(item, self.facts)
        sources = self.items[item] = []
        if read_item(item).kind in (ItemKind.UNIT, ItemKind.ASSET):
            for child in sorted(self.facts.containment.contents_of(item).stays):
                self.add(child)
                sources.append(_Source(None, None, item=child))
            return ledger
        sources += [self._source_of(item, portion) for portion in ledger.of_kind(*_SOURCES)]
        self.gaps += [
            Gap(item, "moved_without_record", one.holder, one.hi, one.uom) for one in ledger.of_kind(PortionKind.MOVED)
        ]
        return ledger

    def _source_of(self, item: str, portion: Portion) -> _Source:
        if portion.kind is PortionKind.UNKNOWN:
            self.gaps.append(Gap(item, "no_source", portion.holder, portion.hi, portion.uom))
            return _Source(portion.hi, portion.uom)
        if portion.kind is PortionKind.OUTPUT:
            return _Source(portion.hi, portion.uom, run=self._run_of(item, portion))
        lot = lot_of_serial(portion.row.event, item)
        if lot is not None and any(role & ~ROLE_INSTANCES for _, role in self.facts.timelines.of_item(lot).entries):
            self.add(lot)
            return _Source(portion.hi, portion.uom, item=lot)
        self.origins[item] = None
        return _Source(portion.hi, portion.uom, share=_ONE)

    def _run_of(self, item: str, portion: Portion) -> RunKey:
        run = build_run(portion.row, self.facts)
        if run.key in self.runs:
            return run.key
        sources = self.runs[run.key] = []
        for line in run.inputs:
            taken = run.portions[line.portion]
            self.add(line.item)
            sources.append(_Source(taken.hi, taken.uom, item=line.item))
        sources += [_Source(run.portions[gain].hi, run.portions[gain].uom) for gain in run.gains]
        if not run.inputs:
            self.gaps.append(Gap(item, "run_without_inputs", portion.holder, portion.hi, portion.uom))
        return run.key


def completeness_of(item: str, facts: Facts, *, items_max: int = ITEMS_MAX) -> Completeness:
    """Return the completeness of an item's record. Iterative; looks at no more than `items_max` items."""
    walk = _Walk(facts)
    walk.add(item)
    downstream = 0
    place = 0
    while place < min(len(walk.pending), items_max):
        ledger = walk.look_at(walk.pending[place])
        if place == 0:
            downstream = _downstream(item, ledger, walk)
        place += 1
    share = _solve(walk)[item]
    gaps = tuple(sorted(set(walk.gaps), key=lambda gap: (gap.item, gap.reason, gap.ask.key, str(gap.amount))))
    return Completeness(
        int(_DIGITS.multiply(share, Decimal(100))),
        downstream,
        tuple(sorted(walk.origins)),
        gaps,
        place,
        place == len(walk.pending),
    )


def _downstream(item: str, ledger: LotLedger, walk: _Walk) -> int:
    """Return how much of the item is held, used or over by the record, and not on its way, in hundredths."""
    ends = ledger.of_kind(PortionKind.HELD, PortionKind.USED, PortionKind.ENDED)
    away = ledger.of_kind(PortionKind.IN_TRANSIT)
    walk.gaps += [Gap(item, "not_received", one.receiver or one.holder, one.hi, one.uom) for one in away]
    sources = [_Source(one.hi, one.uom, share=_ONE) for one in ends] + [_Source(one.hi, one.uom) for one in away]
    return int(_DIGITS.multiply(_mean(sources, {}, {}), Decimal(100))) if sources else 100


def _solve(walk: _Walk) -> dict[str, Decimal]:
    """Return the share of each item: from all traced downwards, round by round, until nothing changes."""
    shares = dict.fromkeys(walk.known, _ONE)
    runs = dict.fromkeys(walk.runs, _ONE)
    for _ in range(_ROUNDS_MAX):
        before = list(shares.values())
        # What was met last goes in first, so that most are done in the first round.
        for item in reversed(list(walk.items)):
            for source in walk.items[item]:
                if source.run is not None:
                    runs[source.run] = _mean(walk.runs[source.run], shares, runs)
            shares[item] = _mean(walk.items[item], shares, runs)
        if before == list(shares.values()):
            break
    return shares


def _mean(sources: Sequence[_Source], shares: dict[str, Decimal], runs: dict[RunKey, Decimal]) -> Decimal:
    """Return the share of all sources together, weighed by amount where amounts are known and of one unit."""
    if not sources:
        return _ZERO
    uoms = {source.uom for source in sources}
    weights = [source.amount for source in sources]
    total = _ZERO
    if len(uoms) == 1 and None not in weights:
        total = sum((weight for weight in weights if weight is not None), _ZERO)
    found = _ZERO
    for source in sources:
        share = source.share
        if source.item is not None:
            share = shares[source.item]
        elif source.run is not None:
            share = runs[source.run]
        weight = _ONE if total == 0 or source.amount is None else source.amount
        found = _DIGITS.add(found, _DIGITS.multiply(share, weight))
    return _DIGITS.divide(found, total if total > 0 else Decimal(len(sources)))
