"""Sessions between engines of one process: a `Transport` without sockets."""

import asyncio
from collections import deque
from collections.abc import Callable

from consensus.types import Height
from node.p2p.inbox import Arrival, FrameReceived, PeerDown, PeerUp
from node.wire.ids import MemberId
from node.wire.messages import tag_of


class HubPort:
    """One member's side: `Transport` and `Arrivals` in one."""

    def __init__(self, hub: "Hub", member: MemberId) -> None:
        self._hub = hub
        self._member = member
        self._queue: deque[Arrival] = deque()
        self._wake: Callable[[], None] = lambda: None
        self.penalised: list[tuple[MemberId, str]] = []

    @property
    def inbox(self) -> "HubPort":
        return self

    def set_wake(self, wake: Callable[[], None]) -> None:
        self._wake = wake

    def take(self, count_max: int = 256) -> list[Arrival]:
        taken: list[Arrival] = []
        while self._queue and len(taken) < count_max:
            taken.append(self._queue.popleft())
        return taken

    def put(self, arrival: Arrival) -> None:
        self._queue.append(arrival)
        asyncio.get_running_loop().call_soon(lambda: self._wake())

    def send(self, member: MemberId, frame: bytes) -> bool:
        port = self._hub.ports.get(member)
        if port is None:
            return False
        port.put(FrameReceived(self._member, tag_of(frame), frame))
        return True

    def broadcast(self, frame: bytes) -> int:
        others = [member for member in self._hub.ports if member != self._member]
        return sum(self.send(member, frame) for member in others)

    def penalise(self, member: MemberId, why: str) -> None:
        self.penalised.append((member, why))


class Hub:
    """All members that are up; who joins has a session with everybody at once."""

    def __init__(self) -> None:
        self.ports: dict[MemberId, HubPort] = {}

    def join(self, member: MemberId) -> HubPort:
        port = HubPort(self, member)
        for other, existing in self.ports.items():
            existing.put(PeerUp(member, Height(0)))
            port.put(PeerUp(other, Height(0)))
        self.ports[member] = port
        return port

    def leave(self, member: MemberId) -> None:
        self.ports.pop(member, None)
        for port in self.ports.values():
            port.put(PeerDown(member))
