"""A network of consensus cores in virtual time: no sockets, threads or real signatures, one seed, one trace.

Each node has a disk that loses what was not synced, a stand-in for the replica (payloads are sets of small numbers,
known to all nodes or to some), and a way to crash before any single effect. Validators change by items that ask for
it; a disk may be lost for good. `AgreementChecker` watches what is said and handed out.
"""

import hashlib
import heapq
import random
from collections.abc import Callable
from functools import partial

from consensus.messages import CoreMessage
from consensus.timing import Timing
from tests.sim.core_checker import AgreementChecker
from tests.sim.core_node import SimNode
from tests.sim.core_state import CHANGE


class CoreNetwork:
    """All nodes, the links between them, and the clock.

    validators: how many of the nodes vote in epoch 0, the first ones; None for all. guard_margin: what a node that
    lost its disk adds to the highest certified view it is told of.
    """

    def __init__(
        self, size: int, *, seed: int = 0, timing: Timing | None = None, validators: int | None = None
    ) -> None:
        self.size = size
        self.members = tuple(range(size if validators is None else validators))
        self.random = random.Random(seed)
        self.timing = timing or Timing()
        self.checker = AgreementChecker()
        self.now_ms = 0
        self.latency = (1, 3)
        self.loss_percent = 0
        self.cut_links: set[tuple[int, int]] = set()
        self.filter: Callable[[int, int, CoreMessage], bool] = lambda source, target, message: True
        self.changes: dict[int, tuple[int, ...]] = {}
        self.guard_margin = 2
        self.noop_count = 0
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

    def post(self, source: int, target: int, action: Callable[[], None]) -> None:
        """Have something happen at another node, as if a message had come, or lose it."""
        node = self.nodes[target]
        if not self.is_linked(source, target) or not node.is_up:
            return
        if self.loss_percent and self.random.randrange(100) < self.loss_percent:
            return
        self.later(self.latency_ms(), action, node=node)

    def carry(self, source: int, target: int, message: CoreMessage) -> None:
        """Take a message to another node, or lose it."""
        if self.filter(source, target, message):
            self.post(source, target, partial(self.deliver, source, target, message))

    def deliver(self, source: int, target: int, message: CoreMessage) -> None:
        if self.is_linked(source, target):
            self.trace.update(repr((self.now_ms, source, target, message)).encode())
            self.nodes[target].receive(source, message)

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
                    node.note_peer(peer.index, is_up=True)

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

    def change_to(self, *members: int) -> int:
        """Ask for another set of validators; return the item that does."""
        item = CHANGE + len(self.changes)
        self.changes[item] = tuple(sorted(members))
        self.submit(item)
        return item

    def is_final(self, item: int, *, at: tuple[int, ...] = ()) -> bool:
        """Return whether the item is in the final chain of these nodes, or of all that are up."""
        nodes = [self.nodes[index] for index in at] or [node for node in self.nodes if node.is_up]
        return all(item in node.disk.covered for node in nodes)

    def are_in_epoch(self, epoch: int, *, at: tuple[int, ...] = ()) -> bool:
        """Return whether these nodes, or all that are up, have come at least as far."""
        nodes = [self.nodes[index] for index in at] or [node for node in self.nodes if node.is_up]
        return all(node.epoch >= epoch for node in nodes)

    def describe(self) -> str:
        return "; ".join(
            f"{node.index}: epoch {node.epoch} view {node.core.view if node.core else 'down'}, "
            f"final {len(node.disk.chain)}, halted {node.halted}"
            for node in self.nodes
        )
