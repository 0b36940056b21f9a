"""Groups of steps on their way to disk: all that they keep first, with one sync a store, then what they say.

# Safety: what follows a write in a group is carried out only once the write is on disk (docs/protocol.md,
Durability); a group carries out nothing before the groups ahead of it have.
"""

import time
from dataclasses import dataclass, field
from typing import Final

from consensus.messages import Certificate
from consensus.types import View
from node.replica.effects import Effect, Finalized, LogBatch, LogEpoch, LogLoss, Persist, StoreBatch, StoreBlock
from node.storage.chain import ChainStore, ChainWrite
from node.storage.vote_log import VoteLog
from node.storage.vote_records import Record

WAITING_BYTES_MAX: Final = 1024 * 1024
"""Batches of others that may wait in memory for what is said next; beyond it they are written by themselves."""


@dataclass(slots=True)
class Group:
    """The effects of some steps in a row. after: all that is not a write, and what is done once it is written."""

    write: ChainWrite = field(default_factory=ChainWrite)
    records: list[Record] = field(default_factory=list)
    must_sync: bool = False
    floor: View | None = None
    after: list[Effect] = field(default_factory=list)

    def add(self, effect: Effect) -> None:
        """Take up one effect, in order."""
        match effect:
            case StoreBatch(batch):
                self.write.batches.append(batch)
            case StoreBlock(block):
                self.write.blocks.append(block)
            case LogBatch(tip):
                self.records.append(tip)
                self.must_sync = True
            case LogEpoch(record) | LogLoss(record):
                self.records.append(record)
                self.must_sync = True
            case Persist(record):
                self.records.append(record)
                # A certificate alone needs no sync: that of the next own vote covers it.
                self.must_sync = self.must_sync or not isinstance(record, Certificate)
            case Finalized(blocks, certificate):
                self.write.finals.extend((final.block, final.digest) for final in blocks)
                self.write.certificates.append((blocks[-1].block.header.height, certificate))
                self.floor = certificate.subject.view
                self.after.append(effect)
            case _:
                self.after.append(effect)

    @property
    def must_write(self) -> bool:
        """Whether there is anything for the disk."""
        return bool(self.records) or not self.write.is_empty()

    @property
    def may_wait(self) -> bool:
        """Whether nobody can miss it yet: it keeps some batches, and nothing is said that rests on them.

        What says that they are held comes soon, and takes them along: one sync for all of them.
        """
        return (
            bool(self.write.batches)
            and not (self.after or self.records or self.write.blocks or self.write.finals)
            and sum(len(batch.encoded) for batch in self.write.batches) < WAITING_BYTES_MAX
        )

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do at all."""
        return not self.after and not self.must_write


class Journal:
    """The one writer of chain and vote log. Used by one thread."""

    def __init__(self, chain: ChainStore, vote_log: VoteLog) -> None:
        self._chain = chain
        self._vote_log = vote_log

    def write(self, group: Group) -> tuple[int, float]:
        """Put a group on disk; return how many things and how many seconds it took.

        The chain goes first: a record of the vote log speaks of batches and blocks that are durable already. Raises
        WriteFailedError: the process must end, nothing may be tried again.
        """
        began = time.perf_counter()
        chain, vote_log, write = self._chain, self._vote_log, group.write
        if not write.is_empty():
            chain.commit(write, vote_log.position)
            vote_log.append_chain_mark(chain.commits)
        for record in group.records:
            vote_log.append(record)
        if group.must_sync:
            vote_log.sync()
        else:
            vote_log.flush()
        if group.floor is not None:
            vote_log.raise_floor(group.floor)
        count = len(write.batches) + len(write.blocks) + len(write.finals) + len(group.records)
        return count, time.perf_counter() - began
