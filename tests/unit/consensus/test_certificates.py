"""Good and bad certificates, and how votes become one."""

import dataclasses

import pytest

from consensus.certificates import Notary
from consensus.messages import Certificate, Subject, Vote, fault_of_subject
from consensus.types import U64_MAX, Digest, Epoch, ValidatorIndex, View
from consensus.view_state import ViewState
from tests.support.core_builders import (
    EPOCH,
    FINALIZE,
    NETWORK_ID,
    NOTARIZE,
    NULLIFY,
    build_digest,
    build_subject,
    certify,
    sign,
)
from tests.support.fake_keys import FakeVerifier

A = build_digest("a")
SUBJECT = build_subject(NOTARIZE, 5, A, parent_view=4)


def build_notary(count: int = 4) -> tuple[Notary, FakeVerifier]:
    verifier = FakeVerifier()
    return Notary(NETWORK_ID, EPOCH, count, verifier), verifier


@pytest.mark.parametrize(
    ("subject", "fault"),
    [
        (SUBJECT, None),
        (build_subject(NULLIFY, 5), None),
        (build_subject(FINALIZE, 5, A), None),
        (build_subject(NOTARIZE, 0, A), "view out of range"),
        (build_subject(NOTARIZE, U64_MAX, A), "view out of range"),
        (build_subject(NOTARIZE, 5, A, parent_view=5), "not below"),
        (build_subject(NOTARIZE, 5, A, parent_view=-1), "not below"),
        (build_subject(NOTARIZE, 5, Digest(b"short")), "wrong length"),
        (build_subject(FINALIZE, 5, A, parent_view=4), "only a notarize"),
        (build_subject(NULLIFY, 5, A), "names a block"),
    ],
)
def test_subjects_have_one_shape_for_each_kind(subject: Subject, fault: str | None) -> None:
    """Two spellings of one thing would be two subjects."""
    found = fault_of_subject(subject)
    assert found is None if fault is None else found is not None and fault in found


def change(**changes: object) -> Certificate:
    return dataclasses.replace(certify(SUBJECT), **changes)  # type: ignore[arg-type] # any field


SIGNATURES = certify(SUBJECT, 0, 1, 2, 3).signatures


@pytest.mark.parametrize(
    ("certificate", "fault"),
    [
        (certify(SUBJECT), None),
        (certify(SUBJECT, 0, 1, 2, 3), None),
        (certify(SUBJECT, 1, 3), "less than a quorum"),
        (change(signatures=()), "less than a quorum"),
        (change(signatures=(SIGNATURES[0], SIGNATURES[0], SIGNATURES[1])), "order or range"),
        (change(signatures=(SIGNATURES[1], SIGNATURES[0], SIGNATURES[2])), "order or range"),
        (certify(SUBJECT, 1, 2, 4), "order or range"),
        (change(signatures=(*SIGNATURES[:2], (ValidatorIndex(3), b"short"))), "wrong length"),
        (change(signatures=(*SIGNATURES[:2], (ValidatorIndex(3), bytes(64)))), "bad signature of validator 3"),
        (change(subject=build_subject(NOTARIZE, 6, A, parent_view=4)), "bad signature"),
        (certify(dataclasses.replace(SUBJECT, epoch=Epoch(1))), "another epoch"),
        (certify(build_subject(NOTARIZE, 5, A, parent_view=7)), "not below"),
    ],
)
def test_a_certificate_is_a_quorum_of_distinct_signers_on_one_subject(
    certificate: Certificate, fault: str | None
) -> None:
    """T-38: indexes, lengths and repeated signers are checked before any signature."""
    found = build_notary()[0].fault_of(certificate, None)
    assert found is None if fault is None else found is not None and fault in found


def test_signatures_verified_as_votes_are_not_verified_again() -> None:
    """But only where every byte is the same."""
    notary, verifier = build_notary()
    state = ViewState(View(5))
    for signer in (0, 1):
        vote = sign(SUBJECT, signer)
        state.add(vote)
        state.mark_verified(vote)
    assert notary.fault_of(certify(SUBJECT), state) is None
    assert verifier.count == 1
    forged = change(signatures=((ValidatorIndex(0), bytes(64)), *SIGNATURES[1:3]))
    assert notary.fault_of(forged, state) == "bad signature of validator 0"


def fill(state: ViewState, *votes: Vote) -> None:
    for vote in votes:
        state.add(vote)


def test_nothing_is_verified_before_a_quorum_is_there_and_then_only_a_quorum() -> None:
    """Lazy verification: q checks a certificate, not n."""
    notary, verifier = build_notary()
    state = ViewState(View(5))
    fill(state, sign(SUBJECT, 3), sign(SUBJECT, 1))
    assert notary.certify(state, SUBJECT) == (None, ())
    assert verifier.count == 0
    fill(state, sign(SUBJECT, 0), sign(SUBJECT, 2))
    certificate, bad = notary.certify(state, SUBJECT)
    assert bad == ()
    assert verifier.count == 3
    assert certificate is not None
    assert [signer for signer, _ in certificate.signatures] == [0, 1, 3]
    assert notary.fault_of(certificate, None) is None


def test_bad_votes_leave_their_slots_and_are_named() -> None:
    """The channel proves who sent them; the good ones wait for more."""
    notary, verifier = build_notary()
    state = ViewState(View(5))
    fill(state, Vote(SUBJECT, ValidatorIndex(0), bytes(64)), sign(SUBJECT, 1), sign(SUBJECT, 2))
    assert notary.certify(state, SUBJECT) == (None, (0,))
    assert state.find_vote(NOTARIZE, ValidatorIndex(0)) is None
    fill(state, sign(SUBJECT, 0))
    count = verifier.count
    certificate, bad = notary.certify(state, SUBJECT)
    assert certificate is not None
    assert bad == ()
    assert verifier.count == count + 1
    assert notary.is_signed(sign(SUBJECT, 0))
