"""How far apart two codes are, and finding the near ones of many."""

from bisect import bisect_left

import pytest

from node.lineage.near import Difference, Looks, explain, fold_code, read_pattern, walk_near


def near(names: list[str], pattern: str, *, edits_max: int, looks: int = 10**6) -> list[tuple[int, str]]:
    def next_name(at: str) -> str | None:
        place = bisect_left(names, at)
        return names[place] if place < len(names) else None

    return list(walk_near(next_name, pattern, edits_max=edits_max, looks=Looks(looks)))


@pytest.mark.parametrize(
    ("read", "code", "wanted"),
    [
        ("LOT12", "LOT12", 0),
        ("LOT12", "LOT13", 1),
        ("LOT12", "LOT1", 1),
        ("LOT12", "LOT112", 1),
        ("LOT12", "LOT21", 1),
        ("LOT12", "TOL12", 2),
        ("L0T1Z", "LOTI2", 0),
        ("5G8", "S6B", 0),
        ("?OT12", "LOT12", 0),
        ("L??12", "LOT12", 0),
        ("LOT*", "LOT12", 0),
        ("*12", "LOT12", 0),
        ("L*2", "LOT12", 0),
        ("L*3", "LOT12", 1),
        ("ABC", "XYW", 3),
    ],
)
def test_the_distance_counts_what_is_no_look_alike(read: str, code: str, wanted: int) -> None:
    """Changed, added, left out, or swapped with the neighbour; what could not be read counts for nothing."""
    assert explain(read, code)[0] == wanted


def test_each_character_that_was_misread_is_named() -> None:
    """A person compares it with the label."""
    assert explain("L0T1", "LOT1") == (0, (Difference("look_alike", 2, "0", "O"),))
    assert explain("XOT1", "LOT1") == (1, (Difference("other", 1, "X", "L"),))
    assert explain("OT1", "LOT1") == (1, (Difference("missing", 1, "", "L"),))
    assert explain("LLOT", "LOT")[1][0].kind == "extra"
    assert explain("OLT", "LOT") == (1, (Difference("swapped", 1, "OL", "LO"),))


def test_a_misread_first_character_is_found() -> None:
    """Nothing has to be intact for a code to be found."""
    assert near(["AB-1", "LOT1", "ZZZ"], "XOT1", edits_max=1) == [(1, "LOT1")]


def test_a_search_ends_when_its_looks_are_spent_and_says_so() -> None:
    """Never silently: the rest may hold the one that was meant."""
    looks = Looks(10)
    names = [f"A{number:05d}" for number in range(1_000)]

    def next_name(at: str) -> str | None:
        place = bisect_left(names, at)
        return names[place] if place < len(names) else None

    found = list(walk_near(next_name, "A?????", edits_max=0, looks=looks))
    assert len(found) == 10
    assert looks.spent_out


def test_looks_follow_the_neighbourhood_and_not_the_table() -> None:
    """A hundred times as many codes cost no more."""
    names = [f"L{number:06d}" for number in range(100_000)]
    looks = Looks(10**6)

    def next_name(at: str) -> str | None:
        place = bisect_left(names, at)
        return names[place] if place < len(names) else None

    assert (1, "L012345") in list(walk_near(next_name, "X012345", edits_max=1, looks=looks))
    assert 10**6 - looks.left < 500


def test_a_pattern_keeps_letters_digits_and_what_could_not_be_read() -> None:
    """Separators are often misread, and often not in the code at all."""
    assert read_pattern("lot-1? / **7") == "LOT1?*7"
    assert fold_code("lot-1 / 7") == "LOT17"
    assert len(read_pattern("A" * 1_000)) == 64


def test_a_long_pattern_uses_up_its_looks_sooner() -> None:
    """A text of many unreadable characters is no way to keep a node busy."""
    looks = Looks(1_000)
    names = [f"https://id.gs1.org/01/09521102000046/10/L{number:06d}" for number in range(5_000)]

    def next_name(at: str) -> str | None:
        place = bisect_left(names, at)
        return names[place] if place < len(names) else None

    assert list(walk_near(next_name, "?" * 160, edits_max=2, looks=looks)) == []
    assert looks.spent_out
    looks = Looks(1_000)
    assert len(list(walk_near(next_name, names[7].upper(), edits_max=1, looks=looks))) > 1
    assert not looks.spent_out
