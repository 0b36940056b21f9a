"""node/lineage/colocation.py: what shared a unit with goods in scope, where a case names co-location."""

import pytest

from node.lineage.hazards import Hazard
from node.lineage.scope_question import Seed
from tests.support.chronicle import Chronicle
from tests.support.events import at, lot, place, serial, unit
from tests.support.scopes import Asked, of_event

X, Y, Z = lot("1", "X"), lot("2", "Y"), lot("3", "Z")
CASE, OTHER, PALLET, TRAILER = unit(1), unit(2), unit(3), unit(4)


def asked(story: Chronicle, *seeds: Seed, hazard: Hazard = Hazard.ALLERGEN) -> Asked:
    return Asked(story, *seeds, hazard=hazard, colocation=True)


def reached(one: Asked) -> set[str]:
    return {vertex.item for vertex in one.scope.reached}


def two_cases() -> Chronicle:
    story = Chronicle()
    story.make({X: 10}, at(1, "06:00"))
    story.make({Y: 10}, at(1, "06:00"))
    story.pack(CASE, {X: 10}, at(1, "08:00"))
    story.pack(OTHER, {Y: 10}, at(1, "08:00"))
    return story


def test_two_cases_on_one_pallet_share_it() -> None:
    story = two_cases()
    story.pack(PALLET, [CASE, OTHER], at(1, "09:00"))
    one = asked(story, Seed(item=X))
    assert one.status(one.find(Y, "held")) == "possible"
    assert one.affected(one.find(Y, "held")) == ("0", "10")


def test_case_shares_its_pallet_with_loose_goods_on_it() -> None:
    story = two_cases()
    story.make({Z: 10}, at(1, "06:00"))
    story.pack(PALLET, [CASE], at(1, "09:00"))
    story.pack(PALLET, {Z: 10}, at(1, "09:00"))
    one = asked(story, Seed(item=X))
    assert one.status(one.find(Z, "held")) == "possible"
    other = asked(story, Seed(item=Z))
    assert other.status(other.find(X, "held")) == "possible"
    assert Y not in reached(one) | reached(other)


def test_pallets_in_one_trailer_share_it_to_the_innermost_case() -> None:
    story = two_cases()
    story.make({Z: 10}, at(1, "06:00"))
    story.pack(PALLET, [CASE], at(1, "09:00"))
    story.pack(TRAILER, [PALLET, OTHER], at(1, "10:00"))
    story.ship([TRAILER], at(1, "11:00"), to=2)
    story.receive([TRAILER], at(1, "15:00"))
    one = asked(story, Seed(item=X))
    assert one.status(one.find(Y, "held")) == "possible"
    assert reached(one) == {X, Y}


def test_goods_that_had_left_the_pallet_before_others_came_shared_nothing() -> None:
    story = two_cases()
    story.pack(PALLET, [CASE], at(1, "09:00"))
    story.unpack(PALLET, [CASE], at(1, "12:00"))
    story.pack(PALLET, [OTHER], at(1, "13:00"))
    assert Y not in reached(asked(story, Seed(item=X)))
    assert X not in reached(asked(story, Seed(item=Y)))


def test_goods_that_had_left_the_case_before_others_came_shared_nothing() -> None:
    story = Chronicle()
    story.make({X: 10}, at(1, "06:00"))
    story.make({Y: 10}, at(1, "06:00"))
    story.pack(CASE, {X: 10}, at(1, "08:00"))
    story.unpack(CASE, {X: 10}, at(1, "10:00"))
    story.pack(CASE, {Y: 10}, at(1, "11:00"))
    assert Y not in reached(asked(story, Seed(item=X)))
    assert X not in reached(asked(story, Seed(item=Y)))


@pytest.mark.parametrize(("clock", "is_linked"), [("12:20", True), ("12:40", False)])
def test_times_of_two_members_tell_apart_who_was_on_the_pallet_only_beyond_their_tolerance(
    clock: str, *, is_linked: bool
) -> None:
    story = two_cases()
    story.pack(PALLET, [CASE], at(1, "09:00"))
    story.unpack(PALLET, [CASE], at(1, "12:00"))
    packed = story.pack(PALLET, [OTHER], at(1, clock))
    story.rows.pop()
    story.add(packed, member="carrier")
    assert (Y in reached(asked(story, Seed(item=X)))) is is_linked


