"""Saying in the log what a node waits for: when it begins, when that changes, and when it is over."""

from typing import Final

from node.telemetry.logs import get_logger

SETTLING_MS: Final = 3_000
"""After a start, before anything is said: sessions come up meanwhile."""
CHANGED_WORDS_MS: Final = 15_000
"""Between two lines that say what is waited for: a number in the words may change every second."""

_log = get_logger("app")


class WaitingLog:
    """Writes a line when there is something new to say. now_ms: monotonic, of the start."""

    def __init__(self, now_ms: int) -> None:
        self._said: tuple[str, ...] = ()
        self._not_before_ms = now_ms + SETTLING_MS

    def note(self, waiting_for: tuple[str, ...], now_ms: int) -> None:
        """Take note of what the node waits for now, in words; empty: nothing."""
        if waiting_for == self._said or (waiting_for and now_ms < self._not_before_ms):
            return
        self._said, self._not_before_ms = waiting_for, now_ms + CHANGED_WORDS_MS
        if waiting_for:
            _log.info("waiting", on="; ".join(waiting_for))
        else:
            _log.info("waiting is over")
