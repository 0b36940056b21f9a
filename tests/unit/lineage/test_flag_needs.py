"""What members declare that their goods need, and what is flagged where goods went without."""

from pathlib import Path

import pytest

from consensus.types import Digest
from node.epcis.model import Action, Event, EventType, MasterKind, MasterRecord
from node.epcis.reader import read_master
from node.intake.capture import prepare
from node.ledger.transaction import decode_capture
from node.lineage.facts import open_facts
from node.lineage.flag_checks import is_malformed
from node.lineage.flag_model import Flag, FlagSettings
from node.lineage.flags import flags_of_item
from node.lineage.needs import approvals_of, certificate_of, needs_of, read_said
from node.lineage.readings import Readings
from node.wire.ids import MemberId
from tests.support.chronicle import Chronicle
from tests.support.events import at, build_event, lot, party, place, product_class, serial, unit
from tests.support.memory_index import MemoryIndex, build_master

FLOUR, BREAD, PALLET = lot("1", "F"), lot("2", "B"), unit(1)
PAPER, OTHER = "urn:example:cert:1", "urn:example:cert:2"
EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "needs.jsonld"
CODES = {
    "certificate_missing", "certificate_expired", "certificate_revoked", "used_before_release", "supplier_not_approved",
}  # fmt: skip


def state(told: Chronicle, kind: MasterKind, subject: str, name: str, *texts: str, member: str = "mill") -> None:
    record = MasterRecord(kind, subject, tuple([(name, text) for text in texts]))
    told.masters.append(build_master(record, 1, member=member))


def need(told: Chronicle, *texts: str, member: str = "mill") -> None:
    state(told, MasterKind.PRODUCT, product_class("1"), "needs", *texts, member=member)


def say(told: Chronicle, paper: str, *texts: str, member: str = "mill") -> None:
    state(told, MasterKind.DOCUMENT, paper, "certificate", *texts, member=member)


def add_paper(
    told: Chronicle, when: int, *, kind: str = "cert", paper: str = PAPER, item: str = FLOUR, member: str = "mill"
) -> Event:
    event = build_event(
        EventType.OBJECT, when, action=Action.OBSERVE, goods=(item,), step="inspecting", documents=((kind, paper),),
        location=place(1),
    )  # fmt: skip
    return told.add(event, member=member)


def flour() -> Chronicle:
    """Made, and used by the mill on Monday the 5th at noon."""
    told = Chronicle()
    told.make({FLOUR: 100}, at(1, "08:00"))
    told.run({FLOUR: 40}, {BREAD: 40}, at(1, "12:00"))
    return told


def found(told: Chronicle | MemoryIndex, item: str = FLOUR) -> dict[str, Flag]:
    reader = told.index() if isinstance(told, Chronicle) else told
    facts = open_facts(reader, Readings(), as_of_ms=None, known_at=reader.height)
    flags = flags_of_item(item, facts, FlagSettings(), now_ms=at(40, "00:00")).flags
    return {flag.code: flag for flag in flags if flag.code in CODES}


def test_lot_that_is_used_without_a_document_that_it_needs_is_flagged() -> None:
    """One flag with all uses; an event of the lot with such a document closes it, whenever that was."""
    told = flour()
    need(told, "cert; from=2026-01-01; record=urn:uuid:1")
    told.ship({FLOUR: 10}, at(1, "13:00"), to=2)
    assert [ref.height for ref in found(told)["certificate_missing"].refs] == [2, 3]
    add_paper(told, at(9, "08:00"))
    assert found(told) == {}


def test_need_is_met_by_its_own_type_alone() -> None:
    """A test result is no certificate; an industry's type is met by its own URI."""
    told = flour()
    need(told, "testres; from=2026-01-01", "urn:x:coa; from=2026-01-01")
    add_paper(told, at(1, "08:00"))
    assert set(found(told)) == {"certificate_missing"}
    add_paper(told, at(1, "08:10"), kind="testres")
    assert set(found(told)) == {"certificate_missing"}
    add_paper(told, at(1, "08:20"), kind="urn:x:coa")
    assert found(told) == {}


