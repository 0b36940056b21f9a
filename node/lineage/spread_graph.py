"""The portion graph of a question: vertices and edges of the ledgers and runs that a hazard may have reached.

Ledgers and runs are loaded as they are reached, and joined where a lot's portion is a run's line. An edge says how
sure it is: by the record, by our reading, or only by what is unknown.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import IntEnum
from typing import Final, NamedTuple

from consensus.types import Digest
from node.lineage.facts import Facts
from node.lineage.ledger import build_ledger
from node.lineage.pace import tick
from node.lineage.portions import LotLedger, Portion, PortionKind
from node.lineage.readings import Readings
from node.lineage.records import EventRow
from node.lineage.runs import Run, RunKey, build_run


class Link(IntEnum):
    """How sure an edge is."""

    FACT = 0
    READING = 1
    """By our reading alone, or by contact on named equipment: never certain."""
    OPEN = 2
    """Only what is unknown links the two."""
    CUT = 3
    """A cleaning, a kill step or an assigned map ends it here: kept to say so."""


@dataclass(slots=True, eq=False)
class Vertex:
    """A portion of a loaded ledger, or a line, state or gain of a loaded run.

    run: of which run, None for a lot's portion. is_line: whether goods of `item` are taken or given here.
    """

    number: int
    item: str
    portion: Portion
    run: Run | None = None
    is_line: bool = False

    @property
    def kind(self) -> PortionKind:
        """What the portion is."""
        return self.portion.kind


class Edge(NamedTuple):
    """How much of one vertex became part of another. why: what cuts it, of a CUT. is_touch: nothing became part of
    another by the record: it lay beside, or ran on the same equipment."""

    source: int
    target: int
    hi: Decimal | None
    uom: str | None
    link: Link
    why: str = ""
    is_touch: bool = False


@dataclass(slots=True, eq=False)
class Loaded:
    """An item's ledger in the graph. first: the number of its first vertex."""

    ledger: LotLedger
    first: int
    unsourced: list[Vertex] = field(default_factory=list)
    chains: dict[tuple[str, str, str | None], list[Vertex]] = field(default_factory=dict)
    contradicts: bool = False
    _rests: dict[tuple[str, str], Decimal | None] | None = None

    def vertex(self, portion: Portion) -> int:
        """Return the number of a portion's vertex."""
        return self.first + portion.number

    def rests(self) -> dict[tuple[str, str], Decimal | None]:
        """Return what of each stock, by holder and unit, has no recorded end: a move that we only read is none."""
        if self._rests is None:
            rests: dict[tuple[str, str], Decimal | None] = {}
            for last in self.ledger.of_kind(PortionKind.HELD):
                _add(rests, last, last.hi)
            for flow in self.ledger.flows:
                source = self.ledger.portions[flow.source]
                if self.ledger.portions[flow.target].kind is PortionKind.MOVED and source.kind is PortionKind.POOL:
                    _add(rests, source, flow.hi)
            self._rests = rests
        return self._rests


def _add(rests: dict[tuple[str, str], Decimal | None], at: Portion, more: Decimal | None) -> None:
    key = (at.holder.key, at.unit)
    known = rests.get(key, Decimal(0))
    rests[key] = None if known is None or more is None else known + more


class Swap(NamedTuple):
    """What was drawn where goods that nobody received may have come: those may have been drawn, and others be left.

    hub: the vertex that all of it flows to. room: how much may have been drawn of them so; None: unknown.
    """

    hub: int
    room: Decimal | None

    def most_of(self, portion: Portion) -> Decimal:
        """Return how much of what was never received may be other goods by now."""
        return portion.lo if self.room is None else min(portion.lo, self.room)


