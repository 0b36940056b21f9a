"""A picture as text for other programs: Graphviz DOT and Mermaid. What people named is quoted, whatever it holds."""

import re
from collections.abc import Iterator
from typing import Final

from node.query.one_line import one_line
from node.query.picture import Box, Kind, Picture, Side

FILLS: Final = {
    Side.SEED: ("#0072B2", "#D6EAF5"),
    Side.BACK: ("#B45F06", "#FDEBD0"),
    Side.FORWARD: ("#00714F", "#D8F0E6"),
    Side.BOTH: ("#6A3D9A", "#EADCF4"),
    Side.CERTAIN: ("#A63A00", "#F6CDB8"),
    Side.POSSIBLE: ("#7A5F00", "#FFF1B8"),
    Side.OPEN: ("#7A5F00", "#FFFDF4"),
    Side.EXCLUDED: ("#777777", "#EEEEEE"),
}
"""Line and fill: after the colours of Okabe and Ito (2008), told apart by eyes that do not see red or green."""
UNKNOWN_LINE: Final = "#555555"
LINE_LENGTH_MAX: Final = 30


def plain(text: str) -> str:
    """Return text on one line, without control characters and marks that turn the direction of what follows."""
    return one_line(text).strip()


def shorten(text: str, length_max: int = LINE_LENGTH_MAX) -> str:
    """Return plain text of at most `length_max` characters, its middle left out: codes differ at their ends."""
    text = plain(text)
    if len(text) <= length_max:
        return text
    tail = length_max // 3
    return f"{text[: length_max - tail - 1]}…{text[-tail:]}"


def write_dot(picture: Picture) -> str:
    """Return the picture in the DOT language of Graphviz."""
    return "\n".join(_dot_lines(picture)) + "\n"


def _dot_lines(picture: Picture) -> Iterator[str]:
    yield "digraph trace {"
    yield "  rankdir=LR;"
    yield f"  label={_dot_text([picture.title, *picture.notes])}; labelloc=b; labeljust=l;"
    yield '  node [shape=box, fontname="Helvetica", style="filled,rounded"];'
    yield '  edge [fontname="Helvetica", fontsize=10];'
    for number, box in enumerate(picture.boxes):
        line, fill = FILLS[box.side]
        if box.kind is Kind.UNKNOWN:
            look = f'style="dashed,rounded", color="{UNKNOWN_LINE}"'
        else:
            look = f'color="{line}", fillcolor="{fill}", penwidth={3 if box.side is Side.SEED else 1}'
            look += ', style="filled,dashed"' if box.doubtful else ""
            look += ", shape=ellipse" if box.kind is Kind.RUN else ", peripheries=2" if box.kind is Kind.GROUP else ""
        yield f"  n{number} [label={_dot_text(box.lines)}, tooltip={_dot_text([box.title])}, {look}];"
    for arrow in picture.arrows:
        line = UNKNOWN_LINE if arrow.unknown else FILLS[arrow.side][0]
        dashed = ", style=dashed" if arrow.unknown else ""
        yield f'  n{arrow.source} -> n{arrow.target} [label={_dot_text([arrow.label])}, color="{line}"{dashed}];'
    yield "}"


def _dot_text(lines: tuple[str, ...] | list[str]) -> str:
    parts = [plain(line).replace("\\", "\\\\").replace('"', '\\"') for line in lines]
    return '"' + "\\n".join(parts) + '"'


def write_mermaid(picture: Picture) -> str:
    """Return the picture as a Mermaid flowchart."""
    return "\n".join(_mermaid_lines(picture)) + "\n"


def _mermaid_lines(picture: Picture) -> Iterator[str]:
    yield "flowchart LR"
    for words in (picture.title, *picture.notes):
        yield f"  %% {_mermaid_words(words)}"
    for number, box in enumerate(picture.boxes):
        left, right = _MERMAID_SHAPES[box.kind]
        yield f"  n{number}{left}{_mermaid_text(box.lines)}{right}:::{_mermaid_class(box)}"
    for arrow in picture.arrows:
        line = "-.->" if arrow.unknown else "-->"
        label = f"|{_mermaid_text((arrow.label,))}|" if arrow.label else ""
        yield f"  n{arrow.source} {line}{label} n{arrow.target}"
    for side, (line, fill) in FILLS.items():
        width = 3 if side is Side.SEED else 1
        yield f"  classDef {side} fill:{fill},stroke:{line},stroke-width:{width}px,color:#111"
    yield f"  classDef unknown fill:#fff,stroke:{UNKNOWN_LINE},stroke-dasharray:5 4,color:#111"


_MERMAID_SHAPES: Final = {
    Kind.ITEM: ("[", "]"),
    Kind.CARRIER: ("(", ")"),
    Kind.RUN: ("([", "])"),
    Kind.GROUP: ("[[", "]]"),
    Kind.UNKNOWN: ("[", "]"),
}
# Mermaid reads entities with # for &; what is not a letter or a digit is one, so nothing is read as its own syntax.
_MERMAID_SPECIAL: Final = re.compile(r"[^\w ,.:;?()/+…-]")


def _mermaid_text(lines: tuple[str, ...]) -> str:
    return '"' + "<br/>".join(_mermaid_words(line) for line in lines) + '"'


def _mermaid_words(text: str) -> str:
    """Return text that Mermaid takes for no syntax, in a label or in a comment: `%%{` would begin a directive."""
    return _MERMAID_SPECIAL.sub(lambda found: f"#{ord(found[0])};", plain(text))


def _mermaid_class(box: Box) -> str:
    return "unknown" if box.kind is Kind.UNKNOWN else box.side.value
