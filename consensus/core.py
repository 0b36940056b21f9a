"""The consensus core of one epoch: `Core.step` takes what happened and returns what to do.

A view is an attempt at one block under one leader. It is left with a certificate: a notarization (its block may be
built on) or a nullification (it may be skipped). Once a block's own view has a quorum of finalize votes, it and its
ancestors are final. `rules` says when a vote is allowed, `proposal_rules` what a proposal must show, `pacemaker` how
long to wait; this file moves between views and keeps the order of effects.

How a step works: the input changes what is known; certificates that come of it queue up and are taken in one by one;
then whatever has become possible is done (hand out, finalize, wake up, notarize, propose), until nothing is left.
Own votes take the same way as others', so that a network of one node needs no special case. When the last block of
the epoch is handed out, the core retires: it signs nothing more and only helps those that lag behind.

The file is longer than others on purpose: all that may happen in a view touches the same state, and the order of
effects, on which safety rests, is to be read in one place.
"""

from collections import deque
from typing import assert_never

from consensus.admission import Admission, Admitted
from consensus.certificates import Notary
from consensus.chain import DisagreementError, KnownBlock
from consensus.effects import (
    Alarm,
    Broadcast,
    CancelTimers,
    DropJudgement,
    Effect,
    EpochEnded,
    Finalized,
    Halt,
    Persist,
    ReportFault,
    RequestBuild,
    RequestJudgement,
    Send,
    SetTimer,
    StoreBlock,
    TipChanged,
)
from consensus.elector import epoch_shift, leader_of
from consensus.errors import invariant
from consensus.inputs import (
    BodyAvailable,
    Built,
    Executed,
    Guarded,
    Input,
    Judged,
    MessageReceived,
    PeerDown,
    PeerUp,
    Shutdown,
    Started,
    SyncedTo,
    TimerFired,
    TimerId,
    WallClock,
    WorkDue,
)
from consensus.messages import (
    FLAG_EPOCH_END,
    Block,
    Certificate,
    CertificateRequest,
    Header,
    Proposal,
    Status,
    Subject,
    Vote,
    VoteKind,
    payload_digest,
)
from consensus.pacemaker import Pacemaker
from consensus.proposal_rules import Accepted, Invalid, NeedsBody, NeedsTime, Refused, examine, is_sealed_again
from consensus.proposing import Proposer
from consensus.quorum import faulty_max, quorum_size
from consensus.recovery import Recovered, Setup
from consensus.repair import Fetches, Repair
from consensus.restoration import restore
from consensus.scheme import Signer, Verifier
from consensus.timing import Timing
from consensus.types import Digest, ValidatorIndex, View
from consensus.view_state import AHEAD_VIEWS_MAX, VOTE_VIEWS_MAX, Gap, Parent, Stage, ViewState
from consensus.voting import Voter


