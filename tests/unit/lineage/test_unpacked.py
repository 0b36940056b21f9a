"""node/lineage/unpacked.py: goods found in a unit that nobody recorded to have put in."""

from collections.abc import Callable

import pytest

from node.epcis.model import Action, EventType
from node.lineage.hazards import Hazard
from node.lineage.scope_question import Seed
from tests.support.chronicle import Chronicle
from tests.support.events import at, build_event, lot, place, serial, unit
from tests.support.scopes import Asked

BAD, MADE = lot("1", "BAD"), lot("2", "MADE")
FOUND, LISTED = lot("3", "FOUND"), lot("3", "LISTED")
CASE, PALLET = unit(1), unit(2)
NATURES = pytest.mark.parametrize("hazard", [Hazard.ORIGIN, Hazard.MICROBE])


def _with_stock_at_two(story: Chronicle | None = None) -> Chronicle:
    story = Chronicle() if story is None else story
    story.make({BAD: 100}, at(1, "08:00"), at=1)
    story.ship({BAD: 100}, at(1, "09:00"), at=1, to=2)
    story.receive({BAD: 100}, at(1, "12:00"), at=2)
    return story


def _send_case(story: Chronicle) -> None:
    story.ship({CASE: None}, at(3, "08:00"), at=2, to=3)
    story.receive({CASE: None}, at(4, "08:00"), at=3)


def _status_of_use(story: Chronicle, hazard: Hazard) -> set[str]:
    """Use what was found, and return in what way it and what is made of it are in scope."""
    used = story.run({FOUND: 50}, {MADE: 50}, at(5, "08:00"), at=3)
    asked = Asked(story, Seed(item=BAD), hazard=hazard)
    return {asked.status(asked.find(FOUND, "used", used)), asked.status(asked.find(MADE, "output", used))}


def _nothing(_story: Chronicle) -> None:
    pass


def _commissioned(story: Chronicle) -> None:
    story.add(
        build_event(
            EventType.OBJECT,
            at(2, "08:00"),
            action=Action.ADD,
            goods={CASE: None},
            step="commissioning",
            location=place(2),
        )
    )


def _packed_in_part(story: Chronicle) -> None:
    story.pack(CASE, {LISTED: 5}, at(2, "08:00"), at=2)


def _packed_of_the_stock(story: Chronicle) -> None:
    story.pack(CASE, {BAD: 5}, at(2, "08:00"), at=2)


@NATURES
@pytest.mark.parametrize("begin", [_nothing, _commissioned, _packed_in_part, _packed_of_the_stock])
def test_goods_first_named_as_their_unit_is_opened_may_be_made_of_its_senders_stock(
    begin: Callable[[Chronicle], None], hazard: Hazard
) -> None:
    story = _with_stock_at_two()
    begin(story)
    _send_case(story)
    story.unpack(CASE, {FOUND: 50}, at(4, "09:00"), at=3)
    assert _status_of_use(story, hazard) == {"possible, open"}


@NATURES
def test_goods_first_named_as_they_are_seen_in_a_unit_may_be_made_of_its_senders_stock(hazard: Hazard) -> None:
    story = _with_stock_at_two()
    _send_case(story)
    story.observe_unit(CASE, {FOUND: 50}, at(4, "09:00"), at=3, step="inspecting")
    assert _status_of_use(story, hazard) == {"possible, open"}


@NATURES
def test_goods_first_named_in_a_case_that_came_on_a_pallet_may_be_made_of_its_senders_stock(hazard: Hazard) -> None:
    story = _with_stock_at_two()
    story.pack(PALLET, {CASE: None}, at(2, "08:00"), at=2)
    story.ship({PALLET: None}, at(3, "08:00"), at=2, to=3)
    story.receive({PALLET: None}, at(4, "08:00"), at=3)
    story.unpack(PALLET, {CASE: None}, at(4, "08:30"), at=3)
    story.unpack(CASE, {FOUND: 50}, at(4, "09:00"), at=3)
    assert _status_of_use(story, hazard) == {"possible, open"}


@NATURES
def test_who_passes_a_unit_on_may_have_filled_it(hazard: Hazard) -> None:
    """It began elsewhere, long before the bad lot came to where it was next: it may have been empty till then."""
    story = Chronicle()
    story.ship({CASE: None}, at(1, "06:00"), at=4, to=2)
    story.receive({CASE: None}, at(1, "07:00"), at=2)
    _with_stock_at_two(story)
    _send_case(story)
    story.unpack(CASE, {FOUND: 50}, at(4, "09:00"), at=3)
    assert _status_of_use(story, hazard) == {"possible, open"}


