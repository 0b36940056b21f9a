"""What a piece or a unit cannot have gone through: it is one thing, at one place, and is used up once."""

from decimal import Decimal
from itertools import pairwise
from typing import Final

from node.lineage.containment import Stay
from node.lineage.facts import Facts
from node.lineage.flag_model import HOUR_MS, FlagList, FlagSettings
from node.lineage.geography import chord_squared_km
from node.lineage.items import ItemKind, read_item
from node.lineage.readings import Movement
from node.lineage.records import ROLE_CHILD, ROLE_ENDED, ROLE_INPUT, ROLE_OUTPUT, EventRow
from node.lineage.timeline import Timeline

_ANGLES_MAX: Final = 180


def check_piece(found: FlagList, timeline: Timeline, facts: Facts, settings: FlagSettings) -> None:
    """Add what does not fit one thing."""
    if read_item(found.subject).kind is ItemKind.SERIAL:
        _check_ends(found, timeline, facts)
    _check_shipments(found, timeline, facts)
    _check_units(found, timeline, facts)
    _check_speed(found, timeline, facts, settings)


def _is_after(row: EventRow, earlier: EventRow, facts: Facts) -> bool:
    slack_ms = facts.readings.slack_ms(row.member, earlier.member)
    return earlier.event.time.hi_ms + slack_ms < row.event.time.lo_ms


def _check_ends(found: FlagList, timeline: Timeline, facts: Facts) -> None:
    """Seen after it was sold, destroyed or built in; a sold piece that comes back is a return."""
    end: tuple[str, EventRow] | None = None
    for row, role in timeline.entries:
        event = row.event
        movement, holder = facts.custody.read(row)
        if event.disposition == "returned" or event.step == "returning":
            end = None
        elif end is not None and _is_after(row, end[1], facts):
            found.add(end[0], (row, end[1]), (holder, facts.custody.holder_of(end[1])))
        if role & ROLE_ENDED or movement is Movement.END:
            end = ("used_after_end", row)
        elif role & ROLE_INPUT and not role & ROLE_OUTPUT:
            end = ("used_after_input", row)


def _check_shipments(found: FlagList, timeline: Timeline, facts: Facts) -> None:
    """Shipped by another while it is on its way."""
    away: EventRow | None = None
    for row, _role in timeline.entries:
        movement, holder = facts.custody.read(row)
        if movement is not Movement.OUTBOUND:
            away = None
            continue
        if away is not None:
            sender = facts.custody.holder_of(away)
            receiver = facts.custody.receiver_of(away.event)
            arrived = receiver is not None and receiver.key == holder.key
            if sender.key != holder.key and not arrived and _is_after(row, away, facts):
                found.add("shipped_in_transit", (row, away), (holder, sender))
        away = row


def _check_units(found: FlagList, timeline: Timeline, facts: Facts) -> None:
    """Packed into a second unit while it is in the first by the record. A tracker on a tray is no second unit."""
    parents = {row.event.parent: None for row, role in timeline.entries if role & ROLE_CHILD}
    stays: list[Stay] = []
    for parent in parents:
        if parent is not None and read_item(parent).kind is not ItemKind.PLACE:
            stays += facts.containment.contents_of(parent).stays.get(found.subject, ())
    stays.sort(key=lambda stay: (stay.lo_ms, stay.since.event.content_digest, stay.parent))
    for stay, later in pairwise([stay for stay in stays if not stay.inferred]):
        if stay.parent == later.parent or stay.since.event.type is not later.since.event.type:
            continue
        if stay.hi_ms > later.since.event.time.hi_ms and _is_after(later.since, stay.since, facts):
            holders = (facts.custody.holder_of(later.since), facts.custody.holder_of(stay.since))
            found.add("in_two_units", (later.since, stay.since), holders, items=(stay.parent, later.parent))


def _check_speed(found: FlagList, timeline: Timeline, facts: Facts, settings: FlagSettings) -> None:
    """Seen at two places whose master data state coordinates, too soon one after the other for any vehicle."""
    last: tuple[EventRow, tuple[Decimal, Decimal]] | None = None
    for row, _role in timeline.entries:
        place = facts.custody.holder_of(row).place
        at = None if place is None else _coordinates(place, facts)
        if at is None:
            continue
        if last is not None and at != last[1]:
            before = last[0].event.time
            longest_ms = row.event.time.hi_ms - before.lo_ms + facts.readings.slack_ms(row.member, last[0].member)
            reach = Decimal(max(0, longest_ms) * settings.speed_kmh)
            if chord_squared_km(last[1], at) * HOUR_MS * HOUR_MS > reach * reach:
                holders = (facts.custody.holder_of(row), facts.custody.holder_of(last[0]))
                found.add("impossible_speed", (row, last[0]), holders)
        last = row, at


def _coordinates(place: str, facts: Facts) -> tuple[Decimal, Decimal] | None:
    """Return latitude and longitude in degrees where all who state them agree, else None."""
    stated: set[tuple[Decimal, Decimal]] = set()
    for record in facts.masters.of(place):
        attributes = dict(record.attributes)
        latitude, longitude = _degrees(attributes.get("latitude")), _degrees(attributes.get("longitude"))
        if latitude is not None and longitude is not None and abs(latitude) * 2 <= _ANGLES_MAX:
            stated.add((latitude, longitude))
    return stated.pop() if len(stated) == 1 else None


def _degrees(text: str | None) -> Decimal | None:
    """Return an angle of at most half a turn, with up to nine places, or None for other text."""
    if text is None or len(text) > 16 or not text.lstrip("+-").replace(".", "", 1).isdecimal() or not text.isascii():
        return None
    try:
        angle = Decimal(text)
    except ArithmeticError:
        return None
    return angle if abs(angle) <= _ANGLES_MAX else None
