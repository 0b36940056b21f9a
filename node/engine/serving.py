"""Answers to peers that ask for a batch, a block or a stretch of the chain: read from the store, in a thread."""

from typing import Final

from consensus.messages import FLAG_EPOCH_END, HEADER_BYTES, Block, Certificate
from consensus.types import Digest, Height
from node.ledger.batch import Batch, decode_batch
from node.replica.effects import ServeBatch, ServeBlock, ServeChain, ServeEpochEnd
from node.storage.chain import ChainStore
from node.wire.codec import MalformedError
from node.wire.ids import FeedTip
from node.wire.messages import FRAME_BYTES_MAX, VALIDATORS_MAX, BatchData, BlockData, ChainData, encode

Serve = ServeBatch | ServeBlock | ServeChain | ServeEpochEnd

_OVERHEAD_BYTES: Final = 1024 + 128 + 70 * VALIDATORS_MAX
"""Of a frame of blocks: its head and its certificate."""
_BLOCK_OVERHEAD_BYTES: Final = 16


def build_answer(chain: ChainStore, request: Serve) -> bytes | None:
    """Return the frame that answers `request`, or None where nothing is to be said. Raises DamagedStoreError."""
    match request:
        case ServeBatch(_, tip):
            encoded = chain.find_batch(tip)
            return None if encoded is None else encode(BatchData(encoded))
        case ServeBlock(_, digest):
            block = chain.find_block(digest)
            return None if block is None else encode(BlockData(block))
        case ServeChain(_, first, last):
            return encode(read_range(chain, first, last))
        case ServeEpochEnd(_, epoch):
            end = chain.find_epoch_end(epoch)
            return None if end is None else encode(end[1])


def load_batches(chain: ChainStore, tips: tuple[FeedTip, ...], network_id: Digest) -> tuple[Batch, ...]:
    """Return these batches of our own, in the same order; what cannot be read as one is left out."""
    batches = []
    for tip in tips:
        encoded = chain.find_batch(tip)
        if encoded is None:
            continue
        try:
            batches.append(decode_batch(encoded, network_id))
        except MalformedError:
            # Another program made it with our key: a network that took it for valid would stand still.
            continue
    return tuple(batches)


def read_range(chain: ChainStore, first: Height, last: Height) -> ChainData:
    """Return the final blocks from `first` on: up to the highest one that fits and has a certificate of its own.

    Without one where none of those that fit has: then a certificate above proves them, as a final block's parents are
    final. Never across the end of an epoch: who asks does not know the next validators before it has that block.
    """
    blocks: list[Block] = []
    certified, certificate = 0, None
    room = FRAME_BYTES_MAX - _OVERHEAD_BYTES
    for number in range(first, last + 1):
        height = Height(number)
        block = chain.find_final_block(height)
        if block is None:
            break
        room -= HEADER_BYTES + len(block.payload) + _BLOCK_OVERHEAD_BYTES
        if room < 0:
            break
        blocks.append(block)
        found: Certificate | None = chain.find_certificate(height)
        if found is not None:
            certified, certificate = len(blocks), found
        if block.header.flags & FLAG_EPOCH_END:
            # Who reads it knows no validators beyond, before it has executed this one.
            break
    return ChainData(first, tuple(blocks[:certified] if certified else blocks), certificate)
