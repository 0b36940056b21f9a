"""Directed schedules at the level of cores: random runs rarely meet them. The ids are those of the scenario list."""

import dataclasses
from collections.abc import Callable

import pytest

from consensus.elector import epoch_shift, leader_of
from consensus.messages import (
    Block,
    Certificate,
    CertificateRequest,
    CoreMessage,
    Proposal,
    Status,
    Subject,
    Vote,
    VoteKind,
)
from consensus.scheme import vote_signing_bytes
from consensus.timing import Timing
from consensus.types import Epoch, Height, ValidatorIndex, View
from tests.sim.core_network import CoreNetwork
from tests.sim.core_node import SimNode
from tests.sim.core_state import NETWORK_ID, ChainState
from tests.support.fake_keys import fake_signature

Filter = Callable[[int, int, CoreMessage], bool]


def leader(network: CoreNetwork, view: int) -> int:
    return leader_of(View(view), validator_count=network.size, shift=epoch_shift(NETWORK_ID))


def nullified_views(network: CoreNetwork) -> set[int]:
    kinds = network.checker.kinds
    return {view for view in kinds if isinstance(view, int) and int(VoteKind.NULLIFY) in kinds[view]}


def others(network: CoreNetwork, *without: int) -> tuple[int, ...]:
    return tuple(index for index in range(network.size) if index not in without)


def is_about(message: CoreMessage, kind: VoteKind, view: int) -> bool:
    return isinstance(message, Vote | Certificate) and message.subject.kind == kind and message.subject.view == view


def carries(message: CoreMessage, kind: VoteKind, view: int) -> bool:
    """Whether the message is, or brings along, a vote or certificate of that kind and view."""
    if isinstance(message, Proposal):
        if kind == VoteKind.NOTARIZE and message.view == view:
            return True
        inside = [message.parent_certificate, message.executed_certificate, *message.nullifications]
        return any(found is not None and is_about(found, kind, view) for found in inside)
    return is_about(message, kind, view)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 10, 20, 50])
def test_all_online_finalize_in_three_hops_without_a_nullification(size: int) -> None:
    """T-01: proposal, notarize, finalize: three hops of at most 3 ms, and nothing is given up."""
    network = CoreNetwork(size)
    network.start()
    for item in range(4):
        network.submit(item)
        taken_ms = network.run_until(lambda item=item: network.is_final(item), within_ms=1_000)  # type: ignore[misc] # the default binds the loop's item
        assert taken_ms <= 3 * 3 + 2
        network.run_for(200)
    assert not nullified_views(network)
    assert all(not node.faults and not node.evidence for node in network.nodes)


def test_an_idle_network_makes_nothing_but_a_heartbeat() -> None:
    """Idle views have no running timers: in a minute one block at most per heartbeat, and no nullification."""
    network = CoreNetwork(4)
    network.start()
    network.run_for(65_000)
    assert [len(node.disk.chain) for node in network.nodes] == [2, 2, 2, 2]
    assert not nullified_views(network)


def test_a_lone_idle_node_makes_heartbeats_only() -> None:
    """With n = 1 an own vote is a quorum: everything flows within one step, and the node still rests."""
    network = CoreNetwork(1)
    network.start()
    network.run_for(65_000)
    assert len(network.nodes[0].disk.chain) == 2
    network.submit(5)
    assert network.run_until(lambda: network.is_final(5), within_ms=1_000) <= 2


@pytest.mark.parametrize(("size", "dead"), [(4, 1), (7, 2), (10, 3)])
def test_f_nodes_offline_stop_nothing(size: int, dead: int) -> None:
    """T-02: with f nodes dead all items become final; their views are nullified."""
    network = CoreNetwork(size)
    alive = tuple(range(size - dead))
    network.start(*alive)
    for item in range(6):
        network.submit(item)
        network.run_until(lambda item=item: network.is_final(item), within_ms=20_000)  # type: ignore[misc] # as above


