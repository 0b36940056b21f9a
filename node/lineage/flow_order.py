"""In which order goods flow over the edges of a scope's graph, and what runs round in a loop."""

from collections.abc import Sequence

from node.lineage.pace import tick
from node.lineage.spread import Spread
from node.lineage.spread_graph import Edge, Link


class FlowOrder:
    """Which edges carry goods, and what runs round on them. touch: whether those that only touch count.

    loops: the vertices that lie on a loop. Nothing flows into a seed, which is all seed material, nor over a dry edge.
    """

    def __init__(self, spread: Spread, *, touch: bool) -> None:
        self.touch = touch
        self._graph = spread.graph
        self._seeds = spread.seeds
        self._order: list[int] | None = None
        self._came: tuple[list[list[int]], list[int]] | None = None
        into: list[list[int]] = [[] for _ in self._graph.vertices]
        for edge in self._graph.edges:
            if self.carries(edge):
                into[edge.target].append(edge.source)
        self.loops, _rank = find_loops(into)

    def carries(self, edge: Edge) -> bool:
        """Return whether goods may flow over an edge."""
        if edge.link is Link.CUT or edge.hi == 0 or edge.target in self._seeds:
            return False
        return self.touch or not edge.is_touch

    def upstream_of(self, numbers: Sequence[int]) -> set[int]:
        """Return what these may have been before, seeds too, perhaps only as far as the first of these."""
        if self._came is None:
            into: list[list[int]] = [[] for _ in self._graph.vertices]
            for edge in self._graph.edges:
                if edge.link is not Link.CUT and not edge.is_touch:
                    into[edge.target].append(edge.source)
            self._came = into, find_loops(into)[1]
        came, rank = self._came
        first = min((rank[number] for number in numbers), default=0)
        found: set[int] = set()
        pending = list(numbers)
        while pending:
            tick()
            for source in came[pending.pop()]:
                # Of lower rank than all of these: none of them comes before it.
                if source not in found and rank[source] >= first:
                    found.add(source)
                    pending.append(source)
        return found

    def order(self) -> list[int]:
        """Return the vertices so that each comes after those that it has goods from; those of loops by number."""
        if self._order is None:
            waiting = [0] * len(self._graph.vertices)
            for edge in self._graph.edges:
                if self._orders(edge):
                    waiting[edge.target] += 1
            ready = [number for number, count in enumerate(waiting) if not count]
            for number in ready:
                for edge_number in self._graph.out[number]:
                    edge = self._graph.edges[edge_number]
                    if self._orders(edge):
                        waiting[edge.target] -= 1
                        if not waiting[edge.target]:
                            ready.append(edge.target)
            self._order = ready
        return self._order

    def _orders(self, edge: Edge) -> bool:
        return self.carries(edge) and not (edge.source in self.loops and edge.target in self.loops)


def find_loops(out: Sequence[Sequence[int]]) -> tuple[set[int], list[int]]:
    """Return the vertices that lie on a loop, strongly connected with another, and a rank of each.

    out: where the edges of each lead. Of two that no loop joins the one that an edge leads to has the lower rank.
    Source: Tarjan (1972), iterative.
    """
    count = len(out)
    rank = [0] * count
    found = 0
    index = [0] * count
    low = [0] * count
    on_stack = [False] * count
    stack: list[int] = []
    loops: set[int] = set()
    counter = 0
    for root in range(count):
        if index[root]:
            continue
        work = [(root, 0)]
        while work:
            vertex, place = work.pop()
            if place == 0:
                counter += 1
                index[vertex] = low[vertex] = counter
                stack.append(vertex)
                on_stack[vertex] = True
            descended = False
            for position in range(place, len(out[vertex])):
                target = out[vertex][position]
                if not index[target]:
                    work += [(vertex, position + 1), (target, 0)]
                    descended = True
                    break
                if on_stack[target]:
                    low[vertex] = min(low[vertex], index[target])
            if descended:
                continue
            if low[vertex] == index[vertex]:
                part: list[int] = []
                found += 1
                while True:
                    one = stack.pop()
                    on_stack[one] = False
                    part.append(one)
                    rank[one] = found
                    if one == vertex:
                        break
                if len(part) > 1 or vertex in out[vertex]:
                    loops.update(part)
            if work:
                parent = work[-1][0]
                low[parent] = min(low[parent], low[vertex])
    return loops, rank
