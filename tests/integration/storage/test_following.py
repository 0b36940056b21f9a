"""Flags follow execution: the same for a height however blocks are taken, in whatever order events came, and anew."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.synthetic import build_sound
from consensus.types import Height
from node.ledger.roster import Parameters
from node.lineage.flag_model import Evaluated, Flag
from node.lineage.flags import flags_of_item
from node.lineage.touch import Subject, SubjectKind
from node.storage import following, keys
from node.storage.flags import short_subject
from node.storage.following import follow
from node.storage.index import IndexReader, open_index
from node.storage.store import Row
from tests.support.events import lot, serial, unit
from tests.support.flag_ledger import (
    FlagLedger,
    called,
    clean,
    make,
    on_line,
    pack,
    place_of,
    random_events,
    random_statement,
    receive,
    run,
    ship,
    stated,
    void,
)

FLOUR, BREAD = lot("952110000001", "F1"), lot("952110000002", "B1")
PALLET, BOX = unit(21), serial("952110000003", "S1")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[FlagLedger]:
    one = FlagLedger(tmp_path / "index")
    yield one
    one.close()


def test_flags_stand_at_the_height_that_they_have_followed_to(ledger: FlagLedger) -> None:
    """Until a step is taken, an answer says that they are behind."""
    assert ledger.enter(receive(FLOUR, 30, 9)) == 1
    with ledger.index.reader() as reader:
        assert (reader.height, reader.flags.height) == (1, 0)
    assert ledger.follow() == 1
    with ledger.index.reader() as reader:
        assert reader.flags.height == 1
    assert ledger.codes(FLOUR) == {"receipt_without_shipment"}
    assert follow(ledger.index) is None


def test_late_event_closes_a_flag(ledger: FlagLedger) -> None:
    """A shipment that is entered after its receipt: what it touches is evaluated anew, and no row is left."""
    ledger.enter(make(FLOUR, 30, 7))
    ledger.enter(receive(FLOUR, 30, 9))
    ledger.follow()
    assert ledger.codes(FLOUR) == {"receipt_without_shipment", "moved_without_record"}
    ledger.enter(ship(FLOUR, 30, 8))
    ledger.follow()
    assert ledger.flags() == []
    assert [key for key, _ in ledger.rows()] == [keys.FLAG_MARK]


def test_shipment_becomes_overdue_by_block_time_and_closes_when_it_is_received(tmp_path: Path) -> None:
    """No event is needed for it, only a block that is late enough."""
    ledger = FlagLedger(tmp_path / "index", parameters=Parameters(flag_unmatched_hours=72))
    ledger.enter(make(FLOUR, 30, 7), ship(FLOUR, 30, 8))
    ledger.wait(71)
    ledger.follow()
    assert ledger.codes() == set()
    ledger.wait(2)
    ledger.follow()
    assert ledger.codes(FLOUR) == {"shipment_unmatched"}
    ledger.enter(receive(FLOUR, 30, 90))
    ledger.follow()
    assert ledger.codes() == set()
    ledger.close()


def test_event_of_a_unit_touches_what_was_in_it(ledger: FlagLedger) -> None:
    """A pallet that is seen elsewhere takes its boxes there, though the event does not name them."""
    ledger.enter(make(BOX, 1, 7), pack(PALLET, BOX, 1, 8))
    ledger.follow()
    assert ledger.codes(BOX) == set()
    ledger.enter(pack(PALLET, serial("952110000003", "S2"), 1, 12, at=3))
    ledger.follow()
    assert ledger.codes(BOX) == {"moved_without_record"}


def test_master_data_touch_what_was_at_the_place(ledger: FlagLedger) -> None:
    """Whose place it is says whom to ask; saying it again changes nothing."""
    ledger.enter(receive(FLOUR, 30, 9))
    ledger.follow()
    assert [flag.parties[0][:12] for _, flag in ledger.flags()] == ["the party at"]
    ledger.enter(vocabulary=(place_of(2, 7),))
    ledger.follow()
    assert [flag.parties for _, flag in ledger.flags()] == [("urn:example:firm:7",)]
    ledger.enter(vocabulary=(place_of(2, 7),))
    step = follow(ledger.index)
    assert step is not None
    assert step.subjects == 0


def test_cleaning_touches_the_runs_of_its_line_that_it_says_something_of(ledger: FlagLedger) -> None:
    """Entered after the runs: one that failed, and the verified one that was before them after all."""
    ledger.enter(
        make(FLOUR, 100, 6),
        on_line(run({FLOUR: 50}, {BREAD: 50}, 9)),
        on_line(run({FLOUR: 50}, {}, 9, name="R")),
        on_line(run({}, {BREAD: 50}, 11, name="R")),
    )
    ledger.follow()
    assert ledger.codes() == set()
    ledger.enter(clean(7, passed=False))
    ledger.follow()
    assert {name for name, flag in ledger.flags() if flag.code == "used_dirty"} == {BREAD, "urn:example:run:R"}
    ledger.enter(clean(8), clean(10))
    ledger.follow()
    assert ledger.codes(BREAD) == set()
    assert ledger.codes("urn:example:run:R") == {"run_across_cleaning"}


def test_master_data_touch_what_needs_it_and_what_bears_the_document(ledger: FlagLedger) -> None:
    """A need of the product, what is said of a certificate on the lot's pallet, and whether a supplier is approved."""
    paper = {"bizTransactionList": [{"type": "cert", "bizTransaction": "urn:example:cert:1"}]}
    sender = {"sourceList": [{"type": "possessing_party", "source": "urn:example:firm:9"}]}
    ledger.enter({**receive(FLOUR, 30, 5, at=1), **sender}, pack(PALLET, FLOUR, 30, 6))
    ledger.enter({**ship(PALLET, 1, 7, 1, 1), **paper}, pack(PALLET, FLOUR, 30, 8, 1, "DELETE"))
    ledger.enter(run({FLOUR: 30}, {BREAD: 30}, 9))
    ledger.follow()
    before = ledger.codes()
    product = FLOUR.partition("/10/")[0]
    for kind, subject, name, texts, codes in (
        ("EPCClass", product, "needs", ("testres; from=2025-01-01",), {"certificate_missing"}),
        ("EPCClass", product, "needs", ("cert; from=2025-01-01",), set()),
        ("BusinessTransaction", "urn:example:cert:1", "certificate", ("revoked",), {"certificate_revoked"}),
        ("BusinessTransaction", "urn:example:cert:1", "certificate", ("valid",), set()),
        ("EPCClass", product, "needs", ("supplier; from=2025-01-01",), {"supplier_not_approved"}),
        ("Party", "urn:example:firm:9", "approvedSupplier", ("approved",), set()),
    ):
        ledger.enter(vocabulary=(stated(kind, subject, name, *texts),))
        ledger.follow()
        assert ledger.codes() - before == codes, (subject, texts)


