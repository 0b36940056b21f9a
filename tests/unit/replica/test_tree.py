"""The blocks above the final one: when they are complete, when they never will be, what finality drops."""

import dataclasses

import pytest

from consensus.errors import InvariantError
from consensus.messages import Block, payload_digest
from consensus.types import Height
from node.feed.feeds import Feeds
from node.replica.membership import Membership
from node.replica.start import anchor_block
from node.replica.tree import BlockTree, Lack, Missing, Node
from node.wire.ids import MemberId
from tests.support.feeds import build_digest, build_feed_id, build_record, build_tip
from tests.support.final_chain import FinalChain
from tests.support.networks import build_genesis

GENESIS = build_genesis(validators=2, observers=1)
A, B, C = build_record(0, "a"), build_record(1, "b", "a"), build_record(2, "c", "b")
OTHER = build_record(0, "o", member="firm-1")


class Rig:
    """A tree at genesis, with its feeds and a chain to take blocks from."""

    def __init__(self, *, batches_max: int = 10) -> None:
        self.feeds = Feeds((), (), 0)
        self.chain = FinalChain(GENESIS)
        self.tree = BlockTree(
            feeds=self.feeds,
            membership=Membership(GENESIS.roster, MemberId("firm-0")),
            batches_max=batches_max,
            header=anchor_block(GENESIS).header,
            digest=GENESIS.anchor_digest,
            frontier=self.chain.frontier,
        )

    def hold(self, *names: str) -> None:
        """Have these batches held."""
        for record in (A, B, C, OTHER):
            if any(record.tip.digest == build_digest(name) for name in names):
                self.feeds.add(record, 0)

    def add(self, block: Block) -> Node:
        """Put a block into the tree."""
        return self.tree.add(block, block.header.digest())


def test_a_block_is_complete_when_all_it_covers_is_held() -> None:
    """What is missing is named, one batch a feed at a time, from the top down."""
    rig = Rig()
    node = rig.add(rig.chain.extend(A, B, OTHER))
    assert rig.tree.complete(node) == Missing(Lack.BATCHES, (B.tip, OTHER.tip))
    rig.hold("b", "o")
    assert rig.tree.complete(node) == Missing(Lack.BATCHES, (A.tip,))
    rig.hold("a")
    assert rig.tree.complete(node) is None
    assert node.covered == (A, B, OTHER)
    assert rig.tree.is_complete(node.digest)
    assert rig.tree.frontier_of(node.digest) == rig.chain.frontier
    assert rig.tree.complete(node) is None
    assert len(rig.tree) == 1


def test_a_block_waits_for_its_parent() -> None:
    """What it covers depends on its parent's cut."""
    rig = Rig()
    first, second = rig.chain.extend(A), rig.chain.extend(B)
    child = rig.add(second)
    assert rig.tree.complete(child) == Missing(Lack.PARENT)
    assert rig.tree.frontier_of(child.digest) is None
    parent = rig.add(first)
    assert rig.add(first) is parent
    assert rig.tree.complete(child) == Missing(Lack.PARENT)
    assert rig.tree.incomplete() == (child.digest, parent.digest)
    assert rig.tree.children_of(parent.digest) == (child.digest,)
    rig.hold("a", "b")
    assert rig.tree.complete(parent) is None
    assert rig.tree.complete(child) is None
    assert rig.tree.tip_of(child.digest, build_feed_id()) == B.tip
    assert rig.tree.tip_of(parent.digest, build_feed_id()) == A.tip
    assert rig.tree.tip_of(child.digest, build_feed_id("firm-1")) is None
    assert rig.tree.path_to(child.digest) == [parent, child]


@pytest.mark.parametrize(
    ("records", "changes", "why"),
    [
        ((build_record(0, "x", member="firm-2"),), {}, "no feed"),
        ((build_record(0, "x", member="stranger"),), {}, "no feed"),
        ((A,), {"batch_count": 2}, "its header says 2"),
        ((A, B, C), {}, "more than 2"),
        ((A,), {"height": Height(3)}, "height"),
    ],
)
def test_a_cut_that_cannot_be_is_broken_before_anything_is_fetched(
    records: tuple[object, ...], changes: dict[str, object], why: str
) -> None:
    """Unknown feeds, wrong counts, more than a block may cover."""
    rig = Rig(batches_max=2)
    node = rig.add(rig.chain.build(*records, **changes))  # type: ignore[arg-type] # records as they came
    assert rig.tree.complete(node) is None
    assert why in (node.broken or "")
    assert rig.tree.incomplete() == ()


