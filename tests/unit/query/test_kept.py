"""node/query/kept: what one question has read serves the next at the same height, and no other."""

import random
from contextlib import nullcontext

import pytest

from node.lineage.indexing import roles_in
from node.lineage.pace import paced
from node.lineage.readings import Readings
from node.lineage.trace import Direction, Question, trace
from node.query import kept
from node.query.service import QueryService
from tests.support.chronicle import Chronicle
from tests.support.events import at, lot
from tests.support.memory_index import MemoryIndex
from tests.support.truth import build_world
from tests.support.truth_play import RICH_FROM

FLOUR, BREAD, CAKE = lot("952110000001", "F1"), lot("952110000002", "B1"), lot("952110000003", "C1")


class EndedError(Exception):
    """What a test ends a question with."""


def bakery() -> Chronicle:
    story = Chronicle()
    story.make({FLOUR: 100}, at(1, "08:00"))
    story.run({FLOUR: 60}, {BREAD: 60}, at(1, "09:00"))
    return story


def serve(index: MemoryIndex, readings: Readings | None = None) -> QueryService:
    return QueryService(lambda: nullcontext(index), lambda _: readings or Readings())


@pytest.mark.parametrize("number", [*range(4), *range(RICH_FROM, RICH_FROM + 4)])
def test_answers_by_what_was_kept_are_those_of_a_first_question(number: int) -> None:
    """Of every item of a world of firms, both ways, in any order, and byte for byte."""
    index = build_world(number).tell().index()
    service = serve(index)
    items = sorted({item for row in index.iterate_events() for item in roles_in(row.event)})
    asked = [(item, direction) for item in items for direction in Direction]
    random.Random(number).shuffle(asked)
    for item, direction in (*asked, *asked):
        assert service.trace(item, direction) == trace(index, Question(item, direction))


def test_a_second_question_reads_nothing_anew() -> None:
    """Not even of another item, where the first has met it; both ways of one question share as well."""
    index = bakery().index()
    service = serve(index)
    service.trace(BREAD, Direction.BACK)
    reads = index.reads
    service.trace_both(FLOUR)
    service.trace(BREAD, Direction.BACK)
    assert index.reads == reads > 0


def test_a_later_block_is_seen_at_once() -> None:
    """What was read at the height before is let go of."""
    story = bakery()
    indexes = [story.index()]
    service = QueryService(lambda: nullcontext(indexes[-1]))
    assert len(service.trace(FLOUR, Direction.FORWARD).items) == 2
    story.run({BREAD: 10}, {CAKE: 10}, at(1, "10:00"))
    indexes.append(story.index())
    assert service.trace(FLOUR, Direction.FORWARD) == trace(indexes[-1], Question(FLOUR, Direction.FORWARD))
    assert len(service.trace(FLOUR, Direction.FORWARD).items) == 3


def test_an_earlier_height_time_or_reading_is_read_by_itself() -> None:
    """And what the newest height has read stays as it is."""
    story = bakery()
    story.run({BREAD: 10}, {CAKE: 10}, at(1, "10:00"))
    index = story.index()
    readings = [Readings()]
    service = QueryService(lambda: nullcontext(index), lambda _: readings[-1])
    wanted = service.trace(FLOUR, Direction.FORWARD)
    assert len(service.trace(FLOUR, Direction.FORWARD, known_at_ms=0).items) == 1
    assert len(service.trace(FLOUR, Direction.FORWARD, as_of_ms=at(1, "09:30")).items) == 2
    assert service.trace(FLOUR, Direction.FORWARD) == wanted
    reads = index.reads
    readings.append(Readings(clock_tolerance_ms=1))
    service.trace(FLOUR, Direction.FORWARD)
    assert index.reads > reads


def test_what_much_was_read_for_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded, whoever asks."""
    monkeypatch.setattr(kept, "SIZE_MAX", 3)
    index = bakery().index()
    service = serve(index)
    service.trace(FLOUR, Direction.FORWARD)
    reads = index.reads
    service.trace(FLOUR, Direction.FORWARD)
    assert index.reads == 2 * reads


def test_what_an_ended_question_has_read_is_not_kept() -> None:
    """It may have ended amid anything; the next begins anew, and is right."""
    index = bakery().index()
    service = serve(index)

    def end() -> None:
        raise EndedError

    with pytest.raises(EndedError), paced(end):
        service.trace(FLOUR, Direction.FORWARD)
    assert service.trace(FLOUR, Direction.FORWARD) == trace(index, Question(FLOUR, Direction.FORWARD))
