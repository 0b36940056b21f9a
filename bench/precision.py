"""`python -m bench.precision`: how small a recall scope is, and that it is never too small.

Worlds whose truth is known to the gram (`tests/support/truth.py`) are asked for a scope by the real engine, in five
levels of detail: each adds facts to the record and rules to the engine's hand, the engine is the same. The figure of a
level is the quantity in scope divided by the quantity truly affected; 1 is perfect. A *miss* is truly affected
quantity outside the scope, a bound that does not contain the truth, or goods called certain that never held any. The
command writes docs/precision.md and its chart, and fails on any miss.
"""

import argparse
import multiprocessing
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Final

from bench.planted_rules import PLANTED
from bench.precision_page import write_page
from node.lineage.hazards import Hazard
from node.lineage.scope import compute_scope
from node.lineage.scope_answer import ScopeAnswer
from tests.support.truth import (
    FEATURES,
    World,
    affected_of,
    broken_bounds,
    build_world,
    false_certainties,
    missed_grams,
    party_of,
)
from tests.support.truth_full import FULL_FROM
from tests.support.truth_play import KG, SeedBy
from tests.support.truth_record import Detail

LEVELS: Final = (
    ("lots", Detail(times=False, amounts=False, lines=False, rules=False)),
    ("+ times", Detail(amounts=False, lines=False, rules=False)),
    ("+ portions and quantities", Detail(lines=False, rules=False)),
    ("+ equipment runs", Detail(rules=False)),
    ("+ declared vessels", Detail()),
)
HAZARDS: Final = (Hazard.ORIGIN, Hazard.MICROBE)
SAME_AS_BEFORE: Final = {(Hazard.ORIGIN, 3), (Hazard.MICROBE, 4)}
"""Levels that add nothing for a hazard: equipment passes on no origin, and but for kill steps no rule that a plant
declares may exclude a microbe."""
PROCESSES: Final = 2
CHEMICAL_LEVEL: Final = len(LEVELS) - 1
"""Where lines declare what a chemical leaves behind; it is held to the truth, and has no figure of its own."""
FLAWS: Final = ("unknowns", "dropped records", "rework", "wrong times", "wrong order")


@dataclass(frozen=True, slots=True)
class Result:
    """What one world showed. scope, affected: grams by hazard and level. flaws: of FLAWS. misses: what, in words.
    features: what it has, of FEATURES."""

    number: int
    scope: dict[tuple[Hazard, int], int]
    affected: dict[Hazard, int]
    flaws: frozenset[str]
    misses: tuple[str, ...]
    features: frozenset[str] = frozenset()


def quantity_in_scope(world: World, answer: ScopeAnswer) -> int:
    """Return the grams that are withdrawn by a scope: of what each party truly holds, what is in it.

    Of goods that the record does not know to be there, all, if any of their lot is in scope.
    """
    known: set[tuple[int, str]] = set()
    most: dict[tuple[int, str], int | None] = {}
    for portion in (*answer.portions, *answer.excluded):
        if portion.kind not in ("held", "in_transit"):
            continue
        at = (party_of(portion), portion.item)
        known.add(at)
        if portion.status == "excluded":
            continue
        before = most.get(at, 0)
        bound = portion.affected.max
        most[at] = None if before is None or bound is None else before + int(Decimal(bound) * KG)
    in_scope = {lot_sum.name for lot_sum in answer.lots}
    total = 0
    for held in world.truth:
        names = (held.lot, held.lot.partition("/10/")[0])
        there = [(held.party, name) for name in names]
        if not known.isdisjoint(there):
            bounds = [most.get(at, 0) for at in there]
            grams = sum(bound for bound in bounds if bound is not None)
            total += held.amount if None in bounds else min(held.amount, grams)
        elif not in_scope.isdisjoint(names):
            total += held.amount
    return total


