"""Goods named by their product alone, in a walk: they may be of any lot of it that the custodian had then.

So a lot's stock may be in what its holder drew by the product's name, and what came by that name may be in what is
drawn of the lot there, recorded to have arrived or not. All of it is only our reading, on both sides of the bounds:
what is in scope may go that way, and what is not may fill a draw that else only seed material could fill.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Final

from node.lineage.pace import tick
from node.lineage.portions import ZERO, Portion, PortionKind
from node.lineage.spread_graph import Link, Loaded, SpreadGraph, Vertex, may_come_to, states_since
from node.lineage.timeline import is_before
from node.lineage.whereabouts import names_of

_DRAWN: Final = (PortionKind.USED, PortionKind.SHIPPED, PortionKind.ENDED)

_TURNED_OVER: Final = (*_DRAWN, PortionKind.RECEIVED, PortionKind.FOUND)


class _Stock:
    """What one holder has, or is to have, by a product's name. hub: what all of it flows to."""

    def __init__(self, portion: Portion, hub: int, link: Link) -> None:
        self.portion = portion
        self.hub = hub
        self.link = link

    def may_be_at(self, state: Portion) -> bool:
        """Return whether it may lie with a stock."""
        if self.portion.kind is PortionKind.IN_TRANSIT:
            return may_come_to(self.portion, state)
        return self.portion.holder.key == state.holder.key


class _Turnover:
    """How much one holder took in, and drew, by a product's name. at: a portion there, that says where."""

    def __init__(self, at: Portion) -> None:
        self.at = at
        self._ones: list[Portion] = []
        self._until_ms: list[int] = []
        self._since: list[Decimal | None] = []

    def add(self, portion: Portion) -> None:
        """Count a portion."""
        self._ones.append(portion)

    def settle(self) -> None:
        """Sum it, once all is counted. Amounts in several units have no sum."""
        self._ones.sort(key=lambda one: one.row.event.time.hi_ms)
        is_one_unit = len({one.uom for one in self._ones}) == 1
        total: Decimal | None = ZERO if is_one_unit else None
        for one in reversed(self._ones):
            total = None if total is None or one.hi is None else total + one.hi
            self._since.append(total)
        self._since.reverse()
        self._until_ms = [one.row.event.time.hi_ms for one in self._ones]

    def since(self, time_ms: int, uom: str | None) -> Decimal | None:
        """Return how much that was from a time on; None: unknown."""
        first = bisect_left(self._until_ms, time_ms)
        if first == len(self._ones):
            return ZERO
        return self._since[first] if self.at.uom == uom else None


class _Class:
    """A product's name in the graph. drawn: how much each holder drew by it, by unit of measure; None: unknown.

    turnovers: by holder.
    """

    def __init__(self, loaded: Loaded, graph: SpreadGraph) -> None:
        self.loaded = loaded
        self.lots: dict[str, None] = {}
        self.stocks: dict[str, _Stock] = {}
        self.drawn: dict[str, tuple[frozenset[str], dict[str | None, Decimal | None]]] = {}
        self.turnovers: dict[str, _Turnover] = {}
        for portion in loaded.ledger.portions:
            tick()
            if portion.kind in _TURNED_OVER:
                self.turnovers.setdefault(portion.holder.key, _Turnover(portion)).add(portion)
            number = loaded.vertex(portion)
            if portion.kind is PortionKind.POOL:
                self._add(f"at {portion.holder.key}", portion, number, Link.READING, graph)
            elif portion.kind is PortionKind.IN_TRANSIT:
                to = portion.receiver
                where = f"from {portion.holder.key}" if to is None else f"{portion.holder.key} to {to.key}"
                self._add(where, portion, number, Link.OPEN, graph)
            elif portion.kind in _DRAWN:
                _names, amounts = self.drawn.setdefault(portion.holder.key, (names_of(portion.holder), {}))
                before = amounts.get(portion.uom, ZERO)
                amounts[portion.uom] = None if before is None or portion.hi is None else before + portion.hi
        for turnover in self.turnovers.values():
            turnover.settle()

    def _add(self, where: str, portion: Portion, number: int, link: Link, graph: SpreadGraph) -> None:
        stock = self.stocks.get(where)
        if stock is None:
            stock = self.stocks[where] = _Stock(portion, graph.add_hub(portion).number, link)
        graph.add_edge(number, stock.hub, None, portion.uom, link)


