"""One core, driven by hand: what each input leads to, and in which order."""

import dataclasses

import pytest

from consensus.core import Core
from consensus.effects import (
    Alarm,
    Broadcast,
    CancelTimers,
    DropJudgement,
    FetchBody,
    Finalized,
    Halt,
    Persist,
    ReportEvidence,
    ReportFault,
    RequestBuild,
    RequestJudgement,
    Send,
    SetTimer,
    StoreBlock,
    TipChanged,
)
from consensus.errors import InvariantError
from consensus.evidence import Equivocation
from consensus.inputs import (
    BodyAvailable,
    Built,
    Executed,
    Judged,
    PeerDown,
    PeerUp,
    Shutdown,
    Started,
    SyncedTo,
    TimerFired,
    TimerId,
    WallClock,
    WorkDue,
)
from consensus.messages import Block, Certificate, CertificateRequest, Proposal, Status
from consensus.recovery import Recovered
from consensus.timing import Timing
from consensus.types import Epoch, Height, ValidatorIndex, View
from tests.support.core_builders import (
    ANCHOR,
    FINALIZE,
    NETWORK_ID,
    NOTARIZE,
    NULLIFY,
    WALL_MS,
    CoreHarness,
    build_block,
    build_digest,
    build_leader,
    build_proposal,
    build_setup,
    build_subject,
    certify,
    change_header,
    finalization,
    notarization,
    nullification,
    sign,
)
from tests.support.fake_keys import FakeSigner, FakeVerifier

ONE = build_block(1)
TWO = build_block(2, parent=ONE)
THREE = build_block(3, parent=TWO)
LEADER = build_leader(1)
FOLLOWER = (LEADER + 3) % 4
"""Leads view 4, so that it follows in views 1 to 3."""
OTHERS = tuple(index for index in range(4) if index != FOLLOWER)


def fire(harness: CoreHarness, timer: TimerId, view: int | None = None) -> None:
    harness.feed(TimerFired(timer, harness.core.view if view is None else View(view)))


def judge(harness: CoreHarness, block: Block, *, ok: bool = True) -> None:
    harness.feed(Judged(block.header.digest(), ok))


def follow(block: Block, parent: Certificate | None = None) -> CoreHarness:
    """Return a follower that has voted for the first block."""
    harness = CoreHarness(FOLLOWER)
    harness.receive(LEADER, build_proposal(block, parent=parent))
    judge(harness, block)
    return harness


# Starting.


def test_the_first_input_is_started_and_only_the_first() -> None:
    """A run has one beginning."""
    harness = CoreHarness(is_started=False)
    with pytest.raises(InvariantError):
        harness.feed(WorkDue(True))
    harness.feed(Started())
    with pytest.raises(InvariantError):
        harness.feed(Started())


def test_time_never_goes_back() -> None:
    """The clock is monotonic."""
    harness = CoreHarness()
    harness.now_ms -= 1
    with pytest.raises(InvariantError):
        harness.feed(WorkDue(False))


def test_a_signer_belongs_to_a_validator_and_only_to_one() -> None:
    """Else a vote would be lost or made up."""
    with pytest.raises(InvariantError):
        Core(
            build_setup(None),
            Timing(),
            Recovered(),
            signer=FakeSigner(ValidatorIndex(0)),
            verifier=FakeVerifier(),
            wall_offset_ms=0,
        )
    with pytest.raises(InvariantError):
        Core(build_setup(0), Timing(), Recovered(), signer=None, verifier=FakeVerifier(), wall_offset_ms=0)


def test_a_new_node_says_where_it_stands_and_waits() -> None:
    """Idle: a status, a heartbeat timer, a question about work, and no timer of the view."""
    harness = CoreHarness()
    status = Status(Epoch(0), View(1), View(0), Height(0), View(0))
    assert harness.of(Broadcast) == [Broadcast(status)]
    assert {effect.timer for effect in harness.of(SetTimer)} == {TimerId.STATUS, TimerId.HEART}
    assert harness.of(TipChanged) == [TipChanged(NETWORK_ID)]
    assert (harness.core.view, harness.core.leader, harness.core.final_view) == (1, LEADER, 0)
    assert (harness.core.delivered_height, harness.core.is_halted) == (0, False)


# Following.


def test_a_good_proposal_is_judged_then_stored_recorded_and_voted_for_in_that_order() -> None:
    """Nobody sees a vote that is not durable, nor one for a block that is not."""
    harness = CoreHarness(FOLLOWER)
    proposal = build_proposal(ONE)
    harness.receive(LEADER, proposal)
    assert harness.of(RequestJudgement) == [RequestJudgement(proposal, ANCHOR)]
    assert {effect.timer for effect in harness.of(SetTimer)} == {TimerId.BUILD, TimerId.PROPOSE, TimerId.ADVANCE}
    assert harness.votes() == []
    judge(harness, ONE)
    vote = sign(proposal.leader_vote.subject, FOLLOWER)
    assert harness.last[:3] == (StoreBlock(ONE), Persist(vote), Broadcast(vote))
    judge(harness, ONE)
    assert len(harness.votes()) == 1


def test_a_quorum_of_votes_notarizes_enters_the_next_view_and_finalizes() -> None:
    """Each certificate is relayed once, and the finalize vote follows the entry."""
    harness = follow(ONE)
    others = [index for index in OTHERS if index != LEADER]
    harness.receive(others[0], sign(build_proposal(ONE).leader_vote.subject, others[0]))
    certificates = [effect.message for effect in harness.of(Broadcast) if isinstance(effect.message, Certificate)]
    assert [certificate.subject.kind for certificate in certificates] == [NOTARIZE]
    assert harness.core.view == 2
    assert CancelTimers(View(1)) in harness.last
    assert TipChanged(ONE.header.digest()) in harness.last
    assert [vote.subject.kind for vote in harness.votes()] == [NOTARIZE, FINALIZE]
    assert harness.of(Finalized) == []
    final = build_subject(FINALIZE, 1, ONE.header.digest())
    harness.receive(others[0], sign(final, others[0]))
    harness.receive(others[1], sign(final, others[1]))
    assert [effect.blocks for effect in harness.of(Finalized)] == [(ONE,)]
    assert harness.core.final_view == harness.core.delivered_height == 1
    assert harness.of(TipChanged) == []