class SpreadGraph:
    """Grows as it is walked. `on_edge` is called for each new edge whose source is in the graph already."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.vertices: list[Vertex] = []
        self.edges: list[Edge] = []
        self.out: list[list[int]] = []
        self.into: list[list[int]] = []
        self.items: dict[str, Loaded] = {}
        self.runs: dict[RunKey, Run] = {}
        self.fresh_edges: list[int] = []
        self.swaps: dict[int, Swap] = {}
        """Of what was never received: what may stand in its place."""
        self.perhaps_gone: set[int] = set()
        """What is left by the record, and may all be gone by its product's name."""
        self._first: dict[RunKey, int] = {}
        self._at: dict[tuple[str, Digest, PortionKind], list[int]] = {}
        self._lines: dict[tuple[str, Digest, PortionKind], int] = {}

    def add_vertex(self, item: str, portion: Portion, run: Run | None = None, *, is_line: bool = False) -> Vertex:
        """Return a new vertex."""
        vertex = Vertex(len(self.vertices), item, portion, run, is_line)
        self.vertices.append(vertex)
        self.out.append([])
        self.into.append([])
        return vertex

    def add_hub(self, like: Portion) -> Vertex:
        """Return a new state that only joins: it holds nothing by itself."""
        return self.add_vertex("", _hub(like))

    def add_edge(
        self,
        source: int,
        target: int,
        hi: Decimal | None,
        uom: str | None,
        link: Link,
        why: str = "",
        *,
        is_touch: bool = False,
    ) -> None:
        """Add an edge."""
        number = len(self.edges)
        self.edges.append(Edge(source, target, hi, uom, link, why, is_touch))
        self.out[source].append(number)
        self.into[target].append(number)
        self.fresh_edges.append(number)

    def load_item(self, item: str) -> Loaded:
        """Return the item's ledger in the graph, loaded if it is not yet."""
        loaded = self.items.get(item)
        if loaded is not None:
            return loaded
        ledger = build_ledger(item, self.facts)
        loaded = self.items[item] = Loaded(ledger, len(self.vertices))
        codes = {finding.code for finding in ledger.findings}
        loaded.contradicts = "used_before_receipt" in codes
        for portion in ledger.portions:
            vertex = self.add_vertex(item, portion)
            self._file(vertex, loaded)
        first = loaded.first
        for source, target, hi, uom, reading in ledger.flows:
            moved = ledger.portions[target].kind is PortionKind.MOVED and reading
            link = Link.OPEN if moved else Link.READING if reading else Link.FACT
            self.add_edge(first + source, first + target, hi, uom, link)
        self._link_unreceived(loaded)
        return loaded

    def _file(self, vertex: Vertex, loaded: Loaded) -> None:
        portion = vertex.portion
        kind = portion.kind
        if kind in (PortionKind.USED, PortionKind.OUTPUT):
            key = (vertex.item, portion.row.event.event_digest, kind)
            self._at.setdefault(key, []).append(vertex.number)
            line = self._lines.get(key)
            if line is not None:
                self._join(line, vertex.number, kind)
        elif kind is PortionKind.POOL:
            chain = loaded.chains.setdefault((portion.holder.key, portion.unit, portion.uom), [])
            chain.append(vertex)
        elif kind in (PortionKind.UNKNOWN, PortionKind.MOVED):
            loaded.unsourced.append(vertex)

    def _join(self, line: int, portion: int, kind: PortionKind) -> None:
        """Join a run's line with the lot's portion that it is."""
        goods = self.vertices[portion].portion
        source, target = (portion, line) if kind is PortionKind.USED else (line, portion)
        self.add_edge(source, target, goods.hi, goods.uom, Link.FACT)

    def load_run(self, row: EventRow) -> Run:
        """Return the run of an event in the graph, loaded if it is not yet."""
        key = self.facts.timelines.run_of(row)
        run = self.runs.get(key)
        if run is not None:
            return run
        run = self.runs[key] = build_run(row, self.facts)
        first = self._first[key] = len(self.vertices)
        lines = {line.portion: line for line in (*run.inputs, *run.outputs)}
        for portion in run.portions:
            line = lines.get(portion.number)
            self.add_vertex("" if line is None else line.item, portion, run, is_line=line is not None)
        for source, target, hi, uom, reading in run.flows:
            self.add_edge(first + source, first + target, hi, uom, Link.READING if reading else Link.FACT)
        for line in lines.values():
            kind = run.portions[line.portion].kind
            key_at = (line.item, line.row.event.event_digest, kind)
            self._lines[key_at] = first + line.portion
            for portion_at in self._at.get(key_at, ()):
                self._join(first + line.portion, portion_at, kind)
        return run

    def first_of(self, run: Run) -> int:
        """Return the number of a loaded run's first vertex."""
        return self._first[run.key]

    def is_disputed(self, vertex: Vertex) -> bool:
        """Return whether the times of the portion's lot contradict each other: then nothing of it is certain."""
        loaded = self.items.get(vertex.item)
        return loaded is not None and loaded.contradicts

    def line_of(self, item: str, row: EventRow, kind: PortionKind) -> int | None:
        """Return the vertex of a loaded run's line, or None."""
        return self._lines.get((item, row.event.event_digest, kind))

    def portions_at(self, item: str, row: EventRow, kind: PortionKind) -> Sequence[int]:
        """Return the vertices of a loaded item's portions of this event."""
        return self._at.get((item, row.event.event_digest, kind), ())

    def _link_unreceived(self, loaded: Loaded) -> None:
        """What was never received may be in each later stock of its receiver, or of anybody but its sender."""
        hubs: dict[str, list[Vertex]] = {}
        for portion in loaded.ledger.of_kind(PortionKind.IN_TRANSIT):
            key = portion.receiver.key if portion.receiver is not None else ""
            hubs.setdefault(key, []).append(self.vertices[loaded.vertex(portion)])
        for sent in hubs.values():
            self._link_swaps(loaded, sent)
            since_ms = min(one.portion.row.event.time.lo_ms for one in sent)
            clocks = {one.portion.row.member for one in sent}
            clock = clocks.pop() if len(clocks) == 1 else None
            targets = [
                state
                for chain in loaded.chains.values()
                for state in states_since(chain, since_ms, clock, self.facts.readings)
                if any(may_come_to(one.portion, state.portion) for one in sent)
            ]
            if not targets:
                continue
            hub = self.add_vertex(loaded.ledger.item, _hub(sent[0].portion))
            for one in sent:
                self.add_edge(one.number, hub.number, one.portion.hi, one.portion.uom, Link.OPEN)
            for state in targets:
                self.add_to_stock(hub.number, state, None, Link.OPEN)

    def _link_swaps(self, loaded: Loaded, sent: Sequence[Vertex]) -> None:
        """Join what may have been drawn of goods that were never received, though the ledger drew other stock for it.

        Each draw flows to the hub of the last shipment that it is not before, and each hub to that of the one before.
        """
        ordered = sorted(sent, key=_begin_of)
        draws: list[list[Portion]] = [[] for _ in ordered]
        slack_ms = 2 * self.facts.readings.clock_tolerance_ms
        is_there: dict[str, bool] = {}
        for draw, source in _draws_of(loaded.ledger):
            tick()
            key = source.holder.key
            if key not in is_there:
                is_there[key] = any(may_come_to(one.portion, source) for one in ordered)
            place = bisect_right(ordered, draw.row.event.time.hi_ms + slack_ms, key=_begin_of)
            if is_there[key] and place:
                draws[place - 1].append(draw)
        came_of = _read_of(loaded.ledger)
        later: int | None = None
        total: Decimal | None = Decimal(0)
        drawn: set[int] = set()
        for one, ones in reversed(list(zip(ordered, draws, strict=True))):
            for draw in ones:
                drawn.add(draw.number)
                is_known = total is not None and draw.hi is not None and draw.uom == one.portion.uom
                total = total + draw.hi if is_known and total is not None and draw.hi is not None else None
            if not drawn:
                continue
            hub = self.add_vertex(loaded.ledger.item, _hub(one.portion)).number
            for draw in ones:
                self.add_edge(loaded.vertex(draw), hub, None, None, Link.READING)
            if later is not None:
                self.add_edge(later, hub, None, None, Link.READING)
            later = hub
            read = sum((moved.lo for moved, to in came_of.get(one.portion.number, ()) if to <= drawn), Decimal(0))
            self.swaps[one.number] = Swap(hub, None if total is None else max(Decimal(0), total - read))

    def add_to_stock(self, source: int, state: Vertex, uom: str | None, link: Link) -> None:
        """Let goods come to a stock, and to what was drawn of it: of an unknown amount, which the stock bounds.

        With what came besides it was larger.
        """
        self.add_edge(source, state.number, None, uom, link)
        for edge in [self.edges[number] for number in self.out[state.number]]:
            drawn = self.vertices[edge.target].portion
            if drawn.hi is None and drawn.kind is not PortionKind.HELD:
                self.add_edge(source, edge.target, None, None, link)


