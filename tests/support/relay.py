"""A relay of TCP between processes on loopback, which can do to them what a network does.

Each node is told the relay's ports as the addresses of the others. A connection is known by both of its ends: whom it
was dialled to by the port, who dialled by which process owns its other end (`/proc`, so Linux only; no privileges for
processes of our own). So every direction of every pair has its own faults, whoever has dialled.

What a fault holds back is not lost: TCP would send it again, and it arrives after `heal`, unless an end gave up
meanwhile. Loss of packets belongs to the simulator.

The relay runs in a thread of its own: a test that waits for a process does not stop the network.
"""

import asyncio
import os
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

HELD_BYTES_MAX: Final = 256 * 1024
"""Of one direction of one connection, in the relay; more waits in the sockets, as in a network's buffers."""
COMMAND_SECONDS: Final = 10.0
BACKLOG: Final = 128

T = TypeVar("T")


@dataclass(slots=True)
class Link:
    """What one direction of one pair suffers at the moment.

    is_stalled: nothing arrives. delay_seconds: everything arrives so much later. bytes_per_second: at most, None for
    no limit. free_at: when what was let through so far has passed a limited link.
    """

    is_stalled: bool = False
    delay_seconds: float = 0.0
    bytes_per_second: float | None = None
    free_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Route:
    """A node behind the relay. port: the relay's. target_port: where the node really listens."""

    index: int
    port: int
    target_port: int


