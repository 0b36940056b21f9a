"""`event.capture` and `event.get`."""

from typing import Annotated, Literal

import msgspec

from node.api.schema.transactions import TransactionId, Wait


class CaptureParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """document: an EPCIS 2.0 document, query document or bare event. wait: when to answer."""

    document: Annotated[msgspec.Raw, msgspec.Meta(description="EPCIS 2.0 JSON / JSON-LD, embedded as it is.")]
    wait: Wait = Wait.ACCEPTED


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something to say on an event: a stable code, a plain sentence and where, as a path into the document."""

    code: str
    message: str
    path: str | None = None


class EventVerdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """The verdict on one event of the document.

    index: its place in the document, from 0. id: `<transaction id>:<index>` where it was submitted. verdict: warning
    is accepted with something to say.
    """

    index: int
    verdict: Literal["accepted", "duplicate", "rejected", "warning"]
    id: str | None = None
    event_id: str | None = None
    findings: tuple[Finding, ...] = ()


class CaptureCounts(msgspec.Struct, frozen=True):
    """How many events got which verdict."""

    accepted: int
    warning: int
    duplicate: int
    rejected: int


class CaptureResult(msgspec.Struct, frozen=True):
    """The verdicts on a document, event by event. state: how far its transactions are."""

    state: Literal["accepted", "final", "nothing"]
    counts: CaptureCounts
    events: tuple[EventVerdict, ...]
    transactions: tuple[str, ...]
    findings: tuple[Finding, ...] = ()


class EventParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Either a transaction with the event's index (none: all of its events), or an eventID."""

    transaction: TransactionId | None = None
    index: Annotated[int, msgspec.Meta(ge=0)] | None = None
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
