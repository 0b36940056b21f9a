"""What shared a logistic unit, or a vehicle, with goods in scope: for cases that name co-location.

Cases on a pallet, goods beside a case, and all that rode in one trailer shared it, however deep each was packed. So the
walk goes up from the unit that the goods were in to what was around it, and down into all that was in there, and keeps
at each layer the time that was common. A stay, or a stock, that had certainly ended before the other began shared
nothing; times of two members may err against each other.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from node.lineage.containment import Stay
from node.lineage.facts import Facts
from node.lineage.items import ItemKind, read_item
from node.lineage.portions import PortionKind
from node.lineage.spread_graph import Link, Loaded, SpreadGraph, Vertex
from node.lineage.timeline import FOREVER_MS

WINDOWS_MAX: Final = 64
"""Times of goods in one unit that are told apart; beyond them goods are taken to have been in it at any time."""


SHARING_KINDS: Final = (PortionKind.POOL, PortionKind.SHIPPED)
"""What may share a unit: stock, and what is on its way."""


class Window(NamedTuple):
    """A time, each end by the clock of the member who told of it; None for one that nobody told of."""

    lo_ms: int
    lo_clock: str | None
    hi_ms: int
    hi_clock: str | None


_ALWAYS: Final = Window(-FOREVER_MS, None, FOREVER_MS, None)


class CoLocation:
    """The co-location of one question's walk. load: returns an item's ledger in the graph, or None if it is full.

    fresh: takes what shared a unit with goods in scope: any of it may hold some.
    """

    def __init__(self, graph: SpreadGraph, load: Callable[[str], Loaded | None], fresh: set[int]) -> None:
        self._fresh = fresh
        self._graph = graph
        self._facts: Facts = graph.facts
        self._load = load
        self._hubs: dict[tuple[str, Window], int | None] = {}
        self._windows: dict[str, int] = {}
        self._joined: dict[frozenset[int], int] = {}

    def spread(self, vertex: Vertex) -> None:
        """Link a state of goods in a unit to what was around, beside and within it in the meantime."""
        for window in self._windows_of(vertex):
            hub = self._hub_of(vertex, window)
            if hub is not None:
                self._graph.add_edge(vertex.number, hub, None, vertex.portion.uom, Link.READING, is_touch=True)

    def _windows_of(self, vertex: Vertex) -> Iterable[Window]:
        """Return when the goods of a state may have been in their unit."""
        unit, row = vertex.portion.unit, vertex.portion.row
        since = Window(row.event.time.lo_ms, row.member, FOREVER_MS, None)
        stays = self._facts.containment.contents_of(unit).stays.get(vertex.item, ())
        met = [self._meet(since, _window_of(stay)) for stay in stays]
        return dict.fromkeys([window for window in met if window is not None]) or [since]

    def _hub_of(self, vertex: Vertex, window: Window) -> int | None:
        """Return the vertex that joins all that was there in a window, or None where nothing else was."""
        unit = vertex.portion.unit
        if (unit, window) not in self._hubs:
            count = self._windows[unit] = self._windows.get(unit, 0) + 1
            if count > WINDOWS_MAX:
                window = _ALWAYS
        if (unit, window) not in self._hubs:
            self._hubs[unit, window] = self._join(vertex, frozenset(self._states_with(unit, window)))
        return self._hubs[unit, window]

    def _join(self, vertex: Vertex, states: frozenset[int]) -> int | None:
        if len(states | {vertex.number}) < 2:
            return None
        hub = self._joined.get(states)
        if hub is None:
            hub = self._joined[states] = self._graph.add_hub(vertex.portion).number
            self._fresh |= states
            for state in sorted(states):
                self._graph.add_edge(hub, state, None, None, Link.READING, is_touch=True)
        return hub

    def _states_with(self, unit: str, window: Window) -> Iterator[int]:
        """Yield the states of all goods that were in a unit, around it or within it, in a window."""
        containment, timelines = self._facts.containment, self._facts.timelines
        pending = [(unit, window)]
        seen: dict[str, list[Window]] = {}
        while pending:
            place, there = pending.pop()
            known = seen.setdefault(place, [])
            if any(_is_within(there, one) for one in known):
                continue
            known.append(there)
            for child, stays in containment.contents_of(place).stays.items():
                is_goods = read_item(child).kind is not ItemKind.UNIT
                for met in self._met(there, stays):
                    if is_goods:
                        yield from self._states_in(child, place, met)
                    pending.append((child, met))
            for around in containment.stays_of(place, timelines.of_item(place)):
                pending += [(around.parent, met) for met in self._met(there, (around,))]

    def _met(self, window: Window, stays: Iterable[Stay]) -> Iterator[Window]:
        for stay in stays:
            met = self._meet(window, _window_of(stay))
            if met is not None:
                yield met

    def _states_in(self, child: str, unit: str, window: Window) -> Iterator[int]:
        """Yield the states of an item's stock in a unit, and its shipments, that may have been there in a window."""
        loaded = self._load(child)
        if loaded is None:
            return
        for portion in loaded.ledger.of_kind(*SHARING_KINDS):
            if portion.unit == unit:
                state = self._graph.vertices[loaded.vertex(portion)]
                if self._meet(window, self._life_of(state)) is not None:
                    yield state.number

    def _life_of(self, state: Vertex) -> Window:
        """Return how long a state was there: until the last draw on it, or the next state; a shipment for ever."""
        row = state.portion.row
        forever = Window(row.event.time.lo_ms, row.member, FOREVER_MS, None)
        ends: list[tuple[int, str]] = []
        for number in self._graph.out[state.number]:
            edge = self._graph.edges[number]
            target = self._graph.vertices[edge.target]
            if edge.is_touch or target.item != state.item:
                continue
            if state.kind is not PortionKind.POOL or target.kind is PortionKind.HELD or target.portion.number < 0:
                return forever
            until = target.portion.row
            # What was still there when the next state began is in that one.
            is_next = target.kind is PortionKind.POOL
            ends.append((until.event.time.lo_ms - 1 if is_next else until.event.time.hi_ms, until.member))
        if not ends:
            return forever
        clocks = {clock for _end_ms, clock in ends}
        # The last by several clocks: which it was, they need not tell.
        return Window(row.event.time.lo_ms, row.member, max(ends)[0], clocks.pop() if len(clocks) == 1 else None)

    def _meet(self, one: Window, other: Window) -> Window | None:
        """Return the time that two have in common, or None if one had certainly ended before the other began."""
        if self._is_before(one, other) or self._is_before(other, one):
            return None
        later = max(one, other, key=_lo)
        sooner = min(one, other, key=_hi)
        return Window(later.lo_ms, later.lo_clock, sooner.hi_ms, sooner.hi_clock)

    def _is_before(self, one: Window, other: Window) -> bool:
        is_one_clock = one.hi_clock is not None and one.hi_clock == other.lo_clock
        slack_ms = 0 if is_one_clock else 2 * self._facts.readings.clock_tolerance_ms
        return one.hi_ms + slack_ms < other.lo_ms


def _lo(window: Window) -> int:
    return window.lo_ms


def _hi(window: Window) -> int:
    return window.hi_ms


def _is_within(window: Window, other: Window) -> bool:
    """Return whether one window lies in another, by the same clocks."""
    if window == other:
        return True
    clocks = (window.lo_clock, window.hi_clock) == (other.lo_clock, other.hi_clock)
    return clocks and other.lo_ms <= window.lo_ms and window.hi_ms <= other.hi_ms


def _window_of(stay: Stay) -> Window:
    until = None if stay.until is None else stay.until.member
    return Window(stay.lo_ms, stay.since.member, stay.hi_ms, until)
