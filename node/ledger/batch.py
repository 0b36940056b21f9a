"""The batch: a member's transactions under one signature of its node, chained on its feed.

The signed bytes have a fixed layout; their SHA-256 is the batch's digest. `seq` is gapless and each batch names the
digest before it, so replay and reordering are impossible by construction.
"""

import struct
from dataclasses import dataclass
from typing import Final

from consensus.scheme import Signer
from consensus.types import U32_MAX, Digest
from node.crypto.digests import BATCH_DOMAIN, sha256
from node.crypto.keys import SIGNATURE_BYTES, PublicKey, verify_signature
from node.crypto.merkle import merkle_root
from node.ledger.transaction import SignedTransaction, read_signed
from node.wire.codec import MalformedError, Packable, pack, read_array, read_bytes, read_digest, read_int, unpack
from node.wire.ids import MEMBER_ID_LENGTH_MAX, FeedId, FeedNumber, FeedTip, MemberId, Seq, read_member_id
from node.wire.messages import BATCH_BYTES_MAX

BATCH_VERSION: Final = 1
BATCH_BODY_BYTES_MAX: Final = 1024 * 1024
BATCH_TRANSACTIONS_MAX: Final = 4096
HEADER_FIELDS: Final = 10
"""Of an encoded batch, before its signature."""
SEAL_DELAY_MS: Final = 25
TIME_MS_MAX: Final = 2**48

_SIGNED: Final = struct.Struct(f">16s32s{MEMBER_ID_LENGTH_MAX}sIQ32sQII32s")


@dataclass(frozen=True, slots=True)
class BatchHeader:
    """What the node signs. byte_count: of all transactions with their signatures. time_ms: Unix time at sealing."""

    network_id: Digest
    feed: FeedId
    seq: Seq
    previous: Digest
    time_ms: int
    transaction_count: int
    byte_count: int
    transaction_root: Digest

    def signing_bytes(self) -> bytes:
        """Return the fixed layout: domain, network id, member padded with zeros, feed number, seq, …."""
        return _SIGNED.pack(
            BATCH_DOMAIN,
            self.network_id,
            self.feed.member.encode("ascii"),
            self.feed.number,
            self.seq,
            self.previous,
            self.time_ms,
            self.transaction_count,
            self.byte_count,
            self.transaction_root,
        )

    def to_fields(self) -> tuple[Packable, ...]:
        """Return the fields that an encoded batch begins with."""
        return (
            BATCH_VERSION,
            self.network_id,
            self.feed.member,
            self.feed.number,
            self.seq,
            self.previous,
            self.time_ms,
            self.transaction_count,
            self.byte_count,
            self.transaction_root,
        )


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch with its digest and the bytes that it was received as."""

    header: BatchHeader
    signature: bytes
    transactions: tuple[SignedTransaction, ...]
    digest: Digest
    encoded: bytes

    @property
    def tip(self) -> FeedTip:
        """The batch by its place and digest."""
        return FeedTip(self.header.feed, self.header.seq, self.digest)

    def verify_node(self, node_key: PublicKey) -> bool:
        """Return whether the node's signature is good."""
        return verify_signature(node_key, self.header.signing_bytes(), self.signature)


def _encode(header: BatchHeader, signature: bytes, transactions: tuple[SignedTransaction, ...]) -> bytes:
    return pack((*header.to_fields(), signature, tuple(transaction.to_fields() for transaction in transactions)))


def seal_batch(
    *,
    network_id: Digest,
    feed: FeedId,
    seq: Seq,
    previous: Digest,
    time_ms: int,
    transactions: tuple[SignedTransaction, ...],
    key: Signer,
) -> Batch:
    """Return a new signed batch. previous: digest of the batch at seq - 1, zero for the first."""
    header = BatchHeader(
        network_id=network_id,
        feed=feed,
        seq=seq,
        previous=previous,
        time_ms=time_ms,
        transaction_count=len(transactions),
        byte_count=sum(transaction.size_bytes for transaction in transactions),
        transaction_root=merkle_root([transaction.encode() for transaction in transactions]),
    )
    signing_bytes = header.signing_bytes()
    signature = key.sign(signing_bytes)
    return Batch(header, signature, transactions, sha256(signing_bytes), _encode(header, signature, transactions))


