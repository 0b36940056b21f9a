"""All that the core can ask of its driver. The order is the contract.

What follows a Persist happens only once that record, and every block stored before it, is on disk. The driver may
carry out many inputs, then one sync for all their records, then the rest in order.
"""

from dataclasses import dataclass

from consensus.inputs import TimerId
from consensus.messages import Block, Certificate, CoreMessage, Proposal, Vote
from consensus.types import Digest, ValidatorIndex, View


@dataclass(frozen=True, slots=True)
class StoreBlock:
    """Make the block durable, before anything that follows a Persist after it."""

    block: Block


@dataclass(frozen=True, slots=True)
class Persist:
    """Append to the vote log: an own vote, or a certificate (which needs no sync of its own)."""

    record: Vote | Certificate


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Send to every validator but this one, and to every observer."""

    message: CoreMessage


@dataclass(frozen=True, slots=True)
class Send:
    """Send to one validator."""

    peer: ValidatorIndex
    message: CoreMessage


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Deliver TimerFired(timer, view) at at_ms of the monotonic clock; replaces one of the same (timer, view)."""

    timer: TimerId
    view: View
    at_ms: int


@dataclass(frozen=True, slots=True)
class CancelTimers:
    """Forget all timers of a view."""

    view: View


@dataclass(frozen=True, slots=True)
class RequestBuild:
    """Build a block for `view` on `parent`, answered by Built.

    The parent's body is local and its executed height executed. parent_digest: the name of the parent, which for
    the anchor of the first epoch is not the hash of its header. may_be_empty: a tail or heartbeat block is wanted
    even without data; asked anew with True when half the time to propose has passed without an answer.
    """

    view: View
    parent: Block
    parent_digest: Digest
    may_be_empty: bool


@dataclass(frozen=True, slots=True)
class TipChanged:
    """The block that we would extend is now `digest`: no work is due beyond it until WorkDue says so.

    The block may not be local yet: what it covers is then unknown, so better no work is due than the same twice.
    """

    digest: Digest


@dataclass(frozen=True, slots=True)
class RequestJudgement:
    """Judge what the digest covers (P6), answered by Judged once all is local; the parent is known and valid.

    The parent is the block that proposal.block.header.parent_digest names, with its body local.
    """

    proposal: Proposal
    parent: Block


@dataclass(frozen=True, slots=True)
class DropJudgement:
    """The answer for this digest is no longer wanted."""

    digest: Digest


@dataclass(frozen=True, slots=True)
class FetchBody:
    """Get the block `digest` and its batches, answered by BodyAvailable. hints: who is likely to have it.

    Also asked for a block that is being judged: its body may be here before its executed height is.
    The driver goes on trying until it has it or Finalized or SyncedTo has passed its height.
    """

    digest: Digest
    hints: tuple[ValidatorIndex, ...]


@dataclass(frozen=True, slots=True)
class Finalized:
    """These blocks are final, in height order, each once; certificate finalizes the last of them."""

    blocks: tuple[Block, ...]
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class EpochEnded:
    """The last block of the epoch is final by `certificate`: this core votes and proposes no more.

    Comes right after the Finalized that ends in that block; after Started when that was handed out in an earlier
    run, and after SyncedTo when chain sync brought it. The core still answers peers that lag behind.
    """

    digest: Digest
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class ReportEvidence:
    """Two signed votes of one validator that cannot both be honest, in the order of `Equivocation.pair`.

    Given once for each pair of kinds in a view, as far as it is remembered: not across restarts.
    """

    first: Vote
    second: Vote


@dataclass(frozen=True, slots=True)
class ReportFault:
    """A peer sent something wrong. provable: the sender's signature or channel proves it, so it may be muted."""

    peer: ValidatorIndex | None
    why: str
    provable: bool


@dataclass(frozen=True, slots=True)
class Alarm:
    """The operator should know: a block judged invalid, a clock far off, a state that differs."""

    why: str


@dataclass(frozen=True, slots=True)
class Halt:
    """Stop voting and stop the node: more faults than the protocol bears, or our execution disagrees."""

    why: str


Effect = (
    StoreBlock
    | Persist
    | Broadcast
    | Send
    | SetTimer
    | CancelTimers
    | TipChanged
    | RequestBuild
    | RequestJudgement
    | DropJudgement
    | FetchBody
    | Finalized
    | EpochEnded
    | ReportEvidence
    | ReportFault
    | Alarm
    | Halt
)
