"""Contact in equipment over a long history: all that it must reach, at a cost in step with the history."""

import pytest

from node.lineage.hazards import Hazard
from node.lineage.readings import Readings
from node.lineage.scope import CHAIN_EVENTS_MAX, Scope
from node.lineage.scope_question import ScopeQuestion, Seed
from tests.support.chronicle import Chronicle
from tests.support.events import at, lot

HOUR_MINUTES = 60


def minute(number: int) -> int:
    return at(1 + number // (24 * HOUR_MINUTES), f"{number // HOUR_MINUTES % 24:02d}:{number % HOUR_MINUTES:02d}")


def links(count: int) -> list[str]:
    return [lot("1", f"L{number:04d}") for number in range(count + 1)]


def tell_chain(count: int, *, step: int = 10) -> Chronicle:
    """One lot made into the next, again and again at one site, and beside each a run of clean goods."""
    story, items = Chronicle(), links(count)
    story.make({items[0]: 5}, minute(0))
    for number in range(count):
        when = (number + 1) * step
        story.run({items[number]: 5}, {items[number + 1]: 5}, minute(when))
        clean, made = lot("2", f"C{number:04d}"), lot("3", f"M{number:04d}")
        story.make({clean: 5}, minute(0))
        story.run({clean: 5}, {made: 5}, minute(when + 1))
    return story


def scope_of(story: Chronicle, item: str, hazard: Hazard) -> Scope:
    return Scope(story.index(), ScopeQuestion((Seed(item=item),), hazard), Readings())


@pytest.mark.parametrize("first", [0, 30])
def test_every_run_after_the_first_that_held_some_may_hold_some_too(first: int) -> None:
    """Beside a chain of runs, in whatever order the walk comes to them: those before it cannot.

    A lot that is itself the seed was bad as it came off the line: the run of clean goods a minute later is touched.
    """
    count = 60
    answer = scope_of(tell_chain(count), links(count)[first], Hazard.ALLERGEN).answer()
    reached = {portion.item for portion in answer.portions}
    assert {item for item in reached if "/01/" in item and "10/M" in item} == {
        lot("3", f"M{number:04d}") for number in range(max(0, first - 1), count)
    }


def test_links_by_contact_grow_with_the_history_and_not_with_its_square() -> None:
    """Ten thousand runs at one site are a year of a bakery: pairs of them would be fifty million."""

    def edges(count: int) -> int:
        scope = scope_of(tell_chain(count), links(count)[0], Hazard.ALLERGEN)
        scope.answer()
        return len(scope.graph.edges)

    few, many = edges(60), edges(240)
    assert many < 5 * few


def test_a_long_chain_of_reasons_shows_its_end_and_says_so() -> None:
    """All of each would make the answer the square of the process."""
    count = CHAIN_EVENTS_MAX + 20
    answer = scope_of(tell_chain(count), links(count)[0], Hazard.ORIGIN).answer()
    longest = max(len(portion.because) for portion in answer.portions)
    assert longest == CHAIN_EVENTS_MAX
    assert "chains_shortened" in [warning.partition(":")[0] for warning in answer.warnings]
