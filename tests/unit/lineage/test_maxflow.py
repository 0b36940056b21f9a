"""node/lineage/maxflow: the value of a maximum flow, exactly, as often as one asks."""

from node.lineage.maxflow import Network


def build_diamond() -> Network:
    network = Network(4)
    for tail, head, capacity in ((0, 1, 3), (0, 2, 2), (1, 3, 2), (2, 3, 4), (1, 2, 5)):
        network.add(tail, head, capacity)
    return network


def test_flow_takes_a_way_round_a_full_arc() -> None:
    """2 by the one side, 1 across, 2 by the other."""
    assert build_diamond().flow([(0, 9)], [(3, 9)]) == 5


def test_flow_is_bounded_by_source_and_sink() -> None:
    """And asking leaves nothing behind."""
    network = build_diamond()
    assert network.flow([(0, 1)], [(3, 9)]) == 1
    assert network.flow([(0, 9)], [(3, 4)]) == 4
    assert network.flow([(1, 9), (2, 9)], [(3, 9)]) == 6
    assert network.flow([(0, 9)], [(3, 9)]) == 5


def test_flow_on_a_loop_is_finite() -> None:
    """A loop carries nothing from nowhere."""
    network = Network(3)
    for tail, head in ((0, 1), (1, 0), (1, 2)):
        network.add(tail, head, 7)
    assert network.flow([(0, 3)], [(2, 9)]) == 3
    assert network.flow([], [(2, 9)]) == 0


def test_amounts_of_27_digits_are_exact() -> None:
    """What no floating-point number holds."""
    network = Network(2)
    network.add(0, 1, 10**27 - 1)
    assert network.flow([(0, 10**28)], [(1, 10**28)]) == 10**27 - 1


def test_path_of_100_000_vertices_needs_no_recursion() -> None:
    """One long chain of states."""
    network = Network(100_000)
    for vertex in range(99_999):
        network.add(vertex, vertex + 1, 1)
    assert network.flow([(0, 1)], [(99_999, 1)]) == 1
