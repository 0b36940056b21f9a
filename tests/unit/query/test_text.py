"""node/query/text: a trace for people."""

import pytest
from msgspec import structs

from node.epcis.model import MasterKind, MasterRecord
from node.lineage.answer import OpenFlags
from node.query.picture import draw
from node.query.text import amount_words, render_trace, time_words
from tests.support.chronicle import Chronicle
from tests.support.events import at, lot, party, place, product_class, serial, unit
from tests.support.memory_index import build_master

FLOUR, DOUGH, BREAD, CAKE = lot("1", "F1"), lot("2", "D"), lot("3", "B"), lot("4", "C")


def bakery() -> Chronicle:
    story = Chronicle()
    story.name_place(1, 1)
    record = MasterRecord(MasterKind.PRODUCT, product_class("3"), (("descriptionShort", "Rye bread"),))
    story.masters.append(build_master(record, 1))
    story.make({FLOUR: 100}, at(1, "08:00"))
    story.run({FLOUR: 60}, {DOUGH: 60}, at(1, "09:00"))
    story.run({DOUGH: 60}, {BREAD: 50, CAKE: 10}, at(1, "10:00"))
    story.run({CAKE: 10}, {BREAD: 10}, at(1, "11:00"))
    story.pack(unit(1), {BREAD: 60}, at(1, "12:00"))
    story.ship([unit(1)], at(1, "13:00"), to=2)
    return story


def lines(answer_of: str = "forward") -> list[str]:
    story = bakery()
    return list(render_trace(story.forward(FLOUR) if answer_of == "forward" else story.back(BREAD)))


def test_tree_shows_product_lot_quantity_place_and_time() -> None:
    """One line an item, under what it came from."""
    text = "\n".join(lines())
    assert "Rye bread lot B, 60 kg" in text
    assert "60 kg used" in text
    assert "Site 1" in text
    assert "   " in text
    assert f"unit {unit(1).rpartition('/')[2]}" in text


def test_branch_that_was_shown_is_not_shown_again() -> None:
    """Bread comes straight from dough, and by way of cake."""
    text = lines()
    assert sum("Rye bread lot B, 60 kg  ·" in line for line in text) == 2
    assert sum("branch is above" in line for line in text) == 1


def test_way_back_ends_with_origins_and_forward_with_holders() -> None:
    """And what is not known, and the digest."""
    back = lines("back")
    assert "origins:" in back
    assert any(line.startswith("digest ") for line in back)
    forward = lines()
    assert "last known with:" in forward
    assert any("on its way to" in line for line in forward)
    assert any("nobody recorded its receipt; ask" in line for line in forward)


def test_long_tree_is_cut_and_says_so() -> None:
    """All of it is in the JSON."""
    story = Chronicle()
    for number in range(40):
        story.run({FLOUR: 1}, {lot("3", f"B{number}"): 1}, at(1, "09:00") + number * 1000)
    answer = story.forward(FLOUR)
    text = list(render_trace(answer, lines_max=10))
    assert any(line.startswith("… 31 more items") for line in text)
    assert any(line.strip() == "… and 28 more (--json has all)" for line in text)
    assert not any("more items" in line for line in render_trace(answer))


def test_deep_tree_needs_no_recursion() -> None:
    """As deep as a chain is long."""
    story = Chronicle()
    for number in range(2_000):
        story.run({lot("2", f"D{number}"): 1}, {lot("2", f"D{number + 1}"): 1}, at(1, "08:00") + number * 1000)
    assert len(list(render_trace(story.forward(lot("2", "D0")), lines_max=5_000))) > 2_000


def test_serial_shows_its_lot_and_an_opaque_item_its_id() -> None:
    """What is known, and nothing made up."""
    story = Chronicle()
    bar = serial("5", "1")
    story.make({"urn:uuid:x": 5}, at(1, "08:00"))
    story.run(["urn:uuid:x"], [bar], at(1, "09:00"), lot_code="L")
    text = "\n".join(render_trace(story.back(bar)))
    assert f"{product_class('5')} 1 (lot L)" in text
    assert "urn:uuid:x, 5 kg" in text


