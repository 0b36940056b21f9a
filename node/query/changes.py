"""What moved between two answers to one question: lots, holders and unknowns that came in, went out or changed. Pure.

Two traces, two of `trace both`, or two scopes: of the same question at two times, say, before and after a correction.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec
from msgspec.structs import replace

from node.lineage.answer import Answer, AnswerHolder, AnswerItem
from node.lineage.scope_answer import Amount, ScopeAnswer
from node.query.service import TraceBoth
from node.query.text import REASONS, amount_words, item_words

AnyAnswer = Answer | TraceBoth | ScopeAnswer
KINDS: Final = ("lot", "holder", "unknown")
_ASKED: Final = ("item", "direction", "hazard", "as_of", "rules")


class Change(msgspec.Struct, frozen=True):
    """kind: lot, holder or unknown. name: whose, by id. words: the same for people, where master data name it.

    before, after: what it was in words, null for not in the answer.
    """

    kind: str
    name: str
    words: str
    before: str | None
    after: str | None


class Changes(msgspec.Struct, frozen=True):
    """All that moved, by kind and name. same_question: whether both answers are to the same question and rules.

    before, after: the digests of the answers, of both ways joined by a slash.
    """

    same_question: bool
    before: str
    after: str
    changes: tuple[Change, ...]


class _Parts:
    """What of an answer is compared: by kind and name, what it says."""

    def __init__(self) -> None:
        self.said: dict[str, dict[str, list[str]]] = {kind: {} for kind in KINDS}
        self.words: dict[str, str] = {}

    def add(self, kind: str, name: str, says: str, words: str = "") -> None:
        """Note one thing; several of one name, such as two shipments to one place, are said together."""
        self.said[kind].setdefault(name, []).append(says)
        self.words.setdefault(name, words or name)

    def of(self, kind: str) -> Mapping[str, str]:
        """Return what is said of each name."""
        return {name: "; ".join(dict.fromkeys(sorted(said))) for name, said in self.said[kind].items()}


def read_answer(text: bytes | msgspec.Raw) -> AnyAnswer:
    """Return the answer in JSON that trace or scope gave. Raises msgspec.MsgspecError for any other text."""
    fields = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    if "hazard" in fields:
        return msgspec.json.decode(text, type=ScopeAnswer)
    if "back" in fields:
        return msgspec.json.decode(text, type=TraceBoth)
    return msgspec.json.decode(text, type=Answer)


def diff_answers(before: AnyAnswer, after: AnyAnswer) -> Changes:
    """Return what moved. Raises ValueError for two answers of different kinds."""
    if type(before) is not type(after):
        raise ValueError("a trace does not compare with a scope, nor one direction with both")
    old, new = _parts(before), _parts(after)
    words = new.words | old.words
    changes: list[Change] = []
    for kind in KINDS:
        earlier, later = old.of(kind), new.of(kind)
        changes += [
            Change(kind, name, words[name], earlier.get(name), later.get(name))
            for name in sorted(earlier.keys() | later.keys())
            if earlier.get(name) != later.get(name)
        ]
    same = _question(before) == _question(after)
    return Changes(same, _digest(before), _digest(after), tuple(changes))


def _question(answer: AnyAnswer) -> object:
    if isinstance(answer, TraceBoth):
        return _question(answer.back), _question(answer.forward)
    asked: list[object] = [getattr(answer, name, None) for name in _ASKED]
    if isinstance(answer, Answer):
        # What a place had is part of the answer: that may change, and the question be the same.
        return [*asked, *(replace(seed, items=(), left_out=False) for seed in answer.seeds)]
    return [*asked, *answer.seeds]


def _digest(answer: AnyAnswer) -> str:
    return f"{answer.back.digest}/{answer.forward.digest}" if isinstance(answer, TraceBoth) else answer.digest


def _parts(answer: AnyAnswer) -> _Parts:
    parts = _Parts()
    if isinstance(answer, ScopeAnswer):
        _add_scope(parts, answer)
    elif isinstance(answer, TraceBoth):
        _add_trace(parts, answer.back, "backward, ")
        _add_trace(parts, answer.forward, "forward, ")
    else:
        _add_trace(parts, answer, "")
    return parts


def _add_trace(parts: _Parts, answer: Answer, way: str) -> None:
    names: dict[str, str] = {}
    for item in answer.items:
        names[item.id] = item_words(item, with_quantity=False)
        if item.role == "goods":
            parts.add("lot", item.id, way + _item_says(item), names[item.id])
    for holder in answer.holders:
        who = holder.place or holder.party or "nobody named"
        called = holder.place_name or holder.party_name or who
        item_name = names.get(holder.item, holder.item)
        parts.add("holder", f"{holder.item} at {who}", way + _holder_says(holder), f"{item_name} at {called}")
    for one in answer.unknowns:
        says = f"{way}{REASONS.get(one.reason, one.reason)}, ask {one.ask}"
        parts.add("unknown", f"{one.item}: {one.reason}", says, f"{names.get(one.item, one.item)}: {one.reason}")


def _item_says(item: AnswerItem) -> str:
    says = "in the trace"
    if item.quantity is not None:
        says += f", {amount_words(item.quantity, item.uom)}"
    if item.since is not None:
        says += f", since {item.since}"
    return says + (f", until {item.until}" if item.until is not None else "")


def _holder_says(holder: AnswerHolder) -> str:
    if holder.quantity_min is None:
        return holder.status
    low, high = holder.quantity_min, holder.quantity_max
    span = low if low == high else f"{low}..{high or 'unknown'}"
    return f"{holder.status}, {amount_words(span, holder.uom)}"


def _add_scope(parts: _Parts, answer: ScopeAnswer) -> None:
    for kind, sums in (("lot", answer.lots), ("holder", answer.holders)):
        for one in sums:
            says = f"{one.status}, {one.link}, affected {_amounts(one.affected)}"
            parts.add(kind, one.name, says, answer.names.get(one.name, one.name))
    for unknown in answer.unknowns:
        name = f"{unknown.item}: {unknown.reason}"
        words = f"{answer.names.get(unknown.item, unknown.item)}: {unknown.reason}"
        parts.add("unknown", name, f"{REASONS.get(unknown.reason, unknown.reason)}, ask {unknown.ask}", words)


def _amounts(amounts: Iterable[Amount]) -> str:
    return "; ".join(f"{one.min}..{one.max or 'unknown'} {one.uom or 'pieces'}" for one in amounts)


def render_changes(changes: Changes) -> Iterator[str]:
    """Yield the lines of a difference."""
    if not changes.same_question:
        yield "These answers are to different questions, or under different rules."
    if changes.before == changes.after:
        yield "Nothing moved: the digests are equal."
        return
    for one in changes.changes:
        name = one.name if one.words == one.name else f"{one.words} ({one.name})"
        if one.before is None:
            yield f"+ {one.kind} {name}: {one.after}"
        elif one.after is None:
            yield f"- {one.kind} {name}: was {one.before}"
        else:
            yield f"~ {one.kind} {name}: {one.before} -> {one.after}"
    if not changes.changes:
        yield "No lot, holder or unknown moved; other parts of the answers differ."
