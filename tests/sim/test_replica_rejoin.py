"""Whole replicas that come back: at once with an intact log, above a guard with a lost one."""

import copy

import pytest

from consensus.core import Core
from consensus.effects import Effect
from consensus.inputs import Guarded, Input
from consensus.messages import FLAG_EPOCH_END, Proposal, VoteKind
from consensus.recovery import GUARD_CLOSED
from consensus.types import Digest
from node.ledger.batch import decode_batch_header
from node.ledger.changes import SetParameters
from node.ledger.roster import Parameters
from node.replica.inputs import MessageReceived
from node.wire.ids import FeedId, FeedNumber, MemberId
from node.wire.messages import BatchData, Message, Rejoin, RejoinAnswer
from tests.sim.governing import approve, carry, epoch_of, propose
from tests.sim.node import SimNode
from tests.sim.world import World


def build_world(*, validators: int = 4, members: int = 0, seed: int = 7) -> World:
    """A network that has been up for a moment and has agreed on something."""
    world = World(seed, validators=validators, members=members)
    world.start_all()
    world.run(1_500)
    for node in world.nodes.values():
        node.submit(2)
    world.settle(within_ms=10_000)
    return world


def is_regained(node: SimNode) -> bool:
    """Whether the node's loss is made good in this epoch: it votes, and knows where its feed goes on."""
    assert node.replica is not None
    return node.replica.overview().waiting_for is None


def regain(world: World, node: SimNode, within_ms: int = 100_000) -> None:
    """Run until the node is whole again: in an idle network that takes some heartbeats, until its guard is passed."""
    assert node.replica is not None
    assert world.run(within_ms, until=lambda: is_regained(node)), node.replica.overview().waiting_for


def test_after_a_restart_with_an_intact_log_a_node_votes_as_soon_as_all_have_answered() -> None:
    """2.9.5: it listens, less once all validators have answered; it loses nothing."""
    world = build_world()
    node = world.node(0)
    node.crash()
    world.run(4_000)
    node.start()
    assert node.replica is not None
    assert "others on what this node said" in str(node.replica.overview().waiting_for)
    assert world.run(100, until=lambda: is_regained(node))
    node.submit(1)
    world.settle(within_ms=5_000)


def test_a_node_that_cannot_ask_all_waits_no_longer_than_it_listens() -> None:
    """2.9.5: a normal restart never waits for peers beyond that."""
    world = build_world()
    world.node(1).crash()
    node = world.node(0)
    node.crash()
    world.run(4_000)
    node.start()
    world.run(world.timing.skip_ms - 100)
    assert not is_regained(node)
    world.run(200)
    assert is_regained(node)
    node.submit(1)
    world.settle(within_ms=10_000)


def test_a_wiped_validator_rejoins_above_its_guard_and_seals_a_noop() -> None:
    """T-24, T-50: it comes back from nothing, its old votes are not given again, and its feed goes on."""
    world = build_world()
    node = world.node(2)
    node.wipe()
    world.node(0).submit(3)
    world.run(1_000)
    node.start()
    regain(world, node)
    assert any("our feed goes on after batch" in why for why in node.alarms)
    node.submit(2)
    world.settle(within_ms=20_000)
    # Whole again: it is needed now.
    world.node(0).crash()
    node.submit(1)
    world.settle(within_ms=20_000)


def test_until_its_guard_is_passed_a_rejoining_node_asks_to_stop_no_other_validator() -> None:
    """2.9.5: it counts among the f until then; with a second one gone, nobody could leave a view below its guard."""
    world = build_world()
    node = world.node(2)
    node.wipe()
    node.start()
    assert node.replica is not None
    replica = node.replica
    assert world.run(20_000, until=lambda: "stop no other validator" in str(replica.overview().waiting_for))
    regain(world, node)
    world.node(0).crash()
    node.submit(1)
    world.settle(within_ms=20_000)


def test_a_wiped_node_waits_for_all_it_needs_and_says_so() -> None:
    """T-50: of four, all three others must answer; an operator reads how many have."""
    world = build_world()
    node = world.node(2)
    node.wipe()
    world.node(3).crash()
    node.start()
    world.run(15_000)
    assert node.replica is not None
    assert node.replica.overview().waiting_for is not None
    assert "3 other validators" in str(node.replica.overview().waiting_for)
    assert "2 have answered" in str(node.replica.overview().waiting_for)
    assert not any(vote.subject.view > 0 for vote in node.disk.votes.values())
    node.submit(1)
    world.run(10)
    assert [refused.code for refused in node.refused] == ["feed_lost"]
    world.node(3).start()
    regain(world, node)
    world.settle(within_ms=20_000)


