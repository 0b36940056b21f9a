"""Where an item came from: a walk from outputs to inputs, level by level, each item with the latest time of its use.

What certainly happened after the use is left out; nothing else excludes. An item that was made only after its use has
times that contradict each other: then they are not used, and the answer says so. An item that nobody recorded the
making of is an unknown, never an origin.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from consensus.types import Digest
from node.epcis.model import EventType, Goods
from node.lineage.containment import Stay
from node.lineage.custody import NOBODY, Custodian, Holder, build_holder
from node.lineage.facts import Facts, Side, amount_in
from node.lineage.graph import RUN_LINKS_MAX, Edge, EdgeKind, Graph, Reached
from node.lineage.indexing import lot_of_serial
from node.lineage.items import ItemKind, read_item
from node.lineage.pace import tick
from node.lineage.parts import Parts, Rows, join
from node.lineage.readings import Movement
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
from node.lineage.timeline import FOREVER_MS, Entry, Timeline
from node.lineage.whereabouts import NOWHERE

_MAKING: Final = ROLE_MADE | ROLE_OUTPUT | ROLE_INSTANCES
CLASS_LOTS_MAX = 1_000
"""Lots of one product that goods named without lot may be of; more are counted in a warning."""


class Use(NamedTuple):
    """When an item was used: lo_ms … hi_ms, all time for what was asked about. clock: by whose clock, None if several.

    first_ms: by when the first of its uses had happened. rows: the events that used it, None for any part of the lot.
    """

    lo_ms: int
    hi_ms: int
    first_ms: int
    clock: str | None
    rows: Rows | None = None


START = Use(-FOREVER_MS, FOREVER_MS, FOREVER_MS, None)


class Vertex(NamedTuple):
    """What is walked. at: the custodian at whom goods were named by product alone."""

    item: str
    at: str


_Taken = tuple[EventRow, Use, list[tuple[Vertex | None, Edge]]]
"""An event with inputs, when they were used, and what was: the vertex (None by product alone) and the edge from it."""


class BackwardWalk:
    """One walk. `run` fills the graph. history_max: of items with more events only the making is read."""

    def __init__(self, facts: Facts, graph: Graph, *, depth_max: int | None, history_max: int) -> None:
        self._facts = facts
        self._graph = graph
        self._depth_max = depth_max
        self._history_max = history_max
        self._parts = Parts(facts)
        self._uses: dict[Vertex, Use] = {}
        self._next: dict[Vertex, None] = {}
        self._carried: set[tuple[str, int, int, str | None]] = set()
        self._inputs: dict[EventRef, list[_Taken]] = {}
        self._runs: dict[tuple[str | Digest, Custodian | None, str, str | None], tuple[int, int, int]] = {}

    def run(self, items: Iterable[tuple[str, Use]]) -> None:
        """Walk from `items`, each with when it was used, until nothing new is reached, or a limit."""
        for item, use in items:
            self._reach(Vertex(item, ""), use)
        depth = 0
        while self._next:
            if self._depth_max is not None and depth >= self._depth_max:
                self._graph.depth_reached = True
                return
            vertices, self._next = sorted(self._next), {}
            for vertex in vertices:
                tick()
                self._expand(vertex, self._uses[vertex])
            depth += 1

    def _reach(self, vertex: Vertex, use: Use) -> bool:
        """Note that the item was used then; return whether it is in the answer."""
        old = self._uses.get(vertex)
        if old is not None:
            if old == use:
                return True  # Another output of one run takes the same.
            clock = old.clock if old.clock == use.clock else None
            joined = Use(
                min(old.lo_ms, use.lo_ms),
                max(old.hi_ms, use.hi_ms),
                min(old.first_ms, use.first_ms),
                clock,
                join(old.rows, use.rows),
            )
            if joined == old:
                return True
            use = joined
        if self._graph.reach(vertex.item, use.lo_ms, use.hi_ms, carrier=False) is None:
            return False
        self._uses[vertex] = use
        self._next[vertex] = None
        return True

    def _is_after(self, row: EventRow, use: Use) -> bool:
        """Return whether the event certainly happened after the use."""
        return row.event.time.lo_ms > use.hi_ms + self._facts.readings.slack_ms(row.member, use.clock)

    def _is_late(self, row: EventRow, use: Use) -> bool:
        """Return whether a making certainly happened after the first use."""
        return row.event.time.lo_ms > use.first_ms + self._facts.readings.slack_ms(row.member, use.clock)

    def _expand(self, vertex: Vertex, use: Use) -> None:
        item, graph, facts = vertex.item, self._graph, self._facts
        if read_item(item).kind is ItemKind.CLASS and vertex.at:
            self._expand_class(vertex, use)
            return
        length_max = None if use == START else self._history_max
        timeline = facts.timelines.of_item(item, length_max=length_max)
        if not timeline.complete:
            graph.warn("history_left_out", item, None)
        makings: list[Entry] = []
        late: list[Entry] = []
        roles, hidden = 0, 0 if use == START else ROLE_INPUT
        last_ms, slack_ms, clock = use.hi_ms, 2 * facts.readings.clock_tolerance_ms, use.clock
        for entry in timeline.entries:
            row, role = entry
            # What is named only at a later unpacking was inside before it.
            roles |= role
            is_making = role & _MAKING
            if not is_making and role & hidden:
                continue
            # As `_is_after`, without a call for each event of each item.
            is_after = row.event.time.lo_ms > (last_ms if row.member == clock else last_ms + slack_ms)
            if is_making:
                (late if is_after else makings).append(entry)
            elif not is_after:
                graph.touch(row, item)
        for note in timeline.notes:
            graph.warn(note.code, item, note.row)
            graph.touch(note.row, item)
        every = [*makings, *late] if late or use.first_ms < FOREVER_MS else []
        if every and all(self._is_late(row, use) for row, _role in every):
            # A use before any making: the times contradict each other, so they tell nothing of this item.
            makings = sorted(every, key=lambda one: (one.row.event.time.lo_ms, one.row.event.event_digest))
            graph.warn("used_before_made", item, makings[0].row)
            graph.know_not(item, "used_before_made", facts.custody.holder_of(makings[0].row), makings[0].row)
            use = use._replace(hi_ms=FOREVER_MS, clock=None)
        if len(makings) > 1 and any(role & (ROLE_MADE | ROLE_OUTPUT) for _row, role in makings):
            # Commissioning pieces of a lot makes none of it, where the lot's own making is recorded.
            makings = [one for one in makings if one.role != ROLE_INSTANCES or one.row.event.inputs]
        part = None if late else self._parts.back(item, timeline, use.rows)
        if part is not None:
            makings = [one for one in makings if one.row.event.event_digest in part.events]
        contents = self._to_contents(item, use) if roles & ROLE_PARENT else False
        reached = graph.items[item]
        for entry in makings:
            self._to_inputs(item, entry, makings, use, reached)
        if roles & ROLE_CHILD:
            self._to_carriers(item, timeline, use)
        if not reached.made_rows and not contents:
            self._know_no_origin(item, timeline, use)

    def _to_inputs(self, item: str, entry: Entry, makings: list[Entry], use: Use, reached: Reached) -> None:
        """Follow one making of the item: by a run to its inputs, by an Object event to nothing, or to its lot."""
        row, role = entry
        graph, event = self._graph, row.event
        graph.touch(row, item)
        if event.type is not EventType.TRANSFORMATION:
            lot = lot_of_serial(event, item) if role & ROLE_MADE else None
            if lot is not None and self._to_lot(item, lot, row, use):
                reached.made_rows[event.event_digest] = row
                return
            if read_item(item).kind in (ItemKind.UNIT, ItemKind.ASSET):
                return  # Beginning a unit makes no goods: they come from what was put in.
            reached.made_rows[event.event_digest] = row
            if not self._is_commissioning(entry, makings, item):
                reached.origin = True
            return
        reached.made_rows[event.event_digest] = row
        run = (*self._facts.timelines.run_of(row), row.member, use.clock)
        drawn_ms, used_ms, links = self._runs.get(run, (-FOREVER_MS, -FOREVER_MS, 0))
        hi_ms = event.time.hi_ms
        if links >= RUN_LINKS_MAX and hi_ms <= drawn_ms and use.hi_ms <= used_ms:
            # All its inputs are found, from an output drawn no earlier: what is left are links alone.
            graph.warn("run_links_left_out", item, row)
            return
        links += self._take(item, row, use)
        self._runs[run] = (max(drawn_ms, hi_ms), max(used_ms, use.hi_ms), links)

    def _take(self, item: str, row: EventRow, use: Use) -> int:
        """Reach what a run had taken in when it gave the item; return how many links that made."""
        single = read_item(item).single
        uses = self._uses
        links = 0
        found = False
        for taken, whole, inputs in self._inputs_of(row):
            given = whole
            if taken.member == use.clock and use.hi_ms < whole.hi_ms:
                given = whole._replace(hi_ms=max(use.hi_ms, whole.lo_ms))
            found = found or bool(inputs)
            edges: list[Edge] = []
            for vertex, edge in inputs:
                if single and edge.found == item:
                    continue  # The same piece goes on: its other makings are looked at anyway.
                links += 1
                if (
                    self._reach_at(edge.found, taken, given)
                    if vertex is None
                    # What another output of the run has reached already takes no call.
                    else uses.get(vertex) is given or self._reach(vertex, given)
                ):
                    edges.append(edge)
            self._graph.link_run(item, edges, is_output=True)
        if not found:
            self._graph.know_not(item, "run_without_inputs", self._facts.custody.holder_of(row), row)
        return links

    def _inputs_of(self, row: EventRow) -> list[_Taken]:
        """Return what a run had taken in when it gave what `row` says; the same for each of its outputs."""
        taken_in = self._inputs.get(row.ref)
        if taken_in is not None:
            return taken_in
        taken_in = []
        if len(row.event.outputs) > 1:
            self._inputs[row.ref] = taken_in
        hi_ms, clock, slack_ms = row.event.time.hi_ms, row.member, self._facts.readings.slack_ms
        for taken in self._facts.timelines.inputs_of_run(row):
            time = taken.event.time
            if taken is not row and time.lo_ms > hi_ms + slack_ms(taken.member, clock):
                continue  # It went in after this was drawn.
            use = Use(time.lo_ms, time.hi_ms, time.hi_ms, taken.member, frozenset((taken.event.event_digest,)))
            input_row = None if taken is row else taken
            inputs = [
                (
                    None if read_item(one.item).kind is ItemKind.CLASS else Vertex(one.item, ""),
                    Edge(row, one.item, input_row, None, one.amount, one.uom),
                )
                for one in _each_once(taken.event.inputs)
            ]
            taken_in.append((taken, use, inputs))
        return taken_in

    def _reach_at(self, item: str, row: EventRow, use: Use) -> bool:
        """Reach an item that `row` names: goods named by product alone, as those that its custodian had."""
        if read_item(item).kind is not ItemKind.CLASS:
            return self._reach(Vertex(item, ""), use)
        return all(self._reach(Vertex(item, at), use) for at in sorted(self._facts.whereabouts.here(row)))

    def _to_lot(self, item: str, lot: str, row: EventRow, use: Use) -> bool:
        """A serial comes from where its lot comes from, if anything but its serials tells of the lot's making."""
        entries = self._facts.timelines.of_item(lot, length_max=self._history_max).entries
        if not any(entry.role & (ROLE_MADE | ROLE_OUTPUT) for entry in entries):
            return False
        hi_ms = min(row.event.time.hi_ms, use.hi_ms) if row.member == use.clock else row.event.time.hi_ms
        if self._reach(Vertex(lot, ""), Use(row.event.time.lo_ms, hi_ms, row.event.time.hi_ms, row.member)):
            self._graph.link(lot, item, EdgeKind.INSTANCE, Edge(row, lot))
        return True

    def _is_commissioning(self, entry: Entry, makings: list[Entry], item: str) -> bool:
        """Return whether an ADD only commissions what a run of the same custodian had put out, and makes nothing."""
        custody = self._facts.custody
        outputs = [
            other.row
            for other in makings
            if other.role & ROLE_OUTPUT and other.row.event.time.lo_ms <= entry.row.event.time.hi_ms
        ]
        if not outputs:
            return False
        single = read_item(item).single
        amount = self._facts.amounts.of(entry.row, Side.GOODS, item)
        key = custody.run_key(entry.row)
        return any(
            custody.run_key(row) == key and (single or self._facts.amounts.of(row, Side.OUTPUTS, item) == amount)
            for row in outputs
        )

    def _to_contents(self, unit: str, use: Use) -> bool:
        """A unit comes from where that comes from which was in it when it was used. Return whether there was any."""
        found = False
        contents = self._facts.containment.contents_of(unit)
        for note in contents.notes:
            self._graph.warn(note.code, unit, note.row)
        for child, stays in sorted(contents.stays.items()):
            for stay in stays:
                if self._begins_after(stay, use):
                    continue
                if stay.until is not None and self._has_ended(stay, use):
                    continue
                lo_ms = max(stay.lo_ms, use.lo_ms)
                hi_ms = max(min(stay.hi_ms, use.hi_ms), lo_ms)
                found = True
                if self._reach_at(
                    child, stay.since, Use(lo_ms, hi_ms, min(stay.hi_ms, use.first_ms), _clock_of(stay, use))
                ):
                    edge = Edge(stay.since, child, until=stay.until, amount=stay.amount, uom=stay.uom)
                    self._graph.link(child, unit, EdgeKind.PACKED, edge)
                    if stay.inferred:
                        self._graph.warn("contents_inferred", child, stay.since)
        return found

    def _begins_after(self, stay: Stay, use: Use) -> bool:
        return stay.lo_ms > use.hi_ms + self._facts.readings.slack_ms(stay.since.member, use.clock)

    def _has_ended(self, stay: Stay, use: Use) -> bool:
        until = stay.until
        assert until is not None
        return stay.hi_ms < use.lo_ms - self._facts.readings.slack_ms(until.member, use.clock)

    def _to_carriers(self, item: str, timeline: Timeline, use: Use) -> None:
        """Show the units that brought the item, while it was in them: they tell where it was."""
        pending = [(item, stay, use) for stay in self._facts.containment.stays_of(item, timeline)]
        while pending:
            child, stay, around = pending.pop()
            window = Use(
                max(stay.lo_ms, around.lo_ms if around is not use else -FOREVER_MS),
                min(stay.hi_ms, around.hi_ms),
                around.first_ms,
                _clock_of(stay, around),
            )
            if self._begins_after(stay, use) or window.lo_ms > window.hi_ms:
                continue
            if self._graph.reach(stay.parent, window.lo_ms, window.hi_ms, carrier=True) is None:
                continue
            until = None if stay.until is not None and self._is_after(stay.until, use) else stay.until
            edge = Edge(stay.since, stay.parent, until=until, amount=stay.amount, uom=stay.uom)
            self._graph.link(child, stay.parent, EdgeKind.PACKED, edge)
            key = (stay.parent, window.lo_ms, window.hi_ms, child)
            if key in self._carried:
                continue
            self._carried.add(key)
            outer = self._facts.timelines.of_item(stay.parent)
            for row, _role in outer.entries:
                slack_ms = self._facts.readings.slack_ms(row.member, window.clock)
                if row.event.time.hi_ms >= window.lo_ms - slack_ms and not self._is_after(row, window):
                    self._graph.touch(row, stay.parent)
            pending += [
                (stay.parent, beyond, window)
                for beyond in self._facts.containment.stays_of(stay.parent, outer)
                if beyond.hi_ms >= window.lo_ms
            ]

    def _expand_class(self, vertex: Vertex, use: Use) -> None:
        """Goods named by product alone: any lot of it that the custodian had by then, and where they came from."""
        facts, graph = self._facts, self._graph
        product, at = vertex
        rows = facts.reader.items_of_product(product, limit=CLASS_LOTS_MAX + 1)
        if len(rows) > CLASS_LOTS_MAX:
            graph.warn("class_lots_left_out", product, None)
        found = False
        for item_row in rows[:CLASS_LOTS_MAX]:
            if item_row.item == product:
                continue
            timeline = facts.timelines.of_item(item_row.item, length_max=self._history_max)
            there = self._first_at(at, facts.whereabouts.rows_of(item_row.item, timeline), use)
            if there is not None and self._reach(Vertex(item_row.item, ""), use):
                found = True
                graph.link(item_row.item, product, EdgeKind.CLASS, Edge(there, item_row.item))
        found = self._to_class_before(product, at, use) or found
        graph.warn("class_without_lot", product, None)
        if not found:
            graph.know_not(
                product,
                "no_lot",
                Holder(None, at, at, at) if read_item(at).kind is ItemKind.PLACE else build_holder(at, None),
                None,
            )

    def _first_at(self, at: str, rows: Iterable[EventRow], use: Use) -> EventRow | None:
        """Return the first of the events that tells of goods at a custodian, or sent there, not after the use."""
        all_of = self._facts.whereabouts.all_of
        return next((row for row in rows if not self._is_after(row, use) and at in all_of(row)), None)

    def _to_class_before(self, product: str, at: str, use: Use) -> bool:
        """Follow goods named by product alone to their making, and to who had them before; return whether any was."""
        facts, where = self._facts, self._facts.whereabouts
        timeline = facts.timelines.of_item(product, length_max=self._history_max)
        entries = [entry for entry in timeline.entries if not self._is_after(entry.row, use)]
        here = [entry for entry in entries if at in where.here(entry.row)]
        senders: set[str] = set()
        is_untold = False
        for row, _role in here:
            self._graph.touch(row, product)
            named = where.had_from(row)
            is_untold = is_untold or named == NOWHERE
            senders |= named or NOWHERE
        for row, _role in entries:
            receivers = where.sent_to(row)
            if receivers is not None and (at in receivers or (is_untold and not receivers)):
                senders |= where.here(row)
        for stay in facts.containment.stays_of(product, timeline):
            if self._first_at(at, where.rows_around([stay]), use) is not None:
                senders |= where.here(stay.since)
        senders.discard(at)
        for sender in sorted(senders):
            self._reach(Vertex(product, sender), use)
        makings = [entry for entry in here if entry.role & (ROLE_MADE | ROLE_OUTPUT)]
        for entry in makings:
            self._to_inputs(product, entry, makings, use, self._graph.items[product])
        return bool(makings or senders)

    def _know_no_origin(self, item: str, timeline: Timeline, use: Use) -> None:
        """Nobody recorded the making: whoever sent it first, or had it first, can say."""
        custody = self._facts.custody
        entries = [entry for entry in timeline.entries if not self._is_after(entry.row, use)] or timeline.entries
        if not entries and timeline.voided:
            # All that told of it was declared void.
            row = timeline.voided[0].row
            self._graph.know_not(item, "making_voided", custody.holder_of(row), row)
            return
        if not entries:
            self._graph.know_not(item, "never_seen", NOBODY, None)
            return
        row = entries[0].row
        ask = custody.holder_of(row)
        if self._facts.custody.read(row)[0] is Movement.INBOUND:
            ask = custody.sender_of(row.event) or ask
        if any(entry.role & (ROLE_MADE | ROLE_OUTPUT) for entry in timeline.voided):
            reason = "making_voided"
        else:
            reason = "no_contents" if read_item(item).kind in (ItemKind.UNIT, ItemKind.ASSET) else "no_origin"
        self._graph.know_not(item, reason, ask, row)


def _clock_of(stay: Stay, use: Use) -> str | None:
    """Return by whose clock both a stay's and a use's bounds are, None if several. A use at all times has no bounds."""
    clocks: set[str] = {stay.since.member}
    if stay.until is not None:
        clocks.add(stay.until.member)
    if use.lo_ms > -FOREVER_MS or use.hi_ms < FOREVER_MS:
        clocks.add(use.clock or "")
    return clocks.pop() if len(clocks) == 1 else None


def _each_once(goods: tuple[Goods, ...]) -> tuple[Goods, ...]:
    """Return goods with several lines of one item made one."""
    if len(goods) < 2 or len({one.item for one in goods}) == len(goods):
        return goods
    lines: dict[str, list[Goods]] = {}
    for one in goods:
        lines.setdefault(one.item, []).append(one)
    return tuple([Goods(item, *amount_in(listed, item)) for item, listed in lines.items()])
