"""What a replica keeps through all epochs: feeds, blocks, what is executed, fetched and asked.

`EpochParts` stand on these; each part has an `enter` that takes up who is who in the next epoch.
"""

from collections.abc import Callable
from dataclasses import dataclass

from consensus.certificates import Notary
from consensus.messages import Block
from consensus.scheme import Signer, Verifier
from consensus.types import Digest
from node.feed.acknowledged import Acknowledged
from node.feed.branches import FeedBranches
from node.feed.feeds import Feeds
from node.feed.own import OwnFeed
from node.ledger.roster import EpochRecord, Roster
from node.replica.bodies import Bodies
from node.replica.boots import Boots
from node.replica.chain_sync import ChainSync
from node.replica.evidence import EvidencePool
from node.replica.executed import ExecutedHeights
from node.replica.membership import Membership
from node.replica.moment import Moment
from node.replica.recovered import Recovered, ReplicaSetup
from node.replica.rejoin import Rejoining
from node.replica.start import anchor_block, first_frontier, known_states, votes_of
from node.replica.traffic import FeedTraffic
from node.replica.tree import BlockTree


@dataclass(frozen=True, slots=True)
class Place:
    """An epoch, and who is who in it for this node."""

    record: EpochRecord
    membership: Membership
    notary: Notary


@dataclass(frozen=True, slots=True)
class Lasting:
    """The parts that live through epochs. verifiers: gives the keys of a roster."""

    setup: ReplicaSetup
    moment: Moment
    signer: Signer
    verifiers: Callable[[Roster], Verifier]
    feeds: Feeds
    acknowledged: Acknowledged
    executed: ExecutedHeights
    tree: BlockTree
    bodies: Bodies
    rejoining: Rejoining
    boots: Boots
    evidence: EvidencePool
    traffic: FeedTraffic
    sync: ChainSync

    @property
    def network_id(self) -> Digest:
        """The network's name."""
        return self.setup.genesis.network_id

    def place_in(self, record: EpochRecord) -> Place:
        """Return who is who in an epoch."""
        return find_place(self.setup, record, self.verifiers)

    @property
    def is_loss_covered(self) -> bool:
        """Whether a batch that we sealed after a loss is final: no later epoch has a vote that we forgot."""
        loss, own = self.rejoining.loss, self.traffic.sealing.own
        first = None if loss is None else loss.first_batch
        if first is None or own is None or first.feed != own.feed:
            return False
        return self.feeds.branches(first.feed).final_seq >= first.seq

    def enter(self, place: Place, recovered: Recovered) -> None:
        """Take up the next epoch. recovered: with the recorded votes of epochs that this node was in before."""
        record, membership = place.record, place.membership
        self.rejoining.enter(
            membership,
            place.notary,
            epoch=record.epoch,
            votes=votes_of(recovered.core, record.epoch),
            is_covered=self.is_loss_covered,
        )
        ended = retire_feeds(self.feeds, membership)
        self.tree.enter(membership, batches_max=record.roster.parameters.block_batches_max)
        self.bodies.enter()
        self.acknowledged.enter(membership.others)
        self.executed.enter(others=membership.others, is_validator=membership.own_index is not None)
        self.sync.enter(place.notary, record.epoch)
        self.traffic.enter(membership)
        self.evidence.enter(record)
        sealing = self.traffic.sealing
        sealing.enter(membership, build_own_feed(self.setup, membership, self.signer, sealing.own), ended)
        self.boots.keep(tuple(member.id for member in record.roster.present()))


def find_place(setup: ReplicaSetup, record: EpochRecord, verifiers: Callable[[Roster], Verifier]) -> Place:
    """Return who is who in an epoch, for this node."""
    roster = record.roster
    notary = Notary(setup.genesis.network_id, record.epoch, len(roster.validators), verifiers(roster))
    return Place(record, Membership(roster, setup.member, setup.node_key), notary)


def retire_feeds(feeds: Feeds, membership: Membership) -> tuple[FeedBranches, ...]:
    """Let go of the feeds that do not exist in the epoch; return them."""
    return feeds.retire(is_feed=lambda feed: membership.find_feed_key(feed) is not None)


def build_own_feed(
    setup: ReplicaSetup, membership: Membership, signer: Signer, present: OwnFeed | None
) -> OwnFeed | None:
    """Return this node's feed in an epoch: the present one if it goes on, else a new one, or None."""
    feed = membership.own_feed
    if present is not None and present.feed == feed:
        return present
    return None if feed is None else OwnFeed(network_id=setup.genesis.network_id, feed=feed, key=signer)


def build_lasting(
    setup: ReplicaSetup,
    recovered: Recovered,
    place: Place,
    moment: Moment,
    *,
    signer: Signer,
    verifiers: Callable[[Roster], Verifier],
) -> tuple[Lasting, tuple[FeedBranches, ...]]:
    """Return the parts as they go on from what was durable, and the feeds among it that have ended since."""
    genesis, record, membership = setup.genesis, place.record, place.membership
    feeds = Feeds(recovered.final_tips, recovered.held, moment.now_ms)
    ended = retire_feeds(feeds, membership)
    acknowledged = Acknowledged(membership.others)
    executed = ExecutedHeights(
        known_states(recovered, genesis),
        height=recovered.executed_height,
        others=membership.others,
        is_validator=membership.own_index is not None,
    )
    tree = BlockTree(
        feeds=feeds,
        membership=membership,
        batches_max=record.roster.parameters.block_batches_max,
        header=final_block_of(setup, recovered).header,
        digest=record.anchor_digest if recovered.final_digest is None else recovered.final_digest,
        frontier=first_frontier(genesis) if recovered.frontier is None else recovered.frontier,
    )
    bodies = Bodies(moment, feeds=feeds, acknowledged=acknowledged, tree=tree)
    rejoining = Rejoining(
        moment,
        nonce=setup.boot_nonce,
        timing=setup.timing,
        loss=recovered.loss,
        logged_epoch=recovered.logged_epoch,
        is_decided=setup.is_loss_decided,
    )
    votes = votes_of(recovered.core, record.epoch)
    rejoining.enter(membership, place.notary, epoch=record.epoch, votes=votes, is_covered=False)
    evidence = EvidencePool(moment, network_id=genesis.network_id, verifiers=verifiers)
    evidence.enter(record)
    traffic = FeedTraffic(
        moment,
        network_id=genesis.network_id,
        membership=membership,
        feeds=feeds,
        own=build_own_feed(setup, membership, signer, None),
        acknowledged=acknowledged,
        executed=executed,
        fetcher=bodies.fetcher,
        bodies=bodies,
        rejoining=rejoining,
        evidence=evidence,
    )
    lasting = Lasting(
        setup=setup,
        moment=moment,
        signer=signer,
        verifiers=verifiers,
        feeds=feeds,
        acknowledged=acknowledged,
        executed=executed,
        tree=tree,
        bodies=bodies,
        rejoining=rejoining,
        boots=Boots(setup.timing),
        evidence=evidence,
        traffic=traffic,
        sync=ChainSync(tree, place.notary, record.epoch),
    )
    return lasting, ended


def anchor_of(setup: ReplicaSetup, recovered: Recovered) -> Block:
    """Return the block that the epoch starts from."""
    return anchor_block(setup.genesis) if recovered.anchor is None else recovered.anchor


def final_block_of(setup: ReplicaSetup, recovered: Recovered) -> Block:
    """Return the highest final block: at the beginning the one that stands for genesis."""
    final_block = recovered.core.final_block
    return anchor_of(setup, recovered) if final_block is None else final_block
