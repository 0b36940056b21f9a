"""What a walk reads: custody, timelines, runs and contents for one question on one snapshot, each read once."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from consensus.types import Height
from node.epcis.model import Goods
from node.lineage.containment import Containment
from node.lineage.custody import Custody
from node.lineage.reader import LineageReader
from node.lineage.readings import Readings
from node.lineage.timeline import Timelines


@dataclass(frozen=True, slots=True)
class Facts:
    """The readers of one question. known_at: the height that it is answered at."""

    reader: LineageReader
    readings: Readings
    custody: Custody
    timelines: Timelines
    containment: Containment
    known_at: Height


def open_facts(reader: LineageReader, readings: Readings, *, as_of_ms: int | None, known_at: Height) -> Facts:
    """Return readers that see no event after `as_of_ms` and no entry above `known_at`."""
    custody = Custody(reader, readings, known_at=known_at)
    timelines = Timelines(reader, custody, as_of_ms=as_of_ms, known_at=known_at)
    return Facts(reader, readings, custody, timelines, Containment(timelines), known_at)


def amount_in(goods: Iterable[Goods], item: str) -> tuple[Decimal | None, str | None]:
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
