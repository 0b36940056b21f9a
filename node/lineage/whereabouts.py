"""At whom an item may have been: by its own events, by those of the units around it, and by shipments to there.

Goods that an event names by product alone may be of any lot that its custodian had then. A custodian is met under
several names (its party, its site), and an event may state only one of them: two are the same if they share one.
"""

from collections.abc import Iterable, Iterator

from node.lineage.containment import Containment, Stay
from node.lineage.custody import Custody, Holder
from node.lineage.readings import Movement
from node.lineage.records import ROLE_CHILD, ROLE_INSTANCES, EventRow
from node.lineage.timeline import Timeline, Timelines

NOWHERE: frozenset[str] = frozenset()


def names_of(holder: Holder | None) -> frozenset[str]:
    """Return all names that a holder is met under."""
    if holder is None:
        return NOWHERE
    return frozenset([name for name in (holder.party, holder.site) if name])


class Whereabouts:
    """Names of custodians for one question."""

    def __init__(self, custody: Custody, timelines: Timelines, containment: Containment) -> None:
        self._custody = custody
        self._timelines = timelines
        self._containment = containment

    def here(self, row: EventRow) -> frozenset[str]:
        """Return the names of who held the goods of the event."""
        return names_of(self._custody.holder_of(row))

    def sent_to(self, row: EventRow) -> frozenset[str] | None:
        """Return the names of the receiver that a shipment states: none if it states none; None for other events."""
        if self._custody.read(row)[0] is not Movement.OUTBOUND:
            return None
        return names_of(self._custody.receiver_of(row.event))

    def had_from(self, row: EventRow) -> frozenset[str] | None:
        """Return the names of the sender that a receipt states: none if it states none; None for other events."""
        if self._custody.read(row)[0] is not Movement.INBOUND:
            return None
        return names_of(self._custody.sender_of(row.event))

    def all_of(self, row: EventRow) -> frozenset[str]:
        """Return the names of who held the goods, and of who was to have them."""
        return self.here(row) | (self.sent_to(row) or NOWHERE)

    def rows_of(self, item: str, timeline: Timeline) -> Iterator[EventRow]:
        """Yield the events that tell where an item was: its own, then those of the units around it meanwhile."""
        is_child = False
        for row, role in timeline.entries:
            if role & ~ROLE_INSTANCES:
                yield row
            is_child = is_child or bool(role & ROLE_CHILD)
        if is_child:
            yield from self.rows_around(self._containment.stays_of(item, timeline))

    def rows_around(self, stays: Iterable[Stay]) -> Iterator[EventRow]:
        """Yield the events of the units of `stays`, and of the units around these, that may have been meanwhile."""
        pending = list(stays)
        seen: set[tuple[str, int, int]] = set()
        while pending:
            stay = pending.pop()
            window = (stay.parent, stay.lo_ms, stay.hi_ms)
            if window in seen:
                continue
            seen.add(window)
            timeline = self._timelines.of_item(stay.parent)
            for row, _role in timeline.entries:
                if row.event.time.hi_ms >= stay.lo_ms and row.event.time.lo_ms <= stay.hi_ms:
                    yield row
            for around in self._containment.stays_of(stay.parent, timeline):
                lo_ms, hi_ms = max(stay.lo_ms, around.lo_ms), min(stay.hi_ms, around.hi_ms)
                if lo_ms <= hi_ms:
                    pending.append(around._replace(lo_ms=lo_ms, hi_ms=hi_ms))
