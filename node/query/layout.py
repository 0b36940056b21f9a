"""Lays a directed graph out in layers, along the flow of goods: who is drawn where, and by which points edges run.

Sugiyama's method: turn round what closes a cycle, put each vertex behind all before it, give long edges a place in the
layers between, order each layer by the middle of its neighbours, then pull vertices toward these without changing the
order. Whole numbers and ties by input order throughout: the same graph is the same picture at every node. Iterative.

Source: Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system structures" (1981); see
docs/adr for why it is our own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

Pair = tuple[int, int]

SWEEPS: Final = 12
PULLS: Final = 12


@dataclass(frozen=True, slots=True)
class Layout:
    """Where all is. layer, place: of each vertex, its layer and its coordinate across it, of its middle.

    chains: of each edge, in input order, (layer, coordinate) from source to target, both ends included.
    """

    layer: tuple[int, ...]
    place: tuple[int, ...]
    chains: tuple[tuple[Pair, ...], ...]


def lay_out(sizes: Sequence[int], edges: Sequence[Pair], *, gap: int, thin: int) -> Layout:
    """Return the layout. sizes: of each vertex, how much it takes across its layer; gap: between two of a layer.

    edges: (source, target); loops and repeated ones are allowed. thin: what an edge that passes a layer takes there.
    """
    count = len(sizes)
    turned = _without_cycles(count, edges)
    layer = _layers(count, turned)
    links, across, chains = _chains(list(sizes), layer, turned, thin)
    order = _order(layer, links)
    place = _places(order, links, across, gap)
    found = []
    for edge, chain in zip(edges, chains, strict=True):
        points = tuple([(layer[one], place[one]) for one in chain])
        found.append(points if not chain or chain[0] == edge[0] else points[::-1])
    return Layout(tuple(layer[:count]), tuple(place[:count]), tuple(found))


def _without_cycles(count: int, edges: Sequence[Pair]) -> list[Pair]:
    """Return the edges, those that close a cycle of a depth-first look turned round; loops stay."""
    out: list[list[int]] = [[] for _ in range(count)]
    into = [0] * count
    for source, target in edges:
        if source != target:
            out[source].append(target)
            into[target] += 1
    state = [0] * count
    back: set[Pair] = set()
    for root in sorted(range(count), key=lambda one: (into[one] > 0, one)):
        if state[root]:
            continue
        state[root] = 1
        stack = [(root, 0)]
        while stack:
            vertex, place = stack.pop()
            if place == len(out[vertex]):
                state[vertex] = 2
                continue
            stack.append((vertex, place + 1))
            target = out[vertex][place]
            if state[target] == 1:
                back.add((vertex, target))
            elif state[target] == 0:
                state[target] = 1
                stack.append((target, 0))
    return [(target, source) if (source, target) in back else (source, target) for source, target in edges]


def _layers(count: int, edges: Sequence[Pair]) -> list[int]:
    """Return each vertex's layer: behind all before it, and, where nothing is before it, just before what follows."""
    out: list[list[int]] = [[] for _ in range(count)]
    waits = [0] * count
    for source, target in edges:
        if source != target:
            out[source].append(target)
            waits[target] += 1
    layer = [0] * count
    is_first = [one == 0 for one in waits]
    pending = [one for one in range(count) if waits[one] == 0]
    for vertex in pending:
        for target in out[vertex]:
            layer[target] = max(layer[target], layer[vertex] + 1)
            waits[target] -= 1
            if waits[target] == 0:
                pending.append(target)
    for vertex in pending:
        if is_first[vertex] and out[vertex]:
            layer[vertex] = min(layer[target] for target in out[vertex]) - 1
    return layer


def _chains(
    sizes: list[int], layer: list[int], edges: Sequence[Pair], thin: int
) -> tuple[list[Pair], list[int], list[list[int]]]:
    """Return links of neighbouring layers, sizes, and each edge's vertices; passing places are added to the layers."""
    links: list[Pair] = []
    chains: list[list[int]] = []
    for source, target in edges:
        if source == target:
            chains.append([source])
            continue
        chain = [source]
        for between in range(layer[source] + 1, layer[target]):
            chain.append(len(layer))
            layer.append(between)
            sizes.append(thin)
        chain.append(target)
        links += pairwise(chain)
        chains.append(chain)
    return links, sizes, chains


