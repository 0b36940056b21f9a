"""What bad lots have in common, as text for people. Pure."""

from collections.abc import Iterator
from typing import Final

from node.lineage.items import read_item
from node.query.common_answer import CommonAnswer, CommonCandidate, CommonPath
from node.query.text import time_words

WARNINGS: Final = {
    "controls_left_out": "The traces are large: fewer other lots were compared with.",
    "item_limit": "A bad lot comes from more than was followed: candidates further up may be missing.",
    "no_controls": "No other lot of these products could be compared with: only the share tells the candidates apart.",
    "unrecorded_sources": "A bad lot comes in part from what nobody recorded: the source may be there.",
    "peers_left_out": "A product has very many lots: those to compare with were chosen from the first by id.",
}
_KINDS: Final = {"item": "", "run": "run ", "line": "line ", "place": "place ", "party": "party ", "supplier": ""}


def render_common(answer: CommonAnswer) -> Iterator[str]:
    """Yield the lines: the candidates with what speaks for them, each with one way to a bad lot."""
    total = len(set(answer.seeds))
    for rank, one in enumerate(answer.candidates, 1):
        yield f"{rank:3}. {one.score}  {_name(one)}"
        yield f"       {_words(one, total, answer.controls)}"
        if one.paths:
            yield f"       {_path_words(one.paths[0])}" + (
                f" (and {len(one.paths) - 1} more)" if len(one.paths) > 1 else ""
            )
    if not answer.candidates:
        yield "nothing is recorded that they come from"
    elif answer.candidates_found > len(answer.candidates):
        yield f"     … of {answer.candidates_found} candidates (--limit)"
    yield from (f"note: {WARNINGS.get(code, code)}" for code in answer.warnings)
    yield f"{total} bad lots, compared with {answer.controls} others, at height {answer.height}"
    yield f"digest {answer.digest}"


def _name(one: CommonCandidate) -> str:
    if one.name is None:
        return f"{_KINDS[one.kind]}{one.id}" + (f" of {one.product}" if one.product else "")
    return f"{_KINDS[one.kind]}{one.name}" + ("" if one.id in one.name else f" ({one.id})")


def _words(one: CommonCandidate, total: int, controls: int) -> str:
    parts = [f"{one.seeds} of {total} bad lots come from it, and {one.controls} of {controls} others"]
    for name, value in (("specificity", one.specificity), ("time", one.time_fit), ("quantity", one.quantity_fit)):
        if value is not None:
            parts.append(f"{name} {value}")
    if one.since is not None and one.until is not None:
        parts.append(f"from {time_words(one.since)} to {time_words(one.until)}")
    return ", ".join(parts)


def _path_words(path: CommonPath) -> str:
    return " → ".join(read_item(step.item).code or step.item for step in path.steps)
