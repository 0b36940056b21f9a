"""What moved between two answers to one question: lots and holders that came in, went out, or changed. Pure."""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from node.lineage.answer import Answer
from node.lineage.scope_answer import ScopeAnswer

AnyAnswer = Answer | ScopeAnswer
_ASKED: Final = ("item", "direction", "seeds", "hazard", "as_of")


class Change(msgspec.Struct, frozen=True):
    """kind: lot or holder. before, after: what it was in words, null for not in the answer."""

    kind: str
    name: str
    before: str | None
    after: str | None


class Changes(msgspec.Struct, frozen=True):
    """All that moved, by kind and name. same_question: whether both answers are to the same question and rules."""

    same_question: bool
    before: str
    after: str
    changes: tuple[Change, ...]


def diff_answers(before: AnyAnswer, after: AnyAnswer) -> Changes:
    """Return what moved. Two traces or two scopes; raises ValueError for one of each."""
    if type(before) is not type(after):
        raise ValueError("a trace does not compare with a scope")
    changes: list[Change] = []
    for kind in ("lot", "holder"):
        old, new = _parts(before, kind), _parts(after, kind)
        changes += [
            Change(kind, name, old.get(name), new.get(name))
            for name in sorted(old.keys() | new.keys())
            if old.get(name) != new.get(name)
        ]
    same = before.rules == after.rules and all(
        getattr(before, name, None) == getattr(after, name, None) for name in _ASKED
    )
    return Changes(same, before.digest, after.digest, tuple(changes))


def _parts(answer: AnyAnswer, kind: str) -> Mapping[str, str]:
    if isinstance(answer, Answer):
        if kind == "lot":
            return {item.id: "in the trace" for item in answer.items if item.role == "goods"}
        return {f"{one.item} at {one.place or one.party or 'nobody named'}": one.status for one in answer.holders}
    sums = answer.lots if kind == "lot" else answer.holders
    return {
        one.name: f"{one.status}, {one.link}, affected "
        + "; ".join(f"{amount.min}..{amount.max or 'unknown'} {amount.uom or 'pieces'}" for amount in one.affected)
        for one in sums
    }


def render_changes(changes: Changes) -> Iterator[str]:
    """Yield the lines of a difference."""
    if not changes.same_question:
        yield "These answers are to different questions, or under different rules."
    if changes.before == changes.after:
        yield "Nothing moved: the digests are equal."
        return
    for one in changes.changes:
        if one.before is None:
            yield f"+ {one.kind} {one.name}: {one.after}"
        elif one.after is None:
            yield f"- {one.kind} {one.name}: was {one.before}"
        else:
            yield f"~ {one.kind} {one.name}: {one.before} -> {one.after}"
    if not changes.changes:
        yield "No lot and no holder moved; other parts of the answers differ."
