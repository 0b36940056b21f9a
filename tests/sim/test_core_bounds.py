"""What a core remembers is bounded, whatever it is sent and however long nothing becomes final."""

import pickle
import random

import pytest

from consensus.effects import Send
from consensus.inputs import Executed, Judged, TimerFired, TimerId, WallClock
from consensus.messages import (
    CERTIFICATE_REQUEST_MAX,
    JUSTIFICATION_MAX,
    Certificate,
    CertificateRequest,
    CoreMessage,
    Proposal,
    Status,
    Vote,
    VoteKind,
)
from consensus.proposal_rules import PROPOSAL_PAYLOAD_BYTES_MAX
from consensus.timing import Timing
from consensus.types import U64_MAX, Epoch, Height, View
from consensus.view_state import RECENT_VIEWS_MAX
from tests.sim.core_network import CoreNetwork
from tests.sim.core_state import WALL_START_MS
from tests.support.core_builders import (
    FINALIZE,
    NOTARIZE,
    NULLIFY,
    CoreHarness,
    build_block,
    build_digest,
    build_leader,
    build_proposal,
    build_subject,
    finalization,
    notarization,
    nullification,
    sign,
)

LEADER = build_leader(1)
OWN = build_leader(4)
PEERS = tuple(index for index in range(4) if index != OWN)


def size_of(harness: CoreHarness) -> int:
    return len(pickle.dumps(harness.core))


def test_a_thousand_views_leave_no_more_behind_than_fifty() -> None:
    """T-41: four nodes; the memory of each core and its log on disk stay flat."""
    network = CoreNetwork(4)
    network.start()
    memory: list[int] = []
    records: list[int] = []
    for item in range(1_000):
        network.submit(item)
        network.run_until(lambda item=item: network.is_final(item), within_ms=5_000)  # type: ignore[misc] # the default binds the loop's item
        if item % 50 == 49:
            network.run_for(1_000)
            memory.append(max(len(pickle.dumps(node.core)) for node in network.nodes))
            records.append(max(len(node.disk.records) for node in network.nodes))
    assert max(memory) < memory[0] * 1.2
    assert max(records) <= records[0] + 4
    assert all(node.core is not None and node.core.view > 1_000 for node in network.nodes)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_hundred_thousand_views_leave_a_core_no_larger_than_a_thousand() -> None:
    """T-41: one validator of four; the others' blocks become final one after the other, its own turns are lost."""
    harness = CoreHarness(OWN)
    sizes = []
    final: Certificate | None = None
    skipped: tuple[Certificate, ...] = ()
    block = None
    voted = 0
    for view in range(1, 100_001):
        harness.now_ms += 10
        if build_leader(view) == OWN:
            skipped = (nullification(view),)
            harness.receive(None, *skipped)
        else:
            # Each block has executed the one below it, which is final.
            block = build_block(view, parent=block, executed_height=0 if block is None else block.header.height)
            harness.receive(
                build_leader(view), build_proposal(block, parent=final, nullifications=skipped, executed=final)
            )
            harness.feed(Judged(block.header.digest(), True))
            parent_view = 0 if final is None else final.subject.view
            final, skipped = finalization(block), ()
            harness.receive(None, notarization(block, parent_view=parent_view), final)
            harness.feed(Executed(block.header.height, block.header.state_digest))
        if view % 10_000 == 1_000:
            sizes.append(size_of(harness))
            assert harness.core.view == view + 1
        voted += len(harness.votes(NOTARIZE))
        harness.log.clear()
    assert max(sizes) < sizes[0] * 1.1
    assert voted == 75_000


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_hundred_thousand_views_without_finality_cost_no_more_than_those_whose_proofs_are_kept() -> None:
    """T-41: and the leader of the next one may still skip them all."""
    harness = CoreHarness(OWN)
    sizes = []
    for view in range(1, 100_001):
        harness.receive(None, nullification(view))
        harness.log.clear()
        if view % 20_000 == 0:
            sizes.append(size_of(harness))
    assert max(sizes) < sizes[0] * 1.05, "integers above 65,535 take two bytes more"
    skipped = tuple(nullification(view) for view in range(100_000, 100_000 - JUSTIFICATION_MAX, -1))
    above = build_block(100_001)
    harness.receive(build_leader(100_001), build_proposal(above, nullifications=skipped))
    harness.feed(Judged(above.header.digest(), True))
    assert [vote.subject.view for vote in harness.votes(NOTARIZE)] == [100_001]


