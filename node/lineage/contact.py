"""Contact in equipment: what runs of a site, on one line until a verified cleaning, may have left to one another.

A place may have had ten thousand runs, and each that holds some may touch each later one. So what a run's contact has
reached is kept: a run that joins later, on the same line, touches only what lies beyond that.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

from node.epcis.model import EventType
from node.lineage.carry_over import CarryOver
from node.lineage.custody import Holder
from node.lineage.declared import SiteRule, equipment_of
from node.lineage.facts import Facts
from node.lineage.portions import PortionKind
from node.lineage.records import EventRow
from node.lineage.runs import Run
from node.lineage.scope_question import ScopeQuestion
from node.lineage.spread_graph import Link, SpreadGraph, Vertex
from node.lineage.spread_rules import RunRules
from node.lineage.timeline import FOREVER_MS


class _Past:
    """The runs and cleanings of one line, or of what names none, at one custodian's place.

    rows: all that the place's names are filed under, in order of time.
    """

    def __init__(self, rows: Sequence[EventRow], equipment: str | None, holder: Holder, facts: Facts) -> None:
        self._window_ms = facts.readings.contact_window_ms
        named: list[EventRow] = []
        loose: list[EventRow] = []
        spans: dict[object, tuple[int, int]] = {}
        cleanings: list[tuple[int, int]] = []
        for row in rows:
            if facts.custody.holder_of(row).key != holder.key:
                continue
            theirs, time = equipment_of(row), row.event.time
            if facts.readings.is_cleaning(row.event) and theirs in (None, equipment):
                # Another line's cleaning, or one of which we do not know that it was this line, ends nothing.
                cleanings.append((time.lo_ms, time.hi_ms))
            is_other = equipment is not None and theirs not in (None, equipment)
            if row.event.type is not EventType.TRANSFORMATION or is_other:
                continue
            (loose if equipment is None or theirs is None else named).append(row)
            if row.event.transformation_id is not None:
                key = facts.timelines.run_of(row)
                lo_ms, hi_ms = spans.get(key, (time.lo_ms, time.hi_ms))
                spans[key] = (min(lo_ms, time.lo_ms), max(hi_ms, time.hi_ms))
        self.runs = tuple((is_named, some, [row.event.time.lo_ms for row in some])
                          for is_named, some in ((True, named), (False, loose)))  # fmt: skip
        begun = sorted(spans.values())
        self._begun = [lo_ms for lo_ms, _ in begun]
        self._over = list(accumulate((hi_ms for _, hi_ms in begun), max))
        cleanings.sort()
        self._cleaning_began = [lo_ms for lo_ms, _ in cleanings]
        self._cleaned = list(accumulate((hi_ms for _, hi_ms in reversed(cleanings)), min))[::-1]

    def next_cleaning(self, after_ms: int) -> int | None:
        """Return by when a verified cleaning had certainly ended the contact, or None."""
        place = bisect_right(self._cleaning_began, after_ms)
        return self._cleaned[place] if place < len(self._cleaned) else None

    def over_ms(self, over_ms: int, *, is_cleaned: bool) -> int:
        """Return when the last of the runs was over that a cleaning or the contact window found still going on.

        A vessel holds what was put in until its run is over: a cleaning before that ends nothing. So does a vessel
        that this run's residue got into.
        """
        while True:
            end_ms = self.next_cleaning(over_ms) if is_cleaned else None
            if end_ms is None:
                end_ms = over_ms + self._window_ms
            place = bisect_right(self._begun, end_ms)
            later = self._over[place - 1] if place else over_ms
            if later <= over_ms:
                return over_ms
            over_ms = later


class _Reached(NamedTuple):
    """since_ms: from when a run touched others; end_ms: up to which begin; run: itself, which it did not touch."""

    since_ms: int
    end_ms: int
    run: Run


class _Front:
    """How far contact has come, by since when: what comes later and goes no further is not kept."""

    def __init__(self) -> None:
        self._reached: list[_Reached] = []

    def before(self, since_ms: int) -> _Reached | None:
        """Return what went furthest of all that began to touch others by then."""
        place = bisect_right(self._reached, since_ms, key=_since)
        return self._reached[place - 1] if place else None

    def chain(self, since_ms: int) -> list[_Reached]:
        """Return what together touched all that is not over by then, up to the end of the last of them.

        What begins after one's end is not over when another began that had begun by that end: so the next goes on.
        """
        found: list[_Reached] = []
        known = self.before(since_ms)
        while known is not None and (not found or known.end_ms > found[-1].end_ms):
            found.append(known)
            known = self.before(known.end_ms)
        return found

    def add(self, one: _Reached) -> None:
        """Keep it, and drop what it makes needless."""
        known = self.before(one.since_ms)
        if known is not None and known.end_ms >= one.end_ms:
            return
        place = bisect_left(self._reached, one.since_ms, key=_since)
        beyond = place
        while beyond < len(self._reached) and self._reached[beyond].end_ms <= one.end_ms:
            beyond += 1
        del self._reached[place:beyond]
        insort(self._reached, one, key=_since)


def _since(one: _Reached) -> int:
    return one.since_ms


class Contact:
    """The contact of one question's walk."""

    def __init__(self, graph: SpreadGraph, question: ScopeQuestion, rules: RunRules, *, cleaning: bool) -> None:
        self._graph = graph
        self._rules = rules
        self._is_cleaned = cleaning and not question.resident
        self._pasts: dict[tuple[int, str, str | None], _Past] = {}
        self._fronts: dict[tuple[int, str, str | None, bool], _Front] = {}
        self._cut: set[tuple[int, str, str | None, int]] = set()
        self._touched: dict[int, int] = {}

    def spread(
        self, vertex: Vertex, rows: Sequence[EventRow], *, is_linked: bool, carried: SiteRule | None = None
    ) -> None:
        """Link a run's input to what comes off the same equipment, until a verified cleaning.

        rows: what the place's names are filed under; the same object for the same place. is_linked: whether a recorded
        chain reaches the input. carried: link only what a declared carry-over reaches, each time anew: amounts count.
        """
        facts, row, run = self._graph.facts, vertex.portion.row, vertex.run
        assert run is not None
        holder, equipment, since_ms = facts.custody.holder_of(row), equipment_of(row), row.event.time.lo_ms
        key = (id(rows), holder.key, equipment)
        past = self._pasts.get(key)
        if past is None:
            past = self._pasts[key] = _Past(rows, equipment, holder, facts)
        over_ms = past.over_ms(run.hi_ms, is_cleaned=self._is_cleaned)
        clean_ms = past.next_cleaning(over_ms) if self._is_cleaned else None
        if carried is not None:
            reach = CarryOver(carried, rows, equipment, over_ms, facts)
            for is_named, some, _ in past.runs:
                end_ms = _end_of(clean_ms, over_ms, facts, is_named=is_named)
                near = [one for one in some if reach.may_reach(one.event.time.lo_ms)]
                self._touch(vertex, near, end_ms, clean_ms, is_named=is_named, is_linked=is_linked, is_counted=True)
            return
        for is_named, some, began in past.runs:
            end_ms = _end_of(clean_ms, over_ms, facts, is_named=is_named)
            front = self._fronts.setdefault((*key, is_named), _Front())
            # What an open link reaches is open, whoever it comes from; along a named line the linked reach further.
            known = front.chain(since_ms)
            beyond = bisect_right(began, known[-1].end_ms) if known else 0
            until = bisect_right(began, end_ms)
            near = list(some[beyond:until])
            for one in known:
                near += [own for own in _rows_of(one.run) if _is_of(own, equipment, is_named=is_named)]
            if clean_ms is not None and (*key, clean_ms) not in self._cut:
                near += some[max(until, beyond) :]
            self._touch(vertex, near, end_ms, clean_ms, is_named=is_named, is_linked=is_linked)
            if is_linked or not is_named:
                front.add(_Reached(since_ms, end_ms, run))
        if clean_ms is not None:
            self._cut.add((*key, clean_ms))

    def _touch(
        self,
        vertex: Vertex,
        near: Iterable[EventRow],
        end_ms: int,
        clean_ms: int | None,
        *,
        is_named: bool,
        is_linked: bool,
        is_counted: bool = False,
    ) -> None:
        """Link the input to what the runs of these rows put out. is_counted: one way there does not say it all."""
        since_ms = vertex.portion.row.event.time.lo_ms
        done: dict[object, Link] = {}
        for other in near:
            time = other.event.time
            is_after = time.lo_ms > end_ms
            if time.hi_ms < since_ms or (is_after and clean_ms is None):
                continue
            link = Link.CUT if is_after else Link.READING if is_named else Link.OPEN
            run = self._graph.load_run(other)
            self._rules.apply(run)
            if run is vertex.run or done.get(run.key, Link.CUT + 1) <= link:
                continue
            done[run.key] = link
            rank = 2 * link + (not is_linked)
            for line in run.outputs:
                target = self._graph.line_of(line.item, line.row, PortionKind.OUTPUT)
                if target is None or line.row.event.time.hi_ms < since_ms:
                    continue
                if is_counted or self._touched.get(target, rank + 1) > rank:
                    # One way to get there says it all, for amounts do not count: the surest.
                    self._touched[target] = rank
                    self._graph.add_edge(vertex.number, target, None, None, link, "clean_break")


def _end_of(clean_ms: int | None, over_ms: int, facts: Facts, *, is_named: bool) -> int:
    """Return until when what begins may be touched: a cleaning ends it, else on a named line nothing does."""
    if clean_ms is not None:
        return clean_ms
    return FOREVER_MS if is_named else over_ms + facts.readings.contact_window_ms


def _is_of(row: EventRow, equipment: str | None, *, is_named: bool) -> bool:
    """Return whether a row names that very line, or, for what is not named, may have been on it."""
    theirs = equipment_of(row)
    if is_named:
        return equipment is not None and theirs == equipment
    return equipment is None or theirs is None


def _rows_of(run: Run) -> list[EventRow]:
    return list({line.row.event.event_digest: line.row for line in (*run.inputs, *run.outputs)}.values())
