"""The check of a received copy: whose fault is it that something is wrong?"""

import dataclasses

import pytest

from node.crypto.merkle import merkle_root
from node.feed.records import CheckedCopy, CopyVerdict, check_copy, record_of
from node.ledger.batch import BatchHeader
from node.wire.codec import Packable, pack, unpack
from tests.support.networks import build_batch, build_genesis, build_key, build_transaction

GENESIS = build_genesis(validators=2)
ACTOR = build_key("actor-0")
BATCH = build_batch(GENESIS, build_transaction(GENESIS, actor=ACTOR), build_transaction(GENESIS, nonce=1))


def check(encoded: bytes) -> CheckedCopy:
    """Check as a batch of firm-0."""
    return check_copy(encoded, network_id=GENESIS.network_id, node_key=build_key("firm-0").public_key)


def resign(header: BatchHeader, body: tuple[Packable, ...], *, signer: str = "firm-0") -> bytes:
    """The encoding of a batch signed over whatever stands in it."""
    header = dataclasses.replace(header, transaction_root=merkle_root([pack(entry) for entry in body]))
    fields = list(unpack(BATCH.encoded, what="batch"))
    fields[7], fields[8], fields[9] = header.transaction_count, header.byte_count, header.transaction_root
    fields[10] = build_key(signer).sign(header.signing_bytes())
    fields[11] = body
    return pack(tuple(fields))  # type: ignore[arg-type] # what was unpacked can be packed


BODY: tuple[Packable, ...] = tuple(transaction.to_fields() for transaction in BATCH.transactions)


def test_a_good_copy_gives_the_batch_and_its_record() -> None:
    """Everything holds: the batch as received."""
    checked = check(BATCH.encoded)
    assert checked == CheckedCopy(CopyVerdict.GOOD, BATCH, "")
    record = record_of(BATCH)
    assert (record.tip, record.previous, record.transaction_count) == (BATCH.tip, BATCH.header.previous, 2)
    assert record.size_bytes == len(BATCH.encoded)


@pytest.mark.parametrize("place", [5, 60, 150, 220, len(BATCH.encoded) - 3])
def test_flipped_bits_are_the_copys_fault(place: int) -> None:
    """The digest does not cover the signature, so a bad one says nothing about the batch."""
    encoded = bytearray(BATCH.encoded)
    encoded[place] ^= 1
    assert check(bytes(encoded)).verdict is CopyVerdict.BAD_COPY


def test_another_nodes_signature_is_the_copys_fault() -> None:
    """Whoever relays a forged batch is to blame, not the member it names."""
    assert check(resign(BATCH.header, BODY, signer="firm-1")).verdict is CopyVerdict.BAD_COPY
    stranger = build_batch(GENESIS, build_transaction(GENESIS, member="firm-1"), member="firm-1")
    assert check(stranger.encoded).verdict is CopyVerdict.BAD_COPY


def test_a_bad_signature_of_an_actor_speaks_against_the_batch() -> None:
    """The node has signed over it: no copy can be good."""
    forged = dataclasses.replace(BATCH.transactions[0], signature=bytes(64))
    checked = check(build_batch(GENESIS, forged).encoded)
    assert checked.verdict is CopyVerdict.INVALID
    assert "actor" in checked.why


@pytest.mark.parametrize(
    "body",
    [
        (BODY[0],),
        (*BODY, BODY[0]),
        ((b"nonsense", None), BODY[1]),
        (b"nonsense", BODY[1]),
        (build_transaction(GENESIS, member="firm-1").to_fields(), BODY[1]),
    ],
)
def test_what_the_node_signed_and_is_wrong_speaks_against_the_batch(body: tuple[Packable, ...]) -> None:
    """Too few, too many, unreadable, of another member: signed all the same."""
    assert check(resign(BATCH.header, body)).verdict is CopyVerdict.INVALID
    assert check(resign(BATCH.header, body, signer="firm-1")).verdict is CopyVerdict.BAD_COPY


def test_a_body_that_is_no_list_is_the_copys_fault() -> None:
    """No body can have an impossible root, so nothing is proved."""
    fields = [*unpack(BATCH.encoded, what="batch")[:11], b"body"]
    assert check(pack(tuple(fields))).verdict is CopyVerdict.BAD_COPY  # type: ignore[arg-type] # unpacked before
    assert check(b"nonsense").verdict is CopyVerdict.BAD_COPY
