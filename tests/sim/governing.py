"""Governance in a simulated network: members propose and approve through their nodes, as people do."""

from consensus.types import Digest
from node.ledger.changes import Change
from node.ledger.governance import Request, encode_reference
from node.ledger.transaction import Kind
from tests.sim.node import SimNode
from tests.sim.world import World


def propose(node: SimNode, *changes: Change) -> Digest:
    """Propose changes at a node; return the proposal's id."""
    return node.submit_kind(Kind.PROPOSE, Request(changes, "").encode())


def approve(node: SimNode, proposal: Digest) -> None:
    """Approve a proposal at a node."""
    node.submit_kind(Kind.APPROVE, encode_reference(proposal))


def epoch_of(node: SimNode) -> int:
    """The epoch that a node serves in."""
    assert node.replica is not None
    return node.replica.overview().epoch


def carry(world: World, *changes: Change, by: int = 0, within_ms: int = 20_000) -> int:
    """Have changes proposed at one node and approved at those of all validators that run; return the next epoch.

    Returns once all nodes that run and take part are in it.
    """
    proposer = world.node(by)
    following = epoch_of(proposer) + 1
    proposal = propose(proposer, *changes)
    assert world.run(within_ms, until=lambda: all(proposal in node.disk.state.transactions for node in world.up))
    roster = world.rosters[following - 1]
    for node in world.up:
        if node.member in roster.validators and node is not proposer:
            approve(node, proposal)
    settled = world.run(within_ms, until=lambda: all(epoch_of(node) >= following for node in world.members_up))
    assert settled, {node.member: (epoch_of(node), node.disk.height) for node in world.up}
    return following
