"""A dead or hostile peer cannot fill the log."""

import pytest
import structlog

from node.p2p.errors import Refusal
from node.p2p.faults import FaultLog, clean_text
from node.wire.ids import MemberId

ALPHA = MemberId("alpha")


def test_the_same_fault_is_logged_ever_more_rarely() -> None:
    """Once, then after a minute, then after two, with how many were passed over."""
    faults = FaultLog()
    with structlog.testing.capture_logs() as logs:
        for second in range(0, 200, 10):
            faults.note(ALPHA, Refusal.LOST, "connection refused", second * 1000)
    assert [entry["suppressed"] for entry in logs] == [0, 5, 11]


def test_another_reason_or_peer_is_news() -> None:
    """Only the same is passed over."""
    faults = FaultLog()
    with structlog.testing.capture_logs() as logs:
        faults.note(ALPHA, Refusal.LOST, "gone", 0)
        faults.note(ALPHA, Refusal.IDLE, "silent", 0)
        faults.note(MemberId("beta"), Refusal.LOST, "gone", 0)
        faults.note(None, Refusal.LOST, "gone", 0)
    assert len(logs) == 4


def test_a_fault_after_recovery_is_news() -> None:
    """The operator should see that it has begun again."""
    faults = FaultLog()
    with structlog.testing.capture_logs() as logs:
        faults.note(ALPHA, Refusal.IDLE, "silent", 0)
        faults.forget(ALPHA)
        faults.note(ALPHA, Refusal.IDLE, "silent", 1)
    assert len(logs) == 2


@pytest.mark.parametrize(
    ("reason", "level"),
    [(Refusal.MALFORMED, "warning"), (Refusal.TIMEOUT, "info"), (Refusal.STOPPED, "debug")],
)
def test_misbehaviour_warns_and_daily_life_does_not(reason: Refusal, level: str) -> None:
    """A healthy network logs a few lines an hour."""
    with structlog.testing.capture_logs() as logs:
        FaultLog().note(ALPHA, reason, "x", 0)
    assert logs[0]["log_level"] == level


def test_text_that_a_peer_had_a_hand_in_loses_its_control_characters() -> None:
    """No forged lines, no terminal commands, no walls of text."""
    assert clean_text("a\nb\x1b[31m") == "a?b?[31m"
    assert len(clean_text("x" * 10_000)) == 300
