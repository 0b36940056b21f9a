"""node/lineage/custody and readings: who held the goods of an event, and how it moves them."""

from typing import Any

import pytest

from consensus.types import Height
from node.epcis.model import Action, EventType, MasterKind, MasterRecord
from node.lineage.custody import NOBODY, Custody, Holder, Masters, ask_whom, build_holder
from node.lineage.readings import Movement, Readings
from tests.support.events import at, build_event, build_row, lot, party, place
from tests.support.memory_index import MemoryIndex, build_master

GOODS = [lot("1", "a")]
READINGS = Readings()


def custody(*owners: tuple[str, int, str], known_at: int = 9) -> Custody:
    """Return custody with master data: (place, party, member)."""
    masters = [
        build_master(MasterRecord(MasterKind.LOCATION, site, (("owning_party", party(owner)),)), 5, member=member)
        for site, owner, member in owners
    ]
    return Custody(Masters(MemoryIndex(masters=masters), known_at=Height(known_at)), READINGS)


def holder(where: Custody, step: str | None = None, **fields: Any) -> Holder:
    event = build_event(EventType.OBJECT, at(1, "08:00"), action=Action.OBSERVE, goods=GOODS, step=step, **fields)
    return where.holder_of(build_row(event, 1))


def test_possessing_party_by_direction_comes_first() -> None:
    """The source's of an outbound step, the destination's of an inbound one."""
    both = {"sources": (("possessing_party", party(1)),), "destinations": (("possessing_party", party(2)),)}
    known = custody((place(1), 7, "mill"))
    assert holder(known, "shipping", location=place(1), **both).party == party(1)
    assert holder(known, "receiving", location=place(1), **both).party == party(2)
    assert holder(known, "inspecting", location=place(1), **both).party == party(7)


def test_party_of_the_place_is_read_from_master_data() -> None:
    """Of the place itself, else of its site."""
    ward = f"{place(1)}/254/ward-1"
    known = custody((place(1), 7, "mill"))
    assert holder(known, location=ward) == build_holder(party(7), ward)


def test_two_statements_that_differ_leave_the_party_open() -> None:
    """The goods are then with the party at that place, whoever it is."""
    known = custody((place(1), 7, "mill"), (place(1), 8, "baker"))
    assert holder(known, location=place(1)) == build_holder(None, place(1))
    assert ask_whom(build_holder(None, place(1))) == f"the party at {place(1)}"


def test_later_master_data_are_not_known_yet() -> None:
    """A question as of an earlier height does not know what was entered later."""
    known = custody((place(1), 7, "mill"), known_at=4)
    assert holder(known, location=place(1)).party is None


def test_replaced_master_data_stand_at_the_height_that_they_stood_at() -> None:
    """Same height, same answer: also after somebody corrected a place's party."""
    record = MasterRecord(MasterKind.LOCATION, place(1), (("owning_party", party(7)),))
    changed = MasterRecord(MasterKind.LOCATION, place(1), (("owning_party", party(8)),))
    index = MemoryIndex(masters=[build_master(record, 2), build_master(changed, 6)])
    for height, expected in ((1, None), (2, party(7)), (5, party(7)), (6, party(8))):
        known = Custody(Masters(index, known_at=Height(height)), READINGS)
        assert holder(known, location=place(1)).party == expected, height


def test_submitting_member_holds_only_where_no_place_is_named() -> None:
    """Members submit for others."""
    assert holder(custody()) == build_holder("mill", None)
    assert holder(custody(), location=place(1)).party is None


def test_outbound_step_names_its_read_point_first_and_others_their_location() -> None:
    """The dock that goods leave by, the place that they are at."""
    assert holder(custody(), "shipping", location=place(1), read_point=place(2)).site == place(2)
    assert holder(custody(), "receiving", location=place(1), read_point=place(2)).site == place(1)
    assert holder(custody(), "receiving", destinations=(("location", place(3)),)).site == place(3)
    assert holder(custody(), "shipping", sources=(("location", place(3)),)).site == place(3)


def test_receiver_and_sender_are_possessing_party_then_the_places_then_the_owner() -> None:
    """Nothing stated is nobody."""
    known = custody((place(2), 7, "mill"))
    owner = ("owning_party", party(9))

    def event(*destinations: tuple[str, str]) -> Holder | None:
        return known.receiver_of(
            build_event(EventType.OBJECT, at(1, "08:00"), goods=GOODS, destinations=destinations, sources=destinations)
        )

    assert event(owner, ("location", place(2)), ("possessing_party", party(8))) == build_holder(party(8), place(2))
    assert event(owner, ("location", place(2))) == build_holder(party(7), place(2))
    assert event(owner) == build_holder(party(9), None)
    assert event() is None
    assert event(("other", "x")) is None
    stated = build_event(EventType.OBJECT, at(1, "08:00"), goods=GOODS, sources=(owner,))
    assert known.sender_of(stated) == build_holder(party(9), None)
    assert known.sender_of(build_event(EventType.OBJECT, at(1, "08:00"), goods=GOODS)) is None
    assert (
        known.sender_of(build_event(EventType.OBJECT, at(1, "08:00"), goods=GOODS, sources=(("other", "x"),))) is None
    )
    assert ask_whom(NOBODY) == "unknown"


@pytest.mark.parametrize(
    ("fields", "movement"),
    [
        ({"step": "departing"}, Movement.OUTBOUND),
        ({"step": "unloading"}, Movement.INBOUND),
        ({"step": "inspecting"}, Movement.PRESENCE),
        ({"step": "retail_selling"}, Movement.END),
        ({"step": "urn:gdst:bizStep:landing"}, Movement.PRESENCE),
        ({"disposition": "in_transit"}, Movement.PRESENCE),
        ({"disposition": "in_transit", "destinations": (("location", place(2)),)}, Movement.OUTBOUND),
        (
            {"disposition": "in_transit", "location": place(2), "destinations": (("location", place(2)),)},
            Movement.PRESENCE,
        ),
        ({"action": Action.DELETE}, Movement.END),
    ],
)
def test_step_and_disposition_say_how_goods_move(fields: dict[str, object], movement: Movement) -> None:
    """Unknown words are presence; in transit to elsewhere is outbound."""
    given: dict[str, Any] = {"action": Action.OBSERVE, "goods": GOODS, **fields}
    event = build_event(EventType.OBJECT, at(1, "08:00"), **given)
    assert READINGS.movement_of(event) is movement


def test_steps_are_read_on_every_event_type() -> None:
    """A transaction or aggregation event with a receiving step receives."""
    for kind in (EventType.TRANSACTION, EventType.AGGREGATION, EventType.ASSOCIATION):
        event = build_event(kind, at(1, "08:00"), action=Action.OBSERVE, goods=GOODS, step="receiving")
        assert READINGS.movement_of(event) is Movement.INBOUND


def test_industry_words_join_a_group_by_parameter() -> None:
    """A network may say that landing is an inbound step."""
    landing = "urn:gdst:bizStep:landing"
    event = build_event(EventType.OBJECT, at(1, "08:00"), action=Action.OBSERVE, goods=GOODS, step=landing)
    assert Readings(inbound_steps=frozenset({landing})).movement_of(event) is Movement.INBOUND