_DRAWN: Final = (PortionKind.USED, PortionKind.SHIPPED, PortionKind.ENDED, PortionKind.PACKED)


def _draws_of(ledger: LotLedger) -> Iterable[tuple[Portion, Portion]]:
    """Return what was drawn of a lot, each with a portion that says where: also what only a reading moved on."""
    for portion in ledger.of_kind(*_DRAWN):
        yield portion, portion
    for flow in ledger.flows:
        source, target = ledger.portions[flow.source], ledger.portions[flow.target]
        if target.kind is PortionKind.MOVED and source.kind is PortionKind.POOL:
            yield target, source


def _read_of(ledger: LotLedger) -> dict[int, list[tuple[Portion, set[int]]]]:
    """Return, for what was never received, what our reading took of the same shipments, and for which draws."""
    onward: dict[int, set[int]] = {}
    ways: dict[int, list[int]] = {}
    for flow in ledger.flows:
        kind = ledger.portions[flow.target].kind
        if ledger.portions[flow.source].kind is PortionKind.MOVED:
            onward.setdefault(flow.source, set()).add(flow.target)
        elif kind is PortionKind.IN_TRANSIT:
            ways.setdefault(flow.source, []).append(flow.target)
    found: dict[int, list[tuple[Portion, set[int]]]] = {}
    for flow in ledger.flows:
        moved = ledger.portions[flow.target]
        if moved.kind is PortionKind.MOVED:
            for left in ways.get(flow.source, ()):
                found.setdefault(left, []).append((moved, onward.get(moved.number, set())))
    return found


