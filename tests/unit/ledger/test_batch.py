"""node.ledger.batch and node.ledger.cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.types import Digest
from node.crypto.merkle import merkle_root
from node.ledger.batch import decode_batch, decode_batch_header, verify_batch
from node.ledger.cut import batch_root, cut_digest, decode_cut, encode_cut
from node.wire.codec import MalformedError, pack, unpack
from node.wire.ids import FeedId, FeedNumber, FeedTip, MemberId, Seq
from node.wire.messages import BATCH_BYTES_MAX
from tests.support.networks import build_batch, build_genesis, build_key, build_transaction

GENESIS = build_genesis()
ACTOR = build_key("actor-0")
BATCH = build_batch(GENESIS, build_transaction(GENESIS, nonce=1), build_transaction(GENESIS, nonce=2, actor=ACTOR))
FIELDS = unpack(BATCH.encoded, what="batch")
NODE_KEY = build_key("firm-0").public_key


def change(**changes: object) -> bytes:
    """The batch with some fields, by place, changed."""
    fields = list(FIELDS)
    for place, value in changes.items():
        fields[int(place[1:])] = value
    return pack(tuple(fields))  # type: ignore[arg-type]  # Fields of an unpacked batch are packable.


def test_a_batch_comes_back() -> None:
    """Round trip, and its header alone."""
    assert decode_batch(BATCH.encoded, GENESIS.network_id) == BATCH
    assert decode_batch_header(BATCH.encoded) == BATCH.header
    assert BATCH.tip.digest == BATCH.digest


def test_a_good_batch_verifies() -> None:
    """The node's signature and each actor's."""
    assert verify_batch(BATCH, NODE_KEY) is None


def test_a_wrong_node_signature_is_found() -> None:
    """Another member's node did not write this feed."""
    assert verify_batch(BATCH, build_key("firm-1").public_key) == "the node's signature is not good"


def test_a_wrong_actor_signature_is_found() -> None:
    """The batch is refused whole, and the transaction named."""
    transactions = FIELDS[11]
    assert isinstance(transactions, tuple)
    forged = (transactions[0], (transactions[1][0], bytes(64)))
    root = merkle_root([pack(entry) for entry in forged])
    batch = decode_batch(change(_9=root, _11=forged), GENESIS.network_id)
    resigned = batch.header.signing_bytes()
    encoded = change(_9=root, _11=forged, _10=build_key("firm-0").sign(resigned))
    problem = verify_batch(decode_batch(encoded, GENESIS.network_id), NODE_KEY)
    assert problem == "the actor's signature of transaction 1 is not good"


@pytest.mark.parametrize(
    ("encoded", "why"),
    [
        (change(_0=2), r"batch\.version"),
        (change(_1=bytes(32)), "another network's"),
        (change(_2="firm-1"), r"batch\.transaction\.member"),
        (change(_3=2**32), r"batch\.feed"),
        (change(_4=-1), r"batch\.seq"),
        (change(_5=b""), r"batch\.previous"),
        (change(_6=2**60), r"batch\.time_ms"),
        (change(_7=0), r"batch\.transaction_count"),
        (change(_7=3), r"batch\.transactions: 2 fields"),
        (change(_8=1), r"batch\.byte_count"),
        (change(_9=bytes(32)), r"batch\.transaction_root"),
        (change(_10=b"x"), r"batch\.signature"),
        (change(_11=((b"x", None), (b"y", None))), "transaction: not an array"),
        (BATCH.encoded + b"x", "not msgpack"),
        (bytes(BATCH_BYTES_MAX + 1), "more than"),
    ],
)
def test_a_wrong_batch_is_refused_by_field(encoded: bytes, why: str) -> None:
    """Protocol-invalid: such a batch is acknowledged by nobody."""
    with pytest.raises(MalformedError, match=why):
        decode_batch(encoded, GENESIS.network_id)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(encoded: bytes) -> None:
    """T-38: the decoders raise MalformedError and nothing else."""
    with pytest.raises(MalformedError):
        decode_batch(encoded, GENESIS.network_id)
    with pytest.raises(MalformedError):
        decode_batch_header(encoded)


def tip(member: str, seq: int, number: int = 0) -> FeedTip:
    """A tip with a digest of its own."""
    return FeedTip(FeedId(MemberId(member), FeedNumber(number)), Seq(seq), Digest(bytes([seq]) * 32))


def test_a_cut_comes_back() -> None:
    """Round trip, in the order of feeds."""
    cut = (tip("a", 1), tip("b", 2), tip("b", 0, 1))
    assert decode_cut(encode_cut(cut)) == cut
    assert decode_cut(encode_cut(())) == ()
    assert cut_digest(encode_cut(cut)) != cut_digest(encode_cut(cut[:2]))
    assert batch_root([t.digest for t in cut]) == merkle_root([t.digest for t in cut])


@pytest.mark.parametrize("cut", [(tip("b", 1), tip("a", 1)), (tip("a", 1), tip("a", 2))])
def test_feeds_of_a_cut_rise(cut: tuple[FeedTip, ...]) -> None:
    """One cut has one encoding, and no feed stands in it twice."""
    with pytest.raises(MalformedError, match="do not rise"):
        decode_cut(encode_cut(cut))


@given(st.binary(max_size=100))
def test_any_bytes_are_a_cut_or_refused(payload: bytes) -> None:
    """T-38: decode_cut raises MalformedError and nothing else."""
    try:
        cut = decode_cut(payload)
    except MalformedError:
        return
    assert encode_cut(cut) == payload
