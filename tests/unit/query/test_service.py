"""node/query/service: what a person typed becomes an answer."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from consensus.types import Height
from node.epcis.errors import IdentifierError
from node.lineage.reader import LineageReader
from node.lineage.trace import Direction
from node.query.errors import UnknownHeightError, UnknownItemError
from node.query.service import ITEM_EVENTS_MAX, QueryService
from tests.support.chronicle import Chronicle
from tests.support.events import at, lot, place, unit

FLOUR, BREAD = lot("1", "F1"), lot("3", "B-2026")


class Opened:
    """Counts snapshots that were opened and not closed."""

    def __init__(self, story: Chronicle) -> None:
        self.index = story.index()
        self.open = 0

    @contextmanager
    def reader(self) -> Iterator[LineageReader]:
        self.open += 1
        try:
            yield self.index
        finally:
            self.open -= 1


def bakery() -> Chronicle:
    story = Chronicle()
    story.make({FLOUR: 5}, at(1, "08:00"), event_id="urn:uuid:1")
    story.run({FLOUR: 5}, {BREAD: 5}, at(1, "09:00"), event_id="urn:uuid:1")
    story.ship({BREAD: 5}, at(1, "10:00"), to=2)
    return story


def test_item_is_accepted_in_any_spelling() -> None:
    """Digital Link, EPC URN and element string give one answer."""
    service = QueryService(Opened(bakery()).reader)
    gtin = BREAD.split("/")[4]
    spellings = (
        BREAD,
        f"(01){gtin}(10)B-2026",
        f"https://example.org/some/path/01/{gtin}/10/B-2026?x=1",
        f"urn:epc:class:lgtin:{gtin[1:8]}.{gtin[0]}{gtin[8:13]}.B-2026",
    )
    assert len({service.trace(text, Direction.BACK).digest for text in spellings}) == 1
    assert service.trace(f"(01){gtin}(10)B-2026", Direction.BACK).origins == (FLOUR,)


def test_unknown_item_gets_near_matches_and_closes_its_snapshot() -> None:
    """A misread code is answered with what it may have been."""
    opened = Opened(bakery())
    service = QueryService(opened.reader)
    with pytest.raises(UnknownItemError) as refused:
        service.trace(lot("3", "B-2O26"), Direction.FORWARD)
    assert refused.value.near[0] == BREAD
    assert refused.value.code == "not_found"
    assert BREAD in str(refused.value.hint)
    assert opened.open == 0


def test_unknown_item_without_anything_near_says_when_items_are_known() -> None:
    """A hint that helps: its events may not be final yet."""
    service = QueryService(Opened(Chronicle()).reader)
    with pytest.raises(UnknownItemError) as refused:
        service.item(unit(7))
    assert refused.value.near == ()
    assert "final" in str(refused.value.hint)


def test_text_that_names_no_item_is_refused() -> None:
    """With the reader's own sentence."""
    with pytest.raises(IdentifierError):
        QueryService(Opened(bakery()).reader).trace("", Direction.BACK)


def test_limits_and_clocks_reach_the_walk() -> None:
    """as_of, known_at, depth and items."""
    service = QueryService(Opened(bakery()).reader)
    assert len(service.trace(FLOUR, Direction.FORWARD, as_of_ms=at(1, "08:30")).items) == 1
    assert len(service.trace(FLOUR, Direction.FORWARD, depth_max=0).items) == 1
    assert len(service.trace(FLOUR, Direction.FORWARD, items_max=1).items) == 1
    assert service.trace(FLOUR, Direction.FORWARD, known_at=None).height == 3


def test_item_lists_its_events_by_time() -> None:
    """With product, code and how many there are."""
    found = QueryService(Opened(bakery()).reader).item(BREAD)
    assert (found.kind, found.code, found.event_count) == ("lot", "B-2026", 2)
    assert [event.type for event in found.events] == ["TransformationEvent", "ObjectEvent"]
    assert found.events[1].place == place(1)
    assert found.events[1].id.endswith(":0")


def test_item_with_many_events_says_how_many() -> None:
    """The list is bounded, the count is not."""
    story = Chronicle()
    for number in range(ITEM_EVENTS_MAX + 5):
        story.see({FLOUR: 1}, at(1, "08:00") + number)
    found = QueryService(Opened(story).reader).item(FLOUR)
    assert len(found.events) == ITEM_EVENTS_MAX
    assert found.event_count == ITEM_EVENTS_MAX + 5


def test_event_id_may_find_several_events() -> None:
    """It is neither required nor unique in real data."""
    service = QueryService(Opened(bakery()).reader)
    assert [row.event.type for row in service.events_called("urn:uuid:1", limit=9)] == [
        "ObjectEvent",
        "TransformationEvent",
    ]
    assert len(service.events_called("urn:uuid:1", limit=1)) == 1
    assert service.events_called("urn:uuid:none", limit=9) == ()


def test_a_height_that_is_not_executed_is_refused() -> None:
    """An answer as of a block that does not exist yet would change once it does."""
    opened = Opened(bakery())
    service = QueryService(opened.reader)
    newest = opened.index.height
    assert service.trace(FLOUR, Direction.FORWARD, known_at=newest).items
    with pytest.raises(UnknownHeightError, match=f"the newest is {newest}"):
        service.trace(FLOUR, Direction.FORWARD, known_at=Height(newest + 1))
    assert opened.open == 0
