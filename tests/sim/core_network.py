"""A network of consensus cores in virtual time: no sockets, threads or real signatures, one seed, one trace.

Each node has a disk that loses what was not synced, a stand-in for the replica (payloads are sets of small numbers,
known to all nodes or to some), and a way to crash before any single effect. `AgreementChecker` watches what is said
and handed out; it shares no code with the core beyond the messages themselves.
"""

import hashlib
import heapq
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from consensus.core import Core
from consensus.effects import (
    Alarm,
    Broadcast,
    CancelTimers,
    DropJudgement,
    Effect,
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
    Block,
    Certificate,
    CoreMessage,
    Header,
    Proposal,
    Vote,
    VoteKind,
    payload_digest,
)
from consensus.recovery import Recovered, Setup
from consensus.timing import Timing
from consensus.types import ZERO_DIGEST, Digest, Epoch, Height, ValidatorIndex, View
from tests.support.fake_keys import FakeSigner, FakeVerifier

NETWORK_ID = Digest(hashlib.sha256(b"simulated network").digest())
WALL_START_MS = 1_700_000_000_000

ANCHOR = Block(
    Header(
        network_id=NETWORK_ID,
        epoch=Epoch(0),
        height=Height(0),
        view=View(0),
        proposer=ValidatorIndex(0),
        parent_digest=ZERO_DIGEST,
        timestamp_ms=WALL_START_MS - 1,
        cut_digest=payload_digest(b""),
        batch_root=ZERO_DIGEST,
        history_root=ZERO_DIGEST,
        batch_count=0,
        transaction_count=0,
        executed_height=Height(0),
        state_digest=ZERO_DIGEST,
        flags=0,
        next_epoch_digest=ZERO_DIGEST,
    ),
    b"",
)


def encode_payload(items: list[int]) -> bytes:
    """Return a payload that covers these items."""
    return struct.pack(f">{len(items)}I", *items)


def decode_payload(payload: bytes) -> list[int]:
    """Return the items that a payload covers."""
    return list(struct.unpack(f">{len(payload) // 4}I", payload))


@dataclass
class Disk:
    """What survives a crash: everything synced, and nothing else."""

    records: list[Vote | Certificate] = field(default_factory=list)
    blocks: dict[Digest, Block] = field(default_factory=dict)
    chain: list[Block] = field(default_factory=list)
    final_certificate: Certificate | None = None
    states: list[Digest] = field(default_factory=lambda: [ZERO_DIGEST])
    unsynced: list[Vote | Certificate | Block] = field(default_factory=list)

    def sync(self) -> None:
        for record in self.unsynced:
            if isinstance(record, Block):
                self.blocks[record.header.digest()] = record
            else:
                self.records.append(record)
        self.unsynced.clear()

    def lose_unsynced(self, keep: int) -> None:
        """A crash: the first `keep` unsynced records happen to have reached the disk."""
        del self.unsynced[keep:]
        self.sync()

    def recovered(self) -> Recovered:
        final = self.chain[-1] if self.chain else None
        height = len(self.chain)
        return Recovered(
            votes=tuple(record for record in self.records if isinstance(record, Vote)),
            certificates=tuple(record for record in self.records if isinstance(record, Certificate)),
            final_block=final,
            final_certificate=self.final_certificate,
            blocks=tuple(block for block in self.blocks.values() if block.header.height > height),
            executed=tuple((Height(number), digest) for number, digest in enumerate(self.states)),
        )


