"""The least and most seed material in goods as a linear program: an oracle that shares no code with the product.

Variables are the tainted part x of each recorded flow f, 0 <= x <= f. At each vertex what comes in tainted goes out
tainted (what is clean does too, for f is conserved). The only file that imports scipy, which has no types.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from scipy.optimize import linprog  # type: ignore[import-untyped]  # Ships no types.


@dataclass(frozen=True, slots=True)
class RecordedFlow:
    """Goods that went from one vertex to another."""

    source: int
    target: int
    amount: int


def content_bounds(
    flows: Sequence[RecordedFlow],
    *,
    tainted: Set[int],
    unknown: Set[int],
    sinks: Set[int],
) -> tuple[int, int]:
    """Return least and most tainted amount that ends in `sinks`, vertices without flows out of them.

    tainted, unknown: vertices without flows into them; unknown ones may be tainted in any part.
    """
    into: dict[int, list[int]] = {}
    out: dict[int, list[int]] = {}
    for number, flow in enumerate(flows):
        into.setdefault(flow.target, []).append(number)
        out.setdefault(flow.source, []).append(number)
    bounds = []
    for flow in flows:
        if flow.source in into or flow.source in unknown:
            bounds.append((0, flow.amount))
        else:
            bounds.append((flow.amount,) * 2 if flow.source in tainted else (0, 0))
    rows = [_row(len(flows), into[vertex], out[vertex]) for vertex in into if vertex in out]
    goal = [1.0 if flow.target in sinks else 0.0 for flow in flows]
    values = []
    for sign in (1.0, -1.0):
        solved = linprog(
            [sign * one for one in goal],
            A_eq=rows or None,
            b_eq=[0.0] * len(rows) or None,
            bounds=bounds,
            method="highs",
        )
        assert solved.status == 0, solved.message
        values.append(round(sign * solved.fun))
    return values[0], values[1]


def _row(count: int, into: Sequence[int], out: Sequence[int]) -> list[float]:
    row = [0.0] * count
    for number in into:
        row[number] += 1.0
    for number in out:
        row[number] -= 1.0
    return row


def conserved(flows: Mapping[tuple[int, int], int]) -> list[RecordedFlow]:
    """Return flows by pair of vertices as records."""
    return [RecordedFlow(source, target, amount) for (source, target), amount in sorted(flows.items()) if amount]
