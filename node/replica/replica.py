"""The replica: `Replica.step` takes what happened to this node and returns what its driver must do, in order.

It holds the consensus core and does what the core asks for: it builds and judges blocks over the feeds, makes their
bodies complete, catches up by chain sync. What belongs to data alone is in `traffic`, `bodies`, `proposing` and
`chain_sync`, what is new in each epoch in `epoch`; this file joins them. All that becomes final passes through
`_commit`, keyed by height, and once the last block of an epoch is executed, `_enter_epoch` goes over to the next.

The file is a little longer than others: what the core asks for and what answers it are to be read side by side.
"""

import dataclasses
from collections import deque
from collections.abc import Callable
from typing import assert_never

from consensus import effects as core_effects
from consensus import inputs as core_inputs
from consensus.errors import invariant
from consensus.messages import (
    Block,
    Certificate,
    CertificateRequest,
    CoreMessage,
    Proposal,
    Status,
    Vote,
    VoteKind,
    payload_digest,
)
from consensus.recovery import GUARD_CLOSED
from consensus.scheme import Signer, Verifier
from consensus.types import Digest, Epoch, Height, View
from node.ledger.roster import EpochRecord, Roster
from node.replica import inputs
from node.replica.bodies import SYNC_GAP
from node.replica.clocks import Clocks
from node.replica.effects import (
    Alarm,
    Broadcast,
    Effect,
    EpochStarted,
    FinalBlock,
    Finalized,
    Halt,
    LogEpoch,
    LogLoss,
    Persist,
    ReportFault,
    Send,
    StoreBlock,
)
from node.replica.epoch import epoch_of, open_epoch
from node.replica.executed import ExecutedState
from node.replica.lasting import anchor_of, build_lasting, final_block_of, find_place
from node.replica.membership import ValidatorKeys
from node.replica.moment import Moment, earliest
from node.replica.overview import Overview, build_overview
from node.replica.recovered import Recovered, ReplicaSetup
from node.replica.serving import Serving
from node.replica.start import core_recovered, later_records, start_of
from node.replica.tree import Node
from node.wire.ids import FeedId, FeedTip, MemberId
from node.wire.messages import (
    HAVE_ENTRIES_MAX,
    BatchData,
    BatchRequest,
    BlockData,
    BlockRequest,
    ChainData,
    ChainRequest,
    EvidenceData,
    Have,
    Hello,
    Message,
    Rejoin,
    RejoinAnswer,
    StatusReport,
)

CLOCK_STEP_MS = 20
"""The core is told of the wall clock when it has moved by more than this against the monotonic one."""


