"""An EPCIS event as lineage reads it: identifiers and CBV words in one spelling, times as intervals.

Source: EPCIS 2.0 §7 (event types and their fields). The full event is kept beside it as it was sent; this is only
what execution understands, by the network's `rules_version`.

Events are msgspec structs and no dataclasses: several of them are made for every event that is executed, and again
for every one that a question reads, where a frozen dataclass of 22 fields costs 4 µs and a struct 0.1. They change by
`msgspec.structs.replace`, and the index keeps them as the arrays that they are (`array_like`).
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

import msgspec

from consensus.types import Digest


class EventType(StrEnum):
    """The five event types of EPCIS 2.0."""

    OBJECT = "ObjectEvent"
    AGGREGATION = "AggregationEvent"
    TRANSACTION = "TransactionEvent"
    TRANSFORMATION = "TransformationEvent"
    ASSOCIATION = "AssociationEvent"


class Action(StrEnum):
    """What an event does to what it names."""

    ADD = "ADD"
    OBSERVE = "OBSERVE"
    DELETE = "DELETE"


class Interval(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """When something can have happened: lo_ms … hi_ms, Unix milliseconds, both ends included.

    A stated instant is a point; exact midnight in its own non-zero offset is that whole day; midnight UTC is a
    date of unsure zone, from 14 h before that day to 12 h after it.
    """

    lo_ms: int
    hi_ms: int

    def is_before(self, other: "Interval") -> bool:
        """Return whether this is certainly before `other`: only that may exclude anything."""
        return self.hi_ms < other.lo_ms


class Goods(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """An item that an event names, with its amount where one is stated.

    item: canonical id. amount: exact, not negative; None is unknown (also for a lot id in an EPC list; a serial
    is one piece and carries Decimal(1)). uom: UN/ECE recommendation 20 code, or None for pieces.
    """

    item: str
    amount: Decimal | None
    uom: str | None


class Declaration(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """An error declaration: the event of equal eventID and content, by the same member, is void."""

    time_ms: int
    reason: str | None
    corrective_event_ids: tuple[str, ...]


class Event(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """One event, read.

    goods: epcList with quantityList, or the children of an aggregation or association. parent: parentID.
    inputs, outputs: of a transformation. step, disposition: bare CBV words, or the URI of another vocabulary.
    documents: (type or None, id) of bizTransactionList. sources, destinations: (type, id), types as bare CBV words.
    time_text: eventTime as sent. lot_code: the lot number in ilmd, if stated; expires_ms: until when, by ilmd, what it
    makes may be used, in Unix milliseconds. certificates: ids of certificationInfo. content_digest: over type, time,
    goods, places, parties and step; what a declaration must equal, and what two witnesses of one event share.
    event_digest: over the whole event as a JSON value, eventID and errorDeclaration included, recordTime and @context
    left out; equal for the same event sent twice, bare or in a document.
    """

    type: EventType
    event_id: str | None
    time: Interval
    time_text: str
    record_time_ms: int | None
    action: Action | None
    step: str | None
    disposition: str | None
    read_point: str | None
    location: str | None
    documents: tuple[tuple[str | None, str], ...]
    sources: tuple[tuple[str, str], ...]
    destinations: tuple[tuple[str, str], ...]
    parent: str | None
    goods: tuple[Goods, ...]
    inputs: tuple[Goods, ...]
    outputs: tuple[Goods, ...]
    transformation_id: str | None
    lot_code: str | None
    declaration: Declaration | None
    content_digest: Digest
    event_digest: Digest
    expires_ms: int | None = None
    certificates: tuple[str, ...] = ()


class MasterKind(StrEnum):
    """What a vocabulary element of a document's header describes."""

    PRODUCT = "product"
    LOCATION = "location"
    PARTY = "party"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class MasterRecord:
    """Master data of one product, location, party or document. id: canonical.

    attributes: (name, value), names shortened to what follows the `#` or last `:` or `/`; values as text.
    """

    kind: MasterKind
    id: str
    attributes: tuple[tuple[str, str], ...]
