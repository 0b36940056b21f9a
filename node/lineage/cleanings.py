"""The cleanings of lines and vessels near a time, each stretch read once for one question."""

from typing import Final, NamedTuple

from node.epcis.identifiers import site_of
from node.lineage.indexing import equipment_in
from node.lineage.readings import Readings
from node.lineage.records import EventRow, PostingKind
from node.lineage.timeline import ANY_TIME, Timeline, Timelines

LINE_MS: Final = 168 * 3_600_000
"""How long before a run's event a cleaning is looked for."""
_WIDEST_MS: Final = 96 * 3_600_000
"""No time that an event states is wider, but for those that exclude nothing: they are left out."""
_DAY_MS: Final = 24 * 3_600_000


class Cleaned(NamedTuple):
    """Cleanings in order of time. verified: of a line or of all its site; failed: of that very line.

    countered: content digests of those that another member declared void.
    """

    verified: tuple[EventRow, ...]
    failed: tuple[EventRow, ...]
    countered: frozenset[bytes]


def reach_of(row: EventRow, readings: Readings) -> tuple[int, int] | None:
    """Return from when until when runs begin that a cleaning may say something of; None for what is none."""
    event = row.event
    if event.time is ANY_TIME or not (readings.is_cleaning(event) or readings.is_failed_cleaning(event)):
        return None
    slack_ms = 2 * readings.clock_tolerance_ms
    return event.time.lo_ms - slack_ms, event.time.hi_ms + LINE_MS + slack_ms


class Cleanings:
    """Cleanings for one question."""

    def __init__(self, timelines: Timelines, readings: Readings) -> None:
        self._timelines = timelines
        self._readings = readings
        self._read: dict[tuple[str, int, int], Cleaned] = {}

    def of_line(self, line: str, *, from_ms: int, to_ms: int) -> Cleaned:
        """Return the cleanings that may have been from a week before from_ms until to_ms, and some around them."""
        slack_ms = 2 * self._readings.clock_tolerance_ms
        first = (from_ms - LINE_MS - _WIDEST_MS - slack_ms) // _DAY_MS
        last = (to_ms + slack_ms) // _DAY_MS
        found = self._read.get((line, first, last))
        if found is None:
            stretches = [self._at(place, first, last) for place in dict.fromkeys((line, site_of(line)))]
            rows = [row for one in stretches for row, _role in one.entries if row.event.time is not ANY_TIME]
            rows.sort(key=by_time)
            failed = [row for row in rows if equipment_in(row.event) == line]
            found = self._read[line, first, last] = Cleaned(
                tuple([row for row in rows if self._readings.is_cleaning(row.event)]),
                tuple([row for row in failed if self._readings.is_failed_cleaning(row.event)]),
                frozenset[bytes]().union(*[one.countered for one in stretches]),
            )
        return found

    def _at(self, place: str, first_day: int, last_day: int) -> Timeline:
        from_ms, to_ms = first_day * _DAY_MS, (last_day + 1) * _DAY_MS - 1
        return self._timelines.settled(
            self._timelines.filed_within(PostingKind.JUDGED, place, from_ms=from_ms, to_ms=to_ms)
        )


def by_time(row: EventRow) -> tuple[int, bytes]:
    """Return what events are put in order by: the earliest that they can have happened, then their content."""
    return row.event.time.lo_ms, row.event.event_digest
