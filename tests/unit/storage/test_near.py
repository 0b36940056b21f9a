"""How far apart two codes are."""

import pytest

from node.storage.near import distance, prefixes_to_scan


@pytest.mark.parametrize(
    ("left", "right", "wanted"),
    [
        ("LOT12", "LOT12", 0),
        ("LOT12", "LOT13", 1),
        ("LOT12", "LOT1", 1),
        ("LOT12", "LOT112", 1),
        ("LOT12", "LOT21", 1),
        ("LOT12", "TOL12", 2),
        ("ABC", "XYZ", 3),
        ("ABCD", "WXYZ", 4),
        ("LOT12", "LOT12345678", 4),
        ("A", "BCDEFGH", 4),
    ],
)
def test_the_distance_counts_changes_up_to_its_cap(left: str, right: str, wanted: int) -> None:
    """Changed, added, left out, or swapped with the neighbour; far is far."""
    assert distance(left, right) == wanted
    assert distance(right, left) == wanted


def test_beginnings_go_down_to_half() -> None:
    """One wrong sign leaves one half intact."""
    assert prefixes_to_scan("ABCDEF") == ["ABCDEF", "ABCDE", "ABCD", "ABC", "AB"]
    assert prefixes_to_scan("A") == ["A"]
