"""What must hold whatever happens. Written against messages and disks alone: no code is shared with what is checked.

`Checker` is what nodes and the world report to; votes and certificates are judged here, what becomes final and what
was promised in `chain_checkers`, memory in `footprint`. The names I-1 … I-21 are those of docs/protocol.md.
"""

import hashlib
import struct
from dataclasses import dataclass, field

import nacl.exceptions
import nacl.signing

from consensus.messages import Certificate, CertificateRequest, Proposal, Vote, VoteKind
from consensus.types import Digest
from node.ledger.batch import Batch
from node.ledger.genesis import Genesis
from node.ledger.roster import Roster
from node.replica.effects import FinalBlock, Finalized
from node.wire.ids import MemberId
from node.wire.messages import Have, Message, StatusReport
from tests.sim.chain_checkers import BrokenRuleError, ChainChecker, check_body
from tests.sim.disk import Disk

__all__ = ["BrokenRuleError", "Checker"]

SIGNED_VOTE = struct.Struct(">16s32sQBQQ32s")
INLINE_NULLIFICATIONS = 32


@dataclass(frozen=True, slots=True)
class Electorate:
    """The validators of an epoch, in index order, with their keys."""

    members: tuple[MemberId, ...]
    keys: tuple[bytes, ...]

    @property
    def faulty(self) -> int:
        """How many of them may be Byzantine."""
        return (len(self.members) - 1) // 3

    @property
    def quorum(self) -> int:
        """How many votes make a certificate."""
        return len(self.members) - self.faulty


