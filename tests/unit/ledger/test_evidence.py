"""node.ledger.evidence, and evidence as blocks are executed."""

import dataclasses

import pytest

from consensus.evidence import Equivocation
from consensus.messages import Subject, Vote, VoteKind
from consensus.scheme import vote_signing_bytes
from consensus.types import ZERO_DIGEST, Digest, Epoch, ValidatorIndex, View
from node.ledger.batch import Batch
from node.ledger.changes import ChangeMember, SetParameters, sign_rotation
from node.ledger.evidence import (
    Evidence,
    ForkEvidence,
    RosterVerifier,
    VoteEvidence,
    decode_evidence,
    describe_kind,
    find_fault,
    pair_batches,
)
from node.ledger.roster import Parameters
from node.ledger.state import EvidenceRow
from node.ledger.transaction import Kind
from node.ledger.verdicts import TransactionCode
from node.wire.codec import MalformedError, Packable, pack, unpack
from node.wire.ids import FeedNumber, MemberId
from tests.support.governed import GovernedLedger
from tests.support.networks import build_batch, build_genesis, build_key, build_transaction

GENESIS = build_genesis(validators=4, members=1)
ROSTER = GENESIS.roster
RECORD = GENESIS.epoch_record
LIAR = MemberId("firm-2")
INDEX = ROSTER.validators.index(LIAR)
ONE, TWO = Digest(b"\1" * 32), Digest(b"\2" * 32)
ACCEPTED, UNPROVEN = TransactionCode.ACCEPTED, TransactionCode.EVIDENCE_UNPROVEN


def vote(kind: VoteKind, digest: Digest, *, view: int = 5, epoch: int = 0, key: str = LIAR) -> Vote:
    """A vote of the liar's place, signed by whose key is wanted."""
    parent = View(view - 1) if kind is VoteKind.NOTARIZE else View(0)
    subject = Subject(kind, Epoch(epoch), View(view), parent, digest)
    return Vote(subject, ValidatorIndex(INDEX), build_key(key).sign(vote_signing_bytes(GENESIS.network_id, subject)))


def votes(*, view: int = 5, epoch: int = 0, key: str = LIAR) -> VoteEvidence:
    """Two blocks notarized in one view."""
    return VoteEvidence(
        Equivocation.pair(
            vote(VoteKind.NOTARIZE, TWO, view=view, epoch=epoch, key=key),
            vote(VoteKind.NOTARIZE, ONE, view=view, epoch=epoch, key=key),
        )
    )


def batch(nonce: int, *, seq: int = 0, member: str = LIAR) -> Batch:
    """A batch at a place, one of many."""
    return build_batch(
        GENESIS, build_transaction(GENESIS, member=member, nonce=nonce), member=member, seq=seq, previous=ZERO_DIGEST
    )


def fork(*, seq: int = 0, epoch: int = 0) -> ForkEvidence:
    """Two batches at one place."""
    return pair_batches(Epoch(epoch), batch(1, seq=seq), batch(2, seq=seq))


NULLIFIED = VoteEvidence(Equivocation.pair(vote(VoteKind.FINALIZE, ONE), vote(VoteKind.NULLIFY, ZERO_DIGEST)))


@pytest.mark.parametrize(
    ("evidence", "kind"), [(votes(), "notarize+notarize"), (NULLIFIED, "nullify+finalize"), (fork(), "fork")]
)
def test_evidence_comes_back_from_its_bytes_and_convinces(evidence: Evidence, kind: str) -> None:
    """Whoever knows the roster can judge it alone."""
    assert decode_evidence(evidence.encode()) == evidence
    assert find_fault(evidence, GENESIS.network_id, RECORD) is None
    assert evidence.find_signer(ROSTER) == LIAR
    assert describe_kind(evidence) == kind


def test_two_batches_make_one_evidence_whoever_saw_which_first() -> None:
    """One misdeed by two given things has one encoding."""
    one, other = batch(1), batch(2)
    assert pair_batches(Epoch(0), one, other) == pair_batches(Epoch(0), other, one)


def test_signatures_of_another_key_prove_nothing() -> None:
    """Nor those of another network, another epoch, or a feed that was not the member's."""
    assert find_fault(votes(key="firm-1"), GENESIS.network_id, RECORD) is not None
    assert find_fault(votes(epoch=1), GENESIS.network_id, RECORD) == "a vote of another epoch"
    forked = fork()
    bad = dataclasses.replace(forked, second=dataclasses.replace(forked.second, signature=bytes(64)))
    assert find_fault(bad, GENESIS.network_id, RECORD) == "a signature that is not the signer's"
    assert find_fault(forked, Digest(bytes(32)), RECORD) == "of another network"
    assert find_fault(fork(epoch=1), GENESIS.network_id, RECORD) == "not the member's feed in that epoch"
    stranger = pair_batches(Epoch(0), batch(1, member="ghost"), batch(2, member="ghost"))
    assert find_fault(stranger, GENESIS.network_id, RECORD) == "not the member's feed in that epoch"
    assert not RosterVerifier(()).verify(ValidatorIndex(0), b"", bytes(64))


def fields(evidence: Evidence) -> list[Packable]:
    """The unpacked evidence, to be spoilt."""
    return list(unpack(evidence.encode(), what="evidence"))  # type: ignore[arg-type]  # What was packed.