def test_goods_that_went_bad_after_they_had_left_the_pallet_pass_nothing_to_it() -> None:
    """Half of the case was unpacked before the other half came to what is bad."""
    story = two_cases()
    story.pack(PALLET, [CASE, OTHER], at(1, "09:00"))
    story.unpack(PALLET, [OTHER], at(1, "10:00"))
    story.unpack(CASE, {X: 5}, at(1, "10:30"))
    bad = story.make({X: 5}, at(1, "11:00"))
    story.pack(CASE, {X: 5}, at(1, "12:00"))
    one = asked(story, of_event(X, bad))
    assert reached(one) == {X}


def test_shipment_on_its_way_shares_its_trailer() -> None:
    """The seed is the shipment, and nobody has received it yet."""
    story = two_cases()
    story.pack(TRAILER, [CASE, OTHER], at(1, "09:00"))
    sent = story.ship([TRAILER], at(1, "11:00"), to=2)
    one = asked(story, of_event(X, sent))
    assert one.status(one.find(Y, "in_transit")) == "possible"


@pytest.mark.parametrize("hazard", list(Hazard))
def test_what_was_certain_stays_certain_where_the_case_names_colocation(hazard: Hazard) -> None:
    story = two_cases()
    story.pack(PALLET, [CASE, OTHER], at(1, "09:00"))
    story.ship([PALLET], at(1, "11:00"), to=2)
    story.receive([PALLET], at(1, "15:00"))
    plain = Asked(story, Seed(item=X), hazard=hazard)
    wide = asked(story, Seed(item=X), hazard=hazard)
    held = plain.find(X, "held")
    assert plain.status(held) == "certain"
    assert wide.status(wide.find(X, "held")) == "certain"
    assert wide.content(wide.find(X, "held")) == plain.content(held) == ("10", "10")
    assert wide.status(wide.find(Y, "held")) == "possible"
    assert wide.content(wide.find(Y, "held")) == ("0", "10")


def test_what_was_touched_alone_has_no_least() -> None:
    """It came to the pallet clean, and holds none for certain, whoever was beside it."""
    story = two_cases()
    story.pack(PALLET, [CASE, OTHER], at(1, "09:00"))
    story.unpack(PALLET, [OTHER], at(1, "10:00"))
    used = story.run({Y: 10}, {Z: 10}, at(1, "12:00"))
    one = asked(story, Seed(item=X), hazard=Hazard.CHEMICAL)
    assert one.status(one.find(Y, "used", used)) == "possible"
    assert one.content(one.find(Z, "held")) == ("0", "10")
    assert one.affected(one.find(Z, "held")) == ("0", "10")


def test_many_pieces_that_were_packed_one_by_one_share_their_pallet() -> None:
    """More of them than times that are told apart."""
    story = Chronicle()
    pieces = [serial("4", str(number)) for number in range(150)]
    for number, piece in enumerate(pieces):
        story.make([piece], at(1, "06:00"))
        story.pack(PALLET, [piece], at(1, "08:00") + number * 60_000)
    one = asked(story, Seed(item=pieces[0]), hazard=Hazard.MICROBE)
    assert reached(one) >= set(pieces)
    assert place(1) in {vertex.portion.holder.place for vertex in one.scope.reached}


def test_goods_that_shared_a_unit_hold_no_more_than_what_is_bad_there() -> None:
    """1 kg is bad: where amounts may exclude, no more than that is in the goods beside it."""
    story = Chronicle()
    story.make({X: 1}, at(1, "06:00"))
    story.make({Y: 10}, at(1, "06:00"))
    story.pack(CASE, {X: 1, Y: 10}, at(1, "08:00"))
    one = asked(story, Seed(item=X), hazard=Hazard.CHEMICAL)
    assert one.content(one.find(Y, "held")) == ("0", "1")
    assert one.affected(one.find(Y, "held")) == ("0", "10")
