"""Why a scope did not get to a portion: a rule that cut it off, the amounts, the time, or that it is another part.

A walk over the whole graph at once: a portion is behind a cut or an empty edge if any chain of edges leads there from
one. Asked of each portion by itself, the histories of those behind it would be gone through again and again.
"""

from collections.abc import Iterable, Mapping

from node.lineage.pace import tick
from node.lineage.runs import RunKey
from node.lineage.spread_graph import Link, SpreadGraph, Vertex, rank_of


class Stops:
    """Where a walk was stopped. level: the vertices that it reached.

    cut: by vertex that is behind a cut, the nearest such edge; of two the first by what its ends are. emptied: vertices
    behind an edge that the amounts let nothing through.
    """

    def __init__(self, graph: SpreadGraph, level: Mapping[int, int]) -> None:
        self._graph = graph
        self._level = level
        cuts, empty = [], []
        for number, edge in enumerate(graph.edges):
            if edge.source not in level:
                continue
            if edge.link is Link.CUT:
                cuts.append(number)
            elif edge.hi == 0:
                empty.append(edge.target)
        self.cut: dict[int, int] = {}
        for number in sorted(cuts, key=self._rank):
            self.cut.setdefault(graph.edges[number].target, number)
        self._pass_on(self.cut)
        self.emptied: dict[int, int] = dict.fromkeys(empty, 0)
        self._pass_on(self.emptied)
        self._first_of_item: dict[str, int] = {}
        self._first_of_run: dict[RunKey, int] = {}
        for reached in level:
            one = graph.vertices[reached]
            time_ms = one.portion.row.event.time.lo_ms
            if one.run is None:
                self._first_of_item[one.item] = min(time_ms, self._first_of_item.get(one.item, time_ms))
            else:
                self._first_of_run[one.run.key] = min(time_ms, self._first_of_run.get(one.run.key, time_ms))
        self._first_input: dict[RunKey, int | None] = {}

    def _rank(self, number: int) -> tuple[object, ...]:
        edge = self._graph.edges[number]
        return rank_of(self._graph.vertices[edge.source]), rank_of(self._graph.vertices[edge.target]), edge.why

    def _pass_on(self, found: dict[int, int]) -> None:
        """Give each vertex behind one of these what the first of them has that is so near."""
        frontier = list(found)
        while frontier:
            tick()
            further: list[int] = []
            for number in frontier:
                for place in self._graph.out[number]:
                    target = self._graph.edges[place].target
                    if target not in found:
                        found[target] = found[number]
                        further.append(target)
            frontier = further

    def is_before(self, vertex: Vertex) -> bool:
        """Return whether the portion was there before anything in scope came to its lot or run."""
        beside = list(self._times_beside(vertex))
        return bool(beside) and vertex.portion.row.event.time.hi_ms < min(beside)

    def _times_beside(self, vertex: Vertex) -> Iterable[int]:
        run = vertex.run
        time_ms = self._first_of_item.get(vertex.item) if run is None else self._first_of_run.get(run.key)
        if time_ms is not None:
            yield time_ms
        for number in self._graph.into[vertex.number]:
            source = self._graph.vertices[self._graph.edges[number].source]
            if source.run is not None:
                time_ms = self._first_input_of(source)
                if time_ms is not None:
                    yield time_ms

    def _first_input_of(self, vertex: Vertex) -> int | None:
        """Return when the first input in scope came to the vertex' run, or None."""
        run = vertex.run
        assert run is not None
        if run.key not in self._first_input:
            first = self._graph.first_of(run)
            times = [one.row.event.time.lo_ms for one in run.inputs if first + one.portion in self._level]
            self._first_input[run.key] = min(times, default=None)
        return self._first_input[run.key]
