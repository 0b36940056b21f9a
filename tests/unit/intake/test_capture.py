"""A document becomes signed transactions, with a verdict on each event."""

import json
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.types import Digest
from node.crypto.keys import SigningKey
from node.epcis import document, json_values
from node.epcis.errors import DocumentError
from node.epcis.reader import read_event
from node.intake.capture import (
    BYTES_PER_TRANSACTION,
    EVENTS_PER_TRANSACTION,
    KnownEvent,
    Policy,
    PreparedCapture,
    prepare,
)
from node.intake.results import CaptureResult, Verdict
from node.ledger import transaction
from node.ledger.transaction import TRANSACTION_BYTES_MAX, Kind, decode_capture, decode_signed
from node.wire.ids import MemberId
from tests.support.epcis_documents import LOT, build_document, build_event, build_master_data, to_bytes

MEMBER = MemberId("mill")
NETWORK = Digest(b"n" * 32)


@dataclass
class Known:
    """A fake of what was entered before."""

    digests: set[tuple[MemberId, bytes]] = field(default_factory=set)

    def find_known_event(self, member: MemberId, event_digest: Digest) -> KnownEvent | None:
        return KnownEvent() if (member, event_digest) in self.digests else None

    def learn(self, prepared: PreparedCapture) -> None:
        for signed in prepared.transactions:
            capture = decode_capture(signed.transaction.payload)
            self.digests |= {(MEMBER, read_event(raw, capture.context).event_digest) for raw in capture.events}


def capture(value: object, known: Known | None = None, **options: Any) -> PreparedCapture:
    return prepare(
        to_bytes(value),
        member=MEMBER,
        network_id=NETWORK,
        now_ms=1_764_072_000_000,
        known=known or Known(),
        **options,
    )


def event(number: int, **changes: Any) -> dict[str, Any]:
    return build_event(eventID=f"urn:uuid:{number}", **changes)


def test_good_events_go_into_a_transaction_of_the_member() -> None:
    """Unsigned by default: the member's node answers for it in its batch."""
    prepared = capture(build_document(event(1), event(2)))
    (signed,) = prepared.transactions
    request = signed.transaction
    assert (request.kind, request.member, request.actor_key) == (Kind.CAPTURE, MEMBER, None)
    assert request.created_ms == 1_764_072_000_000
    assert decode_signed(signed.encode(), NETWORK) == signed
    assert [json.loads(raw) for raw in decode_capture(request.payload).events] == [event(1), event(2)]
    assert [(entry.transaction, entry.position) for entry in prepared.result.events] == [
        (signed.id.hex(), 0),
        (signed.id.hex(), 1),
    ]


def test_an_actor_signs_each_transaction() -> None:
    """Where the firm wants it, with a key below the firm."""
    actor = SigningKey(b"a" * 32)
    (signed,) = capture(build_document(event(1)), actor=actor).transactions
    assert signed.transaction.actor_key == actor.public_key
    assert signed.verify_actor(NETWORK)


def test_each_transaction_has_its_own_nonce() -> None:
    """The same document twice is two transactions: sameness is judged by event."""
    first, second = (capture(build_document(event(1))).transactions[0] for _ in range(2))
    assert first.id != second.id


def test_verdicts_are_by_event() -> None:
    """Accepted, accepted with a warning, rejected, and twice in one document."""
    sent = build_document(event(1), event(2, _comment="x"), event(3, action="CREATE"), event(1), event(4), _comment="y")
    prepared = capture(sent)
    result = prepared.result
    assert [entry.verdict for entry in result.events] == [
        Verdict.ACCEPTED,
        Verdict.WARNING,
        Verdict.REJECTED,
        Verdict.DUPLICATE,
        Verdict.ACCEPTED,
    ]
    assert result.verdict is Verdict.PARTIAL
    assert msgspec.to_builtins(result.counts) == {"accepted": 2, "warning": 1, "duplicate": 1, "rejected": 1}
    assert [entry.position for entry in result.events] == [0, 1, None, 0, 2]
    assert result.events[2].errors[0].path == "epcisBody.eventList[2].action"
    assert result.events[1].warnings[0].code == "comment"
    assert [warning.path for warning in result.warnings] == ["_comment"]


def test_an_event_entered_before_is_a_duplicate() -> None:
    """The same document again enters nothing, its master data included."""
    known = Known()
    sent = build_document(event(1), event(2), epcisHeader=build_master_data(LOT))
    known.learn(capture(sent, known))
    again = capture(sent, known)
    assert again.transactions == ()
    assert again.result.verdict is Verdict.DUPLICATE
    assert again.result.counts.duplicate == 2
    more = capture(build_document(event(1), event(3)), known)
    assert more.result.verdict is Verdict.ACCEPTED
    assert [entry.position for entry in more.result.events] == [None, 0]