def test_votes_are_verified_only_when_a_quorum_is_there() -> None:
    """Lazy verification; our own vote and the leader's are known good."""
    harness = follow(ONE)
    others = [index for index in OTHERS if index != LEADER]
    count = harness.verifier.count
    assert count == 1
    harness.receive(others[0], dataclasses.replace(sign(build_subject(NULLIFY, 1), others[0]), signature=bytes(64)))
    assert harness.verifier.count == count
    harness.receive(others[1], sign(build_proposal(ONE).leader_vote.subject, others[1]))
    assert harness.verifier.count == count + 1


def test_a_badly_signed_vote_is_reported_when_it_is_found_out() -> None:
    """And the vote sent well signed later counts."""
    harness = follow(ONE)
    peer, last = (index for index in OTHERS if index != LEADER)
    vote = sign(build_proposal(ONE).leader_vote.subject, peer)
    harness.receive(peer, dataclasses.replace(vote, signature=bytes(64)))
    assert harness.of(ReportFault) == [ReportFault(ValidatorIndex(peer), "badly signed vote", provable=True)]
    assert harness.core.view == 1
    harness.receive(peer, vote)
    assert harness.core.view == 2
    assert last in OTHERS


def test_a_proposal_is_refused_with_blame_and_the_view_given_up() -> None:
    """P1: the leader alone could have sent it."""
    harness = CoreHarness(FOLLOWER)
    good = build_proposal(ONE)
    harness.receive(LEADER, dataclasses.replace(good, block=Block(ONE.header, b"other")))
    assert [fault.provable for fault in harness.of(ReportFault)] == [True]
    assert [vote.subject.kind for vote in harness.votes()] == [NULLIFY]
    harness.receive(LEADER, good)
    judge(harness, ONE)
    assert [vote.subject.kind for vote in harness.votes()] == [NULLIFY, NOTARIZE]


def test_a_proposal_of_another_peer_or_of_a_later_view_gives_nothing_up() -> None:
    """Only the leader of the current view can spoil it."""
    harness = CoreHarness(FOLLOWER)
    harness.receive(OTHERS[-1] if OTHERS[-1] != LEADER else OTHERS[0], build_proposal(ONE))
    assert len(harness.of(ReportFault)) == 1
    harness.receive(None, build_proposal(ONE))
    assert harness.of(ReportFault)[0].peer is None
    bad = dataclasses.replace(build_proposal(TWO, parent=notarization(ONE)), parent_certificate=None)
    harness.receive(build_leader(2), bad)
    assert len(harness.of(ReportFault)) == 1
    assert harness.votes() == []


def test_old_far_and_foreign_proposals_are_ignored() -> None:
    """A correct node may send them."""
    harness = CoreHarness(FOLLOWER)
    harness.receive(build_leader(5), build_proposal(build_block(5)))
    foreign = build_proposal(ONE)
    vote = sign(build_subject(NOTARIZE, 1, ONE.header.digest(), epoch=1), LEADER)
    harness.receive(LEADER, dataclasses.replace(foreign, leader_vote=vote))
    harness.receive(None, nullification(1))
    harness.receive(LEADER, foreign)
    assert harness.of(ReportFault) == []
    assert harness.of(RequestJudgement) == []


def test_a_refused_proposal_leaves_no_verdict_on_its_digest() -> None:
    """A bad certificate beside a good block: the same block without it is judged."""
    harness = CoreHarness(FOLLOWER)
    bad = dataclasses.replace(finalization(TWO), signatures=finalization(TWO).signatures[:2])
    harness.receive(LEADER, build_proposal(ONE, executed=bad))
    assert len(harness.of(ReportFault)) == 1
    assert [vote.subject.kind for vote in harness.votes()] == [NULLIFY]
    assert harness.of(RequestJudgement) == []
    harness.receive(LEADER, build_proposal(ONE))
    assert harness.of(RequestJudgement) == [RequestJudgement(build_proposal(ONE), ANCHOR)]


def test_certificates_that_are_known_are_not_read_again_inside_a_proposal() -> None:
    """Nor can bad copies of them refuse it."""
    harness = CoreHarness(FOLLOWER)
    harness.receive(None, nullification(1))
    count = harness.verifier.count
    empty = dataclasses.replace(nullification(1), signatures=())
    harness.receive(build_leader(2), build_proposal(build_block(2), nullifications=(empty,)))
    assert harness.verifier.count == count + 1
    assert len(harness.of(RequestJudgement)) == 1


def test_a_bad_certificate_inside_a_proposal_refuses_it() -> None:
    """The leader verified nothing, or lies."""
    harness = CoreHarness(FOLLOWER)
    bad = dataclasses.replace(notarization(ONE), signatures=notarization(ONE).signatures[:2])
    harness.receive(None, nullification(1))
    harness.receive(build_leader(2), build_proposal(TWO, parent=bad))
    assert [fault.provable for fault in harness.of(ReportFault)] == [True]
    assert [vote.subject.kind for vote in harness.votes()] == [NULLIFY]
    harness.receive(build_leader(2), build_proposal(TWO, parent=notarization(ONE)))
    assert harness.of(FetchBody)[0].digest == ONE.header.digest()


def test_rules_beyond_the_shape_refuse_with_blame_only_where_due() -> None:
    """P2 to P4."""
    harness = CoreHarness(FOLLOWER)
    harness.receive(None, finalization(TWO))
    overtaken = build_proposal(build_block(3, parent=ONE), parent=notarization(ONE))
    harness.receive(build_leader(3), overtaken)
    assert harness.of(ReportFault) == []
    assert [vote.subject.kind for vote in harness.votes()] == [NULLIFY]

    harness = CoreHarness(FOLLOWER)
    harness.receive(
        LEADER,
        build_proposal(build_block(2), view=1)
        if build_leader(2) == LEADER
        else build_proposal(change_header(build_block(2), proposer=LEADER), view=1),
    )
    assert [fault.why for fault in harness.of(ReportFault)] == ["bad proposal: its block is of another view"]


