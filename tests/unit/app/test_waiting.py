"""What a node waits for is said once, again when it changes, and when it is over; never every second."""

import structlog

from node.app.waiting import CHANGED_WORDS_MS, SETTLING_MS, WaitingLog


def said(*notes: tuple[int, tuple[str, ...]]) -> list[str | None]:
    """What is logged of these notes: the words, or None for the end of waiting."""
    log = WaitingLog(0)
    with structlog.testing.capture_logs() as logs:
        for now_ms, words in notes:
            log.note(words, now_ms)
    return [each.get("on") for each in logs]


def test_nothing_is_said_while_sessions_come_up() -> None:
    """A node that starts lacks everything for a moment."""
    assert said((0, ("peers",)), (SETTLING_MS - 1, ("peers",)), (SETTLING_MS, ())) == []
    assert said((SETTLING_MS, ("peers",))) == ["peers"]


def test_words_that_change_every_second_are_said_now_and_then() -> None:
    """A node that catches up counts blocks."""
    notes = [(SETTLING_MS + 1_000 * second, (f"block {second}",)) for second in range(31)]
    assert said(*notes) == ["block 0", "block 15", "block 30"]
    assert CHANGED_WORDS_MS == 15_000


def test_the_end_of_waiting_is_said_at_once_and_once() -> None:
    """And a new beginning, too, is not said before its time."""
    begins = SETTLING_MS
    assert said((begins, ("a", "b")), (begins + 1, ()), (begins + 2, ())) == ["a; b", None]
    assert said((begins, ("a",)), (begins + 1, ()), (begins + 2, ("a",)), (begins + 15_001, ("a",))) == ["a", None, "a"]
