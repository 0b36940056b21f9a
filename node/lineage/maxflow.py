"""Maximum flow, exact, over whole numbers: Dinic's algorithm, iterative.

Source: Dinic, "Algorithm for solution of a problem of maximum flow in networks with power estimation" (1970). Only the
value is given, for that is unique; a flow is not. Ours rather than a library's: amounts are exact and have up to 27
digits, which the libraries' C numbers do not hold (ADR 0014).
"""

from collections.abc import Iterable
from typing import Final

from node.lineage.pace import tick

_NONE: Final = -1
_TICK_EACH: Final = 256
"""Vertices between two ticks (`pace.py`): one costs as much as a vertex."""


class Network:
    """Arcs with capacities. `flow` may be asked again and again: each time it starts anew."""

    def __init__(self, vertex_count: int) -> None:
        self._first: list[int] = [_NONE] * (vertex_count + 2)
        self._next: list[int] = []
        self._to: list[int] = []
        self._capacity: list[int] = []
        self._source = vertex_count
        self._sink = vertex_count + 1

    def add(self, tail: int, head: int, capacity: int) -> None:
        """Add an arc. capacity: not negative."""
        for one, other, room in ((tail, head, capacity), (head, tail, 0)):
            self._next.append(self._first[one])
            self._first[one] = len(self._to)
            self._to.append(other)
            self._capacity.append(room)

    def flow(self, sources: Iterable[tuple[int, int]], sinks: Iterable[tuple[int, int]]) -> int:
        """Return the maximum flow from `sources` to `sinks`, each (vertex, capacity)."""
        first, arcs, capacity = self._first[:], len(self._to), self._capacity[:]
        for vertex, room in sources:
            self.add(self._source, vertex, room)
        for vertex, room in sinks:
            self.add(vertex, self._sink, room)
        total = 0
        while self._reaches_sink():
            total += self._block()
        del self._next[arcs:], self._to[arcs:]
        self._first, self._capacity = first, capacity
        return total

    def _reaches_sink(self) -> bool:
        """Level the vertices by their distance to the sink; return whether the source is among them.

        From the sink back, for what is upstream of a few goods is less than what is downstream of all sources.
        """
        level = [_NONE] * len(self._first)
        level[self._sink] = 0
        first, onward, heads, capacity, source = self._first, self._next, self._to, self._capacity, self._source
        queue = [self._sink]
        for number, vertex in enumerate(queue):
            if number % _TICK_EACH == 0:
                tick()
            if level[source] != _NONE and level[vertex] >= level[source]:
                break
            arc = first[vertex]
            while arc != _NONE:
                tail = heads[arc]
                if level[tail] == _NONE and capacity[arc ^ 1]:
                    level[tail] = level[vertex] + 1
                    queue.append(tail)
                arc = onward[arc]
        self._level = level
        return level[source] != _NONE

    def _block(self) -> int:
        """Push what fits along the levels; return how much."""
        at, level, capacity = self._first[:], self._level, self._capacity
        heads, onward = self._to, self._next
        path: list[int] = []
        vertex, total = self._source, 0
        while True:
            if vertex == self._sink:
                tick()
                pushed = min(capacity[arc] for arc in path)
                for arc in path:
                    capacity[arc] -= pushed
                    capacity[arc ^ 1] += pushed
                total += pushed
                vertex = self._cut_back(path)
                continue
            arc = at[vertex]
            while arc != _NONE and not (capacity[arc] and level[heads[arc]] == level[vertex] - 1):
                arc = onward[arc]
            at[vertex] = arc
            if arc != _NONE:
                path.append(arc)
                vertex = heads[arc]
            elif path:
                vertex = heads[path.pop() ^ 1]
                at[vertex] = onward[at[vertex]]
            else:
                return total

    def _cut_back(self, path: list[int]) -> int:
        """Go back to the tail of the first arc that is full; return it."""
        for place, arc in enumerate(path):
            if not self._capacity[arc]:
                del path[place:]
                return self._to[arc ^ 1]
        return self._sink
