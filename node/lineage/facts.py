"""What a walk reads: custody, timelines, runs and contents for one question on one snapshot, each read once."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import IntEnum
from typing import Final

from consensus.types import Digest, Height
from node.epcis.model import Goods
from node.lineage.cleanings import Cleanings
from node.lineage.containment import Containment
from node.lineage.custody import Custody, Masters
from node.lineage.items import read_item
from node.lineage.reader import LineageReader
from node.lineage.readings import Readings
from node.lineage.records import EventRow
from node.lineage.timeline import Timelines
from node.lineage.units import COUNTED, EXACT, to_base
from node.lineage.whereabouts import Whereabouts

_SHORT_LIST: Final = 8
"""Lists up to this length are looked through; longer ones are read into a table once."""


class Side(IntEnum):
    """Which of an event's lists."""

    GOODS = 0
    INPUTS = 1
    OUTPUTS = 2


Amount = tuple[Decimal | None, str | None]
_UNSTATED: Final[Amount] = (None, None)


class Amounts:
    """How much of an item an event lists; a long list is read once, not once for each of its items."""

    def __init__(self) -> None:
        self._tables: dict[tuple[Digest, Side], dict[str, Amount]] = {}

    def of(self, row: EventRow, side: Side, item: str) -> Amount:
        """Return amount and unit, summed over lines where units agree; unknown if one line is, or there is none."""
        event = row.event
        goods = event.inputs if side is Side.INPUTS else event.outputs if side is Side.OUTPUTS else event.goods
        if len(goods) == 1:
            line = goods[0]
            return (line.amount, line.uom) if line.item == item else _UNSTATED
        if len(goods) <= _SHORT_LIST:
            return amount_in(goods, item)
        key = (event.event_digest, side)
        table = self._tables.get(key)
        if table is None:
            lines: dict[str, list[Goods]] = {}
            for line in goods:
                lines.setdefault(line.item, []).append(line)
            table = self._tables[key] = {name: amount_in(listed, name) for name, listed in lines.items()}
        return table.get(item, _UNSTATED)


@dataclass(frozen=True, slots=True)
class Facts:
    """The readers of one question. known_at: the height that it is answered at."""

    reader: LineageReader
    readings: Readings
    masters: Masters
    custody: Custody
    timelines: Timelines
    containment: Containment
    amounts: Amounts
    whereabouts: Whereabouts
    cleanings: Cleanings
    known_at: Height

    def read_by(self, reader: LineageReader) -> "Facts":
        """Return the same, with all that was read, to go on with another reader of the same height."""
        self.masters.read_by(reader)
        self.timelines.read_by(reader)
        return replace(self, reader=reader)

    def base_amount(self, item: str, row: EventRow, side: Side) -> Amount:
        """Return how much of the item an event lists, in the unit that its kind is counted in."""
        amount = self.amounts.of(row, side, item)
        return amount if amount[1] in COUNTED else self.in_base(item, *amount)

    def in_base(self, item: str, amount: Decimal | None, uom: str | None) -> Amount:
        """Return an amount in kilograms, litres or pieces where it converts exactly, by a product fact too."""
        based = to_base(amount, uom)
        if based[1] in COUNTED:
            return based
        product = read_item(item).product
        factor = None if product is None else self.masters.unit_fact(product, based[1])
        if factor is None:
            return based
        per, other = factor
        return to_base(None if based[0] is None else EXACT.multiply(based[0], per), other)


def open_facts(reader: LineageReader, readings: Readings, *, as_of_ms: int | None, known_at: Height) -> Facts:
    """Return readers that see no event after `as_of_ms` and no entry above `known_at`."""
    masters = Masters(reader, known_at=known_at)
    custody = Custody(masters, readings)
    timelines = Timelines(reader, custody, readings, as_of_ms=as_of_ms, known_at=known_at)
    containment = Containment(timelines)
    whereabouts = Whereabouts(custody, timelines, containment)
    return Facts(
        reader,
        readings,
        masters,
        custody,
        timelines,
        containment,
        Amounts(),
        whereabouts,
        Cleanings(timelines, readings),
        known_at,
    )


def amount_in(goods: Iterable[Goods], item: str) -> Amount:
    """Return how much of `item` the goods list, summed where units agree; unknown if one line is."""
    total: Decimal | None = None
    uom: str | None = None
    seen = False
    for line in goods:
        if line.item != item:
            continue
        if not seen:
            total, uom, seen = line.amount, line.uom, True
        elif total is None or line.amount is None or line.uom != uom:
            total = None
        else:
            total += line.amount
    return total, uom
