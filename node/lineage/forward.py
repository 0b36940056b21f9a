"""Where an item went: a walk from uses to outputs, level by level, each item with the earliest time of its taint.

An event that certainly happened before an item was tainted is left out; nothing else excludes. Units carry their
contents while these are in them, and do not taint what is beside them. An item whose time of taint is found earlier
later on is looked at again, so the result is the same in whatever order the items come.
"""

from collections.abc import Iterable
from typing import NamedTuple

from consensus.types import Digest
from node.epcis.model import EventType
from node.lineage.containment import Stay
from node.lineage.custody import Custodian
from node.lineage.facts import Facts, Side
from node.lineage.graph import RUN_LINKS_MAX, Edge, EdgeKind, Graph
from node.lineage.indexing import lot_of_serial
from node.lineage.items import ItemKind, read_item
from node.lineage.pace import tick
from node.lineage.parts import Parts, Rows, join
from node.lineage.records import (
    ROLE_CHILD,
    ROLE_INPUT,
    ROLE_INSTANCES,
    ROLE_MADE,
    ROLE_OUTPUT,
    ROLE_PARENT,
    EventRef,
    EventRow,
)
from node.lineage.timeline import FOREVER_MS, Timeline
from node.lineage.whereabouts import NOWHERE


class Taint(NamedTuple):
    """From when an item can be tainted. clock: the member by whose clock, None if several.

    hi_ms: until when, for a unit as carrier; FOREVER_MS else. siblings: whether serials of a lot are affected too,
    or only what draws on the lot's stock. rows: the events that made the tainted part, None for all of the lot.
    """

    lo_ms: int
    clock: str | None
    hi_ms: int
    siblings: bool
    rows: Rows | None = None


class Vertex(NamedTuple):
    """What is walked: goods, or a unit around them (a carrier, once for each stay). at: custodian of a class."""

    item: str
    carrier: bool
    at: str