def _order(layer: Sequence[int], links: Sequence[Pair]) -> list[list[int]]:
    """Return each layer's vertices in an order in which few edges cross."""
    before, after = _neighbours(len(layer), links)
    layers: list[list[int]] = [[] for _ in range(max(layer, default=-1) + 1)]
    for vertex in range(len(layer)):
        layers[layer[vertex]].append(vertex)
    best, fewest = [list(one) for one in layers], _crossings(layers, after)
    for sweep in range(SWEEPS):
        beside, numbers = (before, range(1, len(layers))) if sweep % 2 == 0 else (after, range(len(layers) - 2, -1, -1))
        for number in numbers:
            _sort_layer(layers, number, number - 1 if sweep % 2 == 0 else number + 1, beside)
        crossings = _crossings(layers, after)
        if crossings < fewest:
            best, fewest = [list(one) for one in layers], crossings
    return best


def _sort_layer(layers: list[list[int]], number: int, fixed: int, beside: Sequence[Sequence[int]]) -> None:
    at = {vertex: place for place, vertex in enumerate(layers[fixed])}
    own = {vertex: place for place, vertex in enumerate(layers[number])}

    def middle(vertex: int) -> tuple[int, int]:
        places = [at[one] for one in beside[vertex]]
        # In thousandths: a mean without fractions. What has no neighbours stays where it is.
        return (sum(places) * 1_000 // len(places) if places else own[vertex] * 1_000), own[vertex]

    layers[number].sort(key=middle)


def _crossings(layers: Sequence[Sequence[int]], after: Sequence[Sequence[int]]) -> int:
    """Return how many pairs of links cross."""
    total = 0
    for upper, lower in pairwise(layers):
        at = {vertex: place for place, vertex in enumerate(lower)}
        # A Fenwick tree counts, of the links so far, those that end further along.
        tree = [0] * (len(lower) + 1)
        seen = 0
        for vertex in upper:
            ends = sorted(at[one] for one in after[vertex])
            for end in ends:
                total += seen - _sum(tree, end + 1)
            for end in ends:
                place = end + 1
                while place < len(tree):
                    tree[place] += 1
                    place += place & -place
                seen += 1
    return total


def _sum(tree: Sequence[int], place: int) -> int:
    total = 0
    while place > 0:
        total += tree[place]
        place -= place & -place
    return total


def _neighbours(count: int, links: Sequence[Pair]) -> tuple[list[list[int]], list[list[int]]]:
    before: list[list[int]] = [[] for _ in range(count)]
    after: list[list[int]] = [[] for _ in range(count)]
    for source, target in links:
        after[source].append(target)
        before[target].append(source)
    return before, after


def _places(layers: Sequence[Sequence[int]], links: Sequence[Pair], across: Sequence[int], gap: int) -> list[int]:
    """Return coordinates across the layers: as near to the middle of the neighbours as the order allows; least is 0."""
    before, after = _neighbours(len(across), links)
    place = [0] * len(across)
    for layer in layers:
        edge = 0
        for vertex in layer:
            place[vertex] = edge + across[vertex] // 2
            edge += across[vertex] + gap
    for pull in range(PULLS):
        forward = pull % 2 == 0
        for layer in layers if forward else reversed(layers):
            wanted = [_middle(place, (before if forward else after)[vertex], place[vertex]) for vertex in layer]
            _settle(place, layer, wanted, across, gap)
    least = min((place[vertex] - across[vertex] // 2 for layer in layers for vertex in layer), default=0)
    return [one - least for one in place]


def _middle(place: Sequence[int], beside: Sequence[int], own: int) -> int:
    if not beside:
        return own
    places = sorted(place[one] for one in beside)
    half = len(places) // 2
    return places[half] if len(places) % 2 else (places[half - 1] + places[half]) // 2


def _settle(place: list[int], layer: Sequence[int], wanted: Sequence[int], across: Sequence[int], gap: int) -> None:
    """Put a layer's vertices where they want to be; those in each other's way share the room around their mean."""
    blocks: list[tuple[int, int, int]] = []  # (sum of wanted starts, vertices, first vertex)
    offsets = [0]
    for number in range(1, len(layer)):
        apart = (across[layer[number - 1]] + across[layer[number]]) // 2 + gap
        offsets.append(offsets[-1] + apart)
    for number in range(len(layer)):
        total, count, first = wanted[number] - offsets[number], 1, number
        while blocks and blocks[-1][0] * count >= total * blocks[-1][1]:
            earlier = blocks.pop()
            total, count, first = total + earlier[0], count + earlier[1], earlier[2]
        blocks.append((total, count, first))
    for total, count, first in blocks:
        for number in range(first, first + count):
            place[layer[number]] = total // count + offsets[number]
