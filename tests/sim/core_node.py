"""One honest node: a core, a disk, and a stand-in for the replica, through epochs, crashes and lost disks."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from consensus.core import Core
from consensus.effects import (
    Alarm,
    Broadcast,
    CancelTimers,
    DropJudgement,
    Effect,
    EpochEnded,
    FetchBody,
    Finalized,
    Halt,
    Persist,
    ReportEvidence,
    ReportFault,
    RequestBuild,
    RequestJudgement,
    Send,
    SetTimer,
    StoreBlock,
    TipChanged,
)
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
    Started,
    TimerFired,
    TimerId,
    WorkDue,
)
from consensus.messages import (
    FLAG_EPOCH_END,
    Block,
    CoreMessage,
    Header,
    Proposal,
    payload_digest,
)
from consensus.quorum import quorum_size
from consensus.recovery import GUARD_CLOSED, Setup
from consensus.types import ZERO_DIGEST, Digest, Epoch, Height, ValidatorIndex, View
from tests.sim.core_state import (
    ANCHOR,
    NETWORK_ID,
    NOOP,
    UNEXECUTED_MAX,
    WALL_START_MS,
    Disk,
    EpochStart,
    decode_payload,
    digest_of,
    encode_payload,
)
from tests.support.fake_keys import fake_signature

if TYPE_CHECKING:
    from tests.sim.core_network import CoreNetwork

WAKING = (TimerId.HEART, TimerId.TAIL, TimerId.PROPOSE, TimerId.ADVANCE, TimerId.RETRY)
HELP_MS = 500
REJOIN_MS = 300
RETRY_FETCH_MS = 300


@dataclass(frozen=True)
class NodeKey:
    """Signs as one node, and verifies for the members of an epoch: a key stays the node's in all epochs."""

    members: tuple[int, ...]
    index: int

    def sign(self, message: bytes) -> bytes:
        return fake_signature(self.index, message)

    def verify(self, signer: ValidatorIndex, message: bytes, signature: bytes) -> bool:
        return fake_signature(self.members[signer], message) == signature


def epoch_of(message: CoreMessage) -> Epoch:
    """Return the epoch that a message belongs to."""
    if isinstance(message, Proposal):
        return message.leader_vote.subject.epoch
    return message.subject.epoch if hasattr(message, "subject") else message.epoch


class CrashError(Exception):
    """The node dies before the next effect."""


