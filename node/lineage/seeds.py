"""From what a case names to vertices: where the hazard begins."""

from collections.abc import Iterable, Sequence
from decimal import Decimal

from node.epcis.identifiers import site_of
from node.epcis.model import Action, EventType
from node.lineage.facts import Facts, Side
from node.lineage.holdings import filed_names, with_contents
from node.lineage.indexing import lot_of_serial, roles_in
from node.lineage.items import ItemKind, read_item
from node.lineage.portions import Portion, PortionKind
from node.lineage.records import ROLE_INSTANCES, EventRow, PostingKind
from node.lineage.scope_question import Seed
from node.lineage.spread import Spread
from node.lineage.spread_graph import Link, Loaded, Vertex
from node.lineage.timeline import FOREVER_MS, is_before
from node.lineage.whereabouts import names_of

_BY_EVENT = frozenset(
    {PortionKind.MADE, PortionKind.OUTPUT, PortionKind.SHIPPED, PortionKind.RECEIVED, PortionKind.FOUND}
)
_BY_PACKING = frozenset({PortionKind.PACKED, PortionKind.UNPACKED})
PRODUCT_ITEMS_MAX = 1_000


def plant(spread: Spread, seeds: Sequence[Seed]) -> None:
    """Mark what the seeds name as seed material. Warn of a seed that names nothing, beside others that do."""
    for seed in seeds:
        before = spread.seedings
        if seed.holder is not None:
            _plant_holder(spread, seed)
        elif seed.run is not None:
            _plant_run(spread, seed.run)
        elif seed.item is not None and seed.event is not None:
            _plant_event(spread, seed.item, seed.event)
        elif seed.item is not None:
            _plant_item(spread, seed.item)
        if spread.seedings == before:
            spread.warn("seed_came_to_nothing", seed.holder or seed.run or seed.item or "")


def _plant_item(spread: Spread, item: str) -> None:
    """By code: all goods that bear it. Of a product, all its lots; of a unit, what is or was in it."""
    facts = spread.graph.facts
    kind = read_item(item).kind
    spread.seed_item(item)
    if kind is ItemKind.CLASS:
        rows = facts.reader.items_of_product(item, limit=PRODUCT_ITEMS_MAX + 1)
        if len(rows) > PRODUCT_ITEMS_MAX:
            spread.warn("class_lots_left_out", item)
        for row in rows[:PRODUCT_ITEMS_MAX]:
            if facts.timelines.of_item(row.item).entries:
                spread.seed_item(row.item)
    elif kind in (ItemKind.UNIT, ItemKind.ASSET):
        _plant_contents(spread, item, -FOREVER_MS, FOREVER_MS)


def _plant_contents(spread: Spread, unit: str, from_ms: int, to_ms: int) -> None:
    """All that was in a unit in a window, and in the units in it while they were: cases on a pallet, goods in them."""
    containment, slack_ms = spread.graph.facts.containment, 2 * spread.graph.facts.readings.clock_tolerance_ms
    pending = [(unit, from_ms, to_ms)]
    seen = set(pending)
    while pending:
        parent, lo_ms, hi_ms = pending.pop()
        for child, stays in sorted(containment.contents_of(parent).stays.items()):
            met = [stay for stay in stays if stay.lo_ms <= hi_ms + slack_ms and stay.hi_ms >= lo_ms - slack_ms]
            if not met:
                continue
            loaded = spread.graph.load_item(child)
            for portion in loaded.ledger.of_kind(PortionKind.PACKED, PortionKind.MOVED):
                if portion.unit == parent and portion.row.event.time.lo_ms <= hi_ms + slack_ms:
                    spread.seed_vertex(loaded.vertex(portion))
            within = {(child, max(lo_ms, stay.lo_ms), min(hi_ms, stay.hi_ms)) for stay in met} - seen
            seen |= within
            pending += sorted(within)