def measure_world(number: int) -> Result:
    """Return what one world shows, at every level."""
    world = build_world(number)
    scope: dict[tuple[Hazard, int], int] = {}
    misses: list[str] = []
    flaws = {
        name
        for name, has_it in (
            ("dropped records", world.blemishes.dropped > 0),
            ("rework", world.blemishes.rework),
            ("wrong times", world.blemishes.times > 0),
            ("wrong order", world.blemishes.disorder),
        )
        if has_it
    }
    for level, (_name, detail) in enumerate(LEVELS):
        story = world.tell(detail)
        index = story.index()
        also = (Hazard.CHEMICAL,) if level == CHEMICAL_LEVEL and world.has_carry_over else ()
        for hazard in (*HAZARDS, *also):
            is_killed = hazard is Hazard.MICROBE and "kill steps" in world.features
            if (hazard, level) in SAME_AS_BEFORE and not is_killed:
                scope[hazard, level] = scope[hazard, level - 1]
                continue
            answer = compute_scope(index, world.question(hazard, detail))
            if hazard in HAZARDS:
                scope[hazard, level] = quantity_in_scope(world, answer)
            if detail.lines and answer.unknowns:
                flaws.add("unknowns")
            where = f"world {number}, {hazard.value}, {LEVELS[level][0]}"
            misses += [f"{where}: {grams} g of {lot}" for lot, grams in missed_grams(world, story, answer).items()]
            if not detail.amounts and world.seed_by is not SeedBy.LOT:
                continue  # By code alone more was asked about than is bad: what is certain of that is not of this.
            misses += [f"{where}: {what} of {lot}" for lot, what in broken_bounds(world, story, answer)]
            misses += [f"{where}: {lot} is not certain" for _party, lot in false_certainties(world, answer)]
    affected = {hazard: sum(affected_of(held, hazard) for held in world.truth) for hazard in HAZARDS}
    return Result(number, scope, affected, frozenset(flaws), tuple(misses), world.features)


@dataclass(slots=True)
class Figures:
    """Sums over worlds. ratio_of: in scope to affected. flaws, features: how many worlds have each."""

    worlds: int
    first: int
    scope: dict[tuple[Hazard, int], int]
    affected: dict[Hazard, int]
    flaws: dict[str, int]
    misses: list[str]
    missed_worlds: int = 0
    features: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FEATURES, 0))

    def ratio_of(self, hazard: Hazard, level: int) -> float:
        """Return quantity in scope by quantity truly affected."""
        return self.scope[hazard, level] / self.affected[hazard] if self.affected[hazard] else 0.0

    def last_line(self) -> str:
        """Return the count that the command ends with."""
        return f"{self.worlds} worlds from {self.first}, {len(self.misses)} misses in {self.missed_worlds} of them"


def add_up(results: Iterator[Result], *, worlds: int, first: int) -> Figures:
    """Return the figures of these worlds, in the order of their numbers."""
    scope = {(hazard, level): 0 for hazard in HAZARDS for level in range(len(LEVELS))}
    figures = Figures(worlds, first, scope, dict.fromkeys(HAZARDS, 0), dict.fromkeys(FLAWS, 0), [])
    for result in results:
        for key, grams in result.scope.items():
            figures.scope[key] += grams
        for hazard, grams in result.affected.items():
            figures.affected[hazard] += grams
        for flaw in result.flaws:
            figures.flaws[flaw] += 1
        for feature in result.features:
            figures.features[feature] += 1
        figures.misses += result.misses
        figures.missed_worlds += bool(result.misses)
        done = result.number - first + 1
        if result.misses or done % 1000 == 0:
            print(*result.misses, f"{done} of {worlds}", sep="\n", file=sys.stderr, flush=True)
    return figures


def measure(worlds: int, first: int, *, planted: str | None = None, processes: int = PROCESSES) -> Figures:
    """Return the figures of worlds `first` and up. planted: a rule that excludes too much, in the engine."""
    numbers = range(first, first + worlds)
    if processes == 1:
        with PLANTED[planted]() if planted else nullcontext():
            return add_up(map(measure_world, numbers), worlds=worlds, first=first)
    context = multiprocessing.get_context("fork")
    with context.Pool(processes, initializer=_plant, initargs=(planted,)) as pool:
        return add_up(pool.imap(measure_world, numbers, chunksize=20), worlds=worlds, first=first)


def _plant(planted: str | None) -> None:
    if planted is not None:
        PLANTED[planted]().__enter__()


def main() -> int:
    """Measure, write the page, and return 1 if anything was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.precision", description=__doc__)
    parser.add_argument("--worlds", type=int, default=1_000)
    parser.add_argument("--first-seed", type=int, default=FULL_FROM)
    parser.add_argument("--planted", choices=sorted(PLANTED), help="let the engine exclude too much, to see it found")
    parser.add_argument("--page", type=Path, default=Path("docs/precision.md"))
    options = parser.parse_args()
    figures = measure(options.worlds, options.first_seed, planted=options.planted)
    if options.planted is None:
        write_page(options.page, figures)
    for level, (name, _detail) in enumerate(LEVELS):
        print(f"{name:<30}", *(f"{hazard.value} {figures.ratio_of(hazard, level):6.2f}  " for hazard in HAZARDS))
    for flaw, count in (figures.flaws | figures.features).items():
        print(f"worlds with {flaw:<30} {100 * count / figures.worlds:5.1f} %")
    print(figures.last_line())
    return 1 if figures.misses else 0


if __name__ == "__main__":
    sys.exit(main())