@pytest.mark.parametrize("notarized", [False, True])
def test_thousands_of_views_without_finality_cost_little_memory_each(notarized: bool) -> None:
    """T-41: below the newest 256 views only the nullifications stay, packed; the blocks of notarized ones do too."""
    harness = CoreHarness(OWN)
    sizes = []
    parent, block = None, None
    for view in range(1, 3_001):
        if notarized and view % 10 == 0:
            block = build_block(view, parent=block)
            harness.receive(None, notarization(block, parent_view=view - 10))
            parent = notarization(block, parent_view=view - 10)
        elif view % 2:
            harness.receive(None, nullification(view))
        else:
            for peer in PEERS:
                harness.receive(peer, sign(build_subject(NULLIFY, view), peer))
        harness.log.clear()
        if view % 500 == 0:
            sizes.append(size_of(harness))
    assert harness.core.view == 3_001
    a_view = (sizes[-1] - sizes[0]) / 2_500
    assert a_view < 350, "3 signatures of 64 bytes, and what names them"
    # All can still be judged and shown.
    harness.receive(1, CertificateRequest(Epoch(0), View(11), View(10_000)))
    shown = [effect.message for effect in harness.of(Send) if isinstance(effect.message, Certificate)]
    views = [certificate.subject.view for certificate in shown]
    expected = [view for view in range(11, 11 + CERTIFICATE_REQUEST_MAX) if not (notarized and view % 10 == 0)]
    assert views == expected
    assert nullification(11) in shown
    if not notarized:
        above = build_block(3_001)
        skipped = tuple(nullification(view) for view in range(3_000, 3_000 - 32, -1))
        harness.receive(build_leader(3_001), build_proposal(above, nullifications=skipped))
        harness.feed(Judged(above.header.digest(), True))
        assert [vote.subject.view for vote in harness.votes(NOTARIZE)] == [3_001]
    else:
        assert parent is not None


def test_a_node_that_slept_through_hundreds_of_views_is_shown_them_all() -> None:
    """T-33, T-41: its vote is needed, nothing became final meanwhile, and the others hold the old views packed only."""
    network = CoreNetwork(4, timing=Timing(propose_ms=100, advance_ms=160, retry_ms=100, block_ms=10))
    away = 3
    network.filter = lambda source, target, message: (
        away not in (source, target) and not (isinstance(message, Proposal) and message.view > 1)
    )
    network.start()
    network.submit(1)
    network.run_until(lambda: network.is_final(1, at=(0, 1, 2)), within_ms=5_000)
    network.submit(2)
    core = network.nodes[0].core
    assert core is not None
    network.run_until(lambda: core.view > 2 * RECENT_VIEWS_MAX, within_ms=10_000_000)
    assert len(network.nodes[0].disk.chain) == 1
    # Now there is no quorum without it, and each of the others may be its first to ask.
    network.nodes[1].crash()
    network.heal()
    taken_ms = network.run_until(lambda: network.is_final(2), within_ms=60_000)
    assert taken_ms < 30_000


def test_a_flood_of_votes_leaves_only_those_near_the_current_view() -> None:
    """T-37: votes of far views, of each kind, of each peer: none of them is kept or verified."""
    harness = CoreHarness(OWN)
    before = size_of(harness)
    chance = random.Random(1)
    for _ in range(3_000):
        view = chance.choice([chance.randrange(10, 10**6), U64_MAX - 1, 5, 900])
        peer = chance.choice(PEERS)
        kind = chance.choice([NOTARIZE, FINALIZE])
        harness.receive(peer, Vote(build_subject(kind, view, build_digest(str(view))), peer, bytes(64)))  # type: ignore[arg-type] # an index
        harness.log.clear()
    assert size_of(harness) < before + 2_000
    assert harness.verifier.count == 0


def test_votes_of_near_views_fill_their_slots_and_no_more() -> None:
    """T-37: one slot a kind and signer, in the current view and three ahead."""
    harness = CoreHarness(OWN)
    for number in range(500):
        for view in (1, 2, 3, 4):
            for peer in PEERS:
                for kind in (NOTARIZE, FINALIZE):
                    vote = Vote(build_subject(kind, view, build_digest(str(number))), peer, bytes(64))  # type: ignore[arg-type] # as above
                    harness.receive(peer, vote)
        harness.log.clear()
    assert size_of(harness) < 40_000


def test_replayed_good_certificates_are_dropped_unread() -> None:
    """T-37: real ones, of views final, old or archived: they cost nothing and are logged once."""
    harness = CoreHarness(OWN)
    block = build_block(1)
    known: list[Certificate] = [notarization(block), finalization(block)]
    known += [nullification(view) for view in range(2, 600)]
    harness.receive(None, *known)
    before, verified = size_of(harness), harness.verifier.count
    for _ in range(3):
        assert harness.receive(None, *known) == ()
    assert abs(size_of(harness) - before) < 1_000
    assert harness.verifier.count == verified


def test_proposals_far_ahead_or_too_large_are_not_kept() -> None:
    """T-37: one proposal a view, three views ahead, of its leader alone."""
    harness = CoreHarness(OWN)
    before = size_of(harness)
    for view in range(5, 300):
        harness.receive(build_leader(view), build_proposal(build_block(view, payload=bytes(10_000))))
    assert size_of(harness) < before + 2_000
    huge = build_block(1, payload=bytes(PROPOSAL_PAYLOAD_BYTES_MAX + 1))
    harness.receive(LEADER, build_proposal(huge))
    assert size_of(harness) < before + 4_000
    for number in range(50):
        harness.receive(LEADER, build_proposal(build_block(1, payload=b"%d" % number)))
    assert size_of(harness) < before + 10_000


