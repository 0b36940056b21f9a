"""Frames cut into chunks, so that a vote overtakes a batch that is already half sent.

A chunk is a header of four bytes, big-endian, and up to `CHUNK_BYTES_MAX` bytes of one frame:

    2 bits priority | 1 bit "more of this frame follows" | 29 bits length

Chunks of one priority belong to one frame after the other; chunks of different priorities may alternate. A length is
checked before memory is taken for it: a chunk against `CHUNK_BYTES_MAX`, the growing frame against the limit of its
kind, which the frame's third byte names. (The same idea as HTTP/2, RFC 9113 section 4, with streams reduced to three.)
"""

import struct
from typing import Final, NamedTuple

from node.p2p.errors import ProtocolFaultError
from node.wire.messages import FRAME_BYTES_MAX, KINDS, Priority
from node.wire.tags import Tag

CHUNK_BYTES_MAX: Final = 32 * 1024
HEADER: Final = struct.Struct(">I")
PRIORITY_SHIFT: Final = 30
MORE: Final = 1 << 29
_LENGTH_MASK: Final = MORE - 1
_READ_BUFFER_BYTES: Final = 256 * 1024


class Frame(NamedTuple):
    """One whole frame as received; its kind and size are checked, its fields are not."""

    tag: Tag
    data: bytes


class _Kind(NamedTuple):
    tag: Tag
    bytes_max: int
    priority: int


_KINDS: Final[dict[bytes, _Kind]] = {
    bytes((kind,)): _Kind(kind, min(limits.bytes_max, FRAME_BYTES_MAX), int(limits.priority))
    for kind, limits in KINDS.items()
}


class ChunkReader:
    """Turns the bytes of one session into frames. Holds at most its buffer and one unfinished frame a priority."""

    def __init__(self) -> None:
        self._buffer = bytearray(_READ_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._filled = 0
        self._parts: list[list[bytes]] = [[] for _ in Priority]
        self._sizes = [0 for _ in Priority]
        self._kinds: list[_Kind | None] = [None for _ in Priority]

    def get_buffer(self) -> memoryview:
        """Return where the next bytes go. Never empty: a chunk is far smaller than the buffer."""
        return self._view[self._filled :]

    def received(self, count: int) -> list[Frame]:
        """Take note of `count` bytes written into the buffer; return the frames that are now whole.

        Raises ProtocolFaultError; the session is over then, and what came before the fault in the same read is lost
        with it.
        """
        end = self._filled + count
        buffer = self._buffer
        frames: list[Frame] = []
        start = 0
        while end - start >= HEADER.size:
            (header,) = HEADER.unpack_from(buffer, start)
            length = header & _LENGTH_MASK
            if length > CHUNK_BYTES_MAX or length == 0:
                raise ProtocolFaultError(f"chunk of {length} bytes")
            data_start = start + HEADER.size
            start_next = data_start + length
            if start_next > end:
                break
            self._on_chunk(header, bytes(self._view[data_start:start_next]), frames)
            start = start_next
        if start:
            # Less than one chunk remains, so this moves little.
            remaining = end - start
            buffer[:remaining] = buffer[start:end]
            end = remaining
        self._filled = end
        return frames

    def _on_chunk(self, header: int, data: bytes, frames: list[Frame]) -> None:
        priority = header >> PRIORITY_SHIFT
        if priority >= len(Priority):
            raise ProtocolFaultError(f"chunk of unknown priority {priority}")
        kind = self._kinds[priority] or _read_kind(data, priority)
        size = self._sizes[priority] + len(data)
        if size > kind.bytes_max:
            raise ProtocolFaultError(f"{kind.tag.name} of more than {kind.bytes_max} bytes")
        if header & MORE:
            self._parts[priority].append(data)
            self._sizes[priority] = size
            self._kinds[priority] = kind
        elif size == len(data):
            frames.append(Frame(kind.tag, data))
        else:
            self._parts[priority].append(data)
            frames.append(Frame(kind.tag, b"".join(self._parts[priority])))
            self._parts[priority] = []
            self._sizes[priority] = 0
            self._kinds[priority] = None


def _read_kind(data: bytes, priority: int) -> _Kind:
    """Return the kind of a frame by its first chunk: array head, version and tag are one byte each."""
    kind = _KINDS.get(data[2:3])
    if kind is None:
        raise ProtocolFaultError("frame of unknown kind")
    if kind.priority != priority:
        raise ProtocolFaultError(f"{kind.tag.name} at priority {priority}")
    return kind


def chunk_header(priority: int, length: int, *, more: bool) -> bytes:
    """Return the header of a chunk."""
    return HEADER.pack(priority << PRIORITY_SHIFT | (MORE if more else 0) | length)
