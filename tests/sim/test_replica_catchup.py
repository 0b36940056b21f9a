"""Whole replicas that were away, or come new: they follow the chain over any number of epochs, whoever lies to them."""

import dataclasses

import pytest

from consensus.messages import FLAG_EPOCH_END, Certificate, VoteKind
from node.ledger.changes import AddMember, SetParameters, sign_rotation
from node.ledger.roster import Parameters, Role
from node.replica import chain_sync, serving
from node.wire.ids import FeedNumber, MemberId
from node.wire.messages import BatchData, BlockData, ChainData, Message
from tests.sim import disk
from tests.sim.governing import approve, build_member, carry, epoch_of, propose, reach
from tests.sim.node import SimNode
from tests.sim.world import World
from tests.support.networks import build_key


def build_world(*, validators: int = 4, observers: int = 0, seed: int = 7, has_real_keys: bool = False) -> World:
    """A network that has been up for a moment."""
    world = World(seed, validators=validators, observers=observers, has_real_keys=has_real_keys)
    world.start_all()
    world.run(1_500)
    return world


def advance(world: World, epochs: int, *, by: tuple[int, int, int] = (0, 1, 2), blocks: int = 5) -> None:
    """Have three validators end so many epochs, with some blocks in each."""
    nodes = [world.node(number) for number in by]
    for _ in range(epochs):
        following = epoch_of(nodes[0]) + 1
        proposal = propose(nodes[0], SetParameters(Parameters(block_batches_max=100 + following)))
        world.run(1_000)
        for node in nodes[1:]:
            approve(node, proposal)
        reach(world, nodes, following)
        for _ in range(blocks):
            nodes[following % 3].submit(1)
            world.run(150)


def test_a_firm_that_joins_late_syncs_over_many_ends_of_epochs() -> None:
    """T-52, T-33: each range ends with its epoch, whose last block names the validators of the next."""
    world = build_world()
    carry(world, AddMember(build_member(4, Role.OBSERVER)))
    advance(world, 6)
    newcomer = world.add_node(MemberId("firm-4"))
    newcomer.start()
    reach(world, [newcomer], 7, within_ms=60_000)
    world.settle(within_ms=20_000)
    served = [
        header for header in (final[0].block.header for final in newcomer.disk.finals) if header.flags == FLAG_EPOCH_END
    ]
    assert len(served) == 7


def test_liars_and_the_silent_among_those_who_serve_a_newcomer_delay_it_only() -> None:
    """T-33: a chain that does not prove itself is its sender's fault; who says nothing is asked no longer."""
    world = build_world(observers=1)
    world.may_report_faults = True
    newcomer = world.node(4)
    newcomer.crash()
    advance(world, 2, blocks=20)

    def spoil(source: MemberId, target: MemberId, message: Message) -> bool:
        if target != newcomer.member:
            return True
        if source == "firm-0":
            return not isinstance(message, ChainData | BlockData | BatchData)
        if source == "firm-1" and isinstance(message, ChainData) and message.blocks:
            header = dataclasses.replace(message.blocks[-1].header, timestamp_ms=7)
            forged = dataclasses.replace(message.blocks[-1], header=header)
            world.message_filter = None
            world.send(
                world.node(1), target, ChainData(message.first, (*message.blocks[:-1], forged), message.certificate)
            )
            world.message_filter = spoil
            return False
        return True

    world.message_filter = spoil
    newcomer.start()
    reach(world, [newcomer], 2, within_ms=60_000)
    world.settle(within_ms=30_000)
    assert {fault.member for fault in newcomer.faults} <= {"firm-1"}


def test_when_none_who_could_serve_answers_the_newcomer_tries_on_until_one_does() -> None:
    """T-35: all of them fail for a while, then return; nothing is stuck."""
    world = build_world(observers=1)
    newcomer = world.node(4)
    newcomer.crash()
    advance(world, 2)
    world.message_filter = lambda _source, target, message: (
        target != newcomer.member or not isinstance(message, ChainData | BlockData)
    )
    newcomer.start()
    world.run(60_000)
    assert newcomer.disk.height == 0
    world.message_filter = None
    reach(world, [newcomer], 2, within_ms=30_000)
    world.settle(within_ms=20_000)


def test_a_node_that_was_away_while_all_others_changed_their_keys_catches_up() -> None:
    """T-52: each end of an epoch is certified by keys that it knows by then, under real signatures."""
    world = build_world(has_real_keys=True)
    world.node(3).submit(1)
    world.settle(within_ms=10_000)
    world.isolate(3)
    away = world.node(3)
    for number in (0, 1, 2):
        node = world.node(number)
        key = build_key(f"new {number}")
        proposal = propose(
            world.node((number + 1) % 3), sign_rotation(world.genesis.network_id, node.member, FeedNumber(1), key)
        )
        world.run(1_000)
        for other in (number, (number + 2) % 3):
            approve(world.node(other), proposal)
        reach(world, [world.node(0), world.node(1), world.node(2)], number + 1)
        node.take_up(key)
        world.run(9_000)
        node.submit(1)
        world.run(1_000)
    assert epoch_of(away) == 0
    away.crash()
    away.start()
    world.heal()
    reach(world, [away], 3, within_ms=60_000)
    away.submit(1)
    world.settle(within_ms=20_000)


