"""Random supply chains: the walk reaches exactly what a naive checker says may hold the goods.

The checker shares no code with the walk. It knows the whole truth as plain tuples and asks, by brute force over all
events until nothing changes, from when each lot may be tainted, and until when each may have been used.
"""

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from node.lineage.trace import Direction, Question, trace
from tests.support.chronicle import Chronicle, goods_of
from tests.support.events import at, lot

LOTS = 6
TIMES = 12
BIG = 10**9


@dataclass(frozen=True)
class Run:
    """A run of one event, or a part of one that lasts: at `time` it takes inputs and gives outputs."""

    time: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    name: int | None


runs = st.builds(
    Run,
    time=st.integers(0, TIMES),
    inputs=st.lists(st.integers(0, LOTS - 1), max_size=2, unique=True).map(tuple),
    outputs=st.lists(st.integers(0, LOTS - 1), max_size=2, unique=True).map(tuple),
    name=st.sampled_from([None, None, 1, 2]),
)
stories = st.lists(runs.filter(lambda run: bool(run.inputs or run.outputs)), max_size=12, unique=True)


def name_of(number: int) -> str:
    return lot(str(number + 1), f"L{number}")


def tell(story: list[Run]) -> Chronicle:
    chronicle = Chronicle()
    for number, run in enumerate(story):
        chronicle.run(
            {name_of(one): 1 for one in run.inputs},
            {name_of(one): 1 for one in run.outputs},
            at(1, "08:00") + run.time * 60_000,
            name=None if run.name is None else f"run-{run.name}",
            note=str(number),
        )
    return chronicle


def pairs(story: list[Run]) -> list[tuple[int, int, int, int]]:
    """Return every (input, taken at, output, given at) that one run allows."""
    found = []
    for taking in story:
        for giving in story:
            same = taking is giving or (taking.name is not None and taking.name == giving.name)
            if same and taking.time <= giving.time:
                found += [(one, taking.time, other, giving.time) for one in taking.inputs for other in giving.outputs]
    return found


def makings(story: list[Run]) -> dict[int, set[int]]:
    """Return when each lot was made."""
    made: dict[int, set[int]] = {}
    for run in story:
        for target in run.outputs:
            made.setdefault(target, set()).add(run.time)
    return made


def reached_forward(story: list[Run], start: int) -> set[int]:
    """Return what may hold goods of `start`: with the earliest time of taint, until nothing changes.

    A use before any making contradicts itself: nothing is excluded by it.
    """
    since = {start: -1}
    made = makings(story)
    while True:
        before = dict(since)
        for source, taken, target, drawn in pairs(story):
            contradicts = taken < min(made.get(source, {-1}))
            if source in since and (contradicts or taken >= since[source]):
                since[target] = min(since.get(target, BIG), drawn)
        if since == before:
            return set(since) - {start}


def reached_back(story: list[Run], start: int) -> set[int]:
    """Return what may have gone into `start`; where a use was before any making, the item's times tell nothing."""
    until, first = {start: BIG}, {start: BIG}
    made = makings(story)
    while True:
        before = dict(until), dict(first)
        for source, taken, target, drawn in pairs(story):
            if target not in until:
                continue
            contradicts = min(made[target]) > first[target]
            if contradicts or drawn <= until[target]:
                # A use that mattered was not after the time by which its output had been used.
                used = taken if contradicts else min(taken, until[target])
                until[source] = max(until.get(source, -1), used)
                first[source] = min(first.get(source, BIG), taken)
        if (until, first) == before:
            return set(until) - {start}


@given(story=stories, start=st.integers(0, LOTS - 1))
@settings(max_examples=200, deadline=None)
def test_forward_reaches_what_may_be_tainted_and_nothing_else(story: list[Run], start: int) -> None:
    """Rule 2: only a certain *before* excludes; all inputs count."""
    answer = tell(story).forward(name_of(start))
    assert goods_of(answer) == {name_of(one) for one in reached_forward(story, start)}


@given(story=stories, start=st.integers(0, LOTS - 1))
@settings(max_examples=200, deadline=None)
def test_back_reaches_what_may_have_gone_in_and_nothing_else(story: list[Run], start: int) -> None:
    """Rule 2, and contradictory times widen the answer."""
    answer = tell(story).back(name_of(start))
    assert goods_of(answer) == {name_of(one) for one in reached_back(story, start)}


@given(story=stories, start=st.integers(0, LOTS - 1), seed=st.integers(0, 1000))
@settings(max_examples=100, deadline=None)
def test_order_of_arrival_never_matters(story: list[Run], start: int, seed: int) -> None:
    """The same facts in other blocks, in another order: the same digest, both ways."""
    chronicle = tell(story)
    for direction in Direction:
        asked = Question(name_of(start), direction)
        assert trace(chronicle.index(), asked).digest == trace(chronicle.shuffled(seed), asked).digest


@given(story=stories, start=st.integers(0, LOTS - 1))
@settings(max_examples=100, deadline=None)
def test_forward_and_back_agree_where_times_do(story: list[Run], start: int) -> None:
    """If the goods reach an item going forward, the way back from it finds them."""
    chronicle = tell(story)
    for item in goods_of(chronicle.forward(name_of(start))):
        assert name_of(start) in goods_of(chronicle.back(item)) | {item}
