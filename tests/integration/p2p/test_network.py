"""Sessions over real sockets on loopback: frames flow, and one session stands for each pair."""

import asyncio
import datetime
import errno
import socket

import pytest
import structlog

from consensus.errors import InvariantError
from consensus.types import Height
from node.clock import SystemClock
from node.errors import ConfigError
from node.p2p.certificates import LEAF_RENEWED_AFTER
from node.p2p.errors import Refusal
from node.p2p.inbox import FrameReceived, PeerDown, PeerUp
from node.p2p.limits import Budget
from node.p2p.listening import accept_from
from node.p2p.network import Network
from node.wire.ids import MemberId
from node.wire.tags import Tag
from tests.support.frames import build_batch, build_chain, build_status, build_vote
from tests.support.meshes import (
    CountingMetrics,
    arrivals,
    build_network,
    build_record,
    frames,
    is_connected,
    until,
    with_limits,
)

ALPHA, BETA, GAMMA = MemberId("alpha"), MemberId("beta"), MemberId("gamma")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_two_nodes_meet_and_frames_of_every_priority_flow_both_ways() -> None:
    """The peer is announced first, with the height that it says, then what it sends."""

    async def scenario() -> None:
        async with (
            build_network("beta", [build_record("alpha")], height=lambda: Height(5)) as beta,
            build_network("alpha", [build_record("beta", beta.address)]) as alpha,
        ):
            assert await arrivals(alpha, 1) == [PeerUp(BETA, Height(5))]
            assert await arrivals(beta, 1) == [PeerUp(ALPHA, Height(0))]
            large = build_batch(1024 * 1024, fill=3)
            for frame in (build_vote(), large, build_chain(), build_status()):
                assert alpha.send(BETA, frame)
                assert beta.broadcast(frame) == 1
            for network, sender in ((alpha, BETA), (beta, ALPHA)):
                got = await frames(network, 4)
                assert {each.tag: (each.member, each.frame) for each in got} == {
                    Tag.VOTE: (sender, build_vote()),
                    Tag.BATCH: (sender, large),
                    Tag.CHAIN: (sender, build_chain()),
                    Tag.STATUS: (sender, build_status()),
                }

    asyncio.run(scenario())


def test_a_node_without_the_peer_sends_nothing_and_says_so() -> None:
    """False is an answer, not an error: peers come and go."""

    async def scenario() -> None:
        async with build_network("alpha", [build_record("beta")]) as alpha:
            assert not alpha.send(BETA, build_vote())
            assert not alpha.send(GAMMA, build_vote())
            assert alpha.broadcast(build_vote()) == 0
            (status,) = alpha.peers()
            assert (status.member, status.is_connected, status.address) == (BETA, False, None)

    asyncio.run(scenario())


def test_two_nodes_that_dial_each_other_at_once_end_on_one_session() -> None:
    """One side decides; after that both send on the same connection."""

    async def scenario() -> None:
        ports = free_port(), free_port()
        for _ in range(5):
            async with (
                build_network("alpha", [build_record("beta", ("127.0.0.1", ports[1]))], port=ports[0]) as alpha,
                build_network("beta", [build_record("alpha", ("127.0.0.1", ports[0]))], port=ports[1]) as beta,
            ):
                await until(lambda: is_connected(alpha, "beta") and is_connected(beta, "alpha"), "both are connected")
                await until(
                    lambda: (
                        [peer.is_dialled for peer in (*alpha.peers(), *beta.peers())] in ([True, False], [False, True])
                    ),
                    "both use the same connection",
                )
                received: dict[MemberId, bytes] = {}

                def both_have_it(
                    ends: tuple[tuple[Network, MemberId, int], ...] = ((alpha, BETA, 7), (beta, ALPHA, 8)),
                    received: dict[MemberId, bytes] = received,
                ) -> bool:
                    # A session that gives way at this moment may take a frame with it: it is said again.
                    for network, other, number in ends:
                        network.send(other, build_vote(number))
                        for each in network.inbox.take(64):
                            if isinstance(each, FrameReceived):
                                received[each.member] = each.frame
                    return len(received) == 2

                await until(both_have_it, "both have the other's vote")
                assert received == {BETA: build_vote(8), ALPHA: build_vote(7)}

    asyncio.run(scenario())