@NATURES
def test_goods_seen_in_a_unit_that_came_from_a_stated_sender_may_be_made_of_its_stock(hazard: Hazard) -> None:
    story = _with_stock_at_two()
    story.add(
        build_event(
            EventType.AGGREGATION,
            at(4, "08:00"),
            action=Action.OBSERVE,
            goods={FOUND: 50},
            parent=CASE,
            step="receiving",
            location=place(3),
            sources=(("location", place(2)),),
        )
    )
    assert _status_of_use(story, hazard) == {"possible, open"}


@NATURES
def test_goods_found_in_a_unit_that_left_before_the_bad_lot_came_are_none_of_it(hazard: Hazard) -> None:
    story = Chronicle()
    story.ship({CASE: None}, at(1, "06:00"), at=2, to=3)
    story.receive({CASE: None}, at(1, "07:00"), at=3)
    _with_stock_at_two(story)
    story.unpack(CASE, {FOUND: 50}, at(4, "09:00"), at=3)
    story.run({FOUND: 50}, {MADE: 50}, at(5, "08:00"), at=3)
    asked = Asked(story, Seed(item=BAD), hazard=hazard)
    assert not {FOUND, MADE} & {one.item for one in asked.scope.reached}


@NATURES
def test_goods_in_a_unit_whose_packing_is_recorded_are_none_of_its_senders_other_stock(hazard: Hazard) -> None:
    story = _with_stock_at_two()
    story.make({FOUND: 50}, at(1, "08:00"), at=2)
    story.pack(CASE, {FOUND: 50}, at(2, "08:00"), at=2)
    _send_case(story)
    story.unpack(CASE, {FOUND: 50}, at(4, "09:00"), at=3)
    story.run({FOUND: 50}, {MADE: 50}, at(5, "08:00"), at=3)
    asked = Asked(story, Seed(item=BAD), hazard=hazard)
    assert not {FOUND, MADE} & {one.item for one in asked.scope.reached}


@NATURES
@pytest.mark.parametrize("found", [{FOUND: 50}, {serial("3", "1"): None, serial("3", "2"): None}])
def test_goods_found_in_a_unit_that_a_run_put_out_are_of_that_run(found: dict[str, int | None], hazard: Hazard) -> None:
    story = _with_stock_at_two()
    story.run({BAD: 100}, {CASE: None}, at(2, "08:00"), at=2)
    _send_case(story)
    story.unpack(CASE, found, at(4, "09:00"), at=3)
    used = story.run(found, {MADE: 50}, at(5, "08:00"), at=3)
    asked = Asked(story, Seed(item=BAD), hazard=hazard)
    assert asked.status(asked.find(CASE, "output")) == "certain"
    for item in found:
        assert asked.status(asked.find(item, "used", used)) == "possible"
        assert asked.content(asked.find(item, "used", used))[0] == "0"
    made = asked.find(MADE, "output", used)
    assert asked.status(made) == "possible"


@NATURES
def test_goods_found_in_a_unit_that_a_run_put_out_may_be_of_it_though_their_lot_lay_beside(hazard: Hazard) -> None:
    """That they were packed from there is only our reading."""
    story = _with_stock_at_two()
    story.make({FOUND: 80}, at(1, "08:00"), at=2)
    story.run({BAD: 100}, {CASE: None}, at(2, "08:00"), at=2)
    _send_case(story)
    story.unpack(CASE, {FOUND: 50}, at(4, "09:00"), at=3)
    assert _status_of_use(story, hazard) == {"possible"}


@NATURES
def test_goods_found_in_a_unit_before_a_run_put_it_out_are_none_of_that_run(hazard: Hazard) -> None:
    story = Chronicle()
    story.ship({CASE: None}, at(1, "05:00"), at=3, to=2)
    story.receive({CASE: None}, at(1, "06:00"), at=2)
    story.unpack(CASE, {FOUND: 50}, at(1, "07:00"), at=2)
    story.run({FOUND: 50}, {MADE: 50}, at(1, "07:30"), at=2)
    story.ship({CASE: None}, at(1, "08:00"), at=2, to=4)
    _with_stock_at_two(story)
    story.run({BAD: 100}, {CASE: None}, at(2, "08:00"), at=2)
    asked = Asked(story, Seed(item=BAD), hazard=hazard)
    assert not {FOUND, MADE} & {one.item for one in asked.scope.reached}