def test_a_block_that_breaks_its_own_links_is_invalid_and_the_operator_hears_of_it() -> None:
    """Invalid is a verdict on the digest; a certificate over it stops us."""
    harness = CoreHarness(FOLLOWER)
    wrong = change_header(ONE, height=2)
    harness.receive(LEADER, build_proposal(wrong))
    assert len(harness.of(Alarm)) == 1
    assert [vote.subject.kind for vote in harness.votes()] == [NULLIFY]
    harness.receive(None, notarization(wrong))
    assert len(harness.of(Halt)) == 1
    assert harness.core.is_halted
    assert harness.feed(WorkDue(True)) == ()


def test_a_block_judged_invalid_is_given_up_and_its_certificate_stops_us() -> None:
    """Our execution disagrees with a quorum: never a silent fork."""
    harness = CoreHarness(FOLLOWER)
    harness.receive(LEADER, build_proposal(ONE))
    judge(harness, ONE, ok=False)
    assert len(harness.of(Alarm)) == 1
    assert [vote.subject.kind for vote in harness.votes()] == [NULLIFY]
    harness.receive(None, notarization(ONE))
    assert len(harness.of(Halt)) == 1


def test_a_verdict_of_invalid_after_the_certificate_stops_us_too() -> None:
    """The other order."""
    harness = CoreHarness(FOLLOWER)
    harness.receive(LEADER, build_proposal(ONE))
    harness.receive(None, notarization(ONE))
    judge(harness, ONE, ok=False)
    assert len(harness.of(Halt)) == 1


def test_a_proposal_beside_a_known_invalid_block_gives_the_view_up() -> None:
    """The verdict is given once a digest, also when it is proposed again after a restart of the view's leader."""
    harness = CoreHarness(FOLLOWER)
    harness.receive(None, nullification(1))
    second = change_header(build_block(2), height=9)
    harness.receive(build_leader(2), build_proposal(second, nullifications=(nullification(1),)))
    assert [vote.subject.kind for vote in harness.votes()] == [NULLIFY]
    harness.receive(build_leader(2), build_proposal(second, nullifications=(nullification(1),)))
    assert harness.of(Alarm) != []


def test_an_equivocating_leader_is_reported_and_its_first_block_counts() -> None:
    """Two signed blocks of one view are evidence."""
    harness = CoreHarness(FOLLOWER)
    rival = change_header(ONE, timestamp_ms=ONE.header.timestamp_ms + 1)
    harness.receive(LEADER, build_proposal(ONE))
    harness.receive(LEADER, build_proposal(rival))
    pair = Equivocation.pair(build_proposal(ONE).leader_vote, build_proposal(rival).leader_vote)
    assert harness.of(ReportEvidence) == [ReportEvidence(pair.first, pair.second)]
    assert harness.of(RequestJudgement) == []


def test_a_proposal_for_the_next_views_waits_and_brings_its_certificates() -> None:
    """The certificate of its parent moves us on at once."""
    harness = follow(ONE)
    proposal = build_proposal(TWO, parent=notarization(ONE))
    harness.receive(build_leader(2), proposal)
    assert harness.core.view == 2
    assert harness.of(RequestJudgement) == [RequestJudgement(proposal, ONE)]
    harness.receive(build_leader(2), proposal)
    assert harness.last == ()


def test_a_parent_that_is_not_local_is_fetched_and_the_proposal_waits() -> None:
    """The follower votes once it is here."""
    harness = CoreHarness(FOLLOWER)
    proposal = build_proposal(TWO, parent=notarization(ONE))
    harness.receive(build_leader(2), proposal)
    assert [effect.digest for effect in harness.of(FetchBody)] == [ONE.header.digest()]
    harness.feed(BodyAvailable(THREE))
    assert harness.last == ()
    harness.feed(BodyAvailable(ONE))
    assert harness.of(StoreBlock) == [StoreBlock(ONE)]
    assert harness.of(RequestJudgement) == [RequestJudgement(proposal, ONE)]
    assert [vote.subject.kind for vote in harness.votes()] == [FINALIZE]


def test_a_body_with_a_foreign_payload_is_a_bug_of_the_driver() -> None:
    """It checks what it fetches."""
    harness = CoreHarness(FOLLOWER)
    harness.receive(None, notarization(ONE))
    with pytest.raises(InvariantError):
        harness.feed(BodyAvailable(Block(ONE.header, b"other")))


def test_missing_nullifications_are_fetched_before_the_vote() -> None:
    """P3: no vote before all of them are here."""
    harness = CoreHarness(FOLLOWER)
    harness.feed(PeerUp(ValidatorIndex(LEADER)))
    third = build_block(3)
    proposal = build_proposal(third, nullifications=(nullification(2),))
    harness.receive(build_leader(3), proposal)
    assert harness.sent_to(LEADER) == [CertificateRequest(Epoch(0), View(1), View(1))]
    assert harness.of(RequestJudgement) == []
    harness.receive(LEADER, nullification(1))
    assert harness.of(RequestJudgement) == [RequestJudgement(proposal, ANCHOR)]


def test_a_block_dated_ahead_is_held_until_its_time() -> None:
    """P5, and the wall clock may be corrected meanwhile."""
    harness = CoreHarness(FOLLOWER)
    late = change_header(ONE, timestamp_ms=WALL_MS + harness.now_ms + 5_000)
    harness.receive(LEADER, build_proposal(late))
    assert SetTimer(TimerId.HOLD, View(1), harness.now_ms + 3_000) in harness.last
    assert harness.of(RequestJudgement) == []
    fire(harness, TimerId.HOLD)
    assert harness.of(RequestJudgement) == []
    harness.now_ms += 3_000
    fire(harness, TimerId.HOLD)
    assert len(harness.of(RequestJudgement)) == 1

    harness = CoreHarness(FOLLOWER)
    harness.feed(WallClock(WALL_MS + 3_000))
    harness.receive(LEADER, build_proposal(late))
    assert len(harness.of(RequestJudgement)) == 1


