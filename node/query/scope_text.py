"""A scope as text for people: the three sets, who has how much, what is not known and what to ask first. Pure."""

from collections.abc import Iterator
from typing import Final

from node.lineage.scope_answer import Amount, ScopeAnswer, ScopePortion, ScopeRule, ScopeSum, ScopeUnknown
from node.query.text import UNITS, amount_words

LISTED_MAX: Final = 40
_STATUS: Final = (
    ("certain", "certain: must hold it"),
    ("possible", "possible: cannot be excluded"),
)
_NOW: Final = ("held", "in_transit", "ended")
WHY: Final = {
    "assigned": "an assigned map gives it to others",
    "before": "it was there before",
    "carry_over": "what was carried over was rinsed off, or its time was over",
    "clean_break": "after a verified cleaning",
    "contact_window": "too long after it, on equipment that nobody named",
    "fifo": "first in, first out: its turn was another",
    "kill_step": "after a kill step that passed",
    "other_portion": "another portion",
    "quantity": "by the recorded amounts nothing can have come here",
}


def render_scope(answer: ScopeAnswer, *, listed_max: int = LISTED_MAX) -> Iterator[str]:
    """Yield the lines of a scope."""
    seeds = ", ".join(_name(answer, seed) for seed in answer.seeds) or "nothing that the ledger names"
    yield f"seed: {seeds}; hazard: {answer.hazard}"
    for status, words in _STATUS:
        found = [one for one in answer.lots if one.status == status]
        yield from _section(words, [_lot_words(answer, one) for one in found], listed_max)
    now = [one for one in answer.portions if one.kind in _NOW]
    yield from _section("where it is now", [_portion_words(answer, one) for one in now], listed_max)
    touched = {one.item for one in answer.portions}
    excluded = [
        f"{_words(answer, one) if one.item in touched else _name(answer, one.item)}: {WHY.get(one.reason, one.reason)}"
        for one in answer.excluded
    ]
    yield from _section("excluded", excluded, listed_max)
    yield from _section("rules relied on", [_rule_words(answer, one) for one in answer.declared], listed_max)
    yield from _section("with whom", [_sum_words(answer, one) for one in answer.holders], listed_max)
    questions = [
        f"ask {_name(answer, one.ask)}: {_named(answer, one.question)}{_worth(one)}" for one in answer.unknowns
    ]
    yield from _section("not known, most useful question first", questions, listed_max)
    flags = [f"{_name(answer, one.item)}: {one.code} ({one.severity}); closed by {one.closes}" for one in answer.flags]
    yield from _section("does not add up", flags, listed_max)
    if answer.set_status == "certain" and not any(one.status == "certain" for one in answer.lots):
        yield "Some of these must hold it, though it is not known which."
    yield f"total in hand, sold or ended: {_totals(answer.totals)}"
    if answer.not_followed:
        yield f"{answer.not_followed} items were not followed: the answer is full"
    if answer.unstated:
        yield f"{answer.unstated} items came from nobody stated, made by nobody stated: they are not followed"
    yield f"at height {answer.height}"
    yield f"digest {answer.digest}"


def _lot_words(answer: ScopeAnswer, one: ScopeSum) -> str:
    link = " (only by what is not known)" if one.link == "open" else ""
    content = "; ".join(_amount(amount) for amount in one.content)
    return f"{_name(answer, one.name)}: {_totals(one)}, content {content}{link}"


def _portion_words(answer: ScopeAnswer, one: ScopePortion) -> str:
    link = " (only by what is not known)" if one.link == "open" else ""
    return f"{_words(answer, one)}: affected {_amount(one.affected)}{link}"


def _words(answer: ScopeAnswer, one: ScopePortion) -> str:
    named = [answer.names[name] for name in (one.party, one.place) if name in answer.names]
    where = " at ".join(dict.fromkeys(named)) or one.party or one.place or "nobody named"
    to = f" to {_name(answer, one.receiver)}" if one.receiver is not None else ""
    return f"{_name(answer, one.item)}, {one.kind.replace('_', ' ')}, {where}{to}, {_amount(one.quantity)}"


def _rule_words(answer: ScopeAnswer, one: ScopeRule) -> str:
    where = "" if one.place is None else f" at {_name(answer, one.place)}"
    if one.rule == "any":
        return f"what is declared{where} cannot be read or differs: it counts for nothing"
    whose = "" if one.member is None else f", declared by {one.member}"
    return f"{one.rule}{where}{whose}: record {one.record}, approved by {one.by}; it excluded {one.excluded}"


def _sum_words(answer: ScopeAnswer, one: ScopeSum) -> str:
    return f"{_name(answer, one.name)}: {_totals(one)}"


def _totals(one: ScopeSum) -> str:
    return "; ".join(f"affected {_amount(amount)}" for amount in one.affected) or "nothing"


def _worth(one: ScopeUnknown) -> str:
    """Return what either answer to a question would change."""
    words = []
    for verb, amounts in (("a clean answer removes", one.removes), ("a bad one confirms", one.confirms)):
        listed = ", ".join(f"{amount.max} {_unit(amount.uom)}" for amount in amounts if amount.max not in (None, "0"))
        if listed:
            words.append(f"{verb} {listed}")
    return f" ({', '.join(words)})" if words else ""


def _amount(amount: Amount) -> str:
    if amount.max is None:
        return "an unknown amount" if amount.min == "0" else f"{amount.min} {_unit(amount.uom)} or more"
    span = amount.min if amount.min == amount.max else f"{amount.min}..{amount.max}"
    return amount_words(span, amount.uom)


def _unit(uom: str | None) -> str:
    return UNITS.get(uom or "C62", uom or "")


def _name(answer: ScopeAnswer, subject: str) -> str:
    prefix = "the party at "
    if subject.startswith(prefix):
        return prefix + answer.names.get(subject[len(prefix) :], subject[len(prefix) :])
    return answer.names.get(subject, subject)


def _named(answer: ScopeAnswer, text: str) -> str:
    """Return a question with its items called by their names."""
    for subject in sorted(answer.names, key=len, reverse=True):
        text = text.replace(subject, answer.names[subject])
    return text


def _section(title: str, lines: list[str], listed_max: int) -> Iterator[str]:
    lines = list(dict.fromkeys(lines))
    if not lines:
        return
    yield f"{title}:"
    yield from (f"  {line}" for line in lines[:listed_max])
    if len(lines) > listed_max:
        yield f"  … and {len(lines) - listed_max} more (--json has all)"
