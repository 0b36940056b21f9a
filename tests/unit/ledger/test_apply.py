"""node.ledger.apply."""

import hashlib
import json

import pytest

from consensus.errors import InvariantError
from consensus.types import Digest
from node.crypto.merkle import merkle_root
from node.ledger.apply import apply_block
from node.ledger.state import WriteSet
from node.ledger.transaction import Capture, Kind
from node.ledger.verdicts import EventCode, TransactionCode
from node.wire.codec import pack
from tests.support.memory_state import MemoryState, build_block
from tests.support.networks import CREATED_MS, DAY_MS, build_batch, build_genesis, build_key, build_transaction

GENESIS = build_genesis()
LOT = "https://id.gs1.org/01/09520001000003/10/A"


def event(lot: str = LOT, *, event_id: str | None = None) -> bytes:
    """An event that makes 10 kg of a lot."""
    fields = {
        "type": "ObjectEvent",
        "eventTime": "2025-10-09T08:00:00.000+02:00",
        "eventTimeZoneOffset": "+02:00",
        "action": "ADD",
        "bizStep": "commissioning",
        "quantityList": [{"epcClass": lot, "quantity": 10, "uom": "KGM"}],
    }
    if event_id is not None:
        fields["eventID"] = event_id
    return json.dumps(fields).encode()


def capture(*events: bytes, vocabulary: tuple[bytes, ...] = ()) -> bytes:
    """The payload of a capture."""
    return Capture(b"[]", events, vocabulary).encode()


def run(state: MemoryState, *batches: object, height: int | None = None, timestamp_ms: int = CREATED_MS) -> WriteSet:
    """Execute a block of these batches and keep what it changes."""
    block = build_block(
        GENESIS,
        *batches,  # type: ignore[arg-type]  # Batches, as build_batch makes them.
        height=state.height + 1 if height is None else height,
        timestamp_ms=timestamp_ms,
    )
    writes = apply_block(state, block, batches)  # type: ignore[arg-type]  # As above.
    state.write(writes)
    return writes


def codes(writes: WriteSet) -> list[TransactionCode]:
    """The verdicts in block order."""
    return [row.code for row in writes.transactions]


def test_an_event_of_a_capture_is_entered() -> None:
    """One row, filed under its lot, with the item for look-ups."""
    signed = build_transaction(GENESIS, kind=Kind.CAPTURE, payload=capture(event()))
    writes = run(MemoryState(GENESIS), build_batch(GENESIS, signed))
    assert codes(writes) == [TransactionCode.ACCEPTED]
    assert writes.transactions[0].event_codes == (EventCode.ACCEPTED,)
    (row,) = writes.events
    assert (row.transaction_id, row.member, row.ref.height, row.ref.event) == (signed.id, "firm-0", 1, 0)
    assert row.event.goods[0].item == LOT
    assert [list(filing.roles) for filing in writes.filings] == [[LOT]]


def test_the_same_transaction_is_executed_once() -> None:
    """By its id, within a block and across blocks; the first in cut order counts."""
    state = MemoryState(GENESIS)
    signed = build_transaction(GENESIS, kind=Kind.CAPTURE, payload=capture(event()))
    first = build_batch(GENESIS, signed, signed)
    assert codes(run(state, first)) == [TransactionCode.ACCEPTED, TransactionCode.DUPLICATE]
    again = build_batch(GENESIS, signed, seq=1, previous=first.digest)
    writes = run(state, again)
    assert codes(writes) == [TransactionCode.DUPLICATE]
    assert writes.events == ()


def test_the_same_event_of_one_member_counts_once_and_of_two_twice() -> None:
    """A member may send a document again; a witness is another member."""
    state = MemoryState(GENESIS)
    one = build_transaction(GENESIS, kind=Kind.CAPTURE, payload=capture(event(), event()), nonce=1)
    two = build_transaction(GENESIS, kind=Kind.CAPTURE, payload=capture(event()), nonce=2)
    other = build_transaction(GENESIS, kind=Kind.CAPTURE, payload=capture(event()), member="firm-1")
    batch = build_batch(GENESIS, one)
    assert run(state, batch).transactions[0].event_codes == (EventCode.ACCEPTED, EventCode.DUPLICATE)
    writes = run(
        state, build_batch(GENESIS, two, seq=1, previous=batch.digest), build_batch(GENESIS, other, member="firm-1")
    )
    assert [row.event_codes for row in writes.transactions] == [(EventCode.DUPLICATE,), (EventCode.ACCEPTED,)]


def test_another_event_id_makes_another_event() -> None:
    """Equal content under two ids is two reports."""
    payload = capture(event(event_id="urn:uuid:1"), event(event_id="urn:uuid:2"))
    writes = run(
        MemoryState(GENESIS), build_batch(GENESIS, build_transaction(GENESIS, kind=Kind.CAPTURE, payload=payload))
    )
    assert writes.transactions[0].event_codes == (EventCode.ACCEPTED, EventCode.ACCEPTED)
    assert writes.events[0].event.content_digest == writes.events[1].event.content_digest


def test_what_cannot_be_read_is_rejected_and_changes_nothing_else() -> None:
    """An unreadable event beside a good one; an unreadable payload; an unknown kind."""
    half = build_transaction(GENESIS, kind=Kind.CAPTURE, payload=capture(b"{}", event()), nonce=1)
    broken = build_transaction(GENESIS, kind=Kind.CAPTURE, payload=b"\x01", nonce=2)
    strange = build_transaction(GENESIS, kind=77, nonce=3)
    writes = run(MemoryState(GENESIS), build_batch(GENESIS, half, broken, strange))
    assert codes(writes) == [TransactionCode.ACCEPTED, TransactionCode.MALFORMED, TransactionCode.UNKNOWN_KIND]
    assert writes.transactions[0].event_codes == (EventCode.UNREADABLE, EventCode.ACCEPTED)
    assert len(writes.events) == 1