def test_a_raised_executed_height_needs_its_finality_shown() -> None:
    """On each proposal; the parent is final here, but the proposal does not show it."""
    harness = follow(ONE)
    harness.receive(None, finalization(ONE))
    raised = change_header(TWO, executed_height=1)
    harness.receive(build_leader(2), build_proposal(raised, parent=finalization(ONE)))
    # The first block of an epoch may raise nothing, its child may.
    assert [fault.why for fault in harness.of(ReportFault)] == [
        "bad proposal: no proof that its executed height is final"
    ]
    harness.receive(build_leader(2), build_proposal(raised, parent=finalization(ONE), executed=finalization(ONE)))
    assert len(harness.of(RequestJudgement)) == 1


# Giving up.


def test_timers_give_the_view_up_once_and_then_repeat_the_same_bytes() -> None:
    """The repeat says all we said in the view, and what let us in."""
    harness = follow(ONE)
    fire(harness, TimerId.PROPOSE)
    assert [vote.subject.kind for vote in harness.votes()] == [NOTARIZE]
    fire(harness, TimerId.ADVANCE)
    assert [vote.subject.kind for vote in harness.votes()] == [NOTARIZE, NULLIFY]
    assert SetTimer(TimerId.RETRY, View(1), harness.now_ms + 1_000) in harness.last
    said = harness.votes()
    harness.log.clear()
    fire(harness, TimerId.RETRY)
    assert harness.votes() == said
    assert harness.of(Persist) == []
    assert SetTimer(TimerId.RETRY, View(1), harness.now_ms + 1_500) in harness.last
    harness.receive(None, nullification(1))
    fire(harness, TimerId.ADVANCE)
    harness.log.clear()
    fire(harness, TimerId.RETRY)
    assert Broadcast(nullification(1)) in harness.last


def test_timers_of_a_view_that_was_left_change_nothing() -> None:
    """Late, not wrong."""
    harness = CoreHarness(FOLLOWER)
    harness.receive(None, nullification(1))
    for timer in TimerId:
        if timer is not TimerId.STATUS:
            fire(harness, timer, view=1)
            assert harness.last == ()


def test_without_a_proposal_the_view_is_given_up_in_time() -> None:
    """The timer to propose."""
    harness = CoreHarness(FOLLOWER)
    harness.feed(WorkDue(True))
    fire(harness, TimerId.PROPOSE)
    assert [vote.subject.kind for vote in harness.votes()] == [NULLIFY]


def test_the_leaders_own_nullify_vote_is_enough() -> None:
    """Nobody waits for a leader that has given up, not even in an idle view or one not yet entered."""
    harness = CoreHarness(FOLLOWER)
    harness.receive(LEADER, sign(build_subject(NULLIFY, 1), LEADER))
    assert [vote.subject.view for vote in harness.votes(NULLIFY)] == [1]
    second = build_leader(2)
    harness.receive(second, sign(build_subject(NULLIFY, 2), second))
    assert [vote.subject.view for vote in harness.votes(NULLIFY)] == [1]
    harness.receive(None, nullification(1))
    assert [vote.subject.view for vote in harness.votes(NULLIFY)] == [1, 2]


def test_nullify_votes_of_more_than_f_others_start_the_timers_only() -> None:
    """At least one correct node had a reason."""
    harness = CoreHarness(FOLLOWER)
    peers = [index for index in OTHERS if index != LEADER]
    harness.receive(peers[0], sign(build_subject(NULLIFY, 1), peers[0]))
    assert harness.of(SetTimer) == []
    harness.receive(peers[1], sign(build_subject(NULLIFY, 1), peers[1]))
    assert TimerId.ADVANCE in {effect.timer for effect in harness.of(SetTimer)}
    assert harness.votes() == []


def test_a_silent_leader_is_skipped_at_once_when_the_view_wakes_up() -> None:
    """Any message of the others counts as a sign of life."""
    harness = CoreHarness(FOLLOWER)
    harness.now_ms += 10_000
    for peer in OTHERS:
        if peer != LEADER:
            harness.receive(peer, sign(build_subject(FINALIZE, 1, build_digest("x")), peer))
    harness.feed(WorkDue(True))
    assert [vote.subject.kind for vote in harness.votes()] == [NULLIFY]


def test_a_node_that_nullified_leaves_by_the_notarization_and_does_not_finalize() -> None:
    """Lemma B; it saves the view for the others all the same."""
    harness = follow(ONE)
    fire(harness, TimerId.ADVANCE)
    harness.receive(None, notarization(ONE))
    assert harness.core.view == 2
    assert [vote.subject.kind for vote in harness.votes()] == [NOTARIZE, NULLIFY]


def test_a_late_body_is_finalized_views_later() -> None:
    """Finality is not chained to the next view."""
    harness = CoreHarness(FOLLOWER)
    harness.receive(None, notarization(ONE))
    harness.receive(None, nullification(2))
    harness.receive(None, nullification(3))
    assert harness.votes() == []
    harness.feed(BodyAvailable(ONE))
    assert harness.last[:3] == (StoreBlock(ONE), Persist(harness.votes()[0]), Broadcast(harness.votes()[0]))
    assert [(vote.subject.kind, vote.subject.view) for vote in harness.votes()] == [(FINALIZE, 1)]


def test_nothing_is_finalized_that_is_overtaken() -> None:
    """What is final needs no vote any more."""
    harness = CoreHarness(FOLLOWER)
    harness.receive(None, notarization(ONE))
    harness.receive(None, finalization(TWO))
    harness.feed(BodyAvailable(TWO))
    harness.feed(BodyAvailable(ONE))
    assert harness.votes() == []
    assert [effect.blocks for effect in harness.of(Finalized)] == [(ONE, TWO)]


# Leading.


def lead(*, may_be_empty: bool = False) -> CoreHarness:
    harness = CoreHarness(LEADER)
    if may_be_empty:
        fire(harness, TimerId.HEART)
    else:
        harness.feed(WorkDue(True))
    return harness


def test_a_leader_with_work_asks_for_a_block_and_proposes_it_once_it_is_recorded() -> None:
    """The proposal carries the leader's vote, so the vote does not travel alone."""
    harness = lead()
    assert harness.of(RequestBuild) == [RequestBuild(View(1), ANCHOR, NETWORK_ID, may_be_empty=False)]
    harness.feed(Built(View(1), NETWORK_ID, ONE))
    proposal = build_proposal(ONE)
    expected = (StoreBlock(ONE), Persist(proposal.leader_vote), Broadcast(proposal))
    assert harness.last == expected
    again = harness.feed(Built(View(1), NETWORK_ID, change_header(ONE, timestamp_ms=ONE.header.timestamp_ms + 1)))
    assert again == ()
    harness.receive(LEADER, proposal)
    fire(harness, TimerId.PROPOSE)
    fire(harness, TimerId.BUILD)
    assert len(harness.votes()) == 1


