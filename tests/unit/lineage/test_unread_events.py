"""node/lineage/spread.py: what is left out of a holder with too many events is excluded by nothing."""

import pytest

from node.lineage.readings import Readings
from node.lineage.scope_question import Seed
from tests.support.chronicle import Chronicle
from tests.support.events import at, lot
from tests.support.scopes import Asked, of_event

FLOUR, BREAD, CAKE = lot("1", "A"), lot("2", "B"), lot("3", "C")


@pytest.mark.parametrize("is_cut", [False, True])
def test_what_was_left_out_of_a_holders_events_is_not_said_to_be_excluded(
    monkeypatch: pytest.MonkeyPatch, *, is_cut: bool
) -> None:
    """Bread was made without a run where bad flour lay: possible; unread, neither that nor excluded."""
    if is_cut:
        monkeypatch.setattr("node.lineage.spread.HOLDER_EVENTS_MAX", 3)
    story = Chronicle()
    story.make({FLOUR: 100}, at(1, "08:00"))
    for clock in ("09:00", "09:10", "09:20", "09:30"):
        story.see({FLOUR: 100}, at(1, clock))
    story.make({BREAD: 50}, at(2, "08:00"))
    story.ship({BREAD: 50}, at(2, "09:00"), to=2)
    story.receive({BREAD: 50}, at(2, "12:00"))
    other = story.make({BREAD: 20}, at(1, "08:00"), at=3)
    story.make({CAKE: 5}, at(1, "07:00"), at=4)
    asked = Asked(story, Seed(item=FLOUR), of_event(BREAD, other), readings=Readings())
    answer = asked.scope.answer()
    assert ("holder_events_left_out" in answer.warnings) is is_cut
    named = {one.kind for one in answer.excluded if one.item == BREAD}
    found = {one.kind for one in answer.portions if one.item == BREAD and one.link == "open"}
    assert named == set()
    assert ("held" in found) is not is_cut
