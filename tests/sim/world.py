"""Virtual time, the network between simulated replicas, and the trace that one seed always gives alike."""

import hashlib
import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass

from consensus.timing import Timing
from consensus.types import Digest
from node.ledger.genesis import Genesis
from node.ledger.transaction import SignedTransaction
from node.replica import inputs
from node.replica.effects import ReportFault
from node.wire.ids import MemberId
from node.wire.messages import Message, decode, encode
from tests.sim.checkers import BrokenRuleError, Checker
from tests.sim.node import SimNode
from tests.support.networks import build_genesis, build_transaction


@dataclass(slots=True)
class Weather:
    """What the network does to messages. Percentages; delay in milliseconds."""

    delay_ms: tuple[int, int] = (1, 3)
    loss: int = 0
    twice: int = 0


class World:
    """All nodes and what lies between them."""

    def __init__(
        self,
        seed: int = 0,
        *,
        validators: int = 4,
        members: int = 0,
        observers: int = 0,
        timing: Timing | None = None,
        genesis: Genesis | None = None,
    ) -> None:
        self.random = random.Random(seed)
        self.genesis = genesis or build_genesis(validators=validators, members=members, observers=observers)
        self.timing = timing or Timing()
        self.now_ms = 0
        self.weather = Weather()
        self.has_codec = False
        self.checks_batches = False
        self.may_report_faults = False
        self.checker = Checker(self.genesis.validators)
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._cut: set[tuple[MemberId, MemberId]] = set()
        self._sessions: dict[tuple[MemberId, MemberId], bool] = {}
        self.absent: dict[MemberId, None] = {}
        self._told_ms: dict[MemberId, int] = {}
        self._trace = hashlib.sha256()
        self.message_filter: Callable[[MemberId, MemberId, Message], bool] | None = None
        self.nodes = {member: SimNode(self, member) for member in self.genesis.members}

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

    def trace(self, what: str, member: MemberId) -> None:
        """Add to what must be the same in every run of this seed."""
        self._trace.update(f"{self.now_ms} {member} {what}\n".encode())

    def trace_digest(self) -> str:
        """The digest of all that has happened."""
        return self._trace.hexdigest()

    # Nodes.

    def start_all(self) -> None:
        """Start whoever is down."""
        for node in self.nodes.values():
            node.start()

    @property
    def up(self) -> list[SimNode]:
        """The nodes that run."""
        return [node for node in self.nodes.values() if node.is_up]

    def node(self, number: int) -> SimNode:
        """The node of firm-<number>."""
        return self.nodes[MemberId(f"firm-{number}")]

    def on_started(self, node: SimNode) -> None:
        """Open sessions to all that can be reached."""
        self._refresh(node.member)

    def on_stopped(self, node: SimNode) -> None:
        """Its sessions break."""
        self._refresh(node.member)

    def on_halt(self, member: MemberId, why: str) -> None:
        """No correct node ever halts here."""
        raise BrokenRuleError(f"at {self.now_ms} ms {member} halts: {why}")

    def on_fault(self, member: MemberId, fault: ReportFault) -> None:
        """No correct node is ever blamed by a correct one."""
        if not self.may_report_faults:
            raise BrokenRuleError(f"at {self.now_ms} ms {member} blames {fault.member}: {fault.why}")

    def on_accepted(self, member: MemberId, transaction: Digest) -> None:
        """A client was told *accepted*."""
        self.checker.accepted[transaction] = member

    def build_transaction(self, node: SimNode, *, size: int) -> SignedTransaction:
        """A transaction that no other is equal to."""
        return build_transaction(
            self.genesis,
            member=node.member,
            created_ms=node.wall_ms,
            nonce=self.next_number(),
            payload=bytes(size),
        )

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
        for member in self.nodes:
            self._refresh(member)

    def _refresh(self, member: MemberId) -> None:
        for other in self.nodes:
            if other != member:
                self._refresh_session(member, other)
                self._refresh_session(other, member)

    def _refresh_session(self, source: MemberId, target: MemberId) -> None:
        """Tell `source` when its session with `target` opens or closes."""
        is_open = (
            self.nodes[source].is_up
            and self.nodes[target].is_up
            and (source, target) not in self._cut
            and (target, source) not in self._cut
        )
        if self._sessions.get((source, target), False) == is_open:
            return
        self._sessions[source, target] = is_open
        if self.nodes[source].is_up:
            # In the order in which they happened: a session does not close before it opens.
            at_ms = max(self.now_ms + self.random.randint(*self.weather.delay_ms), self._told_ms.get(source, 0))
            self._told_ms[source] = at_ms
            wait_ms = at_ms - self.now_ms
            self.nodes[source].later((wait_ms, wait_ms), inputs.PeerUp(target) if is_open else inputs.PeerDown(target))

    def send(self, source: MemberId, target: MemberId, message: Message) -> None:
        """Carry a message, or lose it, or carry it twice."""
        if not self._sessions.get((source, target), False) or (source, target) in self._cut:
            return
        if self.message_filter is not None and not self.message_filter(source, target, message):
            return
        chance = self.random
        if self.weather.loss and chance.randrange(100) < self.weather.loss:
            return
        if self.has_codec:
            message = decode(encode(message))
        received = inputs.MessageReceived(source, message)
        self.nodes[target].later(self.weather.delay_ms, received)
        if self.weather.twice and chance.randrange(100) < self.weather.twice:
            self.nodes[target].later(self.weather.delay_ms, received)

    # What is hoped for.

    def is_settled(self) -> bool:
        """Whether all nodes that run have the same height, have executed it, and lack nothing that was accepted."""
        heights = [node.disk.height for node in self.up]
        return (
            min(heights) == max(heights)
            and all(node.disk.state.height == node.disk.height for node in self.up)
            and self.checker.lacking(self.up[0].disk) == 0
        )

    def settle(self, *, within_ms: int) -> int:
        """Run until all is settled; return how long it took. Raises BrokenRuleError if it takes too long."""
        begun_ms = self.now_ms
        if not self.run(within_ms, until=self.is_settled):
            heights = {node.member: (node.disk.height, node.disk.state.height) for node in self.up}
            lacking = self.checker.lacking(self.up[0].disk)
            raise BrokenRuleError(f"no progress within {within_ms} ms: heights {heights}, {lacking} accepted not final")
        self.checker.check_claims()
        self.check_bounds()
        return self.now_ms - begun_ms

    def check_bounds(self) -> None:
        """Nothing in any replica has grown beyond its bound."""
        for node in self.up:
            assert node.replica is not None
            seen = node.replica.overview()
            if seen.open_requests > 64 or seen.uncut_batches > 100_000:
                raise BrokenRuleError(f"{node.member} has {seen.open_requests} open requests, {seen.uncut_batches}")