@pytest.mark.parametrize(
    ("created_ms", "code"),
    [
        (CREATED_MS - DAY_MS, TransactionCode.ACCEPTED),
        (CREATED_MS - DAY_MS - 1, TransactionCode.EXPIRED),
        (CREATED_MS + DAY_MS, TransactionCode.ACCEPTED),
        (CREATED_MS + DAY_MS + 1, TransactionCode.TOO_EARLY),
    ],
)
def test_ids_are_remembered_for_the_expiry(created_ms: int, code: TransactionCode) -> None:
    """Against the feed's clock and the block's time, never a wall clock."""
    signed = build_transaction(GENESIS, created_ms=created_ms)
    assert codes(run(MemoryState(GENESIS), build_batch(GENESIS, signed))) == [code]


def test_an_outage_expires_nothing_that_was_sealed_in_time() -> None:
    """The feed's clock is the batch's time where that is earlier than the block's."""
    signed = build_transaction(GENESIS, created_ms=CREATED_MS)
    writes = run(MemoryState(GENESIS), build_batch(GENESIS, signed), timestamp_ms=CREATED_MS + 3 * DAY_MS)
    assert codes(writes) == [TransactionCode.ACCEPTED]


def test_a_feeds_clock_never_goes_back() -> None:
    """The maximum over its batches; a batch dated ahead counts by the block's time."""
    state = MemoryState(GENESIS)
    ahead = build_batch(GENESIS, build_transaction(GENESIS, nonce=1), time_ms=CREATED_MS + DAY_MS)
    assert run(state, ahead).feed_clocks[0][1] == CREATED_MS
    back = build_batch(GENESIS, build_transaction(GENESIS, nonce=2), seq=1, previous=ahead.digest, time_ms=5)
    assert run(state, back).feed_clocks[0][1] == CREATED_MS


def test_only_the_members_own_actors_are_known() -> None:
    """A good signature of a stranger's key is a rejected verdict."""
    own = build_transaction(GENESIS, actor=build_key("actor-0"))
    strange = build_transaction(GENESIS, actor=build_key("actor-1"))
    writes = run(MemoryState(GENESIS), build_batch(GENESIS, own, strange))
    assert codes(writes) == [TransactionCode.ACCEPTED, TransactionCode.ACTOR_UNKNOWN]


def test_a_member_that_the_state_does_not_know_has_no_actors() -> None:
    """The validators check the feed's member; execution does not rest on that."""
    ghost = build_transaction(GENESIS, member="ghost", actor=build_key("actor-0"))
    assert codes(run(MemoryState(GENESIS), build_batch(GENESIS, ghost, member="ghost"))) == [
        TransactionCode.ACTOR_UNKNOWN
    ]


def test_the_state_digest_is_the_one_of_the_protocol_page() -> None:
    """Computed here again from the words of docs/protocol.md, without the code's helpers."""
    signed = build_transaction(GENESIS, kind=Kind.CAPTURE, payload=capture(event(), b"{}"))
    writes = run(MemoryState(GENESIS), build_batch(GENESIS, signed))
    domain = b"lotvine/state/v1"
    verdicts = merkle_root([signed.id + b"\x00" + b"\x00\x02"])
    others = hashlib.sha256(pack(((("firm-0", 0, CREATED_MS),), None, ()))).digest()
    genesis_state = hashlib.sha256(domain + GENESIS.network_id).digest()
    assert writes.state_digest == hashlib.sha256(domain + genesis_state + verdicts + others).digest()


def test_master_data_is_entered_and_unreadable_elements_are_passed_over() -> None:
    """Names of places and products come with a document."""
    element = json.dumps(
        {
            "type": "urn:epcglobal:epcis:vtype:Location",
            "vocabularyElementList": [
                {
                    "id": "urn:epc:id:sgln:9520001.00000.0",
                    "attributes": [{"id": "urn:epcglobal:cbv:mda#name", "attribute": "Mill"}],
                }
            ],
        }
    ).encode()
    payload = capture(event(), vocabulary=(b"nonsense", element))
    writes = run(
        MemoryState(GENESIS), build_batch(GENESIS, build_transaction(GENESIS, kind=Kind.CAPTURE, payload=payload))
    )
    (master,) = writes.masters
    assert master.member == "firm-0"
    assert ("name", "Mill") in master.record.attributes


@pytest.mark.parametrize("case", ["height", "missing", "other"])
def test_a_block_without_its_own_batches_is_our_bug(case: str) -> None:
    """A quorum has checked them: the node stops."""
    batch = build_batch(GENESIS, build_transaction(GENESIS))
    other = build_batch(GENESIS, build_transaction(GENESIS, nonce=9))
    block = build_block(GENESIS, batch, height=2 if case == "height" else 1)
    batches = {"height": [batch], "missing": [], "other": [other]}[case]
    with pytest.raises(InvariantError):
        apply_block(MemoryState(GENESIS), block, batches)


def test_an_empty_block_moves_the_digest_on() -> None:
    """Each height has a digest of its own."""
    state = MemoryState(GENESIS)
    first = run(state).state_digest
    second = run(state).state_digest
    assert len({GENESIS.state_digest, first, second, Digest(bytes(32))}) == 4