def test_run_is_flagged_once_for_all_its_goods(ledger: FlagLedger) -> None:
    """With a name it is a subject of its own; without one its flags are those of its first output."""
    ledger.enter(make(FLOUR, 100, 7), run({FLOUR: 50}, {BREAD: 60}, 9), run({FLOUR: 50}, {BREAD: 70}, 10, name="R"))
    ledger.follow()
    gains = [(name, flag.amount, flag.items) for name, flag in ledger.flags() if flag.code == "run_gain"]
    assert sorted((name, str(amount)) for name, amount, _ in gains) == [(BREAD, "10"), ("urn:example:run:R", "20")]
    assert all(set(items) == {BREAD, FLOUR} for _, _, items in gains)


def test_event_id_of_two_different_events_is_flagged_until_one_is_void(ledger: FlagLedger) -> None:
    """Both count; the declaration of either closes it."""
    first = called(make(FLOUR, 30, 7), "1")
    ledger.enter(first, called(make(FLOUR, 31, 7), "1"))
    ledger.follow()
    assert ledger.codes("urn:uuid:1") == {"event_id_reused"}
    ledger.enter(void(first))
    ledger.follow()
    assert ledger.codes("urn:uuid:1") == set()


def test_counter_statement_of_another_member_sets_a_flag_aside(ledger: FlagLedger) -> None:
    """Nothing is undone, and the two statements are a flag of their own."""
    received = called(receive(FLOUR, 30, 9), "1")
    ledger.enter(received)
    ledger.enter(void(received), member="firm-1")
    ledger.follow()
    assert {(flag.code, flag.is_countered) for _, flag in ledger.flags() if flag.code != "counter_statement"} == {
        ("receipt_without_shipment", True)
    }
    assert ledger.codes() == {"counter_statement"}