def test_with_fewer_than_four_validators_the_operator_decides() -> None:
    """2.9.5: nobody else can tell; the switch is the operator's word for it."""
    world = build_world(validators=2)
    node = world.node(1)
    node.lose_log()
    node.start()
    world.run(15_000)
    assert node.replica is not None
    assert "the operator" in str(node.replica.overview().waiting_for)
    node.crash()
    node.is_loss_decided = True
    node.start()
    regain(world, node)
    node.submit(1)
    world.settle(within_ms=20_000)


def test_a_second_node_may_be_repaired_once_the_first_ones_noop_is_final() -> None:
    """T-50: one after the other; the network stands as long as only one is lost at a time."""
    world = build_world()
    for number in (0, 1, 2, 3):
        node = world.node(number)
        node.wipe()
        world.run(500)
        node.start()
        regain(world, node)
        world.settle(within_ms=20_000)
        node.submit(1)
        world.settle(within_ms=20_000)


# In 22, 26 and 28 it leads view 1 of the next epoch, and proposes there before and after the loss.
@pytest.mark.parametrize("seed", [0, 1, 2, 22, 26, 28])
def test_a_node_that_voted_in_the_next_epoch_and_lost_its_disk_asks_again_there(seed: int) -> None:
    """T-50: it rejoins while its peers are still in epoch 0, and must not vote in view 1 of epoch 1 a second time."""
    world = build_world(seed=seed)
    node = world.node(2)
    proposal = propose(world.node(1), SetParameters(Parameters(block_batches_max=9)))
    assert world.run(6_000, until=lambda: all(proposal in each.disk.state.transactions for each in world.up))
    for each in world.up:
        if each.member != "firm-1":
            approve(each, proposal)

    def has_seal() -> bool:
        return bool(node.disk.finals) and node.disk.finals[-1][0].block.header.flags == FLAG_EPOCH_END

    assert world.run(20_000, until=has_seal, look_ms=1)
    # It alone executes fast: it is in the next epoch, and votes there, before the others are.
    for other in world.nodes.values():
        other.execute_ms = (0, 1) if other is node else (3_000, 3_500)
    assert world.run(3_000, until=lambda: epoch_of(node) == 1, look_ms=1)
    node.submit(1)
    assert world.run(3_000, until=lambda: any(vote.subject.epoch == 1 for vote in node.disk.votes.values()), look_ms=1)
    assert any(epoch_of(other) == 0 for other in world.up)
    before = {(vote.subject.epoch, vote.subject.view, vote.subject.kind) for vote in node.disk.votes.values()}
    node.wipe()
    node.execute_ms = (0, 3)
    node.start()
    regain(world, node, within_ms=40_000)
    for other in world.nodes.values():
        other.execute_ms = (0, 3)
    world.settle(within_ms=40_000)
    assert epoch_of(node) == 1
    again = {(vote.subject.epoch, vote.subject.view, vote.subject.kind) for vote in node.disk.votes.values()}
    assert not before & again


def test_a_rejoin_is_over_in_the_first_epoch_that_begins_after_the_noop() -> None:
    """2.9.5: from there on no old vote can exist, so nobody is asked again."""
    world = build_world()
    node = world.node(2)
    node.wipe()
    node.start()
    regain(world, node)
    world.settle(within_ms=20_000)
    asked: list[int] = []

    def watch(source: MemberId, _: MemberId, message: Message) -> bool:
        if isinstance(message, Rejoin) and source == node.member:
            asked.append(message.epoch)
        return True

    world.message_filter = watch
    carry(world, SetParameters(Parameters(block_batches_max=9)))
    carry(world, SetParameters(Parameters(block_batches_max=10)))
    world.settle(within_ms=10_000)
    assert asked == []
    node.crash()
    world.run(4_000)
    node.start()
    regain(world, node)
    world.node(3).crash()
    node.submit(1)
    world.settle(within_ms=20_000)


