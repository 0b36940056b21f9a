"""From an event to what the index keeps of it: under which items, run and id it is found again.

Runs for every event of the ledger, so it does no more than that: custody, containment and time are read when asked.
"""

from typing import Final

from node.epcis.identifiers import site_of
from node.epcis.model import Action, Event, EventType, Goods
from node.lineage.items import ItemKind, lot_of, read_item
from node.lineage.records import (
    ROLE_CHILD,
    ROLE_ENDED,
    ROLE_INPUT,
    ROLE_INSTANCES,
    ROLE_MADE,
    ROLE_OUTPUT,
    ROLE_PARENT,
    ROLE_SEEN,
    EventRow,
    Filing,
    PostingKind,
)

JUDGING: Final = frozenset({"conformant", "non_conformant"})
"""Dispositions that say whether something passed."""

_TRADE: Final = frozenset({None, "bol", "desadv", "inv", "po", "poc", "prodorder", "recadv", "rma", "upevt"})
"""Types of documents that say nothing of how good goods are."""
CERTIFICATION: Final = "cert"
"""The type that certificationInfo counts as."""


def papers_in(event: Event) -> list[tuple[str, str]]:
    """Return type and id of the documents that may say how good goods are."""
    papers = [(kind, name) for kind, name in event.documents if kind is not None and kind not in _TRADE]
    return [*papers, *[(CERTIFICATION, name) for name in event.certificates]]


def file_event(row: EventRow) -> Filing:
    """Return what an event is filed under.

    An error declaration is filed like the event that it repeats, so whoever reads an item's events meets both.
    """
    event = row.event
    roles = roles_in(event)
    others: list[tuple[PostingKind, str, int]] = []
    if event.transformation_id is not None:
        if event.inputs:
            others.append((PostingKind.RUN_INPUT, event.transformation_id, 0))
        if event.outputs:
            others.append((PostingKind.RUN_OUTPUT, event.transformation_id, 0))
    if event.event_id is not None:
        others.append((PostingKind.EVENT_ID, event.event_id, 0))
    if event.disposition in JUDGING and event.type is EventType.OBJECT:
        judged = equipment_in(event) or event.read_point or event.location
        if judged is not None:
            others.append((PostingKind.JUDGED, judged, 0))
    if event.documents or event.certificates:
        others += [(PostingKind.CERTIFICATE, name, 0) for name in dict.fromkeys(name for _, name in papers_in(event))]
    names = holders_in(event)
    if names:
        role = 0
        for one in roles.values():
            role |= one
        kind = PostingKind.HOLDER
        others += [(kind, name, role) for name in names]
    return Filing(row.ref, event.time.lo_ms, roles, others)


def equipment_in(event: Event) -> str | None:
    """Return the line or vessel that an event names: a place within its site, or None."""
    for place in (event.read_point, event.location):
        if place is not None and site_of(place) != place:
            return place
    return None


def holders_in(event: Event) -> list[str]:
    """Return every site and party that the event names, each once."""
    names: dict[str, None] = {}
    for place in (event.read_point, event.location):
        if place is not None:
            names[site_of(place)] = None
    if event.sources or event.destinations:
        for kind, name in (*event.sources, *event.destinations):
            names[site_of(name) if kind == "location" else name] = None
    return list(names)


def roles_in(event: Event) -> dict[str, int]:
    """Return the ROLE_ bits of every item that the event names, in the order of their naming."""
    roles: dict[str, int] = {}
    if event.type is EventType.TRANSFORMATION:
        for goods in event.inputs:
            roles[goods.item] = roles.get(goods.item, 0) | ROLE_INPUT
        for goods in event.outputs:
            roles[goods.item] = roles.get(goods.item, 0) | ROLE_OUTPUT
    else:
        role = _role_of_goods(event)
        for goods in event.goods:
            roles[goods.item] = role
    if event.parent is not None and read_item(event.parent).kind is not ItemKind.PLACE:
        # A place may be the parent of an association; nothing can be packed in one.
        roles[event.parent] = roles.get(event.parent, 0) | ROLE_PARENT
    if event.lot_code is not None and (event.type is EventType.TRANSFORMATION or event.action is Action.ADD):
        made = event.outputs if event.type is EventType.TRANSFORMATION else event.goods
        for lot in _lots_of_serials(event, made):
            roles[lot] = roles.get(lot, 0) | ROLE_INSTANCES
    return roles


def _role_of_goods(event: Event) -> int:
    if event.type is EventType.AGGREGATION or event.type is EventType.ASSOCIATION:
        return ROLE_CHILD
    if event.type is EventType.OBJECT and event.action is Action.ADD:
        return ROLE_MADE
    if event.type is EventType.OBJECT and event.action is Action.DELETE:
        return ROLE_ENDED
    return ROLE_SEEN


def lot_of_serial(event: Event, item: str) -> str | None:
    """Return the lot that the serial `item`, made by `event`, is an instance of, or None.

    Read from the lot number in the event's ilmd: a serial's canonical id does not name its lot.
    """
    if event.lot_code is None:
        return None
    facts = read_item(item)
    if facts.kind is not ItemKind.SERIAL or facts.product is None:
        return None
    return lot_of(facts.product, event.lot_code)


def _lots_of_serials(event: Event, made: tuple[Goods, ...]) -> tuple[str, ...]:
    if event.type is EventType.AGGREGATION or event.type is EventType.ASSOCIATION:
        return ()
    lots: dict[str, None] = {}
    for goods in made:
        lot = lot_of_serial(event, goods.item)
        if lot is not None:
            lots[lot] = None
    return tuple(lots)