def test_a_heartbeat_may_be_empty() -> None:
    """So may a tail block; work alone never makes an empty one."""
    assert lead(may_be_empty=True).of(RequestBuild) == [RequestBuild(View(1), ANCHOR, NETWORK_ID, may_be_empty=True)]


def test_a_leader_that_cannot_build_gives_up_at_once() -> None:
    """And forgets the work that was none."""
    harness = lead()
    harness.feed(Built(View(1), NETWORK_ID, None))
    assert [vote.subject.kind for vote in harness.votes()] == [NULLIFY]
    harness.feed(Built(View(1), NETWORK_ID, ONE))
    assert [vote.subject.kind for vote in harness.votes()] == [NULLIFY]


def test_after_half_the_time_any_block_will_do_and_then_none() -> None:
    """The full time is the others' patience."""
    harness = lead()
    fire(harness, TimerId.BUILD)
    assert harness.of(RequestBuild) == [RequestBuild(View(1), ANCHOR, NETWORK_ID, may_be_empty=True)]
    fire(harness, TimerId.PROPOSE)
    assert [vote.subject.kind for vote in harness.votes()] == [NULLIFY]


def test_answers_for_another_view_or_parent_are_dropped() -> None:
    """Another project forked on such an answer."""
    harness = lead()
    harness.feed(Built(View(2), NETWORK_ID, ONE), Built(View(1), build_digest("x"), ONE))
    assert harness.last == ()


def test_a_leader_without_its_parents_body_fetches_it_and_gives_up_in_time() -> None:
    """Half the time to propose."""
    harness = CoreHarness(build_leader(2))
    harness.receive(None, notarization(ONE))
    harness.feed(WorkDue(True))
    assert harness.of(RequestBuild) == []
    fire(harness, TimerId.BUILD)
    assert [vote.subject.kind for vote in harness.votes()] == [NULLIFY]


def test_a_leader_waits_for_the_parents_executed_height_and_a_pause_after_its_body() -> None:
    """It must name a state at least as new, and not race ahead."""
    own = build_leader(3)
    harness = CoreHarness(own)
    executed = change_header(TWO, executed_height=1, state_digest=build_digest("state"))
    harness.receive(None, finalization(ONE), notarization(executed))
    harness.feed(BodyAvailable(ONE), BodyAvailable(executed))
    harness.feed(WorkDue(True))
    assert harness.of(RequestBuild) == []
    harness.feed(Executed(Height(1), build_digest("state")))
    assert harness.of(RequestBuild) == []
    assert harness.of(SetTimer) == [SetTimer(TimerId.PACE, View(3), harness.now_ms + 50)]
    harness.now_ms += 50
    fire(harness, TimerId.PACE)
    assert [effect.parent_digest for effect in harness.of(RequestBuild)] == [executed.header.digest()]


def test_a_leader_asks_for_certificates_it_lacks() -> None:
    """Of a connected peer; then it proposes."""
    own = build_leader(3)
    harness = CoreHarness(own)
    peer = (own + 1) % 4
    harness.feed(PeerUp(ValidatorIndex(peer)))
    harness.receive(None, nullification(2))
    harness.feed(WorkDue(True))
    assert harness.sent_to(peer) == [CertificateRequest(Epoch(0), View(1), View(1))]
    harness.receive(peer, nullification(1))
    assert harness.of(RequestBuild) == [RequestBuild(View(3), ANCHOR, NETWORK_ID, may_be_empty=False)]
    third = build_block(3)
    harness.feed(Built(View(3), NETWORK_ID, third))
    expected = build_proposal(third, nullifications=(nullification(2), nullification(1)))
    assert Broadcast(expected) in harness.last


def test_a_better_parent_that_comes_meanwhile_is_built_upon_instead() -> None:
    """The notarization of a skipped view arrives while the block is being built."""
    own = build_leader(2)
    harness = CoreHarness(own)
    harness.receive(LEADER, build_proposal(ONE))
    judge(harness, ONE)
    harness.receive(None, nullification(1))
    harness.feed(WorkDue(True))
    assert [effect.parent_digest for effect in harness.of(RequestBuild)] == [NETWORK_ID]
    harness.now_ms += 100
    harness.receive(None, notarization(ONE))
    harness.feed(Built(View(2), NETWORK_ID, build_block(2)))
    assert [effect.parent_digest for effect in harness.of(RequestBuild)] == [ONE.header.digest()]
    assert len(harness.votes(NOTARIZE)) == 1


def test_a_parent_overtaken_by_finality_is_asked_for_anew() -> None:
    """What was built on it is dropped."""
    own = build_leader(3)
    harness = CoreHarness(own)
    harness.receive(None, notarization(ONE), nullification(2))
    harness.feed(BodyAvailable(ONE))
    harness.now_ms += 100
    harness.feed(WorkDue(True))
    asked = [effect.parent_digest for effect in harness.of(RequestBuild)]
    assert asked == [ONE.header.digest()]
    with pytest.raises(InvariantError):
        harness.feed(Built(View(3), ONE.header.digest(), ONE))


def test_a_leaving_leader_gives_up_so_that_nobody_waits_for_it() -> None:
    """At once, and in each later view that it would lead."""
    harness = CoreHarness(LEADER)
    harness.feed(Shutdown())
    assert [vote.subject.kind for vote in harness.votes()] == [NULLIFY]
    harness = CoreHarness(build_leader(2))
    harness.feed(Shutdown())
    assert harness.votes() == []
    harness.receive(None, nullification(1))
    harness.feed(WorkDue(True))
    assert [vote.subject.view for vote in harness.votes()] == [2]
    assert harness.of(RequestBuild) == []


def test_a_leaving_leader_that_has_proposed_stays_with_its_block() -> None:
    """It may be notarized yet."""
    harness = lead()
    harness.feed(Built(View(1), NETWORK_ID, ONE), Shutdown())
    assert [vote.subject.kind for vote in harness.votes()] == [NOTARIZE]


