"""A party's balance of one product over a period: what it had and got against what it gave and has.

Of each lot, from its portion ledger as of the moment before the period and as of its end:

    difference = closing + shipped + used + ended - counted short - (opening + made + received)

What the record explains sums up to zero. Above it, goods came that nobody recorded the coming of; below it, goods
went, or were counted away, that nobody recorded the going of. An event belongs to the moment of its earliest time.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from node.lineage.custody import Holder
from node.lineage.facts import Facts
from node.lineage.indexing import CERTIFICATION, papers_in
from node.lineage.ledger import build_ledger
from node.lineage.pace import tick
from node.lineage.portions import ZERO, LotLedger, Portion, PortionKind
from node.lineage.records import EventRow
from node.lineage.timeline import ANY_TIME


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
    with a certificate or made, until the end of the period, certified_out: what was shipped with one.
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
        return replace(self, item="", **{name: getattr(self, name).plus(getattr(other, name)) for name in AMOUNTS})

    def judge(self, *, gain_permille: int, loss_permille: int) -> Verdict:
        """Return what the difference comes to, beside what there was to account for."""
        (lo, hi), brought = self.difference, self.brought
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
    """Amounts by unit of measure and column."""

    found: dict[str | None, dict[str, Span]] = field(default_factory=dict)

    def add(self, uom: str | None, column: str, span: Span) -> None:
        of_uom = self.found.setdefault(uom, {})
        of_uom[column] = of_uom.get(column, NONE).plus(span)


def balance_of(
    items: Iterable[str], before: Facts, until: Facts, is_own: Callable[[Holder], bool], *, from_ms: int
) -> Iterator[Account]:
    """Yield the accounts of these lots and pieces at the holders that `is_own` tells, those that are not empty.

    before: readers as of the moment before from_ms. until: as of the end of the period.
    """
    for item in items:
        tick()
        sums = _Sums()
        timeline = before.timelines.of_item(item)
        if timeline.entries:
            _add_held(sums, "opening", build_ledger(item, before, timeline), is_own)
        timeline = until.timelines.of_item(item)
        if timeline.entries:
            ledger = build_ledger(item, until, timeline)
            _add_held(sums, "closing", ledger, is_own)
            _add_flows(sums, ledger, is_own, from_ms)
        for uom, columns in sums.found.items():
            account = Account(item, uom, **columns)
            if any(getattr(account, name) != NONE for name in AMOUNTS):
                yield account


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


def _add_flows(sums: _Sums, ledger: LotLedger, is_own: Callable[[Holder], bool], from_ms: int) -> None:
    """Add what came and went within the period, what a count was short by, and what was certified until its end."""
    for one in ledger.of_kind(*_COLUMNS):
        if not is_own(one.holder):
            continue
        column, span = _COLUMNS[one.kind], _span(one)
        if one.row.event.time is ANY_TIME:
            # Nothing tells whether it was in the period.
            sums.add(one.uom, column, Span(ZERO, span.hi))
        elif one.row.event.time.lo_ms >= from_ms:
            sums.add(one.uom, column, span)
        if column == "made" or (column == "received" and _is_certified(one.row)):
            sums.add(one.uom, "certified_in", span)
        elif column == "shipped" and _is_certified(one.row):
            sums.add(one.uom, "certified_out", span)
    short: dict[str, tuple[str | None, Decimal]] = {}
    for finding in ledger.findings:
        is_in = is_own(finding.ask) and finding.row.event.time.lo_ms >= from_ms
        if finding.code == "counted_below_book" and is_in and finding.amount is not None:
            # A later count of the same place says it anew.
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
