"""Checks that read an item's events one by one: names that are none, entries long after, goods used while blocked."""

from functools import lru_cache
from typing import Final

from node.epcis.identifiers import identify
from node.lineage.facts import Facts
from node.lineage.flag_model import FlagList, FlagSettings
from node.lineage.items import ItemKind, read_item
from node.lineage.readings import Movement
from node.lineage.records import ROLE_ENDED, ROLE_INPUT, ROLE_MADE, ROLE_OUTPUT, EventRow
from node.lineage.timeline import ANY_TIME, Timeline

_BLOCKING: Final = frozenset({"recalled", "expired"})
"""Dispositions that hold for all of a lot wherever it is: what they say of a part, they say of the code."""
_BLOCKING_PIECE: Final = _BLOCKING | {"damaged", "non_conformant", "needs_replacement", "non_sellable_other", "stolen"}
RELEASING: Final = frozenset({"active", "available", "conformant", "sellable_accessible", "sellable_not_accessible"})
"""Dispositions that say of goods that were held back that they may go on."""
_MAKING: Final = ROLE_MADE | ROLE_OUTPUT
_SELLING: Final = frozenset({"retail_selling", "dispensing"})
_NO_KEY: Final = ("no URI: kept as it is", "no GS1 identifier: kept as it is")


@lru_cache(maxsize=1 << 14)
def is_malformed(name: str) -> bool:
    """Return whether an identifier means to be a GS1 key, and is none: a wrong check digit, say, or length."""
    warning = identify(name).warning
    return warning is not None and warning not in _NO_KEY


def check_names(found: FlagList, timeline: Timeline) -> None:
    """Add keys that break the rules of GS1: of the item itself, and of the places of its events."""
    entries = timeline.entries
    if entries and read_item(found.subject).kind is ItemKind.OTHER and is_malformed(found.subject):
        found.add("malformed_id", (entries[0].row,), ())
    for row, _role in entries:
        wrong = _malformed_of(row.event.location, row.event.read_point)
        if wrong:
            found.add("malformed_id", (row,), (), items=wrong)


@lru_cache(maxsize=1 << 14)
def _malformed_of(*places: str | None) -> tuple[str, ...]:
    """Return those of an event's places that are malformed, each once."""
    return tuple(dict.fromkeys([name for name in places if name is not None and is_malformed(name)]))


def check_times(found: FlagList, timeline: Timeline, settings: FlagSettings) -> None:
    """Add what was entered much later than it happened: one flag for all of the item's events."""
    late = [
        row
        for row, _role in timeline.entries
        if row.ledger_time_ms - row.event.time.hi_ms > settings.back_dated_ms and row.event.time is not ANY_TIME
    ]
    if late:
        found.add("back_dated", late, ())


def check_blocked(found: FlagList, timeline: Timeline, facts: Facts) -> None:
    """Add what was used, sold or shipped certainly after it was said to be recalled or expired, and not released.

    A shipment that says so itself is the goods' way back. Of a lot, what holds for one part alone blocks nothing.
    """
    blocking = _BLOCKING_PIECE if read_item(found.subject).single else _BLOCKING
    blocked: EventRow | None = None
    for row, role in timeline.entries:
        event = row.event
        if event.disposition in blocking:
            blocked = blocked or row
        elif blocked is None:
            continue
        elif event.disposition in RELEASING and not is_use(row, role, facts):
            blocked = None
        elif is_use(row, role, facts):
            slack_ms = facts.readings.slack_ms(row.member, blocked.member)
            if blocked.event.time.hi_ms + slack_ms < event.time.lo_ms:
                found.add("used_while_blocked", (row, blocked), (facts.custody.holder_of(row),))


def check_expiry(found: FlagList, timeline: Timeline, facts: Facts) -> None:
    """Add what was used or sold certainly after its makings say that it may be; of several, the latest counts."""
    entries = timeline.entries
    ends = [row.event.expires_ms for row, role in entries if role & _MAKING and row.event.expires_ms is not None]
    if not ends:
        return
    expires_ms = max(ends)
    maker = next(row for row, role in entries if role & _MAKING and row.event.expires_ms == expires_ms)
    for row, role in entries:
        is_late = row.event.time.lo_ms > expires_ms + facts.readings.slack_ms(row.member, maker.member)
        if is_late and is_use(row, role, facts) and facts.custody.read(row)[0] is not Movement.OUTBOUND:
            found.add("used_after_expiry", (row, maker), (facts.custody.holder_of(row),))


def is_use(row: EventRow, role: int, facts: Facts) -> bool:
    """Return whether an event uses, ships or sells the item. A shipment that says that it is a return does not."""
    if role & ROLE_INPUT:
        return True
    movement = facts.custody.read(row)[0]
    if movement is Movement.OUTBOUND:
        return row.event.disposition != "returned" and row.event.step != "returning"
    return (movement is Movement.END or bool(role & ROLE_ENDED)) and row.event.step in _SELLING