class SimNode:
    """One honest node. index: which node of the network it is; its seat among an epoch's validators may differ."""

    def __init__(self, network: "CoreNetwork", index: int) -> None:
        self.network = network
        self.index = index
        self.disk = Disk(EpochStart(Epoch(0), ANCHOR, network.members))
        self.items: dict[int, None] = {}
        self.core: Core | None = None
        self.members = network.members
        self.incarnation = 0
        self.timers: dict[tuple[TimerId, View], int] = {}
        self.tip = NETWORK_ID
        self.was_due = False
        self.judging: dict[Digest, tuple[Proposal, Block]] = {}
        self.building: RequestBuild | None = None
        self.faults: list[ReportFault] = []
        self.evidence: list[ReportEvidence] = []
        self.accused: set[int] = set()
        self.alarms: list[str] = []
        self.halted: str | None = None
        self.effects_left: int | None = None
        self.effect_count = 0
        self.build_none = False
        self.wall_skew_ms = 0
        self.execution_ms = 2
        self.answers: dict[int, View] | None = None
        self.guards: list[tuple[Epoch, View]] = []
        self.helped_ms: dict[int, int] = {}

    @property
    def is_up(self) -> bool:
        return self.core is not None

    @property
    def epoch(self) -> Epoch:
        return self.disk.start.epoch

    @property
    def seat(self) -> ValidatorIndex | None:
        return self.seat_of(self.index)

    def seat_of(self, index: int) -> ValidatorIndex | None:
        """Return the place of a node among the validators of our epoch."""
        return ValidatorIndex(self.members.index(index)) if index in self.members else None

    # Life and death.

    def start(self) -> None:
        """Boot from the disk."""
        self.incarnation += 1
        self.begin_epoch()
        for peer in self.network.nodes:
            if self.is_up and peer is not self and peer.is_up and self.network.is_linked(self.index, peer.index):
                self.note_peer(peer.index, is_up=True)
                peer.note_peer(self.index, is_up=True)

    def begin_epoch(self) -> None:
        start = self.disk.start
        self.timers.clear()
        self.judging.clear()
        self.building = None
        self.members = start.members
        self.network.checker.on_start(start)
        self.tip, self.was_due = digest_of(start.anchor), False
        recovered = self.disk.recovered()
        seat = self.seat
        key = NodeKey(start.members, self.index)
        self.core = Core(
            Setup(NETWORK_ID, start.epoch, len(start.members), seat, start.anchor, digest_of(start.anchor)),
            self.network.timing,
            recovered,
            signer=None if seat is None else key,
            verifier=key,
            wall_offset_ms=WALL_START_MS + self.wall_skew_ms,
        )
        self.answers = {} if self.disk.guard == GUARD_CLOSED and seat is not None else None
        self.feed(Started())
        self.execute_later()
        if self.answers is not None:
            self.ask_rejoin()

    def crash(self, keep: int = 0) -> None:
        """Lose everything that was not synced, but `keep` records."""
        self.disk.lose_unsynced(keep)
        self.core = None
        self.judging.clear()
        for peer in self.network.nodes:
            if peer is not self:
                peer.note_peer(self.index, is_up=False)

    def wipe(self) -> None:
        """The disk is lost with all that was on it; a new one is put in. The node is down."""
        assert not self.is_up
        self.disk = Disk(EpochStart(Epoch(0), ANCHOR, self.network.members), is_lost=True)

    def note_peer(self, index: int, *, is_up: bool) -> None:
        seat = self.seat_of(index)
        if seat is not None:
            self.feed(PeerUp(seat) if is_up else PeerDown(seat))

    def enter_next_epoch(self) -> None:
        """The seal is executed: begin the next epoch, on record before anything is said in it."""
        seal = self.disk.chain[-1]
        due = self.disk.states[seal.header.executed_height].due
        members = self.network.changes[due[-1]]
        self.run_effect(EpochStart(Epoch(seal.header.epoch + 1), seal, members))
        self.disk.sync()
        self.begin_epoch()
        for peer in self.network.nodes:
            if self.is_up and peer is not self and peer.is_up and self.network.is_linked(self.index, peer.index):
                self.note_peer(peer.index, is_up=True)

    # Steps.

    def receive(self, source: int, message: CoreMessage) -> None:
        """A message of another node arrives; one that is behind in epochs is helped."""
        epoch = epoch_of(message)
        if epoch < self.epoch and self.network.now_ms >= self.helped_ms.get(source, -HELP_MS) + HELP_MS:
            self.helped_ms[source] = self.network.now_ms
            self.network.carry(self.index, source, self.disk.closings[epoch])
        self.feed(MessageReceived(self.seat_of(source), message))

    def feed(self, incoming: Input) -> None:
        """Give the core an input and carry out what it asks for, then tell it whether work is due."""
        if self.core is None or self.halted is not None:
            return
        core = self.core
        try:
            for effect in core.step(incoming, self.network.now_ms):
                self.run_effect(effect)
        except CrashError:
            self.effects_left = None
            self.crash(keep=self.network.random.randrange(len(self.disk.unsynced) + 1))
            return
        self.check_way_forward(core)
        self.tell_work()

    def check_way_forward(self, core: Core) -> None:
        """I-15: a validator that may vote in its view has a timer of that view armed, or it would wait for ever."""
        if core.is_over or core.is_halted or self.seat is None or self.disk.guard >= core.view:
            return
        armed = [timer for timer, view in self.timers if view == core.view and timer in WAKING]
        assert armed, f"{self.index} has no way forward in view {core.view}: {self.timers}"

    def tell_work(self) -> None:
        if self.core is None or self.halted is not None:
            return
        due = self.is_work_due()
        if due != self.was_due:
            self.was_due = due
            self.feed(WorkDue(due))

    def run_effect(self, effect: Effect | EpochStart) -> None:
        if self.effects_left is not None:
            if self.effects_left == 0:
                raise CrashError
            self.effects_left -= 1
        self.effect_count += 1
        if isinstance(effect, Persist):
            self.disk.unsynced.append(effect.record)
        elif isinstance(effect, StoreBlock):
            self.disk.unsynced.append(effect.block)
        elif isinstance(effect, EpochStart):
            self.disk.unsynced.append(effect)
        else:
            self.disk.sync()
            self.carry_out(effect)

    def carry_out(self, effect: Effect) -> None:
        network = self.network
        match effect:
            case Broadcast(message):
                self.broadcast(message)
            case Send(peer, message):
                self.say(self.members[peer], message)
            case SetTimer(timer, view, at_ms):
                self.timers[timer, view] = at_ms
                network.at(at_ms, partial(self.fire, timer, view, at_ms, self.epoch), node=self)
            case CancelTimers(view):
                self.timers = {key: at_ms for key, at_ms in self.timers.items() if key[1] != view}
            case TipChanged(digest):
                self.tip, self.was_due = digest, False
            case RequestBuild():
                self.building = effect
                network.later(1, self.build, node=self)
            case RequestJudgement(proposal, parent):
                self.judging[proposal.block.header.digest()] = (proposal, parent)
                network.later(1, self.judge_all, node=self)
            case DropJudgement(digest):
                self.judging.pop(digest, None)
            case FetchBody(digest, _):
                network.later(1, partial(self.fetch, digest), node=self)
            case Finalized(_, certificate):
                network.checker.on_finalized(self.index, self.disk, effect, certificate.subject.epoch)
                self.disk.drop_records(certificate)
                self.execute_later()
            case EpochEnded(digest, certificate):
                assert digest == self.disk.chain[-1].header.digest() == certificate.subject.digest
                self.disk.closings[certificate.subject.epoch] = certificate
            case ReportEvidence(first, _):
                self.evidence.append(effect)
                self.accused.add(self.members[first.signer])
            case ReportFault(peer, _, provable):
                self.faults.append(effect)
                if provable and peer is not None:
                    self.accused.add(self.members[peer])
            case Alarm(why):
                self.alarms.append(why)
            case Halt(why):
                self.halted = why
            case _:
                raise AssertionError(effect)

    def broadcast(self, message: CoreMessage) -> None:
        for peer in self.network.nodes:
            if peer is not self:
                self.say(peer.index, message)

    def say(self, target: int, message: CoreMessage) -> None:
        self.network.checker.on_sent(self.index, self.disk, message)
        self.send(target, message)

    def send(self, target: int, message: CoreMessage) -> None:
        """Hand a message to the network. Liars change it here."""
        self.network.carry(self.index, target, message)

    def fire(self, timer: TimerId, view: View, at_ms: int, epoch: Epoch) -> None:
        if epoch == self.epoch and self.timers.get((timer, view)) == at_ms:
            del self.timers[timer, view]
            self.feed(TimerFired(timer, view))

    # The stand-in for the replica: work, blocks and verdicts.

    def find_block(self, digest: Digest) -> Block | None:
        return self.disk.blocks.get(digest)

    def uncovered(self, tip: Digest) -> list[int]:
        """Return the items known here that the chain up to `tip` does not cover."""
        covered = set(self.disk.covered)
        while (block := self.find_block(tip)) is not None and block.header.height > len(self.disk.chain):
            covered.update(decode_payload(block.payload))
            tip = block.header.parent_digest
        return [item for item in self.items if item not in covered]

    def is_work_due(self) -> bool:
        """Whether there is an item to cover, or a change to seal, beyond the tip; never beyond a seal."""
        anchor = digest_of(self.disk.start.anchor)
        tip = self.find_block(self.tip)
        if self.tip != anchor and (tip is None or tip.header.flags & FLAG_EPOCH_END):
            return False
        return bool(self.uncovered(self.tip)) or bool(self.disk.states[-1].due)

    def executed_to_claim(self) -> int:
        """Return the newest height that is executed here and at a quorum with us."""
        heights = [
            len(self.network.nodes[member].disk.states) - 1
            for member in self.members
            if self.network.nodes[member].is_up
        ]
        heights = sorted(heights, reverse=True)[: quorum_size(len(self.members))]
        return min([len(self.disk.states) - 1, len(self.disk.chain), heights[-1]])

    def build(self) -> None:
        """Answer the request for a block, or leave it unanswered until a block may cover what waits."""
        request, core = self.building, self.core
        if request is None or core is None:
            return
        items = self.uncovered(request.parent_digest)
        executed = self.height_to_name(request)
        if executed >= len(self.disk.states):
            return
        is_due = bool(self.disk.states[executed].due)
        is_stale = executed < request.parent.header.height + 1 - UNEXECUTED_MAX
        if is_stale and not is_due and not request.may_be_empty:
            return
        self.building = None
        if (not items and not is_due and not request.may_be_empty) or self.build_none:
            self.feed(Built(request.view, request.parent_digest, None))
            return
        block = self.make_block(request, [] if is_stale or is_due else items, executed)
        self.feed(Built(request.view, request.parent_digest, block))

    def height_to_name(self, request: RequestBuild) -> int:
        """Return the executed height of a block above the parent asked for."""
        above = request.parent.header
        if request.parent_digest == digest_of(self.disk.start.anchor):
            return above.height
        return max(self.executed_to_claim(), above.executed_height)

    def make_block(self, request: RequestBuild, items: list[int], executed: int) -> Block:
        above = request.parent.header
        payload = encode_payload(items)
        state = self.disk.states[executed]
        seat = self.seat
        assert seat is not None
        return Block(
            Header(
                network_id=NETWORK_ID,
                epoch=self.epoch,
                height=Height(above.height + 1),
                view=request.view,
                proposer=seat,
                parent_digest=request.parent_digest,
                timestamp_ms=max(above.timestamp_ms + 1, self.network.now_ms + WALL_START_MS + self.wall_skew_ms),
                cut_digest=payload_digest(payload),
                batch_root=ZERO_DIGEST,
                history_root=ZERO_DIGEST,
                batch_count=len(items),
                transaction_count=len(items),
                executed_height=Height(executed),
                state_digest=state.digest,
                flags=FLAG_EPOCH_END if state.due else 0,
                next_epoch_digest=state.due_digest,
            ),
            payload,
        )

    def judge_all(self) -> None:
        """Answer every judgement whose data and state are here."""
        for digest, (proposal, _) in list(self.judging.items()):
            if digest not in self.judging:
                continue
            verdict = self.judge(proposal.block)
            if verdict is not None:
                del self.judging[digest]
                self.feed(Judged(digest, verdict))

    def judge(self, block: Block) -> bool | None:
        """P6 of the stand-in; None while data or state is missing."""
        items, header = decode_payload(block.payload), block.header
        if any(item not in self.items for item in items) or header.executed_height >= len(self.disk.states):
            return None
        state = self.disk.states[header.executed_height]
        is_seal = bool(header.flags & FLAG_EPOCH_END)
        return (
            state.digest == header.state_digest
            and is_seal == bool(state.due)
            and header.next_epoch_digest == state.due_digest
            and not (items and (is_seal or header.executed_height < header.height - UNEXECUTED_MAX))
        )

    def execute_later(self) -> None:
        self.network.later(self.execution_ms, partial(self.execute, len(self.disk.chain)), node=self)

    def execute(self, height: int) -> None:
        """Execute the final blocks up to that height; after the last one of the epoch, begin the next."""
        while self.is_up and len(self.disk.states) <= height:
            block = self.disk.chain[len(self.disk.states) - 1]
            state = self.disk.states[-1].after(block, self.disk.states[block.header.executed_height])
            self.disk.states.append(state)
            self.network.checker.on_executed(self.index, block, state)
            self.feed(Executed(block.header.height, state.digest))
        try:
            is_all = len(self.disk.states) > len(self.disk.chain)
            if self.core is not None and self.core.is_over and is_all and self.halted is None:
                self.enter_next_epoch()
        except CrashError:
            self.effects_left = None
            self.crash(keep=self.network.random.randrange(len(self.disk.unsynced) + 1))
        self.build()
        self.judge_all()
        self.tell_work()

    def fetch(self, digest: Digest) -> None:
        """Get a block from any node that can be reached and has it, or try again."""
        network = self.network
        for peer in network.nodes:
            block = peer.disk.blocks.get(digest)
            if peer is not self and peer.is_up and block is not None and network.is_linked(self.index, peer.index):
                network.later(network.latency_ms() * 2, partial(self.receive_body, block), node=self)
                return
        network.later(RETRY_FETCH_MS, partial(self.fetch, digest), node=self)

    def receive_body(self, block: Block) -> None:
        self.items.update(dict.fromkeys(decode_payload(block.payload)))
        self.feed(BodyAvailable(block))
        self.judge_all()

    def learn(self, items: list[int]) -> None:
        """The node comes to hold items, as if their batches had arrived."""
        self.items.update(dict.fromkeys(items))
        if self.is_up:
            self.judge_all()
            self.tell_work()

    # The stand-in for the replica: the way back after a lost disk.

    def ask_rejoin(self) -> None:
        """Ask the validators of our epoch how far it has come, until n - f others have told."""
        if self.answers is None:
            return
        for member in self.members:
            if member != self.index:
                self.network.post(
                    self.index, member, partial(self.network.nodes[member].answer_rejoin, self.index, self.epoch)
                )
        self.network.later(REJOIN_MS, self.ask_rejoin, node=self)

    def answer_rejoin(self, source: int, epoch: Epoch) -> None:
        core = self.core
        if core is None or epoch != self.epoch or self.halted is not None:
            if core is not None and epoch < self.epoch:
                self.network.carry(self.index, source, self.disk.closings[epoch])
            return
        highest = core.highest_certificate()
        view = View(0) if highest is None else highest.subject.view
        target = self.network.nodes[source]
        self.network.post(self.index, source, partial(target.hear_answer, self.index, epoch, view))

    def hear_answer(self, source: int, epoch: Epoch, view: View) -> None:
        if self.answers is None or epoch != self.epoch:
            return
        self.answers[source] = view
        if len(self.answers) < quorum_size(len(self.members)):
            return
        guard = View(max(self.answers.values()) + self.network.guard_margin)
        self.answers = None
        self.disk.guards[epoch] = guard
        self.guards.append((epoch, guard))
        if not self.disk.noop:
            self.network.noop_count += 1
            self.disk.noop = NOOP + self.network.noop_count
            self.network.submit(self.disk.noop)
        self.feed(Guarded(guard))
