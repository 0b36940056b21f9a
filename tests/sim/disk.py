"""A disk in memory that keeps what was synced, and of the rest at a crash whatever the seed says.

The vote log is its real bytes, so that a crash can tear a record; the chain store is a table that a write batch
changes as a whole or not at all, which is what LevelDB promises.
"""

import random
from dataclasses import dataclass, field
from pathlib import Path

from consensus.messages import FLAG_EPOCH_END, Block, Certificate, Vote
from consensus.recovery import Recovered as CoreRecovered
from consensus.types import ZERO_DIGEST, Digest, Epoch, Height
from node.crypto.merkle import Frontier
from node.feed.records import record_of
from node.ledger.batch import Batch
from node.ledger.genesis import Genesis
from node.ledger.state import WriteSet
from node.replica.effects import FinalBlock, Finalized, LogBatch, LogEpoch, LogLoss, Persist, StoreBatch, StoreBlock
from node.replica.recovered import Recovered
from node.storage.vote_records import (
    HEADER_BYTES,
    Carried,
    Contents,
    LoggedState,
    Record,
    encode_header,
    encode_record,
    frame_record,
    read_header,
    read_segment,
)
from node.wire.ids import FeedId, FeedTip
from node.wire.messages import CHAIN_BLOCKS_MAX, ChainData
from tests.support.memory_state import MemoryState

ChainWrite = StoreBatch | StoreBlock | Finalized
LogWrite = LogBatch | LogEpoch | LogLoss | Persist

LOG_PATH = Path("votes")


def record_in(write: LogWrite) -> Record:
    """What a write appends to the vote log."""
    match write:
        case LogBatch(tip):
            return tip
        case LogEpoch(start):
            return start
        case LogLoss(loss):
            return loss
        case Persist(record):
            return record


class LogFile:
    """The vote log of one node: one segment, which is enough for hours of virtual time."""

    def __init__(self, network_id: Digest, public_key: bytes) -> None:
        self.network_id, self.public_key = network_id, public_key
        self.data = bytearray(encode_header(network_id, public_key, 1))
        self.checksum = int.from_bytes(self.data[-4:], "big")

    def append(self, writes: list[LogWrite]) -> None:
        """All of these are synced."""
        for write in writes:
            framed, self.checksum = frame_record(*encode_record(record_in(write)), self.checksum)
            self.data += framed

    def tear(self, writes: list[LogWrite], chance: random.Random) -> list[LogWrite]:
        """The machine dies while it writes these: some bytes from the front arrive. Return the whole records."""
        framed: list[bytes] = []
        checksum = self.checksum
        for write in writes:
            data, checksum = frame_record(*encode_record(record_in(write)), checksum)
            framed.append(data)
        kept = chance.randrange(sum(map(len, framed)) + 1)
        self.data += b"".join(framed)[:kept]
        whole = 0
        for data in framed:
            if kept < len(data):
                break
            kept -= len(data)
            whole += 1
        return writes[:whole]

    def read(self) -> LoggedState:
        """Read it as a starting node does, and cut off a torn last record."""
        data = bytes(self.data)
        contents = Contents(Carried(Epoch(0)))
        start = read_header(LOG_PATH, data, network_id=self.network_id, public_key=self.public_key, number=1)
        offset, self.checksum = read_segment(LOG_PATH, data, start, 1, contents)
        assert offset >= HEADER_BYTES
        del self.data[offset:]
        return contents.state(len(data) - offset)


