"""What a restart goes on from: the stores, read and put into the words of the replica."""

from consensus.recovery import Recovered as CoreRecovered
from consensus.types import ZERO_DIGEST, Digest, Epoch, Height
from node.crypto.digests import sha256
from node.feed.records import BatchRecord
from node.ledger.batch import decode_batch_header
from node.ledger.genesis import Genesis
from node.ledger.governance import GovernanceState
from node.replica.recovered import Recovered
from node.storage.chain import ChainStore
from node.storage.execution import execute_next
from node.storage.index import IndexStore
from node.storage.stores import Stores
from node.wire.codec import MalformedError


def recover(stores: Stores, genesis: Genesis) -> Recovered:
    """Return what was durable when the last run ended. Raises DamagedStoreError.

    The vote log's floor may be behind the chain (blocks that came by chain sync) or ahead of it (a certificate whose
    blocks were still missing): the core takes the higher of both.
    """
    chain, index, logged = stores.chain, stores.index, stores.logged
    execute_to_epoch(chain, index)
    with index.reader() as reader:
        governance = reader.governance
        record = reader.find_epoch(governance.roster.epoch)
    if record is None:
        raise chain.damaged(f"the index has no record of epoch {governance.roster.epoch}, in which it is")
    final_height = chain.final_height
    final_block = chain.find_final_block(final_height)
    executed = _executed(index, genesis, Height(0) if final_block is None else final_block.header.executed_height)
    return Recovered(
        core=CoreRecovered(
            votes=logged.votes,
            certificates=logged.certificates,
            final_block=final_block,
            final_certificate=chain.find_certificate(final_height),
            blocks=chain.blocks_above(final_height),
            executed=executed,
        ),
        epoch=record,
        anchor=chain.find_final_block(record.anchor_height) if record.epoch > 0 else None,
        logged_epoch=Epoch(0) if logged.epoch_start is None else logged.epoch_start.epoch,
        due=tuple((height, due) for height, _ in executed if (due := _due_at(governance, height)) != ZERO_DIGEST),
        final_height=final_height,
        final_digest=None if final_block is None else chain.final_digest,
        final_tips=chain.final_tips(),
        frontier=None if final_block is None else chain.frontier,
        held=_held(chain),
        own_logged=logged.newest_batch,
        loss=logged.loss,
        executed_height=index.height,
    )


def execute_to_epoch(chain: ChainStore, index: IndexStore) -> None:
    """Execute final blocks until the state has come to the epoch of the last of them.

    A node serves in an epoch only once the block that begins it is executed. The state is further behind only when
    it was made anew; what is left of the last epoch is then executed while the node runs.
    """
    final_block = chain.find_final_block(chain.final_height)
    if final_block is None:
        return
    while _epoch_of(index) < final_block.header.epoch:
        block = chain.find_final_block(Height(index.height + 1))
        if block is None:
            raise chain.damaged(f"block {index.height + 1} is missing")
        execute_next(chain, index, block)


def _epoch_of(index: IndexStore) -> Epoch:
    with index.reader() as reader:
        return reader.governance.roster.epoch


def _due_at(governance: GovernanceState, height: Height) -> Digest:
    """Return what was due after the block at a height of the running epoch, by the state that has come of it.

    Within an epoch the queue only grows, so what was in it then is what was approved by then.
    """
    queue = tuple(queued for queued in governance.queue if queued.approved_height <= height)
    due = governance.due_of(queue)[0] if height >= governance.anchor_height else None
    return ZERO_DIGEST if due is None else due.digest(governance.network_id)


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
