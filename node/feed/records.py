"""What is remembered of a batch once its body is on disk, and the verdicts on a copy of one."""

from dataclasses import dataclass
from enum import Enum
from typing import cast

from consensus.types import Digest
from node.crypto.keys import PublicKey, verify_signature
from node.crypto.merkle import merkle_root
from node.ledger.batch import Batch, decode_batch, decode_batch_header
from node.wire.codec import MalformedError, Packable, pack, unpack
from node.wire.ids import FeedTip


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """The links and counts of a batch that is durable on this node. size_bytes: of its encoding."""

    tip: FeedTip
    previous: Digest
    transaction_count: int
    size_bytes: int


def record_of(batch: Batch) -> BatchRecord:
    """Return what is to be remembered of a batch."""
    return BatchRecord(batch.tip, batch.header.previous, batch.header.transaction_count, len(batch.encoded))


class CopyVerdict(Enum):
    """What a check of received bytes says."""

    GOOD = "good"
    BAD_COPY = "bad copy"
    """These bytes are not what the digest names: the sender's fault, another copy may be good."""
    INVALID = "invalid"
    """The member's node signed exactly this, and it breaks the protocol: no copy can be good."""


@dataclass(frozen=True, slots=True)
class CheckedCopy:
    """The result of `check_copy`. batch: only of a good copy. why: empty for a good copy."""

    verdict: CopyVerdict
    batch: Batch | None
    why: str


def _is_signed_body(encoded: bytes, *, network_id: Digest, node_key: PublicKey) -> bool:
    """Return whether the node signed for exactly these transactions, readable or not."""
    header = decode_batch_header(encoded)
    signature, body = cast("tuple[object, Packable]", unpack(encoded, what="batch")[-2:])
    return (
        header.network_id == network_id
        and isinstance(body, tuple)
        and merkle_root([pack(entry) for entry in body]) == header.transaction_root
        and isinstance(signature, bytes)
        and verify_signature(node_key, header.signing_bytes(), signature)
    )


def check_copy(encoded: bytes, *, network_id: Digest, node_key: PublicKey) -> CheckedCopy:
    """Read and verify the bytes of a batch. Slow (one signature a transaction): run it in a worker thread.

    A digest covers the header with the root of its transactions, but not the node's signature. So whatever fails
    while the node's signature or the root does not hold is the copy's fault; only what the node signed for, and what
    is wrong nevertheless (a transaction of another member, an actor's bad signature), speaks against the batch.
    """
    try:
        decode_batch_header(encoded)
    except MalformedError as error:
        return CheckedCopy(CopyVerdict.BAD_COPY, None, str(error))
    try:
        batch = decode_batch(encoded, network_id)
    except MalformedError as error:
        signed = _is_signed_body(encoded, network_id=network_id, node_key=node_key)
        return CheckedCopy(CopyVerdict.INVALID if signed else CopyVerdict.BAD_COPY, None, str(error))
    if not batch.verify_node(node_key):
        return CheckedCopy(CopyVerdict.BAD_COPY, None, "the node's signature is not good")
    for place, transaction in enumerate(batch.transactions):
        if not transaction.verify_actor(network_id):
            return CheckedCopy(CopyVerdict.INVALID, None, f"the actor's signature of transaction {place} is not good")
    return CheckedCopy(CopyVerdict.GOOD, batch, "")
