"""First in, first out: where the input of a run can come out of a vessel that is validated for plug flow.

Goods leave in the order in which they came, each at most *heel* earlier or later than its turn. What came between
positions p and q of all that went in comes out between p - heel and q + heel of all that comes out. Where times do not
tell which of two was first, a position is the hull of all orders that may be true: so it is for what two members told
within the tolerance of their clocks. What went in and did not come out may be lost, and nobody says of what: so much
earlier than its turn may goods come.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from node.lineage.readings import Readings
from node.lineage.runs import Line, Run
from node.lineage.timeline import is_before


class Passage(NamedTuple):
    """How much of an input can be in an output, at most; 0: nothing."""

    source: Line
    target: Line
    most: Decimal


def passages(run: Run, heel: Decimal, uom: str | None, readings: Readings) -> list[Passage] | None:
    """Return what can pass from each input to each output; None where plug flow says nothing.

    It says nothing of a run with an unknown amount, of several units or of pieces, or of which more came out than
    went in: then something went in that is not recorded. heel: at least 0, in uom (None: 0 of whatever unit).
    """
    if not run.is_one_unit or run.gains or run.pieces or not run.outputs:
        return None
    if heel and run.portions[run.outputs[0].portion].uom != uom:
        return None
    within = _positions(run, run.inputs, readings)
    without = _positions(run, run.outputs, readings)
    lost = _sum_of(run, run.inputs) - _sum_of(run, run.outputs)
    found = []
    for source in run.inputs:
        first, last = within[source.portion]
        for target in run.outputs:
            begin, end = without[target.portion]
            overlap = min(last, end + heel + lost) - max(first, begin - heel)
            amount = min(run.portions[source.portion].lo, run.portions[target.portion].lo)
            is_late = is_before(target.row, source.row, readings)
            found.append(Passage(source, target, Decimal(0) if is_late else max(Decimal(0), min(overlap, amount))))
    return found


def _positions(run: Run, lines: tuple[Line, ...], readings: Readings) -> dict[int, tuple[Decimal, Decimal]]:
    """Return between which positions of all inputs, or all outputs, each line's goods lie."""
    found = {}
    for line in lines:
        before = later = Decimal(0)
        for other in lines:
            if other is line:
                continue
            amount = run.portions[other.portion].lo
            if is_before(other.row, line.row, readings):
                before += amount
            elif not is_before(line.row, other.row, readings):
                later += amount
        own = run.portions[line.portion].lo
        found[line.portion] = (before, before + later + own)
    return found


def _sum_of(run: Run, lines: Iterable[Line]) -> Decimal:
    return sum((run.portions[line.portion].lo for line in lines), Decimal(0))
