"""Worlds whose truth is known: what flags say of lines is so, and goods that nobody held back are not said to be."""

from dataclasses import replace
from decimal import Decimal

import pytest

from node.lineage.facts import Facts, open_facts
from node.lineage.flag_model import Flag, FlagSettings
from node.lineage.flags import flags_of_item, flags_of_run
from node.lineage.readings import CLOCK_TOLERANCE_MS, Readings
from node.lineage.records import PostingKind
from tests.support.events import DAY_MS
from tests.support.truth import World, build_world
from tests.support.truth_play import BUSY_FROM, KG, RICH_FROM, VESSEL_LINE, Doing
from tests.support.truth_record import Report, line_of

WORLDS = 450
NEVER = {"used_on_hold", "used_dirty", "certificate_missing", "used_before_release", "supplier_not_approved"}


def flags_of(world: World, facts: Facts) -> list[tuple[str, Flag]]:
    """All flags of the world's lots and runs, each with what it is of."""
    now_ms = world.record.to_ms + 30 * DAY_MS
    runs = sorted({fact.run for fact in world.facts if fact.run is not None})
    lots = sorted({code for fact in world.facts for code, _grams in (*fact.goods, *fact.outputs)})
    evaluated = [(run, flags_of_run(run, facts, FlagSettings(), now_ms=now_ms)) for run in runs]
    evaluated += [(code, flags_of_item(code, facts, FlagSettings(), now_ms=now_ms)) for code in lots]
    return [(subject, flag) for subject, one in evaluated for flag in one.flags]


def grams_in(world: World, plant: int, run: str, when_ms: int) -> int:
    """How much was in a plant's vessel of one filling at a time."""
    grams = 0
    for fact in world.facts:
        if (fact.party, fact.run) == (plant, run) and fact.when_ms < when_ms:
            grams += sum(amount for _code, amount in fact.goods if fact.doing is Doing.FILL)
            grams -= sum(amount for _code, amount in fact.outputs if fact.doing is Doing.DRAW)
    return grams


@pytest.mark.parametrize("first", [RICH_FROM, BUSY_FROM])
def test_run_that_is_flagged_was_in_its_vessel_while_that_was_cleaned(first: int) -> None:
    """Of runs whose every filling was recorded: a filling that was not is what closes such a flag."""
    flagged = 0
    for number in range(first, first + WORLDS // 2):
        world = build_world(number)
        index = world.tell().index()
        facts = open_facts(index, Readings(), as_of_ms=None, known_at=index.height)
        found = flags_of(world, facts)
        assert {flag.code for _subject, flag in found} & NEVER == set()
        told = [report.fact for report in world.record.reports]
        for run, flag in found:
            if flag.code != "run_across_cleaning":
                continue
            fills = [fact for fact in world.facts if fact.run == run and fact.doing is Doing.FILL]
            if any(fact not in told for fact in fills):
                continue
            (plant,) = {fact.party for fact in fills}
            clean = index.get_event(flag.refs[1])
            assert clean.event.read_point == line_of(plant, VESSEL_LINE)
            # A plant's clock errs by no more than the tolerance, alike for all that it enters.
            times = [clean.event.time.lo_ms + error for error in (-CLOCK_TOLERANCE_MS, 0, CLOCK_TOLERANCE_MS)]
            assert any(grams_in(world, plant, run, when_ms) > 0 for when_ms in times), (number, run)
            assert facts.timelines.filed(PostingKind.RUN_OUTPUT, run)
            flagged += 1
    assert flagged > 5


def whole(world: World, *, spoilt: bool) -> World:
    """The world with each thing that happened told by its code and amount.

    spoilt: by the party's clock, perhaps only its day, perhaps twice, perhaps without the document.
    """
    told = {id(report.fact): report for report in world.record.reports}
    clocks = {report.fact.party: report.shown_ms - report.fact.when_ms for report in world.record.reports}
    reports = []
    for fact in world.facts:
        if spoilt and id(fact) in told:
            reports.append(replace(told[id(fact)], is_uncounted=False, is_uncoded=False))
        else:
            reports.append(Report(fact, fact.when_ms + (clocks.get(fact.party, 0) if spoilt else 0)))
    return replace(world, record=replace(world.record, reports=tuple(reports)))


@pytest.mark.parametrize("spoilt", [False, True])
@pytest.mark.parametrize("first", [0, RICH_FROM, BUSY_FROM])
def test_whole_record_is_flagged_for_nothing_but_what_is_so(first: int, spoilt: bool) -> None:
    """A vessel that is not empty, or was cleaned full. Clocks, dates, witnesses and missing documents flag nothing."""
    for number in range(first, first + WORLDS // 15):
        world = whole(build_world(number), spoilt=spoilt)
        index = world.tell().index()
        facts = open_facts(index, Readings(), as_of_ms=None, known_at=index.height)
        for run, flag in flags_of(world, facts):
            assert flag.code in ("run_loss", "run_across_cleaning"), (number, run, flag)
            if flag.code == "run_loss":
                (plant,) = {fact.party for fact in world.facts if fact.run == run}
                assert flag.amount == Decimal(grams_in(world, plant, run, world.record.to_ms)) / KG, (number, run)