def test_another_record_time_is_the_same_event() -> None:
    """And another eventID is another event."""
    known = Known()
    known.learn(capture(build_document(event(1)), known))
    same = capture(build_document(event(1, recordTime="2025-11-26T12:00:00Z")), known)
    other = capture(build_document(event(2)), known)
    assert (same.result.counts.duplicate, other.result.counts.accepted) == (1, 1)


def test_rollback_enters_nothing_beside_a_rejected_event() -> None:
    """As EPCIS has it by default; we proceed unless asked."""
    sent = build_document(event(1), event(2, action="CREATE"))
    prepared = capture(sent, policy=Policy.ROLLBACK)
    assert prepared.transactions == ()
    assert prepared.result.verdict is Verdict.REJECTED
    assert prepared.result.events[0].errors[0].code == "rolled_back"
    assert capture(build_document(event(1)), policy=Policy.ROLLBACK).result.verdict is Verdict.ACCEPTED


@pytest.mark.parametrize(("count", "transactions"), [(0, 0), (1, 1), (100, 1), (101, 2), (250, 3)])
def test_many_events_are_cut_into_transactions(count: int, transactions: int) -> None:
    """In order, so many in each."""
    prepared = capture(build_document(*(event(number) for number in range(count))))
    captures = [decode_capture(signed.transaction.payload) for signed in prepared.transactions]
    assert len(captures) == transactions
    assert all(len(part.events) <= EVENTS_PER_TRANSACTION for part in captures)
    sent = [json.loads(raw)["eventID"] for part in captures for raw in part.events]
    assert sent == [f"urn:uuid:{number}" for number in range(count)]


@given(st.lists(st.integers(0, 200_000), max_size=12))
def test_large_events_are_cut_by_their_bytes(sizes: list[int]) -> None:
    """A transaction stays small unless it holds one large event, and every place is the event's own."""
    events = [event(number, **{"ex:a": "x" * size}) for number, size in enumerate(sizes)]
    prepared = capture(build_document(*events))
    captures = {signed.id.hex(): decode_capture(signed.transaction.payload) for signed in prepared.transactions}
    for part in captures.values():
        assert len(part.events) == 1 or sum(map(len, part.events)) <= BYTES_PER_TRANSACTION
    for sent, entry in zip(events, prepared.result.events, strict=True):
        assert entry.transaction is not None
        assert entry.position is not None
        assert json.loads(captures[entry.transaction].events[entry.position]) == sent
    assert all(signed.size_bytes <= TRANSACTION_BYTES_MAX for signed in prepared.transactions)


def test_master_data_travels_before_the_events() -> None:
    """Also alone, and cut into transactions like events."""
    names = [f"https://id.gs1.org/01/09780345418913/10/L{number}" for number in range(150)]
    prepared = capture(build_document(event(1), epcisHeader=build_master_data(*names)))
    captures = [decode_capture(signed.transaction.payload) for signed in prepared.transactions]
    assert [(len(part.vocabulary), len(part.events)) for part in captures] == [(100, 0), (50, 1)]
    assert prepared.result.events[0].transaction == prepared.transactions[1].id.hex()
    alone = capture(build_document(epcisHeader=build_master_data(LOT)))
    assert len(alone.transactions) == 1
    assert alone.result.verdict is Verdict.ACCEPTED


def test_no_document_is_a_named_refusal() -> None:
    """Before any transaction is made."""
    with pytest.raises(DocumentError) as refused:
        capture([])
    assert refused.value.code == "not_a_capture_document"


def test_what_the_door_lets_in_fits_a_transaction() -> None:
    """The door's bounds on an event and on the context are those of the ledger."""
    assert (document.CONTEXT_BYTES_MAX, json_values.EVENT_BYTES_MAX) == (
        transaction.CONTEXT_BYTES_MAX,
        transaction.EVENT_BYTES_MAX,
    )
    assert EVENTS_PER_TRANSACTION <= transaction.EVENTS_MAX


def test_the_answer_has_a_stable_shape() -> None:
    """What clients see as JSON; it reads back as the same result."""
    result = capture(build_document(event(1), event(2, bizStep="shiping"))).result
    shape = json.loads(msgspec.json.encode(result))
    assert set(shape) == {"verdict", "events", "counts", "transactions", "warnings", "notices"}
    assert set(shape["events"][0]) == {
        "index", "verdict", "event_id", "transaction", "position", "warnings", "errors", "notices",
    }  # fmt: skip
    assert shape["events"][1]["verdict"] == "rejected"
    assert set(shape["events"][1]["errors"][0]) == {"path", "code", "message"}
    assert msgspec.json.decode(msgspec.json.encode(result), type=CaptureResult) == result
