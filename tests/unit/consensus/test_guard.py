"""Below its guard a node signs nothing new: it may have voted there and forgotten."""

import pytest

from consensus.effects import SetTimer
from consensus.inputs import Guarded, Judged, TimerFired, TimerId, WorkDue
from consensus.messages import Block, Certificate
from consensus.recovery import GUARD_CLOSED, NO_GUARD, Recovered
from consensus.types import View
from tests.support.core_builders import (
    FINALIZE,
    NOTARIZE,
    NULLIFY,
    CoreHarness,
    build_block,
    build_leader,
    build_proposal,
    build_subject,
    finalization,
    notarization,
    nullification,
    sign,
)

ONE = build_block(1)
TWO = build_block(2, parent=ONE)
LEADER = build_leader(1)
FOLLOWER = build_leader(4)


def build_closed(own: int = FOLLOWER, **recovered: object) -> CoreHarness:
    return CoreHarness(own, recovered=Recovered(guard=GUARD_CLOSED, **recovered))  # type: ignore[arg-type] # any field


def take_part(harness: CoreHarness, block: Block, parent: Certificate | None = None) -> None:
    """Everything that makes an open node notarize, nullify and finalize."""
    view = block.header.view
    harness.receive(build_leader(view), build_proposal(block, parent=parent))
    harness.feed(Judged(block.header.digest(), True), WorkDue(True))
    for timer in (TimerId.PROPOSE, TimerId.ADVANCE, TimerId.RETRY, TimerId.BUILD, TimerId.HEART, TimerId.TAIL):
        harness.feed(TimerFired(timer, View(view)))


@pytest.mark.parametrize("own", [LEADER, FOLLOWER])
def test_a_closed_guard_lets_through_no_vote_of_any_kind(own: int) -> None:
    """It follows: certificates and blocks are taken in."""
    harness = build_closed(own)
    harness.feed(WorkDue(True), TimerFired(TimerId.BUILD, View(1)), TimerFired(TimerId.ADVANCE, View(1)))
    if own != LEADER:
        take_part(harness, ONE)
    harness.receive(None, notarization(ONE))
    assert harness.core.view == 2
    assert harness.votes() == []


def test_an_opened_guard_lets_through_views_above_it() -> None:
    """The peers' answers have said up to where we may have voted."""
    harness = build_closed()
    harness.feed(Guarded(View(2)))
    take_part(harness, ONE)
    harness.receive(None, notarization(ONE))
    take_part(harness, TWO, notarization(ONE))
    assert harness.votes() == []
    harness.receive(None, notarization(TWO))
    three = build_block(3, parent=TWO)
    take_part(harness, three, notarization(TWO))
    assert {vote.subject.view for vote in harness.votes()} == {3}


def test_what_could_not_be_done_while_closed_is_done_when_it_opens() -> None:
    """A node that only listened has missed its timers, its turn to notarize and its finalize votes."""
    harness = build_closed()
    take_part(harness, ONE)
    harness.receive(None, notarization(ONE))
    harness.receive(build_leader(2), build_proposal(TWO, parent=notarization(ONE)))
    harness.feed(Judged(TWO.header.digest(), True))
    assert harness.votes() == []
    harness.feed(Guarded(NO_GUARD))
    assert [vote.subject for vote in harness.votes(FINALIZE)] == [build_subject(FINALIZE, 1, ONE.header.digest())]
    assert [vote.subject.view for vote in harness.votes(NOTARIZE)] == [2]


def test_timers_that_fired_while_closed_run_anew_when_it_opens() -> None:
    """Else nobody would ever give the view up."""
    harness = build_closed()
    harness.feed(WorkDue(True), TimerFired(TimerId.PROPOSE, View(1)), TimerFired(TimerId.ADVANCE, View(1)))
    harness.feed(Guarded(NO_GUARD))
    assert {effect.timer for effect in harness.of(SetTimer)} >= {TimerId.PROPOSE, TimerId.ADVANCE}
    harness.feed(TimerFired(TimerId.ADVANCE, View(1)))
    assert [vote.subject.view for vote in harness.votes(NULLIFY)] == [1]