def test_document_of_the_unit_that_a_lot_came_in_is_its_document() -> None:
    """While it was in it: what the pallet carried later is not. Units in units carry theirs down."""
    told = Chronicle()
    need(told, "cert; from=2026-01-01")
    told.make({FLOUR: 100}, at(1, "08:00"))
    told.pack(PALLET, {FLOUR: 100}, at(1, "09:00"))
    told.unpack(PALLET, {FLOUR: 100}, at(1, "11:00"))
    told.run({FLOUR: 40}, {BREAD: 40}, at(1, "12:00"))
    add_paper(told, at(1, "11:30"), item=PALLET)
    assert set(found(told)) == {"certificate_missing"}
    add_paper(told, at(1, "10:00"), item=PALLET)
    assert found(told) == {}
    nested = Chronicle()
    need(nested, "cert; from=2026-01-01")
    nested.make({FLOUR: 100}, at(1, "08:00"))
    nested.pack(PALLET, {FLOUR: 100}, at(1, "09:00"))
    nested.pack(unit(2), [PALLET], at(1, "09:30"))
    add_paper(nested, at(1, "10:00"), item=unit(2))
    nested.unpack(unit(2), [PALLET], at(1, "10:30"))
    nested.unpack(PALLET, {FLOUR: 100}, at(1, "11:00"))
    nested.run({FLOUR: 40}, {BREAD: 40}, at(1, "12:00"))
    assert found(nested) == {}


def test_need_binds_its_own_member_alone_and_from_when_it_says() -> None:
    """Another's use, a use before or after its time, and one that does not say from when: nothing."""
    told = flour()
    need(told, "cert; from=2026-01-01", member="bakery")
    assert found(told) == {}
    for text, is_flagged in (
        ("cert; from=2026-01-05", True),
        ("cert; from=2026-01-05T12:00:00Z; to=2026-01-05T12:00:00Z", True),
        ("cert; from=2026-01-06", False),
        ("cert; from=2025-01-01; to=2026-01-04", False),
        ("cert", False),
        ("cert; from=soon", False),
        ("cert; from=2026-01-01; colour=red", False),
        ("; from=2026-01-01", False),
    ):
        told = flour()
        need(told, text)
        assert bool(found(told)) is is_flagged, text


def test_certificate_that_had_expired_is_flagged() -> None:
    """The day that it ends with still counts, and so do two clocks; a renewal counts, and so does a second paper."""
    for texts, is_flagged in (
        (("valid; to=2026-01-04",), True),
        (("valid; to=2026-01-05",), False),
        (("valid; to=2026-01-05T11:31:00Z",), False),
        (("valid; to=2026-01-05T11:29:00Z",), True),
        (("valid; to=2026-01-04", "valid; from=2026-01-05; to=2026-12-31"), False),
        (("expired",), False),
    ):
        told = flour()
        need(told, "cert; from=2026-01-01")
        add_paper(told, at(1, "08:30"))
        say(told, PAPER, *texts)
        assert ("certificate_expired" in found(told)) is is_flagged, texts
    told = flour()
    need(told, "cert; from=2026-01-01")
    add_paper(told, at(1, "08:30"))
    say(told, PAPER, "valid; to=2026-01-04")
    assert found(told)["certificate_expired"].items == (PAPER,)
    add_paper(told, at(1, "08:40"), paper=OTHER)
    assert found(told) == {}
    say(told, OTHER, "valid; to=2025-12-31")
    assert set(found(told)) == {"certificate_expired"}


def test_certificate_that_was_revoked_is_flagged() -> None:
    """From when on its member says; what was withdrawn for a time is not revoked."""
    for texts, is_flagged in (
        (("revoked; from=2026-01-05T11:00:00Z",), True),
        (("revoked; from=2026-01-05T13:00:00Z",), False),
        (("revoked",), True),
        (("revoked; from=2026-01-01; to=2026-01-03",), False),
        (("valid; to=2026-12-31", "revoked; from=2026-01-02"), True),
    ):
        told = flour()
        need(told, "cert; from=2026-01-01")
        add_paper(told, at(1, "08:30"))
        say(told, PAPER, *texts)
        assert set(found(told)) == ({"certificate_revoked"} if is_flagged else set()), texts


