"""What the engine needs of the sessions between nodes; `p2p.network.Network` is one."""

from collections.abc import Callable
from typing import Protocol

from node.p2p.inbox import Arrival
from node.wire.ids import MemberId


class Arrivals(Protocol):
    """What has arrived from all peers, the most urgent first."""

    def take(self, count_max: int = 256) -> list[Arrival]:
        """Return up to `count_max` arrivals without waiting."""
        ...

    def set_wake(self, wake: Callable[[], None]) -> None:
        """Have `wake` called whenever something arrives at an empty inbox."""
        ...


class Transport(Protocol):
    """Authenticated sessions with the other members' nodes. Nothing here waits: a full queue drops or disconnects."""

    @property
    def inbox(self) -> Arrivals:
        """What has arrived."""
        ...

    def send(self, member: MemberId, frame: bytes) -> bool:
        """Queue a frame for one member; False if it is not connected or its queue is full."""
        ...

    def broadcast(self, frame: bytes) -> int:
        """Queue a frame for every connected member; return for how many."""
        ...

    def penalise(self, member: MemberId, why: str) -> None:
        """End the sessions with a member that broke the rules, and have nothing to do with it for a while."""
        ...
