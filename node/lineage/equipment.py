"""The runs and cleanings of a site's lines and vessels, each by the clocks of who told of it.

What one member told is in the exact order of its times. Of what two members told, one thing was certainly before the
other only beyond the tolerance of both clocks (`Readings.slack_ms`). So a time that several told is kept by member, and
is read by the clock of who told of what it is held against; and the runs of a line are listed by who told of them.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from node.epcis.identifiers import site_of
from node.epcis.model import EventType
from node.lineage.custody import Custody
from node.lineage.declared import CLEANING, Declared, lines_of
from node.lineage.facts import Facts
from node.lineage.readings import Readings
from node.lineage.records import EventRow
from node.lineage.runs import RunKey
from node.lineage.timeline import FOREVER_MS

Times = tuple[tuple[str, int], ...]
"""A time as several members told it: (member, Unix milliseconds), each member once, in order of name."""


def latest(times: Iterable[tuple[str, int]]) -> Times:
    """Return the latest time of each member."""
    found: dict[str, int] = {}
    for member, time_ms in times:
        found[member] = max(time_ms, found.get(member, time_ms))
    return tuple(sorted(found.items()))


def certainly_by(times: Times, clock: str, readings: Readings) -> int:
    """Return when all of these were certainly past, by one member's clock."""
    return max(time_ms + readings.slack_ms(member, clock) for member, time_ms in times)


def sites_of(row: EventRow, custody: Custody) -> list[str]:
    """Return where an event may have happened: the sites of the lines that it names, else each site that it names.

    Goods may be put elsewhere than they were worked on. Where no place is named: with whoever had them.
    """
    event = row.event
    places = lines_of(row) or [place for place in (event.read_point, event.location) if place is not None]
    return list(dict.fromkeys(map(site_of, places))) or [custody.holder_of(row).key]


@dataclass(slots=True, eq=False)
class SiteRun:
    """A run at one site: what bears one transformationID there. rows: an event of it, of each firm that may be another.

    lines: which it names; is_loose: whether some event names none. spans: from when to when it lasted, by member.
    given: when it put something out, at the latest, by member. is_long: whether it may last, being of several events.
    """

    is_long: bool
    rows: dict[RunKey, EventRow] = field(default_factory=dict)
    lines: dict[str, None] = field(default_factory=dict)
    is_loose: bool = False
    spans: dict[str, tuple[int, int]] = field(default_factory=dict)
    given: dict[str, list[int]] = field(default_factory=dict)

    def add(self, row: EventRow, key: RunKey) -> None:
        """Take in an event of the run."""
        lines, time = lines_of(row), row.event.time
        self.rows.setdefault(key, row)
        self.lines.update(dict.fromkeys(lines))
        self.is_loose = self.is_loose or not lines
        lo_ms, hi_ms = self.spans.get(row.member, (time.lo_ms, time.hi_ms))
        self.spans[row.member] = min(lo_ms, time.lo_ms), max(hi_ms, time.hi_ms)
        if row.event.outputs:
            self.given.setdefault(row.member, []).append(time.hi_ms)

    @property
    def over(self) -> Times:
        """Return when it was over at the latest: one that may last, and has put out nothing yet, is not."""
        is_open = self.is_long and not self.given
        return tuple(sorted((member, FOREVER_MS if is_open else hi_ms) for member, (_, hi_ms) in self.spans.items()))

    def began_ms(self, clock: str, readings: Readings) -> int:
        """Return when it began, at the earliest, by one member's clock."""
        return min(lo_ms - readings.slack_ms(member, clock) for member, (lo_ms, _) in self.spans.items())


class Told(NamedTuple):
    """A run by the clock of one member who told of it: when it began at the earliest, and was over by what it told."""

    lo_ms: int
    hi_ms: int
    run: SiteRun


class Cleaning(NamedTuple):
    """A verified cleaning, and of which lines: of none named, it was of the whole site."""

    member: str
    lo_ms: int
    hi_ms: int
    lines: frozenset[str]


