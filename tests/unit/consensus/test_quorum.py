"""Quorum arithmetic."""

import pytest

from consensus.errors import InvariantError
from consensus.quorum import faulty_max, quorum_size


@pytest.mark.parametrize(
    ("count", "quorum"),
    [
        (1, 1),
        (2, 2),
        (3, 3),
        (4, 3),
        (5, 4),
        (6, 5),
        (7, 5),
        (8, 6),
        (9, 7),
        (10, 7),
        (13, 9),
        (16, 11),
        (20, 14),
        (25, 17),
        (31, 21),
        (50, 34),
    ],
)
def test_a_quorum_is_all_but_the_faulty(count: int, quorum: int) -> None:
    """Written out: another project had a formula that was right for 3f + 1 only."""
    assert quorum_size(count) == quorum


def test_two_quorums_share_an_honest_validator() -> None:
    """Castro and Liskov: any two of them overlap in at least f + 1."""
    for count in range(1, 65):
        assert 2 * quorum_size(count) - count >= faulty_max(count) + 1
        assert quorum_size(count) <= count - faulty_max(count)


def test_an_empty_set_is_a_bug_of_ours() -> None:
    """Raised types have a test."""
    with pytest.raises(InvariantError, match="at least one"):
        quorum_size(0)