def test_more_than_f_nodes_offline_halt_without_a_fork_and_resume() -> None:
    """T-02: no quorum, no progress; one node more, and the network goes on."""
    network = CoreNetwork(4)
    network.start(0, 1)
    network.submit(1)
    network.run_for(60_000)
    assert all(not node.disk.chain for node in network.nodes)
    network.start(2)
    network.run_until(lambda: network.is_final(1, at=(0, 1, 2)), within_ms=20_000)


def test_a_dead_leader_costs_one_timeout_and_then_one_hop() -> None:
    """T-03: first a timeout; once silent for the inactivity limit, its views are skipped at once."""
    network = CoreNetwork(4)
    network.start()
    network.run_for(100)
    dead = leader(network, network.nodes[0].core.view if network.nodes[0].core else 1)
    network.nodes[dead].crash()
    network.submit(1)
    first_ms = network.run_until(lambda: network.is_final(1), within_ms=5_000)
    assert 900 <= first_ms <= 2_500
    network.run_for(8_000)
    item = 1
    for _ in range(8):
        item += 1
        network.submit(item)
        taken_ms = network.run_until(lambda item=item: network.is_final(item), within_ms=5_000)  # type: ignore[misc] # as above
        assert taken_ms <= 100
        network.run_for(100)


def test_a_node_that_nullified_takes_the_notarization_and_never_finalizes_that_view() -> None:
    """T-07: it times out, then gets the notarization, then the body; it moves on and says nothing final there."""
    network = CoreNetwork(4)
    late = (leader(network, 1) + 1) % 4
    network.filter = lambda source, target, message: target != late
    network.start()
    network.submit(1)
    # The others finish without it; it has work, waits for its leader and gives up.
    network.nodes[late].learn([1])
    network.run_for(3_000)
    assert (late, int(VoteKind.NULLIFY), 1) in network.checker.votes
    network.heal()
    network.run_until(lambda: network.is_final(1), within_ms=10_000)
    assert (late, int(VoteKind.FINALIZE), 1) not in network.checker.votes


def test_rotation_wins_against_the_isolation_of_every_first_leader() -> None:
    """T-10: whoever leads is cut off for its first views; the network still goes on."""
    network = CoreNetwork(4)

    def keep(source: int, target: int, message: CoreMessage) -> bool:
        core = network.nodes[target].core
        return core is None or core.view % 2 == 0 or source != leader(network, core.view)

    network.filter = keep
    network.start()
    for item in range(5):
        network.submit(item)
        network.run_until(lambda item=item: network.is_final(item), within_ms=60_000)  # type: ignore[misc] # as above


def split_view_one(network: CoreNetwork, holder: int) -> None:
    """Let only `holder` see view 1 notarized, while all others nullify it; nobody finalizes it."""
    rest = others(network, holder)

    def keep(source: int, target: int, message: CoreMessage) -> bool:
        if carries(message, VoteKind.NOTARIZE, 1) and not isinstance(message, Proposal):
            return target == holder
        if isinstance(message, Proposal) and message.view == 1:
            return True
        if carries(message, VoteKind.NULLIFY, 1):
            return target != holder
        # Nothing beyond view 1 yet: whoever has left it waits.
        return False

    network.filter = keep
    network.start()
    network.submit(1)
    network.run_until(
        lambda: all(node.core is not None and node.core.view == 2 for node in network.nodes), within_ms=5_000
    )
    cores = [node.core for node in network.nodes]
    assert cores[holder] is not None
    assert all((index, int(VoteKind.NULLIFY), 1) in network.checker.votes for index in rest)
    assert (holder, int(VoteKind.NULLIFY), 1) not in network.checker.votes


@pytest.mark.parametrize("offset", [1, 2, 3])
def test_notarization_here_and_nullification_there_lock_nobody_up(offset: int) -> None:
    """T-13: one node left view 1 by its notarization, the others by its nullification."""
    network = CoreNetwork(4)
    split_view_one(network, (leader(network, 1) + offset) % 4)
    network.heal()
    network.run_until(lambda: network.is_final(1), within_ms=10_000)


def test_the_holder_of_the_notarization_leads_first() -> None:
    """T-14: its proposal shows the notarization, so that the others can follow though they nullified the view."""
    network = CoreNetwork(4)
    split_view_one(network, leader(network, 2))
    network.filter = lambda source, target, message: not isinstance(message, Certificate)
    network.run_until(lambda: network.is_final(1), within_ms=10_000)
    chain = network.nodes[0].disk.chain
    assert chain[0].header.view == 1
    assert chain[1].header.view == 2


