"""Durations and their growth."""

import pytest

from consensus.errors import InvariantError
from consensus.timing import WAN, Timing, growth
from consensus.types import View


@pytest.mark.parametrize(
    ("view", "final", "count", "factor"),
    [
        (1, 0, 4, 1),
        (3, 0, 4, 1),
        (4, 0, 4, 2),
        (7, 0, 4, 4),
        (10, 0, 4, 8),
        (1000000, 0, 4, 8),
        (5, 9, 4, 1),
        (4, 0, 7, 1),
        (5, 0, 7, 2),
        (3, 0, 1, 2),
    ],
)
def test_time_grows_in_powers_of_two_up_to_a_cap(view: int, final: int, count: int, factor: int) -> None:
    """It stays 1 with f dead leaders in a row, and an outage of any length ends with at most 8."""
    assert growth(view=View(view), final_view=View(final), validator_count=count) == factor


def test_defaults_are_consistent() -> None:
    """Both sets pass their own checks."""
    assert Timing().propose_ms < WAN.propose_ms


@pytest.mark.parametrize(
    "changes",
    [
        {"propose_ms": 0},
        {"advance_ms": 1_000},
        {"block_ms": 500},
        {"retry_ms": 9_000},
        {"tail_ms": 0},
        {"status_ms": 3},
        {"clock_skew_ms": -1},
        {"skip_ms": 1_600},
        {"skip_ms": 5_999},
    ],
)
def test_durations_that_defeat_one_another_are_refused(changes: dict[str, int]) -> None:
    """A skip limit below the status period, say, would skip honest leaders."""
    with pytest.raises(InvariantError):
        Timing(**changes)
