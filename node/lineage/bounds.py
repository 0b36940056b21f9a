"""How much: the least and the most seed material in goods (content), and of goods that may hold any (affected).

`max = maxflow(tainted and unknown to S)`, `min = q(S) - maxflow(clean and unknown to S)`, with the recorded flow fixed
on every edge (docs/scope.md, "Two amounts"). An unknown stands on both sides, on the clean one
as large as the whole draw that it helped to fill; so does what lies on a loop. Each unit of measure is a network of its
own, in which other units bound nothing.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from decimal import Decimal
from typing import Final, NamedTuple

from node.lineage.flow_order import FlowOrder
from node.lineage.maxflow import Network
from node.lineage.pace import tick
from node.lineage.portions import Portion, PortionKind
from node.lineage.readings import Readings
from node.lineage.runs import Run
from node.lineage.spread import OPEN, Spread
from node.lineage.spread_graph import Edge, Link, Swap, Vertex
from node.lineage.timeline import is_before

_SCALE: Final = 10**9
_SHARE: Final = Decimal(1).scaleb(-9)
EXACT_WORK_MAX: Final = 2_000_000
"""Vertices and edges times the number of flows asked for, up to which every portion is bounded exactly."""
EXACT_SETS_MAX: Final = 50_000
"""Vertices and edges up to which sums are bounded exactly."""
UNSOURCED: Final = (PortionKind.UNKNOWN, PortionKind.MOVED)


class Bound(NamedTuple):
    """lo … hi, hi None without bound. known_hi: the most if nothing that is unknown was tainted."""

    lo: Decimal
    hi: Decimal | None
    known_hi: Decimal | None


class Intervals(NamedTuple):
    """For each vertex the most tainted, known tainted and clean material, in billionths; infinite: without bound.

    told: what may hold some for certain. swaps: of what was never received, what may stand in its place."""

    tainted: list[int]
    known: list[int]
    clean: list[int]
    infinite: int
    told: Set[int]
    swaps: Mapping[int, Swap]

    def bound(self, vertex: Vertex, uom: str | None) -> Bound:
        """Return the bound of one vertex. uom: the unit that the intervals are in."""
        number, portion = vertex.number, vertex.portion
        least = 0
        if portion.uom == uom and number in self.told:
            swap = self.swaps.get(number)
            others = 0 if swap is None else min(int(swap.most_of(portion) * _SCALE), self.clean[swap.hub])
            least = max(0, int(portion.lo * _SCALE) - self.clean[number] - others)
        if least > self.tainted[number]:
            return Bound(Decimal(0), portion.hi, portion.hi)  # As above: amounts that contradict each other.
        return Bound(Decimal(least) / _SCALE, self.most(number), self._amount(self.known[number]))

    def most(self, number: int) -> Decimal | None:
        """Return the most tainted material of a vertex."""
        return self._amount(self.tainted[number])

    def _amount(self, amount: int) -> Decimal | None:
        return None if amount >= self.infinite else Decimal(amount) / _SCALE


class Bounds:
    """Bounds for one spread. clean: numbers of vertices taken as clean unknowns, for what-if."""

    def __init__(self, spread: Spread) -> None:
        self._spread = spread
        self._graph = spread.graph
        self._most_view = FlowOrder(spread, touch=True)
        has_touch = any(edge.is_touch for edge in self._graph.edges)
        # What only touched goods is no part of them: it makes no seed material of theirs less.
        self._least_view = FlowOrder(spread, touch=False) if has_touch else self._most_view
        self._networks: dict[tuple[str | None, bool, bool], Network] = {}
        self._known_sources: dict[object, list[tuple[int, int]]] = {}
        """By what they are for: each what-if has its own."""
        self._split: dict[int, tuple[Decimal, Decimal]] = {}
        self._infinite = 1
        for edge in self._graph.edges:
            self._infinite += 0 if edge.hi is None else int(edge.hi * _SCALE)
        for vertex in self._graph.vertices:
            self._infinite += 0 if vertex.portion.hi is None else int(vertex.portion.hi * _SCALE)
        self.fact_reach = self._reach_of_facts()
        self.told = self._find_told()
        """What facts alone lead to from a seed, or what bears a seed's own code. The rest is our reading, and so holds
        nothing for certain."""
        self._fresh = self._fresh_outputs()
        self._clean: list[int] = []
        self._find_clean()
        for run in self._spread.rules.mixed:
            self._mix(run)
        self.doubtful = [number for number in spread.seeds if self._graph.vertices[number].kind in UNSOURCED]
        """Goods with the seed's own code whose source nobody recorded: seed material, and perhaps the same goods as
        others that the record has elsewhere. The least of a sum counts them for nothing."""
        self.clean_reach = self._reach_of_clean()

    def _find_told(self) -> set[int]:
        found = {number for number in self.fact_reach if not self._graph.is_disputed(self._graph.vertices[number])}
        for item in self._spread.label_items:
            loaded = self._graph.items[item]
            found.update(range(loaded.first, loaded.first + len(loaded.ledger.portions)))
        return found | self._spread.seeds.keys()

    # What flows from where.

    def _is_clean_source(self, vertex: Vertex) -> bool:
        """Return whether goods begin here that are not seed material, or of which we do not know that they are."""
        number, kind = vertex.number, vertex.kind
        if number in self._spread.seeds:
            return False
        if vertex.run is None and vertex.item in self._spread.label_items:
            return False
        if kind in UNSOURCED or vertex.portion.reading or number in self._least_view.loops or number in self._split:
            return True
        if kind in (PortionKind.POOL, PortionKind.WAY):
            return False
        came = [self._graph.edges[edge] for edge in self._graph.into[number]]
        if any(edge.link is Link.CUT and edge.why == "kill_step" for edge in came):
            return True  # What it was made of is no seed material any more, whatever touched it later.
        return all(edge.link in (Link.CUT, Link.OPEN) or edge.is_touch for edge in came)

    def _find_clean(self) -> None:
        self._clean = [vertex.number for vertex in self._graph.vertices if self._is_clean_source(vertex)]
        self._networks = {}
        self._known_sources = {}

    def _mix(self, run: Run) -> None:
        """A declared `mixed` run: each output has the share of seed material that its stock had when it was drawn.

        An output's share is of [least, most] what is in; it is rounded outward. Without known amounts of one unit the
        rule says nothing, and the run stays `any`; so too where times do not tell what was in when it was drawn.
        """
        if not run.is_one_unit or not _is_ordered(run, self._graph.facts.readings):
            return
        base = self._spread.graph.first_of(run)
        least = most = stock = 0
        found: dict[int, tuple[Decimal, Decimal]] = {}
        for portion in run.portions:
            number = base + portion.number
            amount = int(portion.lo * _SCALE)
            if portion.kind is PortionKind.USED:
                bound = self.content([number], portion.uom)
                least += int(bound.lo * _SCALE)
                most += amount if bound.hi is None else min(int(bound.hi * _SCALE), amount)
                stock += amount
            elif portion.kind is PortionKind.OUTPUT:
                size = max(stock, amount, 1)
                low = least * amount // size
                high = min(amount, -(-most * amount // size))
                found[number] = Decimal(low) / _SCALE, Decimal(high) / _SCALE
                least, most, stock = max(0, least - high), max(0, most - low), max(0, stock - amount)
        self._split.update(found)
        self._find_clean()

    def is_mixed(self, number: int) -> bool:
        """Return whether a vertex is an output of a `mixed` run that certainly holds some, or its lot's portion."""
        line = next((self._graph.edges[edge].source for edge in self._graph.into[number]), number)
        return any(one in self._split and self._split[one][0] > 0 for one in (number, line))

    def _fresh_outputs(self) -> set[int]:
        """Return outputs of mixing runs in scope: each counts whole, as a source of its own, for what is affected."""
        fresh = set(self._spread.fresh)
        for number in self._spread.level:
            vertex = self._graph.vertices[number]
            if (
                vertex.is_line
                and vertex.kind is PortionKind.OUTPUT
                and vertex.run is not None
                and not vertex.run.pieces
            ):
                fresh.add(number)
        return fresh & self._spread.level.keys()

    def _capacity(self, portion: Portion | Edge, uom: str | None) -> int:
        if portion.hi is not None and portion.hi == 0 and not isinstance(portion, Portion):
            return 0
        if portion.hi is None or portion.uom != uom:
            return self._infinite
        return int(portion.hi * _SCALE)

    def _network(self, uom: str | None, view: FlowOrder, *, affected: bool) -> Network:
        found = self._networks.get((uom, affected, view.touch))
        if found is not None:
            return found
        network = Network(2 * len(self._graph.vertices))
        for vertex in self._graph.vertices:
            is_state = vertex.kind in (PortionKind.POOL, PortionKind.WAY)
            room = self._infinite if is_state else self._capacity(vertex.portion, uom)
            network.add(2 * vertex.number, 2 * vertex.number + 1, room)
        closed = self._spread.seeds.keys() | self._split.keys() | (self._fresh if affected else set())
        for edge in self._graph.edges:
            if edge.target not in closed and view.carries(edge):
                network.add(2 * edge.source + 1, 2 * edge.target, self._capacity(edge, uom))
        self._networks[uom, affected, view.touch] = network
        return network

    def _sources(self, numbers: Iterable[int], uom: str | None) -> list[tuple[int, int]]:
        vertices = self._graph.vertices
        return [(2 * number, self._capacity(vertices[number].portion, uom)) for number in numbers]

    def _clean_sources(self) -> list[tuple[int, int]]:
        found = self._known_sources.get(self.presumed)
        if found is None:
            found = self._known_sources[self.presumed] = self._find_clean_sources()
        return found[:]

    def _find_clean_sources(self) -> list[tuple[int, int]]:
        sources: list[tuple[int, int]] = []
        for number in self._clean:
            vertex = self._graph.vertices[number]
            if number in self.presumed:
                continue
            if number in self._split:
                portion = vertex.portion
                sources.append((2 * number, int((portion.lo - self._split[number][0]) * _SCALE)))
            elif vertex.kind in UNSOURCED:
                # As large as the whole draw that it helped to fill.
                for edge in self._graph.out[number]:
                    target = self._graph.edges[edge].target
                    if target not in self._spread.seeds:
                        sources.append((2 * target, self._infinite))
                sources.append((2 * number, self._infinite))
            else:
                sources.append((2 * number, self._infinite))
        return sources

    def _tainted_sources(self, uom: str | None, *, unknown: bool, affected: bool) -> list[tuple[int, int]]:
        key = uom, unknown, affected, self.excused
        found = self._known_sources.get(key)
        if found is None:
            found = self._known_sources[key] = self._find_tainted_sources(uom, unknown=unknown, affected=affected)
        return found[:]

    def _find_tainted_sources(self, uom: str | None, *, unknown: bool, affected: bool) -> list[tuple[int, int]]:
        level, vertices = self._spread.level, self._graph.vertices
        numbers = [number for number in self._spread.seeds if number not in self._split]
        if unknown:
            numbers += [
                number
                for number in level
                if number not in self._spread.seeds
                and (vertices[number].kind in UNSOURCED or number in self._least_view.loops)
                and number not in self.excused
            ]
        if affected:
            numbers += [number for number in self._fresh if number not in self.excused]
        sources = self._sources(numbers, uom)
        sources += [(2 * number, int(high * _SCALE)) for number, (_low, high) in self._split.items()]
        return sources

    excused: frozenset[int] = frozenset()
    """Unknowns that are taken to be clean, to see how much the scope would shrink."""
    presumed: frozenset[int] = frozenset()
    """Unknowns that are taken to be tainted, to see how much would be certain."""

    # Bounds of a set.

    def content(self, numbers: Sequence[int], uom: str | None) -> Bound:
        """Return the content of goods in a unit of measure; seed material in two of them, one after the other, is
        counted once."""
        network = self._network(uom, self._most_view, affected=False)
        sinks = self._sinks(numbers, uom)
        most = network.flow(self._tainted_sources(uom, unknown=True, affected=False), sinks)
        known = network.flow(self._tainted_sources(uom, unknown=False, affected=False), sinks)
        last = self.last_of(numbers)
        least = self._least([number for number in last if number in self.told], uom)
        if least > most:
            # More came out than all that can have gone in: amounts that contradict each other bound nothing.
            _amount, is_known = self._amount(last, uom)
            least, most = 0, self._infinite if not is_known else sum(room for _place, room in sinks)
        return Bound(self._decimal(least) or Decimal(0), self._decimal(most), self._decimal(known))

    def least(self, numbers: Sequence[int], uom: str | None) -> Decimal:
        """Return the least content of goods, in billionths' precision, were all our readings facts."""
        return Decimal(self._least(self.last_of(numbers), uom)) / _SCALE

    def _least(self, last: Sequence[int], uom: str | None) -> int:
        amount, is_known = self._amount(last, uom)
        if not is_known or amount <= 0:
            return 0
        clean = self._clean_sources()
        if len(last) > 1:
            clean += [(2 * number, self._infinite) for number in self.doubtful]
        network = self._network(uom, self._least_view, affected=False)
        sinks = self._sinks(last, uom)
        for number in last:
            # What was never received may have been drawn all the same, and others' goods be what is left of it.
            swap = self._graph.swaps.get(number)
            if swap is not None:
                most = swap.most_of(self._graph.vertices[number].portion)
                sinks.append((2 * swap.hub + 1, int(most * _SCALE)))
        return max(0, amount - network.flow(clean, sinks))

    def last_of(self, numbers: Sequence[int]) -> Sequence[int]:
        """Return those that may not have become part of another one of them.

        A least amount may count each of these once. Goods that were reworked into their own code, or that were never
        received where their lot is, would be counted twice.
        """
        if len(numbers) < 2:
            return numbers
        upstream = self._least_view.upstream_of(numbers)
        return [number for number in numbers if number not in upstream]

    def affected(self, numbers: Sequence[int], uom: str | None) -> Decimal | None:
        """Return the most of these goods that may hold any seed material, in their own unit; None without bound."""
        network = self._network(uom, self._most_view, affected=True)
        sources = self._tainted_sources(uom, unknown=True, affected=True)
        return self._decimal(network.flow(sources, self._sinks(numbers, uom)))

    # Intervals: a bound for each vertex at once, in the order that goods flow.

    def intervals(self, uom: str | None, *, affected: bool) -> "Intervals":
        """Return the most tainted, known tainted and clean material of every vertex: sound, and wider than a flow."""
        view = self._most_view
        tainted = self._pass(self._tainted_sources(uom, unknown=True, affected=affected), uom, view, affected=affected)
        if affected:
            return Intervals(tainted, tainted, tainted, self._infinite, self.told, self._graph.swaps)
        known = self._pass(self._tainted_sources(uom, unknown=False, affected=False), uom, view, affected=False)
        clean = self._pass(self._clean_sources(), uom, self._least_view, affected=False)
        return Intervals(tainted, known, clean, self._infinite, self.told, self._graph.swaps)

    def _pass(self, sources: list[tuple[int, int]], uom: str | None, view: FlowOrder, *, affected: bool) -> list[int]:
        amounts = [0] * len(self._graph.vertices)
        for place, room in sources:
            amounts[place // 2] += room
        closed = self._spread.seeds.keys() | self._split.keys() | (self._fresh if affected else set())
        edges, vertices, most = self._graph.edges, self._graph.vertices, self._infinite
        for number in view.order():
            tick()
            if number not in closed:
                for edge_number in self._graph.into[number]:
                    edge = edges[edge_number]
                    if view.carries(edge):
                        amounts[number] += min(self._capacity(edge, uom), amounts[edge.source])
            vertex = vertices[number]
            is_state = vertex.kind in (PortionKind.POOL, PortionKind.WAY)
            room = most if is_state else self._capacity(vertex.portion, uom)
            # What lies on a loop may be anything that its place can hold, if anything came to it.
            if number in view.loops and amounts[number]:
                amounts[number] = room
            amounts[number] = min(amounts[number], room)
        return amounts

    def _sinks(self, numbers: Sequence[int], uom: str | None) -> list[tuple[int, int]]:
        return [(2 * number + 1, self._capacity(self._graph.vertices[number].portion, uom)) for number in numbers]

    def _amount(self, numbers: Sequence[int], uom: str | None) -> tuple[int, bool]:
        portions = [self._graph.vertices[number].portion for number in numbers]
        known = all(portion.uom == uom for portion in portions)
        return int(sum((portion.lo for portion in portions), Decimal(0)) * _SCALE), known

    def _decimal(self, amount: int) -> Decimal | None:
        return None if amount >= self._infinite else Decimal(amount) / _SCALE

    # Reach.

    def _reach_of_clean(self) -> set[int]:
        """Return what anything but seed material may have got into."""
        sources = list(self._clean)
        sources += [number for number, level in self._spread.level.items() if level == OPEN]
        found = self._reach(sources, {Link.FACT, Link.READING, Link.OPEN})
        return found | {number for number, swap in self._graph.swaps.items() if swap.hub in found and swap.room != 0}

    def _reach_of_facts(self) -> set[int]:
        return self._reach(list(self._spread.seeds), {Link.FACT})

    def _reach(self, sources: list[int], links: set[Link]) -> set[int]:
        found = set(sources)
        pending = list(sources)
        by_amount = self._spread.rule.by_amount
        while pending:
            tick()
            for number in self._graph.out[pending.pop()]:
                edge = self._graph.edges[number]
                dry = edge.hi == 0
                if edge.is_touch or edge.link not in links or edge.target in found or edge.target in self._spread.seeds:
                    continue
                if dry and (by_amount or Link.OPEN not in links):
                    continue
                found.add(edge.target)
                pending.append(edge.target)
        return found


def _is_ordered(run: Run, readings: Readings) -> bool:
    """Return whether it is certain of each output which inputs were in by then; what one event takes in, it gives.

    The run's portions stand in the order that allows the most. Only where that is the one that the times tell, by the
    clocks of who told of them, is it known what was in.
    """
    for output in run.outputs:
        for taken in run.inputs:
            is_in = taken.portion < output.portion
            first, then = (taken.row, output.row) if is_in else (output.row, taken.row)
            if first is not then and not is_before(first, then, readings):
                return False
    return True
