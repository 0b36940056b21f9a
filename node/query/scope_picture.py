"""A scope as a picture: the forward trace of its seeds, each item in the colour of its answer set. Pure.

Units that only carried goods are left out: a scope sorts goods. Items that a scope reaches by contact or by what nobody
recorded stand without an arrow. What the trace reaches and the scope does not is excluded.
"""

from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from node.lineage.answer import Answer, AnswerItem, AnswerUnknown
from node.lineage.items import read_item
from node.lineage.scope_answer import Amount, ScopeAnswer
from node.query.picture import Mark, Picture, Side, draw
from node.query.scope_text import WHY
from node.query.text import amount_words

_STATUS: Final = {
    ("certain", "linked"): Side.CERTAIN,
    ("certain", "open"): Side.CERTAIN,
    ("possible", "linked"): Side.POSSIBLE,
    ("possible", "open"): Side.OPEN,
}


def draw_scope(scope: ScopeAnswer, trace: Answer, *, limit: int) -> Picture:
    """Return the picture. trace: forward from the scope's seeds, at its height."""
    marks = {one.name: Mark(_STATUS[one.status, one.link], _affected(one.affected)) for one in scope.lots}
    for portion in scope.excluded:
        marks.setdefault(portion.item, Mark(Side.EXCLUDED, f"excluded: {WHY.get(portion.reason, portion.reason)}"))
    items = [item for item in trace.items if item.role == "goods"]
    known = {item.id for item in items}
    items += [_unreached(item, scope) for item in sorted(marks.keys() - known)]
    shown = {item.id for item in items}
    marked = {item.id: marks.get(item.id, Mark(Side.EXCLUDED, "excluded: nothing came to it")) for item in items}
    for seed in scope.seeds:
        if seed in marked:
            marked[seed] = Mark(Side.SEED, marked[seed].words)
    goods = replace(
        trace,
        items=tuple(items),
        edges=tuple([edge for edge in trace.edges if edge.source in shown and edge.target in shown]),
        unknowns=tuple(
            [
                AnswerUnknown(one.item, one.reason, one.ask, one.event, _ask_name(one.ask, scope))
                for one in scope.unknowns
            ]
        ),
    )
    seeds = ", ".join(scope.names.get(seed, read_item(seed).code or seed) for seed in scope.seeds[:3])
    more = f" and {len(scope.seeds) - 3} more" if len(scope.seeds) > 3 else ""
    notes = [f"Scope at height {scope.height}, digest {scope.digest[:16]}…"]
    if scope.not_followed:
        notes.append(f"{scope.not_followed:,} items were not followed: the answer is full.")
    if scope.set_status == "certain" and not any(mark.side is Side.CERTAIN for mark in marks.values()):
        notes.append("Some of the possible ones must hold it, though it is not known which.")
    title = f"How far {scope.hazard} in {seeds}{more} can have come"
    return draw([goods], limit=limit, marks=marked, title=title, notes=notes)


def _affected(amounts: Iterable[Amount]) -> str:
    spans = [
        amount_words(one.min if one.min == one.max else f"{one.min}..{one.max or '?'}", one.uom) for one in amounts
    ]
    return f"affected {' + '.join(spans)}" if spans else "affected: amount unknown"


def _unreached(item: str, scope: ScopeAnswer) -> AnswerItem:
    """Return an item that the scope has and the trace has not."""
    facts = read_item(item)
    is_lot = facts.kind.value == "lot"
    name = scope.names.get(item)
    if name is not None and facts.code is not None:
        name = name.removesuffix(f" lot {facts.code}" if is_lot else f" {facts.code}")
    return AnswerItem(
        id=item,
        kind=facts.kind.value,
        role="goods",
        lot=facts.code if is_lot else None,
        serial=None if is_lot else facts.code,
        product=facts.product,
        product_name=name,
        quantity=None,
        uom=None,
        since=None,
        until=None,
        depth=1,
        because=None,
    )


def _ask_name(ask: str, scope: ScopeAnswer) -> str | None:
    """Return what the scope calls a party, or the party at a place."""
    start = "the party at " if ask.startswith("the party at ") else ""
    name = scope.names.get(ask.removeprefix(start))
    return None if name is None else start + name
