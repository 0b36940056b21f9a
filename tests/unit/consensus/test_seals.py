"""The last block of an epoch: proposed again until it is final, and nothing after it."""

import dataclasses

import pytest

from consensus.core import Core
from consensus.effects import (
    Broadcast,
    EpochEnded,
    FetchBody,
    Finalized,
    Halt,
    Persist,
    ReportFault,
    RequestBuild,
    RequestJudgement,
    SetTimer,
)
from consensus.elector import epoch_shift, leader_of
from consensus.inputs import BodyAvailable, Judged, MessageReceived, Started, SyncedTo, TimerFired, TimerId, WorkDue
from consensus.messages import FLAG_EPOCH_END, Block, Certificate, Proposal, Status
from consensus.recovery import Recovered, Setup
from consensus.timing import Timing
from consensus.types import Epoch, Height, ValidatorIndex, View
from tests.support.core_builders import (
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
SEAL = change_header(build_block(2, parent=ONE), flags=FLAG_EPOCH_END, next_epoch_digest=build_digest("next"))
DIGEST = SEAL.header.digest()
THIRD, FOURTH = build_leader(3), build_leader(4)
VOTER = build_leader(1)
"""Leads views 1 and 5."""


def again(view: int, *, parent_view: int = 2) -> Proposal:
    """Return the seal, proposed once more on the view where it was notarized."""
    parent = notarization(SEAL, view=parent_view, parent_view=1 if parent_view == 2 else 2)
    skipped = tuple(nullification(number) for number in range(view - 1, parent_view, -1))
    return build_proposal(SEAL, parent=parent, nullifications=skipped, view=view)


def stand_at_three(own: int = VOTER, *, with_seal: bool = True) -> CoreHarness:
    """Return a node in view 3 that has block 1, knows that a block was notarized in view 2, and maybe has that."""
    recovered = Recovered(
        certificates=(notarization(ONE), notarization(SEAL)), blocks=(ONE, SEAL) if with_seal else (ONE,)
    )
    return CoreHarness(own, recovered=recovered)


def notarized_views(harness: CoreHarness) -> list[tuple[int, bytes, int]]:
    return [(vote.subject.view, vote.subject.digest, vote.subject.parent_view) for vote in harness.votes(NOTARIZE)]


def test_the_seal_is_voted_for_again_in_a_later_view() -> None:
    """Section 2.3: the same digest, a higher view, on a view where it was notarized."""
    harness = stand_at_three()
    harness.receive(THIRD, again(3))
    assert [effect.parent for effect in harness.of(RequestJudgement)] == [ONE]
    harness.feed(Judged(DIGEST, True))
    assert notarized_views(harness) == [(3, DIGEST, 2)]


def test_a_seal_judged_once_needs_no_second_verdict() -> None:
    """P4 to P6 rest on what the digest covers."""
    harness = CoreHarness(FOURTH, recovered=Recovered(certificates=(notarization(ONE),), blocks=(ONE,)))
    harness.receive(build_leader(2), build_proposal(SEAL, parent=notarization(ONE)))
    harness.feed(Judged(DIGEST, True))
    harness.receive(None, notarization(SEAL))
    harness.receive(THIRD, again(3))
    assert harness.of(RequestJudgement) == []
    assert notarized_views(harness) == [(2, DIGEST, 1), (3, DIGEST, 2)]


def test_a_verdict_that_was_given_up_with_its_view_is_asked_for_anew() -> None:
    """The driver stops judging what was proposed in a view that we left."""
    harness = CoreHarness(FOURTH, recovered=Recovered(certificates=(notarization(ONE),), blocks=(ONE,)))
    harness.receive(build_leader(2), build_proposal(SEAL, parent=notarization(ONE)))
    assert len(harness.of(RequestJudgement)) == 1
    harness.receive(None, notarization(SEAL))
    harness.receive(THIRD, again(3))
    assert [effect.proposal.view for effect in harness.of(RequestJudgement)] == [3]


def test_a_seal_is_not_held_to_the_clock_again() -> None:
    """Section 2.13: what has a certificate is dated well enough."""
    ahead = change_header(SEAL, timestamp_ms=WALL_MS + 3_600_000)
    recovered = Recovered(certificates=(notarization(ONE), notarization(ahead)), blocks=(ONE, ahead))
    harness = CoreHarness(VOTER, recovered=recovered)
    harness.receive(THIRD, build_proposal(ahead, parent=notarization(ahead), view=3))
    harness.feed(Judged(ahead.header.digest(), True))
    assert [vote.subject.view for vote in harness.votes(NOTARIZE)] == [3]


def test_a_seal_proposed_again_needs_no_proof_of_its_executed_height() -> None:
    """It raises nothing: a quorum that notarized it has seen the proof."""
    raised = change_header(SEAL, executed_height=1)
    recovered = Recovered(certificates=(notarization(ONE), notarization(raised)), blocks=(ONE, raised))
    harness = CoreHarness(VOTER, recovered=recovered)
    harness.receive(THIRD, build_proposal(raised, parent=notarization(raised), view=3))
    assert len(harness.of(RequestJudgement)) == 1


def test_views_between_must_be_nullified_for_a_seal_too() -> None:
    """The same duty as for any other parent (lemma C)."""
    harness = stand_at_three()
    harness.receive(None, nullification(3))
    shown = again(4)
    harness.receive(FOURTH, dataclasses.replace(shown, nullifications=()))
    harness.feed(Judged(DIGEST, True))
    assert notarized_views(harness) == [(4, DIGEST, 2)], "the nullification was known here"
    harness = stand_at_three()
    harness.receive(None, nullification(4))
    harness.receive(build_leader(5), dataclasses.replace(again(5), nullifications=(nullification(4),)))
    assert harness.of(RequestJudgement) == [], "view 3 is open"


def test_nothing_else_follows_a_seal() -> None:
    """No block is ever ordered by the wrong validators."""
    harness = stand_at_three()
    harness.receive(THIRD, build_proposal(build_block(3, parent=SEAL), parent=notarization(SEAL)))
    assert harness.votes(NOTARIZE) == []
    assert [vote.subject.view for vote in harness.votes(NULLIFY)] == [3]
    assert harness.of(ReportFault)[0].provable


def test_an_ordinary_block_is_never_proposed_again() -> None:
    """For every other proposal the header's view is the proposal's."""
    harness = stand_at_three()
    older = build_block(2, parent=ONE, payload=b"another")
    skipped = (nullification(2),)
    harness.receive(THIRD, build_proposal(older, parent=notarization(ONE), nullifications=skipped, view=3))
    assert harness.votes(NOTARIZE) == []
    assert "another view" in harness.of(ReportFault)[0].why


def test_a_seal_of_a_later_view_is_refused() -> None:
    """A header cannot be of a view above its proposal's."""
    later = change_header(build_block(4, parent=ONE), flags=FLAG_EPOCH_END)
    harness = stand_at_three()
    harness.receive(THIRD, build_proposal(later, parent=notarization(SEAL), view=3))
    assert "not the block certified" in harness.of(ReportFault)[0].why


def test_a_seal_proposed_again_on_another_block_is_refused() -> None:
    """Its parent's view must be one where it was itself notarized."""
    rival = change_header(SEAL, timestamp_ms=SEAL.header.timestamp_ms + 1)
    harness = stand_at_three()
    harness.receive(THIRD, build_proposal(rival, parent=notarization(SEAL), view=3))
    assert "not the block certified" in harness.of(ReportFault)[0].why
    assert harness.votes(NOTARIZE) == []


def test_the_leader_above_a_seal_proposes_it_again_and_asks_for_no_block() -> None:
    """Once there is a reason: the last block is not final."""
    harness = stand_at_three(THIRD)
    harness.feed(TimerFired(TimerId.TAIL, View(3)))
    assert harness.of(RequestBuild) == []
    proposal = next(effect.message for effect in harness.of(Broadcast) if isinstance(effect.message, Proposal))
    assert (proposal.view, proposal.parent_view, proposal.block) == (3, 2, SEAL)
    assert proposal.parent_certificate == notarization(SEAL)
    assert proposal.executed_certificate is None
    assert isinstance(harness.of(Persist)[0], Persist)


def test_a_leader_judges_the_seal_that_it_proposes_again() -> None:
    """The quorum is believed for the proposal; to be told otherwise by one's own execution still stops the node."""
    harness = stand_at_three(THIRD)
    harness.feed(TimerFired(TimerId.TAIL, View(3)))
    assert len(harness.of(RequestJudgement)) == 1
    harness.feed(Judged(DIGEST, False))
    assert len(harness.of(Halt)) == 1


def test_work_beyond_a_seal_hurries_nobody() -> None:
    """It is for the next epoch: else the leaders would propose the same block in view after view."""
    harness = stand_at_three(THIRD)
    harness.feed(WorkDue(True))
    assert notarized_views(harness) == []


def test_a_leader_without_the_body_of_the_seal_fetches_it_first() -> None:
    """As with any parent."""
    harness = stand_at_three(THIRD, with_seal=False)
    harness.feed(TimerFired(TimerId.TAIL, View(3)))
    assert notarized_views(harness) == []
    harness.feed(BodyAvailable(SEAL))
    assert notarized_views(harness) == [(3, DIGEST, 2)]


def test_a_leader_waits_for_what_lies_below_the_seal() -> None:
    """Else it would vote for a block whose parent it cannot judge it against."""
    recovered = Recovered(certificates=(notarization(ONE), notarization(SEAL)), blocks=(SEAL,))
    harness = CoreHarness(THIRD, recovered=recovered)
    harness.feed(TimerFired(TimerId.TAIL, View(3)))
    assert harness.votes(NOTARIZE) == []
    assert [effect.digest for effect in harness.log if isinstance(effect, FetchBody)] == [ONE.header.digest()]
    harness.feed(BodyAvailable(ONE))
    assert notarized_views(harness) == [(3, DIGEST, 2)]


def test_a_leader_does_not_propose_a_seal_that_is_final_already() -> None:
    """Only what lies below it is missing here; the epoch is over."""
    recovered = Recovered(certificates=(notarization(ONE), finalization(SEAL)), blocks=(SEAL,))
    harness = CoreHarness(THIRD, recovered=recovered)
    harness.feed(TimerFired(TimerId.HEART, View(3)))
    assert harness.votes(NOTARIZE) == []
    harness.feed(BodyAvailable(ONE))
    assert harness.core.is_over


def test_a_restarted_leader_proposes_the_recorded_seal_again() -> None:
    """The vote is on record: the same bytes go out."""
    first = stand_at_three(THIRD)
    first.feed(TimerFired(TimerId.TAIL, View(3)))
    vote = first.votes(NOTARIZE)[0]
    recovered = Recovered(votes=(vote,), certificates=(notarization(ONE), notarization(SEAL)), blocks=(ONE, SEAL))
    harness = CoreHarness(THIRD, recovered=recovered)
    sent = [effect.message for effect in harness.of(Broadcast) if isinstance(effect.message, Proposal)]
    assert [(proposal.view, proposal.block, proposal.leader_vote) for proposal in sent] == [(3, SEAL, vote)]
    assert len(harness.of(RequestJudgement)) == 1, "another had made it"


@pytest.mark.parametrize("view", [2, 3])
def test_the_epoch_ends_right_after_its_last_block_is_handed_out(view: int) -> None:
    """Whatever view finalizes it; from then on the core signs nothing and still helps those behind."""
    harness = stand_at_three()
    certificate = finalization(SEAL, view=view)
    harness.receive(None, certificate)
    shown = [effect for effect in harness.last if isinstance(effect, Finalized | EpochEnded)]
    assert shown == [Finalized((ONE, SEAL), certificate), EpochEnded(DIGEST, certificate)]
    assert harness.core.is_over
    voted = len(harness.votes())
    current = harness.core.view
    harness.feed(
        WorkDue(True), *(TimerFired(timer, current) for timer in (TimerId.HEART, TimerId.TAIL, TimerId.ADVANCE))
    )
    harness.receive(build_leader(current), again(current, parent_view=view))
    for other in range(4):
        harness.receive(other, sign(nullification(current).subject, other))
    assert len(harness.votes()) == voted
    assert harness.of(RequestJudgement) == []
    assert [effect for effect in harness.of(SetTimer) if effect.timer is TimerId.PROPOSE] == []
    harness.receive(FOURTH, Status(Epoch(0), View(1), View(0), Height(0), View(0)))
    assert certificate in harness.sent_to(FOURTH)


def test_a_second_finalization_of_the_seal_changes_nothing() -> None:
    """Several views may finalize the same block."""
    harness = stand_at_three()
    harness.receive(None, finalization(SEAL))
    harness.receive(None, finalization(SEAL, view=3))
    assert harness.of(Finalized) == []
    assert harness.of(EpochEnded) == []
    assert harness.of(Halt) == []


def test_the_epoch_ends_by_chain_sync_too() -> None:
    """The driver has handed the block out itself."""
    harness = CoreHarness(VOTER)
    harness.feed(SyncedTo(SEAL, finalization(SEAL)))
    assert harness.of(EpochEnded) == [EpochEnded(DIGEST, finalization(SEAL))]
    assert harness.core.is_over


def test_a_node_that_crashed_before_the_switch_is_told_again() -> None:
    """The seal was durable, the new epoch was not yet."""
    recovered = Recovered(final_block=SEAL, final_certificate=finalization(SEAL))
    harness = CoreHarness(VOTER, recovered=recovered)
    assert harness.of(EpochEnded) == [EpochEnded(DIGEST, finalization(SEAL))]
    assert harness.core.is_over


def test_a_finalized_seal_whose_body_is_missing_ends_the_epoch_when_it_comes() -> None:
    """Finality does not wait for the body; the end of the epoch does."""
    harness = stand_at_three(with_seal=False)
    harness.receive(None, finalization(SEAL))
    assert not harness.core.is_over
    harness.feed(BodyAvailable(SEAL))
    assert harness.core.is_over


def test_rival_seals_may_be_notarized_and_one_becomes_final() -> None:
    """Section 2.14: branches may carry different seals; the core takes either."""
    rival: Block = change_header(
        build_block(3, parent=ONE), flags=FLAG_EPOCH_END, next_epoch_digest=build_digest("other")
    )
    certificate: Certificate = notarization(rival, parent_view=1)
    harness = stand_at_three()
    harness.receive(None, nullification(2))
    harness.receive(THIRD, build_proposal(rival, parent=notarization(ONE), nullifications=(nullification(2),)))
    harness.feed(Judged(rival.header.digest(), True))
    assert [vote.subject.view for vote in harness.votes(NOTARIZE)] == [3]
    harness.receive(None, certificate)
    harness.receive(None, finalization(rival))
    assert [effect.digest for effect in harness.of(EpochEnded)] == [rival.header.digest()]
    assert harness.of(Halt) == []
    assert [vote.subject.view for vote in harness.votes(FINALIZE)] == [1, 2, 3]


def test_records_of_the_epoch_before_are_left_alone() -> None:
    """A new epoch starts at its anchor, whatever the stores still hold of the old one."""
    old = change_header(ONE, epoch=Epoch(7))
    certificate = finalization(ONE)
    foreign = dataclasses.replace(certificate, subject=dataclasses.replace(certificate.subject, epoch=Epoch(7)))
    harness = CoreHarness(VOTER, recovered=Recovered(final_block=old, final_certificate=foreign, blocks=(old,)))
    assert harness.core.view == 1
    assert harness.core.delivered_height == 0
    assert not harness.core.is_over


def test_started_is_the_only_input_that_tells_an_end_reached_before() -> None:
    """Exactly once in a run."""
    recovered = Recovered(final_block=SEAL, final_certificate=finalization(SEAL))
    harness = CoreHarness(VOTER, recovered=recovered, is_started=False)
    assert len([effect for effect in harness.feed(Started()) if isinstance(effect, EpochEnded)]) == 1
    harness.feed(SyncedTo(SEAL, finalization(SEAL)))
    assert harness.of(EpochEnded) == []


def test_the_anchor_of_an_epoch_does_not_end_it() -> None:
    """It ended the one before: a node that restarts with something final above it goes on."""
    first = change_header(build_block(1), epoch=Epoch(1), height=Height(3), parent_digest=DIGEST, executed_height=2)
    subject = dataclasses.replace(finalization(first).subject, epoch=Epoch(1))
    core = Core(
        Setup(NETWORK_ID, Epoch(1), 4, ValidatorIndex(0), SEAL, DIGEST),
        Timing(),
        Recovered(certificates=(certify(subject),)),
        signer=FakeSigner(ValidatorIndex(0)),
        verifier=FakeVerifier(),
        wall_offset_ms=WALL_MS,
    )
    effects = core.step(Started(), 0)
    assert not core.is_over
    assert not any(isinstance(effect, EpochEnded) for effect in effects)
    effects = core.step(BodyAvailable(first), 0)
    assert Finalized((first,), certify(subject)) in effects
    assert not core.is_over


def test_the_anchor_of_an_epoch_is_no_seal_of_it() -> None:
    """It may not be proposed again in the next epoch: to judge it invalid there would halt every correct node."""
    leader = leader_of(View(3), validator_count=4, shift=epoch_shift(DIGEST))
    own = ValidatorIndex((leader + 1) % 4)
    core = Core(
        Setup(NETWORK_ID, Epoch(1), 4, own, SEAL, DIGEST),
        Timing(),
        Recovered(),
        signer=FakeSigner(own),
        verifier=FakeVerifier(),
        wall_offset_ms=WALL_MS,
    )
    core.step(Started(), 0)
    skipped = tuple(certify(build_subject(NULLIFY, view, epoch=1)) for view in (2, 1))
    vote = sign(build_subject(NOTARIZE, 3, DIGEST, epoch=1), leader)
    for certificate in skipped:
        core.step(MessageReceived(leader, certificate), 0)
    effects = core.step(MessageReceived(leader, Proposal(View(3), SEAL, View(0), None, skipped, None, vote)), 0)
    assert not core.is_halted
    assert [effect.provable for effect in effects if isinstance(effect, ReportFault)] == [True]


def test_a_restarted_leader_waits_for_what_lies_below_the_recorded_seal() -> None:
    """Its vote goes out again, its proposal only with what it can be judged against."""
    first = stand_at_three(THIRD)
    first.feed(TimerFired(TimerId.TAIL, View(3)))
    vote = first.votes(NOTARIZE)[0]
    recovered = Recovered(votes=(vote,), certificates=(notarization(ONE), notarization(SEAL)), blocks=(SEAL,))
    harness = CoreHarness(THIRD, recovered=recovered)
    sent = [effect.message for effect in harness.of(Broadcast)]
    assert vote in sent
    assert not any(isinstance(message, Proposal) for message in sent)
