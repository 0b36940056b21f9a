"""A disk in memory that keeps what was synced, and of the rest at a crash whatever the seed says."""

from dataclasses import dataclass, field

from consensus.messages import Block, Certificate, Vote
from consensus.recovery import Recovered as CoreRecovered
from consensus.types import Digest, Height
from node.crypto.merkle import Frontier
from node.feed.records import record_of
from node.ledger.batch import Batch
from node.ledger.genesis import Genesis
from node.replica.effects import FinalBlock, Finalized, LogBatch, Persist, StoreBatch, StoreBlock
from node.replica.recovered import Recovered
from node.wire.ids import FeedId, FeedTip
from node.wire.messages import CHAIN_BLOCKS_MAX, ChainData
from tests.support.memory_state import MemoryState

ChainWrite = StoreBatch | StoreBlock | Finalized
LogWrite = LogBatch | Persist


@dataclass(slots=True)
class Disk:
    """What one node has on disk. state: of execution, always durable as a whole."""

    genesis: Genesis
    batches: dict[Digest, Batch] = field(default_factory=dict)
    blocks: dict[Digest, Block] = field(default_factory=dict)
    finals: list[tuple[FinalBlock, Certificate | None]] = field(default_factory=list)
    tips: dict[FeedId, FeedTip] = field(default_factory=dict)
    frontier: Frontier | None = None
    log: list[LogWrite] = field(default_factory=list)
    votes: dict[tuple[int, int], Vote] = field(default_factory=dict)
    own_tips: dict[Digest, None] = field(default_factory=dict)
    digests: list[tuple[Height, Digest]] = field(default_factory=list)
    state: MemoryState = field(init=False)

    def __post_init__(self) -> None:
        self.state = MemoryState(self.genesis)
        self.digests.append((Height(0), self.genesis.state_digest))

    def write_chain(self, writes: list[ChainWrite]) -> None:
        """One synced write batch."""
        for write in writes:
            match write:
                case StoreBatch(batch):
                    self.batches[batch.digest] = batch
                case StoreBlock(block):
                    self.blocks[block.header.digest()] = block
                case Finalized(blocks, certificate):
                    frontier = self.frontier or Frontier().append(self.genesis.anchor_digest)
                    for final in blocks:
                        assert final.digest in self.blocks, "a final block was never stored"
                        assert all(tip.digest in self.batches for tip in final.batches), "a final batch is missing"
                        self.finals.append((final, certificate if final is blocks[-1] else None))
                        self.tips.update((tip.feed, tip) for tip in final.batches)
                        frontier = frontier.append(final.digest)
                    self.frontier = frontier

    def write_log(self, writes: list[LogWrite]) -> None:
        """Records appended to the vote log and synced."""
        self.log.extend(writes)
        for write in writes:
            match write:
                case Persist(Vote() as vote):
                    self.votes[vote.subject.kind, vote.subject.view] = vote
                case LogBatch(tip):
                    self.own_tips[tip.digest] = None

    @property
    def height(self) -> Height:
        """The final height."""
        return Height(len(self.finals))

    def covered(self, height: int) -> tuple[Batch, ...]:
        """The batches of a final block."""
        return tuple(self.batches[tip.digest] for tip in self.finals[height - 1][0].batches)

    def chain(self, first: int, last: int) -> ChainData:
        """What a peer is told of the chain."""
        last = min(last, self.height, first + CHAIN_BLOCKS_MAX - 1)
        while last >= first and self.finals[last - 1][1] is None:
            last -= 1
        if last < first:
            return ChainData(Height(first), (), None)
        blocks = tuple(final.block for final, _ in self.finals[first - 1 : last])
        return ChainData(Height(first), blocks, self.finals[last - 1][1])

    def recover(self) -> Recovered:
        """What a restart finds."""
        final, certificate = self.finals[-1] if self.finals else (None, None)
        own = [write.tip for write in self.log if isinstance(write, LogBatch)]
        return Recovered(
            core=CoreRecovered(
                votes=tuple(
                    write.record for write in self.log if isinstance(write, Persist) and isinstance(write.record, Vote)
                ),
                certificates=tuple(
                    write.record
                    for write in self.log
                    if isinstance(write, Persist) and isinstance(write.record, Certificate)
                ),
                final_block=None if final is None else final.block,
                final_certificate=certificate,
                blocks=tuple(block for block in self.blocks.values() if block.header.height > self.height),
                executed=tuple(self.digests[-64:]),
            ),
            final_height=self.height,
            final_digest=None if final is None else final.digest,
            final_tips=tuple(self.tips[feed] for feed in sorted(self.tips)),
            frontier=self.frontier,
            held=tuple(
                record_of(batch)
                for batch in self.batches.values()
                if batch.header.feed not in self.tips or batch.header.seq > self.tips[batch.header.feed].seq
            ),
            own_logged=max(own, default=None, key=lambda tip: tip.seq),
            executed_height=self.state.height,
        )
