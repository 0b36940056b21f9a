"""A run as a vessel: inputs go in at the earliest, outputs are drawn at the latest, each of any that was in by then.

Inputs and outputs whose units convert are one conserved flow; of an ingredient in another unit each output may hold
all that was in. What comes out beyond what went in is a gain, from a source that nobody recorded; what does not come
out is a loss, which may be all of one input or none of it.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

from consensus.types import Digest
from node.epcis.model import Goods
from node.lineage.balance import Balance
from node.lineage.custody import Custodian, Holder
from node.lineage.facts import Amount, Facts, Side
from node.lineage.items import ItemKind, read_item
from node.lineage.portions import ZERO, Finding, Flow, Portion, PortionKind
from node.lineage.records import EventRow

_ONE: Final = Decimal(1)
_DEPTH_MAX: Final = 8
"""Units in units, whose contents a run takes."""
RunKey = tuple[str | Digest, Custodian | None]


class Line(NamedTuple):
    """Goods that a run takes or gives. portion: its place in the run's own portions."""

    item: str
    row: EventRow
    portion: int


@dataclass(frozen=True, slots=True)
class Run:
    """A run's own portions and flows: `inputs` and `outputs` name the goods. gains: sources that nobody recorded.

    is_one_unit: whether all amounts are known and of one unit. pieces: whether all are pieces, and no more came out
    than went in: then they do not mix. is_uncounted: whether no amount is known.
    """

    key: RunKey
    holder: Holder
    portions: tuple[Portion, ...]
    flows: tuple[Flow, ...]
    inputs: tuple[Line, ...]
    outputs: tuple[Line, ...]
    gains: tuple[int, ...]
    findings: tuple[Finding, ...]
    is_one_unit: bool
    pieces: bool
    is_uncounted: bool
    lo_ms: int
    hi_ms: int


class _Entry(NamedTuple):
    time_ms: int
    is_output: int
    digest: bytes
    place: int
    item: str
    row: EventRow
    amount: Decimal | None
    uom: str | None


def build_run(row: EventRow, facts: Facts) -> Run:
    """Return the run that the event is of."""
    entries = _entries(row, facts)
    balance = Balance(single=False, is_unit=True)
    holder = facts.custody.holder_of(row)
    inputs: list[Line] = []
    outputs: list[Line] = []
    gains: list[int] = []
    uoms = {entry.uom for entry in entries if not entry.is_output}
    counted = [entry for entry in entries if entry.amount is not None]
    is_one_unit = len(counted) == len(entries) and len({entry.uom for entry in entries}) == 1
    for entry in entries:
        if not entry.is_output:
            taken = balance.portion(PortionKind.USED, entry.row, holder, entry.amount, entry.uom)
            inputs.append(Line(entry.item, entry.row, taken.number))
            balance.credit(taken, holder)
            continue
        given = balance.portion(PortionKind.OUTPUT, entry.row, holder, entry.amount, entry.uom)
        outputs.append(Line(entry.item, entry.row, given.number))
        lack = balance.draw(given, balance.stocks.at(holder, ""), entry.amount, entry.uom)
        if lack is not None and lack > 0:
            gain = balance.portion(PortionKind.UNKNOWN, entry.row, holder, lack, entry.uom, reading=True)
            balance.flow(gain, given, lack, entry.uom, reading=True)
            if is_one_unit:
                gains.append(gain.number)
    findings: tuple[Finding, ...] = ()
    if gains and is_one_unit and None not in uoms:
        total = sum((balance.portions[gain].lo for gain in gains), ZERO)
        findings = (Finding("run_gain", outputs[-1].row, holder, amount=total, uom=next(iter(uoms), None)),)
    balance.close()
    taken_in = sum((entry.amount or ZERO for entry in entries if not entry.is_output), ZERO)
    given_out = sum((entry.amount or ZERO for entry in entries if entry.is_output), ZERO)
    return Run(
        facts.timelines.run_of(row),
        holder,
        tuple(balance.portions),
        tuple(balance.flows),
        tuple(inputs),
        tuple(outputs),
        tuple(gains),
        findings,
        is_one_unit,
        is_one_unit and None in {entry.uom for entry in entries} and given_out <= taken_in,
        not counted,
        min((entry.row.event.time.lo_ms for entry in entries), default=row.event.time.lo_ms),
        max((entry.row.event.time.hi_ms for entry in entries), default=row.event.time.hi_ms),
    )


def _entries(row: EventRow, facts: Facts) -> list[_Entry]:
    taken, given = facts.timelines.inputs_of_run(row), facts.timelines.outputs_of_run(row)
    counts: Counter[str] = Counter(one.member for one in {**dict.fromkeys(taken), **dict.fromkeys(given)})
    if not counts:
        return []  # Every event of the run was declared void.
    home = facts.custody.clock_at(facts.custody.holder_of(row).key, counts)
    slack_ms = 2 * facts.readings.clock_tolerance_ms
    entries: list[_Entry] = []
    for one in taken:
        time_ms = one.event.time.lo_ms - (0 if one.member == home else slack_ms)
        for place, (item, (amount, uom)) in enumerate(_inputs_of(one, facts)):
            entries.append(_Entry(time_ms, 0, one.event.event_digest, place, item, one, amount, uom))
    for one in given:
        time_ms = one.event.time.hi_ms + (0 if one.member == home else slack_ms)
        for place, (item, (amount, uom)) in enumerate(_goods_of(one, one.event.outputs, Side.OUTPUTS, facts)):
            entries.append(_Entry(time_ms, 1, one.event.event_digest, place, item, one, amount, uom))
    entries.sort(key=lambda entry: entry[:4])
    return entries


def _goods_of(row: EventRow, goods: tuple[Goods, ...], side: Side, facts: Facts) -> Iterator[tuple[str, Amount]]:
    """Yield each item once, with its amount."""
    for item in dict.fromkeys(one.item for one in goods):
        amount = (_ONE, None) if read_item(item).single else facts.base_amount(item, row, side)
        if amount[0] != 0:
            yield item, amount


def _inputs_of(row: EventRow, facts: Facts) -> Iterator[tuple[str, Amount]]:
    """Yield what an event takes in; of a unit, what was in it then."""
    pending = [(item, amount, 0) for item, amount in _goods_of(row, row.event.inputs, Side.INPUTS, facts)][::-1]
    outputs = {goods.item for goods in row.event.outputs}
    while pending:
        item, amount, depth = pending.pop()
        if read_item(item).single and item in outputs:
            continue  # The same piece goes on: it is not used up.
        inside = []
        if read_item(item).kind in (ItemKind.UNIT, ItemKind.ASSET) and depth < _DEPTH_MAX:
            time = row.event.time
            for child, stays in sorted(facts.containment.contents_of(item).stays.items()):
                for stay in stays:
                    if stay.lo_ms <= time.hi_ms and stay.hi_ms >= time.lo_ms:
                        of_child = (
                            (_ONE, None) if read_item(child).single else (facts.in_base(child, stay.amount, stay.uom))
                        )
                        inside.append((child, of_child, depth + 1))
                        break
        if inside:
            pending += inside[::-1]
        else:
            yield item, amount