def test_a_lone_node_does_all_in_one_step_and_leaves_without_a_word() -> None:
    """n = 1: its vote is a quorum; giving up would only spin."""
    harness = CoreHarness(0, validator_count=1)
    harness.feed(WorkDue(True))
    block = build_block(1, validator_count=1)
    harness.feed(Built(View(1), NETWORK_ID, block))
    assert [effect.blocks for effect in harness.of(Finalized)] == [(block,)]
    assert harness.last[0] == StoreBlock(block)
    kinds = [effect.record.subject.kind for effect in harness.of(Persist)]
    assert kinds == [NOTARIZE, NOTARIZE, FINALIZE, FINALIZE]
    durable = sum(1 for effect in harness.last if isinstance(effect, Persist | StoreBlock))
    assert all(isinstance(effect, Persist | StoreBlock) for effect in harness.last[:durable])
    harness.feed(Shutdown())
    assert harness.last == ()


# The tail, finality and its disagreements.


def test_a_view_wakes_up_for_a_block_that_is_not_final() -> None:
    """Else the last block before a rest could stay so."""
    harness = CoreHarness(build_leader(2))
    harness.receive(None, notarization(ONE))
    harness.feed(BodyAvailable(ONE))
    assert any(isinstance(effect, SetTimer) and effect.timer is TimerId.TAIL for effect in harness.log)
    harness.now_ms += 1_000
    fire(harness, TimerId.TAIL)
    assert [effect.may_be_empty for effect in harness.of(RequestBuild)] == [True]


def test_a_tail_timer_that_fires_after_finality_wakes_nobody() -> None:
    """The reason is gone."""
    harness = CoreHarness(build_leader(2))
    harness.receive(None, notarization(ONE), finalization(ONE))
    harness.feed(BodyAvailable(ONE))
    fire(harness, TimerId.TAIL)
    assert harness.last == ()


def test_an_active_view_takes_the_heartbeat_as_leave_to_be_empty() -> None:
    """Its timers run on."""
    harness = CoreHarness(FOLLOWER)
    harness.feed(WorkDue(True))
    fire(harness, TimerId.HEART)
    assert harness.of(SetTimer) == []


def test_certificates_that_exclude_one_another_halt_with_both_logged() -> None:
    """Never resolved automatically."""
    harness = CoreHarness(FOLLOWER)
    rival = notarization(change_header(ONE, timestamp_ms=5))
    harness.receive(None, notarization(ONE))
    harness.receive(None, rival)
    assert Persist(rival) in harness.last
    assert len(harness.of(Halt)) == 1


def test_votes_that_complete_an_impossible_certificate_halt_too() -> None:
    """Not only certificates of others are weighed."""
    harness = CoreHarness(FOLLOWER)
    subject = build_subject(FINALIZE, 1, ONE.header.digest())
    harness.receive(None, nullification(1))
    for peer in OTHERS:
        harness.receive(peer, sign(subject, peer))
    assert len(harness.of(Halt)) == 1


def test_a_certified_state_that_is_not_ours_halts() -> None:
    """Whatever comes first: the certificate, the block, or our execution."""
    bad = change_header(TWO, executed_height=1, state_digest=build_digest("theirs"))
    harness = CoreHarness(FOLLOWER)
    harness.receive(None, finalization(ONE), notarization(bad))
    harness.feed(BodyAvailable(ONE), BodyAvailable(bad))
    assert not harness.core.is_halted
    harness.feed(Executed(Height(1), build_digest("ours")))
    assert len(harness.of(Halt)) == 1

    harness = follow(ONE)
    harness.receive(None, finalization(ONE))
    harness.feed(Executed(Height(1), build_digest("ours")))
    harness.receive(None, notarization(bad))
    assert not harness.core.is_halted
    harness.receive(build_leader(2), build_proposal(bad, parent=finalization(ONE), executed=finalization(ONE)))
    harness.feed(BodyAvailable(bad))
    assert harness.core.is_halted


def test_a_proposal_known_to_be_certified_is_held_to_its_state() -> None:
    """The proposal of the view that its certificate has just ended is old; one that is fetched is not."""
    bad = change_header(TWO, executed_height=1, state_digest=build_digest("theirs"))
    harness = follow(ONE)
    harness.receive(None, finalization(ONE))
    harness.feed(Executed(Height(1), build_digest("ours")))
    harness.receive(build_leader(2), build_proposal(bad, parent=finalization(ONE), executed=finalization(ONE)))
    harness.receive(None, finalization(bad))
    assert harness.core.is_halted


def test_a_judgement_that_finality_overtook_is_dropped() -> None:
    """Its answer is no longer wanted."""
    harness = CoreHarness(FOLLOWER)
    harness.receive(LEADER, build_proposal(ONE))
    second = build_block(2)
    harness.receive(None, nullification(1), finalization(second))
    harness.feed(BodyAvailable(second))
    assert harness.of(DropJudgement) == [DropJudgement(ONE.header.digest())]
    judge(harness, ONE)
    assert harness.last == ()


# Repair, observers, chain sync.


def test_status_is_told_periodically_and_to_every_new_peer() -> None:
    """Also when a connection comes back."""
    harness = CoreHarness()
    fire(harness, TimerId.STATUS, view=0)
    assert harness.of(Broadcast) == [Broadcast(harness.core.status())]
    assert [effect.timer for effect in harness.of(SetTimer)] == [TimerId.STATUS]
    harness.feed(PeerUp(ValidatorIndex(2)))
    assert harness.sent_to(2) == [harness.core.status()]
    harness.feed(PeerDown(ValidatorIndex(2)))
    assert harness.last == ()


def test_a_leader_answers_a_status_with_its_proposal_too() -> None:
    """To those who may lack it, and at most once in a while."""
    harness = lead()
    harness.feed(Built(View(1), NETWORK_ID, ONE))
    status = Status(Epoch(0), View(1), View(0), Height(0), View(0))
    peer = (LEADER + 1) % 4
    harness.receive(peer, status)
    assert harness.sent_to(peer) == [build_proposal(ONE).leader_vote, build_proposal(ONE)]
    harness.receive(peer, status)
    assert harness.last == ()
    harness.now_ms += 1_000
    harness.receive(peer, dataclasses.replace(status, view=View(9)))
    assert harness.sent_to(peer) == [build_proposal(ONE).leader_vote]
    harness.receive(None, status)
    assert harness.last == ()


