"""A trace as text for people: a tree of lots, and below it origins, holders, unknowns and warnings. Pure."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from node.epcis.times import read_instant
from node.lineage.answer import Answer, AnswerEdge, AnswerEvent, AnswerHolder, AnswerItem, OpenFlags
from node.query.one_line import count_words
from node.query.service import ClosureAnswer

UNITS: Final = {
    "KGM": "kg",
    "GRM": "g",
    "TNE": "t",
    "LBR": "lb",
    "LTR": "l",
    "MLT": "ml",
    "EA": "pieces",
    "C62": "pieces",
    "H87": "pieces",
    "CS": "cases",
}
LISTED_MAX: Final = 12
LINES_MAX: Final = 400
"""Lines of the tree; `--json` has all."""

REASONS: Final = {
    "making_voided": "the record of its making was declared void",
    "moved_without_record": "moved here without a record",
    "never_seen": "no event names it",
    "no_contents": "what was in it is not recorded",
    "no_lot": "named without lot, and no lot of it was here",
    "no_origin": "nobody recorded where it came from",
    "no_source": "nobody recorded where this part of it came from",
    "not_received": "shipped, and nobody recorded its receipt",
    "overdrawn": "more was taken than the record put here",
    "run_voided": "the run that made it was declared void",
    "run_without_inputs": "the run that made it lists no inputs",
    "used_before_made": "used before the time of its making",
}


class _Step(NamedTuple):
    """A neighbour away from what was asked about, and the edge that leads there."""

    item: str
    edge: AnswerEdge


def render_closure(closure: ClosureAnswer) -> Iterator[str]:
    """Yield the lines of a closure: an item each, with what was made of it."""
    for one in closure.items:
        amount = "" if one.quantity is None else f"  {one.quantity} {UNITS.get(one.uom or 'EA', one.uom)}"
        yield f"{one.id}{'  around goods' if one.is_carrier else amount}"
    items = count_words(len(closure.items), "item")
    yield f"{items} at height {closure.height}{'' if closure.complete else ', and more'}"


def render_trace(answer: Answer, *, lines_max: int = LINES_MAX) -> Iterator[str]:
    """Yield the lines of a trace."""
    tree = _Tree(answer)
    yield from tree.lines(lines_max)
    yield ""
    if answer.direction == "back":
        yield from _list("origins", [tree.name(item) for item in answer.origins])
    else:
        yield from _list("nothing was made of", [tree.name(item) for item in answer.destinations])
    short = {item.id: item_words(item, with_quantity=False) for item in answer.items}
    yield from _list("last known with", [f"{short[one.item]}: {_holder_words(one)}" for one in answer.holders])
    unknowns = [
        f"{short.get(one.item, one.item)}: {REASONS.get(one.reason, one.reason)}; ask {one.ask_name or one.ask}"
        for one in answer.unknowns
    ]
    yield from _list("not known", unknowns)
    warnings = [f"{', '.join(short.get(item, item) for item in one.items)}: {one.message}" for one in answer.warnings]
    yield from _list("worth a look", warnings)
    if answer.open_flags is not None:
        yield flag_words(answer.open_flags)
    items, events = count_words(len(answer.items), "item"), count_words(len(answer.events), "event")
    yield f"{items}, {events}, at height {answer.height}"
    yield f"digest {answer.digest}"


def flag_words(flags: OpenFlags) -> str:
    """Return how many flags stand in a trace."""
    counts = [(flags.high, "high"), (flags.warn, "warn"), (flags.note, "note")]
    words = ", ".join(f"{count} {name}" for count, name in counts if count)
    least = "" if flags.complete else "at least "
    if not words:
        return "open flags: none" + ("" if flags.complete else " among those looked at")
    return f"open flags: {least}{words} (lotvine flags ITEM… says what each means)"


def render_path(answer: Answer, item: str) -> Iterator[str]:
    """Yield why an item is in a trace: the shortest chain from it to what was asked about, a line for each link.

    item: canonical id. One line says so where the item is not in the trace.
    """
    items = {one.id: one for one in answer.items}
    if item not in items:
        yield f"{item} is not in this trace {'back' if answer.direction == 'back' else 'forward'}"
        return
    events = {event.id: event for event in answer.events}
    edges = {(edge.source, edge.target, edge.event): edge for edge in answer.edges}
    here: AnswerItem | None = items[item]
    while here is not None:
        cause = here.because
        yield item_words(here) + (" (asked about)" if cause is None else "")
        if cause is None:
            return
        edge = edges.get((here.id, cause.item, cause.event)) or edges.get((cause.item, here.id, cause.event))
        arrow = "went into what follows by" if edge is None or edge.source == here.id else "came from what follows by"
        amount = "" if edge is None or edge.quantity is None else f"{amount_words(edge.quantity, edge.uom)} "
        words = event_words(events[cause.event]) if cause.event in events else cause.event
        yield f"  {amount}{arrow} {words}"
        yield f"  event {cause.event}"
        here = items.get(cause.item)


_HOW: Final = {"packed": "packed", "instance": "of it"}


class _Tree:
    """Walks the edges without recursion; an item's branch is shown once."""

    def __init__(self, answer: Answer) -> None:
        self._is_back = answer.direction == "back"
        self._roots = answer.destinations if self._is_back else answer.origins
        starts = frozenset(self._roots)
        self._items = {item.id: item for item in answer.items}
        self._events = {event.id: event for event in answer.events}
        self._steps: dict[str, list[_Step]] = {}
        for edge in answer.edges:
            here, there = edge.source, edge.target
            # On the way back one goes against the goods, but into a unit that carried them.
            if self._is_back and not self._is_carrier(there):
                here, there = there, here
            if there != here and there not in starts:
                self._steps.setdefault(here, []).append(_Step(there, edge))

    def _is_carrier(self, item: str) -> bool:
        found = self._items.get(item)
        return found is not None and found.role == "carrier"

    def _is_unit(self, item: str) -> bool:
        found = self._items.get(item)
        return found is not None and found.kind == "unit"

    def name(self, item: str) -> str:
        """Return an item in words."""
        found = self._items.get(item)
        return item if found is None else item_words(found)

    def lines(self, lines_max: int) -> Iterator[str]:
        """Yield a tree for each item that was asked about, at most `lines_max` lines in all and one that says so."""
        shown = set(self._roots)
        stack: list[tuple[str, _Step, bool]] = []
        pending = list(reversed(self._roots))
        count = 0
        while stack or pending:
            if not stack:
                root = pending.pop()
                stack = self._below(root, "")
                count += 1
                yield self.name(root) + self._made_words(root)
                continue
            indent, step, is_last = stack.pop()
            if count >= lines_max:
                yield f"… {len(self._items) - len(shown)} more items (--json has all)"
                return
            count += 1
            is_new = step.item not in shown
            shown.add(step.item)
            again = "" if is_new or step.item not in self._steps else "  (its branch is above)"
            mark = "└─" if is_last else "├─"
            yield f"{indent}{mark} {self.name(step.item)}{self._edge_words(step)}{again}"
            if is_new:
                stack += self._below(step.item, indent + ("   " if is_last else "│  "))

    def _below(self, item: str, indent: str) -> list[tuple[str, _Step, bool]]:
        """Return an item's steps, the last first, each with whether it is the last."""
        seen: dict[str, _Step] = {}
        for step in self._steps.get(item, ()):
            seen.setdefault(step.item, step)
        steps = sorted(seen.values(), key=self._rank)
        return [(indent, step, place == len(steps) - 1) for place, step in enumerate(steps)][::-1]

    def _rank(self, step: _Step) -> tuple[bool, int, str]:
        event = self._events.get(step.edge.event)
        return self._is_carrier(step.item), 0 if event is None else read_instant(event.time).ms, step.item

    def _edge_words(self, step: _Step) -> str:
        edge = step.edge
        event = self._events.get(edge.input_event or edge.event)
        parts = []
        if edge.quantity is not None and not self._is_unit(edge.source):
            parts.append(f"{amount_words(edge.quantity, edge.uom)} {_HOW.get(edge.kind, 'used')}")
        if event is not None:
            parts.append(event_words(event))
        if edge.until_event is not None and edge.until_event in self._events:
            parts.append(f"until {time_words(self._events[edge.until_event].time)}")
        return f"  · {', '.join(parts)}" if parts else ""

    def _made_words(self, item: str) -> str:
        for event in self._events.values():
            made = event.action == "ADD" and event.type == "ObjectEvent"
            for goods in event.goods:
                if goods.item == item and (goods.role == "output" or (made and goods.role == "goods")):
                    return f"  · {event_words(event)}"
        return ""


