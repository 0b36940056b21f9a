"""First in, first out within a heel, held to vessels whose every gram is known."""

import random
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest

from node.epcis.model import EventType, Interval
from node.lineage.facts import open_facts
from node.lineage.plug_flow import Passage, passages
from node.lineage.readings import Readings
from node.lineage.runs import Run, build_run
from tests.support.chronicle import Chronicle
from tests.support.events import DAY_ONE_MS, build_event, lot, place
from tests.support.truth_play import KG, MINUTE_MS, Slab, Vessel

VESSELS = 100
HEEL_KG = 6
SPILLED = "spilled"


class Filled:
    """A vessel that is filled and drawn at random. given: what each output truly has of each input, in kilograms."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(f"vessel/{seed}")
        self.heel = chance.choice((0, HEEL_KG))
        self.given: dict[tuple[str, str], Decimal] = {}
        acts = [(chance.random() < 0.5, chance.randint(1, 30)) for _ in range(chance.randint(3, 14))]
        story, within, inputs, outputs = Chronicle(), 0, 0, 0
        plan: list[tuple[str, int]] = []
        error_ms = chance.randint(-29, 29) * MINUTE_MS
        for number, (is_fill, amount) in enumerate(acts):
            lo_ms = DAY_ONE_MS + number * 20 * MINUTE_MS
            # Some times are known to the hour alone, so that two events may have been in either order.
            width_ms = chance.choice((0, 0, 0, 60 * MINUTE_MS))
            when = Interval(lo_ms, lo_ms + width_ms)
            if is_fill or not within:
                inputs += 1
                within += amount
                plan.append((lot("1", f"I{inputs}"), amount))
                goods = {"inputs": {plan[-1][0]: amount}}
            else:
                outputs += 1
                amount = min(amount, within)
                within -= amount
                plan.append((lot("2", f"O{outputs}"), -amount))
                goods = {"outputs": {plan[-1][0]: amount}}
            # Two clocks err by less than twice the tolerance, and nobody records what is spilled.
            member = chance.choice(("mill", "mill", "mill", "carrier"))
            told = when if member == "mill" else Interval(when.lo_ms + error_ms, when.hi_ms + error_ms)
            event = build_event(EventType.TRANSFORMATION, told, run="run:1", location=place(1), **goods)  # type: ignore[arg-type]  # The names are its own.
            story.add(event, member=member)
            if within and chance.random() < 0.1:
                plan.append((SPILLED, -chance.randint(1, within)))
                within += plan[-1][1]
        for followed in [code for code, amount in plan if amount > 0]:
            self._play(followed, plan, random.Random(f"drawing/{seed}"))
        facts = open_facts(story.index(), Readings(), as_of_ms=None, known_at=story.index().height)
        self.run: Run = build_run(story.rows[0], facts)

    def _play(self, followed: str, plan: list[tuple[str, int]], chance: random.Random) -> None:
        """Fill and draw, with one input as the bad one."""
        vessel = Vessel("fifo", self.heel * KG, is_declared=True)
        for code, amount in plan:
            if amount > 0:
                grams = amount * KG
                vessel.pile.put([Slab(grams, Fraction(grams if code == followed else 0))])
            else:
                drawn = vessel.draw(-amount * KG, chance)
                bad = sum((slab.seed for slab in drawn), Fraction(0))
                self.given[followed, code] = Decimal(bad.numerator) / bad.denominator / KG

    def broken(self, found: list[Passage] | None) -> list[Passage]:
        """Return the passages that are smaller than what truly passed."""
        return [one for one in found or () if self.given[one.source.item, one.target.item] > one.most]


@pytest.mark.parametrize("seed", range(VESSELS))
def test_no_more_passes_than_plug_flow_lets_pass(seed: int) -> None:
    """Where times tell the order and where they do not."""
    vessel = Filled(seed)
    assert vessel.broken(passages(vessel.run, Decimal(vessel.heel), "KGM", Readings())) == []


def test_what_passes_is_bounded_at_all_and_no_heel_is_not_enough() -> None:
    """The test could not fail else."""
    vessels = [Filled(seed) for seed in range(VESSELS)]
    found = [passages(vessel.run, Decimal(vessel.heel), "KGM", Readings()) for vessel in vessels]
    assert sum(passage.most == 0 for one in found for passage in one or ()) > VESSELS
    assert any(vessel.broken(passages(vessel.run, Decimal(0), None, Readings())) for vessel in vessels if vessel.heel)


def test_run_of_which_more_came_out_than_went_in_says_nothing() -> None:
    """Something went in that nobody recorded."""
    run = next(vessel.run for vessel in map(Filled, range(VESSELS)) if vessel.run.outputs)
    assert passages(run, Decimal(0), None, Readings()) is not None
    assert passages(replace(run, gains=(0,)), Decimal(0), None, Readings()) is None
    assert passages(replace(run, is_one_unit=False), Decimal(0), None, Readings()) is None
    assert passages(run, Decimal(1), "LTR", Readings()) is None
