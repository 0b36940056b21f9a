"""Whole replicas in situations that chance seldom brings about."""

import dataclasses

import pytest

from consensus.messages import Proposal, Vote, VoteKind
from consensus.timing import Timing
from node.ledger.batch import Batch
from node.replica import inputs
from node.replica.effects import ReportEvidence
from node.replica.replica import Replica
from node.wire.ids import MemberId
from node.wire.messages import BatchData, BlockData, ChainData, Message
from tests.sim.checkers import BrokenRuleError
from tests.sim.node import SimNode
from tests.sim.world import World
from tests.support.networks import build_batch, build_key, build_transaction


def build_world(*, validators: int = 4, members: int = 0, observers: int = 0) -> World:
    """A network that has been up for a moment."""
    world = World(7, validators=validators, members=members, observers=observers)
    world.start_all()
    world.run(1_500)
    return world


def latency_of(world: World, number: int) -> int:
    """How long until one submission at this node is final and executed there."""
    node = world.node(number)
    begun_ms = world.now_ms
    (transaction,) = node.submit(1)
    assert world.run(10_000, until=lambda: transaction in node.disk.state.transactions, look_ms=1)
    return world.now_ms - begun_ms


def nullified(world: World) -> int:
    """How many views were given up."""
    return len(world.checker.votes.nullified)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_with_all_online_each_submission_is_final_at_once_and_no_view_is_given_up(size: int) -> None:
    """T-01 in whole replicas: an idle network answers in a few hops."""
    world = build_world(validators=size)
    for number in range(2 * size):
        # A hop takes up to 3 ms, each of some nine syncs up to 3 ms, a check and an execution up to 3 ms.
        assert latency_of(world, number % size) <= (10 if size == 1 else 60)
        world.run(500)
    world.settle(within_ms=2_000)
    assert nullified(world) == 0


def test_an_idle_network_makes_no_blocks_but_a_heartbeat() -> None:
    """Blocks are made for work, for an unfinished block, and once in a heartbeat."""
    world = build_world()
    latency_of(world, 0)
    height = world.node(0).disk.height
    world.run(25_000)
    assert world.node(0).disk.height == height
    world.run(20_000)
    assert height < world.node(0).disk.height <= height + 2


@pytest.mark.parametrize("victim", [0, 1, 2, 3])
def test_the_rest_goes_on_without_any_one_node_and_it_catches_up(victim: int) -> None:
    """T-02: one of four may be away; back again, a short outage is made up from certificates and bodies alone."""
    world = build_world()
    world.node(victim).crash()
    others = [number for number in range(4) if number != victim]
    for number in others:
        latency_of(world, number)
    world.node(victim).start()
    world.settle(within_ms=10_000)
    assert "chain served" not in world.checker.reached
    assert world.node(victim).disk.height >= len(others)


def test_a_node_far_behind_catches_up_by_ranges_of_the_chain() -> None:
    """T-33: what is proved by hash links and one certificate is fetched in ranges, while the others go on."""
    world = build_world()
    world.node(3).crash()
    for _ in range(120):
        world.node(0).submit(1)
        world.run(60)
    behind = world.node(0).disk.height - world.node(3).disk.height
    assert behind > 40
    world.node(3).start()
    for _ in range(20):
        world.node(1).submit(1)
        world.run(60)
    world.settle(within_ms=20_000)
    assert 1 <= world.checker.reached["chain served"] < 20


def test_a_node_that_slept_through_many_blocks_catches_up_too() -> None:
    """A partition heals: the same way, without a restart."""
    world = build_world()
    world.isolate(2)
    for _ in range(60):
        world.node(0).submit(2)
        world.run(60)
    world.heal()
    world.settle(within_ms=20_000)


def test_lies_in_answer_to_chain_sync_are_refused_and_the_truth_is_taken_from_others() -> None:
    """T-33: a forged chain does not prove itself; who sent it is named, and the next peer is asked."""
    world = build_world()
    world.may_report_faults = True
    world.node(3).crash()
    for _ in range(60):
        world.node(0).submit(1)
        world.run(60)
    lies = 0
    liars: list[MemberId] = []

    def lie(source: MemberId, target: MemberId, message: Message) -> bool:
        nonlocal lies
        if target == "firm-3" and isinstance(message, ChainData) and message.blocks and liars in ([], [source]):
            lies += 1
            liars[:] = [source]
            forged, last = (
                dataclasses.replace(block, header=dataclasses.replace(block.header, timestamp_ms=1))
                for block in (message.blocks[0], message.blocks[-1])
            )
            answer = [
                ChainData(message.first, (forged, *message.blocks[1:]), message.certificate),
                ChainData(message.first, (*message.blocks[:-1], last), None),
                ChainData(message.first, message.blocks[:-1], message.certificate),
            ][lies % 3]
            world.node(3).later((1, 2), inputs.MessageReceived(source, answer))
            return False
        return True

    world.message_filter = lie
    world.node(3).start()
    world.settle(within_ms=30_000)
    assert lies > 0
    assert [fault.member for fault in world.node(3).faults] == liars * lies


