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


@pytest.mark.parametrize(
    ("count", "missing", "absent", "words"),
    [
        (7, False, ("mill",), "mill not connected here: 1 more may fail"),
        (4, False, ("mill",), "mill not connected here: no other may fail"),
        (4, True, ("mill",), "mill not connected here: too many may be down to go on"),
        (4, False, ("mill", "shop"), "mill, shop not connected here: too many may be down to go on"),
    ],
)
def test_who_is_missing_already_counts(count: int, missing: bool, absent: tuple[str, ...], words: str) -> None:
    """Else one reads that one may be stopped while one is."""
    assert describe_tolerance(count, is_one_missing=missing, not_connected=absent).endswith(words)
