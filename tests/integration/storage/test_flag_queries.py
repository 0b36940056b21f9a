"""Flags as they are asked for: by item, party, member, code, group, severity and time, in pages, on one snapshot."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.epcis.errors import IdentifierError
from node.errors import RequestError
from node.ledger.roster import Parameters
from node.ledger.verdicts import TransactionCode
from node.ledger.waivers import Waiver
from node.lineage.findings import Severity
from node.lineage.flag_codes import Group
from node.lineage.readings import Readings
from node.lineage.trace import Direction
from node.query.errors import UnknownHeightError, UnknownItemError, UnknownSeedError
from node.query.flag_text import render_flags
from node.query.flags import FlagRequest, FlagsAnswer, FlagService, FlagView, UnknownFlagError
from node.query.scorecard_text import render_completeness, render_scorecard
from node.query.scorecards import CompletenessRequest, ScorecardRequest, ScorecardService
from node.query.service import QueryService
from node.storage.index import open_index
from node.wire.ids import MemberId
from tests.support.events import lot, place
from tests.support.flag_ledger import (
    FlagLedger,
    called,
    clean,
    make,
    on_line,
    place_of,
    receive,
    run,
    ship,
    stated,
    void,
)

FLOUR, BREAD, SALT = lot("952110000001", "F1"), lot("952110000002", "B1"), lot("952110000003", "S1")


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlagLedger]:
    """Flour overdrawn by a run that gains, salt received from nowhere by another member, and a receipt disputed."""
    one = FlagLedger(tmp_path_factory.mktemp("flags") / "index")
    one.enter(make(FLOUR, 50, 7), run({FLOUR: 80}, {BREAD: 90}, 9), vocabulary=(place_of(2, 7),))
    one.enter(receive(SALT, 30, 9), member="firm-1", later_ms=60_000)
    disputed = called(receive(lot("952110000003", "S2"), 5, 10, at=3), "1")
    one.enter(disputed)
    one.enter(void(disputed), member="firm-2")
    one.follow()
    yield one
    one.close()


def ask(ledger: FlagLedger, **how: object) -> FlagsAnswer:
    return FlagService(ledger.index.reader).flags(FlagRequest(**how))  # type: ignore[arg-type] # The names are its own.


def codes(answer: FlagsAnswer) -> list[str]:
    return [flag.code for flag in answer.flags]


def test_list_has_all_open_flags_the_newest_first(ledger: FlagLedger) -> None:
    """And says the height that they hold at."""
    answer = ask(ledger)
    assert sorted(codes(answer)) == ["counter_statement", "overdrawn", "receipt_without_shipment", "run_gain"]
    assert codes(answer)[0] == "counter_statement"
    assert [flag.since for flag in answer.flags] == sorted((flag.since for flag in answer.flags), reverse=True)
    assert (answer.height, answer.flags_height, answer.next) == (4, 4, None)


def test_filters_all_hold(ledger: FlagLedger) -> None:
    """Each alone, and together."""
    assert set(codes(ask(ledger, items=(FLOUR,)))) == {"overdrawn", "run_gain"}
    assert codes(ask(ledger, items=("(01)09521100000031(10)S1",))) == ["receipt_without_shipment"]
    assert codes(ask(ledger, items=(SALT, BREAD))) == ["receipt_without_shipment", "run_gain"]
    assert codes(ask(ledger, party="urn:example:firm:7")) == ["receipt_without_shipment"]
    assert codes(ask(ledger, party=place(1), code="overdrawn")) == ["overdrawn"]
    assert codes(ask(ledger, member="firm-1")) == ["receipt_without_shipment"]
    assert codes(ask(ledger, group=Group.CORRECTION)) == ["counter_statement"]
    assert set(codes(ask(ledger, severity=Severity.HIGH, group=Group.QUANTITY))) == {"overdrawn", "run_gain"}
    assert codes(ask(ledger, member="firm-1", severity=Severity.WARN)) == []
    assert codes(ask(ledger, state="countered")) == ["receipt_without_shipment"]
    assert len(ask(ledger, state="any").flags) == 5
    newest = ask(ledger).flags[0].since
    assert codes(ask(ledger, since=newest)) == ["counter_statement"]


def test_pages_have_every_flag_once(ledger: FlagLedger) -> None:
    """`next` goes on behind the last flag, in each kind of list."""
    for how in ({}, {"items": (FLOUR, SALT)}, {"member": "firm-0"}):
        whole = ask(ledger, **how)
        pages: list[FlagView] = []
        after: str | None = None
        while True:
            page = ask(ledger, limit=1, **how, **({} if after is None else {"after": after}))
            pages += page.flags
            if page.next is None:
                break
            after = page.next
        assert pages == list(whole.flags)
        assert len(pages) > 1


def test_one_flag_is_found_by_its_id(ledger: FlagLedger) -> None:
    """As the list has it."""
    service, flag = FlagService(ledger.index.reader), ask(ledger, code="overdrawn").flags[0]
    assert service.flag(flag.id).flag == flag
    assert flag.amount == "30"
    assert [event.member for event in flag.events] == ["firm-0"]
    with pytest.raises(UnknownFlagError):
        service.flag("00" * 16)


@pytest.mark.parametrize(
    ("how", "field"),
    [
        ({"code": "nonsense"}, "params.code"),
        ({"since": "yesterday"}, "params.since"),
        ({"since": "2026-01-01T00:00:00"}, "params.since"),
        ({"after": "zz"}, "params.after"),
        ({"after": "00"}, "params.after"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_field(ledger: FlagLedger, how: dict[str, object], field: str) -> None:
    """With what it may be."""
    with pytest.raises(RequestError) as refused:
        ask(ledger, **how)
    assert refused.value.field == field


def test_item_that_is_none_is_refused(ledger: FlagLedger) -> None:
    """A wrong check digit in an element string."""
    with pytest.raises(IdentifierError):
        ask(ledger, items=("(01)09521100000032(10)S1",))
    with pytest.raises(RequestError):
        FlagService(ledger.index.reader).flag("no hex")


def test_flags_read_well(ledger: FlagLedger) -> None:
    """The gravest first, with who settles it and how; what is behind is said."""
    text = list(render_flags(ask(ledger)))
    assert text[0].startswith("HIGH ")
    assert any("30 kg" in line for line in text)
    assert any("urn:example:firm:7; closed by the shipment" in line for line in text)
    assert "4 flags: 3 high, 1 warn" in text
    assert text[-1] == "flags hold at height 4"
    none = list(render_flags(ask(ledger, items=(lot("952110000009", "X"),))))
    assert none[0].startswith("no flags")
    more = ask(ledger, limit=1)
    assert f"there are more: --after {more.next}" in list(render_flags(more))


def test_trace_counts_the_open_flags_in_it(ledger: FlagLedger) -> None:
    """Of the newest height; of an earlier one flags are not kept."""
    service = QueryService(ledger.index.reader)
    counted = service.trace(BREAD, Direction.BACK).open_flags
    assert counted is not None
    assert (counted.high, counted.warn, counted.height, counted.complete) == (2, 0, 4, True)
    earlier = service.trace(BREAD, Direction.BACK, known_at=ledger.index.height - 1)  # type: ignore[arg-type] # A height.
    assert earlier.open_flags is None
    assert earlier.digest == service.trace(BREAD, Direction.BACK).digest


def test_closed_flag_is_gone_from_every_list(tmp_path: Path) -> None:
    """Also from those by party, member, code and item."""
    ledger = FlagLedger(tmp_path / "index")
    ledger.enter(make(FLOUR, 30, 7), receive(FLOUR, 30, 9))
    ledger.follow()
    assert len(ask(ledger).flags) == 2
    ledger.enter(ship(FLOUR, 30, 8))
    ledger.follow()
    for how in ({}, {"items": (FLOUR,)}, {"member": "firm-0"}, {"party": place(2)}, {"code": "moved_without_record"}):
        assert ask(ledger, **how).flags == ()
    ledger.close()


def scores(ledger: FlagLedger) -> ScorecardService:
    return ScorecardService(ledger.index.reader, lambda _: Readings())


def test_scorecard_counts_what_stands_on_the_ledger(tmp_path: Path) -> None:
    """Events, who entered them, open flags, shipments and those not received in time."""
    ledger = FlagLedger(tmp_path / "index", parameters=Parameters(flag_unmatched_hours=24, flag_back_dated_hours=72))
    ledger.enter(make(FLOUR, 100, 7), ship(FLOUR, 40, 8), ship(FLOUR, 30, 9, to=3), vocabulary=(place_of(1, 5),))
    ledger.enter(receive(FLOUR, 40, 10), member="firm-1")
    ledger.enter(run({SALT: 5}, {BREAD: 5}, 11))
    ledger.wait(30)
    ledger.follow()
    card = scores(ledger).scorecard(ScorecardRequest("urn:example:firm:5"))
    assert (card.events, card.members, card.late) == (4, {"firm-0": 4}, 3)
    assert (card.shipments, card.overdue) == (2, 1)
    assert (card.open, card.groups) == ({"high": 0, "warn": 2, "note": 0}, {"quantity": 1, "custody": 1})
    assert (card.lots, card.completeness, card.complete) == ((FLOUR,), 100, True)
    text = list(render_scorecard(card))
    assert text[0] == "urn:example:firm:5"
    assert "shipments: 2, not received in time: 1" in text
    assert any(line.startswith("open flags that it can settle: 2 warn (quantity 1, custody 1)") for line in text)
    with pytest.raises(UnknownSeedError) as refused:
        scores(ledger).scorecard(ScorecardRequest("urn:example:firm:99"))
    assert refused.value.field == "params.party"
    ledger.close()


def test_scorecard_counts_flags_of_process_and_quality_by_group(tmp_path: Path) -> None:
    """A line used while dirty, a lot used on hold, and one without the document that its member needs."""
    ledger = FlagLedger(tmp_path / "index")
    need = stated("EPCClass", FLOUR.partition("/10/")[0], "needs", "testres; from=2025-01-01")
    held = {**receive(FLOUR, 100, 8, at=1), "bizStep": "holding"}
    ledger.enter(
        make(FLOUR, 100, 7), held, clean(8, passed=False), on_line(run({FLOUR: 5}, {BREAD: 5}, 11)),
        vocabulary=(place_of(1, 5), need),
    )  # fmt: skip
    ledger.follow()
    assert ledger.codes() == {"used_on_hold", "used_dirty", "certificate_missing"}
    card = scores(ledger).scorecard(ScorecardRequest("urn:example:firm:5"))
    assert (card.open, card.groups) == ({"high": 2, "warn": 1, "note": 0}, {"process": 2, "quality": 1})
    assert codes(ask(ledger, group=Group.PROCESS, party="urn:example:firm:5")) != []
    ledger.close()


def test_completeness_is_answered_with_names_and_read_well(ledger: FlagLedger) -> None:
    """What was overdrawn is not traced: 50 of 80 went in by the record, and 10 of 90 came of nothing."""
    answer = scores(ledger).completeness(CompletenessRequest(BREAD))
    assert (answer.upstream, answer.downstream, answer.origins) == (55, 100, (FLOUR,))
    assert [(gap.item, gap.reason, gap.amount) for gap in answer.gaps] == [(FLOUR, "no_source", "30")]
    text = list(render_completeness(answer))
    assert text[0] == f"{BREAD}: 55 % traced to recorded origins"
    assert any("30 kg: nobody recorded where this part of it came from" in line for line in text)
    with pytest.raises(UnknownItemError):
        scores(ledger).completeness(CompletenessRequest(lot("952110000009", "X")))


def test_waiver_of_who_may_sets_a_flag_aside(tmp_path: Path) -> None:
    """A validator, who entered an event, who can settle it; of another it counts nothing."""
    ledger = FlagLedger(tmp_path / "index", members=2)
    ledger.enter(receive(SALT, 30, 9), member="firm-4")
    ledger.follow()
    (flag,) = ask(ledger).flags
    assert (
        ledger.waive(Waiver(bytes.fromhex(flag.id), "not ours").encode(), member="firm-5") is TransactionCode.ACCEPTED
    )
    assert len(ask(ledger).flags) == 1
    assert not FlagService(ledger.index.reader).may_waive(flag.id, MemberId("firm-5"))
    ledger.waive(Waiver(bytes.fromhex(flag.id), "the sender is no member").encode(), member="firm-4")
    assert ask(ledger).flags == ()
    (waived,) = ask(ledger, state="waived").flags
    assert [(one.member, one.reason) for one in waived.waivers] == [("firm-4", "the sender is no member")]
    assert any("waived by firm-4: the sender is no member" in line for line in render_flags(ask(ledger, state="any")))
    service = QueryService(ledger.index.reader)
    counted = service.trace(SALT, Direction.BACK).open_flags
    assert counted is not None
    assert counted.high + counted.warn + counted.note == 0
    ledger.waive(Waiver(bytes.fromhex(flag.id), "seen by the auditor").encode(), member="firm-0")
    assert {one.member for one in ask(ledger, state="waived").flags[0].waivers} == {"firm-0", "firm-4"}
    ledger.close()


def test_waiver_holds_for_the_flag_as_it_was(tmp_path: Path) -> None:
    """A larger amount is another flag, and open."""
    ledger = FlagLedger(tmp_path / "index")
    ledger.enter(make(FLOUR, 50, 7), run({FLOUR: 60}, {BREAD: 60}, 9))
    ledger.follow()
    (flag,) = ask(ledger, code="overdrawn").flags
    ledger.waive(Waiver(bytes.fromhex(flag.id), "known").encode())
    assert ask(ledger, code="overdrawn").flags == ()
    ledger.enter(run({FLOUR: 40}, {BREAD: 40}, 8))
    ledger.follow()
    assert {one.amount for one in ask(ledger, code="overdrawn").flags} == {"50"}
    ledger.close()


def test_node_starts_again_with_a_waiver_on_its_ledger(tmp_path: Path) -> None:
    """It is no row of the links, which a start reads: they had one table, and such a node never started again."""
    ledger = FlagLedger(tmp_path / "index")
    ledger.enter(make(FLOUR, 50, 7), run({FLOUR: 60}, {BREAD: 60}, 9))
    ledger.follow()
    (flag,) = ask(ledger, code="overdrawn").flags
    ledger.waive(Waiver(bytes.fromhex(flag.id), "known").encode())
    ledger.close()
    index = open_index(tmp_path / "index", ledger.genesis)
    with index.reader() as reader:
        assert [one.member for one in reader.flags.waivers_of(bytes.fromhex(flag.id))] == ["firm-0"]
        assert len(reader.closure_of(BREAD, is_back=True, items_max=9).items) == 2
    index.close()


def test_waiver_that_cannot_be_read_is_rejected(tmp_path: Path) -> None:
    """With a verdict, and changes nothing."""
    ledger = FlagLedger(tmp_path / "index")
    assert ledger.waive(b"nonsense") is TransactionCode.MALFORMED
    ledger.close()


def test_items_flags_of_an_earlier_height_are_answered(tmp_path: Path) -> None:
    """What was corrected since stands there; a waiver of later counts not; only of items it can be asked."""
    ledger = FlagLedger(tmp_path / "index")
    ledger.enter(make(FLOUR, 30, 7), receive(FLOUR, 30, 9))
    ledger.enter(run({SALT: 5}, {BREAD: 6}, 9))
    ledger.follow()
    (gain,) = ask(ledger, items=(BREAD,)).flags
    ledger.waive(Waiver(bytes.fromhex(gain.id), "water").encode())
    ledger.enter(ship(FLOUR, 30, 8))
    ledger.follow()
    assert ask(ledger, items=(FLOUR,)).flags == ()
    then = ask(ledger, items=(FLOUR,), height=1)
    assert (set(codes(then)), then.flags_height, then.height) == (
        {"receipt_without_shipment", "moved_without_record"},
        1,
        4,
    )
    assert len(ask(ledger, items=(FLOUR,), height=1, limit=1).flags) == 1
    rest = ask(ledger, items=(FLOUR,), height=1, after=ask(ledger, items=(FLOUR,), height=1, limit=1).next)
    assert len(rest.flags) == 1
    assert codes(ask(ledger, items=(SALT,), height=2, code="run_gain")) == ["run_gain"]
    assert codes(ask(ledger, items=(SALT,), code="run_gain")) == []
    assert ask(ledger, items=(FLOUR,), height=0).flags == ()
    assert len(ask(ledger, items=(FLOUR,), known_at="2025-10-09T08:53:21Z").flags) == 2
    with pytest.raises(UnknownHeightError):
        ask(ledger, items=(FLOUR,), height=5)
    with pytest.raises(RequestError) as refused:
        ask(ledger, height=1)
    assert refused.value.field == "params.items"
    ledger.close()