def test_the_group_with_the_nullification_leads_first() -> None:
    """T-15: its proposal shows the nullification, so that the holder of the notarization can follow."""
    network = CoreNetwork(4)
    holder = leader(network, 3)
    split_view_one(network, holder)
    network.filter = lambda source, target, message: not isinstance(message, Certificate)
    network.run_until(lambda: network.is_final(1), within_ms=10_000)
    assert network.nodes[0].disk.chain[0].header.view == 2


def test_a_certified_view_displaced_behind_a_gap_heals_with_the_first_correct_leader() -> None:
    """T-16: the holder of NC[1] missed all of the next views; the others nullified them one by one."""
    network = CoreNetwork(4)
    holder = leader(network, 6)
    split_view_one(network, holder)

    def keep(source: int, target: int, message: CoreMessage) -> bool:
        return holder not in (source, target) and not isinstance(message, Proposal)

    network.filter = keep
    network.run_until(lambda: all(_view(network, index) >= 5 for index in others(network, holder)), within_ms=60_000)
    network.heal()
    network.run_until(lambda: network.is_final(1), within_ms=10_000)


def _view(network: CoreNetwork, index: int) -> int:
    core = network.nodes[index].core
    return 0 if core is None else core.view


def test_a_crash_before_any_single_effect_never_makes_a_node_vote_twice() -> None:
    """T-20: one node dies before its k-th effect, for every k of a run, and comes back from its disk alone."""
    boundary = 0
    while True:
        network = CoreNetwork(4, seed=boundary, timing=Timing(propose_ms=200, advance_ms=300, retry_ms=200))
        network.start()
        victim = network.nodes[leader(network, 2)]
        victim.effects_left = boundary
        for item in range(5):
            network.submit(item)
            network.run_for(60)
        has_crashed = not victim.is_up
        if has_crashed:
            victim.start()
        else:
            victim.effects_left = None
        network.run_until(lambda: network.is_final(0) and network.is_final(4), within_ms=30_000)  # noqa: B023 # called at once
        network.run_for(1_000)
        assert victim.halted is None
        if not has_crashed:
            break
        boundary += 1
    # The run has to be long enough to mean something: proposal, votes of all kinds, certificates.
    assert boundary > 80


@pytest.mark.parametrize("size", [4, 7])
def test_exactly_a_quorum_nullifies_then_all_crash_and_restart(size: int) -> None:
    """T-23: no node holds a certificate, all have voted; own votes must be counted again after the restart."""
    network = CoreNetwork(size)
    quorum = size - (size - 1) // 3
    voters = tuple(index for index in range(size) if index != leader(network, 1))[:quorum]
    network.filter = lambda source, target, message: False
    network.start(*voters)
    network.submit(1, to=voters)
    network.run_until(
        lambda: all((index, int(VoteKind.NULLIFY), 1) in network.checker.votes for index in voters), within_ms=5_000
    )
    for index in voters:
        network.nodes[index].crash()
    network.filter = lambda source, target, message: True
    network.start(*voters)
    network.run_until(lambda: network.is_final(1, at=voters), within_ms=30_000)


def test_all_crash_again_and_again_and_still_agree() -> None:
    """T-21: kill all, repeatedly, in the middle of everything."""
    network = CoreNetwork(4, seed=7)
    network.start()
    for item in range(12):
        network.submit(item)
        network.run_for(3 * item)
        for node in network.nodes:
            node.crash()
        network.start()
    network.run_until(lambda: all(network.is_final(item) for item in range(12)), within_ms=30_000)


def test_one_item_after_hours_of_rest_meets_a_leader_that_has_just_died() -> None:
    """T-26: final in less than twice the time to propose."""
    network = CoreNetwork(4)
    network.start()
    network.run_for(3 * 3_600_000)
    dead = leader(network, _view(network, 0))
    network.nodes[dead].crash()
    network.submit(1)
    assert network.run_until(lambda: network.is_final(1), within_ms=10_000) < 2 * network.timing.propose_ms


