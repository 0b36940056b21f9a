"""Networks of nodes' p2p parts on loopback, and a raw peer that speaks the protocol as badly as a test wants."""

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace

from consensus.types import Digest, Height
from node.clock import Clock
from node.p2p.errors import Refusal
from node.p2p.framing import ChunkReader, Frame
from node.p2p.inbox import Arrival, FrameReceived
from node.p2p.limits import Limits
from node.p2p.network import Network, NetworkSettings
from node.p2p.peers import PeerRecord
from node.wire.ids import MemberId
from node.wire.tags import Tag
from tests.support.frames import NETWORK_ID
from tests.support.networks import build_key
from tests.support.tls import client_context

QUICK = Limits(
    handshake_ms=1_000,
    idle_ms=30_000,
    stall_ms=30_000,
    dial_ms=1_000,
    backoff_ms_min=20,
    backoff_ms_max=100,
    yield_ms=0,
    join_ms=50,
    mute_ms=60_000,
    tick_ms=20,
)
"""Short delays, so that a test waits for events and not for time-outs."""

WAIT_SECONDS = 10.0


class CountingMetrics:
    """Keeps what a node counted."""

    def __init__(self) -> None:
        self.sent: Counter[Tag] = Counter()
        self.received: Counter[Tag] = Counter()
        self.dropped: Counter[Tag] = Counter()
        self.closed: Counter[Refusal] = Counter()
        self.connected = 0

    def on_sent(self, kind: Tag, size: int) -> None:
        self.sent[kind] += 1

    def on_received(self, kind: Tag, size: int) -> None:
        self.received[kind] += 1

    def on_dropped(self, kind: Tag) -> None:
        self.dropped[kind] += 1

    def on_closed(self, reason: Refusal) -> None:
        self.closed[reason] += 1

    def on_peers(self, connected: int) -> None:
        self.connected = connected


def build_record(name: str, *addresses: tuple[str, int]) -> PeerRecord:
    """A member whose key follows from its name."""
    return PeerRecord(MemberId(name), build_key(name).public_key, addresses)


def build_network(
    name: str,
    peers: Iterable[PeerRecord] = (),
    *,
    limits: Limits = QUICK,
    network_id: Digest = NETWORK_ID,
    protocol: int = 1,
    port: int = 0,
    key_of: str | None = None,
    metrics: CountingMetrics | None = None,
    height: Callable[[], Height] = lambda: Height(0),
    clock: Clock | None = None,
    joins: Iterable[tuple[str, int]] = (),
    next_key_of: str | None = None,
) -> Network:
    """A node's p2p part; it listens once it is entered."""
    return Network(
        NetworkSettings(MemberId(name), network_id, protocol, ("127.0.0.1", port), limits=limits, joins=tuple(joins)),
        key=build_key(key_of or name),
        peers=tuple(peers),
        height=height,
        find_next_key=lambda: build_key(next_key_of) if next_key_of else None,
        metrics=metrics or CountingMetrics(),
        clock=clock,
    )


async def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until it holds; fails after WAIT_SECONDS, saying what was waited for."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain until {what}")
        await asyncio.sleep(0.005)


async def arrivals(network: Network, count: int) -> list[Arrival]:
    """Take this many arrivals."""
    taken: list[Arrival] = []
    async with asyncio.timeout(WAIT_SECONDS):
        while len(taken) < count:
            await network.inbox.wait()
            taken += network.inbox.take(count - len(taken))
    return taken


async def frames(network: Network, count: int) -> list[FrameReceived]:
    """Take arrivals until there are this many frames; forget who came and went."""
    taken: list[FrameReceived] = []
    async with asyncio.timeout(WAIT_SECONDS):
        while len(taken) < count:
            await network.inbox.wait()
            taken += [each for each in network.inbox.take(1) if isinstance(each, FrameReceived)]
    return taken


def is_connected(network: Network, name: str) -> bool:
    """Whether the node has a session with this member."""
    return any(peer.member == name and peer.is_connected for peer in network.peers())


def last_fault(network: Network, name: str) -> str | None:
    """What the node last had against this member."""
    return next(peer.last_fault for peer in network.peers() if peer.member == name)


def with_limits(limits: Limits = QUICK, **changes: object) -> Limits:
    """QUICK with changes."""
    return replace(limits, **changes)  # type: ignore[arg-type]  # Each test names fields of Limits.


class RawPeer:
    """The dialling end of one connection, under a test's control byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._frames = ChunkReader()

    def write(self, stream: bytes) -> None:
        """Send these bytes."""
        self._writer.write(stream)

    async def read_frame(self) -> Frame:
        """Return the next whole frame."""
        async with asyncio.timeout(WAIT_SECONDS):
            while True:
                data = await self._reader.read(4096)
                assert data, "the node closed the connection"
                self._frames.get_buffer()[: len(data)] = data
                found = self._frames.received(len(data))
                if found:
                    return found[0]

    async def wait_closed_by_peer(self) -> bytes:
        """Return what still came until the node closed the connection."""
        async with asyncio.timeout(WAIT_SECONDS):
            rest = b""
            while True:
                try:
                    data = await self._reader.read(65536)
                except OSError:
                    return rest
                if not data:
                    return rest
                rest += data


@asynccontextmanager
async def raw_tcp(network: Network) -> AsyncIterator[RawPeer]:
    """A connection without TLS."""
    reader, writer = await asyncio.open_connection(*network.address)
    try:
        yield RawPeer(reader, writer)
    finally:
        writer.transport.abort()


@asynccontextmanager
async def raw_tls(
    network: Network, name: str, *, server: str, context: ssl.SSLContext | None = None
) -> AsyncIterator[RawPeer]:
    """A connection with the TLS of this member's node to the node of member `server`."""
    context = context or client_context(build_key(name), [build_key(server).public_key])
    reader, writer = await asyncio.open_connection(*network.address, ssl=context, server_hostname="")
    try:
        yield RawPeer(reader, writer)
    finally:
        writer.transport.abort()
