"""Final blocks into the index, in order, in a thread: execution follows finality, and catches up after a restart."""

from collections import OrderedDict, deque
from typing import Final

from consensus.types import Digest, Height
from node.ledger.batch import Batch
from node.ledger.state import WriteSet
from node.replica.effects import FinalBlock
from node.storage.chain import ChainStore
from node.storage.execution import execute_block, execute_next
from node.storage.index import IndexStore

CACHE_BYTES: Final = 32 * 1024 * 1024
"""Of encoded batches that are kept decoded until they are executed; what does not fit is read again."""


class BatchCache:
    """Batches that were just stored, decoded: most are executed within the second. Oldest go first."""

    def __init__(self, bytes_max: int = CACHE_BYTES) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._batches: OrderedDict[Digest, Batch] = OrderedDict()

    def put(self, batch: Batch) -> None:
        """Keep a batch."""
        if batch.digest in self._batches:
            return
        self._batches[batch.digest] = batch
        self._bytes += len(batch.encoded)
        while self._bytes > self._bytes_max:
            self._bytes -= len(self._batches.popitem(last=False)[1].encoded)

    def pop(self, digest: Digest) -> Batch | None:
        """Return a batch and forget it, or None."""
        batch = self._batches.pop(digest, None)
        if batch is not None:
            self._bytes -= len(batch.encoded)
        return batch


class ExecutionQueue:
    """What is final and not executed yet. The loop fills it, one job at a time takes from it."""

    def __init__(self, chain: ChainStore, index: IndexStore) -> None:
        self._chain = chain
        self._index = index
        self._cache = BatchCache()
        self._blocks: deque[FinalBlock] = deque()
        self._behind_to = chain.final_height
        self._next = Height(index.height + 1)

    @property
    def waiting(self) -> int:
        """How many final blocks wait to be executed."""
        return max(0, self._behind_to - self._next + 1) + len(self._blocks)

    def keep(self, batch: Batch) -> None:
        """Remember a batch that is being stored."""
        self._cache.put(batch)

    def put(self, block: FinalBlock) -> None:
        """Queue a block that is final and durable."""
        self._blocks.append(block)

    def take(self) -> "Job | None":
        """Return the next block's execution, or None if nothing waits."""
        if self._next <= self._behind_to:
            job = Job(self._chain, self._index, self._next, None, ())
        elif self._blocks:
            final = self._blocks.popleft()
            cached = tuple(self._cache.pop(tip.digest) for tip in final.batches)
            job = Job(self._chain, self._index, final.block.header.height, final, cached)
        else:
            return None
        self._next = Height(self._next + 1)
        return job


class Job:
    """The execution of one block. batches: those still in memory, None for each to be read from the chain."""

    def __init__(
        self,
        chain: ChainStore,
        index: IndexStore,
        height: Height,
        final: FinalBlock | None,
        batches: tuple[Batch | None, ...],
    ) -> None:
        self._chain = chain
        self._index = index
        self._height = height
        self._final = final
        self._batches = batches

    def run(self) -> WriteSet:
        """Execute and write, synced. Runs in the executing thread. Raises StorageError."""
        final = self._final
        if final is None:
            block = self._chain.find_final_block(self._height)
            if block is None:
                raise self._chain.damaged(f"block {self._height} is missing")
            return execute_next(self._chain, self._index, block)
        batches = [
            self._chain.get_batch(tip) if batch is None else batch
            for tip, batch in zip(final.batches, self._batches, strict=True)
        ]
        return execute_block(self._index, final.block, batches)