def test_a_dead_leader_costs_little_even_when_the_network_was_idle() -> None:
    """T-26: work that falls into a dead leader's view is final within two of its timeouts."""
    world = build_world()
    for victim in range(4):
        latency_of(world, (victim + 1) % 4)
        replica = world.node(0).replica
        assert replica is not None
        leader = int(replica.overview().leader.removeprefix("firm-"))
        world.node(leader).crash()
        submitter = (leader + 1) % 4
        world.node(submitter).submit(1)
        world.settle(within_ms=2 * world.timing.propose_ms + 500)
        world.start_all()
        world.settle(within_ms=10_000)


def test_what_was_accepted_survives_the_crash_of_its_node_at_that_very_moment() -> None:
    """T-49: accepted means durable on this node's disk; once it is back, it becomes final."""
    for effects in range(1, 9):
        world = build_world()
        node = world.node(1)
        node.effects_left = effects
        node.submit(1)
        world.run(50)
        node.crash()
        world.run(3_000)
        node.start()
        world.run(2_000)
        # The feed goes on without a gap and without a second batch of one seq, whatever the crash left behind.
        node.submit(1)
        world.settle(within_ms=10_000)
        assert len(world.checker.chain.accepted) >= 1


@pytest.mark.parametrize("number", [0, 1])
def test_a_crash_after_any_effect_costs_nothing_but_time(number: int) -> None:
    """T-20 in whole replicas: author or other, a node dies after each number of effects around one submission."""
    effects = 0
    while True:
        world = build_world()
        victim = world.node(number)
        victim.effects_left = effects
        world.node(0).submit(1)
        world.run(300)
        has_crashed = not victim.is_up
        victim.effects_left = None
        victim.start()
        world.settle(within_ms=10_000)
        if not has_crashed:
            break
        effects += 1
    # Batch, votes of all kinds, certificates, block: the run is long enough to mean something.
    assert effects > 12


def test_all_nodes_crash_again_and_again_and_what_was_accepted_becomes_final() -> None:
    """T-21: kill all, repeatedly, under load."""
    world = build_world()
    for _ in range(8):
        for node in world.nodes.values():
            node.submit(2)
        world.run(world.random.randrange(60))
        for node in world.nodes.values():
            node.crash()
        world.run(100)
        world.start_all()
        world.run(world.random.randrange(1_500))
    world.settle(within_ms=30_000)
    assert len(world.checker.chain.accepted) > 8


def test_members_without_a_vote_have_their_feeds_cut_and_observers_follow() -> None:
    """Who does not vote submits, or only follows; nobody waits for it."""
    world = build_world(validators=4, members=1, observers=1)
    assert latency_of(world, 4) <= 70
    world.node(5).submit(1)
    world.run(20)
    assert [refused.code for refused in world.node(5).refused] == ["observer"]
    world.node(5).crash()
    for _ in range(50):
        world.node(4).submit(1)
        world.run(60)
    world.node(5).start()
    world.settle(within_ms=20_000)
    assert world.node(5).disk.height > 20


def test_an_observer_that_was_cut_off_is_told_what_is_final() -> None:
    """The core answers validators alone; the replica helps who only follows, by its status."""
    world = build_world(validators=4, observers=1)
    world.isolate(4)
    for number in range(4):
        latency_of(world, number)
    world.heal()
    world.settle(within_ms=10_000)


def fork(world: World, batch: Batch) -> None:
    """Hand a batch to all but its author, as if the author had sent it."""
    for member, node in world.nodes.items():
        if member != batch.header.feed.member:
            node.later((1, 3), inputs.MessageReceived(batch.header.feed.member, BatchData(batch.encoded)))


def test_a_member_that_forks_its_feed_is_reported_and_stops_nobody_else() -> None:
    """T-46: both batches are kept, the pair is evidence, and the feeds of others go on."""
    world = build_world(validators=4, members=1)
    author = world.node(4)
    author.crash()
    world.checker.byzantine[author.member] = None
    batches = [
        build_batch(world.genesis, build_transaction(world.genesis, member="firm-4", nonce=nonce), member="firm-4")
        for nonce in (1, 2)
    ]
    sender = MemberId("firm-4")
    for place, batch in enumerate(batches):
        for number in range(2 * place, 2 * place + 2):
            world.node(number).later((1, 3), inputs.MessageReceived(sender, BatchData(batch.encoded)))
    world.run(5_000)
    for number in range(4):
        latency_of(world, number)
    world.settle(within_ms=10_000)
    evidence = [report for node in world.up for report in node.evidence]
    assert evidence
    assert all(report.member == "firm-4" and report.first != report.second for report in evidence)
    assert all(isinstance(report, ReportEvidence) for report in evidence)