def test_an_item_known_to_one_node_only_gets_in_with_the_heartbeat() -> None:
    """T-27: its owner alone wants a block and harms nobody; rotation brings its turn."""
    network = CoreNetwork(4, timing=Timing(heartbeat_ms=5_000))
    network.start()
    network.run_for(100)
    owner = (leader(network, _view(network, 0)) + 2) % 4
    network.nodes[owner].learn([1])

    def judge_fails_without_item() -> None:
        # What a proposal names is fetched: the stand-in for the replica hands the item over.
        for node in network.nodes:
            for proposal, _ in list(node.judging.values()):
                if proposal.block.payload:
                    node.learn([1])

    def is_done() -> bool:
        judge_fails_without_item()
        return network.is_final(1)

    network.run_until(is_done, within_ms=30_000)


def test_the_last_block_before_a_rest_loses_its_finalize_votes_and_a_tail_block_finalizes_it() -> None:
    """T-28: without a reason of its own, the next view wakes up for the block that is not final yet."""
    network = CoreNetwork(4, timing=Timing(status_ms=600_000, skip_ms=1_800_000))
    network.filter = lambda source, target, message: not (is_about(message, VoteKind.FINALIZE, 1))
    network.start()
    network.submit(1)
    taken_ms = network.run_until(lambda: network.is_final(1), within_ms=5_000)
    assert network.timing.tail_ms <= taken_ms <= network.timing.tail_ms + 200
    assert [block.header.view for block in network.nodes[0].disk.chain] == [1, 2]


@pytest.mark.parametrize("skew_ms", [-3_600_000, -2_000, 1_900, 3_600_000])
def test_one_clock_that_is_off_costs_at_most_its_own_turns(skew_ms: int) -> None:
    """T-29: a block dated too far ahead is held, not refused; old ones are always taken."""
    network = CoreNetwork(4)
    network.nodes[2].wall_skew_ms = skew_ms
    network.start()
    for item in range(8):
        network.submit(item)
        network.run_until(lambda item=item: network.is_final(item), within_ms=10_000)  # type: ignore[misc] # as above
    assert all(node.halted is None for node in network.nodes)


def test_the_same_seed_gives_the_same_trace() -> None:
    """I-17: no hidden clock, chance or order of a set."""

    def trace(seed: int) -> bytes:
        network = CoreNetwork(4, seed=seed)
        network.loss_percent = 10
        network.start()
        for item in range(10):
            network.submit(item)
            network.run_for(50)
        return network.trace.digest()

    assert trace(3) == trace(3)
    assert trace(3) != trace(4)


class UnderminingNode(SimNode):
    """A leader that builds over what is certified: on the anchor, as if nothing had happened since."""

    def send(self, target: int, message: CoreMessage) -> None:
        if isinstance(message, Proposal) and message.view > 1:
            header = dataclasses.replace(
                message.block.header, height=Height(1), parent_digest=NETWORK_ID, executed_height=Height(0)
            )
            subject = Subject(VoteKind.NOTARIZE, Epoch(0), message.view, View(0), header.digest())
            vote = Vote(
                subject, ValidatorIndex(self.index), fake_signature(self.index, vote_signing_bytes(NETWORK_ID, subject))
            )
            message = Proposal(message.view, Block(header, message.block.payload), View(0), None, (), None, vote)
        self.network.carry(self.index, target, message)


def test_a_leader_that_builds_below_a_notarized_block_gets_no_vote() -> None:
    """T-18: the views between are not nullified, so nobody may follow (lemma C); the next leader goes on."""
    network = CoreNetwork(4)
    liar = leader(network, 2)
    network.nodes[liar] = UnderminingNode(network, liar)
    # Without finalize votes for view 1, nothing but the ancestry rule protects its block.
    network.filter = lambda source, target, message: not carries(message, VoteKind.FINALIZE, 1)
    network.start()
    network.submit(1)
    network.run_until(lambda: all(_view(network, index) == 2 for index in range(4)), within_ms=1_000)
    network.submit(2)
    network.run_until(lambda: network.is_final(2, at=others(network, liar)), within_ms=20_000)
    assert network.nodes[leader(network, 3)].disk.chain[0].header.view == 1
    assert not any(signer != liar and kind == 1 and view == 2 for signer, kind, view in network.checker.votes)


