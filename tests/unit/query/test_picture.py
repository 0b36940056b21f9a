"""node/query/picture, svg and drawing: a trace as a picture."""

import re
import time
from xml.etree import ElementTree

import pytest
from msgspec.structs import replace

from node.epcis.model import MasterKind, MasterRecord
from node.lineage.answer import Answer, OpenFlags
from node.query.drawing import plain, shorten, write_dot, write_mermaid
from node.query.picture import Kind, Picture, Side, called, draw
from node.query.svg import NARROW_WIDTH, write_svg
from tests.support.chronicle import Chronicle
from tests.support.events import at, lot, party, product_class, unit
from tests.support.memory_index import build_master

F1, S1, D1, B1, B2, X = lot("1", "F1"), lot("4", "S1"), lot("2", "D1"), lot("3", "B1"), lot("3", "B2"), lot("5", "X9")
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = (
    "<script>alert(1)</script>",
    'a"b\\c',
    "line\nbreak\r\tand\x00nul\x1b[31m",
    "\u202eevil\u202c",
    "مخبز الشرق",
    "]]> --> end %% click n0 href",
    "#quot;&quot;|`$(rm)`",
    "面包" * 40,
)


def bakery(name: str = "Old Bakery") -> Chronicle:
    story = Chronicle()
    story.make({F1: 500}, at(1, "08:00"), at=1)
    story.make({S1: 40}, at(1, "08:00"), at=1)
    story.receive({X: 60}, at(1, "09:00"), at=2)
    story.run({F1: 450, S1: 8, X: 60}, {D1: 500}, at(2, "04:00"), at=2, name="mix")
    story.run({D1: 500}, {B1: 300, B2: 150}, at(2, "06:00"), at=2)
    story.pack(unit(7), {B1: 300}, at(2, "08:00"), at=2)
    story.ship([unit(7)], at(2, "09:00"), at=2, to=3)
    story.name_place(2, 2)
    story.masters.append(build_master(MasterRecord(MasterKind.PARTY, party(2), (("name", name),)), 1))
    story.masters.append(
        build_master(MasterRecord(MasterKind.PRODUCT, product_class("3"), (("name", "Rye bread"),)), 1)
    )
    return story


def both(story: Chronicle, item: str) -> tuple[Answer, Answer]:
    return story.back(item), story.forward(item)


def many(count: int) -> Answer:
    """A flour that 8 bakeries make into `count` breads of 3 products."""
    story = Chronicle()
    story.make({F1: count}, at(1, "01:00"), at=1)
    for number in range(count):
        bread = lot(str(10 + number % 3), f"B{number}")
        story.run({F1: 1}, {bread: 2}, at(2, "00:00") + number * 1_000, at=2 + number % 8)
    return story.forward(F1)


def label_of(picture: Picture, source: str, target: str) -> str:
    names = [" ".join(box.lines) for box in picture.boxes]
    return next(one.label for one in picture.arrows if source in names[one.source] and target in names[one.target])


def test_what_came_and_what_went_are_told_apart() -> None:
    """The item that was asked about, what it came from, what it went into; each in its colour."""
    picture = draw(both(bakery(), D1))
    sides = {box.lines[-2]: box.side for box in picture.boxes if box.kind is Kind.ITEM}
    assert sides["lot D1, 500 kg"] is Side.SEED
    assert sides["lot F1, 500 kg"] is Side.BACK
    assert sides["lot B1, 300 kg"] is Side.FORWARD
    svg = write_svg(picture)
    assert "asked about" in svg
    assert "where it came from" in svg
    assert "where it went" in svg


def test_arrows_say_how_much() -> None:
    """What a run took in, and what it put out: not what it took in for each of its outputs."""
    picture = draw(both(bakery(), D1))
    assert label_of(picture, "lot F1", "lot D1") == "450 kg"
    assert label_of(picture, "lot S1", "lot D1") == "8 kg"
    assert label_of(picture, "lot D1", "run") == "500 kg"
    assert label_of(picture, "run", "lot B2") == "150 kg"
    assert "450 kg" in write_svg(picture)


