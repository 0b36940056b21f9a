"""The answer to a trace: its shape, which docs/trace.md describes, and its digest.

The digest is SHA-256 over a domain and the canonical JSON of the answer (keys sorted, no blanks, UTF-8), in which
every event is named by the digest of its content instead of its place on the ledger, and `height` and `digest` are
left out. So two nodes, or two ledgers, that hold the same facts give one digest; a single altered event gives another.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec.structs import force_setattr

from node.crypto.digests import ANSWER_DOMAIN, sha256

_ENCODER: Final = msgspec.json.Encoder(order="sorted")


# gc=False: they hold texts and one another, never in a ring, and there are many: the collector passes them by.


class AnswerItem(msgspec.Struct, frozen=True, gc=False):
    """An item. kind: lot, serial, unit, asset, class or other. role: goods, or carrier (a unit around goods).

    quantity, uom: what its makings state, in all; null where one does not. since, until: ISO 8601 UTC; forward the
    earliest time of taint, backward the latest time of use, null where unbounded. depth: edges from what was asked
    about. because: the first edge of a shortest chain back to it, {"item", "event"}, or null.
    """

    id: str
    kind: str
    role: str
    lot: str | None
    serial: str | None
    product: str | None
    product_name: str | None
    quantity: str | None
    uom: str | None
    since: str | None
    until: str | None
    depth: int
    because: "AnswerCause | None"


class AnswerSeed(msgspec.Struct, frozen=True, rename={"since": "from", "until": "to"}):
    """What was asked about, as it was given, and the items that it came to, by id. One of item, run and holder is set.

    since, until: ISO 8601 UTC, the window of a holder; product: only goods of this one. left_out: whether it names more
    than could be looked through.
    """

    items: tuple[str, ...]
    item: str | None = None
    run: str | None = None
    holder: str | None = None
    product: str | None = None
    since: str | None = None
    until: str | None = None
    left_out: bool = False


class AnswerCause(msgspec.Struct, frozen=True, gc=False):
    """Why an item is in the answer: the item before it, and the event between."""

    item: str
    event: str


class AnswerGoods(msgspec.Struct, frozen=True, gc=False):
    """An item of the answer in an event. role: input, output, child, parent or goods."""

    item: str
    role: str
    quantity: str | None
    uom: str | None


class AnswerEvent(msgspec.Struct, frozen=True, gc=False):
    """An event. id: "<transaction id>:<place in it>". time: as sent. digest: SHA-256 of its content, in hex.

    party, place: who held the goods, where; party null is "the party at that place". receiver: of a shipment.
    """

    id: str
    type: str
    action: str | None
    step: str | None
    disposition: str | None
    time: str
    place: str | None
    place_name: str | None
    party: str | None
    party_name: str | None
    receiver: str | None
    run: str | None
    member: str
    voided: bool
    goods: tuple[AnswerGoods, ...]
    documents: tuple[str, ...]
    digest: str


class AnswerEdge(msgspec.Struct, frozen=True, gc=False, rename={"source": "from", "target": "to"}):
    """How goods passed from one item to another. event: the output, packing or making; input_event: where a run took
    the source in, if that is another; until_event: what ended a stay in a unit. quantity: taken in, or packed."""

    source: str
    target: str
    kind: str
    event: str
    input_event: str | None
    until_event: str | None
    quantity: str | None
    uom: str | None


class AnswerHolder(msgspec.Struct, frozen=True, gc=False):
    """Who holds an item at last, as far as the record says. status: held, or in_transit to that holder.

    quantity_min, quantity_max: how much, loose and packed; max null without bound; both null where units differ.
    """

    item: str
    party: str | None
    party_name: str | None
    place: str | None
    place_name: str | None
    since: str
    event: str
    status: str
    quantity_min: str | None
    quantity_max: str | None
    uom: str | None


class AnswerUnknown(msgspec.Struct, frozen=True, gc=False):
    """What the record does not say. reason: a stable code. ask: a party's id, or "the party at" a place.

    ask_name: what master data call that party, or "the party at" what they call the place; else null.
    """

    item: str
    reason: str
    ask: str
    event: str | None
    ask_name: str | None = None


class AnswerWarning(msgspec.Struct, frozen=True, gc=False):
    """What is odd, or was read in our way, or was left out."""

    code: str
    message: str
    items: tuple[str, ...]
    events: tuple[str, ...]


class OpenFlags(msgspec.Struct, frozen=True):
    """How many open flags (docs/flags.md) the items have, by severity. height: the block that flags hold at.

    complete: False if only the first items were looked at.
    """

    high: int
    warn: int
    note: int
    height: int
    complete: bool


class Answer(msgspec.Struct, frozen=True):
    """A trace. direction: back or forward. item: canonical id, null unless one item was asked about; seeds: all asked.

    as_of: ISO 8601 UTC, or null. rules: the version of the readings. open_flags: no part of the digest; null where the
    answer is of an earlier height, of which flags are not kept.
    """

    direction: str
    item: str | None
    seeds: tuple[AnswerSeed, ...]
    as_of: str | None
    height: int
    rules: int
    digest: str
    items: tuple[AnswerItem, ...]
    events: tuple[AnswerEvent, ...]
    edges: tuple[AnswerEdge, ...]
    origins: tuple[str, ...]
    destinations: tuple[str, ...]
    holders: tuple[AnswerHolder, ...]
    unknowns: tuple[AnswerUnknown, ...]
    warnings: tuple[AnswerWarning, ...]
    open_flags: OpenFlags | None = None


class _Canonical(msgspec.Struct, frozen=True):
    """What the digest is over: an answer without height and digest, its events named by content."""

    direction: str
    item: str | None
    seeds: tuple[AnswerSeed, ...]
    as_of: str | None
    rules: int
    items: tuple[AnswerItem, ...]
    events: tuple[AnswerEvent, ...]
    edges: tuple[AnswerEdge, ...]
    origins: tuple[str, ...]
    destinations: tuple[str, ...]
    holders: tuple[AnswerHolder, ...]
    unknowns: tuple[AnswerUnknown, ...]
    warnings: tuple[AnswerWarning, ...]


def seal(answer: Answer, ids: Mapping[str, str]) -> Answer:
    """Return `answer` with its digest, its events named by their place on the ledger.

    answer: with every event named by its content digest in hex; given up to this function, which renames in place:
    copies of all its parts would cost as much as the walk. ids: from that name to the public one.
    """
    digest = digest_of(answer)
    for item in answer.items:
        if item.because is not None:
            force_setattr(item.because, "event", ids[item.because.event])
    for event in answer.events:
        force_setattr(event, "id", ids[event.id])
    for edge in answer.edges:
        force_setattr(edge, "event", ids[edge.event])
        if edge.input_event is not None:
            force_setattr(edge, "input_event", ids[edge.input_event])
        if edge.until_event is not None:
            force_setattr(edge, "until_event", ids[edge.until_event])
    for holder in answer.holders:
        force_setattr(holder, "event", ids[holder.event])
    for unknown in answer.unknowns:
        if unknown.event is not None:
            force_setattr(unknown, "event", ids[unknown.event])
    for warning in answer.warnings:
        force_setattr(warning, "events", tuple([ids[event] for event in warning.events]))
    force_setattr(answer, "digest", digest)
    return answer


def digest_of(answer: Answer) -> str:
    """Return the digest of an answer whose events are named by content; also of a sealed one, by `by_content`."""
    canonical = _Canonical(
        direction=answer.direction,
        item=answer.item,
        seeds=answer.seeds,
        as_of=answer.as_of,
        rules=answer.rules,
        items=answer.items,
        events=answer.events,
        edges=answer.edges,
        origins=answer.origins,
        destinations=answer.destinations,
        holders=answer.holders,
        unknowns=answer.unknowns,
        warnings=answer.warnings,
    )
    return sha256(ANSWER_DOMAIN, _ENCODER.encode(canonical)).hex()


def by_content(answer: Answer) -> Answer:
    """Return a copy of a sealed answer with its events named by content again: what its digest is over."""
    copy = msgspec.json.decode(msgspec.json.encode(answer), type=Answer)
    digest = copy.digest
    seal(copy, {event.id: event.digest for event in copy.events})
    force_setattr(copy, "digest", digest)
    return copy