def test_an_invalid_batch_makes_its_feed_stand_still_and_no_other() -> None:
    """T-46: what breaks the protocol is never acknowledged, so it enters no cut."""
    world = build_world(validators=4, members=1)
    world.checks_batches = True
    world.may_report_faults = True
    world.node(4).crash()
    actor = build_key("actor-4")
    signed = build_transaction(world.genesis, member="firm-4", nonce=1, actor=actor)
    forged = dataclasses.replace(signed, signature=bytes(64))
    fork(world, build_batch(world.genesis, forged, member="firm-4"))
    world.run(200)
    for number in range(4):
        assert latency_of(world, number) <= 120
    world.settle(within_ms=10_000)
    for node in world.up:
        assert any("stands still" in alarm for alarm in node.alarms)
        assert {fault.member for fault in node.faults} == {"firm-4"}
        assert all(tip.feed.member != "firm-4" for tip in node.disk.tips.values())


def test_a_batch_known_to_its_author_alone_is_fetched_and_becomes_final() -> None:
    """T-27: pushes are lost; the have-vector names the batch, and others fetch it."""
    world = build_world()
    lost = 0

    def lose(source: MemberId, target: MemberId, message: Message) -> bool:
        nonlocal lost
        if isinstance(message, BatchData) and lost < 3:
            lost += 1
            return False
        return True

    world.message_filter = lose
    latency_of(world, 0)
    world.settle(within_ms=5_000)
    assert lost == 3


@pytest.mark.parametrize("submissions", [300, 900])
def test_a_long_stretch_of_batches_known_to_their_author_alone_becomes_final(submissions: int) -> None:
    """Cut off, a member goes on accepting: more batches than others would fetch on the word of a have-vector."""
    world = build_world()
    world.isolate(3)
    for _ in range(submissions):
        world.node(3).submit(1)
        world.run(30)
    replica = world.node(3).replica
    assert replica is not None
    assert replica.overview().uncut_batches == submissions
    world.heal()
    world.settle(within_ms=20_000)


def test_what_an_author_sends_again_is_sent_again_if_it_is_lost() -> None:
    """The author repeats what nobody has come to hold."""
    world = build_world()
    world.isolate(3)
    for _ in range(400):
        world.node(3).submit(1)
        world.run(30)
    lost = 0

    def lose(source: MemberId, target: MemberId, message: Message) -> bool:
        nonlocal lost
        is_lost = isinstance(message, BatchData) and lost < 200
        lost += is_lost
        return not is_lost

    world.message_filter = lose
    world.heal()
    world.settle(within_ms=30_000)
    assert lost == 200


def test_lost_votes_and_blocks_are_repaired_by_status() -> None:
    """T-28: whatever was lost once comes with a status or is asked for."""
    world = build_world()
    chance = world.random

    def lose(source: MemberId, target: MemberId, message: Message) -> bool:
        return not isinstance(message, Vote | Proposal | BlockData) or chance.randrange(2) == 0

    world.message_filter = lose
    for number in range(4):
        world.node(number).submit(1)
        world.run(1_000)
    world.message_filter = None
    world.settle(within_ms=20_000)


def test_slow_execution_at_all_empties_blocks_and_forbids_none() -> None:
    """T-44: more than sixteen blocks above what is executed, a block covers nothing; then data flows again."""
    world = build_world()
    for node in world.nodes.values():
        node.execute_ms = (2_000, 2_000)
    for _ in range(200):
        world.node(0).submit(1)
        world.run(50)
    headers = [world.checker.chain.blocks[height].block.header for height in sorted(world.checker.chain.blocks)]
    lagging = [header for header in headers if header.height > header.executed_height + 16]
    assert all(header.batch_count == 0 for header in lagging)
    assert max(header.height - header.executed_height for header in headers) >= 16
    for node in world.nodes.values():
        node.execute_ms = (0, 1)
    world.settle(within_ms=60_000)


def test_a_node_whose_execution_differs_halts_and_the_others_go_on() -> None:
    """T-42: a certificate certifies a state too, so divergence is never silent."""
    world = build_world()
    latency_of(world, 0)
    world.settle(within_ms=5_000)
    halted: list[MemberId] = []

    def on_halt(node: SimNode, why: str) -> None:
        halted.append(node.member)
        node.crash()

    world.on_halt = on_halt  # type: ignore[method-assign] # a halt is what this world is about
    odd = world.node(2)
    odd.disk.state.digest = build_batch(world.genesis, build_transaction(world.genesis)).digest
    world.checker.chain.distrusted = odd.member
    for _ in range(6):
        for number in (0, 1, 3):
            world.node(number).submit(1)
        world.run(400)
    assert halted == [odd.member]
    world.settle(within_ms=10_000)