def test_a_log_older_than_what_others_saw_is_found_out() -> None:
    """T-22, T-24: a disk that was rolled back looks intact from inside; others show the votes that it forgot."""
    world = build_world()
    node = world.node(1)
    old = bytes(node.disk.log.data), node.disk.log.checksum
    # One more view at which it votes, and which never becomes final: the others are cut off from one another then.
    world.node(0).submit(1)
    world.settle(within_ms=10_000)
    world.cut([world.node(0).member, node.member], [world.node(2).member, world.node(3).member])
    world.node(0).submit(1)
    world.run(8_000)
    node.crash()
    node.disk.log.data, node.disk.log.checksum = bytearray(old[0]), old[1]
    node.disk.votes.clear()
    world.heal()
    world.run(200)
    node.start()
    regain(world, node)
    assert any("older than what this node has said" in why for why in node.alarms)
    world.settle(within_ms=20_000)


def test_a_loss_that_a_late_answer_shows_closes_the_guard_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """2.9.5: the answer brings a certificate too; no vote may rest on it before the node knows what it forgot."""
    world = build_world()
    node = world.node(1)
    snapshot = copy.deepcopy(node.disk)
    world.cut([world.node(0).member, node.member], [world.node(2).member, world.node(3).member])
    world.node(0).submit(1)
    world.run(8_000)
    node.crash()
    node.disk = snapshot
    world.checker.on_chain_lost(node.member)
    held: list[tuple[MemberId, Message]] = []

    def hold_back(source: MemberId, target: MemberId, message: Message) -> bool:
        if target == node.member and isinstance(message, RejoinAnswer):
            held.append((source, message))
        return isinstance(message, Rejoin)

    world.message_filter = hold_back
    node.start()
    world.run(world.timing.skip_ms + 1_000)
    assert is_regained(node), "it listens no longer, and nobody has told it anything"
    taken: list[object] = []
    step = Core.step

    def spy(core: Core, incoming: Input, now_ms: int) -> tuple[Effect, ...]:
        taken.append(incoming)
        return step(core, incoming, now_ms)

    monkeypatch.setattr(Core, "step", spy)
    source, answer = next((one, said) for one, said in held if isinstance(said, RejoinAnswer) and said.vote is not None)
    assert isinstance(answer, RejoinAnswer)
    assert answer.certificate is not None
    node.take(MessageReceived(source, answer))
    assert taken[0] == Guarded(GUARD_CLOSED)
    world.run(50)
    assert any("older than what this node has said" in why for why in node.alarms)


def test_a_liar_that_tells_of_batches_that_do_not_exist_delays_and_stops_nobody() -> None:
    """T-49: what was told is fetched from who told it; what cannot be had in a while was not there."""
    world = build_world(validators=7)
    node, liar = world.node(2), world.node(5).member

    def lie(source: MemberId, target: MemberId, message: Message) -> bool:
        if source == liar and target == node.member and isinstance(message, RejoinAnswer) and message.tips:
            tip = message.tips[0]
            bogus = type(tip)(tip.feed, type(tip.seq)(tip.seq + 40), type(tip.digest)(bytes(31) + b"x"))
            lying = RejoinAnswer(
                message.epoch, message.nonce, message.certificate, message.vote, (bogus,), (bogus,), False
            )
            world.message_filter = None
            world.send(world.node(5), target, lying)
            world.message_filter = lie
            return False
        return True

    world.message_filter = lie
    node.wipe()
    node.start()
    regain(world, node, within_ms=60_000)
    node.submit(1)
    world.settle(within_ms=20_000)


def let_two_batches_go_apart(world: World, lower_to: MemberId | None) -> Digest:
    """firm-2 seals two batches and loses its disk: firm-1 has the upper one alone, `lower_to` the lower one alone.

    Nothing becomes final until the filter goes. Return the upper one.
    """
    node, witness = world.node(2), world.node(1)
    lower = node.disk.tips[FeedId(node.member, FeedNumber(0))].seq + 1

    def keep(source: MemberId, target: MemberId, message: Message) -> bool:
        if not isinstance(message, BatchData):
            return not isinstance(message, Proposal)
        header = decode_batch_header(message.batch)
        if header.feed.member != node.member or target == node.member:
            return True
        return target == (lower_to if header.seq == lower else witness.member)

    world.message_filter = keep
    node.submit(1)
    world.run(100)
    node.submit(1)
    world.run(20)
    upper = node.disk.log.read().newest_batch
    assert upper is not None
    assert upper.seq == lower + 1
    digest = upper.digest
    assert world.run(5_000, until=lambda: digest in witness.disk.batches)
    node.wipe()
    node.start()
    return digest


