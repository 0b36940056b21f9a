"""node/query/starts: from what a case names to the items that a trace begins from."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from msgspec.structs import replace

from node.errors import RequestError
from node.lineage.answer import Answer
from node.lineage.reader import LineageReader
from node.lineage.trace import Direction
from node.query.errors import UnknownItemError, UnknownSeedError
from node.query.scopes import SeedRequest
from node.query.service import QueryService
from node.query.text import render_trace
from tests.support.chronicle import Chronicle
from tests.support.events import at, lot, party, place, product_class, serial, unit

F1, F2, D1, D2, B1, B2 = lot("1", "F1"), lot("1", "F2"), lot("2", "D1"), lot("2", "D2"), lot("3", "B1"), lot("3", "B2")
PALLET = unit(7)


def bakery() -> Chronicle:
    """Two flours into two doughs at site 2 of party 2, two breads; B1 on a pallet to site 3."""
    story = Chronicle()
    story.make({F1: 100}, at(1, "08:00"), at=1)
    story.make({F2: 100}, at(2, "08:00"), at=1)
    story.ship({F1: 100}, at(1, "09:00"), at=1, to=2)
    story.receive({F1: 100}, at(1, "12:00"), at=2)
    story.ship({F2: 100}, at(2, "09:00"), at=1, to=2)
    story.receive({F2: 100}, at(2, "12:00"), at=2)
    story.run({F1: 100}, {D1: 150}, at(1, "13:00"), at=2, name="mix-1")
    story.run({F2: 100}, {D2: 150}, at(2, "13:00"), at=2, name="mix-2")
    story.run({D1: 150}, {B1: 140}, at(1, "15:00"), at=2, name="bake-1")
    story.run({D2: 150}, {B2: 140}, at(2, "15:00"), at=2, name="bake-2")
    story.pack(PALLET, {B1: 140}, at(1, "18:00"), at=2)
    story.ship([PALLET], at(1, "19:00"), at=2, to=3)
    story.name_place(1, 1)
    story.name_place(2, 2)
    return story


def asking(story: Chronicle) -> QueryService:
    index = story.index()

    @contextmanager
    def reader() -> Iterator[LineageReader]:
        yield index

    return QueryService(reader)


def ask(direction: Direction, *seeds: SeedRequest, **how: int) -> Answer:
    return asking(bakery()).trace(seeds, direction, **how)  # type: ignore[arg-type]  # The names are the service's own.


def goods(answer: Answer) -> set[str]:
    return {item.id for item in answer.items if item.role == "goods"}


def begun(answer: Answer) -> list[set[str]]:
    return [set(seed.items) for seed in answer.seeds]


def test_a_list_of_n_lots_arrives_as_n() -> None:
    """Each seed comes back, in order, the same one twice as two; the trace is of all of them."""
    answer = ask(Direction.BACK, SeedRequest(item=B1), SeedRequest(item=D2), SeedRequest(item=B1))
    assert begun(answer) == [{B1}, {D2}, {B1}]
    assert goods(answer) == {B1, D1, F1, D2, F2}
    assert answer.item is None
    assert set(answer.origins) == {F1, F2}
    assert set(answer.destinations) == {B1, D2}


def test_one_item_is_one_question_however_it_is_put() -> None:
    """As a seed or by itself: one answer, one digest."""
    one = ask(Direction.BACK, SeedRequest(item=B1))
    other = asking(bakery()).trace(B1, Direction.BACK)
    assert one == other
    assert begun(other) == [{B1}]


def test_every_item_has_a_path_to_what_was_asked_about() -> None:
    """Following `because` ends at a seed, over events that are in the answer."""
    answer = ask(Direction.FORWARD, SeedRequest(item=F1), SeedRequest(item=F2))
    causes = {item.id: item.because for item in answer.items}
    events = {event.id for event in answer.events}
    for item in answer.items:
        steps, here = 0, item.id
        while (cause := causes[here]) is not None:
            assert cause.event in events
            here, steps = cause.item, steps + 1
        assert here in (F1, F2)
        assert steps == item.depth


def test_a_pallet_begins_a_trace_of_what_is_in_it() -> None:
    """By its SSCC."""
    assert goods(ask(Direction.BACK, SeedRequest(item=PALLET))) == {PALLET, B1, D1, F1}


def test_a_run_begins_from_what_it_put_out() -> None:
    """By its transformationID; one that nobody named is refused."""
    answer = ask(Direction.FORWARD, SeedRequest(run="mix-2"))
    assert begun(answer) == [{D2}]
    assert goods(answer) == {D2, B2}
    with pytest.raises(RequestError, match="no run is called mix-9"):
        ask(Direction.BACK, SeedRequest(run="mix-9"))


def test_a_place_and_a_window_begin_from_what_was_there_then() -> None:
    """What had left before, or came after, is not meant."""
    window = SeedRequest(holder=place(2), since="2026-01-05T12:30:00Z", until="2026-01-05T14:00:00Z")
    assert begun(ask(Direction.FORWARD, window)) == [{F1, D1}]
    later = SeedRequest(holder=place(2), since="2026-01-06T16:00:00Z")
    assert begun(ask(Direction.FORWARD, later)) == [{B2}]


def test_a_window_bounds_the_walk_on_both_ways() -> None:
    """Forward from then on; backward until then."""
    story = bakery()
    story.run({F1: 1}, {lot("4", "T1"): 1}, at(1, "12:15"), at=2)
    story.run({F1: 1}, {lot("4", "T2"): 1}, at(1, "13:45"), at=2)
    seed = SeedRequest(
        holder=place(2), since="2026-01-05T13:20:00Z", until="2026-01-05T14:30:00Z", product=product_class("1")
    )
    answer = asking(story).trace((seed,), Direction.FORWARD)
    assert begun(answer) == [{F1}]
    assert lot("4", "T2") in goods(answer)
    assert lot("4", "T1") not in goods(answer)


def test_a_party_and_product_begin_from_all_its_places() -> None:
    """Events name the place alone; master data say whose it is."""
    answer = ask(Direction.FORWARD, SeedRequest(holder=party(2), product=product_class("2")))
    assert begun(answer) == [{D1, D2}]
    assert begun(ask(Direction.BACK, SeedRequest(holder=party(2), product=B1))) == [{B1, B2}]


def test_a_place_had_what_came_in_units() -> None:
    """Received by the SSCC alone, and not before it came."""
    story = bakery()
    story.receive([PALLET], at(1, "21:00"), at=3)
    service = asking(story)
    came = SeedRequest(holder=place(3), since="2026-01-05T20:30:00Z")
    assert begun(service.trace((came,), Direction.BACK)) == [{PALLET, B1}]
    before = SeedRequest(holder=place(3), until="2026-01-05T17:00:00Z")
    with pytest.raises(RequestError, match="nothing that was asked about"):
        service.trace((before,), Direction.BACK)


def test_an_equipment_run_begins_from_what_the_line_put_out_then() -> None:
    """A line is a GLN with an extension."""
    line = f"{place(2)}/254/OVEN1"
    story = Chronicle()
    for day in (1, 2, 3):
        story.run({F1: 10}, {lot("5", f"C{day}"): 10}, at(day, "10:00"), at=2)
        row = story.rows[-1]
        story.rows[-1] = replace(row, event=replace(row.event, read_point=line))
    seed = SeedRequest(holder=line, since="2026-01-06T00:00:00Z", until="2026-01-06T23:59:59Z")
    assert begun(asking(story).trace((seed,), Direction.FORWARD)) == [{lot("5", "C2")}]


def test_serials_and_products_begin_a_trace() -> None:
    """A piece by its serial; a product as any of its lots, with a warning."""
    story = bakery()
    piece = serial("9", "S1")
    story.run({B2: 1}, [piece], at(3, "08:00"), at=2)
    assert F2 in goods(asking(story).trace((SeedRequest(item=piece),), Direction.BACK))
    answer = asking(story).trace((SeedRequest(item=product_class("3")),), Direction.BACK)
    assert goods(answer) >= {B1, B2, F1, F2}


def test_limits_of_depth_and_items_are_said() -> None:
    """Never silent."""
    deep = ask(Direction.FORWARD, SeedRequest(item=F1), SeedRequest(item=F2), depth_max=1)
    assert goods(deep) == {F1, F2, D1, D2}
    assert "depth_limit" in {one.code for one in deep.warnings}
    full = ask(Direction.FORWARD, SeedRequest(item=F1), SeedRequest(item=F2), items_max=3)
    assert len(full.items) == 3
    assert "item_limit" in {one.code for one in full.warnings}


def test_a_holder_with_too_many_events_is_said_to_be_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest are looked at, and the seed says that there are more."""
    monkeypatch.setattr("node.query.starts.HOLDER_EVENTS_MAX", 2)
    answer = ask(Direction.FORWARD, SeedRequest(holder=place(2)))
    assert answer.seeds[0].left_out
    assert "seed_items_left_out" in {one.code for one in answer.warnings}