class Site:
    """What happened at one site. rows: events that stand and name it, in order of time. lines: which its runs name."""

    def __init__(self, name: str, rows: Iterable[EventRow], facts: Facts, declared: Declared) -> None:
        self.name = name
        self._declared = declared
        self.lines: dict[str, None] = {}
        self._facts = facts
        self._runs: dict[object, SiteRun] = {}
        self._put_out: dict[str, list[EventRow]] = {}
        self._cleanings: list[Cleaning] = []
        self._equipment: dict[str | None, Equipment] = {}
        for row in rows:
            is_cleaning = facts.readings.is_cleaning(row.event)
            if row.event.type is not EventType.TRANSFORMATION and not is_cleaning:
                continue
            sites = sites_of(row, facts.custody)
            if name not in sites:
                continue
            if row.event.type is EventType.TRANSFORMATION:
                self._add_run(row)
            if is_cleaning and len(sites) == 1 and facts.custody.holder_of(row).site is not None:
                # Where two sites are named, or none, it is not known that this one was cleaned.
                self._add_cleaning(row)

    def _add_cleaning(self, row: EventRow) -> None:
        time, lines = row.event.time, frozenset(lines_of(row))
        papers = [name for _, name in row.event.documents] + ([row.event.event_id] if row.event.event_id else [])
        self._declared.cleaned.update((self.name, *lines, *papers))
        if self._declared.trusts(*papers):
            self._cleanings.append(Cleaning(row.member, time.lo_ms, time.hi_ms, lines))

    def _add_run(self, row: EventRow) -> None:
        run = self._runs.setdefault(_name_of(row), SiteRun(row.event.transformation_id is not None))
        run.add(row, self._facts.timelines.run_of(row))
        lines = lines_of(row)
        self.lines.update(dict.fromkeys(lines))
        if row.event.outputs and len(lines) == 1:
            # Of what names two, nobody knows which it came off.
            self._put_out.setdefault(lines[0], []).append(row)

    def run_of(self, rows: Iterable[EventRow]) -> SiteRun:
        """Return the run that these events are of, as the site knows it; else as they tell it."""
        listed = list(rows)
        found = self._runs.get(_name_of(listed[0]))
        if found is None:
            found = SiteRun(listed[0].event.transformation_id is not None)
            for row in listed:
                found.add(row, self._facts.timelines.run_of(row))
        return found

    def put_out(self, equipment: str) -> Sequence[EventRow]:
        """Return the events that say what came off that very line, in order of time."""
        return self._put_out.get(equipment, ())

    def equipment(self, line: str | None) -> "Equipment":
        """Return what ran on a line or vessel, or may have; None: on none that is named, so on any."""
        found = self._equipment.get(line)
        if found is None:
            named: list[SiteRun] = []
            loose: list[SiteRun] = []
            for run in self._runs.values():
                if line in run.lines:
                    named.append(run)
                elif line is None or run.is_loose:
                    loose.append(run)
            # The cleaning of another line ends nothing, nor does one of which it is not known that it was of this line.
            # Where cleaning, this site or this line is what is suspected, none does.
            is_trusted = self._declared.trusts(CLEANING, self.name, line)
            kept = [one for one in self._cleanings if is_trusted and one.lines <= {line}]
            found = self._equipment[line] = Equipment(named, loose, kept, self._facts.readings)
        return found


def _name_of(row: EventRow) -> object:
    return row.event.transformation_id or row.event.event_digest


class Stretch:
    """Runs of a line of which one member told, to be looked up by when they began and when it says what they gave."""

    def __init__(self, runs: Iterable[SiteRun], member: str, readings: Readings) -> None:
        self._told = [Told(run.began_ms(member, readings), run.spans[member][1], run) for run in runs]
        self._told.sort(key=lambda one: one.lo_ms)
        self._began = [one.lo_ms for one in self._told]
        self._over = list(accumulate((one.hi_ms for one in self._told), max))
        gave = [(given_ms, one) for one in self._told for given_ms in one.run.given.get(member, ())]
        gave.sort(key=lambda pair: pair[0])
        self._gave = [one for _, one in gave]
        self._given = [given_ms for given_ms, _ in gave]
        self._of_run = {id(one.run): one for one in self._told}

    def of_run(self, run: SiteRun) -> Sequence[Told]:
        """Return a run as this member told of it, if it did."""
        told = self._of_run.get(id(run))
        return () if told is None else (told,)

    def begun(self, after_ms: int, by_ms: int) -> Sequence[Told]:
        """Return what began after a time, and by another."""
        return self._told[bisect_right(self._began, after_ms) : bisect_right(self._began, by_ms)]

    def gave(self, from_ms: int, before_ms: int) -> Sequence[Told]:
        """Return what gave something from a time on, and before another; perhaps more than once."""
        return self._gave[bisect_left(self._given, from_ms) : bisect_left(self._given, before_ms)]

    def during(self, from_ms: int, by_ms: int) -> Iterator[Told]:
        """Yield what was not over before a time, and had begun by another."""
        for one in self._told[bisect_left(self._over, from_ms) : bisect_right(self._began, by_ms)]:
            if one.hi_ms >= from_ms:
                yield one