def test_a_leader_that_cannot_build_costs_a_hop_and_not_a_timeout() -> None:
    """The leader says so at once, and everybody gives up with it."""
    network = CoreNetwork(4)
    network.nodes[leader(network, 1)].build_none = True
    network.start()
    network.run_for(50)
    network.submit(1)
    assert network.run_until(lambda: network.is_final(1), within_ms=5_000) < 100
    assert 1 in nullified_views(network)


def test_lost_finalize_votes_are_repaired_by_status_without_a_tail_block() -> None:
    """T-28, the other repair: own votes are re-sent to whoever says that it is behind."""
    network = CoreNetwork(4, timing=Timing(tail_ms=60_000))
    network.filter = lambda source, target, message: not is_about(message, VoteKind.FINALIZE, 1)
    network.start()
    network.submit(1)
    network.run_for(100)
    network.filter = lambda source, target, message: True
    network.run_until(lambda: network.is_final(1), within_ms=6_000)
    assert all(len(node.disk.chain) == 1 for node in network.nodes)


def test_a_leader_that_died_between_its_record_and_its_proposal_sends_the_recorded_block() -> None:
    """T-20: the block gets into its own view, though nobody had seen it before the crash."""
    network = CoreNetwork(4)
    first = leader(network, 1)
    network.filter = lambda source, target, message: source != first
    network.start()
    network.submit(1)
    network.run_for(20)
    assert (first, int(VoteKind.NOTARIZE), 1) in network.checker.votes
    network.nodes[first].crash()
    network.filter = lambda source, target, message: True
    network.start(first)
    network.run_until(lambda: network.is_final(1), within_ms=500)
    assert network.nodes[first].disk.chain[0].header.view == 1


def test_a_follower_asks_for_more_nullifications_than_a_proposal_carries() -> None:
    """The rest of the justification is fetched by range, from one peer after the other."""
    timing = Timing(propose_ms=100, advance_ms=160, retry_ms=100, block_ms=10)
    network = CoreNetwork(4, timing=timing)
    away = 3
    asked: list[CertificateRequest] = []

    def keep(source: int, target: int, message: CoreMessage) -> bool:
        return away not in (source, target) and not isinstance(message, Proposal)

    network.filter = keep
    network.start()
    network.submit(1)
    network.run_until(lambda: _view(network, 0) >= 50, within_ms=600_000)
    # Now its vote is needed, and no status of its own brings it the old certificates.
    dead = (leader(network, _view(network, 0)) + 1) % 3
    network.nodes[dead].crash()
    network.heal()

    def keep_requests(source: int, target: int, message: CoreMessage) -> bool:
        if isinstance(message, CertificateRequest):
            asked.append(message)
        return not (isinstance(message, Status) and source == away)

    network.filter = keep_requests
    network.run_until(lambda: network.is_final(1), within_ms=20_000)
    assert {request.first for request in asked} == {1}


def test_blocks_dated_far_ahead_are_not_voted_for_while_the_others_go_on() -> None:
    """T-18, T-29: none of the skewed node's blocks gets in, all others' do."""
    network = CoreNetwork(4)
    skewed = network.nodes[leader(network, 2)]
    skewed.wall_skew_ms = 3_600_000
    network.start()
    for item in range(8):
        network.submit(item)
        network.run_until(lambda item=item: network.is_final(item), within_ms=10_000)  # type: ignore[misc] # as above
    assert all(block.header.proposer != skewed.index for block in skewed.disk.chain)


def test_a_good_header_beside_foreign_bytes_stops_nobody() -> None:
    """T-18: the payload is refused; the digest keeps its good name, and its certificate halts no one."""
    network = CoreNetwork(4)
    first = leader(network, 1)
    victim = (first + 1) % 4

    def keep(source: int, target: int, message: CoreMessage) -> bool:
        if isinstance(message, Proposal) and target == victim and message.view == 1 and message.block.payload:
            spoiled = dataclasses.replace(message, block=Block(message.block.header, b""))
            network.deliver(source, target, spoiled)
            return False
        return True

    network.filter = keep
    network.start()
    network.submit(1)
    network.run_until(lambda: network.is_final(1), within_ms=5_000)
    assert all(node.halted is None for node in network.nodes)
    assert {fault.peer for fault in network.nodes[victim].faults} == {first}


