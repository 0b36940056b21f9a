"""Governance in a simulated network: members propose and approve through their nodes, as people do."""

from consensus.types import Digest
from node.ledger.changes import AddMember, Change, NewFeed, RemoveMember, SetParameters, SetRole, sign_rotation
from node.ledger.governance import Request, encode_reference
from node.ledger.roster import Member, Parameters, Role, Roster
from node.ledger.transaction import Kind
from node.wire.ids import FeedNumber, MemberId
from tests.sim.node import SimNode
from tests.sim.world import World
from tests.support.networks import build_key

PROPOSALS_MAX = 6
ASK_AGAIN_MS = 4_000
"""An approval that was lost with its node is given again after so long."""


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


def reach(world: World, nodes: list[SimNode], epoch: int, within_ms: int = 20_000) -> None:
    """Run until these nodes serve in the epoch."""
    assert world.run(within_ms, until=lambda: all(epoch_of(node) >= epoch for node in nodes)), [
        (node.member, epoch_of(node), node.disk.height) for node in world.up
    ]


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


def build_member(number: int, role: Role) -> Member:
    """firm-<number>, which no genesis has named."""
    return Member(
        id=MemberId(f"firm-{number}"),
        name=f"Firm {number}",
        organisation_id="",
        role=role,
        node_key=build_key(f"firm-{number}").public_key,
        actor_keys=(),
        address=f"127.0.0.1:{4000 + number}",
        feed_number=FeedNumber(0),
    )


class Politics:
    """What the organisations of a random run decide: changes of each kind, and approvals of whatever they see.

    Proposed are only changes after which the liars are no more than f of the validators.
    """

    def __init__(self, world: World, kinds: tuple[str, ...]) -> None:
        self.world = world
        self.kinds = kinds
        self.proposed = 0
        self._asked_ms: dict[tuple[MemberId, Digest], int] = {}

    def act(self) -> None:
        """Somebody proposes something, now and then; everybody approves what is open; newcomers start."""
        world, chance = self.world, self.world.random
        proposers = [node for node in world.members_up if self._roster.members[node.member].role is Role.VALIDATOR]
        if proposers and self.proposed < PROPOSALS_MAX and chance.random() < 0.3:
            change = self._draw()
            if change is not None:
                self.proposed += 1
                propose(chance.choice(proposers), change)
        self.approve_all()

    def approve_all(self) -> None:
        """All validators approve what they see open; newcomers start, and those whose feed has ended are noted."""
        world = self.world
        for node in world.up:
            state = node.disk.state.governance
            if node.member not in state.roster.validators:
                continue
            for proposal in state.proposals:
                asked_ms = self._asked_ms.get((node.member, proposal.id))
                is_late = asked_ms is None or world.now_ms > asked_ms + ASK_AGAIN_MS
                if node.member not in proposal.approvals and is_late:
                    self._asked_ms[node.member, proposal.id] = world.now_ms
                    approve(node, proposal.id)
        for member in self._roster.present():
            if member.id not in world.nodes:
                world.add_node(member.id).start()

    @property
    def _roster(self) -> Roster:
        return self.world.rosters[max(self.world.rosters)]

    def _draw(self) -> Change | None:
        """A change of some kind, or None if none of it is possible."""
        roster, chance = self._roster, self.world.random
        staying = [member for member in roster.validators if member not in self.world.leaving]
        can_shrink = len(staying) > 4 and self.world.unreliable() <= (len(staying) - 2) // 3
        correct = [
            member.id
            for member in roster.present()
            if member.id not in self.world.checker.byzantine
            and member.id not in self.world.absent
            # Of a member of this very moment no node has started yet.
            and member.id in self.world.nodes
        ]
        voting = [member for member in correct if member in roster.validators]
        others = [member for member in correct if roster.members[member].role is Role.MEMBER]
        match chance.choice(self.kinds):
            case "parameters":
                return SetParameters(Parameters(block_batches_max=chance.choice((3, 7, 64, 100))))
            case "add":
                return AddMember(build_member(len(roster.members), chance.choice((Role.MEMBER, Role.OBSERVER))))
            case "promote" if others:
                return SetRole(chance.choice(others), Role.VALIDATOR)
            case "demote" if can_shrink:
                return SetRole(self._let_go(voting), chance.choice((Role.MEMBER, Role.OBSERVER)))
            case "remove" if can_shrink:
                return RemoveMember(self._let_go(voting))
            case "new feed" if correct:
                return NewFeed(chance.choice(correct))
            case "rotate" if correct:
                member = roster.members[chance.choice(correct)]
                number = FeedNumber(member.feed_number + 1)
                key = self.world.nodes[member.id].next_key
                return sign_rotation(self.world.genesis.network_id, member.id, number, key)
            case _:
                return None

    def _let_go(self, voting: list[MemberId]) -> MemberId:
        """Draw who leaves the validators: from now on no more disks are lost than the smaller set bears."""
        leaves = self.world.random.choice(voting)
        self.world.leaving[leaves] = None
        return leaves
