"""A document to signed transactions, with a verdict on each of its events.

A document of any length is cut into transactions far below the limits of a batch, in the order of its events. An
event that the member entered before, whole and with its eventID, is a duplicate and is not entered again. The
documents's master data travels before its events, in their transactions.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from consensus.types import Digest
from node.crypto.keys import SigningKey
from node.epcis.document import Document, DocumentEvent, read_document
from node.epcis.model import Event
from node.intake.results import (
    CaptureResult,
    EventResult,
    FindingResult,
    Verdict,
    count_events,
    judge_document,
    to_results,
)
from node.ledger.transaction import NONCE_BYTES, Capture, Kind, SignedTransaction, Transaction, sign_transaction
from node.wire.ids import MemberId

EVENTS_PER_TRANSACTION: Final = 100
BYTES_PER_TRANSACTION: Final = 128 * 1024
"""A transaction is closed before it would grow past this; a single larger event stands alone in its own."""


class Policy(StrEnum):
    """What a rejected event means for the others of its document (EPCIS 2.0 §12, GS1-Capture-Error-Behaviour)."""

    PROCEED = "proceed"
    """The good events are entered."""
    ROLLBACK = "rollback"
    """None is entered."""


@dataclass(frozen=True, slots=True)
class KnownEvent:
    """An event that the member has entered. transaction, position: where it stands while on its way, else None."""

    transaction: Digest | None = None
    position: int | None = None


class KnownEvents(Protocol):
    """What the member has entered already: executed, or accepted and on its way."""

    def find_known_event(self, member: MemberId, event_digest: Digest) -> KnownEvent | None:
        """Return an event that the member has entered, or None."""
        ...


@dataclass(frozen=True, slots=True)
class PreparedCapture:
    """What to give to the feed, in order, and what to answer once it is durable there.

    digests: of the events of each transaction, in order.
    """

    transactions: tuple[SignedTransaction, ...]
    digests: tuple[tuple[Digest, ...], ...]
    result: CaptureResult


@dataclass(slots=True)
class _Chunk:
    """A transaction being filled."""

    events: list[bytes] = field(default_factory=list)
    digests: list[Digest] = field(default_factory=list)
    vocabulary: list[bytes] = field(default_factory=list)
    size: int = 0

    def has_room_for(self, raw: bytes) -> bool:
        if not self.events and not self.vocabulary:
            return True
        longest = max(len(self.events), len(self.vocabulary))
        return longest < EVENTS_PER_TRANSACTION and self.size + len(raw) <= BYTES_PER_TRANSACTION


@dataclass(slots=True)
class _Placed:
    """An event of the document and where it goes. chunk, position: None if it is not entered."""

    judged: DocumentEvent
    verdict: Verdict
    errors: tuple[FindingResult, ...] = ()
    chunk: int | None = None
    position: int | None = None
    known: KnownEvent | None = None


def prepare(
    document: bytes,
    *,
    member: MemberId,
    network_id: Digest,
    now_ms: int,
    known: KnownEvents,
    policy: Policy = Policy.PROCEED,
    actor: SigningKey | None = None,
    new_nonce: Callable[[int], bytes] = os.urandom,
) -> PreparedCapture:
    """Judge a document and return the transactions to submit for its good events.

    member: in whose feed they go. now_ms: Unix time, the record time of the events. actor: who signs each
    transaction; without one the member's node answers for them. Raises DocumentError if the bytes are no document
    that we capture. Takes about 0.1 ms an event: run it beside the event loop for large documents.
    """
    read = read_document(document)
    placed = _judge_events(read, member, known, policy)
    chunks = _fill(read, placed)
    transactions = tuple(
        sign_transaction(
            Transaction(
                kind=Kind.CAPTURE,
                member=member,
                actor_key=None if actor is None else actor.public_key,
                created_ms=now_ms,
                nonce=new_nonce(NONCE_BYTES),
                payload=Capture(read.context, tuple(chunk.events), tuple(chunk.vocabulary)).encode(),
            ),
            network_id,
            actor,
        )
        for chunk in chunks
    )
    digests = tuple(tuple(chunk.digests) for chunk in chunks)
    return PreparedCapture(transactions, digests, _to_result(read, placed, transactions))


def _judge_events(read: Document, member: MemberId, known: KnownEvents, policy: Policy) -> list[_Placed]:
    placed: list[_Placed] = []
    for judged in read.events:
        if judged.event is None:
            placed.append(_Placed(judged, Verdict.REJECTED, to_results(judged.errors)))
        elif (entered := known.find_known_event(member, judged.event.event_digest)) is not None:
            placed.append(_Placed(judged, Verdict.DUPLICATE, position=entered.position, known=entered))
        else:
            placed.append(_Placed(judged, Verdict.WARNING if judged.warnings else Verdict.ACCEPTED))
    if policy is Policy.ROLLBACK and any(entry.verdict is Verdict.REJECTED for entry in placed):
        for entry in placed:
            if entry.verdict in {Verdict.ACCEPTED, Verdict.WARNING}:
                entry.verdict = Verdict.REJECTED
                entry.errors = (
                    FindingResult(entry.judged.path, "rolled_back", "another event of the document was rejected"),
                )
    return placed


def _fill(read: Document, placed: list[_Placed]) -> list[_Chunk]:
    """Put what is entered into chunks, and note where each event stands. Mends duplicates within the document."""
    entered = [entry for entry in placed if entry.verdict in {Verdict.ACCEPTED, Verdict.WARNING}]
    if not entered and placed:
        # Nothing new: its master data was entered with its events, or shall not be entered without them.
        return []
    chunks = [_Chunk()]
    for raw in read.vocabulary:
        if not chunks[-1].has_room_for(raw):
            chunks.append(_Chunk())
        chunks[-1].vocabulary.append(raw)
        chunks[-1].size += len(raw)
    first: dict[Digest, _Placed] = {}
    for entry in entered:
        raw, digest = entry.judged.raw, _event(entry).event_digest
        earlier = first.setdefault(digest, entry)
        if earlier is not entry:
            entry.verdict, entry.chunk, entry.position = Verdict.DUPLICATE, earlier.chunk, earlier.position
            continue
        if not chunks[-1].has_room_for(raw):
            chunks.append(_Chunk())
        entry.chunk, entry.position = len(chunks) - 1, len(chunks[-1].events)
        chunks[-1].events.append(raw)
        chunks[-1].digests.append(digest)
        chunks[-1].size += len(raw)
    return [chunk for chunk in chunks if chunk.events or chunk.vocabulary]


def _event(entry: _Placed) -> Event:
    assert entry.judged.event is not None
    return entry.judged.event


def _to_result(read: Document, placed: list[_Placed], transactions: tuple[SignedTransaction, ...]) -> CaptureResult:
    ids = tuple(signed.id.hex() for signed in transactions)
    events = tuple(
        EventResult(
            index=index,
            verdict=entry.verdict,
            event_id=None if entry.judged.event is None else entry.judged.event.event_id,
            transaction=_find_transaction(entry, ids),
            position=entry.position,
            warnings=to_results(entry.judged.warnings),
            errors=entry.errors,
            notices=to_results(entry.judged.notices),
        )
        for index, entry in enumerate(placed)
    )
    counts = count_events(events)
    return CaptureResult(
        verdict=judge_document(counts, has_warnings=bool(read.warnings)),
        events=events,
        counts=counts,
        transactions=ids,
        warnings=to_results(read.warnings),
        notices=to_results(read.notices),
    )


def _find_transaction(entry: _Placed, ids: tuple[str, ...]) -> str | None:
    """Return the transaction in which an event stands: one of the document's, or an earlier one that is on its way."""
    if entry.chunk is not None:
        return ids[entry.chunk]
    earlier = None if entry.known is None else entry.known.transaction
    return None if earlier is None else earlier.hex()
