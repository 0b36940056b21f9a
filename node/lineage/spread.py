"""How far a hazard can have come: a walk over portions, with all that only what is unknown may link.

Linked is what a recorded chain reaches; open what only an unknown does (docs/scope.md): (a) goods of a lot
in scope that nobody recorded the source of; (b) what a holder of goods in scope has without recorded inputs since
then; (c) what was never received, in each later stock of its receiver. Contact spreads along equipment until a
verified cleaning. The walk is a loop over vertices, and each is entered at most twice.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from node.epcis.model import Action, Event, EventType
from node.lineage.classes import Classes
from node.lineage.colocation import SHARING_KINDS, CoLocation
from node.lineage.contact import Contact
from node.lineage.custody import Holder
from node.lineage.hazards import RULES
from node.lineage.indexing import lot_of_serial
from node.lineage.items import ItemKind, read_item
from node.lineage.pace import tick
from node.lineage.plain import read_plain
from node.lineage.portions import PortionKind
from node.lineage.readings import Movement
from node.lineage.records import ROLE_INSTANCES, EventRef, EventRow, Posting, PostingKind
from node.lineage.runs import Run
from node.lineage.scope_question import ScopeQuestion
from node.lineage.spread_graph import Link, Loaded, SpreadGraph, Vertex, may_come_to, states_since
from node.lineage.spread_rules import RunRules
from node.lineage.timeline import FOREVER_MS, is_before
from node.lineage.unpacked import Unpacked, later_of
from node.lineage.whereabouts import names_of

HOLDER_EVENTS_MAX: Final = 20_000
"""Events at one holder that are looked through for contact, and for goods without recorded inputs."""
HOLDER_BEFORE_MS: Final = 120 * 3_600_000
"""Of a holder with more of them: from how long before the first seed. No time that an event states is wider."""
LINKED, OPEN = 0, 1
LOT_DRAWS: Final = (PortionKind.USED, PortionKind.SHIPPED, PortionKind.ENDED, PortionKind.UNKNOWN, PortionKind.MOVED)
"""Where a piece may be that is part of its lot's stock: what draws on it, and what nobody recorded the source of."""


