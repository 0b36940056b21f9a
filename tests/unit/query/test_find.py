"""node/query/find: an item by what is left of its label."""

import json

import pytest

from node.epcis.model import MasterKind, MasterRecord
from node.errors import RequestError
from node.lineage.records import EventRow
from node.query.find import FindRequest, find
from node.query.find_text import render_found
from tests.support.chronicle import Chronicle
from tests.support.events import at, lot, party, place, product_class, unit
from tests.support.memory_index import MemoryIndex, build_master

RYE, WHEAT = lot("1", "L0T-2026-B8"), lot("1", "W-77")
BREAD = lot("3", "L0T-2026-B8")
PALLET = unit(7)


def bakery() -> MemoryIndex:
    story = Chronicle()
    story.make({RYE: 500}, at(1, "08:00"), at=1)
    story.make({WHEAT: 500}, at(3, "08:00"), at=1)
    story.ship({RYE: 500}, at(2, "08:00"), at=1, to=2)
    story.receive({RYE: 500}, at(2, "12:00"), at=2)
    story.run({RYE: 500}, {BREAD: 700}, at(3, "09:00"), at=2)
    story.pack(PALLET, {BREAD: 100}, at(3, "12:00"), at=2)
    story.name_place(2, 9)
    for kind, id_field, name in (
        (MasterKind.PRODUCT, product_class("1"), "Rye flour, dark"),
        (MasterKind.PRODUCT, product_class("3"), "Züricher Brot"),
        (MasterKind.PARTY, party(9), "Old Mill Bakery"),
    ):
        story.masters.append(build_master(MasterRecord(kind, id_field, (("name", name),)), 1, member="bakery"))
    return story.index()


def ids(**asked: object) -> list[str]:
    request = FindRequest(**asked)  # type: ignore[arg-type]  # The names are the request's own.
    return [one.id for one in find(bakery(), request).found]


@pytest.mark.parametrize(
    "text",
    [
        "L0T-2026-B8",
        "LOT2026B8",
        "lot 2o26 88",
        "IOT-2026-B8",
        "XOT-2026-B8",
        "0T-2026-B8",
        "L0T-2?26-B8",
        "*26-B8",
        "L0T-20*",
    ],
)
def test_a_misread_code_is_found_wherever_it_was_misread(text: str) -> None:
    """Look-alikes, one wrong or missing character at the beginning, unreadable ones, a part."""
    assert set(ids(text=text)) == {RYE, BREAD}


def test_each_match_says_which_characters_were_read_otherwise() -> None:
    """The person with the label can look again."""
    one = find(bakery(), FindRequest(text="XOT-2026-B8", product=product_class("1"))).found[0]
    assert one.id == RYE
    assert one.distance == 1
    assert [(two.kind, two.place, two.read, two.actual) for two in one.differences] == [
        ("other", 1, "X", "L"),
        ("look_alike", 2, "O", "0"),
    ]
    assert one.reasons[0] == "its code differs: X is L at 1; O is 0 at 2 (they look alike)"


def test_a_misread_product_number_is_found_by_the_whole_id() -> None:
    """One wrong digit of the GTIN, so that its check digit is wrong, and the lot beside it."""
    gtin = RYE.split("/")[4]
    misread = "7" + gtin[1:]
    assert ids(text=f"(01){misread}(10)L0T-2026-B8")[0] == RYE


def test_a_misread_pallet_number_is_found() -> None:
    """SSCC codes are eighteen digits, and often smudged."""
    digits = PALLET.rpartition("/")[2]
    assert ids(text="9" + digits[1:]) == [PALLET]
    assert ids(text=digits[:9] + "?" + digits[10:]) == [PALLET]


@pytest.mark.parametrize("code", ["40000011", "400000112345", "4000001123456", "40000011234567"])
def test_a_lot_code_of_as_many_digits_as_a_gtin_is_found(code: str) -> None:
    """It is not taken for a product alone."""
    story = Chronicle()
    story.make({lot("8", code): 1}, at(1, "08:00"))
    found = find(story.index(), FindRequest(text=code)).found
    assert [one.code for one in found] == [code]