def _plant_event(spread: Spread, item: str, digest: bytes) -> None:
    """What of an item one event is about: what it made, moved or took; else what was there then.

    Of a unit, what is in it; of a lot, its pieces, and of a product its lots, that the event names.
    """
    planted = spread.seedings
    for one in (item, *_parts_of(spread, item)):
        row = _named_by(spread, one, digest)
        before = spread.seedings
        if one == item or row is not None:
            _plant_portions(spread, one, digest, is_inside=False)
        if row is not None and spread.seedings == before:
            _plant_there(spread, one, row)
        if read_item(one).kind in (ItemKind.UNIT, ItemKind.ASSET):
            _plant_contents_by(spread, one, digest)
            if row is not None:
                _plant_inside(spread, one, row)
    product = read_item(item).product
    if spread.seedings == planted and product is not None:
        # Goods that an event names by their product alone may be of any of its lots.
        row = _named_by(spread, product, digest)
        if row is not None:
            _plant_any(spread, item, row, _then(spread, spread.graph.load_item(item), row))


def _plant_contents_by(spread: Spread, unit: str, digest: bytes) -> None:
    """All that one event packed or moved of what is in a unit."""
    for child in sorted(with_contents(spread.graph.facts, [unit])):
        if child != unit:
            _plant_portions(spread, child, digest, is_inside=True)


def _plant_portions(spread: Spread, item: str, digest: bytes, *, is_inside: bool) -> None:
    """The portions of an item that one event made, moved or took. is_inside: that it packed or moved in a unit."""
    loaded = spread.graph.load_item(item)
    named = _stated(loaded, digest)
    if is_inside:
        meant = [one for one in named if one.unit and (one.kind in _BY_EVENT or one.kind is PortionKind.PACKED)]
    else:
        # What a run gave; of goods that it did not give, what it took.
        meant = [one for one in named if one.kind in _BY_EVENT or one.kind in _BY_PACKING]
        meant = meant or [one for one in named if one.kind in (PortionKind.USED, PortionKind.ENDED)]
    for portion in meant:
        spread.seed_vertex(loaded.vertex(portion))
        if is_inside and portion.kind is PortionKind.PACKED:
            # A case that is put on the pallet: what is in it then is, too.
            time = portion.row.event.time
            _plant_contents(spread, item, time.lo_ms, time.hi_ms)


def _parts_of(spread: Spread, item: str) -> list[str]:
    """Return the pieces of a lot, the lots of a product: an event about it may name only these."""
    facts = spread.graph.facts
    if read_item(item).kind is ItemKind.CLASS:
        rows = facts.reader.items_of_product(item, limit=PRODUCT_ITEMS_MAX + 1)
        if len(rows) > PRODUCT_ITEMS_MAX:
            spread.warn("class_lots_left_out", item)
        return [row.item for row in rows[:PRODUCT_ITEMS_MAX] if row.item != item]
    pieces: dict[str, None] = {}
    for row, role in facts.timelines.of_item(item).entries:
        if role & ROLE_INSTANCES:
            for goods in row.event.outputs if row.event.type is EventType.TRANSFORMATION else row.event.goods:
                if lot_of_serial(row.event, goods.item) == item:
                    pieces[goods.item] = None
    return list(pieces)


def _named_by(spread: Spread, item: str, digest: bytes) -> EventRow | None:
    """Return the event if it names the item, or a unit that it may have been in then, at any depth."""
    facts = spread.graph.facts
    slack_ms = 2 * facts.readings.clock_tolerance_ms
    pending = [(item, -FOREVER_MS, FOREVER_MS)]
    seen = set(pending)
    while pending:
        one, lo_ms, hi_ms = pending.pop()
        timeline = facts.timelines.of_item(one)
        for row, role in timeline.entries:
            time = row.event.time
            # The making of its pieces is theirs.
            is_named = row.event.event_digest == digest and role & ~ROLE_INSTANCES
            if is_named and time.hi_ms + slack_ms >= lo_ms and time.lo_ms - slack_ms <= hi_ms:
                return row
        for stay in facts.containment.stays_of(one, timeline):
            within = (stay.parent, max(lo_ms, stay.lo_ms), min(hi_ms, stay.hi_ms))
            if within not in seen and within[1] <= within[2] + slack_ms:
                seen.add(within)
                pending.append(within)
    return None