def read_batch_header(fields: tuple[object, ...]) -> BatchHeader:
    """Return the header in the first ten fields of an unpacked batch. Raises MalformedError."""
    version, network_id, member, number, seq, previous, time_ms, count, byte_count, root = fields
    read_int(version, "batch.version", lowest=BATCH_VERSION, highest=BATCH_VERSION)
    return BatchHeader(
        network_id=read_digest(network_id, "batch.network_id"),
        feed=FeedId(
            MemberId(read_member_id(member, "batch.member")),
            FeedNumber(read_int(number, "batch.feed", highest=U32_MAX)),
        ),
        seq=Seq(read_int(seq, "batch.seq")),
        previous=read_digest(previous, "batch.previous"),
        time_ms=read_int(time_ms, "batch.time_ms", highest=TIME_MS_MAX),
        transaction_count=read_int(count, "batch.transaction_count", lowest=1, highest=BATCH_TRANSACTIONS_MAX),
        byte_count=read_int(byte_count, "batch.byte_count", lowest=1, highest=BATCH_BODY_BYTES_MAX),
        transaction_root=read_digest(root, "batch.transaction_root"),
    )


def decode_batch_header(encoded: bytes) -> BatchHeader:
    """Return only the header of an encoded batch, without reading its transactions. Raises MalformedError."""
    fields = read_array(unpack(encoded, what="batch"), "batch", length=HEADER_FIELDS + 2)
    return read_batch_header(fields[:HEADER_FIELDS])


def decode_batch(encoded: bytes, network_id: Digest) -> Batch:
    """Return the batch in `encoded`, checked but for signatures. Raises MalformedError, and nothing else.

    Checked: shape and bounds, network id, that each transaction decodes and names the feed's member, and that
    counts and transaction root are those of the body.
    """
    if len(encoded) > BATCH_BYTES_MAX:
        raise MalformedError(f"batch: {len(encoded)} bytes, more than {BATCH_BYTES_MAX}")
    fields = read_array(unpack(encoded, what="batch"), "batch", length=HEADER_FIELDS + 2)
    header = read_batch_header(fields[:HEADER_FIELDS])
    if header.network_id != network_id:
        raise MalformedError("batch.network_id: another network's")
    signature = read_bytes(fields[HEADER_FIELDS], "batch.signature", length=SIGNATURE_BYTES)
    transactions = tuple(
        read_signed(entry, network_id, "batch.transaction")
        for entry in read_array(fields[HEADER_FIELDS + 1], "batch.transactions", length=header.transaction_count)
    )
    for transaction in transactions:
        # Safety: a transaction travels in its own member's feed only, so nobody submits for another.
        if transaction.transaction.member != header.feed.member:
            raise MalformedError("batch.transaction.member: not the member of the feed")
    if sum(transaction.size_bytes for transaction in transactions) != header.byte_count:
        raise MalformedError("batch.byte_count: not that of the transactions")
    if merkle_root([transaction.encode() for transaction in transactions]) != header.transaction_root:
        raise MalformedError("batch.transaction_root: not that of the transactions")
    return Batch(header, signature, transactions, sha256(header.signing_bytes()), encoded)


def verify_batch(batch: Batch, node_key: PublicKey) -> str | None:
    """Return why the batch's signatures are not good, or None if they are. Slow: one verification a signature."""
    if not batch.verify_node(node_key):
        return "the node's signature is not good"
    for number, transaction in enumerate(batch.transactions):
        if not transaction.verify_actor(batch.header.network_id):
            return f"the actor's signature of transaction {number} is not good"
    return None
