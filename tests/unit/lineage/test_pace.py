"""node/lineage/pace: whatever walks far can be ended on its way."""

from collections.abc import Callable
from itertools import pairwise

import pytest

from node.lineage.maxflow import Network
from node.lineage.pace import paced, tick
from node.lineage.scope_question import Seed
from tests.support.chronicle import Chronicle
from tests.support.events import at, lot
from tests.support.scopes import Asked

FLOUR, BREAD = lot("952110000001", "F1"), lot("952110000002", "B1")


class EndedError(Exception):
    """What a test ends a walk with."""


class Pulse:
    """Counts ticks, and raises at the last."""

    def __init__(self, last: int) -> None:
        self.count = 0
        self._last = last

    def __call__(self) -> None:
        self.count += 1
        if self.count == self._last:
            raise EndedError


def bakery() -> Chronicle:
    story = Chronicle()
    story.make({FLOUR: 100}, at(1, "08:00"))
    story.run({FLOUR: 60}, {BREAD: 60}, at(1, "09:00"))
    return story


def flow() -> None:
    network = Network(2)
    network.add(0, 1, 5)
    network.flow([(0, 5)], [(1, 5)])


@pytest.mark.parametrize(
    "walk",
    [
        lambda: bakery().forward(FLOUR),
        lambda: bakery().back(BREAD),
        lambda: Asked(bakery(), Seed(item=FLOUR)),
        flow,
    ],
    ids=["forward", "back", "scope", "flow"],
)
def test_each_walk_ends_at_a_tick(walk: Callable[[], object]) -> None:
    """With what the tick raises, and nothing of it swallowed."""
    pulse = Pulse(1)
    with pytest.raises(EndedError), paced(pulse):
        walk()
    assert pulse.count == 1
    walk()


def test_the_sums_of_a_scope_tick_too() -> None:
    """They read nothing: of a large scope they take longer than its walk."""
    bounds = Asked(bakery(), Seed(item=FLOUR)).scope.bounds
    numbers = list(range(3))
    for reckon in (lambda: bounds.last_of(numbers), lambda: bounds.intervals("KGM", affected=True)):
        with pytest.raises(EndedError), paced(Pulse(1)):
            reckon()


def test_a_walk_ticks_more_often_the_further_it_goes() -> None:
    """Else an end would come only when it is over."""
    counts = []
    for length in (10, 40):
        story = Chronicle()
        lots = [lot("952110000001", f"L{number}") for number in range(length)]
        story.make({lots[0]: 1_000}, at(1, "08:00"))
        for place, (one, other) in enumerate(pairwise(lots)):
            story.run({one: 5}, {other: 5}, at(1, f"09:{place:02}"))
        pulse = Pulse(-1)
        with paced(pulse):
            story.forward(lots[0])
        counts.append(pulse.count)
    assert counts[1] >= 3 * counts[0] >= 30


def test_a_tick_outside_a_question_does_nothing() -> None:
    """Execution walks the ledger too, and nobody paces it."""
    with paced(Pulse(2)):
        tick()
    tick()