def test_requests_for_certificates_are_answered_to_validators() -> None:
    """A node that does not vote has no place to send to."""
    harness = CoreHarness(FOLLOWER)
    harness.receive(None, nullification(1))
    request = CertificateRequest(Epoch(0), View(1), View(9))
    harness.receive(LEADER, request)
    assert harness.of(Send) == [Send(ValidatorIndex(LEADER), nullification(1))]
    harness.receive(None, request)
    assert harness.last == ()


def test_votes_of_others_than_their_signer_are_reported() -> None:
    """Provable only where the sender has an index."""
    harness = CoreHarness(FOLLOWER)
    vote = sign(build_subject(NULLIFY, 1), LEADER)
    harness.receive(OTHERS[0] if OTHERS[0] != LEADER else OTHERS[1], vote)
    assert [fault.provable for fault in harness.of(ReportFault)] == [True]
    harness.receive(None, vote)
    assert [fault.provable for fault in harness.of(ReportFault)] == [False]
    harness.receive(LEADER, sign(build_subject(NULLIFY, 500), LEADER))
    assert harness.last == ()


def test_an_observer_follows_and_never_votes() -> None:
    """It takes in what all others send and hands out the same chain."""
    harness = CoreHarness(None)
    harness.receive(LEADER, build_proposal(ONE))
    harness.receive(None, notarization(ONE), finalization(ONE))
    harness.feed(WorkDue(True), BodyAvailable(ONE))
    assert [effect.blocks for effect in harness.of(Finalized)] == [(ONE,)]
    for peer in range(4):
        harness.receive(peer, sign(build_subject(NULLIFY, 2), peer))
    fire(harness, TimerId.HEART)
    assert harness.core.view == 3
    assert harness.votes() == []


def test_chain_sync_moves_the_floor_without_handing_out() -> None:
    """The driver hands those blocks out; ours go on above."""
    harness = CoreHarness(FOLLOWER)
    harness.receive(None, notarization(ONE))
    harness.feed(SyncedTo(TWO, finalization(TWO)))
    assert harness.of(Finalized) == []
    assert Persist(finalization(TWO)) in harness.last
    assert (harness.core.view, harness.core.final_view, harness.core.delivered_height) == (3, 2, 2)
    harness.feed(SyncedTo(ONE, finalization(ONE)))
    assert harness.last == ()
    harness.receive(None, finalization(THREE))
    harness.feed(BodyAvailable(THREE))
    assert [effect.blocks for effect in harness.of(Finalized)] == [(THREE,)]


def test_chain_sync_below_the_final_view_lets_waiting_blocks_out() -> None:
    """Finality was known, the bodies between were not."""
    harness = CoreHarness(FOLLOWER)
    harness.receive(None, finalization(THREE))
    harness.feed(BodyAvailable(THREE))
    assert harness.of(Finalized) == []
    harness.feed(SyncedTo(TWO, finalization(TWO)))
    assert [effect.blocks for effect in harness.of(Finalized)] == [(THREE,)]


@pytest.mark.parametrize(
    "certificate",
    [
        notarization(TWO),
        finalization(ONE),
        dataclasses.replace(finalization(TWO), signatures=()),
    ],
)
def test_a_synced_block_needs_its_own_finalization(certificate: Certificate) -> None:
    """The core believes nobody, not even the part that synced."""
    harness = CoreHarness(FOLLOWER)
    harness.feed(SyncedTo(TWO, certificate))
    assert len(harness.of(ReportFault)) == 1
    assert harness.core.final_view == 0


def test_a_synced_block_of_another_epoch_is_ignored() -> None:
    """It is another core's."""
    harness = CoreHarness(FOLLOWER)
    harness.feed(SyncedTo(TWO, certify(build_subject(FINALIZE, 2, TWO.header.digest(), epoch=1))))
    assert harness.last == ()


# Restarting.


def test_a_recorded_proposal_is_sent_again_and_no_other_is_built() -> None:
    """Never a second block in a view with a notarize record."""
    vote = build_proposal(ONE).leader_vote
    harness = CoreHarness(LEADER, recovered=Recovered(votes=(vote,), blocks=(ONE,)))
    assert Broadcast(build_proposal(ONE)) in harness.last
    harness.feed(WorkDue(True))
    assert harness.of(RequestBuild) == []
    assert TimerId.ADVANCE in {effect.timer for effect in harness.log if isinstance(effect, SetTimer)}


def test_a_leader_whose_recorded_block_is_gone_waits_for_the_others() -> None:
    """It builds nothing in its place."""
    vote = build_proposal(ONE).leader_vote
    harness = CoreHarness(LEADER, recovered=Recovered(votes=(vote,)))
    harness.feed(WorkDue(True))
    assert harness.of(RequestBuild) == []
    fire(harness, TimerId.BUILD)
    fire(harness, TimerId.PROPOSE)
    assert [vote.subject.kind for vote in harness.votes(NULLIFY)] == [NULLIFY]


def test_a_recorded_nullify_vote_is_repeated_and_counted() -> None:
    """Its retry timer runs again; the votes of two others complete the certificate."""
    vote = sign(build_subject(NULLIFY, 1), FOLLOWER)
    harness = CoreHarness(FOLLOWER, recovered=Recovered(votes=(vote,)))
    assert Broadcast(vote) in harness.last
    assert harness.of(Persist) == []
    assert TimerId.RETRY in {effect.timer for effect in harness.of(SetTimer)}
    for peer in OTHERS[:2]:
        harness.receive(peer, sign(build_subject(NULLIFY, 1), peer))
    assert harness.core.view == 2


def test_what_was_final_but_not_handed_out_is_handed_out_after_the_restart() -> None:
    """Once, from the height where the chain on disk ends."""
    recovered = Recovered(certificates=(finalization(TWO),), blocks=(ONE, TWO))
    harness = CoreHarness(FOLLOWER, recovered=recovered)
    assert [effect.blocks for effect in harness.of(Finalized)] == [(ONE, TWO)]


