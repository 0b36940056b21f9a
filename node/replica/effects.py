"""All that the replica can ask of its driver. The order is the contract.

What follows a StoreBatch, StoreBlock, LogBatch, LogEpoch, LogLoss, Persist or Finalized happens only once that is on
disk. A driver may carry out the effects of many steps as one group: first all writes to the chain store (StoreBatch,
StoreBlock, Finalized) in one synced write batch, then all records of the vote log (LogBatch, LogEpoch, LogLoss,
Persist) with one sync, then the rest in order. Effects of a later step are never carried out before those of an
earlier one, with the exception of the writes, which a group may bring forward, and of CheckBatch and the sending of
requests, which tell nobody what this node holds or promises and so may be carried out at once.

StoreBlock, Persist, Alarm and Halt are the core's own, passed on. A block may be stored twice.
"""

from dataclasses import dataclass

from consensus.effects import Alarm, Halt, Persist, StoreBlock
from consensus.messages import Block, Certificate, Vote
from consensus.types import Digest, Epoch, Height
from node.crypto.keys import PublicKey
from node.ledger.batch import Batch
from node.ledger.evidence import SignedHeader
from node.ledger.roster import EpochRecord
from node.wire.ids import FeedTip, MemberId
from node.wire.logged import EpochStart, Loss
from node.wire.messages import Message

__all__ = [
    "Accepted",
    "Alarm",
    "Broadcast",
    "CheckBatch",
    "Effect",
    "EpochStarted",
    "FinalBlock",
    "Finalized",
    "Halt",
    "LoadOwn",
    "LogBatch",
    "LogEpoch",
    "LogLoss",
    "Persist",
    "Refused",
    "ReportEvidence",
    "ReportFault",
    "Send",
    "ServeBatch",
    "ServeBlock",
    "ServeChain",
    "ServeEpochEnd",
    "ShareFork",
    "StoreBatch",
    "StoreBlock",
    "SubmitNoop",
]


@dataclass(frozen=True, slots=True)
class StoreBatch:
    """Make a checked batch durable in the chain store, by its digest."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class LogBatch:
    """Append the `B` record of this node's own feed to the vote log; the newest one is never dropped."""

    tip: FeedTip


@dataclass(frozen=True, slots=True)
class LogEpoch:
    """Append to the vote log that this node serves in the epoch from now on, before anything that is said in it."""

    start: EpochStart


@dataclass(frozen=True, slots=True)
class LogLoss:
    """Append to the vote log what this node has lost and how far it has come since; the newest record counts."""

    loss: Loss


@dataclass(frozen=True, slots=True)
class EpochStarted:
    """The epoch has begun here: sessions, roles, keys and parameters are those of its roster."""

    record: EpochRecord


@dataclass(frozen=True, slots=True)
class LoadOwn:
    """Read these batches of this node's own ended feed from the chain store, at most 64 MiB; answered by OwnLoaded."""

    tips: tuple[FeedTip, ...]


@dataclass(frozen=True, slots=True)
class SubmitNoop:
    """Submit a transaction that says nothing, as any other: once it is final, a loss is over."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send to one member's node, if there is a session; else drop it."""

    member: MemberId
    message: Message


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Send to every member's node that there is a session with."""

    message: Message


@dataclass(frozen=True, slots=True)
class CheckBatch:
    """Run `feed.records.check_copy` in a worker thread; answered by BatchChecked with the same digest.

    digest: of the header in `encoded`. At most one check of a digest is under way.
    """

    digest: Digest
    encoded: bytes
    node_key: PublicKey


@dataclass(frozen=True, slots=True)
class ServeBatch:
    """Send BatchData to the member if the chain store has the batch; else nothing."""

    member: MemberId
    tip: FeedTip


@dataclass(frozen=True, slots=True)
class ServeBlock:
    """Send BlockData to the member if the chain store has the block, final or not; else nothing."""

    member: MemberId
    digest: Digest


@dataclass(frozen=True, slots=True)
class ServeChain:
    """Send ChainData with the final blocks first … last to the member, in one frame, none beyond an epoch's end.

    Cut it short at the highest block that fits (2 MiB a frame) and has its own stored certificate; with no such
    block send no blocks and no certificate. At most CHAIN_BLOCKS_MAX blocks are asked for.
    """

    member: MemberId
    first: Height
    last: Height


@dataclass(frozen=True, slots=True)
class ServeEpochEnd:
    """Send the member the certificate that finalizes the last block of that epoch, which is over here."""

    member: MemberId
    epoch: Epoch


@dataclass(frozen=True, slots=True)
class FinalBlock:
    """A final block with all batches that it newly covers, in cut order, each feed by seq; all are stored."""

    block: Block
    digest: Digest
    batches: tuple[FeedTip, ...]


@dataclass(frozen=True, slots=True)
class Finalized:
    """These blocks are final, in height order, each height once a run; certificate finalizes the last of them.

    Make that durable in the chain store (with the feeds' tips and the history's frontier after the last block), then
    have the blocks executed in order, and answer each with Executed.
    """

    blocks: tuple[FinalBlock, ...]
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class Accepted:
    """The submission is durable in this node's feed. tip: the batch that holds its last transaction."""

    token: int
    tip: FeedTip


@dataclass(frozen=True, slots=True)
class Refused:
    """The submission was not taken. code: `observer`, `feed_full`, `feed_lost`, `too_large` or `stopping`."""

    token: int
    code: str
    why: str


@dataclass(frozen=True, slots=True)
class ReportFault:
    """A member's node sent something wrong. provable: its session or signature proves it, so it may be muted."""

    member: MemberId | None
    why: str
    provable: bool


@dataclass(frozen=True, slots=True)
class ReportEvidence:
    """Two signed things of one member that cannot both be honest: two votes, or two batches of one (feed, seq).

    Batches found here are named by their tips; both bodies with the node's signatures are in the chain store. Of what
    another node has found there are the signed headers alone.
    """

    member: MemberId
    first: Vote | FeedTip | SignedHeader
    second: Vote | FeedTip | SignedHeader


@dataclass(frozen=True, slots=True)
class ShareFork:
    """Broadcast EvidenceData of two batches of one (feed, seq); both are in the chain store.

    epoch: one in which the feed is its member's.
    """

    epoch: Epoch
    first: FeedTip
    second: FeedTip


Effect = (
    StoreBatch
    | StoreBlock
    | LogBatch
    | LogEpoch
    | LogLoss
    | EpochStarted
    | LoadOwn
    | SubmitNoop
    | Persist
    | Send
    | Broadcast
    | CheckBatch
    | ServeBatch
    | ServeBlock
    | ServeChain
    | ServeEpochEnd
    | Finalized
    | Accepted
    | Refused
    | ReportFault
    | ReportEvidence
    | ShareFork
    | Alarm
    | Halt
)