class Classes:
    """The names of products of one walk. by_amount: whether amounts may exclude the hazard."""

    def __init__(
        self,
        graph: SpreadGraph,
        load: Callable[[str], Loaded | None],
        warn: Callable[[str, str], None],
        *,
        by_amount: bool,
    ) -> None:
        self._graph = graph
        self._load = load
        self._warn = warn
        self._by_amount = by_amount
        self._classes: dict[str, _Class] = {}

    def enter(self, vertex: Vertex, product: str, first_ms: int) -> None:
        """Link a stock of a lot in scope, or what of it nobody received, with what is there by the product's name.

        first_ms: when the first seed was; what was there before cannot have got any.
        """
        found = self._classes.get(product)
        if found is None:
            if not self._graph.facts.timelines.of_item(product).entries:
                return
            loaded = self._load(product)
            if loaded is None:
                return
            found = self._classes[product] = _Class(loaded, self._graph)
        if vertex.item not in found.lots:
            found.lots[vertex.item] = None
            self._add_lot(found, self._graph.items[vertex.item], first_ms)
        self._to_drawn(vertex, found.loaded, product)
        if vertex.kind is PortionKind.IN_TRANSIT:
            self._to_receivers(vertex, found.loaded, product)
        elif not self._by_amount:
            self._to_stock(vertex, found.loaded)

    def _add_lot(self, found: _Class, lot: Loaded, first_ms: int) -> None:
        """Goods that came by their product's name may go on by the lot's, and what went by it may be the lot's."""
        for chain in lot.chains.values():
            at = chain[0].portion
            for stock in found.stocks.values():
                for state in (
                    states_since(chain, first_ms, None, self._graph.facts.readings) if stock.may_be_at(at) else ()
                ):
                    self._graph.add_to_stock(stock.hub, state, at.uom, Link.READING)
        for held in lot.ledger.of_kind(PortionKind.HELD):
            self._lessen(lot.vertex(held), _drawn_at(held, found.drawn.values()))
        slack_ms = 2 * self._graph.facts.readings.clock_tolerance_ms
        for sent in lot.ledger.of_kind(PortionKind.IN_TRANSIT):
            tick()
            since_ms = sent.row.event.time.lo_ms - slack_ms
            came = [one.since(since_ms, sent.uom) for one in found.turnovers.values() if may_come_to(sent, one.at)]
            known = [amount for amount in came if amount is not None]
            self._lessen(lot.vertex(sent), sum(known, ZERO) if len(known) == len(came) else None)

    def _lessen(self, number: int, less: Decimal | None) -> None:
        """Let so much of what is left of a lot be gone by its product's name. less: None if nobody knows how much."""
        vertex = self._graph.vertices[number]
        portion = vertex.portion
        if less is None or less > 0:
            vertex.portion = replace(portion, lo=ZERO if less is None else max(ZERO, portion.lo - less))
            if vertex.portion.lo == 0:
                self._graph.perhaps_gone.add(number)

    def _to_drawn(self, vertex: Vertex, loaded: Loaded, product: str) -> None:
        way, since, readings = vertex.portion, vertex.portion.row, self._graph.facts.readings
        names, is_sent = names_of(way.holder), vertex.kind is PortionKind.IN_TRANSIT
        for portion in loaded.ledger.of_kind(*_DRAWN, PortionKind.FOUND):
            is_there = may_come_to(way, portion) if is_sent else bool(names & names_of(portion.holder))
            if is_there and not is_before(portion.row, since, readings):
                self._warn("class_without_lot", product)
                link = Link.OPEN if is_sent else Link.READING
                self._graph.add_edge(vertex.number, loaded.vertex(portion), portion.hi, portion.uom, link)

    def _to_receivers(self, vertex: Vertex, loaded: Loaded, product: str) -> None:
        """What nobody received by its lot may have been received by its product's name: by whom it may have gone to."""
        sent, row = vertex.portion, vertex.portion.row
        for chain in loaded.chains.values():
            if may_come_to(sent, chain[0].portion):
                self._warn("class_without_lot", product)
                for state in states_since(chain, row.event.time.lo_ms, row.member, self._graph.facts.readings):
                    self._graph.add_edge(vertex.number, state.number, sent.hi, sent.uom, Link.OPEN)

    def _to_stock(self, vertex: Vertex, loaded: Loaded) -> None:
        """What spreads gets into what lies there under the product's name, or may have come there unrecorded."""
        since, readings = vertex.portion.row, self._graph.facts.readings
        for (at, _unit, _uom), chain in loaded.chains.items():
            if at == vertex.portion.holder.key:
                state = next(iter(states_since(chain, since.event.time.lo_ms, since.member, readings)))
                self._graph.add_edge(vertex.number, state.number, None, None, Link.READING, is_touch=True)
        for sent in loaded.ledger.of_kind(PortionKind.IN_TRANSIT):
            if may_come_to(sent, vertex.portion):
                self._graph.add_edge(vertex.number, loaded.vertex(sent), None, None, Link.OPEN, is_touch=True)


def _drawn_at(
    held: Portion, drawn: Iterable[tuple[frozenset[str], dict[str | None, Decimal | None]]]
) -> Decimal | None:
    """Return how much of a holding may have been drawn by its product's name; None: unknown."""
    total = ZERO
    for names, amounts in drawn:
        if not names & names_of(held.holder):
            continue
        if amounts.keys() - {held.uom} or amounts[held.uom] is None:
            return None
        total += amounts[held.uom] or ZERO
    return total