def _plant_there(spread: Spread, item: str, row: EventRow) -> None:
    """What of an item was where an event names it, then: it made and moved nothing, such as an inspection.

    A piece is one thing, and what a run gave is what the commissioning of as much names. Else it may be any of it.
    """
    facts, loaded = spread.graph.facts, spread.graph.load_item(item)
    single = read_item(item).single
    found = _then(spread, loaded, row)
    if row.event.type is EventType.OBJECT and row.event.action is Action.ADD:
        given = loaded.ledger.of_kind(PortionKind.MADE, PortionKind.OUTPUT)
        amount = (Decimal(1), None) if single else facts.base_amount(item, row, Side.GOODS)
        if len(given) == 1 and amount == (given[0].hi, given[0].uom):
            spread.seed_vertex(loaded.vertex(given[0]))
            return
        found += [
            spread.graph.vertices[loaded.vertex(one)] for one in given if not is_before(row, one.row, facts.readings)
        ]
    elif single and len(found) == 1 and item in roles_in(row.event):
        spread.seed_vertex(found[0].number)
        return
    _plant_any(spread, item, row, found)


def _then(spread: Spread, loaded: Loaded, row: EventRow, unit: str | None = None) -> list[Vertex]:
    """Return the stocks that may have been where an event was, then; else those anywhere then, else all sources.

    unit: only what was in it.
    """
    facts, vertices = spread.graph.facts, spread.graph.vertices
    names = names_of(facts.custody.holder_of(row))
    slack_ms = 2 * facts.readings.clock_tolerance_ms
    lo_ms, hi_ms = row.event.time.lo_ms - slack_ms, row.event.time.hi_ms + slack_ms
    chains = [chain for key, chain in loaded.chains.items() if unit in (None, key[1])]
    states = [state for chain in chains for state in _within(chain, lo_ms, hi_ms)]
    if read_item(loaded.ledger.item).single:
        left = [one for one in states if any(is_before(out, row, facts.readings) for out in _drawn(spread, one))]
        states = [one for one in states if one not in left] or states
    here = [state for state in states if names & names_of(state.portion.holder)]
    every = [vertices[loaded.vertex(one)] for one in loaded.ledger.portions if unit is None or unit == one.unit]
    return here or states or [one for one in every if unit is not None or not spread.graph.into[one.number]]


def _drawn(spread: Spread, state: Vertex) -> list[EventRow]:
    """Return the events that took goods from a stock."""
    graph = spread.graph
    edges = [graph.edges[number] for number in graph.out[state.number]]
    taken = [graph.vertices[edge.target] for edge in edges if edge.link is Link.FACT and edge.hi != 0]
    return [one.portion.row for one in taken if one.kind not in (PortionKind.HELD, PortionKind.POOL)]


def _plant_inside(spread: Spread, unit: str, row: EventRow) -> None:
    """What was in a unit at an event, and in the units in it, but what the event itself moved.

    It is certain where by the clocks all of a stock in the unit had come by then, and none had gone.
    """
    facts, vertices = spread.graph.facts, spread.graph.vertices
    digest, slack_ms = row.event.event_digest, 2 * facts.readings.clock_tolerance_ms
    lo_ms, hi_ms = row.event.time.lo_ms - slack_ms, row.event.time.hi_ms + slack_ms
    pending, seen = [(unit, True)], {unit}
    while pending:
        parent, is_sure = pending.pop()
        for child, stays in sorted(facts.containment.contents_of(parent).stays.items()):
            if child in seen or not any(stay.lo_ms <= hi_ms and stay.hi_ms >= lo_ms for stay in stays):
                continue
            loaded = spread.graph.load_item(child)
            found = _then(spread, loaded, row, parent)
            came = [
                vertices[spread.graph.edges[edge].source] for one in found for edge in spread.graph.into[one.number]
            ]
            is_sure_here = (
                is_sure
                and [one.kind for one in found] == [PortionKind.POOL]
                and all(_is_by(one.portion.row, row, facts) and not one.portion.reading for one in came)
                and all(_is_by(row, one, facts) for one in _drawn(spread, found[0]))
            )
            if read_item(child).kind in (ItemKind.UNIT, ItemKind.ASSET):
                seen.add(child)
                pending.append((child, is_sure_here))
            if any(one.unit and one.kind in _BY_EVENT for one in _stated(loaded, digest)):
                continue
            if is_sure_here:
                spread.seed_vertex(found[0].number)
            else:
                _plant_any(spread, child, row, found)


