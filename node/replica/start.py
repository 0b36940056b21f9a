"""From what was durable to what the core is born with."""

import dataclasses

from consensus.messages import Block, Header
from consensus.recovery import Recovered as CoreRecovered
from consensus.recovery import Setup
from consensus.types import ZERO_DIGEST, Height, ValidatorIndex, View
from node.crypto.merkle import EMPTY_ROOT, Frontier
from node.ledger.cut import batch_root, cut_digest, encode_cut
from node.ledger.genesis import Genesis
from node.replica.membership import Membership
from node.replica.recovered import Recovered
from node.replica.tree import BlockTree


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


def first_frontier(genesis: Genesis) -> Frontier:
    """Return the frontier over the digest of block 0 alone."""
    return Frontier().append(genesis.anchor_digest)


def core_setup(genesis: Genesis, membership: Membership) -> Setup:
    """Return the epoch as the core sees it."""
    return Setup(
        network_id=genesis.network_id,
        epoch=genesis.epoch,
        validator_count=len(genesis.validators),
        own_index=membership.own_index,
        anchor=anchor_block(genesis),
        anchor_digest=genesis.anchor_digest,
    )


def core_recovered(recovered: Recovered, tree: BlockTree) -> CoreRecovered:
    """Return what the core goes on from; the stored blocks whose data are all here are put into the tree.

    A block was stored before all of its batches were, if the crash came between two syncs: it is fetched anew.
    """
    complete: list[Block] = []
    for block in sorted(recovered.core.blocks, key=lambda block: (block.header.height, block.header.view)):
        digest = block.header.digest()
        node = tree.add(block, digest)
        tree.complete(node)
        if node.covered is not None:
            complete.append(block)
        else:
            tree.drop(digest)
    return dataclasses.replace(recovered.core, blocks=tuple(complete))
