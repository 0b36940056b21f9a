"""node/lineage/links and closure: what is linked to what, against a search over the events themselves."""

import random
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise

import msgspec
import pytest

from consensus.types import Height
from node.epcis.model import Action, Declaration, Event, EventType
from node.lineage.closure import Closure, close_backward, close_forward
from node.lineage.indexing import file_event, lot_of_serial
from node.lineage.items import ItemKind, read_item
from node.lineage.links import Links
from node.lineage.pace import paced
from node.lineage.records import EventRow
from node.wire.codec import MalformedError
from tests.support.events import at, build_event, build_row, lot, place, product_class, serial, unit

WHEN = at(1, "08:00")


def fill(links: Links, rows: list[EventRow], height: int = 1) -> bytes:
    return links.add(Height(height), rows, [file_event(row) for row in rows])[0]


def build(*events: Event) -> Links:
    links = Links()
    fill(links, [build_row(event, number) for number, event in enumerate(events, 1)])
    return links


def ids(links: Links, item: str, walk: Callable[..., Closure] = close_backward, **limits: int) -> list[str]:
    closure = walk(links, links.find(item), edge_count=len(links.sources), **limits)
    return [one.id for one in closure.items]


def make(inputs: dict[str, object], outputs: dict[str, object], run: str | None = None) -> Event:
    return build_event(EventType.TRANSFORMATION, WHEN, inputs=inputs, outputs=outputs, run=run)


def pack(unit_id: str, *goods: str, action: Action = Action.ADD) -> Event:
    return build_event(EventType.AGGREGATION, WHEN, action=action, goods=list(goods), parent=unit_id)


def add(*goods: str, lot_code: str | None = None) -> Event:
    return build_event(EventType.OBJECT, WHEN, action=Action.ADD, goods=list(goods), lot_code=lot_code)


A, B, C, D = (lot("1", code) for code in "ABCD")


def test_runs_link_inputs_to_outputs_both_ways() -> None:
    """Two runs in a row; what is beside them is not reached."""
    links = build(make({A: 5}, {B: 4}), make({B: 4, C: 1}, {D: 5}), make({lot("9", "x"): 1}, {lot("9", "y"): 1}))
    assert set(ids(links, D)) == {D, B, C, A}
    assert set(ids(links, A, close_forward)) == {A, B, D}


def test_events_of_one_run_are_one_run() -> None:
    """Inputs and outputs that a transformationID holds together, in several events."""
    links = build(make({A: 1}, {}, "urn:r"), make({}, {B: 1}, "urn:r"), make({}, {C: 1}, "urn:s"))
    assert ids(links, B) == [B, A]
    assert ids(links, C) == [C]
    assert ids(links, A, close_forward) == [A, B]


def test_amounts_are_what_makings_state_in_all() -> None:
    """One making gives its amount, two their sum; an unknown one, or another unit, gives none."""
    links = build(make({A: 1}, {B: "1.50"}), make({A: 1}, {B: "2.25", C: None}), add(D))
    closure = close_forward(links, links.find(A), edge_count=len(links.sources))
    amounts = {one.id: (one.quantity, one.uom) for one in closure.items}
    assert amounts == {A: (None, None), B: ("3.75", "KGM"), C: (None, None)}
    assert Decimal(amounts[B][0] or 0) == Decimal("3.75")


def test_a_unit_passes_on_what_it_carried_where_it_is_used() -> None:
    """Its other contents stay clean, and the unit is named as one around goods."""
    links = build(pack(unit(1), A, B), pack(unit(2), unit(1)), make({unit(2): None}, {C: 1}))
    closure = close_forward(links, links.find(A), edge_count=len(links.sources))
    assert {one.id: one.is_carrier for one in closure.items} == {A: False, C: False, unit(1): True, unit(2): True}
    assert set(ids(links, C)) == {C, unit(2), unit(1), A, B}


def test_a_unit_that_is_itself_asked_about_passes_to_its_contents() -> None:
    """Also to what was first named when it was unpacked."""
    links = build(pack(unit(1), A), pack(unit(1), B, action=Action.DELETE))
    assert set(ids(links, unit(1), close_forward)) == {unit(1), A, B}


