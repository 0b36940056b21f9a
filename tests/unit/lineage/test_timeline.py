"""node/lineage/timeline: which events of an item stand."""

from msgspec.structs import replace

from consensus.types import Digest
from node.crypto.digests import sha256
from node.lineage.timeline import settle
from tests.support.chronicle import Chronicle, codes_of, goods_of, holders_of
from tests.support.events import at, build_row, lot, place, serial

FLOUR, BREAD = lot("1", "F1"), lot("3", "B")


def test_declaration_voids_the_event_of_equal_id_and_content_of_the_same_member() -> None:
    """It is as if the event had not been; what it made is not reached any more."""
    story = Chronicle()
    wrong = story.run({FLOUR: 5}, {BREAD: 5}, at(1, "09:00"), event_id="urn:uuid:1")
    assert goods_of(story.forward(FLOUR)) == {BREAD}
    story.void(wrong, at(2, "08:00"))
    assert goods_of(story.forward(FLOUR)) == set()


def test_declaration_by_another_member_is_a_counter_statement() -> None:
    """Both stand, and nothing is undone."""
    story = Chronicle()
    wrong = story.run({FLOUR: 5}, {BREAD: 5}, at(1, "09:00"), event_id="urn:uuid:1")
    story.void(wrong, at(2, "08:00"), member="rival")
    answer = story.forward(FLOUR)
    assert goods_of(answer) == {BREAD}
    assert codes_of(answer) >= {"counter_statement"}
    assert any(event.voided and event.member == "rival" for event in answer.events)


def test_declaration_with_other_content_voids_nothing() -> None:
    """An eventID is reused in real data: the id alone undoes no event."""
    story = Chronicle()
    story.run({FLOUR: 5}, {BREAD: 5}, at(1, "09:00"), event_id="urn:uuid:1")
    other = Chronicle().run({FLOUR: 6}, {BREAD: 5}, at(1, "09:00"), event_id="urn:uuid:1")
    story.void(other, at(2, "08:00"))
    answer = story.forward(FLOUR)
    assert goods_of(answer) == {BREAD}
    assert "void_without_original" in codes_of(answer)


def test_declaration_without_an_event_id_voids_nothing() -> None:
    """Nothing says which event is meant."""
    story = Chronicle()
    wrong = story.run({FLOUR: 5}, {BREAD: 5}, at(1, "09:00"))
    story.void(wrong, at(2, "08:00"))
    assert goods_of(story.forward(FLOUR)) == {BREAD}


def test_correction_is_an_ordinary_event() -> None:
    """After a void and a corrected event only the corrected run is walked."""
    story = Chronicle()
    other = lot("4", "C")
    story.make({FLOUR: 5}, at(1, "08:00"))
    wrong = story.run({FLOUR: 5}, {other: 5}, at(1, "09:00"), event_id="urn:uuid:1")
    story.void(wrong, at(2, "08:00"))
    story.run({FLOUR: 5}, {BREAD: 5}, at(1, "09:00"), event_id="urn:uuid:2")
    assert goods_of(story.forward(FLOUR)) == {BREAD}
    assert story.back(BREAD).origins == (FLOUR,)


def test_known_at_leaves_out_what_later_blocks_entered() -> None:
    """Before the declaration's block the run stood."""
    story = Chronicle()
    wrong = story.run({FLOUR: 5}, {BREAD: 5}, at(1, "09:00"), event_id="urn:uuid:1")
    story.void(wrong, at(2, "08:00"))
    assert goods_of(story.forward(FLOUR, known_at=1)) == {BREAD}
    assert story.forward(FLOUR, known_at=1).height == 1
    assert goods_of(story.forward(FLOUR)) == set()


def test_as_of_leaves_out_what_cannot_have_happened_by_then() -> None:
    """All is computed as if a later event did not exist."""
    story = Chronicle()
    story.make({FLOUR: 5}, at(1, "08:00"))
    story.ship({FLOUR: 5}, at(1, "10:00"), to=2)
    story.run({FLOUR: 5}, {BREAD: 5}, at(2, "09:00"), at=2)
    answer = story.forward(FLOUR, as_of_ms=at(1, "09:00"))
    assert goods_of(answer) == set()
    assert holders_of(answer, FLOUR) == [(place(1), "held")]
    assert answer.as_of == "2026-01-05T09:00:00.000Z"
    assert BREAD in goods_of(story.forward(FLOUR, as_of_ms=at(2, "09:00")))


def test_two_members_reports_of_one_event_are_one_event_with_witnesses() -> None:
    """Equal in all but eventID, record time and member."""
    story = Chronicle()
    story.make({FLOUR: 5}, at(1, "08:00"), event_id="urn:uuid:1")
    story.make({FLOUR: 5}, at(1, "08:00"), event_id="urn:uuid:2", member="baker")
    answer = story.forward(FLOUR)
    assert answer.items[0].quantity == "5"
    assert not answer.warnings


def test_one_members_equal_events_under_two_ids_are_two_and_flagged() -> None:
    """It may have made 5 twice at once; pieces cannot be made twice."""
    story = Chronicle()
    story.make({FLOUR: 5}, at(1, "08:00"), event_id="urn:uuid:1")
    story.make({FLOUR: 5}, at(1, "08:00"), event_id="urn:uuid:2")
    answer = story.forward(FLOUR)
    assert answer.items[0].quantity == "10"
    assert codes_of(answer) == {"told_twice"}
    pieces = Chronicle()
    pieces.make([serial("1", "a")], at(1, "08:00"), event_id="urn:uuid:1")
    pieces.make([serial("1", "a")], at(1, "08:00"), event_id="urn:uuid:2")
    assert pieces.forward(serial("1", "a")).items[0].quantity == "1"


def test_event_sent_twice_is_one_event() -> None:
    """Equal in everything: the one first on the ledger stands for both."""
    story = Chronicle()
    event = story.make({FLOUR: 5}, at(1, "08:00"), event_id="urn:uuid:1")
    story.add(event)
    answer = story.forward(FLOUR)
    assert answer.items[0].quantity == "5"
    assert len(answer.events) == 1
    assert answer.events[0].id == f"{story.rows[0].transaction_id.hex()}:0"


def test_settling_nothing_gives_nothing() -> None:
    """An item of which only a void remains has no events."""
    assert settle([]).entries == ()


def test_declaration_repeated_is_noted_once() -> None:
    """Two copies of one declaration are one statement."""
    story = Chronicle()
    wrong = Chronicle().run({FLOUR: 5}, {BREAD: 5}, at(1, "09:00"), event_id="urn:uuid:1")
    story.run({FLOUR: 6}, {BREAD: 5}, at(1, "09:00"))
    story.void(wrong, at(2, "08:00"))
    story.rows.append(replace(build_row(story.rows[-1].event, 9), transaction_id=Digest(sha256(b"again"))))
    assert [warning.code for warning in story.forward(FLOUR).warnings].count("void_without_original") == 1
