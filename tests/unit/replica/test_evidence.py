"""node.replica.evidence."""

import dataclasses

from consensus.evidence import Equivocation
from consensus.messages import Subject, Vote, VoteKind
from consensus.scheme import vote_signing_bytes
from consensus.types import Digest, Epoch, ValidatorIndex, View
from node.crypto.keys import SigningKey
from node.ledger.evidence import ForkEvidence, SignedHeader, VoteEvidence, pair_batches
from node.ledger.roster import EpochRecord, build_roster
from node.replica.effects import Alarm, Broadcast, Effect, ReportEvidence, ReportFault, ShareFork
from node.replica.evidence import MISDEEDS_PER_MEMBER_MAX, SECOND_HAND_MS, EvidencePool
from node.replica.membership import ValidatorKeys
from node.replica.moment import Moment
from node.wire.ids import MemberId
from node.wire.messages import EvidenceData
from tests.support.networks import build_batch, build_genesis, build_key, build_transaction
from tests.support.replica_rig import ReplicaRig, of_type

GENESIS = build_genesis(members=1)
CULPRIT = GENESIS.roster.validators[1]
SENDER = GENESIS.roster.validators[2]


def build_vote(kind: VoteKind, view: int, name: bytes = b"", key: SigningKey | None = None, epoch: int = 0) -> Vote:
    """A vote of the culprit."""
    digest = Digest(name.ljust(32, b"\0"))
    subject = Subject(kind, Epoch(epoch), View(view), View(0), digest)
    signature = (key or build_key(CULPRIT)).sign(vote_signing_bytes(GENESIS.network_id, subject))
    return Vote(subject, ValidatorIndex(1), signature)


def build_pair(view: int = 3, *, key: SigningKey | None = None, epoch: int = 0) -> tuple[Vote, Vote]:
    """A vote to nullify a view, and one to finalize it."""
    return (
        build_vote(VoteKind.NULLIFY, view, key=key, epoch=epoch),
        build_vote(VoteKind.FINALIZE, view, b"d", key=key, epoch=epoch),
    )


class Rig:
    """A pool with a clock."""

    def __init__(self) -> None:
        self.moment = Moment(0, 0)
        self.pool = EvidencePool(self.moment, network_id=GENESIS.network_id, verifiers=ValidatorKeys)
        self.pool.enter(GENESIS.epoch_record)

    def taken(self) -> list[Effect]:
        """What it asked for since the last call."""
        out, self.moment.out = self.moment.out, []
        return out

    def hear(self, encoded: bytes) -> list[Effect]:
        """Another node brings this."""
        self.pool.take(SENDER, encoded)
        return self.taken()


def test_two_votes_found_are_reported_and_passed_on_once() -> None:
    """Whoever finds it says so at once; the same misdeed in other words is no news."""
    rig = Rig()
    first, second = build_pair()
    rig.pool.find_votes(CULPRIT, first, second)
    evidence = VoteEvidence(Equivocation.pair(first, second))
    assert rig.taken() == [
        ReportEvidence(CULPRIT, first, second),
        Broadcast(EvidenceData(evidence.encode())),
    ]
    rig.pool.find_votes(CULPRIT, second, first)
    assert rig.hear(evidence.encode()) == []


def test_a_fork_found_is_shared_by_whoever_can_read_both_batches() -> None:
    """Bodies are on disk; the operator is told, too."""
    rig = Rig()
    batches = [
        build_batch(GENESIS, build_transaction(GENESIS, member="firm-4", nonce=nonce), member="firm-4")
        for nonce in (1, 2)
    ]
    tips = batches[0].tip, batches[1].tip
    rig.pool.find_fork(*tips)
    report, share, alarm = rig.taken()
    assert report == ReportEvidence(MemberId("firm-4"), *tips)
    assert share == ShareFork(Epoch(0), *tips)
    assert isinstance(alarm, Alarm)
    assert rig.hear(pair_batches(Epoch(0), *batches).encode()) == []