def _begin_of(vertex: Vertex) -> int:
    return vertex.portion.row.event.time.lo_ms


def states_since(chain: Sequence[Vertex], since_ms: int, clock: str | None, readings: Readings) -> Iterable[Vertex]:
    """Return the states of a chain that may have been after a time: those that began later, and the last before.

    clock: by whose clock the time is; None: by several.
    """
    last = 0
    for place, state in enumerate(chain):
        row = state.portion.row
        if row.event.time.lo_ms + readings.slack_ms(row.member, clock) <= since_ms:
            last = place
    return chain[last:]


def may_come_to(shipped: Portion, state: Portion) -> bool:
    """Return whether what was shipped and never received may be where a stock is."""
    if state.holder.key == shipped.holder.key:
        return False
    receiver = shipped.receiver
    if receiver is None:
        return True
    if receiver.site is not None and state.holder.site is not None:
        return receiver.site == state.holder.site
    return receiver.party is None or state.holder.party is None or receiver.party == state.holder.party


def _hub(like: Portion) -> Portion:
    """Return a state that only joins: it holds nothing by itself."""
    return Portion(-1, PortionKind.WAY, like.row, like.holder, "", Decimal(0), None, like.uom)


def rank_of(vertex: Vertex) -> tuple[str, int, str, bytes, str, str]:
    """Return what vertices are put in order by: their content, so that arrival says nothing."""
    portion = vertex.portion
    time_ms = portion.row.event.time.lo_ms
    return vertex.item, time_ms, portion.kind, portion.row.event.event_digest, portion.holder.key, portion.unit