@dataclass(slots=True)
class VoteChecker:
    """Remembers all votes of correct nodes, by all their incarnations, and all certificates that they hold or show.

    I-2: one notarized block a view. I-3: one vote of a kind a view, and never nullify beside finalize. I-4: no view
    both nullified and final, and nothing final that is not notarized. I-9: a certificate has a quorum of distinct
    signers, whose signatures are good. I-11: nothing is shown that was not durable.
    """

    network_id: Digest
    electorates: dict[int, Electorate]
    has_real_keys: bool
    byzantine: dict[MemberId, None]
    votes: dict[tuple[MemberId, int, int, int], tuple[Digest, int]] = field(default_factory=dict)
    notarized: dict[tuple[int, int], Digest] = field(default_factory=dict)
    finalized: dict[tuple[int, int], Digest] = field(default_factory=dict)
    nullified: dict[tuple[int, int], None] = field(default_factory=dict)
    entered: dict[tuple[MemberId, int], int] = field(default_factory=dict)
    reached: dict[str, int] = field(default_factory=dict)
    _good: dict[Certificate, None] = field(default_factory=dict)

    def note(self, what: str) -> None:
        """I-18: count that a rare path was taken."""
        self.reached[what] = self.reached.get(what, 0) + 1

    def remember(self, member: MemberId, vote: Vote) -> None:
        """I-3: a correct node has made a vote durable. It may crash before it says so, and count it afterwards."""
        subject = vote.subject
        where = f"in view {subject.view} of epoch {subject.epoch}"
        said = (subject.digest, int(subject.parent_view))
        if self.votes.setdefault((member, subject.epoch, subject.kind, subject.view), said) != said:
            raise BrokenRuleError(f"{member} votes {subject.kind.name} twice {where}")
        excluded = {VoteKind.NULLIFY: VoteKind.FINALIZE, VoteKind.FINALIZE: VoteKind.NULLIFY}.get(subject.kind)
        if excluded is not None and (member, subject.epoch, excluded, subject.view) in self.votes:
            raise BrokenRuleError(f"{member} nullifies and finalizes {where}")
        if subject.kind == VoteKind.FINALIZE:
            notarized = self.votes.get((member, subject.epoch, VoteKind.NOTARIZE, subject.view))
            if notarized is not None and notarized[0] != subject.digest:
                raise BrokenRuleError(f"{member} notarizes one block and finalizes another {where}")

    def note_logged(self, member: MemberId, vote: Vote, *, final_view: int) -> None:
        """I-18: what a vote that was just logged says about the path that led to it."""
        subject = vote.subject
        if subject.kind == VoteKind.FINALIZE and subject.view + 1 < self.entered.get((member, subject.epoch), 0):
            self.note("late finalize")
        if subject.kind == VoteKind.NULLIFY and subject.view - final_view - 1 >= (
            self.electorates[subject.epoch].faulty + 2
        ):
            self.note("longer timeouts")

    def show_vote(self, member: MemberId, vote: Vote, disk: Disk) -> None:
        """I-11, I-20: a correct node shows a vote of its own, which is on its disk with what it is about."""
        subject = vote.subject
        if self.electorates[subject.epoch].members[vote.signer] != member:
            raise BrokenRuleError(f"{member} relays a vote")
        if disk.votes.get((subject.epoch, subject.kind, subject.view)) != vote:
            raise BrokenRuleError(f"{member} shows its {subject.kind.name} of view {subject.view} before it is durable")
        if subject.kind != VoteKind.NULLIFY:
            why = check_body(subject.digest, disk)
            if why is not None:
                raise BrokenRuleError(f"{member} votes {subject.kind.name} in view {subject.view}: {why}")

    def on_certificate(self, holder: MemberId, certificate: Certificate) -> None:
        """I-2, I-4 and I-9: a correct node holds or shows a certificate."""
        if certificate in self._good:
            return
        subject = certificate.subject
        place = (int(subject.epoch), int(subject.view))
        self._check_signers(holder, certificate)
        self._good[certificate] = None
        match subject.kind:
            case VoteKind.NULLIFY:
                self.nullified[place] = None
            case VoteKind.NOTARIZE:
                if self.notarized.setdefault(place, subject.digest) != subject.digest:
                    raise BrokenRuleError(f"two blocks are notarized in view {subject.view} of epoch {subject.epoch}")
            case VoteKind.FINALIZE:
                self.finalized[place] = subject.digest
                # A lone validator writes all of it in one group, and the chain's part of that first.
                is_alone = self.electorates[subject.epoch].quorum == 1
                if self.notarized.get(place) != subject.digest and not is_alone:
                    raise BrokenRuleError(f"what is final in view {subject.view} was never notarized there")
        if place in self.nullified and place in self.finalized:
            raise BrokenRuleError(f"view {subject.view} of epoch {subject.epoch} is nullified and final")
        if place in self.nullified and place in self.notarized:
            self.note("view notarized and nullified")

    def _check_signers(self, holder: MemberId, certificate: Certificate) -> None:
        subject = certificate.subject
        electorate = self.electorates[subject.epoch]
        signers = [signer for signer, _ in certificate.signatures]
        if len(set(signers)) != len(signers) or len(signers) < electorate.quorum:
            raise BrokenRuleError(f"{holder} holds a certificate of view {subject.view} with signers {signers}")
        signed = SIGNED_VOTE.pack(
            b"lotvine/vote/v1",
            self.network_id,
            subject.epoch,
            subject.kind,
            subject.view,
            subject.parent_view,
            subject.digest,
        )
        for signer, signature in certificate.signatures:
            member = electorate.members[signer]
            if not self._is_signature(electorate.keys[signer], signer, signed, signature):
                raise BrokenRuleError(f"{holder} holds a certificate of view {subject.view} with a bad signature")
            said = self.votes.get((member, subject.epoch, subject.kind, subject.view))
            if member not in self.byzantine and said != (subject.digest, subject.parent_view):
                raise BrokenRuleError(f"a certificate of view {subject.view} holds a vote that {member} never gave")

    def _is_signature(self, key: bytes, signer: int, signed: bytes, signature: bytes) -> bool:
        if not self.has_real_keys:
            return hashlib.blake2b(signed, digest_size=64, key=b"validator%d" % signer).digest() == signature
        try:
            nacl.signing.VerifyKey(key).verify(signed, signature)
        except nacl.exceptions.BadSignatureError:
            return False
        return True


