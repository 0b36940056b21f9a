"""Writes docs/precision.md and its chart: the same figures, the same bytes."""

from pathlib import Path
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from bench.precision import Figures

COLOURS: Final = ("#2b6cb0", "#c05621")
BAR, GAP, LEFT, WIDTH, TOP = 16, 14, 190, 470, 34


def write_page(path: Path, figures: "Figures") -> None:
    """Write the page, and the chart beside it."""
    path.with_suffix(".svg").write_text(draw_chart(figures), encoding="utf-8")
    path.write_text(render_page(figures, path.with_suffix(".svg").name), encoding="utf-8")


def render_page(figures: "Figures", chart: str) -> str:
    """Return the page's text."""
    from bench.precision import HAZARDS, LEVELS

    rows = [
        f"| {name} | " + " | ".join(f"{figures.ratio_of(hazard, level):.2f}" for hazard in HAZARDS) + " |"
        for level, (name, _detail) in enumerate(LEVELS)
    ]
    shares = [f"| {flaw} | {100 * count / figures.worlds:.1f} % |" for flaw, count in figures.flaws.items()]
    features = [f"| {name} | {100 * count / figures.worlds:.1f} % |" for name, count in figures.features.items()]
    return _PAGE.format(
        worlds=figures.worlds,
        first=figures.first,
        chart=chart,
        hazards=" | ".join(f"`{hazard.value}`" for hazard in HAZARDS),
        rows="\n".join(rows),
        shares="\n".join(shares),
        features="\n".join(features),
        last=figures.last_line(),
    )


def draw_chart(figures: "Figures") -> str:
    """Return bars of each level, one for each hazard class."""
    from bench.precision import HAZARDS, LEVELS

    most = max([figures.ratio_of(hazard, level) for hazard in HAZARDS for level in range(len(LEVELS))] + [1.0])
    scale = WIDTH / most
    parts = []
    for number, hazard in enumerate(HAZARDS):
        x = LEFT + number * 120
        parts.append(f'<rect x="{x}" y="8" width="12" height="12" fill="{COLOURS[number]}"/>')
        parts.append(f'<text x="{x + 18}" y="18">{escape(hazard.value)}</text>')
    y = TOP
    for level, (name, _detail) in enumerate(LEVELS):
        parts.append(f'<text x="{LEFT - 8}" y="{y + BAR + 4}" text-anchor="end">{escape(name)}</text>')
        for number, hazard in enumerate(HAZARDS):
            ratio = figures.ratio_of(hazard, level)
            parts.append(
                f'<rect x="{LEFT}" y="{y}" width="{ratio * scale:.1f}" height="{BAR}" fill="{COLOURS[number]}"/>'
            )
            parts.append(f'<text x="{LEFT + ratio * scale + 5:.1f}" y="{y + BAR - 4}">{ratio:.2f}</text>')
            y += BAR
        y += GAP
    truth = LEFT + scale
    parts.append(
        f'<line x1="{truth:.1f}" y1="{TOP - 6}" x2="{truth:.1f}" y2="{y}" stroke="#333" stroke-dasharray="4"/>'
    )
    parts.append(f'<text x="{truth:.1f}" y="{y + 14}" text-anchor="middle">truly affected</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 60}" height="{y + 24}" '
        'font-family="sans-serif" font-size="12" role="img" '
        'aria-label="Quantity in scope by quantity truly affected, for each level of recorded detail">'
        '<rect width="100%" height="100%" fill="#fff"/>' + "".join(parts) + "</svg>\n"
    )


_PAGE: Final = """\
# How small a scope is, and that it is never too small

Written by `make bench-precision WORLDS={worlds} FIRST_SEED={first}`; the same numbers give the same page.

Each world is a supply chain of farms, plants and shops that is played to the gram: goods are shipped in parts, mixed,
reworked; travel loose, and in cases on pallets. Vessels are topped up, drawn in several lots a day, and run empty and
cleaned after some two dozen draws; lines get dirty and are cleaned. The record lacks events, amounts, times, documents,
lines and lot codes, tells things twice, and clocks err, also those of two members at one site; cleanings and runs that
never were are declared void. The engine is then asked for the scope of one bad lot. The figure is the quantity in scope
divided by the quantity truly affected, both summed over all worlds: 1 would be perfect.

What is measured is what each further recorded fact is worth. The engine, its readings and its caution are the same in
every row; only what the record says grows.

| what is recorded | {hazards} |
| --- | --- | --- |
{rows}

![quantity in scope, by level of detail]({chart})

- *lots*: which lots went into which run, and who sent which lot to whom; no times, no amounts, no documents. This is
  tracing by lot code.
- *+ times*: when each event happened, as far as that was noted.
- *+ portions and quantities*: amounts, and the documents that tell shipments apart.
- *+ equipment runs*: the line of each run, and its cleanings. They matter to what spreads by contact alone.
- *+ declared vessels*: what plants declare of their vessels and lines, with a validation record: first in, first out
  within a heel, or mixed, which by the safety rule may exclude nothing that spreads or grows; and kill steps, which
  exclude what grows where the very run was checked.

`origin` stands for what travels with the material and may be bounded by amounts, `microbe` for what spreads and grows;
which class is which is in [scope.md](scope.md). For a microbe truly affected is also what a dirty line touched, or
what shared a pallet where that is asked, and not what a kill step made harmless. A `chemical` is held to the truth too,
where lines declare how much of it they leave behind.

A *miss* is truly affected quantity outside *certain* and *possible*, a bound that does not contain the truth, or goods
called certain that never held any. What spreads is withdrawn whole, so of a microbe each place is looked at: a lot is
missed at a party where the scope has nothing of it. Every level of every world is held to that.
`--planted RULE` lets the engine exclude too much, to see that it is found; `python -m bench.precision --help` lists
the rules.

## What a record must hold

A record may lack any event, amount, time, document, line and lot code but these, for without them no scope can know:

- one input of a run that is recorded;
- both maker and sender of a lot;
- every report of a lot at a party whose run with it is not recorded either;
- both reports of a hand-over, or the making, where that place has other stock of the lot by the record;
- a run that left a line dirty for another, where nothing tells that it ran;
- the event that the bad goods are named by;
- what becomes of a unit: packed, sent, received, unpacked.

Clocks err by less than the network's tolerance, and a dirty line for less than its contact window.

## What the worlds had

| worlds with | share |
| --- | --- |
{shares}
{features}

{last}
"""
