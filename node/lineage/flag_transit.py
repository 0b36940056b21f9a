"""Shipments that nobody received in time: of which it is certain that some of them lacks.

Where several shipments fit one receipt, each may be what was received, and each what lacks. Then only their sum tells:
what was sent to one receiver beyond all that it received, of any of them.
"""

from decimal import Decimal

from node.lineage.custody import Holder
from node.lineage.flag_model import FlagList, FlagSettings
from node.lineage.portions import ZERO, LotLedger, Portion, PortionKind
from node.lineage.stock import may_be


def add_unmatched(found: FlagList, ledger: LotLedger, settings: FlagSettings, now_ms: int) -> None:
    """Add the shipments that nobody received in time; what travels in a unit is the unit's."""
    unsure: list[Portion] = []
    for way in ledger.of_kind(PortionKind.IN_TRANSIT):
        if way.unit or way.reports:
            continue
        due_ms = way.row.ledger_time_ms + settings.unmatched_ms
        if due_ms > now_ms:
            found.wait_until(due_ms)
        elif way.lo > 0 or (way.hi is None and not _received(ledger, way)):
            amount = None if way.hi is None else way.lo
            found.add(
                "shipment_unmatched", (way.row,), (way.holder, way.receiver), amount=amount, uom=way.uom,
                since_ms=due_ms,
            )  # fmt: skip
        elif way.hi:
            unsure.append(way)
    if unsure:
        _add_sums(found, unsure, ledger, settings)


def _add_sums(found: FlagList, unsure: list[Portion], ledger: LotLedger, settings: FlagSettings) -> None:
    """Add what lacks of shipments to one receiver, none of which lacks for certain."""
    by_receiver: dict[tuple[str, str | None], list[Portion]] = {}
    for way in unsure:
        if way.receiver is not None:
            by_receiver.setdefault((way.receiver.key, way.uom), []).append(way)
    for (_key, uom), ways in by_receiver.items():
        receiver = ways[0].receiver
        assert receiver is not None
        others = [one.hi for one in _others(ways, receiver, ledger)]
        if None in others:
            continue
        lack = _lack(receiver, uom, ledger) - sum((hi for hi in others if hi is not None), ZERO)
        if lack > 0:
            found.add(
                "shipment_unmatched",
                [way.row for way in ways],
                [*(way.holder for way in ways), receiver],
                amount=lack,
                uom=uom,
                since_ms=max(way.row.ledger_time_ms for way in ways) + settings.unmatched_ms,
            )


def _lack(receiver: Holder, uom: str | None, ledger: LotLedger) -> Decimal:
    """Return by how much more was certainly sent to a receiver than it can have received."""
    sent = ZERO
    for one in ledger.of_kind(PortionKind.SHIPPED):
        if one.receiver is not None and one.receiver.key == receiver.key and one.uom == uom and not one.unit:
            sent += one.lo
    for one in ledger.of_kind(PortionKind.RECEIVED, PortionKind.FOUND):
        if may_be(receiver, one.holder):
            if one.hi is None or one.uom != uom:
                return ZERO
            sent -= one.hi
    return sent


def _others(ways: list[Portion], receiver: Holder, ledger: LotLedger) -> list[Portion]:
    """Return what else is on its way there: flagged by itself, or not due yet, when all of it may be what lacks."""
    numbers = {way.number for way in ways}
    others = [
        one
        for one in ledger.of_kind(PortionKind.IN_TRANSIT)
        if one.number not in numbers and one.receiver is not None and one.receiver.key == receiver.key
    ]
    return [one for one in others if not one.unit]


def _received(ledger: LotLedger, way: Portion) -> bool:
    """Return whether anything was received that may be of a shipment."""
    return any(
        way.receiver is None or may_be(way.receiver, one.holder)
        for one in ledger.of_kind(PortionKind.RECEIVED, PortionKind.FOUND)
    )
