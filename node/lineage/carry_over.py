"""How far a declared carry-over goes: the next so much that comes off the line, or so many minutes."""

from bisect import bisect_right
from collections.abc import Sequence
from decimal import Decimal

from consensus.types import Digest
from node.lineage.declared import SiteRule
from node.lineage.equipment import Times, certainly_by
from node.lineage.facts import Facts, Side
from node.lineage.records import EventRow
from node.lineage.timeline import FOREVER_MS


def reach_ms(rule: SiteRule, over: Times, clock: str, put_out: Sequence[EventRow], facts: Facts) -> int:
    """Return until when, by a member's clock, what begins on a line may still get some of what ran there before.

    over: when that was over. put_out: what events say that came off that very line, in order of time; what may have run
    elsewhere, or nobody weighed, has rinsed nothing. It counts if the member that declares the rule entered it, and
    once, though told twice.
    """
    readings = facts.readings
    if rule.window_ms is not None:
        return certainly_by(over, clock, readings) + rule.window_ms
    if rule.amount is None:
        return FOREVER_MS
    rinsed, until_ms = Decimal(0), -FOREVER_MS
    told: set[Digest] = set()
    after_ms = certainly_by(over, rule.member, readings)
    for row in put_out[bisect_right(put_out, after_ms, key=_begin_of) :]:
        event = row.event
        if row.member != rule.member or event.content_digest in told:
            continue
        told.add(event.content_digest)
        amounts = [
            facts.base_amount(item, row, Side.OUTPUTS) for item in dict.fromkeys(one.item for one in event.outputs)
        ]
        rinsed += sum((amount for amount, uom in amounts if amount is not None and uom == rule.uom), Decimal(0))
        until_ms = max(until_ms, event.time.hi_ms)
        if rinsed >= rule.amount:
            return until_ms + readings.slack_ms(rule.member, clock)
    return FOREVER_MS


def _begin_of(row: EventRow) -> int:
    return row.event.time.lo_ms
