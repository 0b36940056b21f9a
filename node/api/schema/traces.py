"""`trace.back` and `trace.forward`."""

import msgspec

from node.api.schema.items import ItemText


class TraceParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """item: where to begin, in any spelling."""

    item: ItemText


class TraceItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """A vertex. id: a canonical Digital Link where there is one. quantity: decimal text; None is unknown."""

    id: str
    kind: str
    lot: str | None = None
    product: str | None = None
    name: str | None = None
    quantity: str | None = None
    uom: str | None = None


class TraceEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event on the way. time: as sent. place, party: ids; the names beside them come from master data."""

    id: str
    type: str
    time: str
    step: str | None = None
    place: str | None = None
    place_name: str | None = None
    party: str | None = None
    party_name: str | None = None


class TraceEdge(msgspec.Struct, frozen=True, rename={"source": "from", "target": "to"}, omit_defaults=True):
    """Goods go from one item into another (or are packed in it) at an event."""

    source: str
    target: str
    event: str
    kind: str


class TraceHolder(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who was last seen with an item. since: event time, as sent."""

    item: str
    party: str | None = None
    place: str | None = None
    since: str | None = None


class TraceUnknown(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the record does not say. ask: the member or party who can."""

    item: str
    reason: str
    ask: str | None = None


class TraceResult(msgspec.Struct, frozen=True):
    """A trace. digest: SHA-256 over the canonical answer, equal at every node at one height and rules version."""

    direction: str
    item: str
    height: int
    rules: int
    digest: str
    items: tuple[TraceItem, ...]
    events: tuple[TraceEvent, ...]
    edges: tuple[TraceEdge, ...]
    origins: tuple[str, ...]
    destinations: tuple[str, ...]
    holders: tuple[TraceHolder, ...]
    unknowns: tuple[TraceUnknown, ...]
    warnings: tuple[str, ...]
