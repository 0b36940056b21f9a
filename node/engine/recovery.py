"""What a restart goes on from: the stores, read and put into the words of the replica."""

from consensus.recovery import Recovered as CoreRecovered
from consensus.types import Digest, Height
from node.crypto.digests import sha256
from node.feed.records import BatchRecord
from node.ledger.batch import decode_batch_header
from node.ledger.genesis import Genesis
from node.replica.recovered import Recovered
from node.storage.chain import ChainStore
from node.storage.index import IndexStore
from node.storage.stores import Stores
from node.wire.codec import MalformedError


def recover(stores: Stores, genesis: Genesis) -> Recovered:
    """Return what was durable when the last run ended. Raises DamagedStoreError.

    The vote log's floor may be behind the chain (blocks that came by chain sync) or ahead of it (a certificate whose
    blocks were still missing): the core takes the higher of both.
    """
    chain, index, logged = stores.chain, stores.index, stores.logged
    final_height = chain.final_height
    final_block = chain.find_final_block(final_height)
    return Recovered(
        core=CoreRecovered(
            votes=logged.votes,
            certificates=logged.certificates,
            final_block=final_block,
            final_certificate=chain.find_certificate(final_height),
            blocks=chain.blocks_above(final_height),
            executed=_executed(
                index, genesis, Height(0) if final_block is None else final_block.header.executed_height
            ),
        ),
        final_height=final_height,
        final_digest=None if final_block is None else chain.final_digest,
        final_tips=chain.final_tips(),
        frontier=None if final_block is None else chain.frontier,
        held=_held(chain),
        own_logged=logged.newest_batch,
        executed_height=index.height,
    )


def _executed(index: IndexStore, genesis: Genesis, lowest: Height) -> tuple[tuple[Height, Digest], ...]:
    """Return the state digests from `lowest`, or the executed height if that is lower, up to the executed height."""
    heights = []
    with index.reader() as reader:
        for number in range(min(lowest, reader.height), reader.height + 1):
            height = Height(number)
            executed = reader.find_block(height)
            if executed is not None:
                heights.append((height, executed.state_digest))
            elif height == 0:
                heights.append((height, genesis.state_digest))
    return tuple(heights)


def _held(chain: ChainStore) -> tuple[BatchRecord, ...]:
    """Return every stored batch above its feed's final tip, each checked against its digest."""
    final = {tip.feed: tip.seq for tip in chain.final_tips()}
    held = []
    for feed in chain.feeds():
        for tip, encoded in chain.batches_above(feed, final.get(feed, -1)):
            try:
                header = decode_batch_header(encoded)
            except MalformedError as error:
                raise chain.damaged(error) from error
            if sha256(header.signing_bytes()) != tip.digest:
                raise chain.damaged(f"batch {tip.seq} of {feed.member} is another one")
            held.append(BatchRecord(tip, header.previous, header.transaction_count, len(encoded)))
    return tuple(held)