class Checker:
    """All that nodes report goes through here. byzantine: whose word counts for nothing.

    forgetful: members that have lost batches of their own feed with their disk.
    """

    def __init__(self, genesis: Genesis, *, has_real_keys: bool = False) -> None:
        self.byzantine: dict[MemberId, None] = {}
        validators = genesis.roster.validators
        electorate = Electorate(
            validators, tuple(bytes(genesis.roster.members[member].node_key) for member in validators)
        )
        self.votes = VoteChecker(genesis.network_id, {0: electorate}, has_real_keys, self.byzantine)
        self.chain = ChainChecker(genesis.network_id, self.votes, self.byzantine)
        self.now_ms = 0
        self.batches: dict[tuple[MemberId, int, int], Digest] = {}
        self.forgetful: dict[MemberId, None] = {}
        self._said: dict[MemberId, tuple[int, ...]] = {}
        self._final_views: dict[MemberId, tuple[int, int]] = {}
        self._views: dict[MemberId, tuple[int, int]] = {}
        self._justifying: dict[MemberId, tuple[int, int]] = {}

    @property
    def reached(self) -> dict[str, int]:
        """I-18: how often each rare path was taken."""
        return self.votes.reached

    def note(self, what: str) -> None:
        """I-18: count that a rare path was taken."""
        self.votes.note(what)

    def on_epoch(self, epoch: int, roster: Roster) -> None:
        """An epoch begins with these validators: whoever executes it says the same, else the states differ."""
        keys = tuple(bytes(roster.members[member].node_key) for member in roster.validators)
        electorate = Electorate(roster.validators, keys)
        if self.votes.electorates.setdefault(epoch, electorate) != electorate:
            raise BrokenRuleError(f"two sets of validators in epoch {epoch}")

    # What is sent.

    def on_send(self, member: MemberId, message: Message, disk: Disk) -> None:
        """I-11: a correct node says something to anybody."""
        match message:
            case Vote():
                self.votes.show_vote(member, message, disk)
            case Certificate():
                self.votes.on_certificate(member, message)
            case Proposal():
                self._on_proposal(member, message, disk)
            case CertificateRequest():
                above, below = self._justifying.get(member, (0, 0))
                if above < message.first and message.last < below:
                    self.note("justification longer than a proposal carries")
            case StatusReport() | Have():
                for tip in message.have:
                    if tip.digest not in disk.batches:
                        raise BrokenRuleError(
                            f"{member} says to hold batch {tip.seq} of {tip.feed.member} and does not"
                        )
                if message.executed_height > disk.state.height:
                    raise BrokenRuleError(f"{member} says to have executed {message.executed_height}")
                if isinstance(message, StatusReport):
                    self._check_progress(member, message)

    def _on_proposal(self, member: MemberId, proposal: Proposal, disk: Disk) -> None:
        self.votes.show_vote(member, proposal.leader_vote, disk)
        parent = proposal.parent_certificate
        for certificate in (parent, *proposal.nullifications, proposal.executed_certificate):
            if certificate is not None:
                self.votes.on_certificate(member, certificate)
        header = proposal.block.header
        if parent is not None and parent.subject.kind == VoteKind.NOTARIZE and header.batch_count == 0:
            self.note("tail block")
        if header.view != proposal.view:
            self.note("seal proposed again")

    def on_received_proposal(self, member: MemberId, proposal: Proposal) -> None:
        """A correct node receives a proposal: does it need more certificates than fit?"""
        if proposal.view - proposal.parent_view - 1 > INLINE_NULLIFICATIONS:
            self._justifying[member] = (proposal.parent_view, proposal.view)

    def _check_progress(self, member: MemberId, report: StatusReport) -> None:
        """I-10: nothing that a node says of its place ever falls, whatever restarts lie between.

        But its view, which a crash may take back to that of its records: that falls in no run.
        """
        status = report.status
        for what, known, view in (
            ("final view", self._final_views, status.final_view),
            ("view", self._views, status.view),
        ):
            if (status.epoch, view) < known.get(member, (0, 0)):
                raise BrokenRuleError(f"{member} falls back from {what} {known[member]} to {(status.epoch, view)}")
            known[member] = (status.epoch, view)
        said = (status.epoch, status.final_height, report.executed_height)
        before = self._said.get(member, (0, 0, 0))
        if any(new < old for new, old in zip(said, before, strict=True)):
            raise BrokenRuleError(f"{member} falls back from (epoch, final, executed) {before} to {said}")
        self._said[member] = said

    def on_own_batch(self, member: MemberId, batch: Batch, disk: Disk) -> None:
        """I-21: a node shows a batch of its own feed, the only one it has signed of its seq."""
        header = batch.header
        if batch.digest not in disk.batches or batch.digest not in disk.own_tips:
            raise BrokenRuleError(f"{member} shows batch {header.seq} before it is durable and recorded")
        known = self.batches.setdefault((member, header.feed.number, header.seq), batch.digest)
        if known != batch.digest:
            raise BrokenRuleError(f"{member} signs two batches {header.seq}")

    def on_disk_lost(self, member: MemberId, others: list[Disk]) -> None:
        """I-10, I-20, I-21: a node begins anew; what it alone had promised is lost. others: of correct validators.

        What f others hold, one of the n - f that it asks tells it; what fewer hold it may sign once more, as one of
        the f that it counts among.
        """
        self.on_chain_lost(member)
        for transaction, promised_by in tuple(self.chain.accepted.items()):
            if promised_by == member and transaction not in self.chain.final_heights:
                del self.chain.accepted[transaction]
        needed = max(1, self.votes.electorates[max(self.votes.electorates)].faulty)
        forgotten: dict[int, None] = {}
        for key, digest in sorted(self.batches.items()):
            author, number, _ = key
            # Only what is held without a gap is told, so what stands on a lost batch is lost with it.
            is_told = number not in forgotten and sum(digest in disk.batches for disk in others) >= needed
            if author == member and not is_told:
                forgotten[number] = None
                del self.batches[key]
                self.forgetful[member] = None

    def on_chain_lost(self, member: MemberId) -> None:
        """I-10: a node begins at genesis again, and remembers all that it has signed."""
        for known in (self._said, self._final_views, self._views):
            known.pop(member, None)

    def on_log_lost(self, member: MemberId) -> None:
        """I-10: certificates of views whose blocks were not here yet stood in the log alone."""
        for known in (self._final_views, self._views):
            known.pop(member, None)

    # What is written.

    def on_logged(self, member: MemberId, record: object, *, final_view: int) -> None:
        """I-3 and I-9: a correct node has a record of its vote log on disk."""
        if isinstance(record, Vote):
            self.votes.remember(member, record)
            self.votes.note_logged(member, record, final_view=final_view)
        elif isinstance(record, Certificate):
            self.votes.on_certificate(member, record)
            place = (member, int(record.subject.epoch))
            self.votes.entered[place] = max(self.votes.entered.get(place, 0), record.subject.view + 1)

    def on_final_stored(self, member: MemberId, finalized: Finalized) -> None:
        """A node has made a finalization durable, perhaps with its own vote in it, and before that vote's record.

        That is no less safe: it never votes again in a view that is final on its disk.
        """
        certificate = finalized.certificate
        members = self.votes.electorates[certificate.subject.epoch].members
        for signer, signature in certificate.signatures:
            if members[signer] == member:
                self.votes.remember(member, Vote(certificate.subject, signer, signature))
        self.votes.on_certificate(member, certificate)

    # What becomes final, and what was promised.

    def on_start(self, name: str, member: MemberId, incarnation: int, height: int) -> None:
        """A process starts with this final height on its disk."""
        self._views.pop(member, None)
        self.chain.next_heights[name, incarnation] = height + 1

    def on_final(self, name: str, incarnation: int, final: FinalBlock, disk: Disk) -> None:
        """A correct node hands out a final block."""
        self.chain.on_final(name, incarnation, final, disk)

    def on_executed(self, member: MemberId, height: int, digest: Digest) -> None:
        """A correct node has executed a block."""
        self.chain.on_executed(member, height, digest)

    def on_submitted(self, transaction: Digest) -> None:
        """Some client has made a transaction."""
        self.chain.submitted[transaction] = None

    def on_accepted(self, member: MemberId, transaction: Digest) -> None:
        """A client was told *accepted*."""
        self.chain.accepted[transaction] = member

    def lacking(self, disk: Disk) -> int:
        """Return how many transactions that correct nodes accepted are not final on this disk."""
        return self.chain.lacking(disk)

    def check_claims(self) -> None:
        """I-19: every final header's state digest is the one at its executed height."""
        self.chain.check_claims()
