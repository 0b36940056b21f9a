"""What has arrived from all peers and waits for the engine: votes before data, each session within its budgets.

A session whose share of a queue is full is not read until the engine has taken half of it: the peer's own queue fills
then, and it drops data of its own instead of filling our memory.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from consensus.types import Height
from node.p2p.framing import Frame
from node.p2p.limits import Budget, Limits
from node.wire.ids import MemberId
from node.wire.messages import KINDS, Priority
from node.wire.tags import Tag


@dataclass(frozen=True, slots=True)
class PeerUp:
    """A session with this member stands. height: final at the peer when it connected, as it says.

    is_sync_only: the peer's key is not known here, and the member is who it says that it is: nothing that comes from it
    counts as anybody's word.
    """

    member: MemberId
    height: Height
    is_sync_only: bool = False


@dataclass(frozen=True, slots=True)
class PeerDown:
    """No session with this member stands any more. Each follows one PeerUp."""

    member: MemberId


class FrameReceived(NamedTuple):
    """A frame from the session of `member`: its kind and size are within bounds, its content is unread."""

    member: MemberId
    tag: Tag
    frame: bytes


Arrival = PeerUp | PeerDown | FrameReceived

_PRIORITIES: Final = {tag: int(kind.priority) for tag, kind in KINDS.items()}


class Lane:
    """One session's way into the inbox, and what of it waits there. Made by `Inbox.open_lane`."""

    __slots__ = ("_bytes", "_counts", "_is_dropped", "_is_paused", "_pause", "_resume", "member")

    def __init__(self, member: MemberId, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        self.member = member
        self._pause = pause
        self._resume = resume
        self._bytes = [0 for _ in Priority]
        self._counts = [0 for _ in Priority]
        self._is_paused = False
        self._is_dropped = False

    @property
    def is_paused(self) -> bool:
        """Whether the session is not read at present."""
        return self._is_paused

    def drop(self) -> None:
        """Forget what waits: the peer broke the rules, and nothing more of it is wanted."""
        self._is_dropped = True

    def on_queued(self, priority: int, size: int, budget: Budget) -> None:
        """Count a frame in; stop reading the session if its share is full."""
        self._bytes[priority] += size
        self._counts[priority] += 1
        if not self._is_paused and (
            self._bytes[priority] >= budget.bytes_max or self._counts[priority] >= budget.count_max
        ):
            self._is_paused = True
            self._pause()

    def on_taken(self, priority: int, size: int, budgets: Sequence[Budget]) -> bool:
        """Count a frame out; return whether it is still wanted."""
        self._bytes[priority] -= size
        self._counts[priority] -= 1
        if self._is_paused and all(
            self._bytes[each] * 2 <= budget.bytes_max and self._counts[each] * 2 <= budget.count_max
            for each, budget in enumerate(budgets)
        ):
            self._is_paused = False
            self._resume()
        return not self._is_dropped


class Inbox:
    """Arrivals in order of priority, and in order of arrival within one. One task takes from it."""

    def __init__(self, limits: Limits) -> None:
        self._budgets = (limits.consensus_in, limits.data_in, limits.bulk_in)
        self._changes: deque[PeerUp | PeerDown] = deque()
        self._queues: tuple[deque[tuple[Lane, Frame]], ...] = tuple(deque() for _ in Priority)
        self._filled = asyncio.Event()
        self._wake: Callable[[], None] | None = None

    def set_wake(self, wake: Callable[[], None]) -> None:
        """Have `wake` called whenever something arrives at an empty inbox, for a taker with other sources too."""
        self._wake = wake

    def open_lane(self, member: MemberId, pause: Callable[[], None], resume: Callable[[], None]) -> Lane:
        """Return a new session's way in. pause, resume: stop and go on reading its socket."""
        return Lane(member, pause, resume)

    def announce(self, change: PeerUp | PeerDown) -> None:
        """Queue a change of who is connected, before all frames."""
        self._changes.append(change)
        self._notify()

    def deliver(self, lane: Lane, frames: Sequence[Frame]) -> None:
        """Queue what a session received."""
        for frame in frames:
            priority = _PRIORITIES[frame.tag]
            self._queues[priority].append((lane, frame))
            lane.on_queued(priority, len(frame.data), self._budgets[priority])
        if frames:
            self._notify()

    def take(self, count_max: int = 256) -> list[Arrival]:
        """Return up to `count_max` arrivals without waiting, the most urgent first; empty if nothing waits."""
        taken: list[Arrival] = []
        while self._changes and len(taken) < count_max:
            taken.append(self._changes.popleft())
        for priority, queue in enumerate(self._queues):
            while queue and len(taken) < count_max:
                lane, frame = queue.popleft()
                if lane.on_taken(priority, len(frame.data), self._budgets):
                    taken.append(FrameReceived(lane.member, frame.tag, frame.data))
        if not self._changes and not any(self._queues):
            self._filled.clear()
        return taken

    async def wait(self) -> None:
        """Return once something waits."""
        await self._filled.wait()

    def _notify(self) -> None:
        if not self._filled.is_set():
            self._filled.set()
            if self._wake is not None:
                self._wake()