def test_ups_and_downs_alternate_for_each_peer() -> None:
    """Whoever counts peers by them never counts one twice, even while two sessions compete."""

    async def scenario() -> None:
        ports = free_port(), free_port()
        async with build_network("alpha", [build_record("beta", ("127.0.0.1", ports[1]))], port=ports[0]) as alpha:
            for _ in range(3):
                async with build_network(
                    "beta", [build_record("alpha", ("127.0.0.1", ports[0]))], port=ports[1]
                ) as beta:
                    await until(lambda: is_connected(beta, "alpha"), "beta is connected")
                await until(lambda: not is_connected(alpha, "beta"), "alpha has seen beta go")
            changes = [type(each) for each in alpha.inbox.take(1000) if isinstance(each, PeerUp | PeerDown)]
            assert len(changes) >= 6
            assert changes == [PeerUp, PeerDown] * (len(changes) // 2)

    asyncio.run(scenario())


def test_a_peer_that_restarts_is_met_again() -> None:
    """Back-off, then the session stands and frames flow."""

    async def scenario() -> None:
        port = free_port()
        async with build_network("alpha", [build_record("beta", ("127.0.0.1", port))]) as alpha:
            for round_number in range(1, 4):
                async with build_network("beta", [build_record("alpha")], port=port) as beta:
                    await until(lambda: is_connected(alpha, "beta"), "alpha is connected")
                    alpha.send(BETA, build_vote(round_number))
                    assert (await frames(beta, 1))[0].frame == build_vote(round_number)
                await until(lambda: not is_connected(alpha, "beta"), "alpha has noticed")

    asyncio.run(scenario())


def test_a_second_address_is_tried_when_the_first_is_dead() -> None:
    """A node may have moved."""

    async def scenario() -> None:
        async with (
            build_network("beta", [build_record("alpha")]) as beta,
            build_network("alpha", [build_record("beta", ("127.0.0.1", free_port()), beta.address)]) as alpha,
        ):
            await until(lambda: is_connected(alpha, "beta"), "alpha is connected")
            (status,) = alpha.peers()
            assert status.address == f"127.0.0.1:{beta.address[1]}"
            assert status.rtt_us is None or status.rtt_us > 0
            assert status.since_ms is not None

    asyncio.run(scenario())


def test_a_full_mesh_of_four_stands() -> None:
    """As in a localnet: everybody dials everybody."""

    async def scenario() -> None:
        names = ("a", "b", "c", "d")
        ports = {name: free_port() for name in names}
        records = {name: build_record(name, ("127.0.0.1", ports[name])) for name in names}
        networks = [
            build_network(name, [records[other] for other in names if other != name], port=ports[name])
            for name in names
        ]
        a, b, c, d = networks
        async with a, b, c, d:
            await until(
                lambda: all(all(peer.is_connected for peer in network.peers()) for network in networks), "all meet"
            )
            received: dict[int, FrameReceived] = {}

            def all_have_it() -> bool:
                # Where both ends dialled, one session may yet give way to the other and take a frame with it: whoever
                # needs a frame to arrive says it again, as consensus does.
                a.broadcast(build_vote(9))
                for number, network in enumerate((b, c, d)):
                    arrived = [each for each in network.inbox.take(64) if isinstance(each, FrameReceived)]
                    if arrived:
                        received[number] = arrived[0]
                return len(received) == 3

            await until(all_have_it, "all three have the vote")
            assert set(received.values()) == {FrameReceived(MemberId("a"), Tag.VOTE, build_vote(9))}

    asyncio.run(scenario())


def test_a_reader_that_stops_fills_no_memory_and_goes_on_where_it_stopped() -> None:
    """Its inbox is bounded, then the sender's queue; the sender drops data and says so; nothing arrives twice."""

    async def scenario() -> None:
        budget = Budget(bytes_max=1_000_000, count_max=1000)
        limits = with_limits(data_in=budget, data_out=budget)
        metrics = CountingMetrics()
        async with (
            build_network("beta", [build_record("alpha")], limits=limits) as beta,
            build_network("alpha", [build_record("beta", beta.address)], limits=limits, metrics=metrics) as alpha,
        ):
            await until(lambda: is_connected(alpha, "beta"), "alpha is connected")
            sent = 0
            for number in range(2000):
                if alpha.send(BETA, build_batch(100_000, fill=number % 256)):
                    sent += 1
                await asyncio.sleep(0)
            assert metrics.dropped[Tag.BATCH] == 2000 - sent
            assert sent < 1000, "what the sockets and both queues hold is far below what was offered"
            got = await frames(beta, sent)
            assert len(got) == sent
            assert alpha.send(BETA, build_batch(10, fill=1))
            assert (await frames(beta, 1))[0].frame == build_batch(10, fill=1)

    asyncio.run(scenario())


def test_a_vote_overtakes_megabytes_of_data() -> None:
    """It waits for what the socket has taken, not for what the queue holds."""

    async def scenario() -> None:
        async with (
            build_network("beta", [build_record("alpha")]) as beta,
            build_network("alpha", [build_record("beta", beta.address)]) as alpha,
        ):
            await until(lambda: is_connected(alpha, "beta"), "alpha is connected")
            for _ in range(7):
                assert alpha.send(BETA, build_batch(1_000_000))
            assert alpha.send(BETA, build_vote(4))
            beta.inbox.take()
            got = await frames(beta, 1)
            assert got[0].tag is Tag.VOTE

    asyncio.run(scenario())


def test_votes_that_a_peer_does_not_take_end_the_session() -> None:
    """A reconnect repairs every gap; a gap that nobody noticed would not be."""

    async def scenario() -> None:
        metrics = CountingMetrics()
        limits = with_limits(
            consensus_in=Budget(bytes_max=10_000, count_max=10), consensus_out=Budget(bytes_max=10_000, count_max=100)
        )
        async with (
            build_network("beta", [build_record("alpha")], limits=limits) as beta,
            build_network("alpha", [build_record("beta", beta.address)], limits=limits, metrics=metrics) as alpha,
        ):
            await until(lambda: is_connected(alpha, "beta"), "alpha is connected")
            async with asyncio.timeout(20):
                while not metrics.closed[Refusal.OVERFLOW]:
                    for _ in range(90):
                        alpha.send(BETA, build_vote())
                    await asyncio.sleep(0)

    asyncio.run(scenario())


def test_a_port_in_use_is_the_operators_to_settle() -> None:
    """One line that names the setting and the address; nothing has been started."""

    async def scenario() -> None:
        async with build_network("alpha") as alpha:
            port = alpha.address[1]
            with pytest.raises(ConfigError, match=f"p2p.listen 127.0.0.1:{port}: Address already in use"):
                async with build_network("beta", port=port):
                    raise AssertionError

    asyncio.run(scenario())


def test_leaving_closes_everything_and_the_peer_notices() -> None:
    """No task, no socket stays behind."""

    async def scenario() -> None:
        before = asyncio.all_tasks()
        async with build_network("beta", [build_record("alpha")]) as beta:
            async with build_network("alpha", [build_record("beta", beta.address)]) as alpha:
                await until(lambda: is_connected(beta, "alpha"), "beta is connected")
            assert await arrivals(beta, 2) == [PeerUp(ALPHA, Height(0)), PeerDown(ALPHA)]
            assert not alpha.send(BETA, build_vote())
        assert asyncio.all_tasks() == before

    asyncio.run(scenario())


def test_a_node_that_is_left_while_others_dial_it_complains_of_nothing() -> None:
    """Connections arrive at the very moment of stopping: none is lost with a traceback, none stays open."""

    async def scenario() -> None:
        complaints: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
        for pause in range(30):
            async with build_network("beta", [build_record("alpha")]) as beta:
                sockets = []
                for _ in range(5):
                    sockets.append(socket.create_connection(beta.address))
                    for _ in range(pause % 4):
                        await asyncio.sleep(0)
            for each in sockets:
                each.close()
        assert complaints == []

    asyncio.run(scenario())


def test_an_error_of_our_own_is_not_swallowed() -> None:
    """A peer's fault ends its session; a bug ends the node."""

    def broken() -> Height:
        raise InvariantError("no height")

    async def scenario() -> None:
        async with build_network("beta", [build_record("alpha")]) as beta:
            with pytest.raises(ExceptionGroup) as ended:
                async with build_network("alpha", [build_record("beta", beta.address)], height=broken):
                    await asyncio.sleep(10)
            assert ended.group_contains(InvariantError, match="no height")

    asyncio.run(scenario())


class SteppedClock(SystemClock):
    """The machine's clocks, the wall's set back by some time until it is set right."""

    def __init__(self, behind: datetime.timedelta) -> None:
        self.behind = behind

    def wall_ms(self) -> int:
        return super().wall_ms() - int(self.behind.total_seconds() * 1000)


def test_a_leaf_is_renewed_in_the_running_node() -> None:
    """It runs for months without a restart; sessions that stand stay, and new ones show the new leaf."""

    async def scenario() -> None:
        clock = SteppedClock(LEAF_RENEWED_AFTER + datetime.timedelta(minutes=1))
        async with build_network("beta", [build_record("alpha")], clock=clock) as beta:
            async with build_network("alpha", [build_record("beta", beta.address)]) as alpha:
                await until(lambda: is_connected(alpha, "beta"), "alpha is connected")
                with structlog.testing.capture_logs() as logs:
                    clock.behind = datetime.timedelta(0)
                    await until(lambda: [each["event"] for each in logs] == ["session certificate renewed"], "renewed")
                assert is_connected(alpha, "beta")
            async with build_network("alpha", [build_record("beta", beta.address)]) as alpha:
                await until(lambda: is_connected(alpha, "beta"), "alpha is connected again")

    asyncio.run(scenario())


def test_a_node_without_file_descriptors_accepts_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client waits in the backlog; the accept loop does not die."""

    async def scenario() -> None:
        failures = [OSError(errno.EMFILE, "Too many open files")]

        def accept_or_fail(listener: socket.socket) -> tuple[socket.socket, str]:
            if failures:
                raise failures.pop()
            return accept_from(listener)

        monkeypatch.setattr("node.p2p.listening.accept_from", accept_or_fail)
        async with (
            build_network("beta", [build_record("alpha")]) as beta,
            build_network("alpha", [build_record("beta", beta.address)]) as alpha,
        ):
            await until(lambda: is_connected(alpha, "beta"), "alpha is connected")
            assert not failures

    asyncio.run(scenario())


def test_what_is_counted_is_what_flows() -> None:
    """Messages by kind and direction, and the peers that are connected."""

    async def scenario() -> None:
        near, far = CountingMetrics(), CountingMetrics()
        async with (
            build_network("beta", [build_record("alpha")], metrics=far) as beta,
            build_network("alpha", [build_record("beta", beta.address)], metrics=near) as alpha,
        ):
            await until(lambda: is_connected(alpha, "beta"), "alpha is connected")
            assert near.connected == 1
            for _ in range(10):
                alpha.send(BETA, build_vote())
            await until(lambda: far.received[Tag.VOTE] == 10, "all have arrived")
            assert near.sent[Tag.VOTE] == 10
        assert far.connected == 0

    asyncio.run(scenario())
