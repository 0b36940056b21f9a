"""The small world that the model explores: four validators, one of them a liar, a few views, and all that can be said.

Everything sayable has a number, so that "who has said what" is one integer a validator and a certificate can be made
exactly where two honest validators have said the same: the liar, validator 3, joins in whenever it likes.
"""

import dataclasses
import hashlib
from typing import Final

from consensus.messages import (
    FLAG_EPOCH_END,
    Block,
    Certificate,
    Header,
    Proposal,
    Subject,
    Vote,
    VoteKind,
    payload_digest,
)
from consensus.recovery import Setup
from consensus.scheme import vote_signing_bytes
from consensus.types import ZERO_DIGEST, Digest, Epoch, Height, ValidatorIndex, View
from tests.support.fake_keys import fake_signature

VALIDATORS: Final = 4
HONEST: Final = (0, 1, 2)
LIAR: Final = ValidatorIndex(3)
QUORUM: Final = 3
"""Written here anew: the model does not ask the core what a quorum is."""

NETWORK_ID: Final = Digest(hashlib.sha256(b"model").digest())
EPOCH: Final = Epoch(7)
ANCHOR_MS: Final = 1_700_000_000_000
VARIANTS: Final = 2
"""How many different blocks the liar makes for one view and parent: two are enough to split three honest voters."""


