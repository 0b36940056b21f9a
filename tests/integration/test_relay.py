"""The relay of the chaos tests does what its commands say: a network that did something else would prove nothing."""

import asyncio
import gc
import os
import socket
import struct
import threading
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field

import pytest

from tests.support.ports import free_base_port
from tests.support.relay import Relay, Route

DIALLER, TARGET = 0, 1
PATIENCE_SECONDS = 5.0
QUIET_SECONDS = 0.15


@dataclass
class Side(asyncio.Protocol):
    """One end of a connection through the relay, and what it has received."""

    received: bytearray = field(default_factory=bytearray)
    is_lost: bool = False
    transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, error: Exception | None) -> None:
        self.is_lost = True

    def write(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


async def wait_for(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            if holds():
                return
            await asyncio.sleep(0.005)


@asynccontextmanager
async def relayed(*, dialler: int | None = None) -> AsyncIterator[tuple[Relay, Side, list[Side]]]:
    """A relay, a connection through it to a node, and the sides that the node has accepted."""
    base = free_base_port()
    accepted: list[Side] = []

    def accept() -> Side:
        accepted.append(Side())
        return accepted[-1]

    loop = asyncio.get_running_loop()
    server = await loop.create_server(accept, "127.0.0.1", base + 1)
    processes = {DIALLER: os.getpid() if dialler is None else dialler}
    try:
        with Relay([Route(TARGET, base, base + 1)], lambda: processes) as relay:
            side = Side()
            # A relay that refuses may do so before the dialler knows that it is through.
            with suppress(ConnectionResetError):
                await loop.create_connection(lambda: side, "127.0.0.1", base)
            side.is_lost |= side.transport is None
            try:
                yield relay, side, accepted
            finally:
                for each in (side, *accepted):
                    if each.transport is not None:
                        each.transport.abort()
                await asyncio.sleep(0)
    finally:
        server.close()


def test_what_is_sent_arrives_in_order_both_ways_and_an_end_is_passed_on() -> None:
    """Without a fault the relay is a wire."""

    async def scenario() -> None:
        async with relayed() as (_, side, accepted):
            sent = os.urandom(3_000_000)
            side.write(sent)
            await wait_for(lambda: bool(accepted) and len(accepted[0].received) == len(sent))
            assert accepted[0].received == sent
            accepted[0].write(sent[::-1])
            assert side.transport is not None
            await wait_for(lambda: len(side.received) == len(sent))
            assert side.received == sent[::-1]
            side.write(b"last words")
            side.transport.close()
            await wait_for(lambda: accepted[0].is_lost)
            assert accepted[0].received.endswith(b"last words")

    asyncio.run(scenario())


def test_a_stalled_direction_holds_back_what_is_sent_until_it_is_healed_and_the_other_goes_on() -> None:
    """An asymmetric fault: one hears the other and is not heard."""

    async def scenario() -> None:
        async with relayed() as (relay, side, accepted):
            side.write(b"a")
            await wait_for(lambda: bool(accepted) and accepted[0].received == b"a")
            relay.stall(DIALLER, TARGET)
            side.write(b"b")
            accepted[0].write(b"c")
            await wait_for(lambda: side.received == b"c")
            await asyncio.sleep(QUIET_SECONDS)
            assert accepted[0].received == b"a"
            relay.heal()
            await wait_for(lambda: accepted[0].received == b"ab")

    asyncio.run(scenario())


def test_a_cut_pair_hears_nothing_of_each_other_on_new_connections_either() -> None:
    """As behind a firewall that drops: what dials is not refused, and gets no answer."""

    async def scenario() -> None:
        async with relayed() as (relay, side, accepted):
            relay.partition([DIALLER], [TARGET])
            side.write(b"a")
            await wait_for(lambda: bool(accepted))
            accepted[0].write(b"b")
            await asyncio.sleep(QUIET_SECONDS)
            assert not side.received
            assert not accepted[0].received
            relay.heal()
            await wait_for(lambda: side.received == b"b" and accepted[0].received == b"a")

    asyncio.run(scenario())


def test_a_delayed_direction_delivers_later_and_a_limited_one_slower() -> None:
    """Both in order and complete."""

    async def scenario() -> None:
        async with relayed() as (relay, side, accepted):
            relay.delay(DIALLER, TARGET, 0.2)
            began = time.monotonic()
            side.write(b"a")
            await wait_for(lambda: bool(accepted) and accepted[0].received == b"a")
            assert time.monotonic() - began >= 0.2
            relay.heal()
            relay.limit(TARGET, DIALLER, 2_000_000)
            began = time.monotonic()
            accepted[0].write(bytes(1_000_000))
            await wait_for(lambda: len(side.received) == 1_000_000)
            # The last piece is let through as the one before it has passed.
            assert time.monotonic() - began >= 0.3

    asyncio.run(scenario())


def test_a_reset_ends_both_ends_and_leaves_the_way_open() -> None:
    """A middlebox forgets the connection: both ends are told at once."""

    async def scenario() -> None:
        async with relayed() as (relay, side, accepted):
            side.write(b"a")
            await wait_for(lambda: bool(accepted) and accepted[0].received == b"a")
            relay.reset(TARGET, DIALLER)
            await wait_for(lambda: side.is_lost and accepted[0].is_lost)

    asyncio.run(scenario())


@pytest.mark.parametrize("stranger", [1, 2**22 + 1])
def test_whoever_is_no_node_of_the_network_is_not_served(stranger: int) -> None:
    """A connection of unknown origin would escape the faults."""

    async def scenario() -> None:
        async with relayed(dialler=stranger) as (relay, side, accepted):
            await wait_for(lambda: side.is_lost)
            assert not accepted
            assert relay.connections == 0

    asyncio.run(scenario())


def collect_leaks(caught: Sequence[warnings.WarningMessage]) -> list[str]:
    """Return what was dropped without being closed, after all that can be collected is."""
    gc.collect()
    return [str(each.message) for each in caught if issubclass(each.category, ResourceWarning)]


def busy(relay: Relay) -> threading.Event:
    """Hold the relay's loop up until the event is set, so that what arrives meanwhile is met in one go."""
    begun, release = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        assert release.wait(PATIENCE_SECONDS)

    relay.loop.call_soon_threadsafe(hold)
    assert begun.wait(PATIENCE_SECONDS)
    return release


@pytest.mark.filterwarnings("always::ResourceWarning")
def test_a_relay_that_closes_just_as_it_accepts_closes_what_it_has_accepted() -> None:
    """The loop takes connections and the command to close in the same pass; a dial begun then ends, too."""
    base = free_base_port()
    with warnings.catch_warnings(record=True) as caught, socket.create_server(("127.0.0.1", base + 1)):
        warnings.simplefilter("always")
        dialled = []
        with Relay([Route(TARGET, base, base + 1)], lambda: {DIALLER: os.getpid()}) as relay:
            release = busy(relay)
            dialled = [socket.create_connection(("127.0.0.1", base)) for _ in range(3)]
            threading.Timer(QUIET_SECONDS, release.set).start()
        for each in dialled:
            each.close()
        assert collect_leaks(caught) == []
    assert not relay.open_ends
    assert relay.connections == 0


@contextmanager
def backlogged(port: int) -> Iterator[tuple[socket.socket, list[socket.socket]]]:
    """A listener whose backlog is full, so that who dials it waits, and the connections that fill it."""
    fillers = [socket.socket() for _ in range(3)]
    try:
        with socket.socket() as target:
            target.bind(("127.0.0.1", port))
            target.listen(0)
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
            yield target, fillers
    finally:
        for filler in fillers:
            filler.close()


@pytest.mark.filterwarnings("always::ResourceWarning")
def test_a_relay_that_closes_while_it_dials_closes_both_ends() -> None:
    """The dial hangs until it is cancelled."""

    async def scenario() -> None:
        base = free_base_port()
        with backlogged(base + 1):
            with Relay([Route(TARGET, base, base + 1)], lambda: {DIALLER: os.getpid()}) as relay:
                dialler = socket.create_connection(("127.0.0.1", base))
                await wait_for(lambda: bool(relay.open_ends))
            assert not relay.open_ends
            assert relay.connections == 0
            with dialler, pytest.raises(ConnectionResetError):
                dialler.recv(1)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(scenario())
        assert collect_leaks(caught) == []


def test_a_connection_lost_while_its_other_end_is_dialled_does_not_live_on_at_the_target() -> None:
    """Also where the direction is stalled, which would hold back its end for good: nobody heals the lost."""

    async def scenario() -> None:
        base = free_base_port()
        with (
            backlogged(base + 1) as (target, fillers),
            Relay([Route(TARGET, base, base + 1)], lambda: {DIALLER: os.getpid()}) as relay,
        ):
            relay.stall(DIALLER, TARGET)
            dialler = socket.create_connection(("127.0.0.1", base))
            await wait_for(lambda: bool(relay.open_ends))
            dialler.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            dialler.close()
            await wait_for(lambda: not relay.open_ends)
            filling = {filler.getsockname() for filler in fillers}
            target.settimeout(PATIENCE_SECONDS)
            while True:
                taken, source = target.accept()
                with taken:
                    if source in filling:
                        continue
                    taken.settimeout(PATIENCE_SECONDS)
                    with suppress(ConnectionResetError):
                        assert taken.recv(1) == b""
                    return

    asyncio.run(scenario())