class Replica:
    """One node of the network, without its disk, sockets and threads."""

    def __init__(
        self,
        setup: ReplicaSetup,
        recovered: Recovered,
        *,
        signer: Signer,
        verifiers: Callable[[Roster], Verifier] = ValidatorKeys,
        now_ms: int,
        wall_ms: int,
    ) -> None:
        """Hold what is given; the input Started does the work.

        signer: the node's key. verifiers: gives who verifies the votes of a roster's validators.
        """
        self._setup = setup
        self._moment = moment = Moment(now_ms, wall_ms)
        self._recovered = recovered
        self._wall_offset_ms = wall_ms - now_ms
        record = setup.genesis.epoch_record if recovered.epoch is None else recovered.epoch
        place = find_place(setup, record, verifiers)
        # What of our own stands on feeds that have ended has to be sealed again; Started sees to that.
        self._lasting, self._ended = build_lasting(setup, recovered, place, moment, signer=signer, verifiers=verifiers)
        lasting = self._lasting
        self._feeds, self._executed, self._tree = lasting.feeds, lasting.executed, lasting.tree
        self._bodies, self._fetcher, self._sync = lasting.bodies, lasting.bodies.fetcher, lasting.sync
        self._traffic, self._rejoining, self._evidence = lasting.traffic, lasting.rejoining, lasting.evidence
        core = dataclasses.replace(core_recovered(recovered, record, lasting.tree), guard=lasting.rejoining.guard)
        anchor = anchor_of(setup, recovered)
        self._epoch = open_epoch(lasting, place, anchor, core, wall_offset_ms=self._wall_offset_ms)
        self._clocks = Clocks(skew_ms=setup.timing.clock_skew_ms)
        self._serving = Serving(moment)
        self._to_core: deque[core_inputs.Input] = deque()
        self._up: dict[MemberId, None] = {}
        self._sync_only: dict[MemberId, None] = {}
        self._sender: MemberId | None = None
        self._final_block = final_block_of(setup, recovered)
        self._final_certificate = core.final_certificate
        self._next_epoch: EpochRecord | None = None
        self._is_dirty = False
        self._is_halted = False

    # What the driver may ask at any time.

    @property
    def deadline_ms(self) -> int | None:
        """When TimerDue is due, in monotonic milliseconds; a time in the past means at once."""
        if self._is_halted:
            return None
        return earliest(
            self._epoch.timers.deadline_ms(),
            self._traffic.deadline_ms(),
            self._fetcher.deadline_ms(),
            self._sync.deadline_ms() if self._up else None,
            self._rejoining.deadline_ms(),
            self._evidence.deadline_ms(),
            None if self._epoch.proposing is None else self._epoch.proposing.deadline_ms(),
        )

    @property
    def member(self) -> MemberId:
        """Whose node this is."""
        return self._setup.member

    @property
    def is_halted(self) -> bool:
        """Whether the replica has stopped for good."""
        return self._is_halted

    def overview(self) -> Overview:
        """Return where this node stands, for people."""
        return build_overview(self._lasting, self._epoch, tuple(sorted(self._up)))

    def holders(self, feed: FeedId, seq: int) -> int:
        """Return how many other validators are known to hold a feed's batch that this node holds."""
        return self._lasting.acknowledged.holders(self._feeds.branches(feed), seq)

    # One step.

    def step(self, incoming: inputs.Input, now_ms: int, wall_ms: int) -> tuple[Effect, ...]:
        """Apply one input and return what the driver must do, in that order.

        Total over peer input: a wrong message yields ReportFault, never an exception.
        now_ms: monotonic milliseconds, never less than in the call before. wall_ms: Unix milliseconds.
        """
        if self._is_halted:
            return ()
        moment = self._moment
        invariant(now_ms >= moment.now_ms, "the monotonic clock never goes back")
        moment.now_ms, moment.wall_ms, moment.out = now_ms, wall_ms, []
        if abs(wall_ms - now_ms - self._wall_offset_ms) > CLOCK_STEP_MS and not isinstance(incoming, inputs.Started):
            self._wall_offset_ms = wall_ms - now_ms
            self._to_core.append(core_inputs.WallClock(self._wall_offset_ms))
        self._handle(incoming)
        self._finish()
        self._sender = None
        return tuple(moment.out)

    def _handle(self, incoming: inputs.Input) -> None:
        match incoming:
            case inputs.MessageReceived(member, message):
                self._on_message(member, message)
            case inputs.TimerDue():
                self._on_timers()
            case inputs.BatchChecked():
                self._on_settled(self._traffic.on_checked(incoming))
            case inputs.Submitted():
                self._traffic.sealing.submit(incoming)
            case inputs.Executed():
                self._on_executed(incoming)
            case inputs.OwnLoaded(batches):
                self._traffic.sealing.on_loaded(batches)
            case inputs.PeerUp(member, is_sync_only):
                self._on_peer_up(member, is_sync_only=is_sync_only)
            case inputs.PeerDown(member):
                self._on_peer_down(member)
            case inputs.Started():
                self._on_started()
            case inputs.Shutdown():
                self._traffic.sealing.stop()
                self._to_core.append(core_inputs.Shutdown())
            case _:
                assert_never(incoming)

    def _finish(self) -> None:
        """Do what the input has made possible: seal, answer the core, catch up, say what is new, fetch."""
        moment = self._moment
        self._rejoin()
        self._traffic.seal_due()
        self._run_core()
        while not self._is_halted:
            self._catch_up()
            if self._next_epoch is not None and self._epoch.is_over(self._tree):
                self._enter_epoch(self._next_epoch)
            self._consider_work()
            if not self._to_core:
                break
            self._run_core()
        if self._is_halted:
            return
        self._traffic.say_due()
        self._evidence.report_due()
        for member, request in self._fetcher.take_due(moment.now_ms):
            moment.out.append(Send(member, request))

    def _rejoin(self) -> None:
        """Ask what we said before, and vote and seal again once it is known."""
        rejoining, core = self._rejoining, self._epoch.core
        if rejoining.is_settled and self._traffic.sealing.is_settled:
            return
        rejoining.ask({member: None for member in self._up if member not in self._sync_only})
        highest = core.highest_certificate() if not rejoining.is_open else None
        guard = rejoining.advance(View(0) if highest is None else highest.subject.view)
        if guard == GUARD_CLOSED:
            # Safety: before all else of this step. What has shown that votes are forgotten may stand in front of it.
            self._to_core.appendleft(core_inputs.Guarded(guard))
        elif guard is not None:
            self._to_core.append(core_inputs.Guarded(guard))
        self._traffic.sealing.settle(is_chain_here=self._sync.target is None)

    def _consider_work(self) -> None:
        """Tell the core whether work is due and give it the block it waits for, if anything of that has changed."""
        proposing = self._epoch.proposing
        ages_ms = None if proposing is None else proposing.deadline_ms()
        is_aged = ages_ms is not None and ages_ms <= self._moment.now_ms
        if not (self._is_dirty or self._traffic.touched or is_aged):
            return
        self._is_dirty = False
        touched = tuple(self._traffic.touched)
        self._traffic.touched.clear()
        if proposing is None:
            return
        is_due = proposing.work_changed(touched)
        if is_due is not None:
            self._to_core.append(core_inputs.WorkDue(is_due))
        built = proposing.build()
        if built is not None:
            self._to_core.append(built)

    # Inputs.

    def _on_timers(self) -> None:
        while True:
            due = self._epoch.timers.pop_due(self._moment.now_ms)
            if due is None:
                return
            self._to_core.append(core_inputs.TimerFired(*due))
            # One at a time: what it leads to may cancel the next one.
            self._run_core()

    def _on_started(self) -> None:
        recovered, record = self._recovered, self._epoch.record
        if record.epoch > recovered.logged_epoch:
            # The last run ended between the execution of the block that begins the epoch and this record.
            self._moment.out.append(LogEpoch(start_of(record, self._lasting.network_id)))
        if self._rejoining.loss is not None:
            self._moment.out.append(LogLoss(self._rejoining.loss))
        self._rejoining.start()
        # Safety: what the status will show of our own feed must be on record before.
        self._traffic.sealing.recover(recovered.own_logged)
        self._traffic.sealing.take_over(self._ended)
        self._ended = ()
        self._recovered = Recovered(core=later_records(recovered.core, record.epoch))
        self._to_core.append(core_inputs.Started())
        self._is_dirty = True

    def _on_executed(self, executed: inputs.Executed) -> None:
        self._executed.note(executed.height, ExecutedState(executed.state_digest, executed.due_digest))
        self._to_core.append(core_inputs.Executed(executed.height, executed.state_digest))
        if executed.epoch_record is not None:
            self._next_epoch = executed.epoch_record
        for digest in self._epoch.judging.pending():
            self._judge(digest)
        self._is_dirty = True

    def _on_peer_up(self, member: MemberId, *, is_sync_only: bool) -> None:
        if member == self._setup.member or not (is_sync_only or self._epoch.membership.has_member(member)):
            return
        self._up[member] = None
        if is_sync_only:
            self._sync_only[member] = None
        self._fetcher.peer_up(member)
        index = None if is_sync_only else self._epoch.membership.index_of(member)
        if index is not None:
            self._to_core.append(core_inputs.PeerUp(index))
        else:
            self._moment.out.append(Send(member, self._to_wire(self._epoch.core.status())))

    def _on_peer_down(self, member: MemberId) -> None:
        if member not in self._up:
            return
        del self._up[member]
        self._fetcher.peer_down(member)
        self._rejoining.forget(member)
        index = self._epoch.membership.index_of(member)
        if member in self._sync_only:
            del self._sync_only[member]
        elif index is not None:
            self._to_core.append(core_inputs.PeerDown(index))

    def _on_message(self, member: MemberId, message: Message) -> None:
        if member == self._setup.member:
            return
        is_sync_only = member in self._sync_only
        if not is_sync_only and not self._epoch.membership.has_member(member):
            return
        if is_sync_only and not isinstance(message, Certificate | BatchData | BlockData | ChainData):
            return
        self._sender = member
        match message:
            case Vote() | Certificate() | Proposal() | CertificateRequest():
                if self._is_of_epoch(member, epoch_of(message)):
                    index = None if is_sync_only else self._epoch.membership.index_of(member)
                    self._to_core.append(core_inputs.MessageReceived(index, message))
            case StatusReport():
                self._on_status(member, message)
            case Have(executed_height, have):
                self._on_have(member, executed_height, have, is_full=False)
            case BatchData(encoded):
                self._traffic.on_batch(member, encoded)
            case BlockData(block):
                self._on_block(member, block)
            case ChainData():
                self._on_chain(member, message)
            case BatchRequest() | BlockRequest():
                self._serving.serve_data(member, message)
            case ChainRequest():
                self._serving.serve_chain(member, message, self._tree.final_height)
            case Rejoin():
                self._on_rejoin(member, message)
            case RejoinAnswer():
                if self._rejoining.take(member, message, self._epoch.core.final_view):
                    index = self._epoch.membership.index_of(member)
                    assert message.certificate is not None
                    self._to_core.append(core_inputs.MessageReceived(index, message.certificate))
            case EvidenceData(encoded):
                if self._serving.may_bring_evidence(member):
                    self._evidence.take(member, encoded)
            case Hello():
                self._moment.out.append(ReportFault(member, "hello inside a session", provable=True))
            case _:
                assert_never(message)

    def _is_of_epoch(self, member: MemberId, epoch: Epoch) -> bool:
        """Return whether something is of the open epoch; whoever is in an earlier one is told how that ended.

        What is of a later one is lost on us: its sender says it again once our status is of that epoch.
        """
        if epoch < self._epoch.record.epoch:
            self._serving.serve_epoch_end(member, epoch)
        return epoch == self._epoch.record.epoch

    def _on_status(self, member: MemberId, report: StatusReport) -> None:
        moment = self._moment
        self._lasting.boots.note(member, report.boot_nonce, moment.now_ms)
        self._on_have(member, report.executed_height, report.have, is_full=len(report.have) < HAVE_ENTRIES_MAX)
        index = self._epoch.membership.index_of(member)
        is_of_epoch = self._is_of_epoch(member, report.status.epoch)
        if is_of_epoch:
            self._to_core.append(core_inputs.MessageReceived(index, report.status))
        if index is not None:
            alarm = self._clocks.note(member, report.clock_ms, wall_ms=moment.wall_ms, now_ms=moment.now_ms)
            if alarm is not None:
                moment.out.append(Alarm(alarm))
        elif is_of_epoch:
            self._serving.help_follower(member, report.status, self._final_certificate)

    def _on_rejoin(self, member: MemberId, question: Rejoin) -> None:
        """Tell a node that has started what we know of it."""
        moment, epoch = self._moment, self._epoch
        self._lasting.boots.note(member, question.nonce, moment.now_ms)
        if not self._is_of_epoch(member, question.epoch) or not self._serving.may_answer_rejoin(member):
            return
        if self._rejoining.loss is not None and not self._rejoining.is_open:
            # We have forgotten what we knew, and count among those that cannot tell.
            return
        index, feed = epoch.membership.index_of(member), epoch.membership.feed_of(member)
        branches = None if feed is None else self._feeds.branches(feed)
        answer = RejoinAnswer(
            epoch=question.epoch,
            nonce=question.nonce,
            certificate=epoch.core.highest_certificate(),
            vote=None if index is None else epoch.core.newest_vote_of(index),
            tips=() if branches is None else branches.tips(),
            floating=() if branches is None else branches.floating_tips(),
            other_boot=self._lasting.boots.is_another_alive(member, question.nonce, moment.now_ms),
        )
        moment.out.append(Send(member, answer))

    def _on_have(self, member: MemberId, executed: Height, have: tuple[FeedTip, ...], *, is_full: bool) -> None:
        if self._executed.report(member, executed):
            # What we may claim as executed may have risen, and so a change of the epoch have become due.
            self._is_dirty = True
        self._traffic.on_have(member, have, is_full=is_full)

    def _on_block(self, member: MemberId, block: Block) -> None:
        digest = block.header.digest()
        self._fetcher.close(member, digest)
        if not self._bodies.is_block_wanted(digest):
            return
        if payload_digest(block.payload) != block.header.cut_digest:
            self._moment.out.append(ReportFault(member, "block with the payload of another", provable=True))
            self._fetcher.ask_now(digest)
            return
        if self._final_certificate is not None and digest == self._final_certificate.subject.digest:
            self._aim(block.header.height, self._final_certificate)
        self._on_settled(self._bodies.take_block(block, digest))

    def _on_chain(self, member: MemberId, data: ChainData) -> None:
        fault = self._sync.take(member, data, self._moment.now_ms)
        if fault is not None:
            self._moment.out.append(ReportFault(member, f"bad chain: {fault}", provable=True))

    # What the core asks for.

    def _run_core(self) -> None:
        while self._to_core and not self._is_halted:
            for effect in self._epoch.core.step(self._to_core.popleft(), self._moment.now_ms):
                self._carry_out(effect)

    def _carry_out(self, effect: core_effects.Effect) -> None:
        out = self._moment.out
        match effect:
            case StoreBlock() | Alarm():
                out.append(effect)
            case Persist(record):
                out.append(effect)
                if isinstance(record, Vote):
                    self._rejoining.note_own(record, self._epoch.core.final_view)
                elif record.subject.kind == VoteKind.FINALIZE:
                    self._note_final(record)
            case core_effects.Broadcast(message):
                out.append(Broadcast(self._to_wire(message)))
            case core_effects.Send(peer, message):
                out.append(Send(self._epoch.membership.member_at(peer), self._to_wire(message)))
            case core_effects.SetTimer(timer, view, at_ms):
                self._epoch.timers.set(timer, view, at_ms)
            case core_effects.CancelTimers(view):
                self._epoch.timers.cancel(view)
                self._epoch.judging.abandon(view)
            case core_effects.FetchBody(digest, hints):
                members = tuple(self._epoch.membership.member_at(hint) for hint in hints)
                self._on_settled(self._bodies.want_body(digest, members))
            case core_effects.RequestJudgement(proposal):
                digest = proposal.leader_vote.subject.digest
                self._epoch.judging.ask(digest, effect)
                self._tree.add(proposal.block, digest)
                self._on_settled(self._bodies.advance(digest))
                self._judge(digest)
            case core_effects.DropJudgement(digest):
                self._epoch.judging.drop(digest)
            case core_effects.TipChanged(digest):
                self._is_dirty = True
                if self._epoch.proposing is not None:
                    self._epoch.proposing.tip_changed(digest)
            case core_effects.RequestBuild():
                self._is_dirty = True
                invariant(self._epoch.proposing is not None, "only a validator proposes")
                assert self._epoch.proposing is not None
                self._epoch.proposing.ask(effect)
            case core_effects.Finalized(blocks, certificate):
                self._commit(blocks[-1].header.digest(), certificate)
            case core_effects.EpochEnded():
                # The final block of the tree says so too. The next epoch begins once that is executed.
                pass
            case core_effects.ReportEvidence(first, second):
                self._evidence.find_votes(self._epoch.membership.member_at(first.signer), first, second)
            case core_effects.ReportFault(peer, why, provable):
                member = self._sender if peer is None else self._epoch.membership.member_at(peer)
                out.append(ReportFault(member, why, provable))
            case Halt(why):
                self._halt(why)
            case _:
                assert_never(effect)

    def _to_wire(self, message: CoreMessage) -> Message:
        if not isinstance(message, Status):
            return message
        return StatusReport(
            status=message,
            executed_height=self._executed.height,
            have=self._traffic.say_all(),
            boot_nonce=self._setup.boot_nonce,
            clock_ms=self._moment.wall_ms,
        )

    def _halt(self, why: str) -> None:
        self._is_halted = True
        self._moment.out.append(Halt(why))

    # Blocks that have become complete.

    def _on_settled(self, nodes: list[Node]) -> None:
        for node in nodes:
            self._is_dirty = True
            if self._sync.covers(node.digest):
                if node.broken is not None:
                    self._halt(f"final block {node.digest.hex()} cannot be: {node.broken}")
                continue
            self._judge(node.digest)
            if node.digest not in self._bodies.wanted:
                continue
            if node.broken is not None:
                self._halt(f"a quorum certified block {node.digest.hex()}, which cannot be: {node.broken}")
                return
            del self._bodies.wanted[node.digest]
            self._to_core.append(core_inputs.BodyAvailable(node.block))

    def _judge(self, digest: Digest) -> None:
        judged = self._epoch.judging.look(digest)
        if judged is not None:
            self._to_core.append(judged)

    # Finality.

    def _note_final(self, certificate: Certificate) -> None:
        """The core has verified what is final; if that is far above us, catch up by ranges."""
        if self._final_certificate is None or certificate.subject.view > self._final_certificate.subject.view:
            self._final_certificate = certificate
            node = self._tree.find(certificate.subject.digest)
            if node is not None:
                self._aim(node.height, certificate)

    def _aim(self, height: Height, certificate: Certificate) -> None:
        if height > self._tree.final_height + SYNC_GAP:
            self._sync.aim(height, certificate)
            self._bodies.syncing_to = height

    def _catch_up(self) -> None:
        """Take the next steps of chain sync."""
        sync, moment = self._sync, self._moment
        for digest in sync.next_to_pursue():
            self._on_settled(self._bodies.pursue(digest))
        completed = sync.completed()
        if completed is not None:
            digest, certificate = completed
            last = self._tree.path_to(digest)
            moment.out.extend(StoreBlock(node.block) for node in last)
            self._commit(digest, certificate)
            self._to_core.append(core_inputs.SyncedTo(last[-1].block, certificate))
        request = sync.next_request(list(self._up), moment.now_ms)
        if request is not None:
            moment.out.append(Send(*request))
        if sync.target is None and self._bodies.syncing_to is not None:
            self._bodies.syncing_to = None
            self._on_settled(self._bodies.resume())

    def _commit(self, digest: Digest, certificate: Certificate) -> None:
        """Make everything up to this complete block final: the one way, whoever brought it."""
        path = self._tree.path_to(digest)
        self._final_block = path[-1].block
        blocks = tuple(
            FinalBlock(node.block, node.digest, tuple(record.tip for record in node.covered or ())) for node in path
        )
        self._tree.finalize(path)
        self._moment.out.append(Finalized(blocks, certificate))
        self._executed.forget_below(path[-1].block.header.executed_height)
        self._bodies.clear_passed()
        self._sync.passed()
        self._is_dirty = True

    # From epoch to epoch.

    def _enter_epoch(self, record: EpochRecord) -> None:
        """Go over to the next epoch: its first block will stand on the last final one, which is executed here.

        # Safety: one core at a time, and the record stands before anything that is said in the epoch.
        """
        invariant(record.anchor_digest == self._tree.final_digest, "an epoch begins where the one before has ended")
        lasting, out = self._lasting, self._moment.out
        out.append(LogEpoch(start_of(record, self._lasting.network_id)))
        place = lasting.place_in(record)
        lasting.enter(place, self._recovered)
        # Of an epoch that this node had already served in when it lost what it had executed, the votes are on record.
        core = dataclasses.replace(self._recovered.core, executed=self._executed.known(), guard=self._rejoining.guard)
        self._epoch = open_epoch(lasting, place, self._final_block, core, wall_offset_ms=self._wall_offset_ms)
        self._next_epoch = self._final_certificate = None
        out.append(EpochStarted(record))
        self._to_core.clear()
        self._to_core.append(core_inputs.Started())
        for member in tuple(self._up):
            if member not in self._sync_only and not place.membership.has_member(member):
                del self._up[member]
                self._fetcher.peer_down(member)
        voters = [place.membership.index_of(member) for member in self._up if member not in self._sync_only]
        self._to_core.extend(core_inputs.PeerUp(index) for index in voters if index is not None)
        self._is_dirty = True
