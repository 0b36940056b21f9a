"""Completeness and scorecards as text for people. Pure."""

from collections.abc import Iterator
from typing import Final

from node.query.one_line import count_words
from node.query.scorecards import CompletenessAnswer, GapView, Scorecard
from node.query.text import REASONS, UNITS

LISTED_MAX: Final = 20
_AT: Final = "the party at "


def render_completeness(answer: CompletenessAnswer, *, listed_max: int = LISTED_MAX) -> Iterator[str]:
    """Yield the lines of an item's completeness."""
    least = "" if answer.complete else f" (of the first {answer.items} items: there are more)"
    yield f"{_name(answer, answer.item)}: {answer.upstream} % traced to recorded origins{least}"
    yield f"{answer.downstream} % held, used or over by the record; the rest is on its way"
    if answer.origins:
        begins = ", ".join(_name(answer, one) for one in answer.origins[:listed_max])
        yield f"begins with {begins}{_more(answer.origins)}"
    if answer.gaps:
        yield "what the record lacks:"
    for gap in answer.gaps[:listed_max]:
        yield f"  {_gap_words(answer, gap)}"
    if answer.gap_count > listed_max:
        yield f"  … and {answer.gap_count - listed_max} more (--json has them)"
    yield f"at height {answer.height}"


def _more(names: tuple[str, ...]) -> str:
    return f" and {len(names) - LISTED_MAX} more" if len(names) > LISTED_MAX else ""


def _gap_words(answer: CompletenessAnswer, gap: GapView) -> str:
    amount = "" if gap.amount is None else f", {gap.amount} {UNITS.get(gap.uom or 'C62', gap.uom or '')}"
    ask = gap.ask
    if ask.startswith(_AT):
        ask = _AT + answer.names.get(ask[len(_AT) :], ask[len(_AT) :])
    return f"{_name(answer, gap.item)}{amount}: {REASONS[gap.reason]}; ask {answer.names.get(ask, ask)}"


def _name(answer: CompletenessAnswer, item: str) -> str:
    return answer.names.get(item, item)


def render_scorecard(card: Scorecard) -> Iterator[str]:
    """Yield the lines of a scorecard."""
    yield f"{card.name} ({card.party})" if card.name is not None else card.party
    by = ", ".join(f"{member} {count}" for member, count in card.members.items())
    yield f"events that name it: {card.events}, entered by {by}; {card.late} of them late"
    counts = ", ".join(f"{count} {severity}" for severity, count in card.open.items() if count) or "none"
    groups = ", ".join(f"{group} {count}" for group, count in card.groups.items())
    yield f"open flags that it can settle: {counts}" + (f" ({groups})" if groups else "")
    yield f"shipments: {card.shipments}, not received in time: {card.overdue}"
    if card.completeness is not None:
        lots = count_words(len(card.lots), "item")
        yield f"traced to recorded origins: {card.completeness} %, of the {lots} that it shipped last"
    if not card.complete:
        yield "there is more than was looked at: counts are of the newest events and flags"
    yield f"at height {card.height}, flags at {card.flags_height}"