class Ending(NamedTuple):
    """What may end contact. is_cleaned: whether cleanings do; is_resident: whether nothing does, for it lives there."""

    is_cleaned: bool
    is_resident: bool


class Equipment:
    """The runs of one line, or of what may be on it, and its cleanings. stretches: runs by (names it, who told)."""

    def __init__(
        self, named: Sequence[SiteRun], loose: Sequence[SiteRun], cleanings: Iterable[Cleaning], readings: Readings
    ) -> None:
        self._readings = readings
        self.stretches = {
            (is_named, member): Stretch([run for run in runs if member in run.spans], member, readings)
            for is_named, runs in ((True, named), (False, loose))
            for member in sorted({member for run in runs for member in run.spans})
        }
        self._long = _long_runs((*named, *loose))
        self._clocks = sorted({clock for clock, _member in self._long})
        self._over: dict[tuple[Times, Ending], Times] = {}
        self._cleanings: dict[str, tuple[list[int], list[int]]] = {}
        by_member: dict[str, list[tuple[int, int]]] = {}
        for one in cleanings:
            by_member.setdefault(one.member, []).append((one.lo_ms, one.hi_ms))
        for member, spans in sorted(by_member.items()):
            spans.sort()
            done = list(accumulate((hi_ms for _, hi_ms in reversed(spans)), min))[::-1]
            self._cleanings[member] = [lo_ms for lo_ms, _ in spans], done

    def next_cleaning(self, over: Times) -> Times:
        """Return by when cleanings that certainly came after had certainly been, by member; empty if none came."""
        found = []
        for member, (began, done) in self._cleanings.items():
            place = bisect_right(began, certainly_by(over, member, self._readings))
            if place < len(done):
                found.append((member, done[place]))
        return tuple(found)

    def end_ms(self, over: Times, clock: str, ending: Ending, *, is_named: bool) -> int:
        """Return until when, by a member's clock, what begins may be touched after runs that were over then.

        A cleaning ends it; without one, what is not on a named line is touched for the contact window. Where no
        cleaning counts it goes on for no less: on a named line, or if it lives there, without end.
        """
        cleaned = [time_ms + self._readings.slack_ms(member, clock) for member, time_ms in self.next_cleaning(over)]
        if ending.is_cleaned and cleaned:
            return min(cleaned)
        if is_named or ending.is_resident:
            return FOREVER_MS
        window_ms = certainly_by(over, clock, self._readings) + self._readings.contact_window_ms
        return max(window_ms, min(cleaned, default=window_ms))

    def over(self, over: Times, ending: Ending) -> Times:
        """Return when the last of the runs was over that a cleaning or the contact window found still going on.

        A vessel holds what was put in until its run is over: a cleaning before that ends nothing. So does a vessel
        that this run's residue got into.
        """
        passed: list[Times] = []
        while (known := self._over.get((over, ending))) is None:
            passed.append(over)
            ends = {clock: self.end_ms(over, clock, ending, is_named=False) for clock in self._clocks}
            later = list(over)
            for (clock, member), (began, done) in self._long.items():
                place = bisect_right(began, ends[clock])
                if place:
                    later.append((member, done[place - 1]))
            after = latest(later)
            if after == over:
                known = over
                break
            over = after
        for one in passed:
            self._over[one, ending] = known
        return known


def _long_runs(runs: Iterable[SiteRun]) -> dict[tuple[str, str], tuple[list[int], list[int]]]:
    """Return when runs of several events began by one clock, and by when all begun by then were over by another."""
    pairs: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for run in runs:
        for clock, (lo_ms, _) in run.spans.items() if run.is_long else ():
            for member, hi_ms in run.over:
                pairs.setdefault((clock, member), []).append((lo_ms, hi_ms))
    found = {}
    for key, spans in pairs.items():
        spans.sort()
        found[key] = [lo_ms for lo_ms, _ in spans], list(accumulate((hi_ms for _, hi_ms in spans), max))
    return found
