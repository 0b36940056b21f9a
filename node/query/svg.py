"""A picture as SVG, laid out here: no program, font or page is needed to see it, and nothing in it runs.

Goods flow from left to right; with `narrow` from top to bottom, two boxes beside one another, for a telephone. Only
presentation attributes are used: a page's policy on styles cannot take the colours away.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final
from xml.sax.saxutils import escape

from node.query.drawing import FILLS, UNKNOWN_LINE, plain, shorten
from node.query.layout import Layout, lay_out
from node.query.picture import Arrow, Box, Kind, Picture, Side

LINE: Final = 17
PAD: Final = 9
WIDE: Final = 210
NARROW: Final = 164
BETWEEN: Final = 130
GAP: Final = 18
MARGIN: Final = 16
NARROW_WIDTH: Final = 360
TEXT_WIDTH: Final = 900
_INSIDE_MAX: Final = 6
_WRAPPED_MAX: Final = 4
_ID: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
_LOOK: Final = 'role="img" font-family="system-ui, Segoe UI, Roboto, Noto Sans, Arial, sans-serif" font-size="13"'
_LEGEND: Final = (
    (Side.SEED, "asked about"),
    (Side.BACK, "where it came from"),
    (Side.FORWARD, "where it went"),
    (Side.BOTH, "on both ways"),
    (Side.CERTAIN, "certain: must hold it"),
    (Side.POSSIBLE, "possible: cannot be excluded"),
    (Side.OPEN, "possible, only by what is not recorded"),
    (Side.EXCLUDED, "excluded"),
)


@dataclass(frozen=True, slots=True)
class _Spot:
    """Where a box is: its upper left corner and its size."""

    x: int
    y: int
    width: int
    height: int


def write_svg(picture: Picture, *, narrow: bool = False) -> str:
    """Return the picture as one SVG document. narrow: at most `NARROW_WIDTH` wide."""
    if narrow:
        picture = _with_sums_inside(picture)
    header = [picture.title, *picture.notes]
    text_width = NARROW_WIDTH - 2 * MARGIN if narrow else TEXT_WIDTH
    words = [line for sentence in header for line in _wrap(plain(sentence), text_width // 8)]
    title_lines = len(_wrap(plain(picture.title), text_width // 8))
    top = MARGIN + LINE * len(words) + GAP
    spots, paths = _narrow(picture, top) if narrow else _wide(picture, top)
    width = (
        NARROW_WIDTH
        if narrow
        else max(text_width + MARGIN, max((one.x + one.width for one in spots), default=0)) + MARGIN
    )
    bottom = max((one.y + one.height for one in spots), default=top) + 2 * GAP
    legend = _legend(picture)
    height = bottom + LINE * len(legend) + MARGIN
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {_LOOK}>',
        f"<title>{_text(picture.title)}</title>",
        f"<desc>{_text(' '.join(picture.notes))}</desc>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        *_markers(),
        *[
            f'<text x="{MARGIN}" y="{MARGIN + LINE * (number + 1) - 5}" fill="#111111"'
            + (' font-weight="bold"' if number < title_lines else ' font-size="12"')
            + f">{_text(line)}</text>"
            for number, line in enumerate(words)
        ],
    ]
    labels: list[str] = []
    for arrow, (path, at) in zip(picture.arrows, paths, strict=True):
        parts.append(_arrow(arrow, path))
        if arrow.label:
            labels.append(_label(arrow, at))
    parts += [_box(box, spot) for box, spot in zip(picture.boxes, spots, strict=True)]
    parts += [*labels, *_legend_parts(legend, bottom), "</svg>"]
    return "\n".join(parts) + "\n"


def _wide(picture: Picture, top: int) -> tuple[list[_Spot], list[tuple[str, tuple[int, int]]]]:
    """Lay out from left to right; what no arrow leads to or from stands in rows below."""
    heights = [_height(box, WIDE) for box in picture.boxes]
    ends = {end for arrow in picture.arrows for end in (arrow.source, arrow.target)}
    linked = sorted(ends)
    number_of = {box: number for number, box in enumerate(linked)}
    edges = [(number_of[arrow.source], number_of[arrow.target]) for arrow in picture.arrows]
    layout = lay_out([heights[box] for box in linked], edges, gap=GAP, thin=10)
    first = min(layout.layer, default=0)
    spots = [_Spot(0, 0, 0, 0)] * len(heights)
    for box, layer, place in zip(linked, layout.layer, layout.place, strict=True):
        x, height = MARGIN + (layer - first) * (WIDE + BETWEEN), heights[box]
        spots[box] = _Spot(x, top + place - height // 2, WIDE, height)
    bottom = max((spots[box].y + spots[box].height + 2 * GAP for box in linked), default=top)
    across = max(TEXT_WIDTH, max((spots[box].x + WIDE - MARGIN for box in linked), default=0))
    apart = [box for box in range(len(heights)) if box not in ends]
    in_a_row = (across + GAP) // (WIDE + GAP)
    for start in range(0, len(apart), in_a_row):
        row = apart[start : start + in_a_row]
        for place, box in enumerate(row):
            spots[box] = _Spot(MARGIN + place * (WIDE + GAP), bottom, WIDE, heights[box])
        bottom += max(heights[box] for box in row) + GAP
    outs, ins = _degrees(picture)
    paths = [
        _wide_path(layout, number, top, first, near_source=outs[arrow.source] <= ins[arrow.target])
        for number, arrow in enumerate(picture.arrows)
    ]
    return spots, paths


def _wide_path(layout: Layout, number: int, top: int, first: int, *, near_source: bool) -> tuple[str, tuple[int, int]]:
    """Return a line through the places of its chain, and where its label stands."""
    chain = layout.chains[number]
    if len(chain) == 1:
        x, y = MARGIN + (chain[0][0] - first) * (WIDE + BETWEEN) + WIDE, top + chain[0][1]
        return f"M{x} {y - 8}c40 -30 40 46 0 16", (x + 44, y)
    forward = chain[0][0] < chain[-1][0]
    points: list[tuple[int, int]] = []
    # What goes back runs a little lower, beside what goes forth.
    lower = 0 if forward else 12
    for place, (layer, across) in enumerate(chain):
        left, y = MARGIN + (layer - first) * (WIDE + BETWEEN), top + across + lower
        ends = [(left, y), (left + WIDE, y)] if forward else [(left + WIDE, y), (left, y)]
        points += ends[1:] if place == 0 else ends[:1] if place == len(chain) - 1 else ends
    parts = [f"M{points[0][0]} {points[0][1]}"]
    for (x, y), (next_x, next_y) in pairwise(points):
        if y == next_y:
            parts.append(f"L{next_x} {next_y}")
        else:
            middle = (x + next_x) // 2
            parts.append(f"C{middle} {y} {middle} {next_y} {next_x} {next_y}")
    (x, y), (end_x, end_y) = (points[0], points[1]) if near_source else (points[-1], points[-2])
    return "".join(parts), (x + (end_x - x) * 36 // 100, y + (end_y - y) * 22 // 100)


def _narrow(picture: Picture, top: int) -> tuple[list[_Spot], list[tuple[str, tuple[int, int]]]]:
    """Lay out from top to bottom, two boxes in a row."""
    heights = [_height(box, NARROW) for box in picture.boxes]
    layout = lay_out([NARROW] * len(heights), [(one.source, one.target) for one in picture.arrows], gap=GAP, thin=4)
    linked = {end for arrow in picture.arrows for end in (arrow.source, arrow.target)}
    # What no arrow leads to or from comes last: on a telephone it would hide what was asked about.
    order = sorted(range(len(heights)), key=lambda one: (one not in linked, layout.layer[one], layout.place[one]))
    spots = [_Spot(0, 0, 0, 0)] * len(heights)
    y = top
    row: list[int] = []
    for position, number in enumerate(order):
        row.append(number)
        following = order[position + 1] if position + 1 < len(order) else None
        is_last = following is None or (layout.layer[following], following in linked) != (
            layout.layer[number],
            number in linked,
        )
        if len(row) < 2 and not is_last:
            continue
        left = (NARROW_WIDTH - len(row) * NARROW - (len(row) - 1) * GAP) // 2
        for place, one in enumerate(row):
            spots[one] = _Spot(left + place * (NARROW + GAP), y, NARROW, heights[one])
        y += max(heights[one] for one in row) + (3 * GAP if is_last else GAP)
        row = []
    paths = []
    for arrow in picture.arrows:
        source, target = spots[arrow.source], spots[arrow.target]
        x, start = source.x + source.width // 2, source.y + source.height
        end_x, end = target.x + target.width // 2, target.y
        if end < start:
            start, end = source.y, target.y + target.height
        bend = (end - start) // 2
        path = f"M{x} {start}C{x} {start + bend} {end_x} {end - bend} {end_x} {end}"
        paths.append((path, ((x + 3 * end_x) // 4, end - 12)))
    return spots, paths


def _with_sums_inside(picture: Picture) -> Picture:
    """Return the picture with the amounts that come to one box from several written in it: beside one another they
    would not be read."""
    boxes, arrows = list(picture.boxes), list(picture.arrows)
    coming: dict[int, list[int]] = {}
    for number, arrow in enumerate(arrows):
        if arrow.label:
            coming.setdefault(arrow.target, []).append(number)
    for target, numbers in coming.items():
        if len(numbers) < 2:
            continue
        lines = []
        for number in numbers:
            source = boxes[arrows[number].source]
            lines.append(f"← {arrows[number].label} {source.lines[0]}")
            arrows[number] = replace(arrows[number], label="")
        left_out = [f"← … {len(lines) - _INSIDE_MAX} more"] if len(lines) > _INSIDE_MAX else []
        box = boxes[target]
        title = "\n".join((box.title, *lines))
        boxes[target] = replace(box, lines=(*box.lines, *lines[:_INSIDE_MAX], *left_out), title=title)
    return replace(picture, boxes=tuple(boxes), arrows=tuple(arrows))


def _degrees(picture: Picture) -> tuple[list[int], list[int]]:
    outs, ins = [0] * len(picture.boxes), [0] * len(picture.boxes)
    for arrow in picture.arrows:
        outs[arrow.source] += 1
        ins[arrow.target] += 1
    return outs, ins


def _height(box: Box, width: int) -> int:
    return 2 * PAD + LINE * len(_lines(box, width))


def _lines(box: Box, width: int) -> list[str]:
    """Return the box's lines within its width: a name is cut in its middle, an amount never; of words only ids are.

    What is unknown is told in full.
    """
    length = (width - 2 * PAD) // 7
    if box.kind is Kind.UNKNOWN:
        return [part for line in box.lines for part in _wrap(plain(line), length)]
    name = [part for line in box.lines[:1] for part in _wrap_name(line, length - 3)]
    return name + [part for line in box.lines[1:] for part in _wrap_words(line, length)]


def _wrap_name(name: str, length: int) -> list[str]:
    """Return a name on one line, and an id, where it is all the name there is, in full: no telephone shows a title."""
    parts = _wrap(plain(name), length) if _ID.fullmatch(plain(name)) else []
    return parts if 0 < len(parts) <= _WRAPPED_MAX else [_fit(name, length)]


def _wrap_words(line: str, length: int) -> list[str]:
    """Return one line if it fits, else as many as its words take, a few at most; a word that is too long is cut."""
    fitted = _fit(line, length)
    if fitted == plain(line):
        return [fitted]
    lines = _wrap(" ".join(_fit(word, length) for word in plain(line).split()), length)
    return (
        lines
        if len(lines) <= _WRAPPED_MAX
        else [*lines[: _WRAPPED_MAX - 1], _fit(" ".join(lines[_WRAPPED_MAX - 1 :]), length)]
    )


def _box(box: Box, spot: _Spot) -> str:
    line, fill = (UNKNOWN_LINE, "#ffffff") if box.kind is Kind.UNKNOWN else FILLS[box.side]
    width = 3 if box.side is Side.SEED and box.kind is not Kind.UNKNOWN else 1.5
    radius = {Kind.RUN: spot.height // 2, Kind.CARRIER: 14}.get(box.kind, 4)
    dashes = ' stroke-dasharray="6 4"' if box.kind is Kind.UNKNOWN or box.doubtful else ""
    shape = f'rx="{radius}" stroke="{line}" stroke-width="{width}"'
    parts = [f"<g><title>{_text(box.title)}</title>"]
    if box.kind is Kind.GROUP:
        behind = f'<rect x="{spot.x + 4}" y="{spot.y + 4}" width="{spot.width}" height="{spot.height}"'
        parts.append(f'{behind} fill="{fill}" {shape}/>')
    parts.append(
        f'<rect x="{spot.x}" y="{spot.y}" width="{spot.width}" height="{spot.height}" fill="{fill}" {shape}{dashes}/>'
    )
    for number, words in enumerate(_lines(box, spot.width)):
        weight = ' font-weight="bold"' if number == 0 else ' font-size="12"'
        y = spot.y + PAD + LINE * number + 13
        parts.append(f'<text x="{spot.x + PAD}" y="{y}" fill="#111111"{weight}>{_text(words)}</text>')
    return "".join([*parts, "</g>"])


def _arrow(arrow: Arrow, path: str) -> str:
    line = UNKNOWN_LINE if arrow.unknown else FILLS[arrow.side][0]
    dashes = ' stroke-dasharray="6 4"' if arrow.unknown else ""
    head = "unknown" if arrow.unknown else arrow.side.value
    return f'<path d="{path}" fill="none" stroke="{line}" stroke-width="1.5"{dashes} marker-end="url(#head-{head})"/>'


def _label(arrow: Arrow, at: tuple[int, int]) -> str:
    x, y = at
    start = f'<text x="{x}" y="{y + 4}" text-anchor="middle" font-size="11.5"'
    words = f"{_text(shorten(arrow.label, 22))}</text>"
    # Twice, white below: not all programs know the order of painting that would do it at once.
    return (
        f'{start} fill="#ffffff" stroke="#ffffff" stroke-width="4" aria-hidden="true">{words}'
        f'{start} fill="#111111">{words}'
    )


def _markers() -> Iterator[str]:
    yield "<defs>"
    lines = {side.value: line for side, (line, _fill) in FILLS.items()} | {"unknown": UNKNOWN_LINE}
    for name, line in lines.items():
        yield (
            f'<marker id="head-{name}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
            f'orient="auto"><path d="M0 0L10 5L0 10z" fill="{line}"/></marker>'
        )
    yield "</defs>"


def _legend(picture: Picture) -> list[tuple[str, str, str, bool]]:
    """Return line, fill, words and whether dashed, of what the picture has."""
    sides = {box.side for box in picture.boxes if box.kind is not Kind.UNKNOWN}
    rows = [(*FILLS[side], words, False) for side, words in _LEGEND if side in sides]
    if any(box.kind is Kind.UNKNOWN or box.doubtful for box in picture.boxes):
        rows.append((UNKNOWN_LINE, "#ffffff", "not recorded: whom to ask", True))
    if any(box.kind is Kind.GROUP for box in picture.boxes):
        rows.append(("#111111", "#ffffff", "double: several items", False))
    return rows


def _legend_parts(rows: Sequence[tuple[str, str, str, bool]], top: int) -> Iterator[str]:
    for number, (line, fill, words, dashed) in enumerate(rows):
        y = top + LINE * number
        look = f'stroke="{line}" stroke-width="1.5"' + (' stroke-dasharray="4 3"' if dashed else "")
        yield (
            f'<rect x="{MARGIN}" y="{y}" width="22" height="12" fill="{fill}" {look}/>'
            f'<text x="{MARGIN + 30}" y="{y + 11}" font-size="12" fill="#111111">{_text(words)}</text>'
        )


def _wrap(text: str, length: int) -> list[str]:
    """Return lines of at most `length` characters, broken between words where that goes."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > length:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
        while len(lines[-1]) > length:
            lines[-1:] = [lines[-1][:length], lines[-1][length:]]
    return lines


def _fit(text: str, length: int) -> str:
    """Return text that fits; signs of East Asian scripts are twice as wide."""
    text = plain(text)
    wide = sum(ord(sign) >= 0x1100 for sign in text)
    return shorten(text, max(6, length - wide // 2 if wide < length else length // 2))


def _text(text: str) -> str:
    return escape("\n".join(plain(line) for line in text.split("\n")))
