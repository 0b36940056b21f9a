"""A search by jumps finds exactly what a look at every code would."""

from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st

from node.lineage.near import Looks, explain, read_pattern, walk_near

SIGNS = st.sampled_from("AB01OIL2ZS5ÄŻ𝟘")
NAMES = st.lists(st.text(SIGNS, min_size=1, max_size=8), max_size=60)
READ = st.text(st.one_of(SIGNS, st.sampled_from("?*")), min_size=1, max_size=8)


@given(names=NAMES, read=READ, edits_max=st.integers(0, 3))
def test_the_walk_finds_what_a_full_look_finds(names: list[str], read: str, edits_max: int) -> None:
    """Each near name, once, in order, with its distance; and no other."""
    table = sorted(set(names))
    pattern = read_pattern(read)

    def next_name(at: str) -> str | None:
        place = bisect_left(table, at)
        return table[place] if place < len(table) else None

    found = list(walk_near(next_name, pattern, edits_max=edits_max, looks=Looks(10**6)))
    wanted = [(explain(pattern, name)[0], name) for name in table]
    assert found == [one for one in wanted if one[0] <= edits_max]


@given(read=READ, name=st.text(SIGNS, max_size=8))
def test_an_explanation_names_as_many_misreads_as_it_counts(read: str, name: str) -> None:
    """Look-alikes beside them."""
    distance, differences = explain(read_pattern(read), name)
    assert sum(one.kind != "look_alike" for one in differences) == distance