class Universe:
    """Names and numbers of one configuration. The liar leads view `liar_leads` (of the first four).

    with_seals: the epoch is to end: every block on the anchor is a last one, which nothing but itself may follow.
    """

    def __init__(self, *, liar_leads: int, views: int, with_seals: bool = False) -> None:
        self.views = views
        self.with_seals = with_seals
        self.shift = (int(LIAR) - (liar_leads - 1)) % VALIDATORS
        # The schedule starts where the first eight bytes of the anchor's digest say.
        self.anchor_digest = Digest(self.shift.to_bytes(8, "big") + hashlib.sha256(b"anchor").digest()[8:])
        self.anchor = self._build_block(view=0, parent_digest=ZERO_DIGEST, height=1, proposer=0, variant=0)
        self.blocks: dict[Digest, Block] = {}
        self.subjects: list[Subject] = []
        self.proposals: list[Proposal] = []
        self._subject_ids: dict[Subject, int] = {}
        self._proposal_ids: dict[tuple[Subject, Subject | None, int], int] = {}
        self._certificates: dict[tuple[int, tuple[int, ...]], Certificate] = {}
        self._lies: dict[tuple[int, Subject | None], tuple[int, ...]] = {}

    def leader_of(self, view: int) -> int:
        """Return who leads `view`: round robin, written here anew."""
        return (view - 1 + self.shift) % VALIDATORS

    def setup_of(self, seat: int) -> Setup:
        """Return what the core of that validator is born with."""
        return Setup(NETWORK_ID, EPOCH, VALIDATORS, ValidatorIndex(seat), self.anchor, self.anchor_digest)

    def block_of(self, digest: Digest) -> Block:
        """Return the block of that name; the anchor has one, too."""
        return self.anchor if digest == self.anchor_digest else self.blocks[digest]

    def subject_id(self, subject: Subject) -> int:
        """Return the number of a subject, new or old."""
        number = self._subject_ids.get(subject)
        if number is None:
            number = self._subject_ids[subject] = len(self.subjects)
            self.subjects.append(subject)
        return number

    def proposal_id(self, proposal: Proposal) -> int:
        """Return the number of a proposal. Two that differ in which signers their certificates show are one."""
        shown = None if proposal.parent_certificate is None else proposal.parent_certificate.subject
        key = (proposal.leader_vote.subject, shown, len(proposal.nullifications))
        number = self._proposal_ids.get(key)
        if number is None:
            number = self._proposal_ids[key] = len(self.proposals)
            self.proposals.append(proposal)
            self.blocks[proposal.leader_vote.subject.digest] = proposal.block
        return number

    def sign(self, signer: int, subject: Subject) -> Vote:
        """Return that validator's vote."""
        signature = fake_signature(signer, vote_signing_bytes(NETWORK_ID, subject))
        return Vote(subject, ValidatorIndex(signer), signature)

    def certificate(self, subject_id: int, *, to: int, said: int) -> Certificate:
        """Return the certificate on a subject that validator `to` hears, having said what `said` has as bits.

        Which others have signed makes no difference to it; but what it never said is never held against it.
        """
        others = tuple(seat for seat in HONEST if seat != to)
        signers = (*others, int(LIAR)) if not said >> subject_id & 1 else tuple(sorted((to, others[0], int(LIAR))))
        found = self._certificates.get((subject_id, signers))
        if found is None:
            found = self._certificates[subject_id, signers] = self.certificate_by(subject_id, signers)
        return found

    def heard(self, proposal: Proposal, *, to: int, said: int) -> Proposal:
        """Return a proposal with the certificates that validator `to` hears."""

        def own(certificate: Certificate) -> Certificate:
            return self.certificate(self.subject_id(certificate.subject), to=to, said=said)

        parent = proposal.parent_certificate
        return dataclasses.replace(
            proposal,
            parent_certificate=None if parent is None else own(parent),
            nullifications=tuple(own(certificate) for certificate in proposal.nullifications),
        )

    def certificate_by(self, subject_id: int, signers: tuple[int, ...]) -> Certificate:
        """Return a certificate signed by these, good or not."""
        votes = [self.sign(signer, self.subjects[subject_id]) for signer in signers]
        return Certificate(self.subjects[subject_id], tuple((vote.signer, vote.signature) for vote in votes))

    def false_certificates(self, subject_id: int, signers: tuple[int, ...]) -> tuple[Certificate, ...]:
        """Return what the liar may pass off as a certificate when less than a quorum has signed.

        As it is; with one signature counted several times; with the missing ones made up.
        """
        short = self.certificate_by(subject_id, signers)
        own = short.signatures[-1:]
        missing = [seat for seat in range(VALIDATORS) if seat not in signers]
        made_up = tuple((ValidatorIndex(seat), bytes(64)) for seat in missing)
        return (
            short,
            dataclasses.replace(short, signatures=short.signatures + own * QUORUM),
            dataclasses.replace(short, signatures=tuple(sorted(short.signatures + made_up))),
        )

    def build_honest(self, *, view: int, parent: Block, parent_digest: Digest, proposer: int) -> Block:
        """Return what an honest leader builds: the same each time it is asked for the same."""
        height = parent.header.height + 1
        return self._build_block(view=view, parent_digest=parent_digest, height=height, proposer=proposer, variant=0)

    def foreign_certificates(self) -> tuple[Certificate, ...]:
        """Return certificates that all validators signed in good faith, of the epoch before: each view was given up."""
        found = []
        for view in range(1, self.views + 1):
            subject = Subject(VoteKind.NULLIFY, Epoch(EPOCH - 1), View(view), View(0), ZERO_DIGEST)
            votes = [self.sign(signer, subject) for signer in HONEST]
            found.append(Certificate(subject, tuple((vote.signer, vote.signature) for vote in votes)))
        return tuple(found)

    def lies(self, certain: int, *, said: int) -> int:
        """Return, as bits, the good-looking proposals of the liar once the subjects `certain` have certificates.

        said: what honest validators have voted for. Blocks for one view and parent differ in name only, so each is
        shown once there is a vote for the one before it; -1 shows all at once.
        """
        found = 0
        parents = [None, *(subject for subject in self.subjects_in(certain) if subject.kind == VoteKind.NOTARIZE)]
        for view in range(1, self.views + 1):
            if self.leader_of(view) != LIAR:
                continue
            for parent in parents:
                if parent is not None and parent.view >= view:
                    continue
                for number in self._lies_on(view, parent):
                    found |= 1 << number
                    is_voted_for = said >> self.subject_id(self.proposals[number].leader_vote.subject) & 1
                    if not is_voted_for and not (self.with_seals and parent is not None):
                        break
        return found

    def subjects_in(self, bits: int) -> list[Subject]:
        """Return the subjects that the bits stand for."""
        found = []
        while bits:
            found.append(self.subjects[(bits & -bits).bit_length() - 1])
            bits &= bits - 1
        return found

    def _lies_on(self, view: int, parent: Subject | None) -> tuple[int, ...]:
        numbers = self._lies.get((view, parent))
        if numbers is None:
            made = [self._lie(view, parent, variant) for variant in range(VARIANTS)]
            if self.with_seals and parent is not None:
                made = [self._sealed_again(view, parent), made[0]]
            numbers = tuple(self.proposal_id(proposal) for proposal in made)
            self._lies[view, parent] = numbers
        return numbers

    def _sealed_again(self, view: int, parent: Subject, *, digest: Digest | None = None) -> Proposal:
        """The last block of the epoch once more, which is no lie; or another one above the certificate of this one."""
        block = self.blocks[digest or parent.digest]
        subject = Subject(VoteKind.NOTARIZE, EPOCH, View(view), parent.view, digest or parent.digest)
        certificate = self.certificate_by(self.subject_id(parent), HONEST)
        return Proposal(View(view), block, parent.view, certificate, (), None, self.sign(int(LIAR), subject))

    def is_last(self, digest: Digest) -> bool:
        """Return whether that block ends the epoch."""
        return digest != self.anchor_digest and bool(self.blocks[digest].header.flags & FLAG_EPOCH_END)

    def crossed_lies(self, certain: int) -> int:
        """Return, as bits, proposals that show the certificate of one block and stand on another."""
        found = 0
        for view in range(1, self.views + 1):
            for parent in self.subjects_in(certain) if self.leader_of(view) == LIAR else ():
                if parent.kind == VoteKind.NOTARIZE and parent.view < view:
                    below = self.block_of(parent.digest).header.parent_digest
                    found |= 1 << self.proposal_id(self._lie(view, parent, 0, stands_on=below))
                    for digest in [digest for digest in self.blocks if self.is_last(digest)]:
                        if digest != parent.digest and self.blocks[digest].header.view < view:
                            found |= 1 << self.proposal_id(self._sealed_again(view, parent, digest=digest))
        return found

    def _lie(self, view: int, parent: Subject | None, variant: int, *, stands_on: Digest | None = None) -> Proposal:
        """A block on any certified block, with no word on the views between: whoever wants them has to have them."""
        parent_digest = self.anchor_digest if parent is None else parent.digest
        if stands_on is not None:
            parent_digest = stands_on
        above = self.block_of(parent_digest)
        height = above.header.height + 1
        block = self._build_block(
            view=view, parent_digest=parent_digest, height=height, proposer=int(LIAR), variant=variant
        )
        parent_view = View(0) if parent is None else parent.view
        subject = Subject(VoteKind.NOTARIZE, EPOCH, View(view), parent_view, block.header.digest())
        certificate = None if parent is None else self.certificate_by(self.subject_id(parent), HONEST)
        return Proposal(View(view), block, parent_view, certificate, (), None, self.sign(int(LIAR), subject))

    def _build_block(self, *, view: int, parent_digest: Digest, height: int, proposer: int, variant: int) -> Block:
        payload = bytes([variant])
        is_last = self.with_seals and view > 0 and parent_digest == self.anchor_digest
        header = Header(
            network_id=NETWORK_ID,
            epoch=EPOCH,
            height=Height(height),
            view=View(view),
            proposer=ValidatorIndex(proposer),
            parent_digest=parent_digest,
            timestamp_ms=ANCHOR_MS + height,
            cut_digest=payload_digest(payload),
            batch_root=ZERO_DIGEST,
            history_root=ZERO_DIGEST,
            batch_count=0,
            transaction_count=0,
            executed_height=Height(1),
            state_digest=ZERO_DIGEST,
            flags=FLAG_EPOCH_END if is_last else 0,
            next_epoch_digest=self.anchor_digest if is_last else ZERO_DIGEST,
        )
        return Block(header, payload)