V, F = fields(votes()), fields(fork())
OTHER_PLACE = fields(fork(seq=1))
LEGAL = [1, *fields(VoteEvidence(Equivocation(vote(VoteKind.NOTARIZE, ONE), vote(VoteKind.NULLIFY, ZERO_DIGEST))))[1:]]


@pytest.mark.parametrize(
    "value",
    [
        [],
        [3, *V[1:]],
        [True, *V[1:]],
        [1, V[2], V[1]],
        [1, V[1], V[1]],
        [1, V[1]],
        LEGAL,
        [1, V[1], fields(votes(view=6))[2]],
        [1, [[1, 0, 0, 0, ONE], 0, bytes(64)], V[1]],
        [2, F[1], F[4], F[5], F[2], F[3]],
        [2, F[1], F[2], F[3], F[2], F[3]],
        [2, F[1], F[2], F[3], OTHER_PLACE[4], OTHER_PLACE[5]],
        [2, -1, *F[2:]],
        [2, F[1], F[2], b"short", *F[4:]],
        [2, F[1], [1, 2], *F[3:]],
        [2, F[1], F[2], F[3], F[4], b"x" * 3000],
    ],
)
def test_what_proves_nothing_by_its_shape_is_malformed(value: list[Packable]) -> None:
    """Before any signature is verified."""
    with pytest.raises(MalformedError):
        decode_evidence(pack(value))


@pytest.fixture
def ledger() -> GovernedLedger:
    """The network that the evidence is of."""
    return GovernedLedger(GENESIS)


def report(ledger: GovernedLedger, evidence: Evidence, *, member: str = "firm-0") -> TransactionCode:
    """Put the evidence on the ledger."""
    (code,) = ledger.run(ledger.transaction(member, Kind.EVIDENCE, evidence.encode()))
    return code


@pytest.mark.parametrize("evidence", [votes(), fork()])
def test_evidence_on_the_ledger_is_counted_once(ledger: GovernedLedger, evidence: Evidence) -> None:
    """Whoever reports it, within a block and across blocks; the first report is kept."""
    first = ledger.transaction("firm-0", Kind.EVIDENCE, evidence.encode())
    second = ledger.transaction("firm-1", Kind.EVIDENCE, evidence.encode())
    assert ledger.run(first, second) == [ACCEPTED, TransactionCode.EVIDENCE_KNOWN]
    assert report(ledger, evidence, member="firm-3") is TransactionCode.EVIDENCE_KNOWN
    (row,) = ledger.state.evidence.values()
    assert row == EvidenceRow(evidence.key(LIAR), LIAR, evidence, MemberId("firm-0"), first.id, row.height)
    assert row.height == 1


def test_evidence_moves_the_state_digest() -> None:
    """What is proven is agreed on."""
    one, other = GovernedLedger(GENESIS), GovernedLedger(GENESIS)
    signed = one.transaction("firm-0", Kind.EVIDENCE, votes().encode())
    one.run(signed)
    other.state.evidence[votes().key(LIAR)] = next(iter(one.state.evidence.values()))
    other.run(signed)
    assert one.state.state_digest != other.state.state_digest


def test_other_views_places_and_kinds_are_other_misdeeds(ledger: GovernedLedger) -> None:
    """Each counts."""
    for evidence in (votes(), votes(view=6), NULLIFIED, fork(), fork(seq=1)):
        assert report(ledger, evidence) is ACCEPTED
    assert len(ledger.state.evidence) == 5
    assert [key[0] for key in sorted(ledger.state.evidence)] == [1, 1, 1, 2, 2]


def test_what_is_not_proven_is_rejected(ledger: GovernedLedger) -> None:
    """Bad signatures, and epochs that nobody knows."""
    assert report(ledger, votes(key="firm-1")) is UNPROVEN
    assert report(ledger, votes(epoch=1)) is UNPROVEN
    assert report(ledger, fork(epoch=7)) is UNPROVEN
    assert report(ledger, pair_batches(Epoch(0), batch(1, member="ghost"), batch(2, member="ghost"))) is UNPROVEN
    beyond = vote(VoteKind.NOTARIZE, ONE), vote(VoteKind.NOTARIZE, TWO)
    nobody = VoteEvidence(Equivocation.pair(*(dataclasses.replace(one, signer=ValidatorIndex(9)) for one in beyond)))
    assert report(ledger, nobody) is UNPROVEN
    assert ledger.state.evidence == {}


def test_votes_expire_with_the_epoch_after_theirs_and_forks_never_do(ledger: GovernedLedger) -> None:
    """Members of that time may be gone; a fork stays a fork."""
    ledger.enact(ChangeMember(LIAR, "x", "", "x:1"))
    assert report(ledger, votes()) is ACCEPTED
    ledger.enact(SetParameters(Parameters(timing="wan")))
    assert report(ledger, votes(view=6)) is TransactionCode.EVIDENCE_EXPIRED
    assert report(ledger, fork()) is ACCEPTED


def test_a_fork_of_a_feed_whose_key_was_rotated_is_judged_by_the_key_of_its_time(ledger: GovernedLedger) -> None:
    """The evidence names an epoch in which the feed was the member's."""
    ledger.enact(sign_rotation(GENESIS.network_id, LIAR, FeedNumber(1), build_key("later")))
    assert report(ledger, fork(epoch=1)) is UNPROVEN
    assert report(ledger, fork(epoch=0)) is ACCEPTED
