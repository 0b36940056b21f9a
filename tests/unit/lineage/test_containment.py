"""node/lineage/containment: what was in a unit, from when until when."""

from node.epcis.model import Action, EventType, Interval
from node.lineage.containment import Contents, Stay
from node.lineage.facts import open_facts
from node.lineage.readings import Readings
from node.lineage.timeline import FOREVER_MS
from tests.support.chronicle import Chronicle, carriers_of, codes_of, goods_of
from tests.support.events import at, build_event, lot, place, serial, unit

FLOUR, CAKE, PIECE, OTHER = lot("1", "F1"), lot("4", "C"), serial("5", "1"), serial("5", "2")


def contents(story: Chronicle) -> Contents:
    reader = story.index()
    return open_facts(reader, Readings(), as_of_ms=None, known_at=reader.height).containment.contents_of(unit(1))


def times(stays: tuple[Stay, ...]) -> list[tuple[int, int]]:
    return [(stay.lo_ms, stay.hi_ms) for stay in stays]


def test_stay_lasts_from_packing_to_unpacking() -> None:
    """And for ever, if nothing ended it."""
    story = Chronicle()
    story.pack(unit(1), [PIECE, OTHER], at(1, "08:00"))
    story.unpack(unit(1), [PIECE], at(1, "09:00"))
    found = contents(story).stays
    assert times(found[PIECE]) == [(at(1, "08:00"), at(1, "09:00"))]
    assert times(found[OTHER]) == [(at(1, "08:00"), FOREVER_MS)]


def test_unpacking_without_children_empties_the_unit() -> None:
    """DELETE that lists nothing means all."""
    story = Chronicle()
    story.pack(unit(1), [PIECE, OTHER], at(1, "08:00"))
    story.unpack(unit(1), (), at(1, "09:00"))
    assert {stay.hi_ms for stays in contents(story).stays.values() for stay in stays} == {at(1, "09:00")}


def test_partial_unpacking_leaves_the_rest() -> None:
    """A class leaves when as much was unpacked as was packed, in any number of steps."""
    story = Chronicle()
    story.pack(unit(1), {FLOUR: 15}, at(1, "08:00"))
    story.pack(unit(1), {FLOUR: 10}, at(1, "08:30"))
    story.unpack(unit(1), {FLOUR: 10}, at(1, "09:00"))
    assert times(contents(story).stays[FLOUR]) == [(at(1, "08:00"), FOREVER_MS)]
    story.unpack(unit(1), {FLOUR: 15}, at(1, "10:00"))
    assert times(contents(story).stays[FLOUR]) == [(at(1, "08:00"), at(1, "10:00"))]


def test_unknown_amount_leaves_the_rest_possible() -> None:
    """Taken out without an amount: some may be inside still. Never with an amount: it is out."""
    story = Chronicle()
    story.pack(unit(1), {FLOUR: 15}, at(1, "08:00"))
    story.unpack(unit(1), [FLOUR], at(1, "09:00"))
    assert times(contents(story).stays[FLOUR]) == [(at(1, "08:00"), FOREVER_MS)]
    bare = Chronicle()
    bare.pack(unit(1), [FLOUR], at(1, "08:00"))
    bare.unpack(unit(1), [FLOUR], at(1, "09:00"))
    assert times(contents(bare).stays[FLOUR]) == [(at(1, "08:00"), at(1, "09:00"))]


def test_wide_times_pack_at_the_earliest_and_unpack_at_the_latest() -> None:
    """A packing of which only the day is known was inside from the day's first moment."""
    story = Chronicle()
    day = Interval(at(1, "00:00"), at(1, "23:59"))
    story.pack(unit(1), [PIECE], day)
    story.unpack(unit(1), [PIECE], day)
    assert times(contents(story).stays[PIECE]) == [(at(1, "00:00"), at(1, "23:59"))]


def test_contents_first_seen_at_unpacking_were_inside_since_the_unit_was_last_empty() -> None:
    """A reading, marked and flagged."""
    story = Chronicle()
    story.see([unit(1)], at(1, "07:00"))
    story.unpack(unit(1), [PIECE], at(1, "09:00"))
    story.unpack(unit(1), [OTHER], at(1, "10:00"))
    found = contents(story)
    assert times(found.stays[PIECE]) == [(at(1, "07:00"), at(1, "09:00"))]
    assert times(found.stays[OTHER]) == [(at(1, "09:00"), at(1, "10:00"))]
    assert all(stay.inferred for stays in found.stays.values() for stay in stays)
    assert [note.code for note in found.notes] == ["unpacked_without_packing"] * 2
    assert "contents_inferred" in codes_of(story.forward(PIECE))