@dataclass(slots=True)
class Disk:
    """What one node has on disk. state: of execution, always durable as a whole.

    votes, own_tips: what of the vote log the checkers ask for; checked_bodies: the cut after each block that they
    found whole; torn_bytes: what the last start cut off. The node itself never reads these.
    """

    genesis: Genesis
    log: LogFile
    batches: dict[Digest, Batch] = field(default_factory=dict)
    blocks: dict[Digest, Block] = field(default_factory=dict)
    finals: list[tuple[FinalBlock, Certificate | None]] = field(default_factory=list)
    tips: dict[FeedId, FeedTip] = field(default_factory=dict)
    frontier: Frontier | None = None
    votes: dict[tuple[int, int, int], Vote] = field(default_factory=dict)
    own_tips: dict[Digest, None] = field(default_factory=dict)
    checked_bodies: dict[Digest, dict[tuple[str, int], tuple[int, bytes]]] = field(default_factory=dict)
    digests: list[tuple[Height, Digest]] = field(default_factory=list)
    torn_bytes: int = 0
    due: list[tuple[Height, Digest]] = field(default_factory=list)
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
        self.log.append(writes)
        self._note(writes)

    def tear_log(self, writes: list[LogWrite], chance: random.Random) -> list[LogWrite]:
        """A crash in the middle of `write_log`; return what is whole on disk."""
        whole = self.log.tear(writes, chance)
        self._note(whole)
        return whole

    def begin_log(self, log: LogFile) -> None:
        """Put another vote log in place of the present one, which is gone."""
        self.log = log
        self.own_tips.clear()
        self.votes.clear()

    def _note(self, writes: list[LogWrite]) -> None:
        for write in writes:
            match write:
                case Persist(Vote() as vote):
                    self.votes[vote.subject.epoch, vote.subject.kind, vote.subject.view] = vote
                case LogBatch(tip):
                    self.own_tips[tip.digest] = None

    @property
    def height(self) -> Height:
        """The final height."""
        return Height(len(self.finals))

    def note_executed(self, writes: WriteSet) -> None:
        """Remember what the state says after a block."""
        self.digests.append((writes.height, writes.state_digest))
        if writes.governance.due_digest != ZERO_DIGEST:
            self.due.append((writes.height, writes.governance.due_digest))

    def epoch_end(self, epoch: Epoch) -> Certificate | None:
        """What finalizes the last block of an epoch that is over."""
        record = self.state.find_epoch(Epoch(epoch + 1))
        return None if record is None else self.finals[record.anchor_height - 1][1]

    def covered(self, height: int) -> tuple[Batch, ...]:
        """The batches of a final block."""
        return tuple(self.batches[tip.digest] for tip in self.finals[height - 1][0].batches)

    def chain(self, first: int, last: int) -> ChainData:
        """What a peer is told of the chain."""
        last = min(last, self.height, first + CHAIN_BLOCKS_MAX - 1)
        for height in range(first, last):
            if self.finals[height - 1][0].block.header.flags & FLAG_EPOCH_END:
                last = height
                break
        certified = [height for height in range(first, last + 1) if self.finals[height - 1][1] is not None]
        last = certified[-1] if certified else last
        if last < first:
            return ChainData(Height(first), (), None)
        blocks = tuple(final.block for final, _ in self.finals[first - 1 : last])
        return ChainData(Height(first), blocks, self.finals[last - 1][1])

    def recover(self) -> Recovered:
        """What a restart finds."""
        final, certificate = self.finals[-1] if self.finals else (None, None)
        logged = self.log.read()
        self.torn_bytes = logged.torn_bytes
        record = self.state.find_epoch(self.state.governance.roster.epoch)
        assert record is not None
        return Recovered(
            core=CoreRecovered(
                votes=logged.votes,
                certificates=logged.certificates,
                final_block=None if final is None else final.block,
                final_certificate=certificate,
                blocks=tuple(block for block in self.blocks.values() if block.header.height > self.height),
                executed=tuple(self.digests[-64:]),
            ),
            epoch=record,
            anchor=self.finals[record.anchor_height - 1][0].block if record.epoch else None,
            logged_epoch=Epoch(0) if logged.epoch_start is None else logged.epoch_start.epoch,
            due=tuple(self.due[-64:]),
            final_height=self.height,
            final_digest=None if final is None else final.digest,
            final_tips=tuple(self.tips[feed] for feed in sorted(self.tips)),
            frontier=self.frontier,
            held=tuple(
                record_of(batch)
                for batch in self.batches.values()
                if batch.header.feed not in self.tips or batch.header.seq > self.tips[batch.header.feed].seq
            ),
            own_logged=logged.newest_batch,
            loss=logged.loss,
            executed_height=self.state.height,
        )
