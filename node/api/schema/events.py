"""`event.capture` and `event.get`."""

from typing import Annotated, Literal

import msgspec

from node.api.schema.transactions import TransactionId, TransactionResult, Wait
from node.intake.results import Counts, EventResult, FindingResult, Verdict


class CaptureParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """document: an EPCIS 2.0 document, query document or bare event. wait: when to answer."""

    document: Annotated[msgspec.Raw, msgspec.Meta(description="EPCIS 2.0 JSON / JSON-LD, embedded as it is.")]
    wait: Wait = Wait.ACCEPTED


class CaptureAnswer(msgspec.Struct, frozen=True):
    """The verdicts on a document, event by event, and how far its transactions are.

    state: nothing if no event was taken. final: what became of each transaction, once final.
    """

    state: Literal["accepted", "final", "nothing"]
    verdict: Verdict
    counts: Counts
    events: tuple[EventResult, ...]
    transactions: tuple[str, ...]
    warnings: tuple[FindingResult, ...]
    notices: tuple[FindingResult, ...]
    final: tuple[TransactionResult, ...] = ()


class EventParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Either a transaction with the event's index (none: all of its events), or an eventID."""

    transaction: TransactionId | None = None
    index: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None
    event_id: Annotated[str, msgspec.Meta(min_length=1, max_length=2048)] | None = None


class EventEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event of the ledger. event: the JSON as it was sent. context: its document's `@context`."""

    id: str
    transaction: str
    index: int
    member: str
    height: int
    ledger_time_ms: int
    record_time_ms: int
    event: msgspec.Raw
    context: msgspec.Raw
    verdict: str = "accepted"


class EventsResult(msgspec.Struct, frozen=True):
    """The events found, in ledger order."""

    events: tuple[EventEntry, ...]