def grown(folder: Path, seed: int, *, step: int | None, shuffle: int | None = None) -> FlagLedger:
    """A ledger of random events; step: events of one step, None for following only at the end."""
    ledger = FlagLedger(folder, parameters=Parameters(flag_unmatched_hours=5))
    chance = random.Random(seed)
    told = random_events(chance, 60)
    if shuffle is not None:
        random.Random(shuffle).shuffle(told)
    while told:
        count = min(len(told), chance.randrange(1, 5))
        for event, member in told[:count]:
            ledger.enter(event, member=member, later_ms=900_000)
        told = told[count:]
        if chance.random() < 0.3:
            ledger.enter(vocabulary=(random_statement(chance),))
        if step is not None:
            ledger.follow(events_max=step)
    ledger.wait(10)
    ledger.follow(events_max=step or 4_000)
    return ledger


def content(ledger: FlagLedger) -> list[tuple[object, ...]]:
    """What is the same however events arrived: all but places on the ledger."""
    return sorted(
        (name, flag.id, flag.code, flag.items, flag.parties, str(flag.amount), str(flag.uom), flag.is_countered)
        for name, flag in ledger.flags()
    )


@pytest.mark.parametrize("seed", range(8))
def test_grouping_of_blocks_changes_no_byte(tmp_path: Path, seed: int) -> None:
    """Block by block, many at once, and all anew: the same rows."""
    stored: list[list[Row]] = []
    for number, step in enumerate((1, 7, None)):
        ledger = grown(tmp_path / str(number), seed, step=step)
        stored.append(ledger.rows())
        ledger.close()
    assert stored[0] == stored[1] == stored[2]
    assert len(stored[0]) > 30


@pytest.mark.parametrize("seed", range(4))
def test_all_anew_equals_what_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """After another version of the rules every subject is evaluated: so none was left stale on the way."""
    ledger = grown(tmp_path / "index", seed, step=3)
    before = ledger.rows()
    monkeypatch.setattr(following, "FLAG_RULES", 10**6)
    ledger.wait(1)
    step = follow(ledger.index)
    assert step is not None and step.height == ledger.index.height  # noqa: PT018 - one thing: it took all at once
    after = ledger.rows()
    assert [row for row in after if row[0] != keys.FLAG_MARK] == [row for row in before if row[0] != keys.FLAG_MARK]
    ledger.close()


@pytest.mark.parametrize("seed", range(4))
def test_arrival_order_changes_no_flag(tmp_path: Path, seed: int) -> None:
    """The same events in another order, by the same members: the same flags, but for their places on the ledger."""
    found = []
    for number, shuffle in enumerate((None, 1, 2)):
        ledger = FlagLedger(tmp_path / str(number))
        told = random_events(random.Random(seed), 60)
        if shuffle is not None:
            random.Random(shuffle).shuffle(told)
        for event, member in told:
            ledger.enter(event, member=member)
        ledger.follow(events_max=9)
        found.append(content(ledger))
        ledger.close()
    assert found[0] == found[1] == found[2]
    assert len(found[0]) > 10