class AgreementChecker:
    """Remembers all that honest nodes ever said or handed out, across all their incarnations."""

    def __init__(self) -> None:
        self.chain: list[Digest] = []
        self.votes: dict[tuple[int, int, int], tuple[bytes, int]] = {}
        self.notarized: dict[int, bytes] = {}
        self.kinds: dict[int, set[int]] = {}

    def on_sent(self, node: "SimNode", message: CoreMessage) -> None:
        votes: list[Vote] = []
        certificates: list[Certificate] = []
        if isinstance(message, Vote):
            votes.append(message)
        elif isinstance(message, Certificate):
            certificates.append(message)
        elif isinstance(message, Proposal):
            votes.append(message.leader_vote)
            certificates += message.nullifications
            certificates += [found for found in (message.parent_certificate, message.executed_certificate) if found]
        for vote in votes:
            assert vote.signer == node.index, "a node relays votes of others"
            assert vote in node.disk.records, f"{node.index} shows a vote that is not durable: {vote.subject}"
            if vote.subject.kind != VoteKind.NULLIFY:
                assert vote.subject.digest in node.disk.blocks, (
                    f"{node.index} votes for a block that is not durable: {vote.subject}"
                )
            self.on_vote(vote)
        for certificate in certificates:
            self.on_certificate(node, certificate)

    def on_vote(self, vote: Vote) -> None:
        subject = vote.subject
        said = (bytes(subject.digest), subject.parent_view)
        key = (vote.signer, int(subject.kind), subject.view)
        assert self.votes.setdefault(key, said) == said, f"{vote.signer} votes twice: {subject}"
        if subject.kind != VoteKind.NOTARIZE:
            other = VoteKind.FINALIZE if subject.kind == VoteKind.NULLIFY else VoteKind.NULLIFY
            assert (vote.signer, int(other), subject.view) not in self.votes, f"{vote.signer} nullifies and finalizes"

    def on_certificate(self, node: "SimNode", certificate: Certificate) -> None:
        subject = certificate.subject
        count = node.network.size
        signers = {signer for signer, _ in certificate.signatures}
        assert len(signers) == len(certificate.signatures) >= count - (count - 1) // 3
        if subject.kind != VoteKind.NULLIFY:
            digest = bytes(subject.digest)
            assert self.notarized.setdefault(subject.view, digest) == digest, f"two blocks in view {subject.view}"
        kinds = self.kinds.setdefault(subject.view, set())
        kinds.add(int(subject.kind))
        assert not {2, 3} <= kinds, f"view {subject.view} is nullified and final"

    def on_finalized(self, node: "SimNode", finalized: Finalized) -> None:
        for block in finalized.blocks:
            height = block.header.height
            assert height == len(node.disk.chain) + 1, f"{node.index} hands out height {height} out of order"
            digest = block.header.digest()
            previous = node.disk.chain[-1].header.digest() if node.disk.chain else NETWORK_ID
            assert block.header.parent_digest == previous, "the chain does not link"
            if len(self.chain) < height:
                self.chain.append(digest)
            assert self.chain[height - 1] == digest, f"nodes disagree at height {height}"
            node.disk.chain.append(block)
        assert finalized.certificate.subject.digest == finalized.blocks[-1].header.digest()
        node.disk.final_certificate = finalized.certificate


class CrashError(Exception):
    """The node dies before the next effect."""


