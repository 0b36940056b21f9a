"""A party's balance of one product over a period: what it had and got against what it gave and has.

Of each lot, from its portion ledger as of the moment before the period and as of its end:

    difference = closing + shipped + used + ended - counted short - (opening + made + received)

What the record explains sums up to zero. Above it, goods came that nobody recorded the coming of; below it, goods
went, or were counted away, that nobody recorded the going of. An event that may lie on either side of an end of the
period may be in it or not: its amount is a span from nothing, in its column and in what was there at that end.

A product's name, its lots and its pieces are accounted for apart. What one of them gave without having it may be what
another still has by the record: then it is neither a gain nor a loss.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from node.lineage.custody import Holder
from node.lineage.facts import Facts
from node.lineage.indexing import CERTIFICATION, papers_in
from node.lineage.items import ItemKind, read_item
from node.lineage.ledger import build_ledger
from node.lineage.pace import tick
from node.lineage.portions import ZERO, LotLedger, Portion, PortionKind
from node.lineage.records import EventRow


class Span(NamedTuple):
    """An amount between two bounds; None is unbounded."""

    lo: Decimal | None
    hi: Decimal | None

    def plus(self, other: "Span") -> "Span":
        """Return the sum."""
        return Span(_add(self.lo, other.lo), _add(self.hi, other.hi))

    def minus(self, other: "Span") -> "Span":
        """Return the difference, whatever each of the two is within its bounds."""
        return Span(_add(self.lo, _negated(other.hi)), _add(self.hi, _negated(other.lo)))


NONE: Final = Span(ZERO, ZERO)


class Verdict(StrEnum):
    """What a balance comes to, by the tolerances."""

    BALANCED = "balanced"
    GAIN = "gain"
    """More than the record explains."""
    LOSS = "loss"
    """Less than the record explains."""
    UNSURE = "unsure"
    """The amounts that are known do not tell."""


@dataclass(frozen=True, slots=True)
class Account:
    """The balance of one lot, or the sum of many (item ""), in one unit of measure.

    counted_short: by how much the last stock count at each place was below the book. certified_in: what was received
    with a certificate or made, until the end of the period, certified_out: what was shipped with one. is_told: False
    where units of measure do not convert, so that nothing is a gain or a loss.
    """

    item: str
    uom: str | None
    opening: Span = NONE
    made: Span = NONE
    received: Span = NONE
    shipped: Span = NONE
    used: Span = NONE
    ended: Span = NONE
    closing: Span = NONE
    counted_short: Span = NONE
    certified_in: Span = NONE
    certified_out: Span = NONE
    is_told: bool = True

    @property
    def brought(self) -> Span:
        """What there was to account for."""
        return self.opening.plus(self.made).plus(self.received)

    @property
    def difference(self) -> Span:
        """What the record does not explain: above zero a gain, below a loss."""
        went = self.closing.plus(self.shipped).plus(self.used).plus(self.ended).minus(self.counted_short)
        return went.minus(self.brought)

    @property
    def certified_excess(self) -> Decimal:
        """By how much more was certainly shipped as certified than was received so or made."""
        lo = self.certified_out.minus(self.certified_in).lo
        return ZERO if lo is None else max(ZERO, lo)

    def plus(self, other: "Account") -> "Account":
        """Return the sum of two accounts of one unit of measure."""
        sums = {name: getattr(self, name).plus(getattr(other, name)) for name in AMOUNTS}
        return replace(self, item="", is_told=self.is_told and other.is_told, **sums)

    def judge(self, *, gain_permille: int, loss_permille: int) -> Verdict:
        """Return what the difference comes to, beside what there was to account for."""
        (lo, hi), brought = self.difference, self.brought
        if not self.is_told:
            return Verdict.UNSURE
        if brought.hi is not None and lo is not None and lo * 1000 > brought.hi * gain_permille:
            return Verdict.GAIN
        if brought.hi is not None and hi is not None and -hi * 1000 > brought.hi * loss_permille:
            return Verdict.LOSS
        least = brought.lo
        if lo is None or hi is None or least is None:
            return Verdict.UNSURE
        is_within = hi * 1000 <= least * gain_permille and -lo * 1000 <= least * loss_permille
        return Verdict.BALANCED if is_within else Verdict.UNSURE


AMOUNTS: Final = (
    "opening", "made", "received", "shipped", "used", "ended", "closing", "counted_short", "certified_in",
    "certified_out",
)  # fmt: skip
_COLUMNS: Final = {
    PortionKind.MADE: "made",
    PortionKind.OUTPUT: "made",
    PortionKind.RECEIVED: "received",
    PortionKind.SHIPPED: "shipped",
    PortionKind.USED: "used",
    PortionKind.ENDED: "ended",
}


@dataclass(slots=True)
class _Sums:
    """Amounts of one lot by unit of measure and column. An unknown amount may be in any of its units."""

    found: dict[str | None, dict[str, Span]] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)

    def add(self, uom: str | None, column: str, span: Span) -> None:
        if span.hi is None:
            self.unknown.add(column)
        if span.hi is not None or span.lo:
            of_uom = self.found.setdefault(uom, {})
            of_uom[column] = of_uom.get(column, NONE).plus(span)

    def accounts(self, item: str) -> Iterator[Account]:
        """Yield the accounts that are not empty."""
        told = {uom: one for uom, one in self.found.items() if any(span != NONE for span in one.values())}
        if self.unknown and not told:
            told = {None: {}}
        for uom, columns in told.items():
            for column in sorted(self.unknown):
                columns[column] = columns.get(column, NONE).plus(Span(ZERO, None))
            for column in ("opening", "closing"):
                lo, hi = columns.get(column, NONE)
                columns[column] = Span(None if lo is None else max(ZERO, lo), hi)
            yield Account(item, uom, is_told=len(told) == 1, **columns)


def balance_of(
    items: Iterable[str], before: Facts, until: Facts, is_own: Callable[[Holder], bool], *, from_ms: int, to_ms: int
) -> Iterator[Account]:
    """Yield the accounts of these lots and pieces at the holders that `is_own` tells, those that are not empty.

    items: of one product. before: readers as of the moment before from_ms. until: as of to_ms, the end of the period.
    """
    yield from _doubt_names(list(_accounts_of(items, before, until, is_own, from_ms=from_ms, to_ms=to_ms)))


def _accounts_of(
    items: Iterable[str], before: Facts, until: Facts, is_own: Callable[[Holder], bool], *, from_ms: int, to_ms: int
) -> Iterator[Account]:
    period, doubt_ms = (from_ms, to_ms), 2 * until.readings.clock_tolerance_ms
    for item in items:
        tick()
        sums = _Sums()
        timeline = before.timelines.of_item(item)
        if timeline.entries:
            ledger = build_ledger(item, before, timeline)
            _add_held(sums, "opening", ledger, is_own)
            _add_doubts(sums, "opening", ledger, is_own, period, doubt_ms)
        timeline = until.timelines.of_item(item)
        if timeline.entries:
            ledger = build_ledger(item, until, timeline)
            _add_held(sums, "closing", ledger, is_own)
            _add_flows(sums, ledger, is_own, period, _slack_ms(ledger, is_own, until))
            _add_doubts(sums, "closing", ledger, is_own, period, doubt_ms)
            _add_counts(sums, ledger, is_own, from_ms)
        yield from sums.accounts(item)


def _doubt_names(accounts: Sequence[Account]) -> Iterator[Account]:
    """Yield the accounts; of those with a gain that goods of another kind of name cover, nothing is told."""
    gained: dict[tuple[str | None, ItemKind], Decimal] = {}
    held: dict[str | None, Decimal] = {}
    held_as: dict[tuple[str | None, ItemKind], Decimal] = {}
    for one in accounts:
        key, closing = (one.uom, read_item(one.item).kind), one.closing.lo or ZERO
        gained[key] = gained.get(key, ZERO) + max(ZERO, one.difference.lo or ZERO)
        held[one.uom] = held.get(one.uom, ZERO) + closing
        held_as[key] = held_as.get(key, ZERO) + closing
    for one in accounts:
        key = one.uom, read_item(one.item).kind
        is_covered = ZERO < gained[key] <= held[one.uom] - held_as[key]
        yield replace(one, is_told=False) if is_covered and (one.difference.lo or ZERO) > 0 else one


def totals_of(accounts: Iterable[Account]) -> list[Account]:
    """Return the sums by unit of measure, in the order of the units."""
    sums: dict[str | None, Account] = {}
    for one in accounts:
        known = sums.get(one.uom)
        sums[one.uom] = (known or Account("", one.uom)).plus(one)
    return [total for _uom, total in sorted(sums.items(), key=lambda pair: pair[0] or "")]


def _add_held(sums: _Sums, column: str, ledger: LotLedger, is_own: Callable[[Holder], bool]) -> None:
    for one in ledger.of_kind(PortionKind.HELD):
        if is_own(one.holder):
            sums.add(one.uom, column, _span(one))


def _slack_ms(ledger: LotLedger, is_own: Callable[[Holder], bool], facts: Facts) -> int:
    """Return by how much the times of what came and went may be out of order: of one member's clock by nothing."""
    members = {one.row.member for one in ledger.of_kind(*_COLUMNS) if is_own(one.holder)}
    return 0 if len(members) <= 1 else 2 * facts.readings.clock_tolerance_ms


