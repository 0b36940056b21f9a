"""What a lot's ledger and its shipments say together: a receipt before its shipment, a sender that never had goods."""

from typing import Final

from node.lineage.custody import Holder
from node.lineage.facts import Facts
from node.lineage.flag_model import FlagList
from node.lineage.portions import Finding, LotLedger, PortionKind
from node.lineage.readings import Movement
from node.lineage.records import EventRow
from node.lineage.stock import is_same
from node.lineage.timeline import Timeline

_SHORT: Final = frozenset({"overdrawn", "no_source", "moved_without_record"})
_UNSENT: Final = frozenset({"receipt_without_shipment", "moved_without_record"})
_HOLDINGS: Final = (
    PortionKind.MADE,
    PortionKind.OUTPUT,
    PortionKind.RECEIVED,
    PortionKind.FOUND,
    PortionKind.PACKED,
    PortionKind.UNPACKED,
)


def check_moves(found: FlagList, ledger: LotLedger, timeline: Timeline, facts: Facts) -> None:
    """Add what the ledger's findings come of, where the item's other events tell."""
    if not ledger.findings:
        return
    held = {portion.holder.key for portion in ledger.of_kind(*_HOLDINGS)}
    for finding in ledger.findings:
        movement = facts.custody.read(finding.row)[0]
        if finding.code in _SHORT and movement is Movement.OUTBOUND and finding.ask.key not in held:
            found.add("sender_never_held", (finding.row,), (finding.ask, finding.also))
        elif finding.code in _UNSENT and movement is Movement.INBOUND:
            _check_order(found, finding, timeline, facts)


def _check_order(found: FlagList, finding: Finding, timeline: Timeline, facts: Facts) -> None:
    """A shipment to where the goods were received, certainly after the receipt: which of the two times is wrong?"""
    receipt = finding.row
    for row, _role in timeline.entries:
        movement, sender = facts.custody.read(row)
        if movement is not Movement.OUTBOUND or sender.key == finding.ask.key:
            continue
        receiver = facts.custody.receiver_of(row.event)
        if receiver is not None and is_same(receiver, finding.ask) and _is_after(row, receipt, facts):
            found.add("received_before_shipped", (receipt, row), _ends(finding.ask, sender))
            return


def _is_after(row: EventRow, earlier: EventRow, facts: Facts) -> bool:
    slack_ms = facts.readings.slack_ms(row.member, earlier.member)
    return earlier.event.time.hi_ms + slack_ms < row.event.time.lo_ms


def _ends(receiver: Holder, sender: Holder) -> tuple[Holder, Holder]:
    return receiver, sender
