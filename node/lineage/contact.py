"""Contact in equipment: what runs of a site, on one line until a verified cleaning, may have left to one another.

A place may have had ten thousand runs, and each that holds some may touch each later one. So what a run's contact has
reached is kept: a run that joins later, on the same line, touches only what lies beyond that.
"""

from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Final, NamedTuple

from node.lineage.carry_over import reach_ms
from node.lineage.declared import SiteRule
from node.lineage.equipment import Ending, Site, SiteRun, Stretch, Times, Told, latest, sites_of
from node.lineage.portions import PortionKind
from node.lineage.records import EventRow
from node.lineage.runs import Run
from node.lineage.scope_question import ScopeQuestion
from node.lineage.spread_graph import Link, SpreadGraph, Vertex
from node.lineage.spread_rules import RunRules
from node.lineage.timeline import FOREVER_MS

LATER_SHOWN_MAX: Final = 100
"""Runs of a line beyond a window, or the reach of a carry-over, that an answer lists as excluded by it; that there are
more is said by a warning."""


class _Reached(NamedTuple):
    """since_ms: from when a run touched others; end_ms: up to which begin; run: itself, which it did not touch."""

    since_ms: int
    end_ms: int
    run: SiteRun


class _Front:
    """How far contact has come, by since when: what comes later and goes no further is not kept."""

    def __init__(self) -> None:
        self._reached: list[_Reached] = []

    def beyond(self, since_ms: int, end_ms: int, stretch: Stretch) -> Iterator[Told]:
        """Yield the runs of a stretch, begun by `end_ms`, of which something given since may not have been touched yet.

        What began to touch by some time has touched all that was given since then, by runs begun up to its end; what
        begins after that end gives nothing before another began that had begun by it: so the next goes on. Left are the
        gaps between.
        """
        reached = self._reached
        place = bisect_right(reached, since_ms, key=_since)
        if not reached:
            yield from stretch.during(since_ms, end_ms)
            return
        if place == 0:
            # What was given before the first of them began, by runs of whenever.
            yield from (one for one in stretch.gave(since_ms, reached[0].since_ms) if one.lo_ms <= end_ms)
            place = 1
        while True:
            one = reached[place - 1]
            if one.since_ms > end_ms:
                return
            yield from (told for told in stretch.of_run(one.run) if told.lo_ms <= end_ms)
            after = bisect_right(reached, one.end_ms, key=_since)
            if after > place:
                place = after
                continue
            until_ms = reached[place].since_ms if place < len(reached) else end_ms
            yield from stretch.begun(one.end_ms, min(end_ms, until_ms))
            if place == len(reached):
                return
            place += 1

    def first_after(self, since_ms: int) -> int | None:
        """Return from when the first touched, if all did so later than `since_ms`."""
        return self._reached[0].since_ms if self._reached and self._reached[0].since_ms > since_ms else None

    def add(self, one: _Reached) -> None:
        """Keep it, and drop what it makes needless."""
        place = bisect_right(self._reached, one.since_ms, key=_since)
        if place and self._reached[place - 1].end_ms >= one.end_ms:
            return
        first = place
        while first and self._reached[first - 1].since_ms == one.since_ms:
            first -= 1
        while place < len(self._reached) and self._reached[place].end_ms <= one.end_ms:
            place += 1
        del self._reached[first:place]
        insort(self._reached, one, key=_since)


def _since(one: _Reached) -> int:
    return one.since_ms


class _Why(NamedTuple):
    """What excludes a run that began later: a code, and the rule that somebody vouches for, if one does."""

    code: str
    rule: SiteRule | None = None


_LineKey = tuple[str, str | None, bool, str, SiteRule | None]
"""A line of a site, whether runs name it, who told of them, and the declared carry-over that is asked about."""


class _Run(NamedTuple):
    """A tainted run. over: when it was over at the latest. sites: where it was, and on which lines there."""

    over: Times
    sites: tuple[tuple[Site, SiteRun], ...]


class _Along(NamedTuple):
    """Goods in a run, and a line that they may have left something on, over by `over`.

    here: the run, as the site knows it. taken_by: which other run, that was touched, took it along to this line.
    """

    vertex: Vertex
    run: Run
    site: Site
    here: SiteRun
    line: str | None
    over: Times
    taken_by: SiteRun | None = None