def _is_by(row: EventRow, other: EventRow, facts: Facts) -> bool:
    """Return whether an event is another, or certainly before it."""
    return row.event.event_digest == other.event.event_digest or is_before(row, other, facts.readings)


def _stated(loaded: Loaded, digest: bytes) -> list[Portion]:
    """Return the portions that an event tells of. Loading, then departing: one shipment, whichever of them is named."""
    return [
        portion
        for portion in loaded.ledger.portions
        if any(row.event.event_digest == digest for row in (portion.row, *portion.reports))
    ]


def _plant_any(spread: Spread, item: str, row: EventRow, found: Iterable[Vertex]) -> None:
    """What may be seed material, any of it and for all that is known none: nothing of it is certain."""
    hubs: dict[str | None, int] = {}
    for vertex in found:
        uom, holder = vertex.portion.uom, vertex.portion.holder
        if uom not in hubs:
            hub = Portion(-1, PortionKind.WAY, row, holder, "", Decimal(0), None, uom)
            hubs[uom] = spread.graph.add_vertex(item, hub).number
            spread.seed_vertex(hubs[uom])
        spread.graph.add_edge(hubs[uom], vertex.number, None, uom, Link.READING)


def _plant_run(spread: Spread, run: str) -> None:
    """All that a run put out."""
    timelines = spread.graph.facts.timelines
    for posting in timelines.filed(PostingKind.RUN_OUTPUT, run):
        row = timelines.row_at(posting.ref)
        for goods in row.event.outputs:
            _plant_event(spread, goods.item, row.event.event_digest)


def _plant_holder(spread: Spread, seed: Seed) -> None:
    """What a holder had in the window."""
    facts = spread.graph.facts
    name = seed.holder
    assert name is not None
    lo_ms = -FOREVER_MS if seed.from_ms is None else seed.from_ms
    hi_ms = FOREVER_MS if seed.to_ms is None else seed.to_ms
    if site_of(name) != name:
        _plant_line(spread, seed, name, lo_ms, hi_ms)
        return
    items: dict[str, None] = {}
    for filed in filed_names(facts, name):
        for posting in facts.timelines.filed(PostingKind.HOLDER, filed):
            if posting.time_ms <= hi_ms:
                items.update(dict.fromkeys(roles_in(facts.timelines.row_at(posting.ref).event)))
    for item in sorted(with_contents(facts, items)):
        if seed.product is not None and read_item(item).product != seed.product:
            continue
        loaded = spread.graph.load_item(item)
        for chain in loaded.chains.values():
            for state in _within(chain, lo_ms, hi_ms):
                if name in names_of(state.portion.holder):
                    spread.seed_vertex(state.number)


def _plant_line(spread: Spread, seed: Seed, line: str, lo_ms: int, hi_ms: int) -> None:
    """What runs on a line or vessel put out in the window: an equipment run between two cleanings, say."""
    timelines = spread.graph.facts.timelines
    for posting in timelines.filed(PostingKind.HOLDER, site_of(line)):
        row = timelines.row_at(posting.ref)
        event = row.event
        if line not in (event.read_point, event.location) or event.declaration is not None:
            continue
        if event.type is not EventType.TRANSFORMATION:
            continue
        # Not each event of a run need name its line.
        for given in timelines.outputs_of_run(row):
            if given.event.time.lo_ms > hi_ms or given.event.time.hi_ms < lo_ms:
                continue
            for goods in given.event.outputs:
                if seed.product is None or read_item(goods.item).product == seed.product:
                    _plant_event(spread, goods.item, given.event.event_digest)


def _within(chain: Sequence[Vertex], lo_ms: int, hi_ms: int) -> Iterable[Vertex]:
    """Yield the states that may have been within a window: each lasts until the next begins."""
    for place, state in enumerate(chain):
        later = chain[place + 1].portion.row.event.time.hi_ms if place + 1 < len(chain) else FOREVER_MS
        if state.portion.row.event.time.lo_ms <= hi_ms and later >= lo_ms:
            yield state