def test_interrupted_step_is_taken_again(ledger: FlagLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step is one atomic write: what crashes before it leaves the flags at the height before."""
    ledger.enter(receive(FLOUR, 30, 9))
    with monkeypatch.context() as patch:
        patch.setattr(ledger.index.flags, "write", _crash)
        with pytest.raises(KeyboardInterrupt):
            follow(ledger.index)
    with ledger.index.reader() as reader:
        assert reader.flags.height == 0
    ledger.follow()
    assert ledger.codes(FLOUR) == {"receipt_without_shipment"}


def _crash(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_step_takes_whole_blocks_until_it_is_full(ledger: FlagLedger) -> None:
    """At least one, so that it goes on; blocks without events cost nothing."""
    for number in range(4):
        ledger.enter(*[receive(FLOUR, 30 + number * 10 + more, 9) for more in range(3)])
    heights = [0]
    while (step := follow(ledger.index, events_max=6)) is not None:
        heights.append(step.height)
    assert heights == [0, 2, 4]
    assert ledger.index.height == Height(4)


def test_plain_histories_are_told_as_their_ledgers_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What spares the building of a ledger changes no flag, on sound chains with a gap here and there."""
    stored = []
    for number, is_spared in enumerate((True, False)):
        with monkeypatch.context() as patch:
            if not is_spared:
                patch.setattr("node.lineage.flags.read_plain", lambda *_: None)
                patch.setattr("node.lineage.flags.is_balanced", lambda *_: False)
            ledger = FlagLedger(tmp_path / str(number), parameters=Parameters(flag_unmatched_hours=1))
            events = list(build_sound(events=400, odd_in=3))
            for place in range(0, len(events), 7):
                ledger.enter(*events[place : place + 7], member=f"firm-{place % 3 % 2}", later_ms=60_000)
                ledger.follow()
            stored.append((ledger.rows(), ledger.codes()))
            ledger.close()
    assert stored[0] == stored[1]
    assert "moved_without_record" in stored[0][1]


@pytest.mark.parametrize("seed", range(6))
def test_plain_histories_among_random_ones_are_told_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """The same on events with much that does not add up."""
    spared = grown(tmp_path / "0", seed + 50, step=None)
    monkeypatch.setattr("node.lineage.flags.read_plain", lambda *_: None)
    monkeypatch.setattr("node.lineage.flags.is_balanced", lambda *_: False)
    built = grown(tmp_path / "1", seed + 50, step=None)
    assert spared.rows() == built.rows()
    spared.close()
    built.close()


@pytest.mark.parametrize("seed", range(4))
def test_long_histories_are_alike_however_blocks_are_grouped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Which events a long history was looked at up to is a function of the ledger, not of the steps."""
    monkeypatch.setattr(following, "LONG_HISTORY", 3)
    monkeypatch.setattr(following, "QUIET_MS", 2_500_000)
    stored: list[list[Row]] = []
    for number, step in enumerate((1, 5, None)):
        ledger = grown(tmp_path / str(number), seed + 70, step=step)
        stored.append(ledger.rows())
        with ledger.index.reader() as reader:
            parts = [row.part for _, flag in ledger.flags() if (row := reader.flags.find_flag(flag.id)[0]) is not None]  # type: ignore[index] # It is there.
            assert any(part is not None for part in parts)
        ledger.close()
    assert stored[0] == stored[1] == stored[2]


def test_lot_that_is_touched_by_every_block_costs_no_square(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """100 draws in 100 blocks, followed block by block: looks grow slowly, the last comes once it is quiet."""
    monkeypatch.setattr(following, "LONG_HISTORY", 8)
    looks: list[str] = []
    monkeypatch.setattr(following, "flags_of_item", _counted(looks, flags_of_item))
    ledger = FlagLedger(tmp_path / "index")
    ledger.enter(make(FLOUR, 500, 1))
    for number in range(100):
        ledger.enter(run({FLOUR: 10}, {lot("952110000002", f"B{number}"): 10}, 2 + number))
        ledger.follow()
    assert looks.count(FLOUR) < 35
    assert 0 < len([code for _, flag in ledger.flags() if (code := flag.code) == "overdrawn"]) < 50
    ledger.wait(1)
    ledger.follow()
    assert len([flag for name, flag in ledger.flags() if (name, flag.code) == (FLOUR, "overdrawn")]) == 50
    ledger.close()


Evaluate = Callable[..., Evaluated]


def _counted(looks: list[str], evaluate: Evaluate) -> Evaluate:
    def counted(item: str, *given: object, **named: object) -> Evaluated:
        looks.append(item)
        return evaluate(item, *given, **named)

    return counted


def test_an_item_is_new_since_each_height_below_its_first_block(tmp_path: Path) -> None:
    """Also across blocks that name nothing new, runs without a name, and a start; what nobody named is not."""
    ledger = FlagLedger(tmp_path / "index")
    first = ledger.enter(make(FLOUR, 50, 1))
    second = ledger.enter(make(FLOUR, 5, 2))
    third = ledger.enter(run({FLOUR: 10}, {BREAD: 10}, 3))
    ledger.close()
    index = open_index(tmp_path / "index", ledger.genesis)
    with index.reader() as reader:
        for item, height in ((FLOUR, first), (BREAD, third)):
            told = [reader.new_since(Height(number))(item) for number in range(third + 1)]
            assert told == [number < height for number in range(third + 1)]
        assert not reader.new_since(Height(0))(lot("952110000002", "nobody's"))
    assert first < second < third
    index.close()


def test_looks_grow_with_the_history() -> None:
    """Each is half as many more as the last: a history of a million events is looked at some 17 times."""
    looks = sorted({following.looks_at(count) for count in range(1_024, 1_000_000, 500)})
    assert len(looks) < 20
    assert sum(looks) <= 3 * looks[-1]
    assert all(count * 2 / 3 <= following.looks_at(count) <= count for count in range(1_024, 1_000_000, 501))


def test_other_parameters_have_all_evaluated_anew(tmp_path: Path) -> None:
    """At the block that they come into force with, however it is reached; what was judged by the old ones is gone."""
    stored: list[list[Row]] = []
    for number, step in enumerate((1, None)):
        ledger = FlagLedger(tmp_path / str(number), validators=1)
        ledger.enter(make(FLOUR, 1_000, 7), called(make(BREAD, 5, 7), "1"), called(make(BREAD, 6, 7), "1"))
        ledger.enter(run({FLOUR: 900}, {BREAD: 800}, 9, name="R"), run({FLOUR: 100}, {BREAD: 94}, 10))
        if step is not None:
            ledger.follow(events_max=step)
            assert ledger.codes(BREAD) == {"run_loss"}
        ledger.set_parameters(Parameters(flag_run_loss_permille=500))
        if step is not None:
            anew = follow(ledger.index, events_max=step)
            while anew is not None and anew.height < ledger.index.height:
                anew = follow(ledger.index, events_max=step)
            assert anew is not None
            # Flour, bread, the run and the eventID.
            assert anew.subjects == 4
        ledger.follow()
        assert ledger.codes() == {"event_id_reused"}
        ledger.enter(run({FLOUR: 10}, {BREAD: 4}, 11))
        ledger.follow()
        assert "run_loss" in ledger.codes(BREAD)
        stored.append(ledger.rows())
        ledger.close()
    assert stored[0] == stored[1]


def test_words_of_an_industry_move_goods_from_when_they_are_voted(tmp_path: Path) -> None:
    """By the CBV goods that land are only seen; once the network says that they are received, a shipment lacks."""
    ledger = FlagLedger(tmp_path / "index", validators=1)
    seen = ledger.enter(make(FLOUR, 30, 7), receive(FLOUR, 30, 9) | {"bizStep": "urn:example:step:landing"})
    ledger.follow()
    assert ledger.codes(FLOUR) == {"moved_without_record"}
    ledger.set_parameters(Parameters(inbound_steps=("urn:example:step:landing",)))
    ledger.follow()
    assert ledger.codes(FLOUR) == {"moved_without_record", "receipt_without_shipment"}
    with ledger.index.reader() as reader:
        then = following.flags_of_item_at(reader, FLOUR, seen)
    assert [flag.code for row in then for flag in row.evaluated.flags] == ["moved_without_record"]
    ledger.close()


@pytest.mark.parametrize("seed", range(4))
def test_flags_of_an_earlier_height_are_made_again_as_they_were_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Of every item at every height, of long histories too: what stood then is a function of the ledger."""
    monkeypatch.setattr(following, "LONG_HISTORY", 6)
    ledger = FlagLedger(tmp_path / "index", parameters=Parameters(flag_unmatched_hours=2))
    items: dict[str, None] = {}
    stored: dict[int, dict[str, tuple[Flag, ...]]] = {}
    for event, member in random_events(random.Random(seed), 40):
        height = ledger.enter(event, member=member, later_ms=900_000)
        ledger.follow()
        with ledger.index.reader() as reader:
            items |= dict.fromkeys(reader.every_item())
            stored[height] = {item: found_at(reader, item) for item in items}
    checked = 0
    with ledger.index.reader() as reader:
        for then, wanted in stored.items():
            for item, flags in wanted.items():
                rows = following.flags_of_item_at(reader, item, Height(then))
                assert [row.evaluated.flags for row in rows if row.subject.key == item] == [flags]
                checked += len(flags)
    assert checked > 100
    ledger.close()


def found_at(reader: IndexReader, item: str) -> tuple[Flag, ...]:
    row = reader.flags.find_subject(short_subject(Subject(SubjectKind.ITEM, item)))
    return () if row is None else row.evaluated.flags


def test_random_ledgers_bring_out_every_flag_of_needs_lines_and_holds(tmp_path: Path) -> None:
    """Else the tests above would say nothing of these."""
    found: set[str] = set()
    for seed in range(12):
        ledger = grown(tmp_path / str(seed), seed, step=None)
        found |= {flag.code for _, flag in ledger.flags()}
        ledger.close()
    assert {"used_on_hold", "used_dirty", "used_before_release", "supplier_not_approved"} <= found
    assert {"certificate_missing", "certificate_expired", "certificate_revoked", "used_while_blocked"} <= found
