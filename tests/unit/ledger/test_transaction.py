"""node.ledger.transaction."""

import dataclasses
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ledger.transaction import (
    TRANSACTION_BYTES_MAX,
    Capture,
    Kind,
    decode_capture,
    decode_signed,
    decode_transaction,
    sign_transaction,
)
from node.wire.codec import MalformedError, pack
from tests.support.networks import build_genesis, build_key, build_transaction

GENESIS = build_genesis()
ACTOR = build_key("actor-0")
PLAIN = build_transaction(GENESIS, payload=b"p")
SIGNED = build_transaction(GENESIS, payload=b"p", actor=ACTOR)


@pytest.mark.parametrize("signed", [PLAIN, SIGNED])
def test_a_transaction_comes_back(signed: object) -> None:
    """Round trip, with and without an actor."""
    assert signed in (PLAIN, SIGNED)
    for each in (PLAIN, SIGNED):
        assert decode_signed(each.encode(), GENESIS.network_id) == each


def test_the_id_names_network_and_bytes() -> None:
    """SHA-256 of domain, network id and the bytes as received."""
    expected = hashlib.sha256(b"lotvine/tx/v1\0\0\0" + GENESIS.network_id + SIGNED.encoded).digest()
    assert SIGNED.id == expected
    other = build_genesis(validators=1)
    assert decode_signed(SIGNED.encode(), other.network_id).id != SIGNED.id


def test_the_actor_signs_for_one_network() -> None:
    """A transaction of one network is no transaction of another."""
    assert SIGNED.verify_actor(GENESIS.network_id)
    assert not SIGNED.verify_actor(build_genesis(validators=1).network_id)
    assert PLAIN.verify_actor(GENESIS.network_id)
    assert not dataclasses.replace(SIGNED, signature=None).verify_actor(GENESIS.network_id)
    assert not dataclasses.replace(PLAIN, signature=bytes(64)).verify_actor(GENESIS.network_id)


def test_nobody_signs_with_a_key_that_the_transaction_does_not_name() -> None:
    """A slip of our own code."""
    with pytest.raises(ValueError, match="another actor key"):
        sign_transaction(PLAIN.transaction, GENESIS.network_id, ACTOR)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(encoded: bytes) -> None:
    """The decoders raise MalformedError and nothing else."""
    for decode in (decode_transaction, decode_capture, lambda data: decode_signed(data, GENESIS.network_id)):
        with pytest.raises(MalformedError):
            decode(encoded)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ((2, 1, "firm-0", None, 0, bytes(16), b""), r"transaction\.version"),
        ((1, 70_000, "firm-0", None, 0, bytes(16), b""), r"transaction\.kind"),
        ((1, 1, "Firm", None, 0, bytes(16), b""), r"transaction\.member"),
        ((1, 1, "firm-0", bytes(31), 0, bytes(16), b""), r"transaction\.actor_key"),
        ((1, 1, "firm-0", None, -1, bytes(16), b""), r"transaction\.created_ms"),
        ((1, 1, "firm-0", None, 0, bytes(15), b""), r"transaction\.nonce"),
        ((1, 1, "firm-0", None, 0, bytes(16), None), r"transaction\.payload"),
        ((1, 1, "firm-0", None, 0, bytes(16)), "6 fields, not 7"),
        ((1, 1, "firm-0", None, 0, bytes(16), bytes(TRANSACTION_BYTES_MAX)), "more than"),
    ],
)
def test_a_wrong_field_is_named(fields: tuple[int | str | bytes | None, ...], why: str) -> None:
    """The message says which."""
    with pytest.raises(MalformedError, match=why):
        decode_transaction(pack(fields))


@pytest.mark.parametrize("fields", [(SIGNED.encoded, None), (PLAIN.encoded, bytes(64))])
def test_a_signature_stands_exactly_where_an_actor_does(fields: tuple[bytes, bytes | None]) -> None:
    """Else one transaction would have two forms."""
    with pytest.raises(MalformedError, match="if and only if"):
        decode_signed(pack(fields), GENESIS.network_id)


def test_a_capture_comes_back() -> None:
    """The original slices, byte for byte."""
    capture = Capture(b'["ctx"]', (b'{"a":1}', b"{}"), (b"{ }",))
    assert decode_capture(capture.encode()) == capture
    assert int(Kind.CAPTURE) == 1


def test_the_size_counts_the_signature() -> None:
    """What stands against a batch's limit."""
    assert SIGNED.size_bytes == len(SIGNED.encoded) + 64
    assert PLAIN.size_bytes == len(PLAIN.encoded)