def test_a_holder_with_too_many_items_gives_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there long ago is cut off first."""
    monkeypatch.setattr("node.query.starts.ITEMS_JUDGED_MAX", 2)
    answer = ask(Direction.FORWARD, SeedRequest(holder=place(2), since="2026-01-06T16:00:00Z"))
    assert answer.seeds[0].left_out
    assert begun(answer) == [{B2}]


def test_both_ways_hold_at_one_height() -> None:
    """On one snapshot."""
    both = asking(bakery()).trace_both((SeedRequest(item=D1),))
    assert goods(both.back) == {D1, F1}
    assert goods(both.forward) >= {D1, B1}
    assert both.back.height == both.forward.height == both.height


def test_several_roots_are_shown_as_several_trees() -> None:
    """Each seed begins a line of its own."""
    lines = list(render_trace(ask(Direction.BACK, SeedRequest(item=B1), SeedRequest(item=B2))))
    roots = [line for line in lines[: lines.index("")] if not line.startswith((" ", "│", "├", "└"))]
    assert len(roots) == 2


@pytest.mark.parametrize(
    ("seed", "field"),
    [
        (SeedRequest(), "params.seeds[1]"),
        (SeedRequest(item=B1, run="mix-1"), "params.seeds[1]"),
        (SeedRequest(item=B1, since="2026-01-05T00:00:00Z"), "params.seeds[1]"),
        (SeedRequest(item=B1, event="00:0"), "params.seeds[1]"),
        (SeedRequest(holder=place(2), since="monday"), "params.seeds[1].from"),
    ],
)
def test_a_seed_that_cannot_be_read_is_refused_by_its_number(seed: SeedRequest, field: str) -> None:
    """So a long list can be mended."""
    with pytest.raises(RequestError) as refused:
        ask(Direction.BACK, SeedRequest(item=B1), seed)
    assert refused.value.field == field


def test_an_unknown_lot_in_a_list_is_named_with_what_is_near() -> None:
    """The list is refused as a whole: an answer to a part would be taken for all."""
    with pytest.raises(UnknownItemError) as refused:
        ask(Direction.BACK, SeedRequest(item=B1), SeedRequest(item=lot("3", "8Z")))
    assert refused.value.field == "params.seeds[1].item"
    assert B2 in refused.value.near


def test_a_window_in_which_nothing_was_there_is_refused() -> None:
    """An empty trace would look like an all-clear."""
    seed = SeedRequest(holder=place(3), until="2026-01-05T12:30:00Z")
    with pytest.raises(RequestError, match="nothing that was asked about"):
        ask(Direction.FORWARD, seed)


def test_a_holder_that_nobody_named_is_refused_beside_others_too() -> None:
    """It is mistyped: the trace would be of the rest, as if nothing had been there."""
    with pytest.raises(UnknownSeedError, match="as a place or party") as refused:
        ask(Direction.FORWARD, SeedRequest(item=B1), SeedRequest(holder=place(9)))
    assert refused.value.field == "params.seeds[1].holder"
