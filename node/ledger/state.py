"""What execution reads and what it writes: typed records; their keys on disk are `storage/`'s."""

from dataclasses import dataclass
from typing import Protocol

from consensus.types import Digest, Epoch, Height
from node.ledger.evidence import Evidence
from node.ledger.governance import GovernanceState
from node.ledger.roster import EpochRecord
from node.ledger.verdicts import EventCode, TransactionCode
from node.ledger.waivers import WaiverRow
from node.lineage.records import EventRow, Filing, MasterRow
from node.wire.ids import FeedId, MemberId


class StateReader(Protocol):
    """The state after the parent of the block that is executed."""

    @property
    def height(self) -> Height:
        """The executed height."""
        ...

    @property
    def state_digest(self) -> Digest:
        """The running digest at that height."""
        ...

    @property
    def network_id(self) -> Digest:
        """The network's name."""
        ...

    @property
    def governance(self) -> GovernanceState:
        """The membership, the parameters and what governance has before it."""
        ...

    def find_epoch(self, epoch: Epoch) -> EpochRecord | None:
        """Return an epoch that has begun, or None."""
        ...

    def has_evidence(self, key: bytes) -> bool:
        """Return whether evidence of this misdeed stands on the ledger. key: see `EvidenceRow`."""
        ...

    def has_transaction(self, transaction_id: Digest) -> bool:
        """Return whether a transaction was executed."""
        ...

    def has_event(self, member: MemberId, event_digest: Digest) -> bool:
        """Return whether the member has entered this event."""
        ...

    def feed_clock_ms(self, feed: FeedId) -> int:
        """Return the feed's clock: the maximum over its covered batches of min(batch time, block time); 0 at first."""
        ...


@dataclass(frozen=True, slots=True)
class TransactionRow:
    """A transaction of the ledger with its verdict.

    position: its place in the block. seq: of the batch that carried it in `feed`; place: its place in that batch.
    event_codes: one for each event of an accepted capture.
    """

    id: Digest
    position: int
    feed: FeedId
    seq: int
    place: int
    kind: int
    created_ms: int
    code: TransactionCode
    event_codes: tuple[EventCode, ...]


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """A misdeed that is proven on the ledger, counted once.

    key: what it is counted once by, of signer and evidence. reporter: whose transaction brought it first, in the block
    at height.
    """

    key: bytes
    signer: MemberId
    evidence: Evidence
    reporter: MemberId
    transaction_id: Digest
    height: Height


@dataclass(frozen=True, slots=True)
class WriteSet:
    """All that executing one block changes; written in one atomic batch.

    transactions: in block order, duplicates included (their row of the first time stands). filings: of the events, in
    their order; items that they name are written with them. feed_clocks: of the
    feeds that advanced. event_digests: (member, digest) of the events newly entered. governance: the state after
    the block; is_governance_changed: whether it is another one than before. epoch_record: the epoch that the block
    begins, if it is the last of one.
    """

    height: Height
    block_digest: Digest
    time_ms: int
    state_digest: Digest
    transactions: tuple[TransactionRow, ...]
    events: tuple[EventRow, ...]
    filings: tuple[Filing, ...]
    masters: tuple[MasterRow, ...]
    feed_clocks: tuple[tuple[FeedId, int], ...]
    event_digests: tuple[tuple[MemberId, Digest], ...]
    governance: GovernanceState
    is_governance_changed: bool
    epoch_record: EpochRecord | None
    evidence: tuple[EvidenceRow, ...]
    waivers: tuple[WaiverRow, ...] = ()