def test_serials_come_from_their_lot() -> None:
    """The lot is named by its code beside the serials alone."""
    links = build(make({A: 1}, {B: 1}), add(serial("1", "s"), lot_code="B"))
    assert set(ids(links, serial("1", "s"))) == {serial("1", "s"), B, A}
    assert serial("1", "s") in ids(links, A, close_forward)


def test_a_place_is_no_unit_and_a_declaration_adds_nothing() -> None:
    """What is mounted at a site is not packed in it; a declaration repeats an event that stands already."""
    links = build(
        build_event(EventType.ASSOCIATION, WHEN, action=Action.ADD, goods=[A], parent=place(1)),
        build_event(EventType.TRANSFORMATION, WHEN, inputs=[A], outputs=[B], declaration=Declaration(1, None, ())),
    )
    assert links.find(place(1)) == 0
    assert ids(links, B) == [B]


def test_a_reader_at_an_earlier_height_sees_no_later_edge() -> None:
    """The count of edges at its height is all that it takes."""
    links = Links()
    fill(links, [build_row(make({A: 1}, {B: 1}), 1)])
    early = links.edge_count(Height(1))
    fill(links, [build_row(make({C: 1}, {A: 1, B: 1}), 2), build_row(pack(unit(1), A), 3)], 2)
    closure = close_backward(links, links.find(B), edge_count=early)
    assert [one.id for one in closure.items] == [B, A]
    assert [one.id for one in close_forward(links, links.find(A), edge_count=early).items] == [A, B]
    assert set(ids(links, B)) == {B, A, C}


@pytest.mark.parametrize("walk", [close_backward, close_forward])
def test_a_limit_is_reported(walk: Callable[..., Closure]) -> None:
    """Never silent, never more; and a closure of just so many items is whole."""
    links = build(make({lot("2", str(n)): 1 for n in range(10)}, {lot("3", str(n)): 1 for n in range(10)}))
    start = links.find(lot("3", "0") if walk is close_backward else lot("2", "0"))
    for items_max, is_cut in ((3, True), (11, False)):
        closure = walk(links, start, edge_count=len(links.sources), items_max=items_max)
        assert (len(closure.items), closure.is_cut) == (items_max, is_cut)


@pytest.mark.parametrize("walk", [close_backward, close_forward])
def test_what_many_runs_cut_off_is_reported_too(walk: Callable[..., Closure]) -> None:
    """Runs have no place in the answer: that it lists fewer items than it may does not make it whole."""
    rows = [make({A: 1}, {B: 1}) for _ in range(5_000)]
    links = build(*rows, make({C: 1}, {A: 1}), make({B: 1}, {D: 1}))
    closure = walk(links, links.find(D if walk is close_backward else C), edge_count=len(links.sources), items_max=20)
    assert closure.is_cut


@pytest.mark.parametrize("walk", [close_backward, close_forward])
def test_a_closure_ticks_on_its_way_and_over_its_rows(walk: Callable[..., Closure]) -> None:
    """So that who asked can end it, and others have their turn."""
    lots = [lot("2", str(number)) for number in range(5_000)]
    links = build(*[make({one: 1}, {other: 1}) for one, other in pairwise(lots)])
    count = 0

    def pulse() -> None:
        nonlocal count
        count += 1

    with paced(pulse):
        ids(links, lots[-1] if walk is close_backward else lots[0], walk)
    assert count >= 12  # 10,000 vertices, and 5,000 rows: one for each 1,024.


def test_rows_load_to_equal_arrays() -> None:
    """A start builds from the rows of the blocks what execution had built, names that share nothing included."""
    chance = random.Random(3)
    rows = [build_row(random_event(chance), number) for number in range(1, 400)]
    whole, again = Links(), Links()
    for height in range(1, 9):
        again.load(fill(whole, rows[50 * (height - 1) : 50 * height], height))
    again.settle(Height(8))
    for name in ("names", "name_ends", "is_run", "is_parent", "first_in", "first_out", "sources", "targets",
                 "notes", "next_in", "next_out", "amounts", "amount_ends"):  # fmt: skip
        assert getattr(whole, name) == getattr(again, name), name
    assert again.edge_count(Height(8)) == whole.edge_count(Height(8))
    assert all(whole.find(item) == again.find(item) for row in rows for item in file_event(row).roles)


