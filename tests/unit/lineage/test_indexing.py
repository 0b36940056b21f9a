"""node/lineage/indexing: under what an event is filed."""

from msgspec.structs import replace

from node.epcis.model import Action, EventType
from node.lineage.indexing import file_event
from node.lineage.records import (
    ROLE_CHILD,
    ROLE_ENDED,
    ROLE_INPUT,
    ROLE_INSTANCES,
    ROLE_MADE,
    ROLE_OUTPUT,
    ROLE_PARENT,
    ROLE_SEEN,
    Posting,
    PostingKind,
)
from tests.support.events import at, build_event, build_row, lot, place, serial, unit


def test_transformation_is_filed_under_its_sides_its_run_and_its_id() -> None:
    """An item that is input and output of one event has one posting with both roles."""
    event = build_event(
        EventType.TRANSFORMATION,
        at(1, "08:00"),
        inputs=[lot("1", "a"), lot("2", "b")],
        outputs=[lot("2", "b")],
        run="urn:run:1",
        event_id="urn:uuid:1",
    )
    row = build_row(event, 3)
    filing = file_event(row)
    assert filing.roles == {lot("1", "a"): ROLE_INPUT, lot("2", "b"): ROLE_INPUT | ROLE_OUTPUT}
    postings = filing.postings()
    assert Posting(PostingKind.ITEM, lot("1", "a"), at(1, "08:00"), row.ref, ROLE_INPUT) in postings
    assert Posting(PostingKind.RUN_INPUT, "urn:run:1", at(1, "08:00"), row.ref, 0) in postings
    assert Posting(PostingKind.RUN_OUTPUT, "urn:run:1", at(1, "08:00"), row.ref, 0) in postings
    assert Posting(PostingKind.EVENT_ID, "urn:uuid:1", at(1, "08:00"), row.ref, 0) in postings


def test_what_says_that_something_passed_or_did_not_is_filed_under_its_line_or_place() -> None:
    """It may be a cleaning: which steps are, a network says. Other words, and runs, are not filed so."""
    line = f"{place(1)}/254/1"
    for kind, word, where, filed in (
        (EventType.OBJECT, "conformant", line, [line]),
        (EventType.OBJECT, "non_conformant", place(1), [place(1)]),
        (EventType.OBJECT, "conformant", None, []),
        (EventType.OBJECT, "active", line, []),
        (EventType.TRANSFORMATION, "conformant", line, []),
    ):
        event = build_event(kind, at(1, "08:00"), disposition=word, read_point=where, goods=["urn:machine:1"])
        postings = file_event(build_row(event, 1)).postings()
        assert [one.key for one in postings if one.kind is PostingKind.JUDGED] == filed


def test_papers_that_may_say_how_good_goods_are_are_filed() -> None:
    """Certificates and test results, of an industry's own type too; no invoice, nor what has no type."""
    documents = (
        ("bol", "urn:d:1"),
        ("cert", "urn:d:2"),
        ("urn:x:coa", "urn:d:3"),
        (None, "urn:d:4"),
        ("cert", "urn:d:2"),
    )
    event = build_event(EventType.OBJECT, at(1, "08:00"), action=Action.ADD, goods=[lot("1", "a")], documents=documents)
    row = build_row(replace(event, certificates=("urn:d:5", "urn:d:2")), 1)
    filed = [one.key for one in file_event(row).postings() if one.kind is PostingKind.CERTIFICATE]
    assert filed == ["urn:d:2", "urn:d:3", "urn:d:5"]


def test_object_actions_have_their_roles() -> None:
    """ADD makes, OBSERVE sees, DELETE ends; a transaction's goods are seen."""
    for kind, action, role in (
        (EventType.OBJECT, Action.ADD, ROLE_MADE),
        (EventType.OBJECT, Action.OBSERVE, ROLE_SEEN),
        (EventType.OBJECT, Action.DELETE, ROLE_ENDED),
        (EventType.TRANSACTION, Action.ADD, ROLE_SEEN),
    ):
        event = build_event(kind, at(1, "08:00"), action=action, goods=[lot("1", "a")])
        assert file_event(build_row(event, 1)).roles == {lot("1", "a"): role}


def test_children_and_parent_have_their_roles() -> None:
    """An aggregation files its children as such, and its unit as parent."""
    event = build_event(EventType.AGGREGATION, at(1, "08:00"), action=Action.ADD, goods=[lot("1", "a")], parent=unit(1))
    assert file_event(build_row(event, 1)).roles == {lot("1", "a"): ROLE_CHILD, unit(1): ROLE_PARENT}


def test_place_as_parent_of_an_association_is_no_item() -> None:
    """A sensor mounted at a site does not make the site goods."""
    event = build_event(
        EventType.ASSOCIATION, at(1, "08:00"), action=Action.ADD, goods=[serial("1", "s")], parent=place(1)
    )
    assert file_event(build_row(event, 1)).roles == {serial("1", "s"): ROLE_CHILD}


def test_serials_made_with_a_lot_code_are_filed_under_the_lot() -> None:
    """The lot number in ilmd makes serials instances of the lot, so the lot's events find them."""
    event = build_event(
        EventType.OBJECT,
        at(1, "08:00"),
        action=Action.ADD,
        goods=[serial("1", "s1"), serial("1", "s2")],
        lot_code="a/1",
    )
    found = file_event(build_row(event, 1)).roles
    assert found == {serial("1", "s1"): ROLE_MADE, serial("1", "s2"): ROLE_MADE, lot("1", "a%2F1"): ROLE_INSTANCES}


def test_lot_code_of_an_observation_makes_no_instances() -> None:
    """Only what makes serials says of which lot they are."""
    event = build_event(EventType.OBJECT, at(1, "08:00"), action=Action.OBSERVE, goods=[serial("1", "s")], lot_code="a")
    assert file_event(build_row(event, 1)).roles == {serial("1", "s"): ROLE_SEEN}