def test_a_restored_notarization_is_finalized_and_extended() -> None:
    """Its block is the tip, and a missing one is fetched."""
    recovered = Recovered(certificates=(notarization(ONE),), blocks=(ONE,))
    harness = CoreHarness(FOLLOWER, recovered=recovered)
    assert TipChanged(ONE.header.digest()) in harness.last
    assert [vote.subject.kind for vote in harness.votes()] == [FINALIZE]
    harness = CoreHarness(FOLLOWER, recovered=Recovered(certificates=(notarization(ONE),)))
    assert [effect.digest for effect in harness.of(FetchBody)] == [ONE.header.digest()]


def test_below_its_guard_a_node_says_nothing() -> None:
    """It may have voted there before it lost its log."""
    harness = CoreHarness(FOLLOWER, recovered=Recovered(guard=View(1)))
    harness.receive(LEADER, build_proposal(ONE))
    judge(harness, ONE)
    fire(harness, TimerId.ADVANCE)
    harness.receive(None, notarization(ONE))
    assert harness.votes() == []
    harness.receive(build_leader(2), build_proposal(TWO, parent=notarization(ONE)))
    judge(harness, TWO)
    assert [vote.subject.view for vote in harness.votes()] == [2]


def test_the_memory_of_old_unfinished_blocks_is_bounded() -> None:
    """A proposal of a view long gone without certificate is forgotten, and its judgement dropped."""
    harness = CoreHarness(FOLLOWER)
    harness.receive(LEADER, build_proposal(ONE))
    dropped = []
    for view in range(1, 80):
        harness.receive(None, nullification(view))
        dropped += harness.of(DropJudgement)
    assert dropped == [DropJudgement(ONE.header.digest())]


def test_the_headers_of_a_leader_that_proposes_twice_are_kept_for_the_curious() -> None:
    """At most two a view."""
    harness = CoreHarness(FOLLOWER)
    assert harness.core.headers_proposed(View(1)) == ()
    assert harness.core.headers_proposed(View(2)) == ()
    blocks = [build_block(1, payload=payload) for payload in (b"", b"a", b"b")]
    for number, block in enumerate(blocks):
        harness.receive(LEADER, build_proposal(block))
        assert len(harness.core.headers_proposed(View(1))) == min(number + 1, 2)
    assert harness.core.headers_proposed(View(1)) == (blocks[0].header, blocks[1].header)


def test_blocks_of_archived_views_outlive_a_restart() -> None:
    """They are certified, though their views are far below: what is built on them needs them."""
    recovered = Recovered(
        certificates=(notarization(ONE), notarization(TWO), *(nullification(view) for view in range(3, 400))),
        blocks=(ONE, TWO),
    )
    harness = CoreHarness(FOLLOWER, recovered=recovered)
    harness.receive(None, nullification(400), finalization(TWO))
    assert harness.of(Finalized) == [Finalized((ONE, TWO), finalization(TWO))]


def test_a_node_that_has_just_started_does_not_take_its_leader_for_silent() -> None:
    """It has listened for no time at all, whatever its clock says."""
    harness = CoreHarness(FOLLOWER, is_started=False)
    harness.now_ms = 10**9
    harness.feed(Started())
    for peer in OTHERS:
        if peer != LEADER:
            harness.receive(peer, Status(Epoch(0), View(1), View(0), Height(0), View(0)))
    harness.feed(WorkDue(True))
    assert harness.votes() == []
    harness.now_ms += Timing().skip_ms
    for peer in OTHERS:
        if peer != LEADER:
            harness.receive(peer, Status(Epoch(0), View(1), View(0), Height(0), View(0)))
    harness.receive(None, nullification(1), nullification(2), nullification(3), nullification(4))
    harness.feed(WorkDue(True))
    assert [vote.subject.view for vote in harness.votes()] == [5], "the same leader, now silent for long enough"


def test_a_synced_block_that_was_judged_invalid_here_stops_the_node() -> None:
    """A quorum says otherwise: our execution differs."""
    harness = CoreHarness(FOLLOWER)
    harness.receive(LEADER, build_proposal(ONE))
    judge(harness, ONE, ok=False)
    harness.feed(SyncedTo(ONE, finalization(ONE)))
    assert len(harness.of(Halt)) == 1


def test_a_certificate_shown_twice_in_one_step_is_recorded_once() -> None:
    """As the parent's and as the proof of the executed height."""
    above = change_header(build_block(2, parent=ONE), executed_height=1)
    harness = CoreHarness(FOLLOWER, recovered=Recovered(blocks=(ONE,)))
    final = finalization(ONE)
    harness.receive(build_leader(2), build_proposal(above, parent=final, executed=final))
    assert harness.of(Persist) == [Persist(final)]


def test_an_observer_arms_no_timer_that_only_votes_come_of() -> None:
    """It neither proposes nor gives up."""
    harness = CoreHarness(None)
    harness.feed(WorkDue(True))
    fire(harness, TimerId.HEART)
    assert [effect for effect in harness.log if isinstance(effect, SetTimer) and effect.timer is TimerId.ADVANCE] == []


def test_a_verdict_is_given_once() -> None:
    """What comes after it is nobody's answer."""
    harness = follow(ONE)
    judge(harness, ONE, ok=False)
    assert harness.last == ()
    harness.receive(None, notarization(ONE))
    assert harness.of(Halt) == []


def test_a_leader_builds_on_a_block_that_was_synced() -> None:
    """All that it covers is here."""
    harness = CoreHarness(build_leader(3))
    harness.feed(SyncedTo(TWO, finalization(TWO)), WorkDue(True))
    harness.now_ms += Timing().block_ms
    fire(harness, TimerId.PACE)
    assert [effect.parent for effect in harness.log if isinstance(effect, RequestBuild)] == [TWO]


def test_a_restarted_leader_does_not_have_its_own_block_judged() -> None:
    """It was built here."""
    own = build_proposal(ONE).leader_vote
    harness = CoreHarness(LEADER, recovered=Recovered(votes=(own,), blocks=(ONE,)))
    assert [effect.message for effect in harness.of(Broadcast) if isinstance(effect.message, Proposal)] != []
    assert harness.of(RequestJudgement) == []