class Core:
    """The state machine of one validator, or of an observer, in one epoch."""

    def __init__(
        self,
        setup: Setup,
        timing: Timing,
        recovered: Recovered,
        *,
        signer: Signer | None,
        verifier: Verifier,
        wall_offset_ms: int,
    ) -> None:
        """Hold what is given; the input Started does the work.

        signer: None for an observer. wall_offset_ms: what to add to now_ms to get Unix milliseconds; WallClock
        corrects it later.
        """
        invariant((signer is None) == (setup.own_index is None), "a validator signs, an observer does not")
        restored = restore(setup, recovered)
        self._setup = setup
        self._timing = timing
        self._own = setup.own_index
        self._voter = Voter(setup, signer, recovered.guard)
        self._shift = epoch_shift(setup.anchor_digest)
        self._chain = restored.chain
        self._views = restored.views
        self._entry = restored.entry
        self._notary = Notary(setup.network_id, setup.epoch, setup.validator_count, verifier)
        self._admission = Admission(self._notary, self._views, self._chain)
        self._proposer = Proposer(setup, restored.chain, restored.views)
        self._pace = Pacemaker(timing, setup.validator_count, setup.own_index)
        self._state = self._views.at(restored.view)
        self._wall_offset_ms = wall_offset_ms
        self._now_ms = 0
        self._is_started = self._is_halted = self._is_leaving = self._is_poked = self._is_over = False
        self._is_work_due = False
        self._tip: Digest | None = None
        self._notarized_view = View(0)
        self._finalizable: dict[View, None] = {}
        self._fetches = Fetches(setup, self._shift, restored.chain, restored.views)
        self._repair = Repair(setup, timing.answer_ms, restored.chain, restored.views)
        self._arrived: deque[tuple[Certificate, bool]] = deque()
        self._out: list[Effect] = []

    @property
    def view(self) -> View:
        """The current view."""
        return self._state.view

    @property
    def leader(self) -> ValidatorIndex:
        """Who leads the current view."""
        return self._leader_of(self._state.view)

    @property
    def final_view(self) -> View:
        """The highest view known to be final, whether or not its block is here."""
        return self._chain.final_view

    @property
    def delivered_height(self) -> int:
        """The height of the last block handed out or synced to."""
        return self._chain.delivered_height

    @property
    def is_halted(self) -> bool:
        """Whether the core has stopped for good."""
        return self._is_halted

    @property
    def is_over(self) -> bool:
        """Whether the last block of the epoch is final and handed out."""
        return self._is_over

    def highest_certificate(self) -> Certificate | None:
        """Return the certificate of the highest view that we hold any of; None before the first."""
        held = [found for state in self._views for found in state.certificates.values()]
        if self._chain.final_certificate is not None:
            held.append(self._chain.final_certificate)
        return max(held, key=lambda found: (found.subject.view, found.subject.kind), default=None)

    def newest_vote_of(self, signer: ValidatorIndex) -> Vote | None:
        """Return the vote of the highest view that we have seen of `signer`, well signed; None for none.

        Seen by itself or inside a certificate. It tells a node that lost its vote log, or an old copy of it, what it
        had signed.
        """
        return self._admission.newest_vote_of(signer)

    def headers_proposed(self, view: View) -> tuple[Header, ...]:
        """Return the headers of at most two blocks that the leader of a view near ours proposed: two are one too many.

        For whoever looks into an equivocation; the evidence itself is the pair of votes.
        """
        state = self._views.find(view)
        if state is None:
            return ()
        first = () if state.proposal is None else (state.proposal.block.header,)
        return first if state.rival_header is None else (*first, state.rival_header)

    def status(self) -> Status:
        """Return where this node stands."""
        return Status(
            self._setup.epoch,
            self._state.view,
            self._chain.final_view,
            self._chain.delivered_height,
            max(self._notarized_view, self._chain.final_view),
        )

    def step(self, incoming: Input, now_ms: int) -> tuple[Effect, ...]:
        """Apply one input and return what the driver must do, in that order; Persist and StoreBlock come first.

        Total over peer input: a wrong message yields ReportFault, never an exception.
        now_ms: monotonic milliseconds, never less than in the call before.
        """
        invariant(now_ms >= self._now_ms, "the monotonic clock never goes back")
        invariant(self._is_started != isinstance(incoming, Started), "Started is the first input, once")
        if self._is_halted:
            return ()
        self._now_ms = now_ms
        self._out = []
        try:
            self._handle(incoming)
            self._settle()
        except DisagreementError as disagreement:
            self._is_halted = True
            if disagreement.certificate is not None:
                self._out.append(Persist(disagreement.certificate))
            self._out.append(Halt(str(disagreement)))
        # Safety: all that must be durable comes before anything that is sent, with one sync for all of it.
        durable = [effect for effect in self._out if isinstance(effect, Persist | StoreBlock)]
        if not durable:
            return tuple(self._out)
        return (*durable, *(effect for effect in self._out if not isinstance(effect, Persist | StoreBlock)))

    # What happened.

    def _handle(self, incoming: Input) -> None:
        match incoming:
            case MessageReceived():
                self._on_message(incoming)
            case TimerFired(timer, view):
                self._on_timer(timer, view)
            case Built():
                self._on_built(incoming)
            case Judged(digest, ok):
                self._on_judged(digest, is_good=ok)
            case BodyAvailable(block):
                self._on_body(block)
            case WorkDue(due):
                self._is_work_due = due
                self._is_poked = True
            case Executed(height, state_digest):
                self._chain.note_executed(height, state_digest)
                self._is_poked = True
            case PeerUp(peer):
                self._repair.note_up(peer)
                self._out.append(Send(peer, self.status()))
            case PeerDown(peer):
                self._repair.note_down(peer)
            case SyncedTo(block, certificate):
                self._on_synced(block, certificate)
            case WallClock(offset_ms):
                self._wall_offset_ms = offset_ms
            case Guarded(view):
                self._on_guarded(view)
            case Shutdown():
                self._is_leaving = True
                self._resign()
            case Started():
                self._on_started()
            case _:
                assert_never(incoming)

    def _on_message(self, received: MessageReceived) -> None:
        peer = received.peer
        if peer is not None:
            self._pace.note_heard(peer, self._now_ms)
        match received.message:
            case Vote() as vote:
                self._on_vote(peer, vote)
            case Certificate() as certificate:
                if self._admission.admit_certificate(peer, certificate, self._out) is Admitted.NEW:
                    self._arrived.append((certificate, False))
            case Proposal() as proposal:
                self._on_proposal(peer, proposal)
            case Status() as status:
                if peer is not None:
                    self._on_status(peer, status)
            case CertificateRequest() as request:
                if peer is not None:
                    self._repair.on_request(peer, request, now_ms=self._now_ms, out=self._out)
            case _:
                assert_never(received.message)

    def _on_started(self) -> None:
        self._is_started = True
        view = self._state.view
        self._pace.start(self._now_ms)
        self._pace.arm_status(self._now_ms, self._out)
        self._pace.enter(view, self._now_ms, self._out)
        if self._chain.final_certificate is not None:
            self._end_epoch_after(self._chain.delivered.header, self._chain.final_certificate)
        for digest in self._views.notarized_digests:
            known = self._chain.find(digest)
            if known is not None:
                self._chain.note_certified(known)
        for state in self._views:
            if state.notarization is not None and state.view > self._chain.final_view:
                self._note_notarized(state.notarization)
        self._update_tip()
        self._fetches.want_all(self._out)
        for state in self._views:
            for vote in state.own.values():
                self._tally(vote.subject)
        self._out.append(Broadcast(self.status()))
        if self._state.own:
            self._restore_proposal()
            self._activate()
            if VoteKind.NULLIFY in self._state.own:
                self._pace.arm_retry(self._now_ms, self._out)
            self._resend()
        self._is_poked = True

    def _on_guarded(self, view: View) -> None:
        self._voter.set_guard(view)
        # While we could not vote, timers fired for nothing and views went by without our finalize vote.
        for state in self._views:
            if state.notarization is not None and state.view > self._chain.final_view:
                self._finalizable[state.view] = None
        if self._pace.is_active:
            self._activate()
        self._is_poked = True

    def _on_timer(self, timer: TimerId, view: View) -> None:
        if timer is TimerId.STATUS:
            self._out.append(Broadcast(self.status()))
            self._pace.arm_status(self._now_ms, self._out)
            self._is_poked = True
            return
        if view != self._state.view:
            # A timer of a view we have left is late, not wrong: it changes nothing.
            return
        match timer:
            case TimerId.PROPOSE:
                if self._state.proposal is None or self._state.stage is Stage.REFUSED:
                    self._give_up()
            case TimerId.ADVANCE:
                self._give_up()
            case TimerId.RETRY:
                self._resend()
                self._pace.arm_retry(self._now_ms, self._out)
            case TimerId.TAIL:
                self._pace.rearm_tail()
                if self._notarized_view > self._chain.final_view:
                    self._want_block()
            case TimerId.HEART:
                self._want_block()
            case TimerId.BUILD:
                self._on_build_late()
            case TimerId.PACE:
                self._pace.is_paced = False
            case TimerId.HOLD:
                pass
            case _:
                assert_never(timer)
        self._is_poked = True

    def _want_block(self) -> None:
        """A block is wanted even without work: to finalize the last one, or as a sign of life."""
        self._pace.may_be_empty = True
        if not self._pace.is_active:
            self._activate()

    def _on_vote(self, peer: ValidatorIndex | None, vote: Vote) -> None:
        if vote.subject.epoch != self._setup.epoch:
            # A node ahead or behind is no liar, and may have another index there.
            return
        fault = self._admission.fault_of_vote(peer, vote)
        if fault is not None:
            self._out.append(ReportFault(peer, fault, provable=peer is not None))
            return
        self._admission.note_seen(vote)
        subject = vote.subject
        if not self._admission.is_wanted(subject, self._state.view):
            return
        if self._admission.admit_vote(vote, self._out):
            if subject.kind == VoteKind.NULLIFY and subject.view == self._state.view:
                self._is_poked = True
            self._tally(subject)

    def _tally(self, subject: Subject) -> None:
        certificate = self._admission.tally(subject, self._out)
        if certificate is not None:
            self._arrived.append((certificate, True))

    def _on_proposal(self, peer: ValidatorIndex | None, proposal: Proposal) -> None:
        view = proposal.view
        subject = proposal.leader_vote.subject
        if not self._state.view <= view <= self._state.view + AHEAD_VIEWS_MAX or subject.epoch != self._setup.epoch:
            return
        leader = self._leader_of(view)
        fault = self._admission.fault_of_proposal(peer, proposal, leader)
        if fault is not None:
            self._out.append(ReportFault(peer, f"bad proposal: {fault}", provable=peer is not None))
            if peer == leader and view == self._state.view:
                self._give_up()
            return
        state = self._views.at(view)
        self._admission.note_seen(proposal.leader_vote)
        self._admission.admit_vote(proposal.leader_vote, self._out)
        if state.find_vote(VoteKind.NOTARIZE, leader) is proposal.leader_vote:
            state.mark_verified(proposal.leader_vote)
            self._tally(subject)
        if state.proposal is not None and (state.proposal_digest != subject.digest or state.stage is Stage.ACCEPTED):
            # Another block of the same view: the leader's two votes are the evidence, and the first one counts.
            if state.proposal_digest != subject.digest and state.rival_header is None:
                state.rival_header = proposal.block.header
            return
        state.proposal = proposal
        state.proposal_digest = subject.digest
        state.stage = Stage.HELD
        self._chain.add(proposal.block, subject.digest)
        shown = (proposal.parent_certificate, proposal.executed_certificate, *proposal.nullifications)
        for certificate in shown:
            if certificate is None:
                continue
            admitted = self._admission.admit_certificate(peer, certificate, self._out)
            if admitted is Admitted.NEW:
                self._arrived.append((certificate, False))
            elif admitted is Admitted.BAD:
                state.stage = Stage.REFUSED
        self._is_poked = True

    def _on_judged(self, digest: Digest, *, is_good: bool) -> None:
        known = self._chain.find(digest)
        if known is None or known.judging_view is None:
            return
        known.judging_view = None
        self._conclude(known, is_good=is_good, why="its data")

    def _conclude(self, known: KnownBlock, *, is_good: bool, why: str) -> None:
        """Keep the verdict on what a digest covers. It is given once."""
        known.is_valid = is_good
        self._is_poked = True
        if is_good:
            self._take_body(known)
            return
        self._out.append(Alarm(f"block {known.digest.hex()} of view {known.header.view} is invalid: {why}"))
        if known.is_certified:
            raise DisagreementError(f"a quorum certified block {known.digest.hex()}, which we judged invalid: {why}")

    def _on_body(self, block: Block) -> None:
        digest = block.header.digest()
        if digest not in self._fetches:
            return
        invariant(payload_digest(block.payload) == block.header.cut_digest, "the payload is the block's own")
        known = self._chain.add(block, digest)
        # Only what a certificate names, or its ancestors, is ever fetched.
        self._chain.note_certified(known)
        self._take_body(known)
        self._fetches.want_all(self._out)

    def _take_body(self, known: KnownBlock) -> None:
        self._fetches.note_arrived(known.digest)
        if known.body_ms is None:
            known.body_ms = self._now_ms
        if not known.is_stored:
            known.is_stored = True
            self._out.append(StoreBlock(known.block))
        self._is_poked = True

    def _on_synced(self, block: Block, certificate: Certificate) -> None:
        subject = certificate.subject
        if block.header.height <= self._chain.delivered_height or subject.epoch != self._setup.epoch:
            return
        digest = block.header.digest()
        fault = self._notary.fault_of(certificate, self._views.find(subject.view))
        if fault is None and (subject.kind != VoteKind.FINALIZE or subject.digest != digest):
            fault = "does not finalize the block"
        if fault is not None:
            self._out.append(ReportFault(None, f"bad synced certificate: {fault}", provable=False))
            return
        self._chain.note_certified(self._chain.add(block, digest))
        self._chain.sync_to(block, digest, subject.view, body_ms=self._now_ms)
        self._take_in(certificate, is_relayed=False)
        self._end_epoch_after(block.header, certificate)
        self._fetches.refresh(self._out)
        self._is_poked = True

    # Certificates and what follows from them.

    def _settle(self) -> None:
        """Take in certificates and do what has become possible, until nothing is left to do."""
        while self._arrived or self._is_poked:
            while self._arrived:
                certificate, is_built = self._arrived.popleft()
                is_entry = certificate.subject.view >= self._state.view
                is_final = certificate.subject.kind == VoteKind.FINALIZE
                self._take_in(certificate, is_relayed=is_built or is_entry or is_final)
            self._is_poked = False
            self._hand_out()
            self._finalize_all()
            self._wake()
            self._consider()
            self._try_propose()
        self._out.extend(DropJudgement(digest) for digest in self._chain.dropped)
        self._chain.dropped.clear()

    def _take_in(self, certificate: Certificate, *, is_relayed: bool) -> None:
        """Store a good certificate and move on with it. No body is needed for that."""
        subject = certificate.subject
        self._admission.check_rivals(certificate)
        is_held = self._views.has_certificate(subject.kind, subject.view)
        if subject.view <= self._chain.final_view or is_held:
            return
        self._views.put(certificate)
        self._out.append(Persist(certificate))
        if is_relayed:
            self._out.append(Broadcast(certificate))
        if subject.kind == VoteKind.NOTARIZE:
            self._note_notarized(certificate)
        elif subject.kind == VoteKind.FINALIZE:
            self._note_final(certificate)
        if subject.view >= self._state.view:
            # A node that has nullified the view still leaves it through its notarization.
            self._entry = certificate
            self._enter(View(subject.view + 1))
        if self._notarized_view > self._chain.final_view:
            self._pace.arm_tail(self._now_ms, self._out)
        self._update_tip()
        self._fetches.want(certificate, self._out)
        self._is_poked = True

    def _note_notarized(self, certificate: Certificate) -> None:
        subject = certificate.subject
        known = self._chain.find(subject.digest)
        if known is not None:
            self._chain.note_certified(known)
        self._finalizable[subject.view] = None
        self._notarized_view = max(self._notarized_view, subject.view)

    def _note_final(self, certificate: Certificate) -> None:
        known = self._chain.find(certificate.subject.digest)
        if known is not None:
            self._chain.note_certified(known)
        self._chain.finalize(certificate)
        self._views.prune(final_view=self._chain.final_view, current=self._state.view)

    def _enter(self, view: View) -> None:
        self._pace.enter(view, self._now_ms, self._out)
        self._state = self._views.at(view)
        self._views.prune(final_view=self._chain.final_view, current=view)
        self._chain.forget_unfinished(below=View(view - VOTE_VIEWS_MAX), keep=self._fetches.open_digests)

    def _update_tip(self) -> None:
        """Tell the driver which block we would extend, so that it can say whether work is due beyond it."""
        tip = self._chain.final_digest
        if self._notarized_view > self._chain.final_view:
            notarization = self._views.certificate(VoteKind.NOTARIZE, self._notarized_view)
            assert notarization is not None
            tip = notarization.subject.digest
        if tip != self._tip:
            self._tip = tip
            self._is_work_due = False
            self._out.append(TipChanged(tip))

    def _hand_out(self) -> None:
        found = self._chain.take_final()
        if found is not None:
            blocks, certificate = found
            self._out.append(Finalized(blocks, certificate))
            self._end_epoch_after(blocks[-1].header, certificate)
            self._fetches.refresh(self._out)

    def _end_epoch_after(self, last: Header, certificate: Certificate) -> None:
        """Retire if `last`, which `certificate` finalizes and all know as handed out, ends the epoch."""
        if last.epoch != self._setup.epoch or not last.flags & FLAG_EPOCH_END:
            return
        self._is_over = True
        # Safety: the next validators begin at this block; a vote of ours above it would count for nobody.
        self._voter.retire()
        self._out.append(EpochEnded(certificate.subject.digest, certificate))
        self._out.append(CancelTimers(self._state.view))

    # Own votes.

    def _count(self, vote: Vote) -> None:
        """Send an own vote and count it. Its record comes first."""
        self._out.append(Broadcast(vote))
        self._tally(vote.subject)

    def _give_up(self) -> None:
        """Nullify the current view, if that is still allowed."""
        vote = self._voter.nullify(self._state, current=self._state.view, out=self._out)
        if vote is not None:
            self._count(vote)
            self._pace.arm_retry(self._now_ms, self._out)

    def _finalize_all(self) -> None:
        """Finalize the notarized views we have left, once their chain is here, however late that is."""
        current, final_view = self._state.view, self._chain.final_view
        for view in [view for view in self._finalizable if view < current]:
            notarization = self._views.certificate(VoteKind.NOTARIZE, view)
            state = self._views.find(view)
            if (
                state is None
                or notarization is None
                or not self._voter.may_finalize(
                    state, notarization.subject.digest, current=current, final_view=final_view
                )
            ):
                # None of these rules can come to allow it later.
                del self._finalizable[view]
                continue
            digest = notarization.subject.digest
            if self._chain.is_local(digest):
                del self._finalizable[view]
                vote = self._voter.finalize(state, digest, current=current, final_view=final_view, out=self._out)
                assert vote is not None
                self._count(vote)

    # The current view.

    def _leader_of(self, view: View) -> ValidatorIndex:
        return leader_of(view, validator_count=self._setup.validator_count, shift=self._shift)

    def _wake(self) -> None:
        """Give up with the leader; become active for work, or because a correct node must have had a reason."""
        state = self._state
        leader = self.leader
        if leader != self._own and state.find_vote(VoteKind.NULLIFY, leader) is not None:
            self._give_up()
        if self._pace.is_active:
            return
        # What waits beyond the last block of the epoch is for the next one: that block is agreed on at rest.
        is_work_due = self._is_work_due and not self._chain.is_last(self._tip)
        if is_work_due or state.nullify_count > faulty_max(self._setup.validator_count):
            self._activate()

    def _activate(self) -> None:
        if self._own is None or self._is_over:
            return
        self._pace.activate(self._now_ms, final_view=self._chain.final_view, out=self._out)
        self._is_poked = True
        if self.leader != self._own and self._pace.is_silent(self.leader, self._now_ms):
            self._give_up()
        elif self._is_leaving:
            self._resign()

    def _resign(self) -> None:
        """Give up a view that we lead and have no block in: the others need not wait for our silence."""
        # A lone node has nobody to hand over to: it would give up view after view within one step.
        if quorum_size(self._setup.validator_count) == 1 or self.leader != self._own:
            return
        if VoteKind.NOTARIZE not in self._state.own:
            self._give_up()

    def _consider(self) -> None:
        """Look at the leader's proposal again: something that it waits for may have come."""
        state = self._state
        proposal, digest = state.proposal, state.proposal_digest
        if proposal is None or digest is None or self._own is None or self._is_over:
            return
        if state.stage is Stage.REFUSED:
            self._give_up()
            return
        known = self._chain.add(proposal.block, digest)
        if state.stage is Stage.HELD and not self._accept(state, proposal, known):
            return
        if known.is_valid is None:
            if known.judging_view != state.view:
                # Asked anew for each view that proposes it: what was asked in a view that we left may be given up.
                parent = self._chain.find(proposal.block.header.parent_digest)
                assert parent is not None
                known.judging_view = state.view
                self._out.append(RequestJudgement(proposal, parent.block))
        elif not known.is_valid:
            self._give_up()
        else:
            vote = self._voter.notarize(
                state,
                current=state.view,
                parent_view=proposal.parent_view,
                digest=digest,
                out=self._out,
            )
            if vote is not None:
                self._count(vote)

    def _accept(self, state: ViewState, proposal: Proposal, known: KnownBlock) -> bool:
        """Return whether the proposal passes P2 to P5; else see to what it lacks, or give up."""
        # Only the first vote asks when a block was made: what has a certificate is never held to a clock again.
        latest_ms = self._now_ms + self._wall_offset_ms + self._timing.clock_skew_ms
        outcome = examine(
            proposal,
            setup=self._setup,
            shift=self._shift,
            chain=self._chain,
            views=self._views,
            latest_ms=latest_ms,
        )
        if isinstance(outcome, Refused | Invalid):
            state.stage = Stage.REFUSED
            if isinstance(outcome, Invalid):
                self._conclude(known, is_good=False, why=outcome.why)
            elif outcome.is_fault:
                self._out.append(ReportFault(self.leader, f"bad proposal: {outcome.why}", provable=True))
            self._give_up()
            return False
        if not self._pace.is_active:
            self._activate()
        match outcome:
            case Accepted():
                state.stage = Stage.ACCEPTED
                return True
            case Gap():
                self._repair.request(outcome, now_ms=self._now_ms, out=self._out)
            case NeedsBody():
                self._fetches.want_all(self._out)
            case NeedsTime(wall_ms):
                wait_ms = wall_ms - latest_ms
                self._out.append(SetTimer(TimerId.HOLD, state.view, self._now_ms + wait_ms))
            case _:
                assert_never(outcome)
        return False

    # Proposing.

    def _try_propose(self) -> None:
        """Ask for a block if it is our turn and all that it stands on is here."""
        state = self._state
        pace = self._pace
        if not pace.is_active or self.leader != self._own or pace.asked_parent is not None or pace.is_paced:
            return
        if not self._voter.may_notarize(state, current=state.view) or VoteKind.NULLIFY in state.own:
            return
        parent = self._proposer.find_parent(state.view)
        if isinstance(parent, Gap):
            self._repair.request(parent, now_ms=self._now_ms, out=self._out)
            return
        digest = self._proposer.digest_of(parent)
        known = self._chain.find(digest)
        if known is None or known.body_ms is None:
            self._fetches.want_all(self._out)
            return
        if known.header.executed_height > self._chain.executed_height:
            return
        if self._chain.is_last(digest):
            self._propose_last_again(state, parent, known)
            return
        ready_ms = known.body_ms + self._timing.block_ms
        if digest != self._chain.anchor_digest and self._now_ms < ready_ms:
            pace.is_paced = True
            self._out.append(SetTimer(TimerId.PACE, state.view, ready_ms))
            return
        pace.asked_parent = digest
        self._out.append(RequestBuild(state.view, known.block, digest, pace.may_be_empty))

    def _propose_last_again(self, state: ViewState, parent: Parent, last: KnownBlock) -> None:
        """Above the last block of the epoch comes nothing but that block once more, until it is final.

        A quorum has judged it; our own verdict is asked for like that of any proposal, and stops us if it differs.
        """
        if not self._chain.is_local(last.digest):
            self._fetches.want_all(self._out)
            return
        self._propose(state, parent, last, last)
        self._is_poked = True

    def _on_build_late(self) -> None:
        """Half the time to propose has passed: take any block, or give up what cannot be built."""
        if self.leader != self._own or VoteKind.NOTARIZE in self._state.own:
            return
        digest = self._pace.asked_parent
        known = None if digest is None else self._chain.find(digest)
        if digest is None or known is None:
            self._give_up()
            return
        self._out.append(RequestBuild(self._state.view, known.block, digest, may_be_empty=True))

    def _on_built(self, built: Built) -> None:
        state = self._state
        digest = self._pace.asked_parent
        # Another project forked on an answer that belonged to a round it had left.
        if built.view != state.view or digest is None or built.parent_digest != digest:
            return
        if not self._voter.may_notarize(state, current=state.view) or VoteKind.NULLIFY in state.own:
            return
        if built.block is None:
            # Nobody can say at once that work is due and that there is none.
            self._is_work_due = False
            self._give_up()
            return
        parent = self._proposer.find_parent(state.view)
        self._pace.asked_parent = None
        self._is_poked = True
        # If a better parent has come meanwhile, the next round of this step asks for a block on that one.
        if isinstance(parent, Parent) and self._proposer.digest_of(parent) == digest:
            self._propose_new(state, parent, self._chain.known[digest], built.block)

    def _propose_new(self, state: ViewState, parent: Parent, above: KnownBlock, block: Block) -> None:
        self._proposer.check_built(block, view=state.view, above=above)
        known = self._chain.add(block, block.header.digest())
        known.is_valid = True
        self._take_body(known)
        self._propose(state, parent, above, known)

    def _propose(self, state: ViewState, parent: Parent, above: KnownBlock, known: KnownBlock) -> None:
        """Record our vote beside the block, then send both. # Safety: never twice in a view."""
        vote = self._voter.notarize(
            state, current=state.view, parent_view=parent.view, digest=known.digest, out=self._out
        )
        assert vote is not None
        proposal = self._proposer.assemble(known.block, above=above, parent=parent, vote=vote)
        self._hold_own(state, proposal)
        self._out.append(Broadcast(proposal))
        self._tally(vote.subject)

    def _hold_own(self, state: ViewState, proposal: Proposal) -> None:
        state.proposal = proposal
        state.proposal_digest = proposal.leader_vote.subject.digest
        state.stage = Stage.ACCEPTED

    def _restore_proposal(self) -> None:
        """After a restart: propose what is recorded, and nothing else, in this view."""
        state = self._state
        proposal = self._proposer.restore(state) if self.leader == self._own else None
        if proposal is None:
            return
        if not is_sealed_again(proposal):
            self._chain.add(proposal.block, proposal.leader_vote.subject.digest).is_valid = True
        self._hold_own(state, proposal)

    # Repairing losses.

    def _on_status(self, peer: ValidatorIndex, status: Status) -> None:
        state = self._state
        if not self._repair.on_status(peer, status, view=state.view, now_ms=self._now_ms, out=self._out):
            return
        if self.leader == self._own and state.proposal is not None and status.view <= state.view:
            self._out.append(Send(peer, state.proposal))

    def _resend(self) -> None:
        """Say again what we said in this view, and what let us into it: it may have been lost."""
        if self._entry is not None:
            self._out.append(Broadcast(self._entry))
        if self.leader == self._own and self._state.proposal is not None:
            self._out.append(Broadcast(self._state.proposal))
        self._out.extend(Broadcast(vote) for vote in self._state.own.values())