def test_unknowns_are_dashed_and_say_whom_to_ask() -> None:
    """Where something came from that nobody recorded; where something went."""
    picture = draw(both(bakery(), D1))
    unknowns = [box for box in picture.boxes if box.kind is Kind.UNKNOWN]
    assert any("ask Old Bakery" in box.lines for box in unknowns)
    assert all(arrow.unknown for arrow in picture.arrows if picture.boxes[arrow.source] in unknowns)
    assert "stroke-dasharray" in write_svg(picture)
    assert "style=dashed" in write_dot(picture)
    assert "-.->" in write_mermaid(picture)


def test_two_thousand_items_are_drawn_by_party_and_product() -> None:
    """With their count and sum; the picture says that it did so, and from how many on."""
    answer = many(2_000)
    started = time.monotonic()
    picture = draw([answer])
    svg = write_svg(picture)
    assert time.monotonic() - started < 2
    assert picture.grouped
    assert len(picture.boxes) == 25
    assert "2,001 items, more than the 60 that are drawn one by one" in picture.notes[0]
    assert "of one party and product" in picture.notes[0]
    assert sum(int(box.lines[1].split()[0]) for box in picture.boxes if box.kind is Kind.GROUP) == 2_000
    assert "2,001 items" in svg


def test_too_many_groups_are_drawn_by_product_then_the_rest_together() -> None:
    """Down to the limit that was asked for."""
    picture = draw([many(60)], limit=10)
    assert len(picture.boxes) == 4
    assert "of one product" in picture.notes[0]
    story = Chronicle()
    story.make({F1: 100}, at(1, "01:00"), at=1)
    for number in range(30):
        story.run({F1: 1}, {lot(str(100 + number), "B"): 2}, at(2, "00:00") + number, at=2)
    picture = draw([story.forward(F1)], limit=5)
    assert len(picture.boxes) <= 7
    assert any("other products" in line for box in picture.boxes for line in box.lines)


def test_of_very_many_arrows_the_thickest_are_drawn_and_it_is_said() -> None:
    """Each box keeps one that comes to it."""
    story = Chronicle()
    flours = [lot(str(200 + number), "F") for number in range(16)]
    for flour in flours:
        story.make({flour: 10}, at(1, "01:00"), at=1)
    for number in range(64):
        story.run(dict.fromkeys(flours, 1), {lot(str(300 + number % 16), f"B{number}"): 2}, at(2, "00:00"), at=2)
    answer = story.forward(flours[0])
    picture = draw([answer, story.back(lot("300", "B0"))], limit=40)
    assert picture.grouped
    assert len(picture.arrows) <= 160


def test_what_the_answer_left_out_is_said_in_the_picture() -> None:
    """A picture is often all that is passed on."""
    picture = draw([bakery().back(B1, depth_max=1)])
    assert any("depth limit" in note for note in picture.notes)


def test_open_flags_are_said_in_the_picture() -> None:
    """Whoever sees it sees that something is not settled."""
    answer = replace(bakery().back(B1), open_flags=OpenFlags(high=2, warn=0, note=1, height=9, complete=True))
    assert "Open flags: 2 high, 1 note" in draw([answer]).notes


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(name: str) -> None:
    """In SVG no element and no control character, in DOT no end of a string, in Mermaid no syntax."""
    picture = draw(both(bakery(name), D1))
    for svg in (write_svg(picture), write_svg(picture, narrow=True)):
        root = ElementTree.fromstring(svg.encode())
        tags = {element.tag for element in root.iter()}
        assert tags <= {SVG + tag for tag in ("svg", "title", "desc", "rect", "defs", "marker", "path", "text", "g")}
        assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", svg)
    dot = write_dot(picture)
    for line in dot.splitlines():
        bare = line.replace("\\\\", "").replace('\\"', "")
        assert bare.count('"') % 2 == 0, line
    mermaid = write_mermaid(picture)
    assert "<script" not in mermaid
    words = r'"[^"\\<>`|]*(<br/>[^"\\<>`|]*)*"'
    known = re.compile(rf"  (n\d+\W+{words}\W+:::\w+|n\d+ \S+(\|{words}\|)? n\d+|classDef .*|%% .*)")
    for line in mermaid.splitlines()[1:]:
        assert known.fullmatch(line), line


def test_names_are_shortened_in_the_middle_and_told_in_full_beside_it() -> None:
    """Codes differ at their ends."""
    assert shorten("LOT-2026-03-11-0000000000000-A7", 20) == "LOT-2026-03-1…000-A7"
    assert plain("a\u202eb\x00c\nd\ud800") == "a b c d"
    svg = write_svg(draw([bakery("B" * 80).forward(D1)]))
    assert "B" * 80 in svg