@pytest.mark.parametrize("pause_ms", [3_000, 5_000, 60_000])
def test_a_paused_process_takes_what_it_has_received_before_it_times_out(pause_ms: int) -> None:
    """T-39: what lies in the socket buffer comes before what is due, so that it gives up no view that is over."""
    world = build_world()
    for number in range(4):
        sleeper = world.node(number)
        sleeper.pause(pause_ms)
        height = sleeper.disk.height
        for _ in range(3):
            for other in range(4):
                if other != number:
                    world.node(other).submit(1)
            world.run(pause_ms // 4)
        before = {vote.subject.view for vote in sleeper.disk.votes.values() if vote.subject.kind == VoteKind.NULLIFY}
        reached = max(node.final_view for node in world.up)
        world.run(pause_ms // 4 + 1_000)
        assert sleeper.disk.height > height
        after = {vote.subject.view for vote in sleeper.disk.votes.values() if vote.subject.kind == VoteKind.NULLIFY}
        assert not {view for view in after - before if view <= reached}
        world.settle(within_ms=10_000)
    # Only the views that a sleeper leads are given up, and none twice: no storm.
    assert nullified(world) <= 4 * (2 + pause_ms // world.timing.heartbeat_ms)


def test_nodes_that_are_restarted_one_after_the_other_stop_nobody() -> None:
    """T-21: a rolling restart, twice round: each is back, and has listened, before the next one goes."""
    world = build_world()
    for turn in range(8):
        node = world.node(turn % 4)
        node.crash()
        for other in range(4):
            if other != turn % 4:
                world.node(other).submit(1)
        world.run(700)
        node.start()
        world.settle(within_ms=10_000)
        assert latency_of(world, turn % 4) <= 3_000


def test_minutes_without_a_quorum_end_soon_after_it_is_back() -> None:
    """T-11: waits are capped, so that they do not outlive their cause."""
    world = build_world()
    world.cut([MemberId("firm-0"), MemberId("firm-1")], [MemberId("firm-2"), MemberId("firm-3")])
    for _ in range(60):
        world.node(0).submit(1)
        world.node(3).submit(1)
        world.run(5_000)
    world.heal()
    assert world.settle(within_ms=60_000) <= 2 * 8 * world.timing.advance_ms


def test_one_validator_alone_seals_cuts_and_finalizes_within_one_sync() -> None:
    """n = 1: useful on day one. All of it happens in one step."""
    world = build_world(validators=1)
    node = world.node(0)
    node.sync_ms = node.execute_ms = (0, 0)
    node.submit(5)
    world.run(1)
    assert node.disk.height == 1
    assert node.disk.state.height == 1
    node.crash()
    node.start()
    node.submit(1)
    world.settle(within_ms=5_000)


def test_a_halted_replica_says_no_more() -> None:
    """After Halt there are no effects and no deadline."""
    world = build_world()
    replica = world.node(0).replica
    assert isinstance(replica, Replica)
    replica._halt("for the test")
    assert replica.step(inputs.TimerDue(), world.now_ms, world.node(0).wall_ms) == ()
    assert replica.deadline_ms is None
    assert replica.is_halted


def test_the_checkers_notice_what_they_are_there_for() -> None:
    """A checker that cannot fail proves nothing: a second vote, a vote before it is durable, a lost transaction."""
    world = build_world()
    latency_of(world, 0)
    node = world.node(0)
    (key, vote), *_ = node.disk.votes.items()
    with pytest.raises(BrokenRuleError, match="before it is durable"):
        world.checker.on_send(node.member, dataclasses.replace(vote, signature=bytes(64)), node.disk)
    other = dataclasses.replace(vote, subject=dataclasses.replace(vote.subject, digest=world.genesis.state_digest))
    with pytest.raises(BrokenRuleError, match="twice"):
        world.checker.on_logged(node.member, other, final_view=0)
    world.checker.chain.accepted[world.genesis.state_digest] = node.member
    assert world.checker.lacking(node.disk) == 1
    with pytest.raises(BrokenRuleError, match="no progress"):
        world.settle(within_ms=100)
    assert key[1] in (VoteKind.NOTARIZE, VoteKind.FINALIZE)


def test_wide_area_timing_works_over_slow_links() -> None:
    """The same machine with other durations."""
    world = World(3, timing=Timing(propose_ms=2_000, advance_ms=3_000, retry_ms=2_000, skip_ms=8_000, block_ms=250))
    world.weather.delay_ms = (40, 120)
    world.start_all()
    world.run(2_000)
    for number in range(4):
        assert latency_of(world, number) <= 1_200
    world.settle(within_ms=10_000)
