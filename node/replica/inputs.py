"""All that can happen to the replica."""

from dataclasses import dataclass

from consensus.types import ZERO_DIGEST, Digest, Height
from node.feed.records import CheckedCopy
from node.ledger.batch import Batch
from node.ledger.roster import EpochRecord
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
    """The session with a member's node is open.

    is_sync_only: nobody knows its key yet. From it only blocks, batches and certificates are taken, which prove
    themselves; nothing is served to it, and nothing that it says counts as a member's word.
    """

    member: MemberId
    is_sync_only: bool = False


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
    """The final block at `height` is executed and the result is durable; state_digest is the one after it.

    due_digest: of the roster that the state says the next epoch must have, zero if none is due. epoch_record: the
    epoch that the block begins, if it is the last of one.
    """

    height: Height
    state_digest: Digest
    due_digest: Digest = ZERO_DIGEST
    epoch_record: EpochRecord | None = None


@dataclass(frozen=True, slots=True)
class OwnLoaded:
    """The answer to LoadOwn: the batches, in the same order; one that cannot be read any more is left out."""

    batches: tuple[Batch, ...]


@dataclass(frozen=True, slots=True)
class Shutdown:
    """The node stops: give up the leadership of the current view, take no more submissions."""


Input = (
    Started
    | MessageReceived
    | PeerUp
    | PeerDown
    | TimerDue
    | Submitted
    | BatchChecked
    | Executed
    | OwnLoaded
    | Shutdown
)