def test_a_guard_rises_and_never_falls() -> None:
    """But for the closed one, which opens; and even then not below what was set before."""
    harness = build_closed()
    for guard in (View(5), View(1), GUARD_CLOSED, NO_GUARD):
        harness.feed(Guarded(guard))
    for view in range(1, 6):
        harness.feed(WorkDue(True), TimerFired(TimerId.ADVANCE, View(view)))
        assert harness.votes() == []
        harness.receive(None, nullification(view))
    harness.feed(WorkDue(True), TimerFired(TimerId.ADVANCE, View(6)))
    assert [vote.subject.view for vote in harness.votes()] == [6]


def test_a_closed_node_sends_its_recorded_votes_again_and_counts_them() -> None:
    """They are no new votes; all others may wait for exactly them."""
    own = sign(build_subject(NULLIFY, 1), FOLLOWER)
    harness = build_closed(votes=(own,))
    assert harness.votes() == [own]
    for other in (LEADER, build_leader(2)):
        harness.receive(other, sign(build_subject(NULLIFY, 1), other))
    assert harness.core.view == 2


def test_a_node_tells_the_highest_certificate_it_holds() -> None:
    """So that a node that lost its votes learns how far it may have voted."""
    harness = CoreHarness(FOLLOWER)
    assert harness.core.highest_certificate() is None
    harness.receive(None, notarization(ONE))
    assert harness.core.highest_certificate() == notarization(ONE)
    harness.receive(None, nullification(7), nullification(3))
    assert harness.core.highest_certificate() == nullification(7)
    final = finalization(build_block(20))
    harness.receive(None, final)
    for view in range(21, 40):
        harness.receive(None, nullification(view))
    harness.receive(None, finalization(build_block(60)))
    assert harness.core.highest_certificate() == finalization(build_block(60))


def test_a_node_tells_the_newest_vote_it_has_seen_of_another() -> None:
    """Even one too old to be counted, or of a certificate alone; never one that is badly signed."""
    harness = CoreHarness(FOLLOWER)
    assert harness.core.newest_vote_of(LEADER) is None
    first = sign(build_subject(NULLIFY, 1), LEADER)
    harness.receive(LEADER, first)
    assert harness.core.newest_vote_of(LEADER) == first
    late = sign(build_subject(NULLIFY, 900), LEADER)
    harness.receive(LEADER, late, first)
    assert harness.core.newest_vote_of(LEADER) == late
    harness.receive(LEADER, type(late)(build_subject(NULLIFY, 901), LEADER, bytes(64)))
    assert harness.core.newest_vote_of(LEADER) is None
    harness.receive(None, nullification(40, 0, 1, 2, 3))
    assert harness.core.newest_vote_of(LEADER) == sign(build_subject(NULLIFY, 40), LEADER)


def test_the_vote_in_a_proposal_is_seen_too() -> None:
    """It is a vote like any other."""
    harness = CoreHarness(FOLLOWER)
    harness.receive(LEADER, build_proposal(ONE))
    assert harness.core.newest_vote_of(LEADER) == build_proposal(ONE).leader_vote


def test_votes_of_another_epoch_are_neither_counted_nor_held_against_anybody() -> None:
    """A node ahead or behind may have another index there."""
    harness = CoreHarness(FOLLOWER)
    foreign = sign(build_subject(NULLIFY, 1, epoch=1), 3)
    assert harness.receive(0, foreign) == ()
    assert harness.receive(None, foreign) == ()
    assert harness.core.newest_vote_of(type(LEADER)(3)) is None


def test_of_two_votes_of_one_view_the_later_one_is_told() -> None:
    """It is the likelier one to be missing in an old log."""
    harness = CoreHarness(FOLLOWER)
    votes = [sign(build_subject(NULLIFY, 1), LEADER), build_proposal(ONE).leader_vote]
    for first, second in (votes, votes[::-1]):
        harness.receive(LEADER, first, second)
        assert harness.core.newest_vote_of(LEADER) == second