def test_a_chain_certified_by_keys_that_are_no_validators_any_more_is_refused() -> None:
    """T-52: who was removed, or changed its key, certifies nothing in the epochs after."""
    world = build_world(observers=1, has_real_keys=True)
    world.may_report_faults = True
    newcomer = world.node(4)
    newcomer.crash()
    key = build_key("new 0")
    carry(world, sign_rotation(world.genesis.network_id, MemberId("firm-0"), FeedNumber(1), key), by=1)
    world.node(0).take_up(key)
    for _ in range(6):
        world.node(1).submit(1)
        world.run(200)
    world.settle(within_ms=20_000)
    old_key = build_key("firm-0")

    def forge(source: MemberId, target: MemberId, message: Message) -> bool:
        if target != newcomer.member or source == "firm-2" or not isinstance(message, ChainData):
            return True
        certificate = message.certificate
        if certificate is None or certificate.subject.epoch == 0:
            return True
        signatures = tuple((signer, old_key.sign(b"x")) for signer, _ in certificate.signatures)
        forged = Certificate(certificate.subject, signatures)
        world.message_filter = None
        world.send(world.nodes[source], target, ChainData(message.first, message.blocks, forged))
        world.message_filter = forge
        return False

    world.message_filter = forge
    newcomer.start()
    reach(world, [newcomer], 1, within_ms=60_000)
    world.settle(within_ms=60_000)


def test_a_newcomer_crosses_more_blocks_than_an_answer_holds_under_one_certificate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """T-33: no finalize vote arrived for long, then one certificate made all of it final, and none holds less."""
    for module in (chain_sync, disk, serving):
        monkeypatch.setattr(module, "CHAIN_BLOCKS_MAX", 5)
    world = build_world(observers=1)
    newcomer = world.node(4)
    newcomer.crash()
    world.message_filter = lambda _source, _target, message: (
        getattr(getattr(message, "subject", None), "kind", None) != VoteKind.FINALIZE
    )
    for number in range(40):
        world.node(number % 4).submit(1)
        world.run(200)
    world.message_filter = None
    world.settle(within_ms=20_000)
    certified = [certificate is not None for _, certificate in world.node(0).disk.finals]
    bare = "".join("x" if is_certified else "." for is_certified in certified).split("x")
    assert max(map(len, bare)) > 15, certified
    world.node(0).crash()
    newcomer.start()
    world.settle(within_ms=30_000)
    assert newcomer.faults == []


def test_the_last_block_of_an_epoch_is_proposed_again_until_it_is_final() -> None:
    """T-31: its finalize votes are lost for many views; it becomes final by being proposed again, and is the last."""
    world = build_world()

    def loses_finalize(_source: MemberId, _target: MemberId, message: Message) -> bool:
        subject = getattr(message, "subject", None)
        return getattr(subject, "kind", None) != VoteKind.FINALIZE

    proposal = propose(world.node(0), SetParameters(Parameters(block_batches_max=9)))
    assert world.run(10_000, until=lambda: all(proposal in node.disk.state.transactions for node in world.up))
    for node in world.up[1:]:
        approve(node, proposal)

    assert world.run(10_000, until=lambda: any(is_sealed(node) for node in world.up), look_ms=1)
    world.message_filter = loses_finalize
    world.run(25_000)
    assert all(epoch_of(node) == 0 for node in world.up)
    world.message_filter = None
    reach(world, world.up, 1)
    assert world.checker.reached.get("seal proposed again", 0) > 0
    for node in world.up:
        node.submit(1)
    world.settle(within_ms=10_000)


def is_sealed(node: SimNode) -> bool:
    """Whether the node has stored a block that ends an epoch."""
    return any(block.header.flags == FLAG_EPOCH_END for block in node.disk.blocks.values())


@pytest.mark.parametrize("effects", [1, 2, 3, 5, 8, 13, 21, 34])
def test_a_crash_anywhere_inside_the_switch_is_taken_up_where_it_happened(effects: int) -> None:
    """T-32: between finality, execution, record and first vote: no epoch is skipped, and none begun twice."""
    world = build_world(seed=effects)
    node = world.node(1)
    proposal = propose(world.node(0), SetParameters(Parameters(block_batches_max=9)))
    assert world.run(10_000, until=lambda: all(proposal in each.disk.state.transactions for each in world.up))
    for each in world.up[1:]:
        approve(each, proposal)
    assert world.run(10_000, until=lambda: is_sealed(node), look_ms=1)
    node.effects_left = effects
    world.run(1_500)
    node.crash()
    world.run(500)
    node.start()
    reach(world, world.up, 1)
    node.submit(1)
    world.settle(within_ms=20_000)