def test_a_narrow_picture_is_as_wide_as_a_telephone() -> None:
    """Nothing stands out of it."""
    for picture in (draw(both(bakery(), D1)), draw([many(200)])):
        root = ElementTree.fromstring(write_svg(picture, narrow=True))
        assert root.get("width") == str(NARROW_WIDTH)
        for rect in root.iter(f"{SVG}rect"):
            assert 0 <= int(rect.get("x", "0")) + int(rect.get("width", "0")) <= NARROW_WIDTH


def test_a_narrow_picture_says_amounts_that_meet_inside_the_box() -> None:
    """Three labels beside one another would not be read."""
    svg = write_svg(draw([bakery().back(D1)]), narrow=True)
    assert "← 450 kg" in svg
    assert "← 8 kg" in svg


def test_rework_is_drawn_there_and_back() -> None:
    """Two arrows between two boxes, and not one on the other."""
    story = Chronicle()
    story.make({F1: 10}, at(1, "01:00"))
    crumb = lot("6", "R1")
    story.run({F1: 10}, {D1: 10}, at(1, "02:00"))
    story.run({D1: 4}, {crumb: 4}, at(1, "03:00"))
    story.run({crumb: 4}, {D1: 4}, at(1, "04:00"))
    picture = draw([story.forward(F1)])
    pairs = {(one.source, one.target) for one in picture.arrows}
    assert any((target, source) in pairs for source, target in pairs)
    paths = re.findall(r'<path d="(M[^"]+)" fill="none"', write_svg(picture))
    assert len(set(paths)) == len(picture.arrows)


def test_whom_to_ask_is_said_without_its_address() -> None:
    """A GLN as it is printed, where nobody gave a name."""
    assert called(f"the party at {party(2)}") == f"the party at GLN {party(2).rpartition('/')[2]}"
    assert called("Old Bakery") == "Old Bakery"


def test_the_same_answer_is_the_same_picture() -> None:
    """At every node, whatever order the events arrived in."""
    story = bakery()
    assert write_svg(draw(both(story, D1))) == write_svg(draw(both(story, D1)))


def test_a_picture_is_for_people_who_do_not_see_it_too() -> None:
    """It has a title, a description, and each box its full text."""
    root = ElementTree.fromstring(write_svg(draw([bakery().back(B1)])))
    assert root.get("role") == "img"
    title = root.find(f"{SVG}title")
    assert title is not None
    assert "Rye bread" in str(title.text)
    boxes = [group.find(f"{SVG}title") for group in root.iter(f"{SVG}g")]
    assert any(B1 in str(box.text) for box in boxes if box is not None)


def test_an_item_whose_id_says_nothing_is_called_by_its_id() -> None:
    """A URI of one's own has no product and no code: its amount alone would name it nowhere."""
    own, other = "https://mill.example/heaps/7", "urn:uuid:3fa85f64-5717-4562-b3fc-2c963f66afa6"
    story = Chronicle()
    story.make({own: 500}, at(1, "08:00"), at=1)
    story.run({own: 450}, {other: 440}, at(1, "09:00"), at=1)
    picture = draw([story.back(other)])
    named = {box.lines[0] for box in picture.boxes if box.kind is Kind.ITEM}
    assert named == {own, other}
    assert other in picture.title
    for text in (write_svg(picture), write_dot(picture), write_mermaid(picture)):
        assert "500 kg" in text
    for narrow in (False, True):
        root = ElementTree.fromstring(write_svg(picture, narrow=narrow))
        written = "".join(element.text or "" for element in root.iter(f"{SVG}text"))
        assert own in written
        assert other in written


def test_a_name_makes_no_directive_of_a_mermaid_comment() -> None:
    """`%%{init: …}%%` anywhere changes how Mermaid draws, in what only describes the picture, too."""
    name = '%%%{init: {"securityLevel": "loose"}}%%%'
    story = bakery()
    story.masters = [build_master(MasterRecord(MasterKind.PRODUCT, product_class("2"), (("name", name),)), 1)]
    mermaid = write_mermaid(draw(both(story, D1)))
    assert "securityLevel" in mermaid
    assert "%%{" not in mermaid
    assert all(line.count("%%") == line.startswith("  %%") for line in mermaid.splitlines())