def test_warnings_and_unknowns_are_in_words() -> None:
    """Each with the item that it is about."""
    story = Chronicle()
    story.make({FLOUR: 5}, at(1, "08:00"))
    story.see({FLOUR: 5}, at(1, "09:00"), at=4)
    text = "\n".join(render_trace(story.forward(FLOUR)))
    assert "worth a look:" in text
    assert "moved here without a record; ask the party at" in text
    assert place(4) in text


def test_who_is_to_be_asked_is_named_where_master_data_name_him() -> None:
    """A party's id says nothing to a person."""
    story = Chronicle()
    story.name_place(4, 4)
    story.masters.append(build_master(MasterRecord(MasterKind.PARTY, party(4), (("name", "Corner shop"),)), 1))
    story.make({FLOUR: 5}, at(1, "08:00"))
    story.see({FLOUR: 5}, at(1, "09:00"), at=4)
    assert any(line.endswith("ask Corner shop") for line in render_trace(story.forward(FLOUR)))


def test_a_sender_is_to_be_asked_by_its_name_though_it_entered_nothing() -> None:
    """Whoever is outside the network is in no event of his own, and is whom one has to ring up."""
    story = Chronicle()
    for subject, name in ((party(5), "Miller"), (place(6), "Old quay")):
        kind = MasterKind.PARTY if subject == party(5) else MasterKind.LOCATION
        story.masters.append(build_master(MasterRecord(kind, subject, (("name", name),)), 1))
    story.receive({FLOUR: 5}, at(1, "08:00"), at=4, source=5)
    story.receive({BREAD: 5}, at(1, "08:00"), at=6)
    for item, asked in ((FLOUR, "Miller"), (BREAD, "the party at Old quay")):
        answer = story.back(item)
        assert [one.ask_name for one in answer.unknowns] == [asked]
        assert any(line.endswith(f"ask {asked}") for line in render_trace(answer))
        assert any(f"ask {asked}" in box.lines for box in draw([answer]).boxes)


def test_unit_in_a_unit_has_no_pieces() -> None:
    """A pallet is a pallet, not one piece of something."""
    story = Chronicle()
    story.pack(unit(1), {FLOUR: 5}, at(1, "08:00"))
    story.pack(unit(2), [unit(1)], at(1, "09:00"))
    text = "\n".join(render_trace(story.forward(FLOUR)))
    assert "5 kg packed" in text
    assert "piece" not in text


def test_amounts_are_in_the_units_words() -> None:
    """No unit means pieces; an unknown unit keeps its code."""
    assert amount_words("1", None) == "1 piece"
    assert amount_words("2", None) == "2 pieces"
    assert amount_words("5", "KGM") == "5 kg"
    assert amount_words("5", "XYZ") == "5 XYZ"


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ("2026-03-02T08:00:00.000+01:00", "2026-03-02 08:00 +01:00"),
        ("2026-03-02T08:00:00-05:00", "2026-03-02 08:00 -05:00"),
        ("2026-03-02T08:00:00Z", "2026-03-02 08:00 UTC"),
        ("2026-03-02T08:00:00.123", "2026-03-02 08:00"),
    ],
)
def test_a_time_keeps_its_offset(sent: str, words: str) -> None:
    """08:00 in one zone may be after 09:00 in another: what is shown must say which it is."""
    assert time_words(sent) == words


def test_open_flags_are_counted_in_words() -> None:
    """With what to ask next; where not all items were looked at, that is said."""
    told = Chronicle()
    told.make({lot("1", "A"): 5}, at(1, "08:00"))
    answer = told.back(lot("1", "A"))
    assert not [line for line in render_trace(answer) if line.startswith("open flags")]
    for flags, words in (
        (OpenFlags(2, 0, 1, 7, complete=True), "open flags: 2 high, 1 note ("),
        (OpenFlags(0, 0, 0, 7, complete=True), "open flags: none"),
        (OpenFlags(0, 0, 0, 7, complete=False), "open flags: none among those looked at"),
        (OpenFlags(0, 3, 0, 7, complete=False), "open flags: at least 3 warn ("),
    ):
        lines = list(render_trace(structs.replace(answer, open_flags=flags)))
        assert [line for line in lines if line.startswith(words)]