def _add_flows(
    sums: _Sums, ledger: LotLedger, is_own: Callable[[Holder], bool], period: tuple[int, int], slack_ms: int
) -> None:
    """Add what came and went within the period, and what was certified until its end."""
    for one in ledger.of_kind(*_COLUMNS):
        if not is_own(one.holder):
            continue
        column, span = _COLUMNS[one.kind], _span(one)
        ends = _unsure_ends(one.row, period, slack_ms)
        if ends:
            sums.add(one.uom, column, Span(ZERO, span.hi))
        elif one.row.event.time.lo_ms >= period[0]:
            sums.add(one.uom, column, span)
        for end in ends:
            # The ledger of that end has it, or has it not: either may be so.
            sums.add(one.uom, end, Span(_negated(span.hi), span.hi))
        if column == "made" or (column == "received" and _is_certified(one.row)):
            sums.add(one.uom, "certified_in", span)
        elif column == "shipped" and _is_certified(one.row):
            sums.add(one.uom, "certified_out", span)


def _add_doubts(
    sums: _Sums, end: str, ledger: LotLedger, is_own: Callable[[Holder], bool], period: tuple[int, int], slack_ms: int
) -> None:
    """Add what may be there yet at an end, though others had it by the earliest of their times.

    Where the shipment came after that end, the ledger of that end has it moved from here without a record.
    """
    for one in ledger.of_kind(PortionKind.MOVED):
        if not is_own(one.holder) and end in _unsure_ends(one.row, period, slack_ms):
            sums.add(one.uom, end, Span(ZERO, one.hi))


