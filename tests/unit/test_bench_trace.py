"""bench/foodnet and bench/peers: what the trace benchmark compares is one network, and all find the same lots in it."""

from itertools import islice
from pathlib import Path

import pytest

from bench.foodnet import Made, Network, ends_of
from bench.peers import edges_of, open_sqlite
from bench.stores import build_network, seal_batches, store_and_execute
from node.lineage.trace import Direction
from node.query.service import QueryService
from node.storage.index import create_index, open_index

WIDTH, LAYERS = 8, 6


def test_the_same_seed_gives_the_same_events() -> None:
    """Two runs of the benchmark measure one network."""
    one, two = (list(islice(Network(seed=3).world(0, width=WIDTH, layers=LAYERS), 40)) for _ in range(2))
    assert one == two
    assert one != list(islice(Network(seed=4).world(0, width=WIDTH, layers=LAYERS), 40))


@pytest.mark.parametrize("direction", Direction)
def test_closure_trace_and_edges_find_the_same_lots(tmp_path: Path, direction: Direction) -> None:
    """Amounts add up and times are in order, so nothing narrows a trace here, and units are all that it has beside."""
    network, (genesis, key) = Network(), build_network()
    events = list(network.world(1, width=WIDTH, layers=LAYERS))
    made: list[Made] = network.made
    create_index(tmp_path / "index", genesis)
    index = open_index(tmp_path / "index", genesis)
    store_and_execute(None, index, genesis, seal_batches(genesis, key, events))
    service, world = QueryService(index.reader), ends_of(1, width=WIDTH, layers=LAYERS)
    start = world.last if direction is Direction.BACK else world.first
    with open_sqlite(tmp_path / "sqlite", edges_of(made)) as walk:
        rows = walk(start, direction is Direction.BACK)
    closure = service.closure(start, direction)
    trace = service.trace(start, direction)
    index.close()
    expected = {code for code, _ in rows}
    assert len(expected) > WIDTH * LAYERS / 2
    assert {one.id for one in closure.items if not one.is_carrier} == expected
    assert {one.id for one in trace.items if one.role == "goods"} == expected
    assert {one.id: one.quantity for one in closure.items if not one.is_carrier} == dict(rows)