def test_a_wiped_node_learns_of_its_batches_that_float_at_others_and_signs_none_of_their_seqs_again() -> None:
    """T-49: of two batches one is at one validator and the one above it at another; both are told, and fetched."""
    world = build_world()
    node = world.node(2)
    upper = let_two_batches_go_apart(world, lower_to=world.node(3).member)
    assert world.run(10_000, until=lambda: len(node.disk.own_tips) == 2), "it notes the end told, and seals the no-op"
    assert upper in node.disk.own_tips
    world.message_filter = None
    regain(world, node)
    world.settle(within_ms=20_000)
    assert not any(other.evidence for other in world.nodes.values())


def test_a_wiped_node_is_not_accused_for_what_floats_above_a_batch_that_nobody_has() -> None:
    """T-49: it cannot go on after that, so it signs the seq again; what never connects is no evidence against it."""
    world = build_world()
    node = world.node(2)
    upper = let_two_batches_go_apart(world, lower_to=None)
    assert world.run(30_000, until=lambda: len(node.disk.own_tips) == 2), "not for ever does it wait for what is lost"
    assert upper not in node.disk.own_tips
    world.message_filter = None
    regain(world, node)
    node.submit(1)
    world.settle(within_ms=20_000)
    assert not any(other.evidence for other in world.nodes.values())


def test_another_process_with_the_same_key_is_noticed() -> None:
    """2.9.5: validators that hear another boot nonce say so, and the second one does not vote."""
    world = build_world()
    node = world.node(1)
    node.crash()
    world.run(100)
    node.start()

    def still_hear(source: MemberId, target: MemberId, message: Message) -> bool:
        if target == node.member and isinstance(message, RejoinAnswer):
            world.message_filter = None
            heard = RejoinAnswer(message.epoch, message.nonce, message.certificate, None, message.tips, (), True)
            world.send(world.nodes[source], target, heard)
            world.message_filter = still_hear
            return False
        return True

    world.message_filter = still_hear
    world.run(world.timing.skip_ms + 3_000)
    assert any("another process with the key" in why for why in node.alarms)
    assert node.replica is not None
    assert "another process" in str(node.replica.overview().waiting_for)
    world.message_filter = None
    regain(world, node)
    world.settle(within_ms=20_000)


def test_an_intact_log_is_taken_up_where_it_ends() -> None:
    """T-21, T-23: all crash and start again; recorded votes are sent again, and nobody waits for long."""
    world = build_world()
    world.node(0).submit(2)
    world.run(10)
    for node in world.nodes.values():
        node.crash()
    world.run(500)
    world.start_all()
    world.settle(within_ms=15_000)
    assert all(node.disk.log.read().loss is None for node in world.up)


def is_sealed(node: SimNode) -> bool:
    """Whether the node has stored a block that ends an epoch."""
    return any(block.header.flags == FLAG_EPOCH_END for block in node.disk.blocks.values())


def test_a_node_that_takes_its_chain_anew_votes_in_no_epoch_that_it_had_served_in() -> None:
    """T-50: its log knows the newest epoch alone, and one that was cut off still waits in a view before it.

    In that view the node had signed finalize, and the epoch was over; now it comes to that view again, with nobody but
    the one that is stuck there, and everything in it asks for a nullification.
    """
    world = build_world()
    node, stuck = world.node(1), world.node(3)
    proposal = propose(world.node(0), SetParameters(Parameters(block_batches_max=9)))
    assert world.run(6_000, until=lambda: all(proposal in each.disk.state.transactions for each in world.up))
    for number in (1, 2):
        approve(world.node(number), proposal)
    assert world.run(20_000, until=lambda: is_sealed(world.node(0)) or is_sealed(node), look_ms=1)
    world.isolate(3)

    finalized: set[int] = set()

    def has_begun() -> bool:
        votes = node.disk.votes.values()
        finalized.update(vote.subject.view for vote in votes if vote.subject.kind == VoteKind.FINALIZE)
        begun = node.disk.log.read().epoch_start
        return begun is not None and begun.epoch == 1

    assert world.run(20_000, until=has_begun, look_ms=1)
    assert epoch_of(stuck) == 0
    assert stuck.replica is not None
    assert stuck.replica.overview().view in finalized
    node.take_chain_anew()
    world.heal()
    for number in (0, 2):
        world.isolate(number)
    node.start()
    world.run(world.timing.skip_ms + 15_000)
    assert node.replica is not None
    assert (epoch_of(node), node.disk.height) == (0, stuck.disk.height)
    assert "the chain to come to epoch 1" in str(node.replica.overview().waiting_for)
    world.heal()
    world.settle(within_ms=60_000)
    assert epoch_of(node) == 1
    node.submit(1)
    world.settle(within_ms=20_000)
