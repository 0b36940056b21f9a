"""Proof of what others signed twice: passed on once, taken from others once it is checked, handed to the ledger's side.

Whoever finds a misdeed says so at once; who hears of it waits, since the ledger needs to be told but once.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from consensus.evidence import Equivocation, fault_of_equivocation
from consensus.messages import Vote
from consensus.scheme import Verifier
from consensus.types import Digest, Epoch
from node.ledger.evidence import Evidence, ForkEvidence, VoteEvidence, decode_evidence, find_fault, fork_key
from node.ledger.roster import EpochRecord, Roster
from node.replica.effects import Alarm, Broadcast, ReportEvidence, ReportFault, ShareFork
from node.replica.moment import Moment
from node.wire.codec import MalformedError
from node.wire.ids import FeedTip, MemberId
from node.wire.messages import EvidenceData

SECOND_HAND_MS: Final = 10_000
"""So long after hearing of a misdeed it is brought onto the ledger here, too: it is most likely there by then."""

MISDEEDS_PER_MEMBER_MAX: Final = 32
"""More new ones of one member in an epoch are not needed: a faulty node could make ever more of them.

In the next epoch they count anew: by then its node may have another key, or those who decide have let it stay.
"""


class EvidencePool:
    """The misdeeds that this node knows of, by member and by what they are counted once by."""

    def __init__(self, moment: Moment, *, network_id: Digest, verifiers: Callable[[Roster], Verifier]) -> None:
        self._moment = moment
        self._network_id = network_id
        self._verifiers = verifiers
        self._records: dict[Epoch, EpochRecord] = {}
        self._known: dict[MemberId, dict[bytes, Epoch]] = {}
        self._waiting: deque[tuple[int, ReportEvidence]] = deque()

    def enter(self, record: EpochRecord) -> None:
        """Begin an epoch. Evidence of the one before is still taken; what was found before that is forgotten."""
        self._records = {epoch: known for epoch, known in self._records.items() if epoch + 1 == record.epoch}
        self._records[record.epoch] = record
        for member, known in tuple(self._known.items()):
            recent = {key: epoch for key, epoch in known.items() if epoch + 1 == record.epoch}
            if recent:
                self._known[member] = recent
            else:
                del self._known[member]

    def find_votes(self, member: MemberId, first: Vote, second: Vote) -> None:
        """Take two votes that the core has found, and verified."""
        evidence = VoteEvidence(Equivocation.pair(first, second))
        if self._is_news(member, evidence.key(member)):
            self._moment.out.append(ReportEvidence(member, first, second))
            self._moment.out.append(Broadcast(EvidenceData(evidence.encode())))

    def find_fork(self, first: FeedTip, second: FeedTip) -> None:
        """Take two batches that are held here, each checked."""
        member = first.feed.member
        key = fork_key(first.feed, first.seq)
        if self._is_news(member, key):
            out = self._moment.out
            out.append(ReportEvidence(member, first, second))
            out.append(ShareFork(max(self._records), first, second))
            out.append(Alarm(f"{member} has signed two batches {first.seq} of its feed"))

    def take(self, sender: MemberId, encoded: bytes) -> None:
        """Take what another node has found, or heard of."""
        try:
            evidence = decode_evidence(encoded)
        except MalformedError as error:
            self._moment.out.append(ReportFault(sender, f"bad evidence: {error}", provable=True))
            return
        record = self._records.get(evidence.epoch)
        if record is None:
            # Too old to count, or of an epoch that has not begun here.
            return
        member = evidence.find_signer(record.roster)
        # Known misdeeds go first: a repetition costs a look-up, not two verifications.
        if member is not None and evidence.key(member) in self._known.get(member, ()):
            return
        fault = "nobody's" if member is None else self._fault_of(evidence, record)
        if fault is not None:
            self._moment.out.append(ReportFault(sender, f"bad evidence: {fault}", provable=True))
            return
        assert member is not None
        if self._is_news(member, evidence.key(member)):
            self._moment.out.append(Broadcast(EvidenceData(encoded)))
            match evidence:
                case VoteEvidence(pair):
                    report = ReportEvidence(member, pair.first, pair.second)
                case ForkEvidence(_, first, second):
                    report = ReportEvidence(member, first, second)
            self._waiting.append((self._moment.now_ms + SECOND_HAND_MS, report))

    def _fault_of(self, evidence: Evidence, record: EpochRecord) -> str | None:
        if isinstance(evidence, ForkEvidence):
            return find_fault(evidence, self._network_id, record)
        return fault_of_equivocation(
            evidence.pair,
            network_id=self._network_id,
            epoch=record.epoch,
            validator_count=len(record.roster.validators),
            verifier=self._verifiers(record.roster),
        )

    def _is_news(self, member: MemberId, key: bytes) -> bool:
        known, present = self._known.setdefault(member, {}), max(self._records)
        if key in known or sum(epoch == present for epoch in known.values()) >= MISDEEDS_PER_MEMBER_MAX:
            return False
        known[key] = present
        return True

    def deadline_ms(self) -> int | None:
        """Return when `report_due` has something to do."""
        return self._waiting[0][0] if self._waiting else None

    def report_due(self) -> None:
        """Hand on what was heard of long enough ago."""
        while self._waiting and self._waiting[0][0] <= self._moment.now_ms:
            self._moment.out.append(self._waiting.popleft()[1])
