"""A ledger state in memory: what execution reads, and what a write set changes of it."""

from dataclasses import dataclass, field, replace

from consensus.messages import Block, Header
from consensus.types import Digest, Epoch, Height, ValidatorIndex, View
from node.crypto.merkle import EMPTY_ROOT, merkle_root
from node.ledger.batch import Batch
from node.ledger.cut import cut_digest, encode_cut
from node.ledger.genesis import Genesis
from node.ledger.governance import GovernanceState, genesis_governance
from node.ledger.roster import EpochRecord
from node.ledger.state import EvidenceRow, WriteSet
from node.wire.ids import FeedId, MemberId

GENESIS_HEIGHT = Height(0)


@dataclass(slots=True)
class MemoryState:
    """Implements node.ledger.state.StateReader."""

    genesis: Genesis
    height: Height = GENESIS_HEIGHT
    transactions: dict[Digest, WriteSet] = field(default_factory=dict)
    event_digests: dict[tuple[MemberId, Digest], None] = field(default_factory=dict)
    feed_clocks: dict[FeedId, int] = field(default_factory=dict)
    digest: Digest | None = None
    governance: GovernanceState = field(init=False)
    epochs: dict[Epoch, EpochRecord] = field(default_factory=dict)
    evidence: dict[bytes, EvidenceRow] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.governance = genesis_governance(self.genesis)

    @property
    def state_digest(self) -> Digest:
        return self.genesis.state_digest if self.digest is None else self.digest

    @property
    def network_id(self) -> Digest:
        return self.genesis.network_id

    def find_epoch(self, epoch: Epoch) -> EpochRecord | None:
        return self.genesis.epoch_record if epoch == 0 else self.epochs.get(epoch)

    def has_evidence(self, key: bytes) -> bool:
        return key in self.evidence

    def has_transaction(self, transaction_id: Digest) -> bool:
        return transaction_id in self.transactions

    def has_event(self, member: MemberId, event_digest: Digest) -> bool:
        return (member, event_digest) in self.event_digests

    def feed_clock_ms(self, feed: FeedId) -> int:
        return self.feed_clocks.get(feed, 0)

    def write(self, writes: WriteSet) -> None:
        """Change the state as a store would, in one step."""
        self.height = writes.height
        self.digest = writes.state_digest
        for row in writes.transactions:
            self.transactions.setdefault(row.id, writes)
        for key in writes.event_digests:
            self.event_digests[key] = None
        self.feed_clocks.update(writes.feed_clocks)
        self.governance = writes.governance
        if writes.epoch_record is not None:
            self.epochs[writes.epoch_record.epoch] = writes.epoch_record
        self.evidence.update((row.key, row) for row in writes.evidence)


def build_block(
    genesis: Genesis, *batches: Batch, height: int = 1, timestamp_ms: int = 1_760_000_000_000, **changes: object
) -> Block:
    """A block that covers exactly these batches; its parent is not looked at by execution. changes: header fields."""
    payload = encode_cut(tuple(sorted(batch.tip for batch in batches)))
    header = Header(
        network_id=genesis.network_id,
        epoch=Epoch(0),
        height=Height(height),
        view=View(height),
        proposer=ValidatorIndex(0),
        parent_digest=genesis.anchor_digest,
        timestamp_ms=timestamp_ms,
        cut_digest=cut_digest(payload),
        batch_root=merkle_root([batch.digest for batch in batches]),
        history_root=EMPTY_ROOT,
        batch_count=len(batches),
        transaction_count=sum(len(batch.transactions) for batch in batches),
        executed_height=Height(0),
        state_digest=genesis.state_digest,
        flags=0,
        next_epoch_digest=Digest(bytes(32)),
    )
    return Block(replace(header, **changes), payload)  # type: ignore[arg-type]  # Fields of a header.