class Contact:
    """The contact of one question's walk. rows_at: returns the events that stand and name a site, in order of time."""

    def __init__(
        self,
        graph: SpreadGraph,
        question: ScopeQuestion,
        rules: RunRules,
        *,
        cleaning: bool,
        rows_at: Callable[[str], Sequence[EventRow]],
        warn: Callable[[str, str], None],
    ) -> None:
        self._graph = graph
        self._rules = rules
        self._ending = Ending(is_cleaned=cleaning and not question.resident, is_resident=question.resident)
        self._rows_at = rows_at
        self._warn = warn
        self._sites: dict[str, Site] = {}
        self._runs: dict[object, _Run] = {}
        self._fronts: dict[tuple[str, str | None, bool, str, bool], _Front] = {}
        self._cut: dict[_LineKey, int] = {}
        self._touched: dict[int, int] = {}

    def spread(self, vertex: Vertex, run: Run, *, is_linked: bool, is_declared: bool) -> None:
        """Link goods that a run took, or gave, to what comes off the same equipment, until a verified cleaning.

        is_linked: whether a recorded chain reaches them. is_declared: link only what a declared carry-over reaches,
        each time anew: amounts count. Else what is touched on a named line takes it along to the other lines of its.
        """
        known = self._load(run)
        pending = [
            _Along(vertex, run, site, here, line, known.over)
            for site, here in known.sites
            for line in (*here.lines, *((None,) if here.is_loose else ()))
        ]
        seen: set[tuple[int, str]] = set()
        while pending:
            along = pending.pop()
            if is_declared:
                self._carry_over(along, is_linked=is_linked)
                continue
            for other in self._spread_along(along, is_linked=is_linked):
                for further in other.lines if len(other.lines) > 1 else ():
                    if further != along.line and (id(other), further) not in seen:
                        seen.add((id(other), further))
                        pending.append(_Along(vertex, run, along.site, along.here, further, other.over, other))

    def _load(self, run: Run) -> _Run:
        found = self._runs.get(run.key)
        if found is None:
            rows = {line.row.event.event_digest: line.row for line in (*run.inputs, *run.outputs)}
            by_site: dict[str, list[EventRow]] = {}
            for row in rows.values():
                for name in sites_of(row, self._graph.facts.custody):
                    by_site.setdefault(name, []).append(row)
            is_open = not run.outputs and isinstance(run.key[0], str)
            over = latest((row.member, FOREVER_MS if is_open else row.event.time.hi_ms) for row in rows.values())
            sites = [(self._site(name), listed) for name, listed in by_site.items()]
            found = self._runs[run.key] = _Run(over, tuple([(site, site.run_of(listed)) for site, listed in sites]))
        return found

    def _site(self, name: str) -> Site:
        site = self._sites.get(name)
        if site is None:
            site = self._sites[name] = Site(name, self._rows_at(name), self._graph.facts, self._rules.site_rules)
        return site

    def _spread_along(self, along: _Along, *, is_linked: bool) -> list[SiteRun]:
        """Link the goods to what one line passes them on to; return what was touched because it names that line."""
        equipment = along.site.equipment(along.line)
        over = equipment.over(along.over, self._ending)
        is_cleaned = self._ending.is_cleaned and bool(equipment.next_cleaning(over))
        why = _Why("clean_break" if is_cleaned else "contact_window")
        touched: list[SiteRun] = []
        for (is_named, clock), stretch in equipment.stretches.items():
            since_ms = self._since(along, clock)
            end_ms = equipment.end_ms(over, clock, self._ending, is_named=is_named)
            key = (along.site.name, along.line, is_named, clock)
            # What an open link reaches is open, whoever it comes from; along a named line the linked reach further.
            fronts = [self._fronts.setdefault((*key, surely), _Front()) for surely in (False, True)]
            is_sure = is_linked and is_named
            near = list(fronts[is_sure].beyond(since_ms, end_ms, stretch))
            self._touch(along, near, Link.READING if is_named else Link.OPEN, is_linked=is_linked)
            if is_named:
                first_ms = fronts[is_sure].first_after(since_ms)
                near += () if first_ms is None else stretch.during(since_ms, min(first_ms, end_ms))
                touched += [told.run for told in near if told.hi_ms >= since_ms]
            reached = _Reached(since_ms, end_ms, along.here)
            for front in fronts if is_sure else fronts[:1]:
                front.add(reached)
            self._cut_beyond(along, (*key, None), stretch, end_ms, why)
        return touched

    def _carry_over(self, along: _Along, *, is_linked: bool) -> None:
        """Link the goods to what is declared to be carried over to it; of no named line: by any line that declares."""
        rule = self._rules.carry_over(along.run, along.site.name, along.line)
        if rule is not None:
            self._carry_along(along, rule, is_linked=is_linked, is_sure=True)
        if along.line is None:
            for line in along.site.lines:
                rule = self._rules.carry_over(along.run, along.site.name, line)
                if rule is not None and rule.place == line:
                    self._carry_along(along._replace(line=line), rule, is_linked=is_linked, is_sure=False)

    def _carry_along(self, along: _Along, rule: SiteRule, *, is_linked: bool, is_sure: bool) -> None:
        """Link the goods to what one line carries over to it, until a verified cleaning. is_sure: they were on it."""
        facts, equipment = self._graph.facts, along.site.equipment(along.line)
        over = equipment.over(along.over, self._ending)
        put_out = () if along.line is None else along.site.put_out(along.line)
        for (is_named, clock), stretch in equipment.stretches.items():
            end_ms = equipment.end_ms(over, clock, self._ending, is_named=is_named)
            until_ms = reach_ms(rule, over, clock, put_out, facts)
            near = stretch.during(self._since(along, clock), min(end_ms, until_ms))
            link = Link.READING if is_named and is_sure else Link.OPEN
            self._touch(along, near, link, is_linked=is_linked, is_counted=True)
            why = _Why("carry_over", rule if rule.record else None) if until_ms <= end_ms else _Why("clean_break")
            key = (along.site.name, along.line, is_named, clock, rule)
            self._cut_beyond(along, key, stretch, min(end_ms, until_ms), why)

    def _since(self, along: _Along, clock: str) -> int:
        """Return from when on, by a member's clock, some of the goods may have been there."""
        row, readings = along.vertex.portion.row, self._graph.facts.readings
        since_ms = row.event.time.lo_ms - readings.slack_ms(row.member, clock)
        return since_ms if along.taken_by is None else max(since_ms, along.taken_by.began_ms(clock, readings))

    def _cut_beyond(self, along: _Along, key: _LineKey, stretch: Stretch, end_ms: int, why: _Why) -> None:
        """Say of what began later which rule excludes it, unless it was said before."""
        said_ms = self._cut.get(key, FOREVER_MS)
        if end_ms >= said_ms:
            return
        self._cut[key] = end_ms
        later = stretch.begun(end_ms, said_ms)
        if why.code != "clean_break" and len(later) > LATER_SHOWN_MAX:
            later = later[:LATER_SHOWN_MAX]
            self._warn("contact_left_out", key[0])
        self._touch(along, later, Link.CUT, why=why)

    def _touch(
        self,
        along: _Along,
        near: Iterable[Told],
        link: Link,
        *,
        is_linked: bool = False,
        is_counted: bool = False,
        why: _Why | None = None,
    ) -> None:
        """Link the goods to what these runs put out. is_counted: one way there does not say it all. why: of a CUT."""
        rank = 2 * link + (not is_linked)
        for other in chain.from_iterable(told.run.rows.values() for told in near):
            run = self._graph.load_run(other)
            self._rules.apply(run)
            if _is_same(run, along.run):
                continue
            for line in run.outputs:
                target = self._graph.line_of(line.item, line.row, PortionKind.OUTPUT)
                if target is None or line.row.event.time.hi_ms < self._since(along, line.row.member):
                    continue
                if is_counted or self._touched.get(target, rank + 1) > rank:
                    # One way to get there says it all, for amounts do not count: the surest.
                    self._touched[target] = rank
                    if why is not None and why.rule is not None:
                        self._rules.cut_by[len(self._graph.edges)] = why.rule
                    code = "" if why is None else why.code
                    self._graph.add_edge(along.vertex.number, target, None, None, link, code, is_touch=True)


def _is_same(run: Run, other: Run) -> bool:
    """Return whether two are one run, loaded by events of two members."""
    if run is other:
        return True
    if run.key[0] != other.key[0]:
        return False
    return [line.row.ref for line in run.inputs] == [line.row.ref for line in other.inputs] and [
        line.row.ref for line in run.outputs
    ] == [line.row.ref for line in other.outputs]
