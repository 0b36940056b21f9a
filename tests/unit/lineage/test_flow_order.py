"""node/lineage/flow_order: what some goods may have been before, without looking at all that lies upstream."""

import random
from types import SimpleNamespace
from typing import cast

import pytest

from node.lineage.flow_order import FlowOrder, find_loops
from node.lineage.spread import Spread
from node.lineage.spread_graph import Edge, Link


def _order(count: int, pairs: list[tuple[int, int]]) -> FlowOrder:
    edges = [Edge(source, target, None, None, Link.FACT) for source, target in pairs]
    out = [[number for number, edge in enumerate(edges) if edge.source == vertex] for vertex in range(count)]
    graph = SimpleNamespace(vertices=[None] * count, edges=edges, out=out)
    return FlowOrder(cast(Spread, SimpleNamespace(graph=graph, seeds={})), touch=True)


def _upstream(pairs: list[tuple[int, int]], numbers: list[int]) -> set[int]:
    found: set[int] = set()
    pending = list(numbers)
    while pending:
        here = pending.pop()
        for source, target in pairs:
            if target == here and source not in found:
                found.add(source)
                pending.append(source)
    return found


@pytest.mark.parametrize("seed", range(60))
def test_which_of_some_goods_lie_upstream_of_others_is_what_a_whole_walk_finds(seed: int) -> None:
    """In graphs with loops, and without."""
    chance = random.Random(seed)
    count = chance.randint(2, 25)
    pairs = [(chance.randrange(count), chance.randrange(count)) for _ in range(chance.randint(1, 2 * count))]
    if seed % 2:
        pairs = [(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]]
    some = chance.sample(range(count), k=chance.randint(1, min(count, 6)))
    order = _order(count, pairs)
    assert order.upstream_of(some) & set(some) == _upstream(pairs, some) & set(some)
    assert sorted(order.order()) == list(range(count))


def test_what_lies_before_the_first_of_some_goods_is_not_gone_through() -> None:
    """A chain of 10,000 is not walked for two that stand side by side at its end."""
    count = 10_000
    order = _order(count, [(number, number + 1) for number in range(count - 1)])
    assert order.upstream_of([count - 2, count - 1]) == {count - 2}


def test_loops_are_what_leads_back_to_itself() -> None:
    loops, rank = find_loops([[1], [2], [0, 3], []])
    assert loops == {0, 1, 2}
    assert rank[3] < rank[0] == rank[1] == rank[2]
