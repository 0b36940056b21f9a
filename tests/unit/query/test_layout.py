"""node/query/layout: where boxes stand and arrows run."""

import random
from itertools import pairwise

import pytest

from node.query.layout import lay_out

GAP = 10


def test_goods_flow_one_way() -> None:
    """Each vertex stands behind all that it came from; a source just before what it went into."""
    layout = lay_out([20] * 5, [(0, 1), (1, 2), (3, 2), (2, 4)], gap=GAP, thin=4)
    assert layout.layer == (0, 1, 2, 1, 3)


def test_a_cycle_is_drawn_with_one_arrow_back() -> None:
    """Rework goes round; a vertex that goes into itself has a loop."""
    layout = lay_out([20] * 3, [(0, 1), (1, 2), (2, 0), (1, 1)], gap=GAP, thin=4)
    assert layout.layer == (0, 1, 2)
    assert [chain[0][0] < chain[-1][0] for chain in layout.chains] == [True, True, False, False]
    assert len(layout.chains[3]) == 1


def test_crossings_are_undone() -> None:
    """Two pairs that would cross are put side by side."""
    layout = lay_out([20] * 4, [(0, 3), (1, 2)], gap=GAP, thin=4)
    assert (layout.place[0] < layout.place[1]) == (layout.place[3] < layout.place[2])


def test_the_same_graph_is_the_same_picture() -> None:
    """At every node."""
    edges = [(number, (number * 7) % 40) for number in range(40)]
    assert lay_out([20] * 40, edges, gap=GAP, thin=4) == lay_out([20] * 40, list(edges), gap=GAP, thin=4)


@pytest.mark.parametrize("seed", range(12))
def test_nothing_overlaps_and_every_arrow_reaches_its_boxes(seed: int) -> None:
    """Whatever the graph: cycles, loops, repeated arrows, boxes of any size."""
    chance = random.Random(seed)
    count = chance.randint(1, 40)
    sizes = [chance.randint(5, 90) for _ in range(count)]
    edges = [(chance.randrange(count), chance.randrange(count)) for _ in range(chance.randint(0, 90))]
    layout = lay_out(sizes, edges, gap=GAP, thin=4)
    for layer in set(layout.layer):
        spans = sorted(
            (layout.place[one] - sizes[one] // 2, layout.place[one] + sizes[one] // 2)
            for one in range(count)
            if layout.layer[one] == layer
        )
        assert all(before[1] <= after[0] for before, after in pairwise(spans))
    for (source, target), chain in zip(edges, layout.chains, strict=True):
        assert chain[0] == (layout.layer[source], layout.place[source])
        assert chain[-1] == (layout.layer[target], layout.place[target])
        assert all(abs(one[0] - two[0]) == 1 for one, two in pairwise(chain))


def test_nothing_is_laid_out_as_nothing() -> None:
    """An empty graph has an empty layout."""
    assert lay_out([], [], gap=GAP, thin=4).layer == ()
