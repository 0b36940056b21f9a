"""Whether our wall clock is far from those of the other validators."""

import statistics
from typing import Final

from node.wire.ids import MemberId

ALARM_PAUSE_MS: Final = 3_600_000


class Clocks:
    """How far the others' clocks are from ours, by their last status."""

    def __init__(self, *, skew_ms: int) -> None:
        """skew_ms: how far ahead of a voter's clock a block may be dated."""
        self._skew_ms = skew_ms
        self._ahead_ms: dict[MemberId, int] = {}
        self._alarmed_ms: int | None = None

    def note(self, member: MemberId, clock_ms: int, *, wall_ms: int, now_ms: int) -> str | None:
        """Take a validator's clock; return an alarm if ours is off, at most once an hour."""
        self._ahead_ms[member] = clock_ms - wall_ms
        median_ms = statistics.median_low([0, *self._ahead_ms.values()])
        if 2 * abs(median_ms) <= self._skew_ms:
            return None
        if self._alarmed_ms is not None and now_ms < self._alarmed_ms + ALARM_PAUSE_MS:
            return None
        self._alarmed_ms = now_ms
        where = "behind" if median_ms > 0 else "ahead of"
        return f"our clock is {abs(median_ms)} ms {where} the median of the validators: check time synchronisation"
