"""A clock that moves when a test says so."""

from tests.support.networks import CREATED_MS


class FixedClock:
    """Shows `now_ms` on both its faces."""

    def __init__(self, now_ms: int = CREATED_MS) -> None:
        self.now_ms = now_ms

    def wall_ms(self) -> int:
        """Return Unix milliseconds."""
        return self.now_ms

    def monotonic_ms(self) -> int:
        """Return the same."""
        return self.now_ms
