"""Executing a final block: read what it covers from the chain, apply it, write the result into the index."""

from collections.abc import Sequence

from consensus.messages import Block
from node.ledger.apply import apply_block
from node.ledger.batch import Batch
from node.ledger.state import WriteSet
from node.storage.chain import ChainStore
from node.storage.index import IndexStore


def execute_block(index: IndexStore, block: Block, batches: Sequence[Batch], *, sync: bool = True) -> WriteSet:
    """Execute the block above the index's height and return what it changed, written.

    batches: all that it newly covers, in cut order. sync: see `IndexStore.write`. Slow: run it in a worker thread.
    """
    with index.reader() as state:
        write_set = apply_block(state, block, batches)
    index.write(write_set, [batch.tip for batch in batches], sync=sync)
    return write_set


def execute_next(chain: ChainStore, index: IndexStore, block: Block, *, sync: bool = True) -> WriteSet:
    """Execute a final block with its batches from the chain. Raises DamagedStoreError if they are not there."""
    with index.reader() as state:
        batches = chain.covered_batches(block, state.executed_tip)
    return execute_block(index, block, batches, sync=sync)