def _unsure_ends(row: EventRow, period: tuple[int, int], slack_ms: int) -> list[str]:
    """Return at which ends of the period nothing tells whether an event had happened."""
    from_ms, to_ms = period
    lo_ms, hi_ms = row.event.time.lo_ms - slack_ms, row.event.time.hi_ms + slack_ms
    ends = ["opening"] if lo_ms < from_ms <= hi_ms else []
    return [*ends, "closing"] if lo_ms <= to_ms < hi_ms else ends


def _add_counts(sums: _Sums, ledger: LotLedger, is_own: Callable[[Holder], bool], from_ms: int) -> None:
    """Add what the last count of each place within the period was short by: it says anew what the ones before found."""
    short: dict[str, tuple[str | None, Decimal]] = {}
    for finding in ledger.findings:
        is_in = is_own(finding.ask) and finding.row.event.time.lo_ms >= from_ms
        if finding.code == "counted_below_book" and is_in and finding.amount is not None:
            short[finding.ask.key] = (finding.uom, finding.amount)
    for uom, amount in short.values():
        sums.add(uom, "counted_short", Span(amount, amount))


def _is_certified(row: EventRow) -> bool:
    return any(kind == CERTIFICATION for kind, _name in papers_in(row.event))


def _span(one: Portion) -> Span:
    return Span(one.lo, one.hi)


def _add(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else one + other


def _negated(one: Decimal | None) -> Decimal | None:
    return None if one is None else -one
