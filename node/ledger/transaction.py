"""The transaction: the unit of submission, verdict, receipt and proof.

`[version, kind, member, actor key or nil, created ms, nonce, payload]`, carried as `[transaction, signature or nil]`:
a signature if and only if there is an actor key. Its id is SHA-256 of domain, network id and the bytes as received;
the same bytes are what the actor signs.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from consensus.types import Digest
from node.crypto.digests import TRANSACTION_DOMAIN, sha256
from node.crypto.keys import PUBLIC_KEY_BYTES, SIGNATURE_BYTES, PublicKey, SigningKey, verify_signature
from node.wire.codec import MalformedError, pack, read_array, read_bytes, read_int, unpack
from node.wire.ids import MemberId, read_member_id

TRANSACTION_VERSION: Final = 1
TRANSACTION_BYTES_MAX: Final = 512 * 1024
NONCE_BYTES: Final = 16
KIND_MAX: Final = 2**16 - 1
CREATED_MS_MAX: Final = 2**48
EVENTS_MAX: Final = 256
EVENT_BYTES_MAX: Final = 256 * 1024
CONTEXT_BYTES_MAX: Final = 32 * 1024


class Kind(IntEnum):
    """What a transaction asks for. An unknown kind is carried, and rejected at execution."""

    CAPTURE = 1
    """Enter events and master data."""
    NOOP = 2
    """Enter nothing."""
    PROPOSE = 3
    """Propose changes of the roster; the proposal's id is that of the transaction."""
    APPROVE = 4
    """As a validator, approve a proposal."""
    WITHDRAW = 5
    """Take back a proposal, or one's approval of it."""
    EVIDENCE = 6
    """Enter the proof that a member's node signed two things that exclude each other."""
    WAIVE = 7
    """Say why a flag may stand."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """The signed request. actor_key: who answers for it below the firm, or None. created_ms: Unix time."""

    kind: int
    member: MemberId
    actor_key: PublicKey | None
    created_ms: int
    nonce: bytes
    payload: bytes

    def encode(self) -> bytes:
        """Return the one encoding."""
        return pack(
            (
                TRANSACTION_VERSION,
                self.kind,
                self.member,
                self.actor_key,
                self.created_ms,
                self.nonce,
                self.payload,
            )
        )


def decode_transaction(encoded: bytes) -> Transaction:
    """Return the transaction in `encoded`; its payload is not read. Raises MalformedError, and nothing else."""
    if len(encoded) > TRANSACTION_BYTES_MAX:
        raise MalformedError(f"transaction: {len(encoded)} bytes, more than {TRANSACTION_BYTES_MAX}")
    version, kind, member, actor_key, created_ms, nonce, payload = read_array(
        unpack(encoded, what="transaction"), "transaction", length=7
    )
    read_int(version, "transaction.version", lowest=TRANSACTION_VERSION, highest=TRANSACTION_VERSION)
    return Transaction(
        kind=read_int(kind, "transaction.kind", highest=KIND_MAX),
        member=read_member_id(member, "transaction.member"),
        actor_key=None
        if actor_key is None
        else PublicKey(read_bytes(actor_key, "transaction.actor_key", length=PUBLIC_KEY_BYTES)),
        created_ms=read_int(created_ms, "transaction.created_ms", highest=CREATED_MS_MAX),
        nonce=read_bytes(nonce, "transaction.nonce", length=NONCE_BYTES),
        payload=read_bytes(payload, "transaction.payload"),
    )


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """A transaction with its actor's signature, its id, and the bytes that it was received as."""

    transaction: Transaction
    encoded: bytes
    signature: bytes | None
    id: Digest

    @property
    def size_bytes(self) -> int:
        """What it counts for against the limits of a batch."""
        return len(self.encoded) + (0 if self.signature is None else SIGNATURE_BYTES)

    def to_fields(self) -> tuple[bytes, bytes | None]:
        """Return the pair that stands in a batch."""
        return (self.encoded, self.signature)

    def encode(self) -> bytes:
        """Return the pair as bytes: what a client submits, and the leaf under a batch's root."""
        return pack(self.to_fields())

    def verify_actor(self, network_id: Digest) -> bool:
        """Return whether the actor's signature is good; True where there is no actor."""
        actor_key = self.transaction.actor_key
        if actor_key is None or self.signature is None:
            return actor_key is None and self.signature is None
        return verify_signature(actor_key, TRANSACTION_DOMAIN + network_id + self.encoded, self.signature)


def read_signed(value: object, network_id: Digest, what: str = "transaction") -> SignedTransaction:
    """Return `value`, a pair, as a signed transaction; the signature is not verified. Raises MalformedError."""
    encoded_field, signature_field = read_array(value, what, length=2)
    encoded = read_bytes(encoded_field, what, length_max=TRANSACTION_BYTES_MAX)
    transaction = decode_transaction(encoded)
    signature = (
        None if signature_field is None else read_bytes(signature_field, f"{what}.signature", length=SIGNATURE_BYTES)
    )
    if (signature is None) != (transaction.actor_key is None):
        raise MalformedError(f"{what}.signature: stands if and only if there is an actor key")
    return SignedTransaction(transaction, encoded, signature, sha256(TRANSACTION_DOMAIN, network_id, encoded))


def decode_signed(encoded: bytes, network_id: Digest) -> SignedTransaction:
    """Return the signed transaction that a client submitted. Raises MalformedError, and nothing else."""
    return read_signed(unpack(encoded, what="transaction"), network_id)


def sign_transaction(transaction: Transaction, network_id: Digest, actor: SigningKey | None) -> SignedTransaction:
    """Return the transaction signed by its actor, or without a signature where it names none.

    actor: the key whose public half stands in the transaction; raises ValueError if it is another.
    """
    if (None if actor is None else actor.public_key) != transaction.actor_key:
        raise ValueError("the transaction names another actor key")
    encoded = transaction.encode()
    signing_bytes = TRANSACTION_DOMAIN + network_id + encoded
    return SignedTransaction(
        transaction, encoded, None if actor is None else actor.sign(signing_bytes), sha256(signing_bytes)
    )


@dataclass(frozen=True, slots=True)
class Capture:
    """The payload of Kind.CAPTURE: original JSON slices of one document.

    context: the document's `@context`. events: one JSON object each. vocabulary: elements of the header's master
    data, one JSON object each, with its vocabulary type.
    """

    context: bytes
    events: tuple[bytes, ...]
    vocabulary: tuple[bytes, ...]

    def encode(self) -> bytes:
        """Return the one encoding."""
        return pack((self.context, self.events, self.vocabulary))


def decode_capture(payload: bytes) -> Capture:
    """Return the capture in `payload`; the JSON is not read. Raises MalformedError, and nothing else."""
    context, events, vocabulary = read_array(unpack(payload, what="capture"), "capture", length=3)
    return Capture(
        context=read_bytes(context, "capture.context", length_max=CONTEXT_BYTES_MAX),
        events=tuple(
            read_bytes(event, "capture.event", length_max=EVENT_BYTES_MAX)
            for event in read_array(events, "capture.events", length_max=EVENTS_MAX)
        ),
        vocabulary=tuple(
            read_bytes(element, "capture.element", length_max=EVENT_BYTES_MAX)
            for element in read_array(vocabulary, "capture.vocabulary", length_max=EVENTS_MAX)
        ),
    )
