"""What is let in, and what it proves against its sender."""

import dataclasses

import pytest

from consensus.admission import Admission, Admitted
from consensus.certificates import Notary
from consensus.chain import Chain, DisagreementError
from consensus.effects import Effect, ReportEvidence, ReportFault
from consensus.evidence import Equivocation
from consensus.messages import Certificate, Proposal, Subject, Vote
from consensus.types import U64_MAX, Epoch, ValidatorIndex, View
from consensus.view_state import AHEAD_VIEWS_MAX, RETAINED_VIEWS, VOTE_VIEWS_MAX, Views
from tests.support.core_builders import (
    EPOCH,
    FINALIZE,
    NETWORK_ID,
    NOTARIZE,
    NULLIFY,
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
from tests.support.fake_keys import FakeVerifier

A, B = build_digest("a"), build_digest("b")


def evidence(one: Vote, other: Vote) -> ReportEvidence:
    pair = Equivocation.pair(one, other)
    return ReportEvidence(pair.first, pair.second)


class Door:
    """An admission with what it reported."""

    def __init__(self, final_view: int = 0) -> None:
        self.verifier = FakeVerifier()
        self.chain = Chain.from_anchor(build_setup())
        self.chain.final_view = View(final_view)
        self.views = Views()
        self.admission = Admission(Notary(NETWORK_ID, EPOCH, 4, self.verifier), self.views, self.chain)
        self.out: list[Effect] = []

    def admit(self, vote: Vote) -> bool:
        return self.admission.admit_vote(vote, self.out)


def test_a_vote_comes_from_its_signer_alone() -> None:
    """Votes are not relayed, so the channel proves who is wrong."""
    door = Door()
    vote = sign(build_subject(NOTARIZE, 1, A), 1)
    assert door.admission.fault_of_vote(ValidatorIndex(1), vote) is None
    for peer in (ValidatorIndex(2), None):
        assert door.admission.fault_of_vote(peer, vote) == "a vote that is not its sender's"
    stranger = sign(build_subject(NOTARIZE, 1, A), 7)
    assert door.admission.fault_of_vote(ValidatorIndex(7), stranger) is not None
    short = dataclasses.replace(vote, signature=b"short")
    assert door.admission.fault_of_vote(ValidatorIndex(1), short) == "signature of a wrong length"
    assert door.admission.fault_of_vote(ValidatorIndex(1), sign(build_subject(NULLIFY, 1, A), 1)) is not None


@pytest.mark.parametrize(
    ("view", "current", "final", "is_wanted"),
    [
        (10, 10, 9, True),
        (10 + AHEAD_VIEWS_MAX, 10, 9, True),
        (11 + AHEAD_VIEWS_MAX, 10, 9, False),
        (20 - RETAINED_VIEWS, 30, 20, True),
        (19 - RETAINED_VIEWS, 30, 20, False),
        (200 - VOTE_VIEWS_MAX, 200, 20, True),
        (199 - VOTE_VIEWS_MAX, 200, 20, False),
        (20, 200, 20, True),
    ],
)
def test_votes_are_kept_in_a_window_of_views(view: int, current: int, final: int, is_wanted: bool) -> None:
    """A flood of votes for far views takes no memory, and is no fault either."""
    admission = Door(final).admission
    assert admission.is_wanted(build_subject(NULLIFY, view), View(current)) is is_wanted
    assert not admission.is_wanted(build_subject(NULLIFY, view, epoch=1), View(current))


def test_an_identical_vote_is_ignored() -> None:
    """Re-sending is normal."""
    door = Door()
    vote = sign(build_subject(NOTARIZE, 1, A), 1)
    assert door.admit(vote)
    assert not door.admit(vote)
    assert not door.admit(dataclasses.replace(vote, signature=bytes(64)))
    assert door.out == []
    assert door.verifier.count == 0


def test_equivocating_signer_is_reported_once_and_its_first_vote_stays() -> None:
    """Both signatures are verified before anybody is accused."""
    door = Door()
    first, second = (sign(build_subject(NOTARIZE, 1, digest), 1) for digest in (A, B))
    assert door.admit(first)
    assert not door.admit(second)
    assert not door.admit(second)
    assert door.out == [evidence(first, second)]


def test_nullify_and_finalize_of_one_view_are_evidence() -> None:
    """Each in its own slot; the pair excludes itself."""
    door = Door()
    first, second = sign(build_subject(NULLIFY, 1), 1), sign(build_subject(FINALIZE, 1, A), 1)
    assert door.admit(first)
    assert door.admit(second)
    assert door.out == [evidence(first, second)]


def test_finalize_of_another_block_than_notarized_is_evidence() -> None:
    """Whichever comes first."""
    for order in (1, -1):
        door = Door()
        votes = [sign(build_subject(NOTARIZE, 1, A), 1), sign(build_subject(FINALIZE, 1, B), 1)][::order]
        assert [door.admit(vote) for vote in votes] == [True, True]
        assert door.out == [evidence(*votes)]


def test_notarize_with_nullify_or_finalize_of_the_same_block_is_no_evidence() -> None:
    """All three of an honest validator's kinds may meet, but for nullify with finalize."""
    door = Door()
    for kind in (NOTARIZE, NULLIFY):
        assert door.admit(sign(build_subject(kind, 1, A if kind == NOTARIZE else build_subject(NULLIFY, 1).digest), 1))
    assert door.admit(sign(build_subject(NOTARIZE, 2, A), 1))
    assert door.admit(sign(build_subject(FINALIZE, 2, A), 1))
    assert door.out == []


def test_a_badly_signed_contradiction_accuses_nobody_of_equivocation() -> None:
    """It is a fault of its sender, and the good vote keeps or gets the slot."""
    door = Door()
    good = sign(build_subject(NOTARIZE, 1, A), 1)
    bad = Vote(build_subject(NOTARIZE, 1, B), ValidatorIndex(1), bytes(64))
    fault = ReportFault(ValidatorIndex(1), "badly signed vote", provable=True)
    assert door.admit(good)
    assert not door.admit(bad)
    assert door.out == [fault]
    assert door.views.at(View(1)).find_vote(NOTARIZE, ValidatorIndex(1)) is good

    door = Door()
    assert door.admit(bad)
    assert door.admit(good)
    assert door.out == [fault]
    assert door.views.at(View(1)).find_vote(NOTARIZE, ValidatorIndex(1)) is good

    door = Door()
    assert door.admit(sign(build_subject(NULLIFY, 1), 1))
    assert not door.admit(Vote(build_subject(FINALIZE, 1, A), ValidatorIndex(1), bytes(64)))
    assert door.out == [fault]


def test_a_tally_waits_for_a_quorum_and_stops_at_a_certificate() -> None:
    """No second certificate of a kind, and none for what is final already."""
    door = Door()
    subject = build_subject(NULLIFY, 1)
    assert door.admission.tally(subject, door.out) is None
    for signer in range(3):
        door.admit(sign(subject, signer))
    certificate = door.admission.tally(subject, door.out)
    assert certificate == nullification(1)
    door.views.at(View(1)).certificates[NULLIFY] = nullification(1)
    assert door.admission.tally(subject, door.out) is None
    door.views.at(View(1)).certificates.clear()
    door.chain.final_view = View(1)
    assert door.admission.tally(subject, door.out) is None


def test_certificates_may_come_from_anyone_and_known_ones_cost_nothing() -> None:
    """Dropped before any signature is verified."""
    door = Door()
    certificate = nullification(1)
    assert door.admission.admit_certificate(None, certificate, door.out) is Admitted.NEW
    door.views.at(View(1)).certificates[NULLIFY] = certificate
    count = door.verifier.count
    assert door.admission.admit_certificate(None, nullification(1, 1, 2, 3), door.out) is Admitted.KNOWN
    another = certify(build_subject(NULLIFY, 9, epoch=1))
    assert door.admission.admit_certificate(None, another, door.out) is Admitted.KNOWN
    door.chain.final_view = View(20)
    assert door.admission.admit_certificate(None, nullification(7), door.out) is Admitted.KNOWN
    assert door.verifier.count == count
    assert door.out == []


def test_a_bad_certificate_is_its_senders_fault() -> None:
    """An honest node verifies what it relays; a node that does not vote has no index to mute."""
    door = Door()
    bad = dataclasses.replace(nullification(1), signatures=nullification(1).signatures[:2])
    for peer in (ValidatorIndex(2), None):
        assert door.admission.admit_certificate(peer, bad, door.out) is Admitted.BAD
        assert door.out[-1] == ReportFault(peer, "bad certificate: less than a quorum", provable=peer is not None)


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    "pair",
    [
        (notarization(build_block(3)), notarization(change_header(build_block(3), timestamp_ms=5))),
        (finalization(build_block(3)), nullification(3)),
        (finalization(build_block(3)), notarization(change_header(build_block(3), timestamp_ms=5))),
    ],
)
def test_certificates_that_exclude_one_another_are_never_resolved(
    pair: tuple[Certificate, Certificate], order: int
) -> None:
    """More than f are faulty: the node must stop, with both at hand."""
    door = Door()
    held, met = pair[::order]
    door.views.at(View(3)).certificates[held.subject.kind] = held
    with pytest.raises(DisagreementError, match="exclude one another") as caught:
        door.admission.admit_certificate(None, met, door.out)
    assert caught.value.certificate is met


