"""What must hold whatever happens. Written against messages and disks alone: no code is shared with what is checked."""

from dataclasses import dataclass, field

from consensus.messages import Certificate, Proposal, Vote, VoteKind
from consensus.types import Digest
from node.ledger.batch import Batch
from node.replica.effects import FinalBlock
from node.wire.ids import MemberId
from node.wire.messages import BatchData, Have, Message, StatusReport
from tests.sim.disk import Disk


class BrokenRuleError(AssertionError):
    """A rule of the protocol does not hold; the message says which, where and when."""


@dataclass(slots=True)
class Checker:
    """Remembers all that was ever said, by all incarnations of all nodes.

    distrusted: a node whose execution is made to fail.
    """

    validators: tuple[MemberId, ...]
    now_ms: int = 0
    chain: dict[int, FinalBlock] = field(default_factory=dict)
    states: dict[int, Digest] = field(default_factory=dict)
    votes: dict[tuple[MemberId, int, int], Digest] = field(default_factory=dict)
    batches: dict[tuple[MemberId, int], Digest] = field(default_factory=dict)
    notarized: dict[int, Digest] = field(default_factory=dict)
    finalized: dict[int, Digest] = field(default_factory=dict)
    nullified: dict[int, None] = field(default_factory=dict)
    accepted: dict[Digest, MemberId] = field(default_factory=dict)
    next_heights: dict[tuple[MemberId, int], int] = field(default_factory=dict)
    reached: dict[str, int] = field(default_factory=dict)
    distrusted: MemberId | None = None

    def _fail(self, why: str) -> None:
        raise BrokenRuleError(f"at {self.now_ms} ms: {why}")

    def note(self, what: str) -> None:
        """Count that a rare path was taken."""
        self.reached[what] = self.reached.get(what, 0) + 1

    # What is sent.

    def on_send(self, member: MemberId, message: Message, disk: Disk) -> None:
        """A node says something to anybody."""
        match message:
            case Vote():
                self._on_vote(member, message, disk)
            case Certificate():
                self._on_certificate(message)
            case Proposal():
                self._on_vote(member, message.leader_vote, disk)
                if message.leader_vote.subject.digest not in disk.blocks:
                    self._fail(f"{member} proposes a block that is not on its disk")
                for certificate in (message.parent_certificate, *message.nullifications, message.executed_certificate):
                    if certificate is not None:
                        self._on_certificate(certificate)
            case StatusReport() | Have():
                for tip in message.have:
                    if tip.digest not in disk.batches:
                        self._fail(f"{member} says to hold batch {tip.seq} of {tip.feed.member}, not on its disk")
                if message.executed_height > disk.state.height:
                    self._fail(f"{member} says to have executed {message.executed_height}")
            case BatchData():
                pass

    def on_own_batch(self, member: MemberId, batch: Batch, disk: Disk) -> None:
        """A node shows a batch of its own feed."""
        if batch.digest not in disk.batches or batch.digest not in disk.own_tips:
            self._fail(f"{member} shows batch {batch.header.seq} before it is durable and recorded")
        known = self.batches.setdefault((member, batch.header.seq), batch.digest)
        if known != batch.digest:
            self._fail(f"{member} signs two batches {batch.header.seq}")

    def _on_vote(self, member: MemberId, vote: Vote, disk: Disk) -> None:
        subject = vote.subject
        if self.validators[vote.signer] != member:
            self._fail(f"{member} relays a vote")
        if disk.votes.get((subject.kind, subject.view)) != vote:
            self._fail(f"{member} shows its {subject.kind.name} of view {subject.view} before it is durable")
        if subject.kind != VoteKind.NULLIFY and subject.digest not in disk.blocks:
            self._fail(f"{member} votes in view {subject.view} for a block that is not on its disk")

    def on_logged(self, member: MemberId, vote: Vote) -> None:
        """A node has made a vote durable. It may crash before it says so, and count it afterwards."""
        subject = vote.subject
        known = self.votes.setdefault((member, subject.kind, subject.view), subject.digest)
        if known != subject.digest:
            self._fail(f"{member} votes {subject.kind.name} twice in view {subject.view}")
        if (member, VoteKind.NULLIFY, subject.view) in self.votes and (
            (member, VoteKind.FINALIZE, subject.view) in self.votes
        ):
            self._fail(f"{member} nullifies and finalizes view {subject.view}")

    def on_final_stored(self, member: MemberId, certificate: Certificate) -> None:
        """A node has made a finalization durable, perhaps with its own vote in it, and before that vote's record.

        That is no less safe: it never votes again in a view that is final on its disk.
        """
        subject = certificate.subject
        if any(self.validators[signer] == member for signer, _ in certificate.signatures):
            known = self.votes.setdefault((member, subject.kind, subject.view), subject.digest)
            if known != subject.digest:
                self._fail(f"{member} stores a certificate against its own vote in view {subject.view}")

    def _on_certificate(self, certificate: Certificate) -> None:
        subject = certificate.subject
        signers = [signer for signer, _ in certificate.signatures]
        faulty = (len(self.validators) - 1) // 3
        if len(set(signers)) != len(signers) or len(signers) < len(self.validators) - faulty:
            self._fail(f"certificate of view {subject.view} with signers {signers}")
        for signer in signers:
            if self.votes.get((self.validators[signer], subject.kind, subject.view)) != subject.digest:
                self._fail(f"certificate of view {subject.view} holds a vote that {signer} never gave")
        if subject.kind == VoteKind.NULLIFY:
            self.nullified[subject.view] = None
            if subject.view in self.notarized:
                self.note("view notarized and nullified")
        else:
            table = self.notarized if subject.kind == VoteKind.NOTARIZE else self.finalized
            if table.setdefault(subject.view, subject.digest) != subject.digest:
                self._fail(f"two {subject.kind.name} certificates in view {subject.view}")
        if subject.view in self.nullified and subject.view in self.finalized:
            self._fail(f"view {subject.view} is nullified and finalized")

    # What becomes final.

    def on_start(self, member: MemberId, incarnation: int, height: int) -> None:
        """A node starts with this final height on its disk."""
        self.next_heights[member, incarnation] = height + 1

    def on_final(self, member: MemberId, incarnation: int, final: FinalBlock) -> None:
        """A node hands out a final block."""
        header = final.block.header
        if header.height != self.next_heights[member, incarnation]:
            self._fail(f"{member} hands out height {header.height}, not {self.next_heights[member, incarnation]}")
        self.next_heights[member, incarnation] += 1
        known = self.chain.setdefault(header.height, final)
        if known != final:
            self._fail(f"{member} has another block at height {header.height}")
        if header.height > 1 and known is final:
            below = self.chain[header.height - 1].block.header
            if header.parent_digest != self.chain[header.height - 1].digest:
                self._fail(f"height {header.height} does not link")
            if header.timestamp_ms <= below.timestamp_ms or header.view <= below.view:
                self._fail(f"time or view does not rise at height {header.height}")
            if header.executed_height < below.executed_height:
                self._fail(f"executed height falls at height {header.height}")

    def on_executed(self, member: MemberId, height: int, digest: Digest) -> None:
        """A node has executed a block."""
        if member != self.distrusted and self.states.setdefault(height, digest) != digest:
            self._fail(f"{member} has another state at height {height}")

    def check_claims(self) -> None:
        """Every header's state digest is the one at its executed height."""
        for height in sorted(self.chain):
            header = self.chain[height].block.header
            if header.executed_height and self.states[header.executed_height] != header.state_digest:
                self._fail(f"height {height} claims another state")

    # What was promised.

    def lacking(self, disk: Disk) -> int:
        """Return how many accepted transactions are not final on this disk; more than once is an error."""
        times: dict[Digest, int] = {}
        for height in range(1, disk.height + 1):
            for batch in disk.covered(height):
                for transaction in batch.transactions:
                    times[transaction.id] = times.get(transaction.id, 0) + 1
        for count in times.values():
            if count > 1:
                self._fail("a transaction is final twice")
        return sum(transaction not in times for transaction in self.accepted)