class ForwardWalk:
    """One walk. `run` fills the graph."""

    def __init__(self, facts: Facts, graph: Graph, *, depth_max: int | None) -> None:
        self._facts = facts
        self._graph = graph
        self._depth_max = depth_max
        self._taints: dict[Vertex, Taint] = {}
        self._next: dict[Vertex, None] = {}
        self._carried: set[tuple[str, int, int, str | None]] = set()
        self._carriers: dict[tuple[str, int, int, str | None], None] = {}
        self._runs: dict[tuple[str | Digest, Custodian | None, str | None], tuple[int, int]] = {}
        self._class_rows: dict[str, dict[str, list[EventRow]]] = {}
        self._given: dict[EventRef, tuple[Taint, list[Vertex]]] = {}
        self._parts = Parts(facts)
        self._first_made: dict[str, dict[str, int]] = {}

    def run(self, items: Iterable[tuple[str, Taint]]) -> None:
        """Walk from `items`, each with when it is tainted, until nothing new is reached, or a limit."""
        for item, taint in items:
            self._reach(Vertex(item, carrier=False, at=""), taint)
        depth = 0
        while self._next or self._carriers:
            if self._depth_max is not None and depth >= self._depth_max:
                self._graph.depth_reached = True
                return
            vertices, self._next = sorted(self._next), {}
            carriers, self._carriers = sorted(self._carriers, key=_carrier_order), {}
            for vertex in vertices:
                tick()
                self._expand(vertex, self._taints[vertex])
            for unit, lo_ms, hi_ms, clock in carriers:
                tick()
                self._carry(unit, Taint(lo_ms, clock, hi_ms, siblings=False))
            depth += 1

    def _reach(self, vertex: Vertex, taint: Taint) -> bool:
        """Note that the item can be tainted from then; return whether it is in the answer."""
        old = self._taints.get(vertex)
        if old is not None:
            if old == taint:
                return True  # Another input of one run gives the same.
            clock = old.clock if old.clock == taint.clock else None
            rows = join(old.rows, taint.rows)
            joined = Taint(min(old.lo_ms, taint.lo_ms), clock, FOREVER_MS, old.siblings or taint.siblings, rows)
            if joined == old:
                return True
            taint = joined
        if self._graph.reach(vertex.item, taint.lo_ms, FOREVER_MS, carrier=False) is None:
            return False
        self._taints[vertex] = taint
        self._next[vertex] = None
        return True

    def _is_before(self, row: EventRow, taint: Taint) -> bool:
        """Return whether the event certainly happened before the taint."""
        return row.event.time.hi_ms < taint.lo_ms - self._facts.readings.slack_ms(row.member, taint.clock)

    def _later(self, row: EventRow, taint: Taint) -> tuple[int, str]:
        """Return from when, by whose clock, what the event gives on is tainted."""
        lo_ms = row.event.time.lo_ms
        return (max(lo_ms, taint.lo_ms) if row.member == taint.clock else lo_ms), row.member

    def _expand(self, vertex: Vertex, taint: Taint) -> None:
        item = vertex.item
        facts, graph = self._facts, self._graph
        timeline = facts.timelines.of_item(item)
        where = facts.whereabouts
        is_class = read_item(item).kind is ItemKind.CLASS and vertex.at != ""
        part = self._parts.onward(item, timeline, taint.rows)
        if part is not None or item in graph.parts:
            graph.parts[item] = part
        is_child = is_parent = False
        for row, role in timeline.entries:
            # A stay that began before the taint may last beyond it.
            is_child = is_child or bool(role & ROLE_CHILD)
            is_parent = is_parent or bool(role & ROLE_PARENT)
            if self._is_before(row, taint):
                if role & ROLE_INPUT and self._is_unmade(item, row, timeline):
                    # Used before any making of it: its times contradict each other, and exclude nothing.
                    graph.touch(row, item)
                    graph.warn("used_before_made", item, row)
                    self._consume(item, row, taint._replace(lo_ms=-FOREVER_MS))
                continue
            if part is not None and row.event.event_digest not in part.events:
                continue  # It moved, used or ended another part of the lot.
            if is_class and vertex.at not in where.here(row) | (where.had_from(row) or NOWHERE):
                continue
            if role & ROLE_INSTANCES and not role & ~ROLE_INSTANCES:
                if taint.siblings:
                    self._to_serials(item, row, taint)
                continue
            graph.touch(row, item)
            if role & ROLE_INPUT:
                self._consume(item, row, taint)
            if role & ROLE_INSTANCES and taint.siblings:
                self._to_serials(item, row, taint)
            if is_class:
                self._follow_class(vertex, row, taint)
        for note in timeline.notes:
            graph.warn(note.code, item, note.row)
            graph.touch(note.row, item)
        self._see_voided(item, timeline, taint)
        if is_child:
            self._to_carriers(item, timeline, taint, vertex.at)
        if is_parent:
            self._to_contents(item, taint)
        if not is_class:
            self._to_class(item, timeline, taint)
            self._to_lot_of_serial(item, timeline, taint)

    def _is_unmade(self, item: str, row: EventRow, timeline: Timeline) -> bool:
        """Return whether the event certainly happened before every making of the item, and there is one."""
        firsts = self._first_made.get(item)
        if firsts is None:
            firsts = self._first_made[item] = {}
            for made, role in timeline.entries:
                if role & (ROLE_MADE | ROLE_OUTPUT | ROLE_INSTANCES):
                    lo_ms = made.event.time.lo_ms
                    firsts[made.member] = min(lo_ms, firsts.get(made.member, lo_ms))
        slack_ms = self._facts.readings.slack_ms
        hi_ms = row.event.time.hi_ms
        return bool(firsts) and all(lo_ms > hi_ms + slack_ms(member, row.member) for member, lo_ms in firsts.items())

    def _consume(self, item: str, row: EventRow, taint: Taint) -> None:
        """Follow a use to every output of its run that was not certainly drawn before it."""
        lo_ms, clock = self._later(row, taint)
        use = Taint(lo_ms, clock, FOREVER_MS, siblings=True)
        run = (*self._facts.timelines.run_of(row), clock)
        done_ms, links = self._runs.get(run, (FOREVER_MS, 0))
        # By one clock the use is what bounds the outputs; by two, the taint may bound them too.
        two_bounds = row.event.transformation_id is not None and row.member != taint.clock
        if links >= RUN_LINKS_MAX and (min(lo_ms, taint.lo_ms) if two_bounds else lo_ms) >= done_ms:
            # All its outputs are found, from an input that came no later: what is left are links alone.
            self._graph.warn("run_links_left_out", item, row)
            return
        bound_ms = max(lo_ms, taint.lo_ms) if two_bounds else lo_ms
        self._runs[run] = (min(done_ms, bound_ms), links + self._give(item, row, taint, use))

    def _give(self, item: str, row: EventRow, taint: Taint, use: Taint) -> int:
        """Reach the outputs of a use; return how many links that made."""
        lo_ms, clock = use.lo_ms, use.clock
        links = 0
        taints, single = self._taints, read_item(item).single
        amount, uom = self._facts.amounts.of(row, Side.INPUTS, item)
        for output in self._facts.timelines.outputs_of_run(row):
            if output is not row and (self._is_before(output, use) or self._is_before(output, taint)):
                continue
            given_ms, given_clock = (lo_ms, clock) if output is row else self._later(output, use)
            given, vertices = self._outputs_of(output, given_ms, given_clock)
            input_row = None if output is row else row
            edges: list[Edge] = []
            for vertex in vertices:
                name = vertex.item
                if name == item and single:
                    continue  # The same piece goes on; it is not made twice.
                # What another input of the run has reached already takes no call.
                if taints.get(vertex) is given or self._reach(vertex, given):
                    edges.append(Edge(output, name, input_row, None, amount, uom))
            self._graph.link_run(item, edges, is_output=False)
            links += len(edges)
        return links

    def _outputs_of(self, row: EventRow, lo_ms: int, clock: str | None) -> tuple[Taint, list[Vertex]]:
        """Return what an event puts out, tainted from then: the same for each input that has no later bound."""
        found = self._given.get(row.ref)
        if found is None or found[0].lo_ms != lo_ms or found[0].clock != clock:
            made = frozenset((row.event.event_digest,))
            given = Taint(lo_ms, clock, FOREVER_MS, siblings=True, rows=made)
            found = self._given[row.ref] = (
                given,
                [Vertex(goods.item, carrier=False, at="") for goods in row.event.outputs],
            )
        return found

    def _to_serials(self, lot: str, row: EventRow, taint: Taint) -> None:
        """A lot's serials are the lot: from where an event made them of it."""
        event = row.event
        made = event.outputs if event.type is EventType.TRANSFORMATION else event.goods
        lo_ms, clock = self._later(row, taint)
        for goods in made:
            if lot_of_serial(event, goods.item) == lot and self._reach(
                Vertex(goods.item, carrier=False, at=""), Taint(lo_ms, clock, FOREVER_MS, siblings=True)
            ):
                self._graph.link(lot, goods.item, EdgeKind.INSTANCE, Edge(row, goods.item, amount=goods.amount))

    def _to_lot_of_serial(self, item: str, timeline: Timeline, taint: Taint) -> None:
        """A piece is part of its lot's stock: what draws on the lot by its code may have drawn it."""
        if read_item(item).kind is not ItemKind.SERIAL:
            return
        for made, made_role in timeline.entries:
            if not made_role & (ROLE_MADE | ROLE_OUTPUT):
                continue
            lot = lot_of_serial(made.event, item)
            if lot is None:
                continue
            entries = self._facts.timelines.of_item(lot).entries
            draw = next((row for row, role in entries if role & ROLE_INPUT and not self._is_before(row, taint)), None)
            if draw is not None and self._reach(
                Vertex(lot, carrier=False, at=""), Taint(taint.lo_ms, taint.clock, FOREVER_MS, siblings=False)
            ):
                self._graph.link(item, lot, EdgeKind.INSTANCE, Edge(made, lot))
                self._graph.warn("serial_in_lot_stock", item, draw)

    def _to_carriers(self, item: str, timeline: Timeline, taint: Taint, at: str = "") -> None:
        """What happens to a unit happens to what is in it then. at: of goods named by product alone, at whom."""
        where = self._facts.whereabouts
        is_single = read_item(item).single
        for stay in self._facts.containment.stays_of(item, timeline):
            is_unmade = self._is_before(stay.since, taint) and self._is_unmade(item, stay.since, timeline)
            if stay.until is not None and not is_unmade and self._is_before(stay.until, taint):
                continue
            if not is_single and not is_unmade and self._is_before(stay.last, taint):
                continue  # What was packed of a lot before it was tainted is clean; a piece may be tainted inside.
            if at:
                if at not in where.here(stay.since):
                    continue
                for row in where.rows_around([stay]):
                    if not self._is_before(row, taint):
                        self._reach_class(item, where.all_of(row), row, taint)
            lo_ms: int = stay.lo_ms if is_unmade else max(stay.lo_ms, taint.lo_ms)
            # A bound that two clocks shared in is compared by the tolerance of both.
            clock = stay.since.member if stay.since.member == taint.clock or lo_ms == stay.lo_ms else None
            self._enter(stay, item, lo_ms, min(stay.hi_ms, taint.hi_ms), clock)

    def _enter(self, stay: Stay, item: str, lo_ms: int, hi_ms: int, clock: str | None) -> None:
        """Reach the unit of a stay as a carrier."""
        if lo_ms > hi_ms or self._graph.reach(stay.parent, lo_ms, hi_ms, carrier=True) is None:
            return
        edge = Edge(stay.since, stay.parent, until=stay.until, amount=stay.amount, uom=stay.uom)
        self._graph.link(item, stay.parent, EdgeKind.PACKED, edge)
        if stay.inferred:
            self._graph.warn("contents_inferred", item, stay.since)
        window = (stay.parent, lo_ms, hi_ms, clock)
        if window not in self._carried:
            self._carried.add(window)
            self._carriers[window] = None

    def _carry(self, unit: str, taint: Taint) -> None:
        """Follow a unit while it has the goods in it: moves, uses, and the unit around it."""
        timeline = self._facts.timelines.of_item(unit)
        is_child = any(role & ROLE_CHILD for _row, role in timeline.entries)
        for row, role in timeline.entries:
            if self._is_before(row, taint) or self._is_after(row, taint):
                continue
            self._graph.touch(row, unit)
            if role & ROLE_INPUT:
                self._consume(unit, row, taint)
        if is_child:
            self._to_carriers(unit, timeline, taint)
        for note in self._facts.containment.contents_of(unit).notes:
            self._graph.warn(note.code, unit, note.row)

    def _is_after(self, row: EventRow, taint: Taint) -> bool:
        """Return whether the event certainly happened after the goods had left the unit."""
        return row.event.time.lo_ms > taint.hi_ms + self._facts.readings.slack_ms(row.member, taint.clock)

    def _to_contents(self, unit: str, taint: Taint) -> None:
        """A unit that is itself traced passes to all that was in it since."""
        for child, stays in sorted(self._facts.containment.contents_of(unit).stays.items()):
            for stay in stays:
                if stay.until is not None and self._is_before(stay.until, taint):
                    continue
                lo_ms, clock = max(stay.lo_ms, taint.lo_ms), stay.since.member
                if self._reach(Vertex(child, carrier=False, at=""), Taint(lo_ms, clock, FOREVER_MS, siblings=False)):
                    edge = Edge(stay.since, child, until=stay.until, amount=stay.amount, uom=stay.uom)
                    self._graph.link(unit, child, EdgeKind.UNPACKED, edge)

    def _to_class(self, item: str, timeline: Timeline, taint: Taint) -> None:
        """Goods named by product alone may be of any lot of it that the custodian had then."""
        facts = read_item(item)
        if facts.kind not in (ItemKind.LOT, ItemKind.SERIAL) or facts.product is None:
            return
        named = self._rows_of_class(facts.product)
        if not named:
            return
        where = self._facts.whereabouts
        # Since when the item was at whom: by each member's clock, for two do not compare.
        since: dict[str, dict[str, int]] = {}
        for row in where.rows_of(item, timeline):
            if not self._is_before(row, taint):
                for at in where.all_of(row) & named.keys():
                    by_clock = since.setdefault(at, {})
                    by_clock[row.member] = min(row.event.time.lo_ms, by_clock.get(row.member, FOREVER_MS))
        for at, by_clock in sorted(since.items()):
            starts = [Taint(lo_ms, clock, FOREVER_MS, siblings=True) for clock, lo_ms in by_clock.items()]
            for row in named[at]:
                if not self._is_before(row, taint) and not all(self._is_before(row, start) for start in starts):
                    if self._reach_class(facts.product, [at], row, taint):
                        self._graph.link(item, facts.product, EdgeKind.CLASS, Edge(row, facts.product))
                        self._graph.warn("class_without_lot", facts.product, row)
                    break

    def _reach_class(self, product: str, names: Iterable[str], row: EventRow, taint: Taint) -> bool:
        """Reach goods named by product alone at whom `row` brings them to; return whether they are in the answer."""
        lo_ms, clock = self._later(row, taint)
        later = Taint(lo_ms, clock, FOREVER_MS, siblings=True)
        return all(self._reach(Vertex(product, carrier=False, at=at), later) for at in sorted(names))

    def _rows_of_class(self, product: str) -> dict[str, list[EventRow]]:
        """Return the events that name a product without lot, but those that make it, in order of time.

        By the names of who had the goods, or sent them.
        """
        rows = self._class_rows.get(product)
        if rows is None:
            where = self._facts.whereabouts
            rows = self._class_rows[product] = {}
            for row, role in self._facts.timelines.of_item(product).entries:
                if not role & (ROLE_OUTPUT | ROLE_MADE):
                    for name in where.here(row) | (where.had_from(row) or NOWHERE):
                        rows.setdefault(name, []).append(row)
        return rows

    def _follow_class(self, vertex: Vertex, row: EventRow, taint: Taint) -> None:
        """Follow goods named by product alone to whom they were sent; where that is not said, to whoever got some."""
        where = self._facts.whereabouts
        product = vertex.item
        receivers = where.sent_to(row)
        if receivers is None:
            # Of a sender, the receipt tells who got them.
            self._reach_class(product, where.here(row), row, taint)
            return
        self._reach_class(product, receivers, row, taint)
        if receivers:
            return
        for other, _role in self._facts.timelines.of_item(product).entries:
            if where.had_from(other) == NOWHERE and not self._is_before(other, taint):
                self._reach_class(product, where.here(other), other, taint)

    def _see_voided(self, item: str, timeline: Timeline, taint: Taint) -> None:
        """What a voided run put out never vanishes: if it exists by other events, where it came from is unknown."""
        for row, role in timeline.voided:
            if not role & ROLE_INPUT or self._is_before(row, taint):
                continue
            for goods in row.event.outputs:
                entries = self._facts.timelines.of_item(goods.item).entries
                if entries and not any(entry.role & (ROLE_OUTPUT | ROLE_MADE) for entry in entries):
                    lo_ms, clock = self._later(row, taint)
                    if self._reach(
                        Vertex(goods.item, carrier=False, at=""), Taint(lo_ms, clock, FOREVER_MS, siblings=True)
                    ):
                        edge = Edge(row, goods.item)
                        self._graph.link(item, goods.item, EdgeKind.MADE, edge)
                        self._graph.know_not(goods.item, "run_voided", self._facts.custody.holder_of(row), row)


def _carrier_order(window: tuple[str, int, int, str | None]) -> tuple[str, int, int, str]:
    unit, lo_ms, hi_ms, clock = window
    return unit, lo_ms, hi_ms, clock or ""