class Spread:
    """One walk. `run` fills `level` with what was reached: LINKED or OPEN for each vertex."""

    def __init__(self, graph: SpreadGraph, question: ScopeQuestion) -> None:
        self.graph = graph
        self.question = question
        self.rule = RULES[question.hazard]
        self.level: dict[int, int] = {}
        self.because: dict[int, int] = {}
        self.seeds: dict[int, None] = {}
        self.seedings = 0  # How often a vertex was named, those of two seeds twice.
        self.label_items: set[str] = set()
        self.warnings: dict[str, set[str]] = {}
        self.made_open: dict[int, set[str]] = {}
        self.fresh: set[int] = set()
        self.rules = RunRules(graph, question)
        self.left_out = 0
        self.unstated: dict[str, bool] = {}
        """Items that came to a holder in scope from nobody stated: whether nobody stated made them, either."""
        self._queue: list[int] = []
        self._entered: set[int] = set()
        self._first_ms = FOREVER_MS
        self._since: dict[str, int] = {}
        self._open_lots: set[str] = set()
        self._stock_since: dict[tuple[str, str], int] = {}
        self._rows: dict[str, list[EventRow]] = {}
        self._unread: dict[str, int] = {}
        """From when on the events of a holder were not read: there were too many."""
        self._trimmed: set[str] = set()
        self._unrecorded: dict[str, tuple[int, dict[int, tuple[Vertex, EventRow]]]] = {}
        self._sound: dict[str, bool] = {}
        self.contact = Contact(
            graph, question, self.rules, cleaning=self.rule.cleaning, rows_at=self._rows_of_site, warn=self.warn
        )
        self._contacts: dict[int, int] = {}
        self._colocation = CoLocation(graph, self._load, self.fresh)
        self._piled: dict[tuple[str, str, str, str | None, str], int] = {}
        self._classes = Classes(graph, self._load, self.warn, by_amount=self.rule.by_amount)
        self._unpacked = Unpacked(graph, self._load)
        self._moved: set[tuple[str, str]] = set()
        self._hubs: dict[str, Vertex] = {}
        self._linked: set[tuple[str, int]] = set()

    # Seeds.

    def seed_vertex(self, number: int) -> None:
        """All that is in this vertex is seed material."""
        self.seeds[number] = None
        self.seedings += 1
        self._first_ms = min(self._first_ms, self.graph.vertices[number].portion.row.event.time.lo_ms)
        self._reach(number, LINKED, -1)

    def seed_item(self, item: str) -> None:
        """All goods that bear this code are seed material, whoever made them."""
        loaded = self._load(item)
        if loaded is None:
            return
        self.label_items.add(item)
        for portion in loaded.ledger.portions:
            number = loaded.vertex(portion)
            if not self.graph.into[number] or portion.kind in (PortionKind.OUTPUT, PortionKind.MOVED):
                self.seed_vertex(number)
        for row, role in self.graph.facts.timelines.of_item(item).entries:
            if role & ROLE_INSTANCES:
                made = row.event.outputs if row.event.type is EventType.TRANSFORMATION else row.event.goods
                for goods in made:
                    if lot_of_serial(row.event, goods.item) == item and goods.item not in self.label_items:
                        self.seed_item(goods.item)

    # The walk.

    def run(self) -> None:
        """Walk until nothing new is reached."""
        while self._queue or self.graph.fresh_edges:
            tick()
            while self.graph.fresh_edges:
                edge = self.graph.fresh_edges.pop()
                source = self.graph.edges[edge].source
                if source in self.level:
                    self._follow(edge, self.level[source])
            if self._queue:
                number = self._queue.pop()
                level = self.level[number]
                for edge in self.graph.out[number]:
                    self._follow(edge, level)
                if number not in self._entered:
                    self._entered.add(number)
                    self._enter(self.graph.vertices[number])
                elif level < self._contacts.get(number, level) and not self.rule.by_amount:
                    # Reached more surely than before: so is what it touches.
                    vertex = self.graph.vertices[number]
                    self._spread_by_contact(vertex, self.graph.load_run(vertex.portion.row))

    def _follow(self, number: int, level: int) -> None:
        edge = self.graph.edges[number]
        if edge.link is Link.CUT or (self.rule.by_amount and edge.hi == 0):
            return
        self._reach(edge.target, OPEN if edge.link is Link.OPEN else level, number)

    def _reach(self, number: int, level: int, edge: int) -> None:
        old = self.level.get(number)
        if old is not None and old <= level:
            return
        self.level[number] = level
        self.because[number] = edge
        self._queue.append(number)

    def _load(self, item: str) -> Loaded | None:
        if item not in self.graph.items and len(self.graph.vertices) >= self.question.vertices_max:
            self.left_out += 1
            return None
        return self.graph.load_item(item)

    def _enter(self, vertex: Vertex) -> None:
        kind = vertex.kind
        if vertex.run is not None:
            if vertex.is_line:
                self._enter_line(vertex)
            return
        if kind is PortionKind.USED:
            run = self.graph.load_run(vertex.portion.row)
            self.rules.apply(run)
        elif (
            kind is PortionKind.OUTPUT
            and vertex.number in self.seeds
            and (self.rule.by_contact or self.rule.carry_over)
        ):
            # Bad as it came off its line: what came off next may be.
            self._spread_by_contact(vertex, self.graph.load_run(vertex.portion.row))
        if kind is PortionKind.OUTPUT:
            self._unpacked.enter(vertex)
        if kind not in (PortionKind.POOL, PortionKind.WAY):
            self._enter_lot(vertex)
        self._enter_names(vertex)
        if kind is PortionKind.POOL and not self.rule.by_amount:
            self._spread_in_pile(vertex)
        if self.question.colocation and vertex.portion.unit and kind in SHARING_KINDS:
            self._colocation.spread(vertex)
        if kind is PortionKind.POOL or (kind is PortionKind.IN_TRANSIT and vertex.portion.receiver is not None):
            self._enter_stock(vertex)
        elif kind in (PortionKind.MOVED, PortionKind.UNKNOWN):
            self._enter_unrecorded(vertex)

    def _enter_line(self, vertex: Vertex) -> None:
        if vertex.kind is PortionKind.OUTPUT:
            self._load(vertex.item)
            return
        assert vertex.run is not None
        first = vertex.number - vertex.portion.number
        for gain in vertex.run.gains:
            self._reach(first + gain, OPEN, -1)
        self._spread_by_contact(vertex, vertex.run)

    # (a) Goods of the lot that nobody recorded the source of.

    def _enter_lot(self, vertex: Vertex) -> None:
        item, portion = vertex.item, vertex.portion
        loaded = self.graph.items[item]
        lo_ms = portion.row.event.time.lo_ms
        is_unsourced = portion.kind in (PortionKind.UNKNOWN, PortionKind.MOVED)
        if is_unsourced and item not in self._open_lots:
            self._open_lots.add(item)
        elif lo_ms >= self._since.get(item, FOREVER_MS) and not is_unsourced:
            return
        self._since[item] = min(lo_ms, self._since.get(item, FOREVER_MS))
        slack_ms = 2 * self.graph.facts.readings.clock_tolerance_ms
        anytime = item in self._open_lots or loaded.contradicts
        for one in loaded.unsourced:
            if anytime or one.portion.row.event.time.hi_ms + slack_ms >= self._since[item]:
                self._reach(one.number, OPEN, -1)

    # Names: pieces of a lot, lots of a product.

    def _enter_names(self, vertex: Vertex) -> None:
        item, portion = vertex.item, vertex.portion
        facts = read_item(item)
        if facts.kind is ItemKind.LOT and portion.kind is PortionKind.POOL:
            self._to_pieces(vertex)
        elif facts.kind is ItemKind.SERIAL and (
            portion.kind in (PortionKind.MADE, PortionKind.OUTPUT) or vertex.number in self.seeds
        ):
            self._to_lot(vertex)
        is_stock = portion.kind in (PortionKind.POOL, PortionKind.IN_TRANSIT)
        if facts.product is not None and is_stock and facts.kind is not ItemKind.CLASS:
            self._classes.enter(vertex, facts.product, self._first_ms)

    def _to_pieces(self, vertex: Vertex) -> None:
        """A lot's stock may be in the pieces that are commissioned of it there."""
        holder, since, facts = vertex.portion.holder, vertex.portion.row, self.graph.facts
        for row, role in facts.timelines.of_item(vertex.item).entries:
            if not role & ROLE_INSTANCES or row.event.type is EventType.TRANSFORMATION:
                continue
            if is_before(row, since, facts.readings) or facts.custody.holder_of(row).key != holder.key:
                continue
            for goods in row.event.goods:
                if lot_of_serial(row.event, goods.item) == vertex.item:
                    self._link_made(vertex.number, goods.item, row)

    def _link_made(self, source: int, item: str, row: EventRow) -> None:
        loaded = self._load(item)
        if loaded is None:
            return
        for portion in loaded.ledger.of_kind(PortionKind.MADE, PortionKind.OUTPUT):
            if portion.row.event.event_digest == row.event.event_digest:
                self.graph.add_edge(source, loaded.vertex(portion), None, None, Link.READING)

    def _to_lot(self, vertex: Vertex) -> None:
        """A piece is part of its lot's stock: what draws on the lot by its code may have drawn it."""
        row, timeline = vertex.portion.row, self.graph.facts.timelines.of_item(vertex.item)
        # A seed may begin where the piece was moved: only its making tells its lot.
        told = (lot_of_serial(one.event, vertex.item) for one in (row, *(entry.row for entry in timeline.entries)))
        lot = next((one for one in told if one is not None), None)
        if lot is None or lot in self.label_items:
            return
        loaded = self._load(lot)
        if loaded is None:
            return
        # What lacks a source in the lot's record may be pieces, too: what came, was packed or was found by its code.
        for portion in loaded.ledger.of_kind(*LOT_DRAWS):
            if not is_before(portion.row, row, self.graph.facts.readings):
                self.warn("serial_in_lot_stock", vertex.item)
                self.graph.add_edge(vertex.number, loaded.vertex(portion), Decimal(1), None, Link.READING)

    # (b) Stock in scope that may have been used without a record.

    def _enter_stock(self, vertex: Vertex) -> None:
        portion = vertex.portion
        holder = portion.receiver if portion.kind is PortionKind.IN_TRANSIT else portion.holder
        assert holder is not None
        since_ms = portion.row.event.time.lo_ms
        rest = self._rest_of(vertex)
        if self.rule.by_amount and rest == 0:
            return
        key = holder.key
        # By each clock anew: what one member's time leaves out, another's may not.
        since_key = key, portion.row.member
        if not self.rule.by_amount and since_ms >= self._stock_since.get(since_key, FOREVER_MS):
            return
        self._stock_since[since_key] = min(since_ms, self._stock_since.get(since_key, FOREVER_MS))
        tolerance_ms = 2 * self.graph.facts.readings.clock_tolerance_ms
        for target, row in self._unrecorded_since(holder, since_ms - tolerance_ms):
            until_ms = row.event.time.hi_ms + (0 if row.member == portion.row.member else tolerance_ms)
            if until_ms < since_ms or not self._is_state_then(vertex, until_ms, row):
                continue
            if target.item == vertex.item and target.kind is not PortionKind.MADE:
                continue  # That is (a).
            if target.number in self.seeds:
                continue  # It is in scope already, and what it was made of would change nothing.
            if not self.rule.by_amount:
                # Where amounts do not count, one way to get there says it all.
                if (key, target.number) in self._linked:
                    continue
                self._linked.add((key, target.number))
            self._open_to(target, vertex.number, rest, vertex)

    def _enter_unrecorded(self, vertex: Vertex) -> None:
        """What reached a holder without a record may have been more than what the record misses there.

        How much came, and when, nobody says: so it, and what it came from, may be in all that the holder has without
        recorded inputs, from the first seed on.
        """
        holder = vertex.portion.holder
        if not holder.key or (vertex.item, holder.key) in self._moved:
            return
        self._moved.add((vertex.item, holder.key))
        hub = self._hubs.get(holder.key)
        if hub is None:
            # One vertex for all that came there unrecorded: else each of it would have an edge to each target.
            targets = [target for target, _row in self._unrecorded_since(holder, self._first_ms)]
            if not any(target.item != vertex.item for target in targets):
                return
            hub = self._hubs[holder.key] = self.graph.add_hub(vertex.portion)
            for target in targets:
                self._open_to(target, hub.number, None, vertex)
        edges = self.graph.edges
        came = [edges[number] for number in self.graph.into[vertex.number]]
        sources = [edge.source for edge in came if self.graph.vertices[edge.source].item == vertex.item]
        for source in dict.fromkeys((*sources, vertex.number)):
            self.graph.add_edge(source, hub.number, None, vertex.portion.uom, Link.OPEN)

    def _open_to(self, target: Vertex, source: int, most: Decimal | None, stock: Vertex) -> None:
        """Goods without recorded inputs may be made of a stock: then any of them may hold some of it."""
        self.made_open.setdefault(target.number, set()).add(stock.item)
        self.fresh.add(target.number)
        self.graph.add_edge(source, target.number, most, stock.portion.uom, Link.OPEN)

    def _rest_of(self, vertex: Vertex) -> Decimal | None:
        """Return how much of a stock has no recorded end."""
        portion = vertex.portion
        if portion.kind is PortionKind.IN_TRANSIT:
            return portion.hi
        key = (portion.holder.key, portion.unit)
        rest = self.graph.items[vertex.item].rests().get(key, Decimal(0))
        kept = Decimal(0)
        for number in self.graph.out[vertex.number]:
            edge = self.graph.edges[number]
            kind = self.graph.vertices[edge.target].kind
            if edge.is_touch or (edge.link is Link.OPEN and kind is not PortionKind.MOVED):
                continue
            if kind in (PortionKind.POOL, PortionKind.HELD, PortionKind.MOVED):
                if edge.hi is None:
                    return rest
                kept += edge.hi
        return kept if rest is None else min(rest, kept)

    def _is_state_then(self, vertex: Vertex, time_ms: int, row: EventRow) -> bool:
        """Return whether this is the last state of its stock that had begun by then."""
        portion = vertex.portion
        if not self.rule.by_amount or portion.kind is PortionKind.IN_TRANSIT:
            return True
        chain = self.graph.items[vertex.item].chains[portion.holder.key, portion.unit, portion.uom]
        begun = [
            state for state in chain if state.portion.row is not row and state.portion.row.event.time.lo_ms <= time_ms
        ]
        return bool(begun) and begun[-1] is vertex

    def _unrecorded_since(self, holder: Holder, since_ms: int) -> Sequence[tuple[Vertex, EventRow]]:
        """Return what a holder has without recorded inputs, and the last event of each, not certainly before a time."""
        names = names_of(holder)
        key = "|".join(sorted(names))
        known_ms, found = self._unrecorded.get(key, (FOREVER_MS, {}))
        if since_ms < known_ms:
            # From the first seed on at once: what is in scope is met in no order of time.
            since_ms = min(since_ms, self._first_ms)
            rows = [row for row in self._rows_at(names) if since_ms <= row.event.time.hi_ms < known_ms]
            for vertex, row in self._unrecorded_of(rows, names):
                known = found.get(vertex.number)
                found[vertex.number] = (vertex, row if known is None else later_of(known[1], row))
            self._unrecorded[key] = (since_ms, found)
        return list(found.values())

    def _unrecorded_of(self, rows: Iterable[EventRow], names: frozenset[str]) -> Iterable[tuple[Vertex, EventRow]]:
        facts = self.graph.facts
        units: dict[str, list[EventRow]] = {}
        for row in rows:
            tick()
            event = row.event
            here = bool(names & names_of(facts.custody.holder_of(row)))
            inbound = facts.custody.read(row)[0] is Movement.INBOUND
            named = inbound and bool(names & names_of(facts.custody.sender_of(event)))
            if here and inbound and facts.custody.sender_of(event) is None:
                self._note_unstated(event)
            if not (named or (here and not inbound)):
                continue
            is_making = event.type is EventType.OBJECT and event.action is Action.ADD
            if is_making and facts.readings.is_primary(event):
                continue
            for unit in self._unpacked.units_of(row):
                units.setdefault(unit, []).append(row)
            for item in dict.fromkeys(goods.item for goods in (*event.goods, *event.inputs)):
                if read_item(item).kind is ItemKind.UNIT and facts.containment.contents_of(item).stays:
                    continue
                if not is_making and item not in self.graph.items and self._is_sound(item):
                    continue
                loaded = self._load(item)
                if loaded is not None:
                    for vertex in self._without_inputs(loaded, row, is_making=is_making):
                        yield vertex, vertex.portion.row
        for unit, held in units.items():
            yield from self._unpacked.held_in(unit, held)

    def _is_sound(self, item: str) -> bool:
        """Return whether nothing of an item is without source by the record, told without its ledger."""
        known = self._sound.get(item)
        if known is None:
            facts = self.graph.facts
            known = self._sound[item] = read_plain(item, facts.timelines.of_item(item), facts) is not None
        return known

    def _note_unstated(self, event: Event) -> None:
        """Count what came here from nobody stated, and that nobody is stated to have made or sent: not followed."""
        facts = self.graph.facts
        for goods in event.goods:
            if goods.item in self.unstated or read_item(goods.item).kind is ItemKind.UNIT:
                continue
            told = [row.event for row, _role in facts.timelines.of_item(goods.item).entries]
            self.unstated[goods.item] = not any(
                (one.type is EventType.OBJECT and one.action is Action.ADD)
                or any(given.item == goods.item for given in one.outputs)
                or facts.readings.movement_of(one) is Movement.OUTBOUND
                for one in told
            )

    def _without_inputs(self, loaded: Loaded, row: EventRow, *, is_making: bool) -> Iterable[Vertex]:
        digest = row.event.event_digest
        if is_making:
            for portion in loaded.ledger.of_kind(PortionKind.MADE):
                if portion.row.event.event_digest == digest:
                    yield self.graph.vertices[loaded.vertex(portion)]
        is_made = bool(loaded.ledger.of_kind(PortionKind.MADE, PortionKind.OUTPUT))
        for vertex in loaded.unsourced:
            # A move is only our reading. Where no making of the lot is recorded, all of it came from somewhere unknown.
            is_read = vertex.kind is PortionKind.MOVED and is_made
            if not is_read and vertex.portion.row.event.event_digest == digest:
                yield vertex

    def _rows_at(self, names: frozenset[str]) -> list[EventRow]:
        """Return the events that name a holder and stand, in order of time, each once."""
        key = "|".join(sorted(names))
        rows = self._rows.get(key)
        if rows is None:
            timelines = self.graph.facts.timelines
            postings: dict[EventRef, Posting] = {}
            for name in sorted(names):
                postings.update((posting.ref, posting) for posting in timelines.filed(PostingKind.HOLDER, name))
            kept = sorted(postings.values(), key=lambda posting: (posting.time_ms, posting.ref))
            if len(kept) > HOLDER_EVENTS_MAX:
                kept = kept[bisect_left(kept, self._first_ms - HOLDER_BEFORE_MS, key=lambda one: one.time_ms) :]
                self._trimmed.add(key)
            if len(kept) > HOLDER_EVENTS_MAX:
                self.warn("holder_events_left_out", key)
                # A declaration has the time of what it voids: an instant is read whole or not at all.
                last_ms = kept[HOLDER_EVENTS_MAX].time_ms
                self._unread.update((name, min(last_ms, self._unread.get(name, last_ms))) for name in names)
                kept = [posting for posting in kept[:HOLDER_EVENTS_MAX] if posting.time_ms < last_ms]
            rows = self._rows[key] = timelines.standing(kept)
        return rows

    def drop_unread(self, unreached: Sequence[Vertex]) -> list[Vertex]:
        """Return those of what was not reached that something excludes: not what nobody looked at, nor what it became.

        What was left out of a holder's events may have been made of, or touched by, goods in scope.
        """
        if not self._unread:
            return list(unreached)
        pending = [one.number for one in self.graph.vertices if self._is_unread(one)]
        unread = set(pending)
        while pending:
            tick()
            for number in self.graph.out[pending.pop()]:
                edge = self.graph.edges[number]
                if edge.link is not Link.CUT and edge.target not in unread:
                    unread.add(edge.target)
                    pending.append(edge.target)
        return [one for one in unreached if one.number not in unread]

    def _is_unread(self, vertex: Vertex) -> bool:
        portion = vertex.portion
        if vertex.number in self.level or portion.number < 0:
            return False
        until_ms = portion.row.event.time.hi_ms
        return any(until_ms >= self._unread.get(name, FOREVER_MS) for name in names_of(portion.holder))

    def _rows_of_site(self, name: str) -> list[EventRow]:
        """Return the events that name a site and stand, with all of each run that some of them are of."""
        rows = self._rows_at(frozenset((name,)))
        if name not in self._trimmed:
            return rows
        timelines, found = self.graph.facts.timelines, {row.ref: row for row in rows}
        for row in rows:
            if row.event.transformation_id is not None:
                for other in (*timelines.inputs_of_run(row), *timelines.outputs_of_run(row)):
                    found.setdefault(other.ref, other)
        return sorted(found.values(), key=lambda row: row.event.time.lo_ms)

    # Contact.

    def _spread_by_contact(self, vertex: Vertex, run: Run) -> None:
        """What comes off equipment after goods that a run took there, or a seed that it gave, may hold some."""
        if self.rule.by_contact or self.rule.carry_over:
            level = self._contacts[vertex.number] = self.level[vertex.number]
            self.contact.spread(vertex, run, is_linked=level == LINKED, is_declared=not self.rule.by_contact)

    def _spread_in_pile(self, vertex: Vertex) -> None:
        """What grows or is passed on reaches all of the lot in one place, in whatever unit it is counted."""
        portion, clock = vertex.portion, vertex.portion.row.member
        since_ms = portion.row.event.time.lo_ms
        pile = vertex.item, portion.holder.key, portion.unit, portion.uom, clock
        if portion.number < 0 or since_ms >= self._piled.get(pile, FOREVER_MS):
            return
        self._piled[pile] = since_ms
        for (holder, unit, uom), chain in self.graph.items[vertex.item].chains.items():
            if (holder, unit) == (portion.holder.key, portion.unit) and uom != portion.uom:
                state = next(iter(states_since(chain, since_ms, clock, self.graph.facts.readings)))
                self.graph.add_edge(vertex.number, state.number, None, None, Link.READING, is_touch=True)
        loaded = self.graph.items[vertex.item]
        for sent in loaded.ledger.of_kind(PortionKind.IN_TRANSIT):
            # It may have come without a record, and lie beside.
            if may_come_to(sent, portion):
                self.graph.add_edge(vertex.number, loaded.vertex(sent), None, None, Link.OPEN, is_touch=True)

    def warn(self, code: str, item: str) -> None:
        """Note what is odd, read in our way, or left out."""
        self.warnings.setdefault(code, set()).add(item)