def test_certificates_that_go_together_are_let_in() -> None:
    """A view may be notarized and nullified; a final one is notarized."""
    for held, met in [
        (notarization(build_block(3)), nullification(3)),
        (notarization(build_block(3)), finalization(build_block(3))),
    ]:
        door = Door()
        door.views.at(View(3)).certificates[held.subject.kind] = held
        assert door.admission.admit_certificate(None, met, door.out) is Admitted.NEW


def fault_of(proposal: Proposal, *, peer: int | None = None, door: Door | None = None) -> str | None:
    leader = build_leader(proposal.view)
    sender = leader if peer is None else ValidatorIndex(peer)
    return (door or Door()).admission.fault_of_proposal(sender, proposal, leader)


def test_a_good_proposal_has_no_fault_and_is_verified_once() -> None:
    """P1."""
    door = Door()
    proposal = build_proposal(build_block(1))
    assert fault_of(proposal, door=door) is None
    assert door.verifier.count == 1
    door.admit(proposal.leader_vote)
    door.views.at(View(1)).mark_verified(proposal.leader_vote)
    assert fault_of(proposal, door=door) is None
    assert door.verifier.count == 1


def test_a_proposal_must_come_from_its_leader_over_its_own_block_and_well_signed() -> None:
    """P1: each by itself."""
    block = build_block(1)
    good = build_proposal(block)
    leader = build_leader(1)
    assert fault_of(good, peer=(leader + 1) % 4) == "not from the leader of its view"
    unsigned = dataclasses.replace(good, leader_vote=dataclasses.replace(good.leader_vote, signature=bytes(64)))
    assert fault_of(unsigned) == "badly signed"
    other = dataclasses.replace(good, block=change_header(block, timestamp_ms=7))
    assert fault_of(other) == "the leader's vote is for another block"
    wide = dataclasses.replace(good, block=change_header(block, timestamp_ms=U64_MAX + 1))
    assert fault_of(wide) == "header out of range"
    foreign = dataclasses.replace(good, leader_vote=sign(good.leader_vote.subject, (leader + 1) % 4))
    assert fault_of(foreign) == "a vote that is not its sender's"
    assert fault_of(dataclasses.replace(good, view=View(5))) is not None
    assert Epoch(0) == EPOCH


