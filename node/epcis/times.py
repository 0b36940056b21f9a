"""Times as events state them: RFC 3339 text to milliseconds, and to the interval in which the event can have been.

Sources: RFC 3339 §5.6; EPCIS 2.0 §7.3.1 (eventTime); ADR on time as an interval. No clock is read here.
"""

import re
from datetime import date
from functools import lru_cache
from typing import Final, NamedTuple

from node.epcis.model import Interval

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
YEAR_MIN: Final = 1971
YEAR_MAX: Final = 2999
"""Outside these years a time is a slip of the pen; inside, every end of an interval fits 63 bits and is positive."""

EAST_MS: Final = 14 * HOUR_MS
WEST_MS: Final = 12 * HOUR_MS

_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_TIME: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"([Zz]|([+-])([0-9]{2}):([0-9]{2}))?"
)
_OFFSET: Final = re.compile(r"([+-])([0-9]{2}):([0-9]{2})|[Zz]")


class Instant(NamedTuple):
    """A time as stated. ms: Unix milliseconds, cut to the millisecond. offset_minutes: None if none was stated."""

    ms: int
    offset_minutes: int | None
    is_midnight: bool


@lru_cache(maxsize=4096)
def _day_ms(text: str) -> int:
    day = date(int(text[:4]), int(text[5:7]), int(text[8:]))
    if not YEAR_MIN <= day.year <= YEAR_MAX:
        raise ValueError(f"the year is not {YEAR_MIN} … {YEAR_MAX}")
    return (day.toordinal() - _EPOCH_DAY) * DAY_MS


def _offset_minutes(sign: str, hours: str, minutes: str) -> int:
    total = int(hours) * 60 + int(minutes)
    if int(hours) > 23 or int(minutes) > 59:
        raise ValueError("the offset is not -23:59 … +23:59")
    return -total if sign == "-" else total


def read_instant(text: str) -> Instant:
    """Return the time in `text`; without an offset it is taken as UTC. Raises ValueError with the reason."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError("not of the form 2026-11-25T08:30:00+01:00")
    day, hour_text, minute_text, second_text, fraction, zone, sign, offset_hours, offset_minutes = found.groups()
    hour, minute, second = int(hour_text), int(minute_text), int(second_text)
    if hour > 23 or minute > 59 or second > 60:  # 60 is a leap second.
        raise ValueError("there is no such time of day")
    clock_ms = ((hour * 60 + minute) * 60 + second) * 1000
    if fraction is not None:
        clock_ms += int((fraction + "00")[:3])
    is_midnight = clock_ms == 0 and not (fraction or "").strip("0")
    if zone is None:
        offset = None
    elif sign is None:
        offset = 0
    else:
        offset = _offset_minutes(sign, offset_hours, offset_minutes)
    return Instant(_day_ms(day) + clock_ms - (offset or 0) * 60_000, offset, is_midnight)


def read_offset(text: str) -> int:
    """Return the minutes in an offset such as `+01:00` or `Z`. Raises ValueError with the reason."""
    found = _OFFSET.fullmatch(text)
    if found is None:
        raise ValueError("not of the form +01:00")
    return 0 if found[1] is None else _offset_minutes(found[1], found[2], found[3])


def read_interval(text: str, zone: str | None) -> Interval:
    """Return when an event can have happened that states `text` as its time. Raises ValueError with the reason.

    zone: the event's eventTimeZoneOffset, which counts only if `text` has no offset of its own.
    """
    instant = read_instant(text)
    lo_ms, offset = instant.ms, instant.offset_minutes
    if offset is None:
        if zone is None:
            raise ValueError("there is no offset from UTC, neither here nor in eventTimeZoneOffset")
        offset = read_offset(zone)
        lo_ms -= offset * 60_000
    if not instant.is_midnight:
        return Interval(lo_ms, lo_ms)
    if offset == 0:
        # Systems that store a bare date write midnight UTC: then it is the date of any zone.
        return Interval(lo_ms - EAST_MS, lo_ms + DAY_MS + WEST_MS - 1)
    return Interval(lo_ms, lo_ms + DAY_MS - 1)
