"""Which part of a lot a walk is about: from the events that brought it in, or took it out, along the lot's portions.

A walk over items would take every draw of a lot that some event tainted; for a lot that was made once that is right.
Where a lot has several portions, only draws that the tainted one may have fed are followed, and only makings that may
have fed a use. Amounts exclude nothing here; nor does anything that nobody recorded.
"""

from collections.abc import Set
from typing import Final, NamedTuple

from consensus.types import Digest
from node.lineage.facts import Facts
from node.lineage.ledger import build_ledger
from node.lineage.portions import LotLedger, PortionKind
from node.lineage.records import ROLE_MADE, ROLE_OUTPUT
from node.lineage.timeline import Timeline

ROWS_MAX: Final = 8
"""Events by which a part is told; of more, all of the lot is taken."""
_UNRECORDED: Final = (PortionKind.UNKNOWN, PortionKind.MOVED)
Rows = frozenset[Digest]


class Part(NamedTuple):
    """A part of a lot. events: those that tell of it, or that no portion tells of. portions: numbers in its ledger."""

    events: Set[Digest]
    portions: Set[int]


def join(rows: Rows | None, others: Rows | None) -> Rows | None:
    """Return the events of two parts together; None is all of the lot."""
    if rows is None or others is None:
        return None
    both = rows | others
    return both if len(both) <= ROWS_MAX else None


class Parts:
    """Parts of lots for one question. Only a lot that was made more than once has any."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._ledgers: dict[str, LotLedger | None] = {}

    def onward(self, item: str, timeline: Timeline, rows: Rows | None) -> Part | None:
        """Return the part that came of what these events made; None for all of the lot."""
        ledger = self._ledger(item, timeline) if rows else None
        if ledger is None or rows is None:
            return None
        starts = [
            one.number
            for one in ledger.portions
            if one.kind in _UNRECORDED
            or (one.kind in (PortionKind.MADE, PortionKind.OUTPUT) and one.row.event.event_digest in rows)
        ]
        reached = _walk(ledger, starts, forward=True)
        if any(ledger.portions[number].kind is PortionKind.IN_TRANSIT for number in reached):
            return None  # What never arrived may be in any later stock.
        return Part(self._events(ledger, reached), reached)

    def back(self, item: str, timeline: Timeline, rows: Rows | None) -> Part | None:
        """Return the part that what these events used came of; None for all of the lot."""
        ledger = self._ledger(item, timeline) if rows else None
        if ledger is None or rows is None:
            return None
        starts = [
            one.number for one in ledger.portions if one.kind is PortionKind.USED and one.row.event.event_digest in rows
        ]
        reached = _walk(ledger, starts, forward=False)
        if not starts or any(ledger.portions[number].kind in _UNRECORDED for number in reached):
            return None  # What nobody recorded may have come from any making.
        if ledger.of_kind(PortionKind.IN_TRANSIT):
            return None
        return Part(self._events(ledger, reached), reached)

    def _ledger(self, item: str, timeline: Timeline) -> LotLedger | None:
        """Return the ledger of a lot that was made more than once, else None."""
        if item not in self._ledgers:
            makings = sum(1 for _row, role in timeline.entries if role & (ROLE_MADE | ROLE_OUTPUT))
            several = makings > 1 and timeline.complete
            self._ledgers[item] = build_ledger(item, self._facts, timeline) if several else None
        return self._ledgers[item]

    def _events(self, ledger: LotLedger, reached: Set[int]) -> Set[Digest]:
        """Return the events of reached portions, and those that no portion tells of."""
        told = {one.row.event.event_digest for one in ledger.portions}
        kept = {ledger.portions[number].row.event.event_digest for number in reached}
        every = {row.event.event_digest for row, _role in self._facts.timelines.of_item(ledger.item).entries}
        return kept | (every - told)


def _walk(ledger: LotLedger, starts: list[int], *, forward: bool) -> set[int]:
    beside: dict[int, list[int]] = {}
    for flow in ledger.flows:
        source, target = (flow.source, flow.target) if forward else (flow.target, flow.source)
        beside.setdefault(source, []).append(target)
    reached = set(starts)
    pending = list(starts)
    while pending:
        for number in beside.get(pending.pop(), ()):
            if number not in reached:
                reached.add(number)
                pending.append(number)
    return reached
