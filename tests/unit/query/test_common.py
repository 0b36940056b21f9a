"""node/query/common: several bad lots, and the source that was planted for them to be found."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from msgspec.structs import replace

from node.epcis.model import MasterKind, MasterRecord
from node.lineage.reader import LineageReader
from node.query.common_answer import CommonAnswer, CommonCandidate, CommonRequest
from node.query.common_text import WARNINGS, render_common
from node.query.errors import UnknownItemError
from node.query.service import QueryService
from tests.support.chronicle import Chronicle
from tests.support.events import at, lot, party, place, product_class
from tests.support.memory_index import MemoryIndex, build_master

MILLS, BAKERY, SHOP = (1, 2, 3), 5, 6
LINES = (f"{place(BAKERY)}/254/MIXER1", f"{place(BAKERY)}/254/MIXER2")
FLOUR, SALT, DOUGH, BREAD = "1", "2", "3", "4"


class Works:
    """A bakery over ten days: flour lots of three mills and one salt into doughs on two lines, each into 4 breads."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        self.story = story = Chronicle()
        self.breads: list[str] = []
        self.flour_of: dict[str, tuple[str, ...]] = {}
        self.line_of: dict[str, tuple[str, int]] = {}
        self.mill_of: dict[str, int] = {}
        for number in range(10, 11):
            story.make({lot(SALT, f"S{number}"): 900}, at(1, "01:00"), at=4)
        stock: list[str] = []
        for day in range(1, 11):
            for mill in MILLS:
                flour = lot(FLOUR, f"F{mill}-{day}")
                self.mill_of[flour] = mill
                story.make({flour: 100}, at(day, "02:00"), at=mill)
                story.ship({flour: 100}, at(day, "03:00"), at=mill, to=BAKERY)
                story.receive({flour: 100}, at(day, "04:00"), at=BAKERY, source=mill)
                stock.append(flour)
            for batch in range(4):
                flours = tuple(chance.sample(stock[-9:], 2))
                dough = lot(DOUGH, f"D{day}-{batch}")
                line = LINES[batch % 2]
                story.run(
                    {**dict.fromkeys(flours, 10), lot(SALT, "S10"): 1},
                    {dough: 21},
                    at(day, f"{6 + batch:02d}:00"),
                    at=BAKERY,
                )
                row = story.rows[-1]
                story.rows[-1] = replace(row, event=replace(row.event, read_point=line))
                made = [lot(BREAD, f"B{day}-{batch}-{loaf}") for loaf in range(4)]
                story.run({dough: 21}, dict.fromkeys(made, 5), at(day, f"{12 + batch:02d}:00"), at=BAKERY)
                for bread in made:
                    self.breads.append(bread)
                    self.flour_of[bread] = flours
                    self.line_of[bread] = (line, day)
        for mill in MILLS:
            story.name_place(mill, mill)

    def ask(self, items: list[str], *, limit: int = 20) -> CommonAnswer:
        return ask(self.story.index(), items, limit=limit)


def ask(index: MemoryIndex, items: list[str], *, limit: int = 20) -> CommonAnswer:
    @contextmanager
    def reader() -> Iterator[LineageReader]:
        yield index

    return QueryService(reader).common(CommonRequest(items=tuple(items), limit=limit))


def first(answer: CommonAnswer, kind: str) -> CommonCandidate:
    return next(one for one in answer.candidates if one.kind == kind)