class SimNode:
    """One honest node: a core, a disk, and a stand-in for the replica."""

    def __init__(self, network: "CoreNetwork", index: int) -> None:
        self.network = network
        self.index = ValidatorIndex(index)
        self.disk = Disk()
        self.items: dict[int, None] = {}
        self.core: Core | None = None
        self.incarnation = 0
        self.timers: dict[tuple[TimerId, View], int] = {}
        self.tip = NETWORK_ID
        self.was_due = False
        self.judging: dict[Digest, tuple[Proposal, Block]] = {}
        self.faults: list[ReportFault] = []
        self.evidence: list[ReportEvidence] = []
        self.alarms: list[str] = []
        self.halted: str | None = None
        self.effects_left: int | None = None
        self.effect_count = 0
        self.build_none = False
        self.wall_skew_ms = 0

    @property
    def is_up(self) -> bool:
        return self.core is not None

    def start(self) -> None:
        """Boot from the disk."""
        self.incarnation += 1
        self.timers.clear()
        self.judging.clear()
        self.tip, self.was_due = NETWORK_ID, False
        self.core = Core(
            Setup(NETWORK_ID, Epoch(0), self.network.size, self.index, ANCHOR, NETWORK_ID),
            self.network.timing,
            self.disk.recovered(),
            signer=FakeSigner(self.index),
            verifier=self.network.verifier,
            wall_offset_ms=WALL_START_MS + self.wall_skew_ms,
        )
        self.feed(Started())
        for peer in self.network.nodes:
            if self.is_up and peer is not self and peer.is_up and self.network.is_linked(self.index, peer.index):
                self.feed(PeerUp(peer.index))
                peer.feed(PeerUp(self.index))

    def crash(self, keep: int = 0) -> None:
        """Lose everything that was not synced, but `keep` records."""
        self.disk.lose_unsynced(keep)
        self.core = None
        self.judging.clear()
        for peer in self.network.nodes:
            if peer is not self and peer.is_up:
                peer.feed(PeerDown(self.index))

    def feed(self, incoming: Input) -> None:
        """Give the core an input and carry out what it asks for, then tell it whether work is due."""
        if self.core is None or self.halted is not None:
            return
        try:
            self.run(self.core.step(incoming, self.network.now_ms))
        except CrashError:
            self.effects_left = None
            self.crash(keep=self.network.random.randrange(len(self.disk.unsynced) + 1))
            return
        self.tell_work()

    def tell_work(self) -> None:
        if self.core is None or self.halted is not None:
            return
        due = bool(self.uncovered(self.tip))
        if due != self.was_due:
            self.was_due = due
            self.feed(WorkDue(due))

    def run(self, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            if self.effects_left is not None:
                if self.effects_left == 0:
                    raise CrashError
                self.effects_left -= 1
            self.effect_count += 1
            if isinstance(effect, Persist):
                self.disk.unsynced.append(effect.record)
            elif isinstance(effect, StoreBlock):
                self.disk.unsynced.append(effect.block)
            else:
                self.disk.sync()
                self.carry_out(effect)

    def carry_out(self, effect: Effect) -> None:
        network = self.network
        match effect:
            case Broadcast(message):
                self.broadcast(message)
            case Send(peer, message):
                self.send(peer, message)
            case SetTimer(timer, view, at_ms):
                self.timers[timer, view] = at_ms
                network.at(at_ms, lambda: self.fire(timer, view, at_ms), node=self)
            case CancelTimers(view):
                self.timers = {key: at_ms for key, at_ms in self.timers.items() if key[1] != view}
            case TipChanged(digest):
                self.tip, self.was_due = digest, False
            case RequestBuild():
                network.later(1, lambda: self.build(effect), node=self)
            case RequestJudgement(proposal, parent):
                self.judging[proposal.block.header.digest()] = (proposal, parent)
                network.later(1, self.judge_all, node=self)
            case DropJudgement(digest):
                self.judging.pop(digest, None)
            case FetchBody(digest, _):
                network.later(1, lambda: self.fetch(digest), node=self)
            case Finalized():
                network.checker.on_finalized(self, effect)
                network.later(2, self.execute, node=self)
            case ReportEvidence():
                self.evidence.append(effect)
            case ReportFault():
                self.faults.append(effect)
            case Alarm(why):
                self.alarms.append(why)
            case Halt(why):
                self.halted = why
            case _:
                raise AssertionError(effect)

    def broadcast(self, message: CoreMessage) -> None:
        for peer in self.network.nodes:
            if peer is not self:
                self.send(peer.index, message)

    def send(self, peer: ValidatorIndex, message: CoreMessage) -> None:
        self.network.checker.on_sent(self, message)
        self.network.carry(self.index, peer, message)

    def fire(self, timer: TimerId, view: View, at_ms: int) -> None:
        if self.timers.get((timer, view)) == at_ms:
            del self.timers[timer, view]
            self.feed(TimerFired(timer, view))

    # The stand-in for the replica.

    def uncovered(self, tip: Digest) -> list[int]:
        """Return the items known here that the chain up to `tip` does not cover."""
        covered = {item for block in self.disk.chain for item in decode_payload(block.payload)}
        if tip != NETWORK_ID and tip not in self.disk.blocks:
            return []
        while tip in self.disk.blocks:
            block = self.disk.blocks[tip]
            covered.update(decode_payload(block.payload))
            tip = block.header.parent_digest
        return [item for item in self.items if item not in covered]

    def build(self, request: RequestBuild) -> None:
        core = self.core
        assert core is not None
        items = self.uncovered(request.parent_digest)
        if (not items and not request.may_be_empty) or self.build_none:
            self.feed(Built(request.view, request.parent_digest, None))
            return
        self.feed(Built(request.view, request.parent_digest, self.make_block(request, items)))

    def make_block(self, request: RequestBuild, items: list[int]) -> Block:
        above = request.parent.header
        payload = encode_payload(items)
        executed = min(len(self.disk.states) - 1, len(self.disk.chain))
        if above.height == 0:
            executed = 0
        executed = max(executed, above.executed_height)
        return Block(
            Header(
                network_id=NETWORK_ID,
                epoch=Epoch(0),
                height=Height(above.height + 1),
                view=request.view,
                proposer=self.index,
                parent_digest=request.parent_digest,
                timestamp_ms=max(above.timestamp_ms + 1, self.network.now_ms + WALL_START_MS + self.wall_skew_ms),
                cut_digest=payload_digest(payload),
                batch_root=ZERO_DIGEST,
                history_root=ZERO_DIGEST,
                batch_count=len(items),
                transaction_count=len(items),
                executed_height=Height(executed),
                state_digest=self.disk.states[executed] if executed < len(self.disk.states) else above.state_digest,
                flags=0,
                next_epoch_digest=ZERO_DIGEST,
            ),
            payload,
        )

    def judge_all(self) -> None:
        """Answer every judgement whose data and state are here."""
        for digest, (proposal, _) in list(self.judging.items()):
            if digest not in self.judging:
                continue
            block = proposal.block
            if any(item not in self.items for item in decode_payload(block.payload)):
                continue
            executed = block.header.executed_height
            if executed >= len(self.disk.states):
                continue
            del self.judging[digest]
            self.feed(Judged(digest, self.disk.states[executed] == block.header.state_digest))

    def execute(self) -> None:
        while self.is_up and len(self.disk.states) <= len(self.disk.chain):
            block = self.disk.chain[len(self.disk.states) - 1]
            state = Digest(hashlib.sha256(self.disk.states[-1] + block.header.digest()).digest())
            self.disk.states.append(state)
            self.feed(Executed(block.header.height, state))
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
        network.later(300, lambda: self.fetch(digest), node=self)

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


class CoreNetwork:
    """All nodes, the links between them, and the clock."""

    def __init__(self, size: int, *, seed: int = 0, timing: Timing | None = None) -> None:
        self.size = size
        self.random = random.Random(seed)
        self.timing = timing or Timing()
        self.verifier = FakeVerifier()
        self.checker = AgreementChecker()
        self.now_ms = 0
        self.latency = (1, 3)
        self.loss_percent = 0
        self.cut_links: set[tuple[int, int]] = set()
        self.filter: Callable[[int, int, CoreMessage], bool] = lambda source, target, message: True
        self.trace = hashlib.sha256()
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._ticket = 0
        self.nodes = [self.build_node(index) for index in range(size)]

    def build_node(self, index: int) -> SimNode:
        return SimNode(self, index)

    def start(self, *indexes: int) -> None:
        """Start these nodes, or all."""
        for index in indexes or range(self.size):
            self.nodes[index].start()

    def latency_ms(self) -> int:
        return self.random.randint(*self.latency)

    def at(self, at_ms: int, action: Callable[[], None], *, node: SimNode) -> None:
        """Do it then, unless the node has died meanwhile."""
        incarnation = node.incarnation

        def guarded() -> None:
            if node.is_up and node.incarnation == incarnation:
                action()

        self._ticket += 1
        heapq.heappush(self._heap, (max(at_ms, self.now_ms), self._ticket, guarded))

    def later(self, wait_ms: int, action: Callable[[], None], *, node: SimNode) -> None:
        self.at(self.now_ms + wait_ms, action, node=node)

    def is_linked(self, source: int, target: int) -> bool:
        return (source, target) not in self.cut_links

    def carry(self, source: ValidatorIndex, target: ValidatorIndex, message: CoreMessage) -> None:
        """Take a message to another node, or lose it."""
        node = self.nodes[target]
        if not self.is_linked(source, target) or not node.is_up or not self.filter(source, target, message):
            return
        if self.loss_percent and self.random.randrange(100) < self.loss_percent:
            return
        self.later(self.latency_ms(), lambda: self.deliver(source, target, message), node=node)

    def deliver(self, source: ValidatorIndex, target: ValidatorIndex, message: CoreMessage) -> None:
        if self.is_linked(source, target):
            self.trace.update(repr((self.now_ms, source, target, message)).encode())
            self.nodes[target].feed(MessageReceived(source, message))

    def split(self, *groups: tuple[int, ...]) -> None:
        """Cut every link between nodes of different groups."""
        self.cut_links = {
            (source, target)
            for source in range(self.size)
            for target in range(self.size)
            if not any(source in group and target in group for group in groups)
        }

    def heal(self) -> None:
        """All links work again, and each node notices."""
        self.cut_links = set()
        self.loss_percent = 0
        self.filter = lambda source, target, message: True
        for node in self.nodes:
            for peer in self.nodes:
                if peer is not node and peer.is_up:
                    node.feed(PeerUp(peer.index))

    def run_for(self, duration_ms: int) -> None:
        """Let time pass."""
        end_ms = self.now_ms + duration_ms
        while self._heap and self._heap[0][0] <= end_ms:
            self.now_ms, _, action = heapq.heappop(self._heap)
            action()
        self.now_ms = end_ms

    def run_until(self, condition: Callable[[], bool], *, within_ms: int) -> int:
        """Let time pass until the condition holds; return how long it took. Fails when it takes too long."""
        start_ms = self.now_ms
        while not condition():
            assert self._heap, "nothing is left to happen"
            assert self._heap[0][0] <= start_ms + within_ms, f"not within {within_ms} ms: {self.describe()}"
            self.now_ms, _, action = heapq.heappop(self._heap)
            action()
        return self.now_ms - start_ms

    def submit(self, *items: int, to: tuple[int, ...] = ()) -> None:
        """These items become known to the nodes, or to all."""
        for index in to or range(self.size):
            self.nodes[index].learn(list(items))

    def is_final(self, item: int, *, at: tuple[int, ...] = ()) -> bool:
        """Return whether the item is in the final chain of these nodes, or of all that are up."""
        nodes = [self.nodes[index] for index in at] or [node for node in self.nodes if node.is_up]
        return all(any(item in decode_payload(block.payload) for block in node.disk.chain) for node in nodes)

    def describe(self) -> str:
        return "; ".join(
            f"{node.index}: view {node.core.view if node.core else 'down'}, final {len(node.disk.chain)}, "
            f"halted {node.halted}"
            for node in self.nodes
        )
