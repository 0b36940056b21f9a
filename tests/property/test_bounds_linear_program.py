"""Bounds by maximum flow equal a linear program: on random graphs of recorded flows, and on random supply chains.

`max = maxflow(tainted and unknown to S)`, `min = q(S) - maxflow(clean and unknown to S)`. Whole numbers,
so that the program's answer, which has an optimum in whole numbers, can be rounded.
"""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.lineage.hazards import Hazard
from node.lineage.maxflow import Network
from node.lineage.portions import LAST_KINDS, PortionKind
from node.lineage.scope_question import Seed
from tests.support.chronicle import Chronicle
from tests.support.events import HOUR_MS, at, lot
from tests.support.linear_programs import RecordedFlow, conserved, content_bounds
from tests.support.scopes import Asked

LAYERS, WIDTH = 5, 4


def random_flows(seed: int) -> tuple[list[RecordedFlow], list[int], list[int]]:
    """Return flows that are conserved at each inner vertex, the sources, and the sinks."""
    choose = random.Random(seed)
    flows: dict[tuple[int, int], int] = {}
    for _path in range(choose.randint(3, 14)):
        layers = sorted(choose.sample(range(1, LAYERS - 1), choose.randint(1, LAYERS - 2)))
        path = [choose.randrange(WIDTH), *(layer * WIDTH + choose.randrange(WIDTH) for layer in layers)]
        path.append((LAYERS - 1) * WIDTH + choose.randrange(WIDTH))
        amount = choose.randint(1, 50)
        for pair in pairwise(path):
            flows[pair] = flows.get(pair, 0) + amount
    recorded = conserved(flows)
    sources = sorted({flow.source for flow in recorded if flow.source < WIDTH})
    sinks = sorted({flow.target for flow in recorded if flow.target >= (LAYERS - 1) * WIDTH})
    return recorded, sources, sinks


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32), st.data())
def test_bounds_of_random_flows_equal_the_linear_program(seed: int, data: st.DataObject) -> None:
    """For any part of the sources tainted or unknown, and any set of sinks."""
    flows, sources, sinks = random_flows(seed)
    kinds = data.draw(st.lists(st.sampled_from("tcu"), min_size=len(sources), max_size=len(sources)))
    chosen = data.draw(st.sets(st.sampled_from(sinks), min_size=1))
    tainted = {source for source, kind in zip(sources, kinds, strict=True) if kind == "t"}
    unknown = {source for source, kind in zip(sources, kinds, strict=True) if kind == "u"}
    clean = set(sources) - tainted - unknown
    network = Network(LAYERS * WIDTH)
    for flow in flows:
        network.add(flow.source, flow.target, flow.amount)
    given_out = {source: sum(flow.amount for flow in flows if flow.source == source) for source in sources}
    taken_in = {sink: sum(flow.amount for flow in flows if flow.target == sink) for sink in chosen}

    def most(of: set[int]) -> int:
        return network.flow([(one, given_out[one]) for one in sorted(of)], sorted(taken_in.items()))

    by_flow = sum(taken_in.values()) - most(clean | unknown), most(tainted | unknown)
    assert by_flow == content_bounds(flows, tainted=tainted, unknown=unknown, sinks=chosen)


def random_chain(seed: int) -> tuple[Chronicle, list[str]]:
    """Return a chain without gaps: makings, runs of all that is there, shipments that are received."""
    choose = random.Random(seed)
    story = Chronicle()
    stock: dict[tuple[str, int], int] = {}
    raw = [lot("1", f"R{number}") for number in range(3)]
    hour = at(1, "00:00")
    for item in raw:
        amount = choose.randint(5, 60)
        story.make({item: amount}, hour, at=1)
        stock[item, 1] = amount
    for step in range(choose.randint(3, 9)):
        hour += HOUR_MS
        kind = choose.choice(("run", "ship", "make"))
        held = sorted(key for key, amount in stock.items() if amount)
        site = choose.choice(sorted({site for _item, site in held}))
        here = [item for item, at_site in held if at_site == site]
        if kind == "make":
            item = choose.choice(raw)
            amount = choose.randint(5, 40)
            story.make({item: amount}, hour, at=site)
            stock[item, site] = stock.get((item, site), 0) + amount
        elif kind == "ship":
            item, to = choose.choice(here), site % 3 + 1
            amount = choose.randint(1, stock[item, site])
            bill = f"urn:bol:{step}"
            story.ship({item: amount}, hour, at=site, to=to, bill=bill)
            story.receive({item: amount}, hour + HOUR_MS // 2, at=to, bill=bill)
            stock[item, site] -= amount
            stock[item, to] = stock.get((item, to), 0) + amount
        else:
            taken = {item: choose.randint(1, stock[item, site]) for item in choose.sample(here, min(2, len(here)))}
            total = sum(taken.values())
            first = choose.randint(0, total)
            outputs = {lot("2", f"A{step}"): first, lot("3", f"B{step % 2}"): total - first}
            outputs = {item: amount for item, amount in outputs.items() if amount}
            story.run(taken, outputs, hour, at=site)
            for item, amount in taken.items():
                stock[item, site] -= amount
            for item, amount in outputs.items():
                stock[item, site] = stock.get((item, site), 0) + amount
    return story, raw


@pytest.mark.parametrize("seed", range(40))
def test_bounds_of_random_chains_equal_the_linear_program(seed: int) -> None:
    """Over the flows of the ledgers and runs themselves, for each portion at last, and for pairs of them."""
    story, raw = random_chain(seed)
    made = story.rows[0].event
    asked = Asked(story, Seed(item=raw[0], event=made.event_digest), hazard=Hazard.ORIGIN)
    graph = asked.scope.graph
    for item in sorted({goods.item for row in story.rows for goods in (*row.event.goods, *row.event.outputs)}):
        graph.load_item(item)  # The program needs all flows; the scope only those in reach.
    flows = [
        RecordedFlow(edge.source, edge.target, int(edge.hi)) for edge in graph.edges if edge.hi is not None and edge.hi
    ]
    last = [one for one in asked.scope.reached if one.kind in LAST_KINDS and one.kind is not PortionKind.USED]
    if not last:
        pytest.skip("the seed ended in nothing that is held")
    choose = random.Random(seed)
    sets = [[one] for one in last] + [choose.sample(last, min(2, len(last)))]
    for chosen in sets:
        if len({one.portion.uom for one in chosen}) > 1:
            continue
        least, most = content_bounds(
            flows, tainted=set(asked.scope.spread.seeds), unknown=set(), sinks={one.number for one in chosen}
        )
        assert asked.content(*chosen) == (str(least), str(most)), [one.item for one in chosen]
        if len(chosen) == 1:
            uom = chosen[0].portion.uom
            wide = asked.scope.bounds.intervals(uom, affected=False).bound(chosen[0], uom)
            assert wide.hi is not None
            assert wide.lo <= least <= most <= wide.hi
