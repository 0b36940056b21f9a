"""What one session has yet to send: three queues, bounded in bytes and frames, the more urgent one first.

What happens when a queue is full differs by what it holds. Consensus: the session closes, since a peer that takes no
votes is as good as gone, and a reconnect begins with a status that repairs every gap. A newer status replaces one
that still waits. Data and bulk: the frame is dropped and counted; the peer asks for what it misses.
"""

from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Final

from node.p2p.framing import CHUNK_BYTES_MAX, chunk_header
from node.p2p.limits import Budget, Limits
from node.wire.messages import KINDS, Priority
from node.wire.tags import Tag

BULK_TURN: Final = 4
"""While both wait, every fourth chunk is bulk, so that a busy network cannot starve a peer that catches up."""

_PRIORITIES: Final = {tag: kind.priority for tag, kind in KINDS.items()}


class Put(Enum):
    """What became of a frame."""

    QUEUED = "queued"
    REPLACED = "replaced"
    DROPPED = "dropped"
    OVERFLOW = "overflow"


class Outbox:
    """The send queues of one session. Frames are shared, never copied, until they are cut into chunks.

    on_taken: told the kind and size of each frame whose last byte was taken.
    """

    def __init__(self, limits: Limits, on_taken: Callable[[Tag, int], None]) -> None:
        self._budgets = (limits.consensus_out, limits.data_out, limits.bulk_out)
        self._queues: tuple[deque[tuple[Tag, bytes]], ...] = tuple(deque() for _ in Priority)
        self._bytes = [0 for _ in Priority]
        # How far the first frame of a queue has been sent.
        self._offsets = [0 for _ in Priority]
        self._status: bytes | None = None
        self._turn = 0
        self._on_taken = on_taken

    def __bool__(self) -> bool:
        return self._status is not None or any(self._queues)

    @property
    def bytes_waiting(self) -> int:
        """How many bytes wait in all queues."""
        return sum(self._bytes) + len(self._status or b"")

    def put(self, tag: Tag, frame: bytes) -> Put:
        """Queue an encoded frame of this kind, or say why not."""
        if tag is Tag.STATUS:
            replaced = self._status is not None
            self._status = frame
            return Put.REPLACED if replaced else Put.QUEUED
        priority = _PRIORITIES[tag]
        budget: Budget = self._budgets[priority]
        queue = self._queues[priority]
        if len(queue) >= budget.count_max or (queue and self._bytes[priority] + len(frame) > budget.bytes_max):
            return Put.OVERFLOW if priority is Priority.CONSENSUS else Put.DROPPED
        queue.append((tag, frame))
        self._bytes[priority] += len(frame)
        return Put.QUEUED

    def take(self, bytes_max: int) -> bytes:
        """Return the next chunks to write, joined: at least one if any frame waits, else about `bytes_max`."""
        pieces: list[bytes | memoryview] = []
        size = 0
        while size < bytes_max:
            priority = self._next_priority()
            if priority is None:
                break
            size += self._take_chunk(priority, pieces)
        return b"".join(pieces)

    def _next_priority(self) -> Priority | None:
        consensus, data, bulk = self._queues
        if not consensus and self._status is not None and not self._offsets[Priority.CONSENSUS]:
            consensus.append((Tag.STATUS, self._status))
            self._bytes[Priority.CONSENSUS] += len(self._status)
            self._status = None
        if consensus:
            return Priority.CONSENSUS
        if data and bulk:
            self._turn = (self._turn + 1) % BULK_TURN
            return Priority.DATA if self._turn else Priority.BULK
        if data:
            return Priority.DATA
        return Priority.BULK if bulk else None

    def _take_chunk(self, priority: Priority, pieces: list[bytes | memoryview]) -> int:
        queue = self._queues[priority]
        tag, frame = queue[0]
        offset = self._offsets[priority]
        length = len(frame) - offset
        more = length > CHUNK_BYTES_MAX
        if more:
            length = CHUNK_BYTES_MAX
        pieces.append(chunk_header(priority, length, more=more))
        if more or offset:
            pieces.append(memoryview(frame)[offset : offset + length])
        else:
            pieces.append(frame)
        if more:
            self._offsets[priority] = offset + length
        else:
            self._offsets[priority] = 0
            queue.popleft()
            self._bytes[priority] -= len(frame)
            self._on_taken(tag, len(frame))
        return length
