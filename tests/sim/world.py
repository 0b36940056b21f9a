"""Virtual time, the network between simulated replicas, and the trace that one seed always gives alike."""

import hashlib
import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from consensus.messages import FLAG_EPOCH_END, Proposal, Vote, VoteKind
from consensus.timing import Timing
from consensus.types import Digest
from node.ledger.genesis import Genesis
from node.ledger.roster import EpochRecord
from node.ledger.transaction import Kind, SignedTransaction
from node.replica import inputs
from node.replica.effects import ReportEvidence, ReportFault
from node.wire.codec import MalformedError
from node.wire.ids import FeedTip, MemberId
from node.wire.messages import Message, decode, encode
from tests.sim.actors import Actor
from tests.sim.checkers import BrokenRuleError, Checker
from tests.sim.node import SimNode
from tests.support.networks import build_genesis, build_transaction


@dataclass(slots=True)
class Weather:
    """What the network does to messages. Percentages; delay in milliseconds.

    is_ordered: one channel delivers in the order of sending, as TCP does; else each message takes its own time.
    """

    delay_ms: tuple[int, int] = (1, 3)
    loss: int = 0
    twice: int = 0
    is_ordered: bool = False


class World:
    """All nodes and what lies between them. steps: how many inputs all replicas have taken."""

    def __init__(
        self,
        seed: int = 0,
        *,
        validators: int = 4,
        members: int = 0,
        observers: int = 0,
        timing: Timing | None = None,
        genesis: Genesis | None = None,
        has_real_keys: bool = False,
    ) -> None:
        self.random = random.Random(seed)
        self.genesis = genesis or build_genesis(validators=validators, members=members, observers=observers)
        self.timing = timing or Timing()
        self.now_ms = 0
        self.steps = 0
        self.weather = Weather()
        self.has_codec = False
        self.checks_batches = False
        self.may_report_faults = False
        self.has_real_keys = has_real_keys
        self.checker = Checker(self.genesis, has_real_keys=has_real_keys)
        self.rosters = {0: self.genesis.roster}
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._cut: set[tuple[MemberId, MemberId]] = set()
        self._sessions: dict[tuple[str, str], bool] = {}
        self._arrivals_ms: dict[tuple[str, str], int] = {}
        self.absent: dict[MemberId, None] = {}
        self._told_ms: dict[str, int] = {}
        self._trace = hashlib.sha256()
        self._last_encoded: tuple[Message, bytes] | None = None
        self.message_filter: Callable[[MemberId, MemberId, Message], bool] | None = None
        self.seal_ms = 0
        self._seals_ms: dict[Digest, int] = {}
        self.nodes = {member: SimNode(self, member) for member in self.genesis.roster.members}
        self.twins: dict[MemberId, SimNode] = {}
        self.lost: dict[MemberId, None] = {}
        self.leaving: dict[MemberId, None] = {}
        self._talks_to_twin: dict[tuple[MemberId, MemberId], None] = {}

    # Time.

    def after(self, delay_ms: int, action: Callable[[], None]) -> None:
        """Do something so many milliseconds from now."""
        self._count += 1
        heapq.heappush(self._events, (self.now_ms + delay_ms, self._count, action))

    def run(self, for_ms: int, *, until: Callable[[], bool] | None = None, look_ms: int = 20) -> bool:
        """Let time pass; stop early once `until` holds, looked at every `look_ms`, and return whether it did."""
        end_ms = self.now_ms + for_ms
        while self.now_ms < end_ms:
            stop_ms = end_ms if until is None else min(end_ms, self.now_ms + look_ms)
            while self._events and self._events[0][0] <= stop_ms:
                at_ms, _, action = heapq.heappop(self._events)
                self.now_ms = self.checker.now_ms = at_ms
                action()
            self.now_ms = stop_ms
            if until is not None and until():
                return True
        return False

    def next_number(self) -> int:
        """A number never given before."""
        self._count += 1
        return self._count

    def trace(self, what: str, name: str) -> None:
        """Add to what must be the same in every run of this seed."""
        self._trace.update(f"{self.now_ms} {name} {what}\n".encode())

    def trace_digest(self) -> str:
        """The digest of all that has happened."""
        return self._trace.hexdigest()

    # Nodes.

    def start_all(self) -> None:
        """Start whoever is down."""
        for node in self.instances():
            node.start()

    def instances(self) -> Iterator[SimNode]:
        """Every process, twins included."""
        yield from self.nodes.values()
        yield from self.twins.values()

    @property
    def up(self) -> list[SimNode]:
        """The nodes that run and are correct."""
        return [node for node in self.nodes.values() if node.is_up and node.actor is None]

    @property
    def correct(self) -> list[SimNode]:
        """The nodes that do as the protocol says, whether they run or not."""
        return [node for node in self.nodes.values() if node.actor is None and node.member not in self.absent]

    def node(self, number: int) -> SimNode:
        """The node of firm-<number>."""
        return self.nodes[MemberId(f"firm-{number}")]

    def corrupt(self, member: MemberId, actor: Actor) -> None:
        """Put somebody else behind a node that still has its keys. It counts among the f."""
        self.nodes[member].actor = actor
        self.checker.byzantine[member] = None

    def add_twin(self, member: MemberId) -> SimNode:
        """Start a second process with the keys of `member`, corrupt already, and an empty disk."""
        actor = self.nodes[member].actor
        assert actor is not None, "a twin is a fault of its member"
        twin = self.twins[member] = SimNode(self, member, name=f"{member}+")
        twin.actor = actor
        return twin

    def share_twins(self, member: MemberId) -> None:
        """Say anew which nodes have their session with which of the two processes of `member`."""
        for other in self.nodes:
            if other != member and self.random.randrange(2):
                self._talks_to_twin[member, other] = None
            else:
                self._talks_to_twin.pop((member, other), None)
        self._refresh_all()

    def instance(self, member: MemberId, *, seen_by: MemberId) -> SimNode:
        """Return the process behind a session of `seen_by` with `member`."""
        if (member, seen_by) in self._talks_to_twin:
            return self.twins[member]
        return self.nodes[member]

    @property
    def members_up(self) -> list[SimNode]:
        """The nodes that run and take part, by the newest roster."""
        roster = self.rosters[max(self.rosters)]
        present = {member.id for member in roster.present()}
        return [node for node in self.up if node.member in present]

    def on_disk_lost(self, node: SimNode) -> None:
        """A machine is gone with its disk. It counts among the f until it `is_whole` again."""
        self.lost[node.member] = None
        validators = self.rosters[max(self.rosters)].validators
        others = [other.disk for other in self.correct if other.member in validators and other is not node]
        self.checker.on_disk_lost(node.member, others)

    def tolerated(self) -> int:
        """Return f of the newest epoch, counted without the validators that a decision on its way takes out."""
        validators = self.rosters[max(self.rosters)].validators
        return (sum(member not in self.leaving for member in validators) - 1) // 3

    def unreliable(self) -> int:
        """Return how many validators of the newest epoch count among its f: liars, and who is not whole again."""
        for member in [member for member in self.lost if self.nodes[member].is_whole]:
            del self.lost[member]
        validators = self.rosters[max(self.rosters)].validators
        return sum(member in self.checker.byzantine or member in self.lost for member in validators)

    def add_node(self, member: MemberId) -> SimNode:
        """A node of somebody who was no member at the beginning. It does not run yet."""
        node = self.nodes[member] = SimNode(self, member)
        return node

    def on_started(self, node: SimNode) -> None:
        """Open sessions to all that can be reached."""
        self._refresh(node)

    def on_stopped(self, node: SimNode) -> None:
        """Its sessions break."""
        self._refresh(node)

    def on_halt(self, node: SimNode, why: str) -> None:
        """No correct node ever halts here."""
        if node.actor is None:
            raise BrokenRuleError(f"at {self.now_ms} ms {node.name} halts: {why}")
        node.crash()

    def on_fault(self, member: MemberId, fault: ReportFault) -> None:
        """I-13: no correct node is ever blamed by a correct one."""
        if member in self.checker.byzantine or fault.member in self.checker.byzantine or self.may_report_faults:
            return
        raise BrokenRuleError(f"at {self.now_ms} ms {member} blames {fault.member}: {fault.why}")

    def on_evidence(self, member: MemberId, evidence: ReportEvidence) -> None:
        """I-13: evidence never names a correct node."""
        self.checker.note("equivocation evidence")
        if member in self.checker.byzantine or evidence.member in self.checker.byzantine:
            return
        if evidence.member in self.checker.forgetful and isinstance(evidence.first, FeedTip):
            # What it lost turned up where nobody asks, or too late (docs/adr/0025). It is to stay rare: it is counted.
            self.checker.note("accused after a loss")
            return
        raise BrokenRuleError(f"at {self.now_ms} ms {member} has evidence against {evidence.member}: {evidence}")

    def on_accepted(self, member: MemberId, transaction: Digest) -> None:
        """A client was told *accepted*."""
        self.checker.on_accepted(member, transaction)

    def on_epoch(self, record: EpochRecord) -> None:
        """Some node has executed the block that begins an epoch: who votes in it is what all agree on."""
        before = self.rosters[record.epoch - 1]
        self.rosters[record.epoch] = record.roster
        self.checker.on_epoch(record.epoch, record.roster)
        for member in before.members.values():
            # What such a member had not got cut is lost with its feed, and it is told so.
            if member.has_feed and not record.roster.members[member.id].has_feed:
                self.checker.chain.excused[member.id] = None

    def build_transaction(
        self, node: SimNode, *, size: int = 0, kind: int = Kind.NOOP, payload: bytes | None = None
    ) -> SignedTransaction:
        """A transaction that no other is equal to."""
        transaction = build_transaction(
            self.genesis,
            member=node.member,
            created_ms=node.wall_ms,
            nonce=self.next_number(),
            kind=kind,
            payload=bytes(size) if payload is None else payload,
        )
        self.checker.on_submitted(transaction.id)
        return transaction

    # The network.

    def cut(self, left: list[MemberId], right: list[MemberId], *, one_way: bool = False, breaks: bool = True) -> None:
        """Let nothing pass from `left` to `right`, nor back. breaks: the sessions notice."""
        for source in left:
            for target in right:
                self._cut.add((source, target))
                if not one_way:
                    self._cut.add((target, source))
        if breaks:
            self._refresh_all()

    def isolate(self, number: int) -> None:
        """Cut one node off from all others."""
        member = self.node(number).member
        self.cut([member], [other for other in self.nodes if other != member])

    def heal(self) -> None:
        """Let everything pass again."""
        self._cut.clear()
        self._refresh_all()

    def _refresh_all(self) -> None:
        for node in self.instances():
            self._refresh(node)

    def _refresh(self, node: SimNode) -> None:
        for other in self.instances():
            if other.member != node.member:
                self._refresh_session(node, other)
                self._refresh_session(other, node)

    def _refresh_session(self, source: SimNode, target: SimNode) -> None:
        """Tell `source` when its session with `target` opens or closes."""
        is_open = (
            source.is_up
            and target.is_up
            and (source.member, target.member) not in self._cut
            and (target.member, source.member) not in self._cut
            and self.instance(target.member, seen_by=source.member) is target
            and self.instance(source.member, seen_by=target.member) is source
        )
        if self._sessions.get((source.name, target.name), False) == is_open:
            return
        self._sessions[source.name, target.name] = is_open
        if source.is_up:
            # In the order in which they happened: a session does not close before it opens.
            at_ms = max(self.now_ms + self.random.randint(*self.weather.delay_ms), self._told_ms.get(source.name, 0))
            self._told_ms[source.name] = at_ms
            wait_ms = at_ms - self.now_ms
            member = target.member
            source.later((wait_ms, wait_ms), inputs.PeerUp(member) if is_open else inputs.PeerDown(member))

    def send(self, source: SimNode, member: MemberId, message: Message) -> None:
        """Carry what a node sends; an actor has its own mind about it."""
        if source.actor is None:
            self.carry(source, member, message)
        else:
            for said in source.actor.outgoing(source, member, message):
                self.carry(source, member, said)

    def carry(self, source: SimNode, member: MemberId, message: Message) -> None:
        """Carry a message, or lose it, or carry it twice."""
        target = self.instance(member, seen_by=source.member)
        if not self._sessions.get((source.name, target.name), False) or (source.member, member) in self._cut:
            return
        if self.message_filter is not None and not self.message_filter(source.member, member, message):
            return
        if self.seal_ms and self._delays_seal(message):
            return
        chance, weather = self.random, self.weather
        if weather.loss and chance.randrange(100) < weather.loss:
            return
        if self.has_codec:
            try:
                message = decode(self._encode(message))
            except (MalformedError, OverflowError):
                if source.actor is None:
                    raise
                # A session ends with such a frame; the next message of the actor finds a new one.
                return
        self._deliver(source, target, message)
        if weather.twice and chance.randrange(100) < weather.twice:
            self._deliver(source, target, message)

    def _delays_seal(self, message: Message) -> bool:
        """Whether a message is to be lost, so that the last block of an epoch is notarized long before it is final."""
        if isinstance(message, Proposal) and message.block.header.flags & FLAG_EPOCH_END:
            self._seals_ms.setdefault(message.leader_vote.subject.digest, self.now_ms)
        if not isinstance(message, Vote) or message.subject.kind != VoteKind.FINALIZE:
            return False
        proposed_ms = self._seals_ms.get(message.subject.digest)
        return proposed_ms is not None and self.now_ms < proposed_ms + self.seal_ms

    def _encode(self, message: Message) -> bytes:
        """A broadcast is encoded once."""
        if self._last_encoded is None or self._last_encoded[0] is not message:
            self._last_encoded = (message, encode(message))
        return self._last_encoded[1]

    def _deliver(self, source: SimNode, target: SimNode, message: Message) -> None:
        if target.actor is not None:
            heard = target.actor.incoming(target, source.member, message)
            if heard is None:
                return
            message = heard
        wait_ms = self.random.randint(*self.weather.delay_ms) + source.lag_ms
        if self.weather.is_ordered:
            key = (source.name, target.name)
            wait_ms = max(wait_ms, self._arrivals_ms.get(key, 0) - self.now_ms)
            self._arrivals_ms[key] = self.now_ms + wait_ms
        target.later((wait_ms, wait_ms), inputs.MessageReceived(source.member, message))

    # What is hoped for.

    def is_settled(self) -> bool:
        """Whether all correct members that run have one height, all of it executed, nothing due, nothing lacking."""
        nodes = self.members_up
        heights = [node.disk.height for node in nodes]
        return (
            min(heights) == max(heights)
            and all(node.disk.state.height == node.disk.height for node in nodes)
            and all(node.disk.state.governance.due is None for node in nodes)
            and self.checker.lacking(nodes[0].disk) == 0
            # What a node that has just started holds back while it listens is to become final too.
            and all(node.has_answered for node in nodes)
        )

    def settle(self, *, within_ms: int) -> int:
        """I-16: run until all is settled; return how long it took. Raises BrokenRuleError if it takes too long."""
        begun_ms = self.now_ms
        if not self.run(within_ms, until=self.is_settled):
            heights = {node.member: (node.disk.height, node.disk.state.height) for node in self.members_up}
            lacking = self.checker.lacking(self.members_up[0].disk)
            raise BrokenRuleError(f"no progress within {within_ms} ms: heights {heights}, {lacking} accepted not final")
        self.checker.check_claims()
        self.check_bounds()
        return self.now_ms - begun_ms

    def check_bounds(self) -> None:
        """I-14 and I-15 at all correct nodes."""
        for node in self.up:
            node.check_bounds()
