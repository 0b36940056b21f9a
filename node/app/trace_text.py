"""A trace as a tree for the terminal: lot, product, quantity, and at each step place, party and time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from node.api.schema.traces import TraceEdge, TraceEvent, TraceHolder, TraceItem, TraceResult

_UNITS: Final = {"KGM": "kg", "GRM": "g", "TNE": "t", "LTR": "l", "LBR": "lb", "EA": "pieces", "C62": "pieces"}
LISTED_MAX: Final = 12


@dataclass(frozen=True, slots=True)
class _Step:
    """A neighbour in the direction of the trace, and the edge that leads there."""

    item: str
    edge: TraceEdge


def render_trace(trace: TraceResult) -> Iterator[str]:
    """Yield the lines of a trace: the tree, then origins or holders, unknowns and warnings."""
    tree = _Tree(trace)
    yield from tree.lines()
    yield ""
    if trace.direction == "back":
        yield from _list("origins", [tree.name(one) for one in trace.origins])
    else:
        yield from _list("reached and used no further", [tree.name(one) for one in trace.destinations])
        yield from _list("last seen with", [_describe_holder(tree, holder) for holder in trace.holders])
    yield from _list("not known", [f"{tree.name(one.item)}: {one.reason}{_ask(one.ask)}" for one in trace.unknowns])
    yield from _list("does not add up", list(trace.warnings))
    yield f"{len(trace.items)} items, {len(trace.events)} events, at height {trace.height}"
    yield f"digest {trace.digest}"


class _Tree:
    """Walks the edges without recursion; an item's branch is shown once."""

    def __init__(self, trace: TraceResult) -> None:
        self._root = trace.item
        self._items = {item.id: item for item in trace.items}
        self._events = {event.id: event for event in trace.events}
        self._steps: dict[str, list[_Step]] = {}
        is_back = trace.direction == "back"
        for edge in trace.edges:
            here, there = (edge.target, edge.source) if is_back else (edge.source, edge.target)
            self._steps.setdefault(here, []).append(_Step(there, edge))
        self._arrow = "from" if is_back else "into"

    def name(self, item_id: str) -> str:
        """Return an item in words."""
        item = self._items.get(item_id)
        if item is None:
            return item_id
        return describe_item(item)

    def lines(self) -> Iterator[str]:
        """Yield the tree."""
        yield self.name(self._root)
        shown = {self._root}
        stack = [("", step, is_last) for step, is_last in self._below(self._root)]
        while stack:
            indent, step, is_last = stack.pop()
            is_new = step.item not in shown
            shown.add(step.item)
            below = self._below(step.item) if is_new else []
            again = "" if is_new or step.item not in self._steps else "  (its branch is above)"
            yield f"{indent}{'└─' if is_last else '├─'} {self.name(step.item)}{self._describe(step.edge)}{again}"
            deeper = indent + ("   " if is_last else "│  ")
            stack += [(deeper, one, last) for one, last in below]

    def _below(self, item: str) -> list[tuple[_Step, bool]]:
        """Return an item's steps in the reverse of their order, each with whether it is the last."""
        seen: dict[str, _Step] = {}
        for step in self._steps.get(item, ()):
            if step.item not in seen:
                seen[step.item] = step
        steps = list(seen.values())
        return [(step, index == len(steps) - 1) for index, step in enumerate(steps)][::-1]

    def _describe(self, edge: TraceEdge) -> str:
        event = self._events.get(edge.event)
        return "" if event is None else f"  · {describe_event(event)}"


def describe_item(item: TraceItem) -> str:
    """Return product, lot and quantity, as far as they are known."""
    parts = [item.name or item.product or item.id]
    if item.lot:
        parts.append(f"lot {item.lot}" if item.kind == "lot" else item.lot)
    words = " ".join(parts)
    if item.quantity is not None:
        words += f", {item.quantity} {_UNITS.get(item.uom or 'C62', item.uom or '')}"
    return words


def describe_event(event: TraceEvent) -> str:
    """Return what, where, by whom and when."""
    what = event.step or event.type.removesuffix("Event").lower()
    where = event.place_name or event.place
    party = event.party_name or event.party
    parts = [what.replace("_", " ")]
    if where:
        parts.append(where)
    if party and not (where or "").startswith(party):
        parts.append(party)
    parts.append(event.time[:16].replace("T", " "))
    return ", ".join(parts)


def _describe_holder(tree: _Tree, holder: TraceHolder) -> str:
    since = f" since {holder.since[:16].replace('T', ' ')}" if holder.since else ""
    return f"{tree.name(holder.item)}: {holder.party or holder.place or 'nobody known'}{since}"


def _ask(party: str | None) -> str:
    return f": ask {party}" if party else ""


def _list(title: str, lines: Sequence[str]) -> Iterator[str]:
    if not lines:
        return
    yield f"{title}:"
    yield from (f"  {line}" for line in lines[:LISTED_MAX])
    if len(lines) > LISTED_MAX:
        yield f"  … and {len(lines) - LISTED_MAX} more (--json has all)"
