"""Goods that went on though they were held back: a hold, and then a use, sale or shipment without a release between.

A piece is one thing: any use counts. Of a lot, other goods of the same code may stand beside what is held. So a hold
with an amount is broken only where the holder gave away more than it had beside the held goods; one without an amount
is of all that was there, and is looked at only where all of that came certainly before the hold.
"""

from decimal import Decimal
from typing import Final

from node.lineage.custody import Holder
from node.lineage.facts import Facts, Side
from node.lineage.flag_checks import RELEASING, is_use
from node.lineage.flag_model import FlagList
from node.lineage.items import read_item
from node.lineage.ledger import build_ledger
from node.lineage.portions import ZERO, LotLedger, Portion, PortionKind
from node.lineage.records import ROLE_SEEN, EventRow
from node.lineage.timeline import ANY_TIME, Timeline
from node.wire.ids import MemberId

_HOLDING: Final = "holding"
_FAILED: Final = "non_conformant"
_COMING: Final = (
    PortionKind.MADE,
    PortionKind.OUTPUT,
    PortionKind.RECEIVED,
    PortionKind.FOUND,
    PortionKind.UNKNOWN,
    PortionKind.MOVED,
)
_GOING: Final = (PortionKind.USED, PortionKind.SHIPPED, PortionKind.ENDED)


def check_hold(found: FlagList, timeline: Timeline, facts: Facts) -> None:
    """Add what was used, sold or shipped certainly after it was put on hold, where no release may lie between."""
    single = read_item(found.subject).single
    holds = [row for row, role in timeline.entries if role & ROLE_SEEN and _is_hold(row, single=single)]
    if not holds:
        return
    uses: list[EventRow] = []
    released: list[EventRow] = []
    for row, role in timeline.entries:
        if is_use(row, role, facts):
            uses.append(row)
        elif row.event.disposition in RELEASING:
            released.append(row)
    ledger = None if single or not uses else build_ledger(found.subject, facts, timeline)
    for hold in holds:
        holder = facts.custody.holder_of(hold)
        free_ms = _released_from(hold, released, facts)
        broken = [
            use
            for use in uses
            if (single or facts.custody.holder_of(use).key == holder.key)
            and _is_after(use, hold, facts)
            and all(use.event.time.hi_ms + facts.readings.slack_ms(use.member, by) < ms for by, ms in free_ms.items())
        ]
        if broken and (ledger is None or _is_broken(hold, holder, ledger, found.subject, facts)):
            found.add("used_on_hold", (*broken, hold), (holder,))


def _released_from(hold: EventRow, released: list[EventRow], facts: Facts) -> dict[MemberId, int]:
    """Return from when on each member's releases that may be after the hold let its goods go."""
    free_ms: dict[MemberId, int] = {}
    for row in released:
        if not _is_after(hold, row, facts):
            lo_ms = row.event.time.lo_ms
            free_ms[row.member] = min(lo_ms, free_ms.get(row.member, lo_ms))
    return free_ms


def _is_hold(row: EventRow, *, single: bool) -> bool:
    """Return whether an event holds its goods back: by its step or, of a lot, as what did not pass."""
    event = row.event
    if event.time is ANY_TIME or event.disposition in RELEASING:
        return False
    return event.step == _HOLDING or (not single and event.disposition == _FAILED and event.step == "inspecting")


def _is_broken(hold: EventRow, holder: Holder, ledger: LotLedger, item: str, facts: Facts) -> bool:
    """Return whether some of what is held must have gone, by the amounts of the lot at this holder."""
    came = [one for one in ledger.of_kind(*_COMING) if one.holder.key == holder.key]
    amount, uom = facts.base_amount(item, hold, Side.GOODS)
    unpacked = ledger.of_kind(PortionKind.UNPACKED)
    if amount is None:
        # A source that nobody recorded may have come at any time.
        return all(one.kind not in (PortionKind.UNKNOWN, PortionKind.MOVED) for one in came) and all(
            _is_after(hold, one.row, facts) for one in (*came, *unpacked)
        )
    went = [one for one in ledger.of_kind(*_GOING) if one.holder.key == holder.key]
    if any(one.uom != uom for one in (*came, *went)) or any(one.hi is None for one in came):
        return False
    if any(one.holder.key == holder.key for one in ledger.of_kind(PortionKind.PACKED, PortionKind.UNPACKED)):
        return False  # What is packed stays with who holds it, and may be what is held back.
    ended = [one for one in went if one.kind is PortionKind.ENDED and not is_use(one.row, 0, facts)]
    beside = sum((one.hi or ZERO for one in came), ZERO) - amount
    return _sum_lo(went) - _sum_lo(ended) > beside


def _sum_lo(portions: list[Portion]) -> Decimal:
    return sum((one.lo for one in portions), ZERO)


def _is_after(row: EventRow, earlier: EventRow, facts: Facts) -> bool:
    slack_ms = facts.readings.slack_ms(row.member, earlier.member)
    return earlier.event.time.hi_ms + slack_ms < row.event.time.lo_ms
