"""node/query/scope_picture: a scope as a picture."""

from xml.etree import ElementTree

import pytest

from node.epcis.model import MasterKind, MasterRecord
from node.lineage.hazards import Hazard
from node.lineage.scope import compute_scope
from node.lineage.scope_question import ScopeQuestion, Seed
from node.query.drawing import write_dot, write_mermaid
from node.query.picture import Picture, Side
from node.query.scope_picture import draw_scope
from node.query.svg import write_svg
from tests.support.chronicle import Chronicle
from tests.support.events import at, lot, party, product_class, unit
from tests.support.memory_index import build_master

SVG = "{http://www.w3.org/2000/svg}"
A, B = lot("1", "A"), lot("1", "B")
O1, O2, O3, FOUND = lot("2", "O1"), lot("2", "O2"), lot("2", "O3"), lot("3", "K")


def picture_of(story: Chronicle, seed: str, hazard: Hazard = Hazard.ORIGIN, *, limit: int = 60) -> Picture:
    scope = compute_scope(story.index(), ScopeQuestion((Seed(item=seed),), hazard))
    return draw_scope(scope, story.forward(seed), limit=limit)


def tank() -> Chronicle:
    """Worked example 4 of docs/lineage.md: O1 was drawn before the bad B came, O2 and O3 after."""
    story = Chronicle()
    story.make({A: 50, B: 50}, at(1, "06:00"))
    story.run({A: 50}, {}, at(1, "08:00"), name="T")
    story.run({}, {O1: 30}, at(1, "09:00"), name="T")
    story.run({B: 50}, {}, at(1, "10:00"), name="T")
    story.run({}, {O2: 30}, at(1, "11:00"), name="T")
    story.run({}, {O3: 40}, at(1, "12:00"), name="T")
    return story


def sides(picture: Picture) -> dict[str, Side]:
    return {line.split(",")[0]: box.side for box in picture.boxes for line in box.lines if line.startswith("lot ")}


def test_each_answer_set_has_its_colour_and_says_so() -> None:
    """The seed, what is certain with its amount, and what is excluded and why."""
    picture = picture_of(tank(), B)
    assert sides(picture) == {
        "lot A": Side.EXCLUDED,
        "lot B": Side.SEED,
        "lot O1": Side.EXCLUDED,
        "lot O2": Side.CERTAIN,
        "lot O3": Side.CERTAIN,
    }
    lines = [line for box in picture.boxes for line in box.lines]
    assert any(line.startswith("affected ") for line in lines)
    assert "excluded: it was there before" in lines
    svg = write_svg(picture)
    assert "certain: must hold it" in svg
    assert "excluded" in svg
    for text in (write_dot(picture), write_mermaid(picture)):
        assert "affected" in text


def test_what_only_an_unknown_reaches_stands_apart() -> None:
    """Possible, open: no arrow leads there, and the question is asked."""
    story = Chronicle()
    story.make({A: 100}, at(1, "06:00"))
    story.make({FOUND: 500}, at(1, "09:00"), at=1)
    picture = picture_of(story, A, Hazard.MICROBE)
    assert sides(picture)["lot K"] is Side.OPEN
    assert any("ask " in line for box in picture.boxes for line in box.lines)


def test_units_that_only_carried_are_left_out() -> None:
    """A scope sorts goods."""
    story = tank()
    story.pack(unit(1), {O2: 30}, at(1, "13:00"))
    story.ship([unit(1)], at(1, "14:00"), to=2)
    picture = picture_of(story, B)
    assert not any("unit" in line for box in picture.boxes for line in box.lines)


def test_many_items_are_grouped_by_their_set_too() -> None:
    """Excluded and possible goods of one product are never one box."""
    story = tank()
    for number in range(60):
        story.run({O2: 0.1}, {lot("5", f"P{number}"): 0.1}, at(2, "08:00") + number * 60_000)
    picture = picture_of(story, B, limit=20)
    assert picture.grouped
    root = ElementTree.fromstring(write_svg(picture, narrow=True))
    assert root.get("width") == "360"


@pytest.mark.parametrize("narrow", [False, True])
def test_what_no_arrow_leads_to_is_named_by_its_product_and_stands_last(narrow: bool) -> None:
    """What was asked about comes first, on a telephone and on paper."""
    story = tank()
    product = MasterRecord(MasterKind.PRODUCT, product_class("1"), (("name", "Must"),))
    story.masters.append(build_master(product, 1))
    picture = picture_of(story, B)
    assert ("Must", "lot A", "excluded: another portion") in [box.lines for box in picture.boxes]
    root = ElementTree.fromstring(write_svg(picture, narrow=narrow))
    heights = {element.text or "": int(element.get("y", "0")) for element in root.iter(f"{SVG}text")}
    linked = [y for text, y in heights.items() if text.startswith(("lot B", "lot O2", "lot O3"))]
    assert len(linked) == 3
    assert min(heights["lot A"], heights["lot O1"]) > max(linked)


def test_amounts_are_never_cut_and_whom_to_ask_is_named() -> None:
    """1180…200 kg is another amount than 1180..1200 kg."""
    story = Chronicle()
    story.name_place(1, 1)
    story.masters.append(build_master(MasterRecord(MasterKind.PARTY, party(1), (("name", "Cellar"),)), 1))
    story.make({A: 123456.125}, at(1, "06:00"), at=1)
    story.make({B: 654321.875}, at(1, "09:00"), at=1)
    picture = picture_of(story, A, Hazard.MICROBE)
    assert ("?", "nobody recorded what it was made of", "ask Cellar") in [box.lines for box in picture.boxes]
    for narrow in (False, True):
        root = ElementTree.fromstring(write_svg(picture, narrow=narrow))
        texts = [element.text or "" for element in root.iter(f"{SVG}text")]
        assert any("0..654321.875" in text for text in texts)