def test_sighting_adds_what_was_not_known_and_flags_what_is_missing() -> None:
    """OBSERVE tells what is inside as seen: nothing is taken out by it."""
    story = Chronicle()
    story.pack(unit(1), [PIECE], at(1, "08:00"))
    story.observe_unit(unit(1), [OTHER], at(1, "09:00"), step="inspecting")
    found = contents(story)
    assert times(found.stays[PIECE]) == [(at(1, "08:00"), FOREVER_MS)]
    assert found.stays[OTHER][0].inferred
    assert [note.code for note in found.notes] == ["contents_differ"]


def test_unit_made_anew_or_ended_is_empty() -> None:
    """Nothing stays inside what begins, or is no more."""
    story = Chronicle()
    story.pack(unit(1), [PIECE], at(1, "08:00"))
    story.end([unit(1)], at(1, "09:00"))
    story.make([unit(1)], at(2, "08:00"))
    assert times(contents(story).stays[PIECE]) == [(at(1, "08:00"), at(1, "09:00"))]


def test_unpacking_does_not_end_an_association() -> None:
    """A sensor rides on until its own event takes it off."""
    story = Chronicle()
    story.add(build_event(EventType.ASSOCIATION, at(1, "07:00"), action=Action.ADD, goods=[OTHER], parent=unit(1)))
    story.pack(unit(1), [PIECE], at(1, "08:00"))
    story.unpack(unit(1), (), at(1, "09:00"))
    found = contents(story).stays
    assert times(found[OTHER]) == [(at(1, "07:00"), FOREVER_MS)]
    assert times(found[PIECE]) == [(at(1, "08:00"), at(1, "09:00"))]


def test_piece_put_on_a_tracked_tray_stays_in_its_unit() -> None:
    """An association is no second unit: the piece rides on both."""
    story = Chronicle()
    story.make([PIECE], at(1, "07:00"))
    story.pack(unit(1), [PIECE], at(1, "08:00"))
    tray = serial("7", "tray")
    story.add(build_event(EventType.ASSOCIATION, at(1, "09:00"), action=Action.ADD, goods=[PIECE], parent=tray))
    story.run([unit(1)], {CAKE: 5}, at(2, "08:00"))
    assert times(contents(story).stays[PIECE]) == [(at(1, "08:00"), FOREVER_MS)]
    assert CAKE in goods_of(story.forward(PIECE))


def test_piece_packed_into_a_second_unit_has_left_the_first() -> None:
    """Whatever the first one's record says."""
    story = Chronicle()
    story.pack(unit(1), [PIECE], at(1, "08:00"))
    story.pack(unit(2), [PIECE], at(1, "09:00"))
    story.ship([unit(1)], at(1, "10:00"), to=2)
    answer = story.forward(PIECE)
    assert carriers_of(answer) == {unit(1), unit(2)}
    assert not any(event.step == "shipping" for event in answer.events)


def test_lot_may_lie_in_several_units_at_once() -> None:
    """Only pieces are in one place."""
    story = Chronicle()
    story.make({FLOUR: 10}, at(1, "07:00"))
    story.pack(unit(1), {FLOUR: 5}, at(1, "08:00"))
    story.pack(unit(2), {FLOUR: 5}, at(1, "09:00"))
    story.ship([unit(1)], at(1, "10:00"), to=2)
    answer = story.forward(FLOUR)
    assert carriers_of(answer) == {unit(1), unit(2)}
    assert {holder.status for holder in answer.holders} == {"held", "in_transit"}


def test_place_as_a_parent_holds_nothing() -> None:
    """What is mounted at a site is not packed in it."""
    story = Chronicle()
    story.add(build_event(EventType.ASSOCIATION, at(1, "07:00"), action=Action.ADD, goods=[PIECE], parent=place(1)))
    answer = story.forward(PIECE)
    assert carriers_of(answer) == set()