def item_words(item: AnswerItem, *, with_quantity: bool = True) -> str:
    """Return product, lot or serial and quantity, as far as they are known."""
    if item.kind == "unit":
        words = f"unit {item.serial or item.id}"
    else:
        product = item.product_name or item.product
        code = f"lot {item.lot}" if item.kind == "lot" and item.lot else item.serial
        words = " ".join(part for part in (product, code) if part) or item.id
        if item.kind == "serial" and item.lot:
            words += f" (lot {item.lot})"
    if with_quantity and item.quantity is not None and item.kind != "serial":
        words += f", {amount_words(item.quantity, item.uom)}"
    return words


def event_words(event: AnswerEvent) -> str:
    """Return what, where, by whom and when."""
    step = event.step or event.type.removesuffix("Event").lower()
    place = event.place_name or event.place
    party = event.party_name or event.party or (None if place else event.member)
    words = [step.rpartition(":")[2].replace("_", " ")]
    if place:
        words.append(f"at {place}")
    if party and party != place:
        words.append(f"by {party}")
    return f"{' '.join(words)}, {time_words(event.time)}"


def amount_words(quantity: str, uom: str | None) -> str:
    """Return an amount with its unit in words."""
    unit = UNITS.get(uom or "C62", uom or "")
    return f"{quantity} {'piece' if quantity == '1' and unit == 'pieces' else unit}".rstrip()


def time_words(time: str) -> str:
    """Return a time as sent, to the minute, with its own offset: times of two zones must not look in order."""
    zone = "UTC" if time.endswith(("Z", "z")) else time[-6:] if time[-6] in "+-" else ""
    return f"{time[:10]} {time[11:16]} {zone}".rstrip()


def _holder_words(holder: AnswerHolder) -> str:
    names = [name for name in (holder.party_name or holder.party, holder.place_name or holder.place) if name]
    where = " at ".join(dict.fromkeys(names)) or "nobody named"
    amount = ""
    if holder.quantity_min is not None:
        low, high = holder.quantity_min, holder.quantity_max
        span = low if low == high else f"{low}.." + (high or "?")
        amount = "" if (low, high) == ("0", None) else f"{amount_words(span, holder.uom)}, "
    verb = "on its way to " if holder.status == "in_transit" else ""
    return f"{amount}{verb}{where}, since {time_words(holder.since)}"


def _list(title: str, lines: Sequence[str]) -> Iterator[str]:
    lines = list(dict.fromkeys(lines))
    if not lines:
        return
    yield f"{title}:"
    yield from (f"  {line}" for line in lines[:LISTED_MAX])
    if len(lines) > LISTED_MAX:
        yield f"  … and {len(lines) - LISTED_MAX} more (--json has all)"