def test_words_of_a_product_find_its_lots() -> None:
    """By their beginnings, without accents, and with a character misread."""
    assert ids(text="zuricher brot") == [BREAD]
    assert set(ids(text="flour rye")) == {RYE, WHEAT}
    assert set(ids(product="Rye fluor")) == {RYE, WHEAT}
    assert [name.id for name in find(bakery(), FindRequest(text="old mill")).names] == [party(9)]


def test_dates_places_and_parties_narrow_the_search() -> None:
    """All of the question holds for each item found."""
    assert ids(product=product_class("1"), made=True, since="2026-01-07T00:00:00Z") == [WHEAT]
    assert ids(product=product_class("1"), place=place(2)) == [RYE]
    assert ids(text="LOT2026B8", place="Site 2", until="2026-01-06T13:00:00Z") == [RYE]
    assert set(ids(party="Old Mill Bakery")) == {RYE, BREAD, PALLET}
    assert set(ids(place=place(2), since="2026-01-07T00:00:00Z")) == {RYE, BREAD, PALLET}
    assert ids(place=place(2), made=True) == [BREAD]


def test_a_product_narrows_what_a_name_found_too() -> None:
    """All that is given holds: the flour is not of the bread."""
    assert ids(text="rye flour", product=product_class("3")) == []


def test_what_was_long_before_a_window_does_not_use_up_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy place: only the events of the window are looked into."""
    story = Chronicle()
    for number in range(40):
        story.make({lot("1", f"OLD{number}"): 1}, at(1, "08:00") + number, at=1)
    story.make({lot("1", "NEW"): 1}, at(2, "08:00"), at=1)
    monkeypatch.setattr("node.query.find.EVENTS_READ_MAX", 45)
    answer = find(story.index(), FindRequest(place=place(1), since="2026-01-06T00:00:00Z"))
    assert [one.code for one in answer.found] == ["NEW"]
    assert answer.complete


def test_a_date_as_printed_narrows_the_search() -> None:
    """Of its making; of expiry or best before, which only the event as sent has; in both spellings."""
    index = bakery()

    def as_sent(_reader: object, row: EventRow) -> bytes:
        dated = {"ilmd": {"cbvmda:itemExpirationDate": "2026-03-12", "ext:note": "2026-01-01", "bestBeforeDate": 7}}
        makes_rye = any(goods.item == RYE for goods in row.event.goods)
        return json.dumps(dated if makes_rye else {"ilmd": []}).encode()

    def found(date: str) -> list[tuple[str, str]]:
        answer = find(index, FindRequest(product=product_class("1"), date=date), as_sent)
        return [(one.id, one.reasons[-1]) for one in answer.found]

    assert found("2026-03-12") == [(RYE, "itemExpirationDate 2026-03-12")]
    assert found("260312") == found("2026-03-12")
    assert [item for item, _reason in found("2026-01-07")] == [WHEAT]
    assert found("2026-01-01") == []


def test_a_bare_gln_names_place_and_party() -> None:
    """As it is printed."""
    assert set(ids(party=party(9).rpartition("/")[2])) == {RYE, BREAD, PALLET}


def test_an_answer_that_is_cut_short_says_so() -> None:
    """Never silently."""
    answer = find(bakery(), FindRequest(text="LOT2026B8", limit=1))
    assert len(answer.found) == 1
    assert not answer.complete
    assert any("may be more" in line for line in render_found(answer))


@pytest.mark.parametrize(
    "asked", [{}, {"since": "2026-01-01T00:00:00Z"}, {"party": "Nobody Ltd"}, {"since": "monday", "text": "A"}]
)
def test_a_question_that_cannot_be_read_is_refused(asked: dict[str, str]) -> None:
    """With the way out."""
    with pytest.raises(RequestError):
        ids(**asked)


@pytest.mark.parametrize(
    "text", ["\x00", "\ud800", "*" * 500, "?" * 500, "(01)", "https://id.gs1.org/01/", "💥", "' OR 1=1"]
)
def test_hostile_text_finds_nothing_or_little(text: str) -> None:
    """And never fails."""
    assert len(ids(text=text)) <= 20


def test_found_items_read_well() -> None:
    """Name, code, id and why."""
    lines = list(render_found(find(bakery(), FindRequest(text="W-7?"))))
    assert lines[0] == "Rye flour, dark lot W-77"
    assert lines[2].strip() == "its code is the same"