def test_only_who_needs_or_entered_a_document_speaks_of_it() -> None:
    """A stranger revokes nothing."""
    told = flour()
    need(told, "cert; from=2026-01-01")
    add_paper(told, at(1, "08:30"), member="lab")
    say(told, PAPER, "revoked; from=2026-01-02", member="rival")
    assert found(told) == {}
    say(told, PAPER, "revoked; from=2026-01-02", member="lab")
    assert set(found(told)) == {"certificate_revoked"}


def release(told: Chronicle, when: int, *, member: str = "mill", word: str = "conformant") -> None:
    event = build_event(
        EventType.OBJECT, when, action=Action.OBSERVE, goods=(FLOUR,), step="inspecting", disposition=word,
        location=place(1),
    )  # fmt: skip
    told.add(event, member=member)


@pytest.mark.parametrize(
    ("clock", "member", "is_flagged"),
    [("11:00", "mill", False), ("12:01", "mill", True), ("12:20", "lab", False), ("12:40", "lab", True)],
)
def test_use_before_the_release_is_flagged(clock: str, member: str, is_flagged: bool) -> None:
    """Certainly before it: of two clocks, beyond what they may err by."""
    told = flour()
    need(told, "release; from=2026-01-01")
    assert set(found(told)) == {"used_before_release"}
    release(told, at(1, clock), member=member)
    assert bool(found(told)) is is_flagged


def test_making_use_and_other_words_release_nothing() -> None:
    """Commissioned as active, shipped as conformant, inspected without a verdict."""
    told = Chronicle()
    need(told, "release; from=2026-01-01")
    for kind, action, step, word, clock in (
        (EventType.OBJECT, Action.ADD, "commissioning", "active", "08:00"),
        (EventType.OBJECT, Action.OBSERVE, "inspecting", "in_progress", "09:00"),
        (EventType.OBJECT, Action.OBSERVE, "shipping", "conformant", "10:00"),
    ):
        told.add(
            build_event(
                kind, at(1, clock), action=action, goods={FLOUR: 10}, step=step, disposition=word, location=place(1)
            )
        )
    assert set(found(told)) == {"used_before_release"}


def receipt(told: Chronicle, *, sources: tuple[tuple[str, str], ...], member: str = "bakery") -> None:
    event = build_event(
        EventType.OBJECT, at(1, "12:00"), action=Action.OBSERVE, goods={FLOUR: 10}, step="receiving",
        location=place(2), sources=sources, destinations=(("possessing_party", party(2)),),
    )  # fmt: skip
    told.add(event, member=member)


def test_receipt_from_a_supplier_that_was_not_approved_is_flagged() -> None:
    """At the time, by the member that needs it; of who names no sender, or the own firm, nothing is said."""
    mill = ("possessing_party", party(1))
    for sources, text, by, is_flagged in (
        ((mill,), None, "bakery", True),
        ((mill,), "approved; from=2026-01-01; to=2026-01-31", "bakery", False),
        ((mill,), "approved; to=2026-01-04", "bakery", True),
        ((mill,), "approved; from=2026-01-06", "bakery", True),
        ((mill,), "approved", "mill", True),
        ((("owning_party", party(9)), mill), "approved", "bakery", False),
        ((), None, "bakery", False),
        ((("location", place(1)),), None, "bakery", False),
        ((("possessing_party", party(2)),), None, "bakery", False),
    ):
        told = Chronicle()
        need(told, "supplier; from=2026-01-01", member="bakery")
        receipt(told, sources=sources)
        if text is not None:
            state(told, MasterKind.PARTY, party(1), "approvedSupplier", text, member=by)
        assert bool(found(told)) is is_flagged, (sources, text, by)
    told = Chronicle()
    need(told, "supplier; from=2026-01-01", member="bakery")
    receipt(told, sources=(mill,), member="mill")
    assert found(told) == {}