@pytest.mark.parametrize("seed", range(6))
def test_a_planted_lot_is_found(seed: int) -> None:
    """Half of the breads of one flour lot are known to be bad, in any order, and one bread is bad by chance."""
    works = Works(seed)
    chance = random.Random(seed + 100)
    planted = max(sorted(works.mill_of), key=lambda flour: sum(flour in flours for flours in works.flour_of.values()))
    bad = [bread for bread in works.breads if planted in works.flour_of[bread]]
    good = [bread for bread in works.breads if planted not in works.flour_of[bread]]
    seeds = chance.sample(bad, max(3, len(bad) // 2))
    answer = works.ask([*seeds, chance.choice(good)])
    best = answer.candidates[0]
    assert (best.kind, best.id) == ("item", planted)
    assert best.seeds >= len(seeds)
    # Salt is in all that is bad, and in all else.
    salt = next((one for one in answer.candidates if one.id == lot(SALT, "S10")), None)
    assert salt is None or (salt.share == "1.0000" and salt.specificity == "0.5000" and salt.score < best.score)


@pytest.mark.parametrize("seed", range(4))
def test_a_planted_line_is_found(seed: int) -> None:
    """What one mixer made on two days is bad, whatever went into it."""
    works = Works(seed)
    bad = [bread for bread in works.breads if works.line_of[bread] in ((LINES[0], 4), (LINES[0], 5))]
    answer = works.ask(bad)
    line = first(answer, "line")
    assert line.id == LINES[0]
    assert (line.share, line.seeds) == ("1.0000", len(bad))
    assert line.time_fit is not None
    assert line.specificity is not None
    assert line.time_fit > line.specificity
    others = [one for one in answer.candidates if one.kind in ("place", "party") or one.id == LINES[1]]
    assert all(one.score < line.score for one in others)


@pytest.mark.parametrize("seed", range(4))
def test_a_planted_supplier_is_found(seed: int) -> None:
    """All lots of one mill are bad: no single lot explains the breads, the mill's flour does."""
    works = Works(seed)
    chance = random.Random(seed)
    only = [bread for bread in works.breads if any(works.mill_of[flour] == 2 for flour in works.flour_of[bread])]
    answer = works.ask(chance.sample(only, 14), limit=200)
    supplier = first(answer, "supplier")
    assert (supplier.id, supplier.product) == (party(2), product_class(FLOUR))
    assert supplier.share == "1.0000"
    assert supplier.score > first(answer, "item").score


def test_every_candidate_has_a_path_to_each_bad_lot_that_comes_from_it() -> None:
    """From it, event by event, to the lot."""
    works = Works(1)
    bad = [bread for bread in works.breads if works.line_of[bread] == (LINES[1], 3)]
    answer = works.ask(bad, limit=200)
    for one in answer.candidates:
        assert len(one.paths) == one.seeds
        for path in one.paths:
            assert path.steps[-1].item == path.seed
            assert path.steps[-1].event is None
            assert all(step.event is not None for step in path.steps[:-1])
            if one.kind == "item":
                assert path.steps[0].item == one.id


@pytest.mark.parametrize("seed", range(3))
def test_shares_are_those_of_the_closures(seed: int) -> None:
    """FoodChain-Lab's score, counted another way: in how many of the bad lots' closures an item is."""
    works = Works(seed)
    bad = random.Random(seed).sample(works.breads, 9)
    index = works.story.index()
    closures = [{one.id for one in index.closure_of(lot, is_back=True, items_max=1_000).items} for lot in bad]
    answer = works.ask(bad, limit=200)
    counted = {one.id: one.seeds for one in answer.candidates if one.kind == "item"}
    assert counted == {item: sum(item in closure for closure in closures) for item in set().union(*closures)}


def test_quantity_fit_is_the_bad_lots_share_of_what_was_taken() -> None:
    """Of F the bad lots took 20 of 80, of G 60 of 70; what nobody took says nothing."""
    story = Chronicle()
    flour, other = lot(FLOUR, "F"), lot(FLOUR, "G")
    story.make({flour: 1000, other: 100}, at(1, "01:00"))
    for number, (first_taken, second_taken) in enumerate(((10, 30), (10, 30), (60, 10))):
        taken = {flour: first_taken, other: second_taken}
        story.run(taken, {lot(BREAD, f"B{number}"): 40}, at(2, f"0{number + 1}:00"))
    answer = ask(story.index(), [lot(BREAD, "B0"), lot(BREAD, "B1")])
    fits = {one.id: one.quantity_fit for one in answer.candidates if one.kind == "item"}
    assert (fits[flour], fits[other]) == ("0.2500", "0.8571")
    assert answer.controls == 1


def test_without_other_lots_only_the_share_counts_and_it_is_said() -> None:
    """Nothing to compare with."""
    story = Chronicle()
    story.make({lot(FLOUR, "F"): 100}, at(1, "01:00"))
    for number in (1, 2):
        story.run({lot(FLOUR, "F"): 10}, {lot(BREAD, f"B{number}"): 10}, at(2, f"0{number}:00"))
    answer = ask(story.index(), [lot(BREAD, "B1"), lot(BREAD, "B2")])
    assert answer.warnings == ("no_controls",)
    assert answer.candidates[0].specificity is None


def test_the_answer_is_the_same_at_every_node() -> None:
    """Facts in another order and other blocks: one digest, one ranking."""
    works = Works(2)
    bad = works.breads[40:52]
    digests = {ask(works.story.shuffled(seed), bad).digest for seed in range(4)}
    assert digests == {works.ask(bad).digest}
    assert works.ask(bad).digest != works.ask(bad[1:]).digest


def test_bounds_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer controls, fewer peers, or a trace that was cut."""
    works = Works(3)
    bad = works.breads[:4]
    monkeypatch.setattr("node.query.common.PEERS_MAX", 50)
    assert "peers_left_out" in works.ask(bad).warnings
    monkeypatch.setattr("node.query.common.ITEMS_MAX", 12)
    monkeypatch.setattr("node.query.common.SEED_ITEMS_MIN", 3)
    warnings = works.ask(bad).warnings
    assert {"item_limit", "controls_left_out"} <= set(warnings)
    assert set(warnings) <= set(WARNINGS)


def test_what_nobody_recorded_may_be_the_source_and_it_is_said() -> None:
    """Flour that was received from nobody knows where."""
    story = Chronicle()
    story.receive({lot(FLOUR, "F"): 50}, at(1, "01:00"), at=1)
    for number in (1, 2):
        story.run({lot(FLOUR, "F"): 10}, {lot(BREAD, f"B{number}"): 10}, at(1, f"0{number + 3}:00"))
    answer = ask(story.index(), [lot(BREAD, "B1"), lot(BREAD, "B2")])
    assert "unrecorded_sources" in answer.warnings
    assert any("nobody recorded" in line for line in render_common(answer))


def test_controls_are_near_in_time_and_spread() -> None:
    """At most a hundred of the other breads."""
    answer = Works(4).ask(Works(4).breads[:5])
    assert answer.controls == 100


def test_rework_and_units_do_not_stop_it() -> None:
    """A lot that goes round, and one that came on a pallet."""
    story = Chronicle()
    dough = lot(DOUGH, "D")
    story.make({lot(FLOUR, "F"): 50}, at(1, "01:00"))
    story.run({lot(FLOUR, "F"): 50}, {dough: 50}, at(1, "02:00"))
    story.run({dough: 10}, {dough: 10}, at(1, "03:00"))
    for number in (1, 2):
        story.run({dough: 10}, {lot(BREAD, f"B{number}"): 10}, at(1, f"0{number + 3}:00"))
    answer = ask(story.index(), [lot(BREAD, "B1"), lot(BREAD, "B2")])
    assert {one.id for one in answer.candidates if one.kind == "item"} >= {dough, lot(FLOUR, "F")}


def test_an_unknown_lot_is_refused_by_its_place_in_the_list() -> None:
    """With what is near."""
    works = Works(5)
    with pytest.raises(UnknownItemError) as refused:
        works.ask([works.breads[0], lot(BREAD, "B1-O-l0")])
    assert refused.value.field == "params.items[1]"


def test_it_reads_well() -> None:
    """Rank, score, name, what speaks for it, and a way."""
    works = Works(1)
    works.story.masters.append(
        build_master(MasterRecord(MasterKind.PRODUCT, product_class(FLOUR), (("name", "Rye flour"),)), 1)
    )
    planted = lot(FLOUR, "F2-4")
    bad = [bread for bread in works.breads if planted in works.flour_of[bread]]
    lines = list(render_common(works.ask(bad[:6])))
    assert any("Rye flour lot F2-4" in line for line in lines[:3])
    assert "of 6 bad lots come from it, and " in lines[1]
    assert " → " in lines[2]
    assert lines[-1].startswith("digest ")
