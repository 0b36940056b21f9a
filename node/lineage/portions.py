"""What a lot is made of: portions, and how goods flow from one to the next. `build_ledger` in `ledger.py` fills it.

A portion is a quantity of one lot that one event produced and one custodian held at one place, loose or in one unit.
A *pool* is what several portions become that nothing keeps apart: a chain of states, one for each credit after a
draw, so that n credits and m draws make n + m flows and never n times m. Flows are in the order of the lot's own
events; where wide times close a loop, `scope` takes what is on it as unsourced.
"""

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from node.lineage.custody import NOBODY, Holder
from node.lineage.records import EventRow

ZERO: Final = Decimal(0)


class PortionKind(StrEnum):
    """What produced a portion, or where it ended. The first four have no flow into them within their lot."""

    MADE = "made"
    """An Object ADD."""
    OUTPUT = "output"
    """A run put it out."""
    UNKNOWN = "unknown"
    """A source that nobody recorded: what a draw, receipt or sighting lacked."""
    MOVED = "moved"
    """A move that nobody recorded, read from the only other holding that had the goods."""
    POOL = "pool"
    """A state of what a holder has at one place."""
    WAY = "way"
    """A state of shipments that nothing tells apart."""
    PACKED = "packed"
    UNPACKED = "unpacked"
    SHIPPED = "shipped"
    RECEIVED = "received"
    FOUND = "found"
    """Seen where no record had brought it."""
    USED = "used"
    """Taken into a run."""
    ENDED = "ended"
    """Sold, dispensed, destroyed, or otherwise over."""
    HELD = "held"
    """What a holder has at last."""
    IN_TRANSIT = "in_transit"
    """Shipped and not received at last."""


LAST_KINDS: Final = frozenset({PortionKind.USED, PortionKind.ENDED, PortionKind.HELD, PortionKind.IN_TRANSIT})
"""Where goods of a lot are at last: each unit of a lot is in exactly one of these."""


@dataclass(slots=True, eq=False)
class Portion:
    """A portion of a lot.

    number: its place in the ledger. row: what produced it (of a HELD one: what first brought stock there). holder: who
    has it; of a shipment who sent it. lo … hi: how much, exact decimals; hi None is unbounded. uom: unit, None pieces.
    receiver: of a shipment, if stated. receipts, reports: other events that tell of the same thing. reading: only our
    reading put it here (docs/lineage.md): nothing that comes by it is certain.
    """

    number: int
    kind: PortionKind
    row: EventRow
    holder: Holder
    unit: str
    lo: Decimal
    hi: Decimal | None
    uom: str | None
    receiver: Holder | None = None
    reading: bool = False
    reports: tuple[EventRow, ...] = ()


class Flow(NamedTuple):
    """Goods of one portion that became part of another. hi: at most so much, None unbounded; 0 is *dry*.

    A dry flow carries nothing by the recorded amounts, and is kept because amounts may not exclude every hazard.
    """

    source: int
    target: int
    hi: Decimal | None
    uom: str | None
    reading: bool


class Finding(NamedTuple):
    """What did not add up. code: as in docs/lineage.md, with severity and remedy in `findings.py`.

    row: the event that shows it. ask: who can settle it first. other: another event of it. also: who else can settle
    it. amount, uom: how much, if known.
    """

    code: str
    row: EventRow
    ask: Holder
    other: EventRow | None = None
    also: Holder | None = None
    amount: Decimal | None = None
    uom: str | None = None


class Held(NamedTuple):
    """Stock at the end. since: the event that brought it there. in_transit: shipped to `holder`, not yet received."""

    holder: Holder
    since: EventRow
    in_transit: bool
    lo: Decimal
    hi: Decimal | None
    uom: str | None
    unit: str
    has_come: bool = False
    """Of a shipment: whether a receipt without an amount may have been of all of it."""


@dataclass(frozen=True, slots=True)
class LotLedger:
    """All portions of one item and the flows between them; portions[n].number == n. Nothing here is changed later."""

    item: str
    portions: Sequence[Portion]
    flows: Sequence[Flow]
    findings: Sequence[Finding]
    _listed: dict[tuple[PortionKind, ...], tuple[Portion, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def of_kind(self, *kinds: PortionKind) -> tuple[Portion, ...]:
        """Return the portions of these kinds, in order of their number; found once."""
        found = self._listed.get(kinds)
        if found is None:
            found = self._listed[kinds] = tuple([portion for portion in self.portions if portion.kind in kinds])
        return found

    @property
    def held(self) -> list[Held]:
        """Return what is held at last, by holder and unit; then what is on its way."""
        return self.held_of(None)

    def held_of(self, numbers: Set[int] | None) -> list[Held]:
        """Return the same of these portions alone; None for all."""
        held = []
        for one in self.of_kind(PortionKind.HELD, PortionKind.IN_TRANSIT):
            if numbers is not None and one.number not in numbers:
                continue
            in_transit = one.kind is PortionKind.IN_TRANSIT
            has_come = in_transit and bool(one.reports)
            holder = (one.receiver or NOBODY) if in_transit else one.holder
            held.append(Held(holder, one.row, in_transit, one.lo, one.hi, one.uom, one.unit, has_come))
        return held


def by_holder(held: Iterable[Held]) -> Iterable[tuple[Held, Decimal | None, Decimal | None]]:
    """Yield stock as one for each holder, whatever units it is in, with its sum; shipments each for itself.

    A shipment that a receipt without an amount matches has come, as far as anybody says.
    """
    ones = list(held)
    if len(ones) == 1 and not ones[0].in_transit:
        yield ones[0], ones[0].lo, ones[0].hi
        return
    stock: dict[str, list[Held]] = {}
    moving: list[Held] = []
    for one in ones:
        if one.in_transit:
            moving += [] if one.has_come else [one]
        else:
            stock.setdefault(one.holder.key, []).append(one)
    for there in stock.values():
        if len({one.uom for one in there}) > 1:
            yield there[0], None, None
            continue
        known = [one.hi for one in there if one.hi is not None]
        high = sum(known, Decimal(0)) if len(known) == len(there) else None
        yield there[0], sum((one.lo for one in there), Decimal(0)), high
    yield from ((one, one.lo, one.hi) for one in moving)
