"""What a network survives, in words."""

import pytest

from node.app.tolerance import describe_tolerance


@pytest.mark.parametrize(
    ("count", "words"),
    [(1, "no fault tolerance"), (2, "no fault tolerance"), (3, "no fault tolerance"), (4, "any 1 of"), (7, "any 2 of")],
)
def test_fault_tolerance_is_said_as_it_is(count: int, words: str) -> None:
    """f = (n - 1) // 3; none below four."""
    assert words in describe_tolerance(count)
