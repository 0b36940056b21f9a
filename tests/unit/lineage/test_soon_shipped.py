"""node/lineage/balance.py, sightings.py: goods that were first seen shortly before they went on."""

import pytest

from node.epcis.model import Interval
from tests.support.chronicle import Chronicle
from tests.support.events import at, lot, place, unit
from tests.support.scopes import Asked, of_event
from tests.unit.lineage.test_worked_examples import codes, holdings

A, B = lot("1", "A"), lot("2", "B")
S = unit(1)
DAY_ONE = Interval(at(1, "00:00"), at(1, "23:59"))


@pytest.mark.parametrize("is_packed", [False, True])
def test_goods_that_were_seen_on_the_day_that_they_left_were_there_then(*, is_packed: bool) -> None:
    """Only the day of the sighting is known: they did not come back from whom they went to."""
    story = Chronicle()
    made = story.make({A: 100}, at(1, "08:00"))
    if is_packed:
        story.pack(S, {A: 100}, at(1, "09:00"))
    goods = [S] if is_packed else {A: 100}
    story.see(goods, DAY_ONE)
    story.ship(goods, at(1, "10:10"), to=2)
    story.receive(goods, at(1, "15:00"))
    assert holdings(story, A) == {(place(2), S if is_packed else ""): ("100", "100")}
    assert codes(story, A) == codes(story, S) == []
    asked = Asked(story, of_event(A, made))
    assert asked.status(asked.find(A, "held")) == "certain"


def test_more_than_was_there_on_any_moment_of_a_day_came_from_nowhere_known() -> None:
    """Two at once would have been enough, one after the other is not."""
    story = Chronicle()
    story.make({A: 60}, at(1, "08:00"))
    story.see({A: 100}, DAY_ONE)
    story.end({A: 60}, at(1, "10:00"))
    story.make({A: 60}, at(1, "11:00"))
    assert codes(story, A) == ["overdrawn"]
    story.make({A: 40}, at(1, "12:00"))
    assert codes(story, A) == []
