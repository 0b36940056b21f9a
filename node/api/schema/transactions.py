"""`tx.submit` and `tx.get`."""

from enum import StrEnum
from typing import Annotated, Literal

import msgspec

TransactionId = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$", description="64 lower-case hex digits.")]


class Wait(StrEnum):
    """How far a request waits before it is answered."""

    ACCEPTED = "accepted"
    """Durable on this node's disk."""
    FINAL = "final"
    """In a finalized block, and executed here."""


class TransactionResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a transaction.

    state: accepted (durable on this node's disk), final, or lapsed (accepted, but its feed ended before it was final,
    and it never will be: enter it again). holders: nodes known to hold it durably, this one
    included; until there are two, it dies with this disk. height, position: its place once final. verdict: accepted,
    or why it was rejected. events: verdict of each event of a capture. None where not known yet.
    """

    id: str
    state: Literal["accepted", "final", "lapsed"]
    member: str
    feed: int | None = None
    seq: int | None = None
    holders: int | None = None
    height: int | None = None
    position: int | None = None
    verdict: str | None = None
    events: tuple[str, ...] = ()


class SubmitParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """signed: the signed transaction's bytes. wait: when to answer."""

    signed: Annotated[str, msgspec.Meta(min_length=1, description="The signed transaction, as text in `encoding`.")]
    encoding: Literal["base64", "hex"] = "base64"
    wait: Wait = Wait.ACCEPTED


class GetParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which transaction."""

    id: TransactionId
