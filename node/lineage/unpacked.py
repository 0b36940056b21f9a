"""What was found in units, in a walk, though nobody recorded that it was put in.

By our reading it was inside since the unit was last empty (`containment.py`). So each holder that had the unit
meanwhile may have put it in, of what else is there; and where a run put out the unit itself, it is of that run.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate

from node.lineage.containment import Stay
from node.lineage.items import ItemKind, read_item
from node.lineage.pace import tick
from node.lineage.portions import PortionKind
from node.lineage.records import EventRow
from node.lineage.spread_graph import Link, Loaded, SpreadGraph, Vertex
from node.lineage.timeline import is_before

_Load = Callable[[str], Loaded | None]


class Unpacked:
    """Contents of units without a packing, for one walk. load: loads a ledger, or None where no more may be."""

    def __init__(self, graph: SpreadGraph, load: _Load) -> None:
        self._graph = graph
        self._load = load
        self._inferred: dict[str, dict[str, list[Stay]]] = {}

    def units_of(self, row: EventRow) -> list[str]:
        """Return the units of an event in which something was found that nobody had put in."""
        event = row.event
        items = [goods.item for goods in event.goods]
        if event.parent is not None:
            items.append(event.parent)
        return [item for item in dict.fromkeys(items) if self._found_in(item)]

    def held_in(self, unit: str, rows: Sequence[EventRow]) -> Iterable[tuple[Vertex, EventRow]]:
        """Yield what lacks a source of what was in a unit at one of a holder's events, with the last of these.

        rows: the events of the unit at the holder, not empty.
        """
        rows = sorted(rows, key=lambda row: row.event.time.lo_ms)
        begins = [row.event.time.lo_ms for row in rows]
        lasts = list(accumulate(rows, later_of))
        for child, stays in self._found_in(unit).items():
            tick()
            met: EventRow | None = None
            for stay in stays:
                place = bisect_right(begins, stay.since.event.time.hi_ms)
                if place and lasts[place - 1].event.time.hi_ms >= stay.lo_ms:
                    met = lasts[place - 1] if met is None else later_of(met, lasts[place - 1])
            if met is not None:
                for vertex in self._without_source(child, unit):
                    yield vertex, met

    def enter(self, vertex: Vertex) -> None:
        """Link a unit that a run put out with what was found in it since, unless somebody recorded its packing."""
        since = vertex.portion.row
        for child, stays in self._found_in(vertex.item).items():
            tick()
            if any(not is_before(stay.since, since, self._graph.facts.readings) for stay in stays):
                for number in self._put_in(child, vertex.item):
                    self._graph.add_edge(vertex.number, number, None, None, Link.READING)

    def _found_in(self, unit: str) -> dict[str, list[Stay]]:
        """Return the stays in a unit that are only inferred, by what was found."""
        found = self._inferred.get(unit)
        if found is None:
            found = {}
            if read_item(unit).kind in (ItemKind.UNIT, ItemKind.ASSET):
                for child, stays in self._graph.facts.containment.contents_of(unit).stays.items():
                    inferred = [stay for stay in stays if stay.inferred]
                    if inferred:
                        found[child] = inferred
            self._inferred[unit] = found
        return found

    def _without_source(self, child: str, unit: str) -> Iterable[Vertex]:
        """Return what lacks a source of the goods found in a unit, whichever time it was."""
        loaded = self._load(child)
        return () if loaded is None else [one for one in loaded.unsourced if self._is_in(one, unit)]

    def _put_in(self, child: str, unit: str) -> Iterable[int]:
        """Yield what of goods found in a unit lacks a source, and what only our reading put there from elsewhere."""
        yield from [vertex.number for vertex in self._without_source(child, unit)]
        loaded = self._load(child)
        if loaded is not None:
            for portion in loaded.ledger.of_kind(PortionKind.PACKED):
                if portion.reading and portion.unit == unit:
                    yield loaded.vertex(portion)

    def _is_in(self, vertex: Vertex, unit: str) -> bool:
        """Return whether goods that lack a source were put into the unit, or taken from it."""
        for number in self._graph.out[vertex.number]:
            edge = self._graph.edges[number]
            target = self._graph.vertices[edge.target].portion
            if edge.link is not Link.OPEN and unit in (target.unit, target.row.event.parent):
                return True
        return False


def later_of(one: EventRow, other: EventRow) -> EventRow:
    """Return which of two events may have happened later."""
    return max(one, other, key=lambda row: row.event.time.hi_ms)
