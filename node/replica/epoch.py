"""What exists anew in each epoch: the core with its timers, and those who judge and propose for it.

Everything else lives on: feeds, what is executed, what is fetched. Exactly one epoch is open at a time, and going over
to the next is one synchronous step of the replica: other projects ended with two instances, or with one that was
started after the shutdown.
"""

from collections.abc import Callable
from dataclasses import dataclass

from consensus.certificates import Notary
from consensus.core import Core
from consensus.messages import FLAG_EPOCH_END, Block
from consensus.recovery import Recovered as CoreRecovered
from consensus.scheme import Signer, Verifier
from consensus.types import Digest
from node.feed.acknowledged import Acknowledged
from node.feed.feeds import Feeds
from node.feed.own import OwnFeed
from node.ledger.roster import EpochRecord, Roster
from node.replica.bodies import Bodies
from node.replica.executed import ExecutedHeights
from node.replica.judging import Judging
from node.replica.membership import Membership
from node.replica.moment import Moment
from node.replica.proposing import Proposing
from node.replica.recovered import ReplicaSetup
from node.replica.start import core_setup
from node.replica.timers import CoreTimers
from node.replica.tree import BlockTree


@dataclass(frozen=True, slots=True)
class Lasting:
    """What lives through epochs, as far as an epoch's parts stand on it. verifiers: gives the keys of a roster."""

    setup: ReplicaSetup
    moment: Moment
    signer: Signer
    verifiers: Callable[[Roster], Verifier]
    feeds: Feeds
    acknowledged: Acknowledged
    executed: ExecutedHeights
    tree: BlockTree
    bodies: Bodies

    @property
    def network_id(self) -> Digest:
        """The network's name."""
        return self.setup.genesis.network_id

    def membership_of(self, record: EpochRecord) -> Membership:
        """Return who is who in an epoch, for this node."""
        return Membership(record.roster, self.setup.member, self.setup.node_key)

    def build_own_feed(self, membership: Membership, present: OwnFeed | None) -> OwnFeed | None:
        """Return this node's feed in an epoch: the present one if it goes on, else a new one, or None."""
        feed = membership.own_feed
        if present is not None and present.feed == feed:
            return present
        return None if feed is None else OwnFeed(network_id=self.network_id, feed=feed, key=self.signer)


@dataclass(frozen=True, slots=True)
class EpochParts:
    """One epoch as this node serves in it."""

    record: EpochRecord
    membership: Membership
    notary: Notary
    core: Core
    timers: CoreTimers
    judging: Judging
    proposing: Proposing | None

    def is_over(self, tree: BlockTree) -> bool:
        """Return whether the final block is the last one of this epoch."""
        header = tree.final_header
        return header.epoch == self.record.epoch and bool(header.flags & FLAG_EPOCH_END)


def build_notary(lasting: Lasting, record: EpochRecord) -> Notary:
    """Return who verifies the certificates of an epoch."""
    roster = record.roster
    return Notary(lasting.network_id, record.epoch, len(roster.validators), lasting.verifiers(roster))


def open_epoch(
    lasting: Lasting,
    record: EpochRecord,
    anchor: Block,
    recovered: CoreRecovered,
    *,
    membership: Membership,
    notary: Notary,
    wall_offset_ms: int,
) -> EpochParts:
    """Return the parts of an epoch. anchor: the block that it starts from, final and executed here."""
    timing = lasting.setup.timing
    own_index = membership.own_index
    return EpochParts(
        record=record,
        membership=membership,
        notary=notary,
        core=Core(
            core_setup(lasting.network_id, record, anchor, membership),
            timing,
            recovered,
            signer=None if own_index is None else lasting.signer,
            verifier=notary.verifier,
            wall_offset_ms=wall_offset_ms,
        ),
        timers=CoreTimers(),
        judging=Judging(
            lasting.moment, record=record, executed=lasting.executed, tree=lasting.tree, bodies=lasting.bodies
        ),
        proposing=None
        if own_index is None
        else Proposing(
            lasting.moment,
            network_id=lasting.network_id,
            record=record,
            timing=timing,
            membership=membership,
            feeds=lasting.feeds,
            acknowledged=lasting.acknowledged,
            executed=lasting.executed,
            tree=lasting.tree,
            own_index=own_index,
        ),
    )
