"""A stated time becomes the interval in which the event can have been."""

import pytest

from node.epcis.times import DAY_MS, HOUR_MS, read_instant, read_interval, read_offset

NOON = 1_764_072_000_000  # 2025-11-25T12:00:00Z


@pytest.mark.parametrize(
    ("text", "zone", "lo_ms", "hi_ms"),
    [
        ("2025-11-25T12:00:00Z", None, NOON, NOON),
        ("2025-11-25t12:00:00z", "-04:00", NOON, NOON),
        ("2025-11-25T12:00:00.0019-00:00", None, NOON + 1, NOON + 1),
        ("2025-11-25T13:00:00+01:00", "-05:00", NOON, NOON),
        ("2025-11-25T06:30:00.5-05:30", None, NOON + 500, NOON + 500),
        ("2025-11-25T13:00:00", "+01:00", NOON, NOON),
        ("2025-11-25T12:00:00", "Z", NOON, NOON),
        ("2025-11-25T00:00:00+01:00", None, NOON - 13 * HOUR_MS, NOON + 11 * HOUR_MS - 1),
        ("2025-11-25T00:00:00.001+01:00", None, NOON - 13 * HOUR_MS + 1, NOON - 13 * HOUR_MS + 1),
        ("2025-11-25T00:00:00.0001+01:00", None, NOON - 13 * HOUR_MS, NOON - 13 * HOUR_MS),
        ("2025-11-25T00:00:00.000Z", None, NOON - 26 * HOUR_MS, NOON + DAY_MS - 1),
        ("2025-11-25T00:00:00+00:00", None, NOON - 26 * HOUR_MS, NOON + DAY_MS - 1),
        ("2025-11-25T00:00:00", "+01:00", NOON - 13 * HOUR_MS, NOON + 11 * HOUR_MS - 1),
        ("2025-11-25T11:59:60Z", None, NOON, NOON),
    ],
)
def test_a_time_is_a_point_a_day_or_a_date_of_unsure_zone(text: str, zone: str | None, lo_ms: int, hi_ms: int) -> None:
    """A point but for midnight; the zone field counts only where the time has no offset of its own."""
    interval = read_interval(text, zone)
    assert (interval.lo_ms, interval.hi_ms) == (lo_ms, hi_ms)


@pytest.mark.parametrize(
    ("text", "zone"),
    [
        ("", None),
        ("2025-11-25", None),
        ("2025-11-25 12:00:00Z", None),
        ("2025-11-25T12:00Z", None),
        ("2025-02-30T12:00:00Z", None),
        ("2025-13-01T12:00:00Z", None),
        ("2025-11-25T24:00:00Z", None),
        ("2025-11-25T12:60:00Z", None),
        ("2025-11-25T12:00:61Z", None),
        ("2025-11-25T12:00:00+24:00", None),
        ("2025-11-25T12:00:00+01:60", None),
        ("2025-11-25T12:00:00+0100", None),
        ("1970-12-31T12:00:00Z", None),
        ("3000-01-01T00:00:00Z", None),
        ("0000-01-01T00:00:00Z", None),
        ("٢٠٢٥-11-25T12:00:00Z", None),
        ("2025-11-25T12:00:00Z\n", None),
        ("2025-11-25T12:00:00", None),
        ("2025-11-25T12:00:00", "1:00"),
    ],
)
def test_what_is_no_time_is_refused(text: str, zone: str | None) -> None:
    """Only RFC 3339 counts, in years that goods are from; a time without any offset says nothing."""
    with pytest.raises(ValueError, match=r"."):
        read_interval(text, zone)


def test_offsets_are_minutes() -> None:
    """East is positive."""
    assert (read_offset("+05:30"), read_offset("-00:30"), read_offset("z")) == (330, -30, 0)
    assert read_instant("2025-11-25T12:00:00").offset_minutes is None
