"""Whole replicas beside slow machines, twins and peers that will not serve. The ids are those of the scenario list."""

import pytest

from consensus.types import ZERO_DIGEST
from node.ledger.batch import Batch
from node.replica import inputs
from node.wire.ids import MemberId
from node.wire.messages import BatchData, BlockData, ChainData, Message
from tests.sim.actors import ForkedFeed, Twins
from tests.sim.test_replica_directed import build_world, latency_of, nullified
from tests.sim.world import World
from tests.support.networks import build_batch, build_transaction


@pytest.mark.parametrize(("validators", "slow"), [(4, (3,)), (7, (5, 6))])
def test_f_nodes_that_check_and_execute_for_ten_seconds_hold_up_no_other(
    validators: int, slow: tuple[int, ...]
) -> None:
    """T-04: what they have not checked they do not vote for, and a quorum stands without them."""
    world = build_world(validators=validators)
    world.checks_batches = True
    for number in slow:
        world.node(number).check_ms = world.node(number).execute_ms = (10_000, 10_000)
    taken_ms = []
    for turn in range(8):
        taken_ms.append(latency_of(world, turn % (validators - len(slow))))
        world.run(300)
    # The views that they lead cost a timeout until they are known for slow; all others go as fast as ever.
    assert sorted(taken_ms)[len(taken_ms) // 2] <= 100
    assert max(taken_ms) <= 3_000
    for number in slow:
        world.node(number).check_ms = world.node(number).execute_ms = (0, 3)
    world.settle(within_ms=60_000)


@pytest.mark.parametrize("victim", [0, 1, 2, 3])
def test_one_slow_disk_wherever_it_is_costs_little_and_nothing_is_given_up(victim: int) -> None:
    """T-05: whichever view its node leads, its syncs are waited for there and nowhere else."""
    world = build_world()
    world.node(victim).sync_ms = (150, 250)
    taken_ms = []
    for turn in range(8):
        taken_ms.append(latency_of(world, next(number for number in (turn % 4, 0, 1) if number != victim)))
        world.run(500)
    assert sorted(taken_ms)[len(taken_ms) // 2] <= 100
    # The slow node's own block waits for its batch, its block and its vote to be on its disk.
    assert max(taken_ms) <= 1_000
    world.settle(within_ms=10_000)
    assert nullified(world) == 0


@pytest.mark.parametrize("is_sustained", [True, False], ids=["sustained", "sampled"])
@pytest.mark.parametrize(("validators", "twins"), [(4, 1), (7, 2)])
def test_two_processes_with_one_key_fork_nothing(validators: int, twins: int, *, is_sustained: bool) -> None:
    """T-19: each half of the network talks to another of the two, for good or changing from moment to moment.

    Each process is honest by itself and has its own disk; together they vote and seal twice.
    """
    world = World(11, validators=validators)
    doubled = [MemberId(f"firm-{number}") for number in range(twins)]
    for member in doubled:
        world.corrupt(member, Twins())
        world.add_twin(member)
        world.share_twins(member)
    world.start_all()
    world.run(1_500)
    for turn in range(20):
        world.node(twins + turn % (validators - twins)).submit(1)
        for member in doubled:
            if turn % 3 == 0:
                world.nodes[member].submit(1)
                world.twins[member].submit(1)
            if not is_sustained:
                world.share_twins(member)
        world.run(400)
    world.settle(within_ms=60_000)
    assert world.checker.votes.votes, "the checkers have watched"


def test_when_every_peer_fails_to_serve_a_late_node_asks_on_until_one_does() -> None:
    """T-35: nobody answers what chain sync asks for; when they answer again, it goes on where it was."""
    world = build_world()
    world.node(3).crash()
    for _ in range(240):
        world.node(0).submit(1)
        world.run(60)
    assert world.node(0).disk.height > 60
    behind = world.node(3).member

    def starve(source: MemberId, target: MemberId, message: Message) -> bool:
        return target != behind or not isinstance(message, ChainData | BlockData | BatchData)

    world.message_filter = starve
    world.node(3).start()
    height = world.node(3).disk.height
    world.run(60_000)
    assert world.node(3).disk.height == height
    world.check_bounds()
    # The others were not held up by its asking, and nobody was blamed for silence.
    assert latency_of(world, 0) <= 3_000
    world.message_filter = None
    world.settle(within_ms=20_000)
    assert world.node(3).disk.height > height + 60
    assert world.checker.reached["chain served"]


def test_a_node_with_room_for_one_message_a_time_loses_no_obligation() -> None:
    """T-36: what does not fit is dropped, as a full queue does; statuses bring back what was dropped."""
    world = build_world()
    cramped = world.node(2).member
    last_ms: dict[MemberId, int] = {}
    dropped = 0

    def squeeze(source: MemberId, target: MemberId, message: Message) -> bool:
        nonlocal dropped
        if target != cramped or last_ms.get(target) != world.now_ms:
            last_ms[target] = world.now_ms
            return True
        dropped += 1
        return False

    world.message_filter = squeeze
    for turn in range(30):
        for number in range(4):
            world.node(number).submit(3)
        world.run(50 + turn)
    world.settle(within_ms=60_000)
    assert dropped > 100
    assert world.node(2).faults == []


@pytest.mark.parametrize("branches", [2, 3, 10])
def test_a_member_that_forks_its_feed_into_many_branches_holds_up_no_other(branches: int) -> None:
    """T-46: each branch at other validators; at most two of a seq are kept, and what lies is proved by a pair."""
    world = build_world(members=1)
    forker = world.node(4)
    world.corrupt(forker.member, ForkedFeed(branches=branches))
    for turn in range(24):
        forker.submit(1)
        if turn % 3 == 0:
            assert latency_of(world, turn % 4) <= 3_000
        world.run(100)
    world.settle(within_ms=30_000)
    found = [report for node in world.up for report in node.evidence]
    assert found
    assert {report.member for report in found} == {forker.member}


def show(world: World, batch: Batch, *numbers: int) -> None:
    """Hand a batch to these nodes, as if its author had sent it."""
    for number in numbers:
        world.node(number).later((1, 3), inputs.MessageReceived(batch.header.feed.member, BatchData(batch.encoded)))


def is_final_everywhere(world: World, batch: Batch) -> bool:
    """Whether the batch is covered by a final block at all correct nodes."""
    return all(
        any(tip.digest == batch.digest for final, _ in node.disk.finals for tip in final.batches) for node in world.up
    )


def test_what_f_plus_one_validators_hold_is_final_and_a_rival_below_the_final_cut_changes_nothing() -> None:
    """T-46: the author shows a batch to f + 1 alone, then another of a seq that is final to the rest, and goes on."""
    world = build_world(members=1)
    author = world.node(4)
    author.crash()
    world.checker.byzantine[author.member] = None
    previous = ZERO_DIGEST
    for seq in range(3):
        batch, rival = (
            build_batch(
                world.genesis,
                build_transaction(world.genesis, member=author.member, nonce=world.next_number()),
                member=author.member,
                seq=seq,
                previous=previous,
            )
            for _ in range(2)
        )
        show(world, batch, 0, 1)
        assert world.run(10_000, until=lambda shown=batch: is_final_everywhere(world, shown)), seq  # type: ignore[misc] # the default binds the loop's batch
        show(world, rival, 2, 3)
        world.run(500)
        previous = batch.digest
        assert latency_of(world, seq) <= 3_000
    world.settle(within_ms=10_000)
    assert not any(each.faults for each in world.up)
