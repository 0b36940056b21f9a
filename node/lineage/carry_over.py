"""How far a declared carry-over goes: the next so much that comes off the line, or so many minutes."""

from collections.abc import Iterable
from decimal import Decimal

from node.epcis.model import EventType
from node.lineage.declared import SiteRule, equipment_of
from node.lineage.facts import Facts, Side
from node.lineage.records import EventRow


class CarryOver:
    """What may still be reached of what comes after a run. equipment: its line, or None; over_ms: when it was over."""

    def __init__(
        self, rule: SiteRule, rows: Iterable[EventRow], equipment: str | None, over_ms: int, facts: Facts
    ) -> None:
        self._rule = rule
        self._over_ms = over_ms
        self._put_out: list[tuple[int, Decimal]] = []
        if rule.amount is None or equipment is None:
            return
        for row in rows:
            event = row.event
            is_later = event.type is EventType.TRANSFORMATION and event.time.lo_ms > over_ms
            # What may have run elsewhere, or nobody weighed, has rinsed nothing.
            if is_later and equipment_of(row) == equipment:
                amounts = [
                    facts.base_amount(item, row, Side.OUTPUTS)
                    for item in dict.fromkeys(one.item for one in event.outputs)
                ]
                total = sum((one for one, uom in amounts if one is not None and uom == rule.uom), Decimal(0))
                self._put_out.append((event.time.hi_ms, total))

    def may_reach(self, time_ms: int) -> bool:
        """Return whether goods of a run that began at the earliest then may still get some."""
        rule = self._rule
        if rule.window_ms is not None:
            return time_ms <= self._over_ms + rule.window_ms
        rinsed = sum((amount for until_ms, amount in self._put_out if until_ms < time_ms), Decimal(0))
        return rule.amount is None or rinsed < rule.amount
