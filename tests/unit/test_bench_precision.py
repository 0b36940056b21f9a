"""bench/precision.py: planted rules are found, and the same worlds give the same figures and page."""

from dataclasses import replace

import pytest

from bench.planted_rules import PLANTED
from bench.precision import HAZARDS, LEVELS, Figures, measure, measure_world
from bench.precision_page import draw_chart, render_page

FOUND_BY = {
    "amounts_exclude_microbes": 10_005,
    "chemicals_are_rinsed_off": 100_092,
    "clocks_agree": 100_211,
    "every_check_kills": 100_010,
    "fifo_without_declaration": 20_016,
    "equipment_passes_nothing_on": 10_001,
    "mixed_whatever_the_times": 20_182,
    "unknown_is_clean": 10_001,
    "units_pass_nothing_on": 100_013,
}
"""A world that finds each planted rule."""
WORLDS = 3
MISSED_ONCE = (10_046, 10_081, 10_146, 10_161, 10_306, 10_689, 10_826, 10_943, 20_051, 20_182, 20_669, 22_277)
"""Of an unknown amount beside a known one in a pile; of a vessel whose run went on, or was cleaned while it was full;
of a lot that by its times fed itself; of goods that came by their product's name and went on by their lot's; of goods
never received that lay beside bad ones; of more taken than was ever shipped there, after a receipt that nobody counted;
of a mixed vessel where times do not tell what was in."""


@pytest.fixture(scope="module")
def figures() -> Figures:
    return measure(WORLDS, 10_000, processes=1)


@pytest.mark.parametrize("number", MISSED_ONCE)
def test_world_that_once_missed_misses_no_more(number: int) -> None:
    """At every level of detail."""
    assert measure_world(number).misses == ()


def test_every_planted_rule_has_a_world_that_finds_it() -> None:
    """Else it would be there for show."""
    assert FOUND_BY.keys() == PLANTED.keys()


@pytest.mark.parametrize("rule", sorted(FOUND_BY))
def test_planted_rule_that_excludes_too_much_is_found(rule: str) -> None:
    """A benchmark that can find nothing would always count 0 misses."""
    number = FOUND_BY[rule]
    assert measure_world(number).misses == ()
    with PLANTED[rule]():
        assert measure_world(number).misses


def test_same_worlds_give_the_same_figures(figures: Figures) -> None:
    """So the page can be checked by anyone."""
    assert measure(WORLDS, 10_000, processes=1) == figures


def test_each_further_fact_makes_the_scope_smaller_or_leaves_it(figures: Figures) -> None:
    """And it never is smaller than what is truly affected."""
    for hazard in HAZARDS:
        ratios = [figures.ratio_of(hazard, level) for level in range(len(LEVELS))]
        assert ratios == sorted(ratios, reverse=True)
        assert ratios[-1] >= 1


def test_page_ends_with_worlds_and_misses_and_names_its_chart(figures: Figures) -> None:
    """The last line is what counts."""
    page = render_page(figures, "precision.svg")
    assert page.splitlines()[-1] == "3 worlds from 10000, 0 misses in 0 of them"
    assert "](precision.svg)" in page
    bad = replace(figures, misses=["one"], missed_worlds=1)
    assert render_page(bad, "precision.svg").splitlines()[-1] == "3 worlds from 10000, 1 misses in 1 of them"


def test_chart_has_a_bar_for_each_level_and_class(figures: Figures) -> None:
    """And is well-formed."""
    chart = draw_chart(figures)
    assert chart.count("<rect") == 1 + len(HAZARDS) * (len(LEVELS) + 1)
    assert chart.endswith("</svg>\n")
