"""All that can happen to the replica."""

from dataclasses import dataclass

from consensus.types import Digest, Height
from node.feed.records import CheckedCopy
from node.ledger.transaction import SignedTransaction
from node.wire.ids import MemberId
from node.wire.messages import Message


@dataclass(frozen=True, slots=True)
class Started:
    """The first input of every run, exactly once: take up what was recovered."""


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A decoded message from the authenticated session with `member`'s node. Hello is the session's own business."""

    member: MemberId
    message: Message


@dataclass(frozen=True, slots=True)
class PeerUp:
    """The session with a member's node is open."""

    member: MemberId


@dataclass(frozen=True, slots=True)
class PeerDown:
    """The session with a member's node is closed."""

    member: MemberId


@dataclass(frozen=True, slots=True)
class TimerDue:
    """The replica's `deadline_ms` has come.

    The driver first delivers all messages it has already received: a process that slept must not time out a proposal
    that lies in its socket buffer.
    """


@dataclass(frozen=True, slots=True)
class Submitted:
    """Transactions of this node's own member, signed and checked at the door; all are taken or none.

    token: the driver's name for the request, answered by exactly one Accepted or Refused.
    """

    token: int
    transactions: tuple[SignedTransaction, ...]


@dataclass(frozen=True, slots=True)
class BatchChecked:
    """The answer to CheckBatch, with the digest asked about."""

    digest: Digest
    checked: CheckedCopy


@dataclass(frozen=True, slots=True)
class Executed:
    """The final block at `height` is executed and the result is durable; state_digest is the one after it."""

    height: Height
    state_digest: Digest


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The node stops: give up the leadership of the current view, take no more submissions."""


Input = Started | MessageReceived | PeerUp | PeerDown | TimerDue | Submitted | BatchChecked | Executed | Shutdown
