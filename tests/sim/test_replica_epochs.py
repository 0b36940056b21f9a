"""Whole replicas through changes of who they are: one set of validators a block, and nobody stands still."""

from consensus.elector import epoch_shift, leader_of
from consensus.messages import Proposal
from consensus.types import View
from node.ledger.changes import AddMember, NewFeed, RemoveMember, SetParameters, SetRole
from node.ledger.roster import Parameters, Role
from node.wire.ids import MemberId
from node.wire.messages import BatchData
from tests.sim.actors import BadProposer
from tests.sim.governing import approve, build_member, carry, epoch_of, propose, reach
from tests.sim.world import World


def build_world(*, validators: int = 4, members: int = 0, observers: int = 0) -> World:
    """A network that has been up for a moment."""
    world = World(7, validators=validators, members=members, observers=observers)
    world.start_all()
    world.run(1_500)
    return world


def test_a_change_of_parameters_begins_an_epoch_in_which_all_go_on() -> None:
    """T-30, T-45: due while idle; one block ends the epoch, and what is submitted after it becomes final."""
    world = build_world()
    world.node(0).submit(3)
    assert carry(world, SetParameters(Parameters(block_batches_max=7))) == 1
    for node in world.nodes.values():
        node.submit(2)
    world.settle(within_ms=10_000)
    assert all(node.disk.state.governance.roster.parameters.block_batches_max == 7 for node in world.up)
    assert carry(world, SetParameters(Parameters(block_batches_max=9))) == 2
    world.settle(within_ms=10_000)


def test_a_new_firm_syncs_as_a_member_and_then_votes() -> None:
    """T-30, T-33: added, synced from genesis over an epoch's end, then a validator; the set is one for each block."""
    world = build_world()
    world.node(1).submit(3)
    carry(world, AddMember(build_member(4, Role.MEMBER)))
    newcomer = world.add_node(MemberId("firm-4"))
    newcomer.start()
    reach(world, [newcomer], 1)
    newcomer.submit(1)
    world.settle(within_ms=10_000)
    carry(world, SetRole(newcomer.member, Role.VALIDATOR))
    for node in world.nodes.values():
        node.submit(1)
    world.settle(within_ms=10_000)
    assert len(world.rosters[2].validators) == 5
    # Five validators bear no more faults than four, and now the newcomer is needed with three others.
    world.node(0).crash()
    newcomer.submit(1)
    world.settle(within_ms=20_000)
    assert any(member == newcomer.member and epoch == 2 for member, epoch, _, _ in world.checker.votes.votes)


def test_a_removed_validator_stops_and_the_others_go_on() -> None:
    """T-30: it has no feed and no voice any more; what it had not got final is told as lost."""
    world = build_world(validators=5)
    for node in world.nodes.values():
        node.submit(2)
    carry(world, RemoveMember(MemberId("firm-4")))
    removed = world.node(4)
    world.run(2_000)
    assert epoch_of(removed) in (0, 1)
    removed.crash()
    for node in world.up:
        node.submit(2)
    world.settle(within_ms=10_000)


def test_a_validator_that_becomes_an_observer_goes_on_following() -> None:
    """T-30: it votes no more and may not submit, and learns of every block."""
    world = build_world(validators=5)
    carry(world, SetRole(MemberId("firm-4"), Role.OBSERVER))
    world.node(0).submit(3)
    world.settle(within_ms=10_000)
    world.node(4).submit(1)
    world.run(10)
    assert [refused.code for refused in world.node(4).refused] == ["observer"]
    assert not any(member == "firm-4" and epoch == 1 for member, epoch, _, _ in world.checker.votes.votes)


def test_a_change_is_made_while_a_node_is_cut_off_and_it_catches_up() -> None:
    """T-30, T-32: one that missed one and then four ends of epochs follows their certificates one by one."""
    world = build_world(observers=1)
    for epochs in (1, 4):
        world.isolate(3)
        world.isolate(4)
        away = (world.node(3), world.node(4))
        begun = epoch_of(world.node(0))
        for number in range(epochs):
            proposal = propose(world.node(0), SetParameters(Parameters(block_batches_max=10 + begun + number)))
            others = [world.node(1), world.node(2)]
            world.run(1_000)
            for node in others:
                approve(node, proposal)
            reach(world, [world.node(0), *others], begun + number + 1)
            world.node(1).submit(3)
            world.run(1_000)
        assert all(epoch_of(node) == begun for node in away)
        world.heal()
        world.settle(within_ms=20_000)
        assert all(epoch_of(node) == begun + epochs for node in world.up)
    away[0].submit(1)
    world.settle(within_ms=10_000)


def test_what_was_put_on_one_new_feed_is_not_put_on_the_next_one_too() -> None:
    """T-47: uncut transactions are sealed again once, on the feed that follows; a later restart finds nothing to do."""
    world = build_world()
    author = world.node(3)
    world.isolate(3)
    (transaction,) = author.submit(1)
    world.run(500)
    proposal = propose(world.node(0), NewFeed(author.member))
    others = [world.node(number) for number in (0, 1, 2)]
    world.run(1_000)
    for node in others[1:]:
        approve(node, proposal)
    reach(world, others, 1)
    world.heal()
    world.settle(within_ms=20_000)
    assert transaction in author.disk.state.transactions
    carry(world, NewFeed(author.member))
    author.crash()
    author.start()
    # Had it sealed that once more, the checkers would find the transaction final twice.
    world.run(10_000)
    author.submit(1)
    world.settle(within_ms=20_000)


def test_an_observer_that_becomes_a_member_again_begins_another_feed() -> None:
    """T-47: its old feed ended with a batch that was never cut; going on there would sign one seq twice."""
    world = build_world(validators=5)
    member = world.node(4)
    world.message_filter = lambda source, target, message: not isinstance(message, BatchData) or source != "firm-4"
    (lost,) = member.submit(1)
    world.run(100)
    del world.checker.chain.accepted[lost]
    carry(world, SetRole(member.member, Role.OBSERVER))
    world.message_filter = None
    carry(world, SetRole(member.member, Role.MEMBER))
    (transaction,) = member.submit(1)
    assert world.run(20_000, until=lambda: transaction in member.disk.state.transactions)
    world.settle(within_ms=10_000)
    assert world.rosters[2].members[member.member].feed_number == 1


def test_a_leader_that_proposes_the_block_an_epoch_starts_from_halts_nobody() -> None:
    """T-44: the anchor ended the epoch before; it is final, so a verdict on it in the next one would stop everybody."""
    world = build_world()
    carry(world, SetParameters(Parameters(block_batches_max=7)))
    anchor = world.node(0).disk.finals[-1][0].block.header
    view, validators = View(anchor.view + 1), world.rosters[1].validators
    leader = leader_of(view, validator_count=len(validators), shift=epoch_shift(anchor.digest()))
    world.corrupt(validators[leader], BadProposer())
    # Nobody hears a proposal before the liar's turn comes.
    world.message_filter = lambda _, __, message: not isinstance(message, Proposal) or message.view >= view
    for node in world.correct:
        node.submit(1)
    world.settle(within_ms=60_000)
    assert not any(node.replica is None or node.replica.is_halted for node in world.correct)
    assert any("bad proposal" in fault.why for node in world.correct for fault in node.faults)