ROW = [b"a", b"\1\0\0\0", b"\0\0\0\0", b"\1\0\0\0", b"\0\0\0\0", b"", b""]


def load(row: bytes) -> Links:
    links = Links()
    links.load(row)
    links.settle(Height(1))
    return links


def test_a_row_made_by_hand_is_read() -> None:
    """An item a, made of nothing: what the damaged rows below are altered from."""
    assert ids(load(msgspec.msgpack.encode(ROW)), "a") == ["a"]


@pytest.mark.parametrize(
    "damage",
    [b"", b"\x91\x01"]
    + [
        msgspec.msgpack.encode([*ROW[:place], value, *ROW[place + 1 :]])
        for place, value in ((1, b"abc"), (2, b""), (3, b"\0\0\0\0" * 2), (3, b"\2\0\0\0"), (4, b"\0"))
    ],
)
def test_a_row_that_is_none_is_malformed(damage: bytes) -> None:
    """It is refused by name, and nothing else is raised."""
    with pytest.raises(MalformedError, match="links"):
        load(damage)


def random_event(chance: random.Random) -> Event:
    goods = [lot("1", str(number)) for number in range(40)] + [product_class("5")]
    units = [unit(number) for number in range(12)]
    pick = chance.randrange(10)
    when = WHEN + chance.randrange(10**9)
    if pick < 5:
        return build_event(
            EventType.TRANSFORMATION, when, run=chance.choice([None, None, "urn:a", "urn:b"]),
            inputs=chance.sample(goods + units, chance.randrange(4)), outputs=chance.sample(goods, chance.randrange(4)),
            lot_code=chance.choice([None, "7"]),
        )  # fmt: skip
    if pick < 8:
        return build_event(
            EventType.AGGREGATION, when, action=chance.choice(list(Action)),
            goods=chance.sample(goods + units[:6], chance.randrange(4)), parent=chance.choice([None, *units]),
        )  # fmt: skip
    pieces = [serial("1", str(number)) for number in chance.sample(range(30), 2)]
    return build_event(
        EventType.OBJECT, when, action=chance.choice(list(Action)), goods=pieces, lot_code=str(chance.randrange(40))
    )


def reached(events: list[Event], start: str, *, is_back: bool) -> set[str]:
    """Search the events again and again until nothing is new: the rules, without an array."""
    goods, carriers = {start}, set[str]()
    runs = [(event.transformation_id or str(number), event) for number, event in enumerate(events)]
    while True:
        before = len(goods) + len(carriers)
        for run, event in runs:
            if event.type is EventType.TRANSFORMATION:
                same = [other for name, other in runs if name == run and other.type is EventType.TRANSFORMATION]
                taken = {one.item for other in same for one in other.inputs}
                given = {one.item for other in same for one in other.outputs}
                if is_back and given & goods:
                    goods |= taken
                if not is_back and taken & (goods | carriers):
                    goods |= given
            made = event.outputs if event.type is EventType.TRANSFORMATION else event.goods
            makes = event.type is EventType.TRANSFORMATION or event.action is Action.ADD
            for one in made if makes and event.type in (EventType.TRANSFORMATION, EventType.OBJECT) else ():
                of_lot = lot_of_serial(event, one.item)
                if of_lot is not None and (one.item if is_back else of_lot) in goods:
                    goods.add(of_lot if is_back else one.item)
            inside = {one.item for one in event.goods}
            if event.type is EventType.AGGREGATION and event.parent is not None:
                if event.parent in goods:
                    goods |= inside
                if not is_back and inside & (goods | carriers):
                    carriers.add(event.parent)
        if len(goods) + len(carriers) == before:
            return goods | carriers


@pytest.mark.parametrize("seed", range(12))
def test_closures_are_those_of_a_search_over_the_events(seed: int) -> None:
    """Both ways, from every item of a tangle of runs, units and serials."""
    chance = random.Random(seed)
    events = [random_event(chance) for _ in range(chance.choice([8, 20, 45]))]
    links = build(*events)
    named = {item for number, event in enumerate(events) for item in file_event(build_row(event, number)).roles}
    for item in sorted(named):
        assert read_item(item).kind is not ItemKind.PLACE
        assert set(ids(links, item)) == reached(events, item, is_back=True), item
        assert set(ids(links, item, close_forward)) == reached(events, item, is_back=False), item
