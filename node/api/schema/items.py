"""`item.get`, and `item.find`: its question and answer are those of `query`."""

from typing import Annotated

import msgspec

from node.query.find import FindAnswer, FindRequest

FindParams = FindRequest
FindResult = FindAnswer

ItemText = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=2048,
        description="An item in any spelling: Digital Link, EPC URN, (01)…(10)…, or another URI.",
    ),
]


class ItemParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which item."""

    item: ItemText


class ItemEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event that names the item."""

    id: str
    type: str
    time: str
    member: str
    step: str | None = None
    place: str | None = None


class ItemResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """An item, what is known of it, and the events that name it, by time."""

    id: str
    height: int
    events: tuple[ItemEvent, ...]
    product: str | None = None
    code: str | None = None
    name: str | None = None