@pytest.mark.parametrize(
    ("held", "certified"),
    [
        (build_subject(NOTARIZE, 3, A), build_subject(NOTARIZE, 3, B)),
        (build_subject(FINALIZE, 3, A), build_subject(FINALIZE, 3, B)),
        (build_subject(NULLIFY, 3), build_subject(FINALIZE, 3, B)),
        (build_subject(FINALIZE, 3, A), build_subject(NULLIFY, 3)),
        (build_subject(NOTARIZE, 3, A), build_subject(FINALIZE, 3, B)),
        (build_subject(FINALIZE, 3, A), build_subject(NOTARIZE, 3, B)),
    ],
)
def test_a_vote_that_excludes_one_inside_a_certificate_is_evidence(held: Subject, certified: Subject) -> None:
    """T-17: each half of the network sees only one of an equivocator's votes by itself."""
    door = Door()
    door.admit(sign(held, 1))
    certificate = certify(certified, 0, 1, 2)
    assert door.admission.admit_certificate(None, certificate, door.out) is Admitted.NEW
    assert door.out == [evidence(sign(held, 1), sign(certified, 1))]
    door.admission.admit_certificate(None, certificate, door.out)
    assert len(door.out) == 1, "once"


def test_what_is_legal_beside_a_certificate_is_no_evidence_and_a_forged_vote_is_its_senders_fault() -> None:
    """Notarize beside nullify is legal; a vote that nobody signed proves nothing against its name."""
    door = Door()
    door.admit(sign(build_subject(NULLIFY, 3), 1))
    door.admit(sign(build_subject(NOTARIZE, 3, B), 2))
    door.admission.admit_certificate(None, certify(build_subject(NOTARIZE, 3, B)), door.out)
    assert door.out == []
    door.admit(Vote(build_subject(FINALIZE, 4, A), ValidatorIndex(1), bytes(64)))
    door.admission.admit_certificate(None, certify(build_subject(FINALIZE, 4, B)), door.out)
    assert [type(effect) for effect in door.out] == [ReportFault]


def test_certificates_of_archived_views_are_held_against_new_ones() -> None:
    """Only what they said is left of them, and that is enough."""
    door = Door()
    door.views.put(nullification(3))
    door.views.put(notarization(build_block(4)))
    door.views.put(notarization(build_block(5)))
    door.views.prune(final_view=View(0), current=View(900))
    assert door.views.find(View(4)) is None
    assert door.admission.admit_certificate(None, nullification(3), door.out) is Admitted.KNOWN
    assert door.admission.admit_certificate(None, notarization(build_block(4)), door.out) is Admitted.KNOWN
    assert door.admission.admit_certificate(None, nullification(4), door.out) is Admitted.NEW
    door.views.put(nullification(6))
    door.views.put(notarization(build_block(6)))
    with pytest.raises(DisagreementError):
        door.admission.admit_certificate(None, finalization(build_block(6)), door.out)
    for rival in (
        finalization(build_block(3)),
        finalization(build_block(4, payload=b"other")),
        notarization(build_block(4, payload=b"other")),
    ):
        with pytest.raises(DisagreementError):
            door.admission.admit_certificate(None, rival, door.out)
    assert door.out == []