def test_a_cut_must_advance_each_feed_it_names() -> None:
    """Neither the same tip again nor a lower one."""
    rig = Rig()
    rig.hold("a", "b")
    rig.tree.complete(rig.add(rig.chain.extend(A, B)))
    node = rig.add(rig.chain.build(A, batch_count=1))
    rig.tree.complete(node)
    assert "does not advance" in (node.broken or "")


def test_a_cut_that_does_not_follow_the_one_before_is_broken() -> None:
    """The links lead elsewhere: no batch that may come mends it, nor what stands on it."""
    rig = Rig()
    rig.hold("a")
    rig.tree.complete(rig.add(rig.chain.extend(A)))
    rig.feeds.add(build_record(1, "B", "other"), 0)
    bad = rig.add(rig.chain.extend(build_record(1, "B", "other")))
    rig.tree.complete(bad)
    assert "does not follow" in (bad.broken or "")
    child = rig.add(rig.chain.extend())
    assert rig.tree.complete(child) is None
    assert child.broken == "its parent is broken"


def test_a_payload_that_is_no_cut_is_broken() -> None:
    """Whatever a certificate of a quorum says: a correct validator never votes for it."""
    rig = Rig()
    block = rig.chain.build()
    payload = b"\x91\x01"
    header = dataclasses.replace(block.header, cut_digest=payload_digest(payload))
    node = rig.add(Block(header, payload))
    assert rig.tree.complete(node) is None
    assert node.broken


def test_finality_moves_up_a_path_and_drops_rivals_with_what_stands_on_them() -> None:
    """The other branch of a fork of blocks can never become final."""
    rig = Rig()
    rig.hold("a", "b", "c", "o")
    rival = rig.add(rig.chain.build(OTHER))
    rig.tree.complete(rival)
    above_rival = FinalChain(GENESIS)
    above_rival.take(rival.block)
    grandchild = rig.add(above_rival.extend(A))
    rig.tree.complete(grandchild)
    path = [rig.add(rig.chain.extend(A)), rig.add(rig.chain.extend(B))]
    child = rig.add(rig.chain.extend(C))
    for node in (*path, child):
        rig.tree.complete(node)
    rig.tree.finalize(rig.tree.path_to(path[1].digest))
    assert (rig.tree.final_height, rig.tree.final_digest) == (2, path[1].digest)
    assert rig.tree.find(rival.digest) is None
    assert rig.tree.find(grandchild.digest) is None
    assert rig.tree.find(child.digest) is child
    assert rig.tree.is_complete(path[1].digest)
    assert rig.tree.frontier_of(path[1].digest) == rig.tree.final_frontier
    assert rig.feeds.branches(build_feed_id()).final == build_tip(1, "b")
    assert rig.tree.tip_of(child.digest, build_feed_id()) == C.tip
    rig.tree.drop(child.digest)
    rig.tree.drop(child.digest)
    assert len(rig.tree) == 0


def test_only_complete_blocks_that_follow_one_another_become_final() -> None:
    """Our own bug if not."""
    rig = Rig()
    node = rig.add(rig.chain.extend(A))
    with pytest.raises(InvariantError):
        rig.tree.path_to(node.digest)
    second = rig.add(rig.chain.extend(B))
    with pytest.raises(InvariantError):
        rig.tree.finalize([second])


def test_a_block_built_here_is_complete_from_the_start() -> None:
    """Its batches were chosen from what is held."""
    rig = Rig()
    rig.hold("a")
    block = rig.chain.extend(A)
    rig.tree.add_built(block, rig.chain.digests[0], (A,))
    assert rig.tree.is_complete(rig.chain.digests[0])
    assert rig.tree.frontier_of(rig.chain.digests[0]) == rig.chain.frontier