class Relay:
    """The relay of one network. Used as a context; the other methods are for the thread that entered it.

    find_processes: returns the process id of each running node, by index.
    """

    def __init__(self, routes: Iterable[Route], find_processes: Callable[[], Mapping[int, int]]) -> None:
        self._routes = tuple(routes)
        self._find_processes = find_processes
        self._links: dict[tuple[int, int], Link] = {}
        self._ends: set[_End] = set()
        self.open_ends: set[_End] = set()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="relay", daemon=True)
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.carried_bytes = 0
        self.connections = 0
        self.failures: list[str] = []
        self._is_closing = False

    def __enter__(self) -> Self:
        self.loop.set_exception_handler(self._on_exception)
        self._thread.start()
        self._do(self._open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._do(self._close())
        finally:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(COMMAND_SECONDS)
            self.loop.close()
        if kind is None:
            assert not self.failures, self.failures

    # Faults. Nodes are named by their index; a pair means both directions.

    def cut(self, one: int, other: int) -> None:
        """Let nothing through between two nodes; their connections stay open and new ones are taken, unanswered."""
        self.stall(one, other)
        self.stall(other, one)

    def isolate(self, one: int, others: Iterable[int]) -> None:
        """Cut a node off from all these."""
        for other in others:
            self.cut(one, other)

    def partition(self, *sides: Iterable[int]) -> None:
        """Cut every pair of nodes that are not on one side."""
        grouped = [tuple(side) for side in sides]
        for number, side in enumerate(grouped):
            for one in side:
                self.isolate(one, (other for rest in grouped[number + 1 :] for other in rest))

    def stall(self, source: int, target: int) -> None:
        """Let nothing through from source to target; the other direction is left as it is."""

        def change(link: Link) -> None:
            link.is_stalled = True

        self._change(source, target, change)

    def delay(self, source: int, target: int, seconds: float) -> None:
        """Have everything from source arrive so much later at target."""

        def change(link: Link) -> None:
            link.delay_seconds = seconds

        self._change(source, target, change)

    def limit(self, source: int, target: int, bytes_per_second: float) -> None:
        """Let at most so much through from source to target."""

        def change(link: Link) -> None:
            link.bytes_per_second = bytes_per_second

        self._change(source, target, change)

    def reset(self, one: int, other: int) -> None:
        """End every connection between two nodes at once, as a middlebox does; they may dial again."""
        self._do(self._reset({one, other}))

    def heal(self) -> None:
        """End all faults; what was held back goes on."""

        async def change() -> None:
            self._links.clear()
            for end in tuple(self._ends):
                end.pump()

        self._do(change())

    def link(self, source: int, target: int) -> Link:
        """Return the state of one direction. For the loop's thread."""
        return self._links.setdefault((source, target), Link())

    def _change(self, source: int, target: int, change: Callable[[Link], None]) -> None:
        async def apply() -> None:
            change(self.link(source, target))
            for end in tuple(self._ends):
                end.pump()

        self._do(apply())

    async def _reset(self, pair: set[int]) -> None:
        for end in tuple(self._ends):
            if {end.source, end.target} == pair:
                end.abort()

    # The loop's side.

    def _do(self, work: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(COMMAND_SECONDS)

    def _on_exception(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        # A relay that fails must fail the test: what the nodes then suffer was not asked for.
        self.failures.append(f"{context.get('message')}: {context.get('exception')!r}")

    async def _open(self) -> None:
        for route in self._routes:
            # A default, so that each route has its own.
            def build(route: Route = route) -> _End:
                return _End(self, route)

            self._servers.append(
                await self.loop.create_server(build, "127.0.0.1", route.port, backlog=BACKLOG, reuse_address=True)
            )

    async def _close(self) -> None:
        self._is_closing = True
        # What the loop has accepted gets its transport in a task of its own, which fails without a word, and leaves the
        # socket open, if its server is closed by then (CPython 3.11, asyncio.Server._attach). So first nothing more is
        # accepted, then those tasks end, and the servers are closed last.
        for server in self._servers:
            for listening in server.sockets:
                self.loop.remove_reader(listening.fileno())
        for task in self._tasks:
            task.cancel()
        for end in tuple(self.open_ends):
            end.abort()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        if rest:
            await asyncio.wait(rest)
        for server in self._servers:
            server.close()
        while self.open_ends:
            for end in tuple(self.open_ends):
                end.abort()
            await asyncio.sleep(0)
        # The socket is closed right after its end is told that the connection is lost.
        await asyncio.sleep(0)

    def identify(self, end: "_End", source_port: int) -> int | None:
        """Return which node's process dialled from that port, or None if it is none or gone."""
        inode = _find_inode(source_port, end.route.port)
        if inode is None:
            return None
        processes = self._find_processes()
        return next((index for index, pid in processes.items() if _owns(pid, inode)), None)

    def begin(self, end: "_End") -> None:
        """Take up an accepted connection: dial its target."""
        if self._is_closing:
            end.abort()
            return
        self._ends.add(end)
        task = self.loop.create_task(self._dial(end))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _dial(self, accepted: "_End") -> None:
        try:
            _, dialled = await self.loop.create_connection(
                lambda: _End(self, accepted.route, accepted), "127.0.0.1", accepted.route.target_port
            )
        except OSError:
            # The node is down: the dialler is told so.
            accepted.abort()
            return
        if accepted.is_over:
            # Reset while its other end was dialled: a direction that is stalled would never end it.
            dialled.abort()
            return
        self.connections += 1
        self._ends.add(dialled)
        accepted.join(dialled)

    def forget(self, end: "_End") -> None:
        """Drop an end that is closed."""
        self._ends.discard(end)


class _End(asyncio.Protocol):
    """One end of a connection: reads what `source` says, which its twin writes to `target`."""

    def __init__(self, relay: Relay, route: Route, accepted: "_End | None" = None) -> None:
        self.relay = relay
        self.route = route
        self.source: int = -1 if accepted is None else accepted.target
        self.target: int = route.index if accepted is None else accepted.source
        self._accepted = accepted
        self._twin: _End | None = None
        self._transport: asyncio.Transport | None = None
        self._held: deque[tuple[float, bytes]] = deque()
        self._held_bytes = 0
        self.is_over = False
        self._is_writable = True
        self._is_reading = True
        self._wake: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.relay.open_ends.add(self)
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._accepted is not None:
            return
        source = self.relay.identify(self, transport.get_extra_info("peername")[1])
        if source is None:
            self.abort()
            return
        self.source = source
        self.relay.begin(self)

    def join(self, dialled: "_End") -> None:
        """Begin to carry, both ends being open."""
        self._twin, dialled._twin = dialled, self
        self.pump()
        dialled.pump()

    def data_received(self, data: bytes) -> None:
        link = self.relay.link(self.source, self.target)
        now = self.relay.loop.time()
        self._held.append((now + link.delay_seconds, data))
        self._held_bytes += len(data)
        self.pump()

    def eof_received(self) -> bool:
        # Half-closed connections are not used by anybody here: the end of one direction is the end.
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.is_over = True
        self._is_reading = False
        self.relay.open_ends.discard(self)
        if self._twin is None:
            self.abort()
        else:
            self.pump()

    def pause_writing(self) -> None:
        self._is_writable = False

    def resume_writing(self) -> None:
        self._is_writable = True
        if self._twin is not None:
            self._twin.pump()

    def pump(self) -> None:
        """Let through what may pass now, and see to it that the rest is thought of."""
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        link = self.relay.link(self.source, self.target)
        twin, now = self._twin, self.relay.loop.time()
        while self._held and twin is not None and twin._is_writable and not link.is_stalled:
            due, data = self._held[0]
            limit = link.bytes_per_second
            ready = due if limit is None else max(due, link.free_at)
            if ready > now:
                self._wake = self.relay.loop.call_at(ready, self.pump)
                break
            self._held.popleft()
            self._held_bytes -= len(data)
            if limit is not None:
                link.free_at = max(now, link.free_at) + len(data) / limit
            self.relay.carried_bytes += len(data)
            if twin._transport is not None and not twin.is_over:
                twin._transport.write(data)
        self._read_if_wanted(link)
        if self.is_over and not self._held and not link.is_stalled:
            self._finish()

    def _read_if_wanted(self, link: Link) -> None:
        if self.is_over or self._transport is None:
            return
        wants = self._held_bytes < HELD_BYTES_MAX and not link.is_stalled
        if wants and not self._is_reading:
            self._transport.resume_reading()
        elif not wants and self._is_reading:
            self._transport.pause_reading()
        self._is_reading = wants

    def _finish(self) -> None:
        """Tell the other side that this one has ended, all that it said having arrived."""
        self.relay.forget(self)
        twin = self._twin
        if twin is not None and twin._transport is not None and not twin.is_over:
            twin._transport.close()

    def abort(self) -> None:
        """End both ends at once, with a reset."""
        for end in (self, self._twin):
            if end is None:
                continue
            end._held.clear()
            end._held_bytes = 0
            end.is_over = True
            if end._wake is not None:
                end._wake.cancel()
                end._wake = None
            end.relay.forget(end)
            if end._transport is not None:
                sock = end._transport.get_extra_info("socket")
                try:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                except OSError:
                    # Closed already: there is nothing left to reset.
                    pass
                end._transport.abort()


def _find_inode(port: int, remote_port: int) -> str | None:
    """Return the inode of the loopback socket with that port that is connected to that remote port."""
    local, remote = f"0100007F:{port:04X}", f"0100007F:{remote_port:04X}"
    with Path("/proc/net/tcp").open(encoding="ascii") as table:
        for line in table:
            fields = line.split()
            if fields[1] == local and fields[2] == remote:
                return fields[9]
    return None


def _owns(pid: int, inode: str) -> bool:
    wanted = f"socket:[{inode}]"
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    for name in names:
        try:
            if os.readlink(f"{folder}/{name}") == wanted:
                return True
        except OSError:
            # Closed since it was listed.
            continue
    return False