def test_statuses_and_requests_are_answered_at_their_own_pace() -> None:
    """T-37: one answer of a kind to a peer in a second, each bounded."""
    harness = CoreHarness(OWN)
    harness.receive(None, *(nullification(view) for view in range(1, 300)))
    answers = 0
    for _ in range(1_000):
        harness.now_ms += 1
        harness.receive(LEADER, Status(Epoch(0), View(1), View(0), Height(0), View(0)))
        answers += len(harness.of(Send))
        harness.receive(LEADER, CertificateRequest(Epoch(0), View(1), View(U64_MAX)))
        answers += len(harness.of(Send))
    assert answers <= 2 * (24 + 12 + CERTIFICATE_REQUEST_MAX)


def test_a_network_under_flood_keeps_its_pace() -> None:
    """T-37: one of four sends rubbish without end; the others finalize as if it were silent, and only it is accused."""
    network = CoreNetwork(4, seed=3)
    network.start()
    liar = 3
    old: list[CoreMessage] = []

    def keep(source: int, target: int, message: CoreMessage) -> bool:
        if isinstance(message, Certificate) and len(old) < 500:
            old.append(message)
        return True

    network.filter = keep

    def flood() -> None:
        node = network.nodes[liar]
        for target in range(3):
            view = network.random.randrange(1, 10**9)
            subject = build_subject(VoteKind.NULLIFY, view)
            network.carry(liar, target, Vote(subject, node.members.index(liar), bytes(64)))  # type: ignore[arg-type] # as above
            if old:
                network.carry(liar, target, network.random.choice(old))
        network.later(3, flood, node=node)

    flood()
    for item in range(40):
        network.submit(item)
        network.run_until(lambda item=item: network.is_final(item), within_ms=5_000)  # type: ignore[misc] # the default binds the loop's item
    assert network.now_ms < 40 * 100
    assert all(len(pickle.dumps(network.nodes[index].core)) < 60_000 for index in range(3))


# T-29: clocks, at the level of cores.


@pytest.mark.parametrize("jump_ms", [-3_600_000, 3_600_000])
def test_a_clock_that_jumps_in_the_middle_costs_at_most_its_own_turns(jump_ms: int) -> None:
    """T-29: forth and back again; whoever is right goes on."""
    network = CoreNetwork(4)
    network.start()
    odd = network.nodes[1]
    for item in range(12):
        if item in (4, 8):
            odd.wall_skew_ms = jump_ms if item == 4 else 0
            odd.feed(WallClock(WALL_START_MS + odd.wall_skew_ms))
        network.submit(item)
        network.run_until(lambda item=item: network.is_final(item), within_ms=10_000)  # type: ignore[misc] # the default binds the loop's item
    assert all(node.halted is None for node in network.nodes)


def test_a_frozen_clock_dates_its_blocks_by_their_parents() -> None:
    """T-29: time rises along the chain all the same."""
    network = CoreNetwork(4)
    network.start()
    frozen = network.nodes[1]
    for item in range(12):
        frozen.wall_skew_ms = -network.now_ms
        frozen.feed(WallClock(WALL_START_MS - network.now_ms))
        network.submit(item)
        network.run_until(lambda item=item: network.is_final(item), within_ms=10_000)  # type: ignore[misc] # as above
        network.run_for(3_000)
    assert any(block.header.proposer == 1 for block in network.nodes[0].disk.chain)


def test_an_old_proposal_sent_again_after_a_long_pause_is_voted_for() -> None:
    """T-29: no lower bound against the wall clock, else every old block would be nullified for ever."""
    network = CoreNetwork(4)
    network.filter = lambda source, target, message: False
    network.start()
    network.submit(1)
    network.run_for(3 * 3_600_000)
    dated = [block.header.timestamp_ms for node in network.nodes for block in node.disk.blocks.values()]
    assert dated
    network.filter = lambda source, target, message: (
        not (
            # Nobody gives view 1 up again: what is said now is the old proposal and votes for it.
            isinstance(message, Vote | Certificate) and message.subject.kind == VoteKind.NULLIFY
        )
    )
    network.run_until(lambda: network.is_final(1), within_ms=20_000)
    assert network.nodes[0].disk.chain[0].header.timestamp_ms == dated[0]
    assert isinstance(network.nodes[0].disk.chain[0].header.view, int)


def test_late_timers_of_left_views_change_nothing() -> None:
    """T-39 at the level of cores: whatever fires late, it carries the view that it was set in."""
    harness = CoreHarness(OWN)
    harness.receive(None, nullification(1), nullification(2))
    for timer in TimerId:
        if timer is not TimerId.STATUS:
            assert harness.feed(TimerFired(timer, View(1))) == ()
    assert harness.votes() == []
    assert not any(isinstance(effect, Proposal) for effect in harness.log)