def test_what_another_node_has_found_is_checked_passed_on_and_reported_after_a_while() -> None:
    """The ledger needs to be told but once: most likely it has been by then."""
    rig = Rig()
    first, second = build_pair()
    pair = Equivocation.pair(first, second)
    encoded = VoteEvidence(pair).encode()
    assert rig.hear(encoded) == [Broadcast(EvidenceData(encoded))]
    assert rig.pool.deadline_ms() == SECOND_HAND_MS
    rig.moment.now_ms = SECOND_HAND_MS - 1
    rig.pool.report_due()
    assert rig.taken() == []
    rig.moment.now_ms = SECOND_HAND_MS
    rig.pool.report_due()
    assert rig.taken() == [ReportEvidence(CULPRIT, pair.first, pair.second)]
    assert rig.pool.deadline_ms() is None
    batches = [
        build_batch(GENESIS, build_transaction(GENESIS, member="firm-4", nonce=nonce), member="firm-4")
        for nonce in (1, 2)
    ]
    fork = pair_batches(Epoch(0), *batches)
    assert rig.hear(fork.encode()) == [Broadcast(EvidenceData(fork.encode()))]
    rig.moment.now_ms += SECOND_HAND_MS
    rig.pool.report_due()
    (report,) = of_type(ReportEvidence, rig.taken())
    assert (report.first, report.second) == (fork.first, fork.second)


def test_what_proves_nothing_is_the_senders_fault() -> None:
    """Bytes that are none, a bad signature, an honest pair, a validator or feed that does not exist."""
    rig = Rig()
    forged = VoteEvidence(Equivocation.pair(*build_pair(key=build_key("another"))))
    stranger = [
        build_batch(GENESIS, build_transaction(GENESIS, member="firm-9", nonce=nonce), member="firm-9")
        for nonce in (1, 2)
    ]
    member = [
        build_batch(GENESIS, build_transaction(GENESIS, member="firm-4", nonce=nonce), member="firm-4")
        for nonce in (1, 2)
    ]
    good = pair_batches(Epoch(0), *member)
    unsigned = ForkEvidence(good.epoch, SignedHeader(good.first.header, bytes(64)), good.second)
    bad = [b"", b"\x90", forged.encode(), pair_batches(Epoch(0), *stranger).encode(), unsigned.encode()]
    for encoded in bad:
        (fault,) = rig.hear(encoded)
        assert isinstance(fault, ReportFault)
        assert (fault.member, fault.provable) == (SENDER, True)


def test_evidence_counts_in_its_epoch_and_the_next() -> None:
    """What is older is told by nobody's fault: it has expired; of a later epoch nobody here knows the keys."""
    rig = Rig()
    assert rig.hear(VoteEvidence(Equivocation.pair(*build_pair(epoch=5))).encode()) == []
    for epoch in (1, 2):
        roster = build_roster(Epoch(epoch), GENESIS.roster.members.values(), GENESIS.roster.parameters)
        rig.pool.enter(EpochRecord(Epoch(epoch), GENESIS.anchor_height, GENESIS.anchor_digest, roster))
        heard = rig.hear(VoteEvidence(Equivocation.pair(*build_pair(epoch))).encode())
        assert len(heard) == (1 if epoch == 1 else 0)


def test_a_node_that_misbehaves_without_end_fills_no_memory() -> None:
    """A few misdeeds of each member in an epoch are enough for those who decide; in the next they count anew."""
    rig = Rig()
    for number in range(4):
        rig.pool.enter(dataclasses.replace(GENESIS.epoch_record, epoch=Epoch(number)))
        for _ in range(2):
            for view in range(1, MISDEEDS_PER_MEMBER_MAX + 10):
                rig.pool.find_votes(CULPRIT, *build_pair(view, epoch=number))
        assert len(of_type(ReportEvidence, rig.taken())) == MISDEEDS_PER_MEMBER_MAX
        for view in range(1, MISDEEDS_PER_MEMBER_MAX + 1 if number else 0):
            rig.pool.find_votes(CULPRIT, *build_pair(view, epoch=number - 1))
        assert rig.taken() == [], "what the epoch before has found is no news"
        assert sum(map(len, rig.pool._known.values())) <= 2 * MISDEEDS_PER_MEMBER_MAX


def test_a_replica_takes_evidence_within_a_budget() -> None:
    """T-37: each costs two verifications, so a flood of it is dropped."""
    rig = ReplicaRig(genesis=GENESIS)
    faults = [
        fault for _ in range(100) for fault in of_type(ReportFault, rig.hear(rig.others[0], EvidenceData(b"\x90")))
    ]
    assert 0 < len(faults) < 50
    assert dataclasses.replace(faults[0], why="") == ReportFault(MemberId(rig.others[0]), "", provable=True)
