"""Whether our wall clock is far from those of the other validators."""

import statistics
from typing import Final

from node.wire.ids import MemberId

ALARM_PAUSE_MS: Final = 3_600_000

LASTING_MS: Final = 10_000
"""A process that slept reads old clocks first: only what lasts longer than a few statuses is the clock's doing."""


class Clocks:
    """How far the others' clocks are from ours, by their last status."""

    def __init__(self, *, skew_ms: int) -> None:
        """skew_ms: how far ahead of a voter's clock a block may be dated."""
        self._skew_ms = skew_ms
        self._ahead_ms: dict[MemberId, int] = {}
        self._off_since_ms: int | None = None
        self._alarmed_ms: int | None = None

    def note(self, member: MemberId, clock_ms: int, *, wall_ms: int, now_ms: int) -> str | None:
        """Take a validator's clock; return an alarm if ours has been off for a while, at most once an hour."""
        self._ahead_ms[member] = clock_ms - wall_ms
        median_ms = statistics.median_low([0, *self._ahead_ms.values()])
        if 2 * abs(median_ms) <= self._skew_ms:
            self._off_since_ms = None
            return None
        if self._off_since_ms is None:
            self._off_since_ms = now_ms
        if now_ms < self._off_since_ms + LASTING_MS:
            return None
        if self._alarmed_ms is not None and now_ms < self._alarmed_ms + ALARM_PAUSE_MS:
            return None
        self._alarmed_ms = now_ms
        where = "behind" if median_ms > 0 else "ahead of"
        return f"our clock is {abs(median_ms)} ms {where} the median of the validators: check time synchronisation"
