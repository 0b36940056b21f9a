"""Contact in equipment, held to a count of every pair of runs: by the rules of docs/scope.md, without any short cut."""

import random
from dataclasses import dataclass, field

import pytest

from node.epcis.model import Action, EventType, Interval
from node.lineage.hazards import Hazard
from node.lineage.readings import Readings
from node.lineage.records import EventRow
from node.lineage.scope_question import Seed
from tests.support.chronicle import Chronicle
from tests.support.events import HOUR_MS, at, build_event, lot, place
from tests.support.scopes import Asked

PLANTS = 150
BAD, CLEAN = lot("1", "BAD"), lot("1", "CLEAN")
MEMBERS = ("mill", "mill", "mill", "carrier", "rival")
MINUTE_MS = 60_000
READINGS = Readings()


@dataclass(eq=False)
class Job:
    """A run: its events, and what each puts out."""

    rows: list[EventRow] = field(default_factory=list)

    @property
    def lines(self) -> set[str | None]:
        return {row.event.read_point for row in self.rows}

    @property
    def is_long(self) -> bool:
        return self.rows[0].event.transformation_id is not None


class Plant:
    """A site with two lines, told of by three members in about four days."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(f"plant/{seed}")
        self.story = Chronicle()
        for item in (BAD, CLEAN):
            self.story.make({item: 10_000}, at(1, "00:30"))
        self.jobs: list[Job] = []
        self.cleanings: list[EventRow] = []
        for number in range(self.chance.randint(4, 24)):
            if self.chance.random() < 0.3:
                self._clean()
            else:
                self._run(number)

    def _when(self, from_ms: int, hours: int) -> Interval:
        lo_ms = from_ms + self.chance.randint(0, hours * 12) * 5 * MINUTE_MS
        return Interval(lo_ms, lo_ms + self.chance.choice((0, 0, 0, 0, 2 * HOUR_MS, 24 * HOUR_MS)))

    def _line(self) -> str | None:
        return self.chance.choice((f"{place(1)}/254/1", f"{place(1)}/254/1", f"{place(1)}/254/2", None))

    def _clean(self) -> None:
        event = build_event(
            EventType.OBJECT, self._when(at(1, "01:00"), 96), action=Action.OBSERVE, goods=["urn:machine:1"],
            step="cleaning", disposition="conformant", read_point=self._line(), location=place(1),
        )  # fmt: skip
        self.story.add(event, member=self.chance.choice(MEMBERS))
        self.cleanings.append(self.story.rows[-1])

    def _run(self, number: int) -> None:
        job, line = Job(), self._line()
        members = (self.chance.choice(MEMBERS),) if self.chance.random() < 0.8 else MEMBERS
        events = self.chance.choice((1, 1, 1, 2, 3))
        begin_ms = self._when(at(1, "01:00"), 96).lo_ms
        for step in range(events):
            given = {lot("2", f"O{number}-{step}"): 1} if events == 1 or step else {}
            event = build_event(
                EventType.TRANSFORMATION,
                self._when(begin_ms, 30 if events > 1 else 1),
                inputs={self.chance.choice((BAD, CLEAN, CLEAN)): 1} if not step or self.chance.random() < 0.3 else {},
                outputs=given,
                run=None if events == 1 else f"run:{number}",
                read_point=self.chance.choice((line, line, line, self._line())),
                location=place(1),
            )
            self.story.add(event, member=self.chance.choice(members))
            job.rows.append(self.story.rows[-1])
        self.jobs.append(job)

    def touched(self, hazard: Hazard, *, resident: bool) -> set[str]:
        """Return what may be touched, by looking at each pair."""
        found: set[str] = set()
        is_cleaned = hazard is not Hazard.UNKNOWN and not resident
        for job in self.jobs:
            bad = [row for row in job.rows if any(goods.item == BAD for goods in row.event.inputs)]
            pending: list[tuple[Job, str | None]] = [(job, line) for line in job.lines if bad]
            seen = list(pending)
            while pending:
                at, line = pending.pop()
                past = self._past(at, line, is_cleaned=is_cleaned, resident=resident)
                for other in self.jobs:
                    if other is at or not self._is_on(other, line):
                        continue
                    is_named = line is not None and line in other.lines
                    if not self._may_begin(
                        past, other, line, is_named=is_named, is_cleaned=is_cleaned, resident=resident
                    ):
                        continue
                    after = [
                        row
                        for row in other.rows
                        if any(not is_before(row, source) for source in bad)
                        and (at is job or any(not is_before(row, first) for first in at.rows))
                    ]
                    found |= {goods.item for row in after for goods in row.event.outputs}
                    # What is touched on one line takes it along to the others that it names.
                    further = [(other, one) for one in other.lines - {None, line} if is_named and after]
                    pending += [one for one in further if one not in seen]
                    seen += further
        return found

    @property
    def is_plain(self) -> bool:
        """Whether one member told of each run."""
        return all(len({row.member for row in job.rows}) == 1 for job in self.jobs)

    def _is_on(self, job: Job, line: str | None) -> bool:
        return line is None or line in job.lines or None in job.lines

    def _past(self, job: Job, line: str | None, *, is_cleaned: bool, resident: bool) -> list[EventRow]:
        """Return the events of all runs that must be over before a cleaning ends the contact."""
        past, jobs = list(job.rows), [job]
        while True:
            more = [
                other
                for other in self.jobs
                if other.is_long
                and other not in jobs
                and self._is_on(other, line)
                and self._may_begin(past, other, line, is_named=False, is_cleaned=is_cleaned, resident=resident)
            ]
            if not more:
                return past
            jobs += more
            past += [row for other in more for row in other.rows]

    def _may_begin(
        self,
        past: list[EventRow],
        other: Job,
        line: str | None,
        *,
        is_named: bool,
        is_cleaned: bool,
        resident: bool,
    ) -> bool:
        """Return whether some event of a run may have been before the contact of these events ended."""
        ends = [
            one
            for one in self.cleanings
            if one.event.read_point in (None, line) and all(is_before(row, one) for row in past)
        ]
        is_after_cleaning = bool(ends) and all(any(is_before(end, row) for end in ends) for row in other.rows)
        if is_cleaned and ends:
            return not is_after_cleaning
        if is_named or resident:
            return True
        in_window = any(
            row.event.time.lo_ms
            <= READINGS.contact_window_ms
            + max(one.event.time.hi_ms + READINGS.slack_ms(one.member, row.member) for one in past)
            for row in other.rows
        )
        return in_window or (bool(ends) and not is_after_cleaning)


def is_before(row: EventRow, other: EventRow) -> bool:
    slack_ms = 0 if row.member == other.member else 2 * READINGS.clock_tolerance_ms
    return row.event.time.hi_ms + slack_ms < other.event.time.lo_ms


@pytest.mark.parametrize(
    ("hazard", "resident"), [(Hazard.ALLERGEN, False), (Hazard.MICROBE, True), (Hazard.UNKNOWN, False)]
)
def test_contact_reaches_what_a_look_at_every_pair_of_runs_reaches(hazard: Hazard, *, resident: bool) -> None:
    """No less; and no more but of bad runs themselves, where one member told of each run.

    Of a run that several told of, the earliest begin by any clock counts.
    """
    missed, extra, touched = {}, {}, 0
    for seed in range(PLANTS):
        plant = Plant(seed)
        expected = plant.touched(hazard, resident=resident)
        asked = Asked(plant.story, Seed(item=BAD), hazard=hazard, resident=resident)
        reached = {one.item for one in asked.scope.reached} - {BAD, "urn:machine:1"}
        own = {
            goods.item
            for job in plant.jobs
            if any(goods.item == BAD for row in job.rows for goods in row.event.inputs)
            for row in job.rows
            for goods in row.event.outputs
        }
        touched += len(expected - own)
        if expected - reached:
            missed[seed] = expected - reached
        if plant.is_plain and reached - expected - own:
            extra[seed] = reached - expected - own
    assert not missed
    assert not extra
    assert touched > PLANTS
