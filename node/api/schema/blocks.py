"""`block.get`."""

from typing import Annotated

import msgspec


class BlockParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """height: which block; none for the newest that is executed here."""

    height: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None


class CutEntry(msgspec.Struct, frozen=True):
    """A feed's new tip. digest: hex, of the batch at seq."""

    member: str
    feed: int
    seq: int
    digest: str


class BlockResult(msgspec.Struct, frozen=True):
    """A final block. transactions: ids in order. state_digest: after it, as this node computed it."""

    height: int
    view: int
    epoch: int
    digest: str
    parent: str
    time_ms: int
    leader: str
    cut: tuple[CutEntry, ...]
    transactions: tuple[str, ...]
    state_digest: str
