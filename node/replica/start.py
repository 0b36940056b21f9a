"""From what was durable to what the core is born with."""

import dataclasses

from consensus.messages import Block, Header, Vote
from consensus.recovery import Recovered as CoreRecovered
from consensus.recovery import Setup
from consensus.types import ZERO_DIGEST, Digest, Epoch, Height, ValidatorIndex, View
from node.crypto.merkle import EMPTY_ROOT, Frontier
from node.ledger.cut import batch_root, cut_digest, encode_cut
from node.ledger.genesis import Genesis
from node.ledger.roster import EpochRecord
from node.replica.executed import ExecutedState
from node.replica.membership import Membership
from node.replica.recovered import Recovered
from node.replica.tree import BlockTree
from node.wire.logged import EpochStart


def anchor_block(genesis: Genesis) -> Block:
    """Return the block at height 0, which stands for genesis. Its name is the network id, not its header's hash."""
    payload = encode_cut(())
    return Block(
        Header(
            network_id=genesis.network_id,
            epoch=genesis.epoch,
            height=Height(0),
            view=View(0),
            proposer=ValidatorIndex(0),
            parent_digest=ZERO_DIGEST,
            timestamp_ms=genesis.created_ms,
            cut_digest=cut_digest(payload),
            batch_root=batch_root(()),
            history_root=EMPTY_ROOT,
            batch_count=0,
            transaction_count=0,
            executed_height=Height(0),
            state_digest=genesis.state_digest,
            flags=0,
            next_epoch_digest=ZERO_DIGEST,
        ),
        payload,
    )


def known_states(recovered: Recovered, genesis: Genesis) -> tuple[tuple[Height, ExecutedState], ...]:
    """Return what is known of the executed heights."""
    digests = recovered.core.executed or ((genesis.anchor_height, genesis.state_digest),)
    due = dict(recovered.due)
    return tuple((height, ExecutedState(digest, due.get(height, ZERO_DIGEST))) for height, digest in digests)


def start_of(record: EpochRecord, network_id: Digest) -> EpochStart:
    """Return what the vote log keeps of the beginning of an epoch."""
    return EpochStart(record.epoch, record.anchor_digest, record.roster.digest(network_id))


def votes_of(recovered: CoreRecovered, epoch: Epoch) -> tuple[Vote, ...]:
    """Return the recorded votes of an epoch."""
    return tuple(vote for vote in recovered.votes if vote.subject.epoch == epoch)


def later_records(recovered: CoreRecovered, epoch: Epoch) -> CoreRecovered:
    """Return the recorded votes and certificates of epochs after this one: the node was there before.

    It then lost what it had executed, or comes back from a state that was made anew.
    """
    return CoreRecovered(
        votes=tuple(vote for vote in recovered.votes if vote.subject.epoch > epoch),
        certificates=tuple(certificate for certificate in recovered.certificates if certificate.subject.epoch > epoch),
    )


def first_frontier(genesis: Genesis) -> Frontier:
    """Return the frontier over the digest of block 0 alone."""
    return Frontier().append(genesis.anchor_digest)


def core_setup(network_id: Digest, record: EpochRecord, anchor: Block, membership: Membership) -> Setup:
    """Return the epoch as the core sees it. anchor: the block that the record names."""
    return Setup(
        network_id=network_id,
        epoch=record.epoch,
        validator_count=len(membership.validators),
        own_index=membership.own_index,
        anchor=anchor,
        anchor_digest=record.anchor_digest,
    )


def core_recovered(recovered: Recovered, record: EpochRecord, tree: BlockTree) -> CoreRecovered:
    """Return what the core goes on from; the stored blocks whose data are all here are put into the tree.

    A block was stored before all of its batches were, if the crash came between two syncs: it is fetched anew. The
    anchor of the epoch is final in an earlier one.
    """
    complete: list[Block] = []
    is_at_anchor = recovered.final_height == record.anchor_height
    for block in sorted(recovered.core.blocks, key=lambda block: (block.header.height, block.header.view)):
        digest = block.header.digest()
        if block.header.epoch != record.epoch:
            continue
        node = tree.add(block, digest)
        tree.complete(node)
        if node.covered is not None:
            complete.append(block)
        else:
            tree.drop(digest)
    return dataclasses.replace(
        recovered.core,
        blocks=tuple(complete),
        final_block=None if is_at_anchor else recovered.core.final_block,
        final_certificate=None if is_at_anchor else recovered.core.final_certificate,
    )