def test_what_is_no_lot_or_of_no_declared_product_needs_nothing() -> None:
    """A serial, another product, and the product itself named without a lot."""
    told = Chronicle()
    need(told, "cert; from=2026-01-01")
    piece = serial("1", "S1")
    told.make([piece], at(1, "08:00"))
    told.ship([piece], at(1, "09:00"), to=2)
    told.ship({BREAD: 1}, at(1, "09:00"), to=2)
    told.ship([product_class("1")], at(1, "09:00"), to=2)
    assert found(told, piece) == found(told, BREAD) == found(told, product_class("1")) == {}


def test_more_than_is_looked_at_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Needs of one member, documents on one lot, and stays in units are bounded: whoever floods flags nobody."""
    told = flour()
    need(told, *[f"urn:x:paper:{number}; from=2026-01-01" for number in range(17)])
    assert found(told) == {}
    told = flour()
    need(told, *[f"urn:x:paper:{number}; from=2026-01-01" for number in range(16)])
    assert set(found(told)) == {"certificate_missing"}
    told = flour()
    need(told, "cert; from=2026-01-01")
    for number in range(65):
        say(told, f"urn:example:cert:{number}", "revoked")
        if number < 64:
            add_paper(told, at(1, "08:30") + number, paper=f"urn:example:cert:{number}")
    assert set(found(told)) == {"certificate_revoked"}
    add_paper(told, at(1, "08:40"), paper="urn:example:cert:64")
    assert found(told) == {}
    told = Chronicle()
    need(told, "cert; from=2026-01-01")
    told.make({FLOUR: 100}, at(1, "08:00"))
    for number in range(3):
        told.pack(unit(number), {FLOUR: 10}, at(1, "09:00") + number)
    told.run({FLOUR: 40}, {BREAD: 40}, at(1, "12:00"))
    assert set(found(told)) == {"certificate_missing"}
    monkeypatch.setattr("node.lineage.flag_needs.STAYS_MAX", 2)
    assert found(told) == {}


def test_example_of_the_page_is_entered_and_read() -> None:
    """docs/flags.md names it: three needs, a certificate and an approval, without a wrong check digit."""
    prepared = prepare(
        EXAMPLE.read_bytes(),
        member=MemberId("mill"),
        network_id=Digest(b"n" * 32),
        now_ms=1_772_600_000_000,
        known=type("Known", (), {"find_known_event": lambda *_: None})(),
    )
    (signed,) = prepared.transactions
    told = Chronicle()
    for raw in decode_capture(signed.transaction.payload).vocabulary:
        told.masters += [build_master(record, 1) for record in read_master(raw)]
    masters = open_facts(told.index(), Readings(), as_of_ms=None, known_at=told.index().height).masters
    product, paper, supplier = (row.record.id for row in told.masters)
    assert [need.what for need in needs_of(product, masters)] == ["testres", "release", "supplier"]
    assert [said.word for said in certificate_of(paper, frozenset({MemberId("mill")}), masters)] == ["valid"]
    assert [said.word for said in approvals_of(supplier, MemberId("mill"), masters)] == ["approved"]
    assert not any(is_malformed(row.record.id) for row in told.masters)


def test_needs_are_flagged_alike_in_any_order_of_arrival() -> None:
    """The same flags by their ids."""
    told = flour()
    need(told, "cert; from=2026-01-01", "testres; from=2026-01-01", "release; from=2026-01-01")
    add_paper(told, at(1, "08:30"))
    add_paper(told, at(1, "08:30"), paper=OTHER)
    say(told, PAPER, "valid; to=2026-01-02")
    say(told, OTHER, "revoked; from=2026-01-03")
    release(told, at(1, "15:00"))
    wanted = {code: flag.id for code, flag in found(told).items()}
    assert set(wanted) == {"certificate_missing", "certificate_revoked", "used_before_release"}
    for seed in range(6):
        assert {code: flag.id for code, flag in found(told.shuffled(seed)).items()} == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "; from=2026-01-01",
        "cert; from",
        "cert; from=2026-13-01",
        "cert; x=1",
        "cert; from=2026-01-02; to=2026-01-01",
        "cert; from=2026-01-01T00:00:00",
    ],
)
def test_text_that_says_nothing_is_refused_with_a_reason(text: str) -> None:
    """Whoever writes declarations can check them."""
    with pytest.raises(ValueError, match=r"."):
        read_said(text)