@pytest.mark.parametrize("seen_by", [1, 2, 3])
def test_a_proposal_that_reaches_only_some_resolves_one_way_or_the_other(seen_by: int) -> None:
    """T-08: by a notarization or by a nullification, but all go on together."""
    network = CoreNetwork(4)
    first = leader(network, 1)
    lucky = [index for index in range(4) if index != first][:seen_by]
    network.filter = lambda source, target, message: (
        not (isinstance(message, Proposal) and message.view == 1 and target not in lucky)
    )
    network.start()
    network.submit(1)
    network.run_until(lambda: network.is_final(1), within_ms=10_000)
    assert not {2, 3} <= network.checker.kinds.get(1, set())


def test_an_hour_without_a_quorum_ends_soon_after_the_heal() -> None:
    """T-11: timers are capped, so nobody sleeps through the heal."""
    network = CoreNetwork(4)
    network.start()
    network.split((0, 1), (2, 3))
    network.submit(1)
    network.run_for(3_600_000)
    assert not any(node.disk.chain for node in network.nodes)
    network.heal()
    assert network.run_until(lambda: network.is_final(1), within_ms=60_000) <= 2 * 8 * network.timing.advance_ms


def test_one_node_that_nullifies_each_view_first_delays_finality_and_nothing_else() -> None:
    """T-43 at the level of cores: many views in a row are notarized and none final; then all become so at once."""
    network = CoreNetwork(4)
    dead = 3
    spoiler = 0

    def keep(source: int, target: int, message: CoreMessage) -> bool:
        # Each finalize vote of one of the three that live is lost, so that no quorum of them meets.
        return not (isinstance(message, Vote) and message.subject.kind == VoteKind.FINALIZE and source == spoiler)

    network.filter = keep
    network.start(*others(network, dead))
    for item in range(20):
        network.submit(item)
        network.run_for(2_500)
    notarized = len(network.checker.notarized)
    assert notarized > 10
    network.heal()
    network.run_until(lambda: all(network.is_final(item) for item in range(20)), within_ms=30_000)


def test_two_states_of_one_height_stop_the_one_that_is_alone() -> None:
    """T-42: a node whose execution differs refuses the others' blocks, and halts when a quorum certifies them."""
    network = CoreNetwork(4)
    network.start()
    odd = network.nodes[2]
    network.submit(0)
    network.run_until(lambda: network.is_final(0), within_ms=1_000)
    network.run_for(10)
    odd.crash()
    odd.disk.states[1] = ChainState(NETWORK_ID)
    network.checker.odd.add(2)
    odd.start()
    for item in range(1, 6):
        network.submit(item)
        network.run_for(5_000)
    assert odd.halted is not None
    rest = others(network, 2)
    assert network.is_final(5, at=rest)
    assert all(network.nodes[index].halted is None for index in rest)


def test_two_states_of_one_height_at_half_of_the_nodes_stop_all_and_fork_nothing() -> None:
    """T-42: with f + 1 nodes astray no quorum agrees on a state, so nothing more becomes final."""
    network = CoreNetwork(4)
    network.start()
    network.submit(0)
    network.run_until(lambda: network.is_final(0), within_ms=1_000)
    network.run_for(10)
    for index in (2, 3):
        node = network.nodes[index]
        node.crash()
        node.disk.states[1] = ChainState(NETWORK_ID)
        network.checker.odd.add(index)
        node.start()
    heights = []
    for item in range(1, 8):
        network.submit(item)
        network.run_for(5_000)
        heights.append(max(len(node.disk.chain) for node in network.nodes))
    # A block that names a state from before they parted may still pass; one that names a later state cannot.
    assert heights[-1] == heights[-3]
    assert not network.is_final(7, at=(0,))
    assert any(node.alarms for node in network.nodes)
