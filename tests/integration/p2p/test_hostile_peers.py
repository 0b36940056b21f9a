"""Strangers and misbehaving members at the port: each is refused by name, and the node goes on serving others."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable

import pytest

from consensus.types import Digest, Height
from node.p2p.errors import Refusal
from node.p2p.inbox import PeerDown, PeerUp
from node.p2p.network import Network
from node.wire.ids import MemberId
from node.wire.tags import Tag
from tests.support.frames import build_batch, build_hello, build_vote, chunks, chunks_of
from tests.support.meshes import (
    CountingMetrics,
    RawPeer,
    build_network,
    build_record,
    frames,
    is_connected,
    last_fault,
    raw_tcp,
    raw_tls,
    until,
    with_limits,
)
from tests.support.networks import build_key
from tests.support.tls import client_context

ALPHA, BETA = MemberId("alpha"), MemberId("beta")


async def still_serves(beta: Network) -> None:
    """A member that behaves gets through."""
    async with build_network("alpha", [build_record("beta", beta.address)]) as alpha:
        await until(lambda: is_connected(alpha, "beta"), "a good member is connected")
        alpha.send(BETA, build_vote(3))
        assert (await frames(beta, 1))[0].frame == build_vote(3)


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: node\r\n\r\n",
        b"\x00" * 500,
        b"SSH-2.0-OpenSSH_9.2\r\n",
        bytes(range(256)) * 40,
        b"\x16\x03\x01\xff\xff" + b"\x01" * 1000,
    ],
)
def test_what_is_no_tls_is_closed(said: bytes) -> None:
    """Plain HTTP and garbage end in the task that serves them."""

    async def scenario() -> None:
        metrics = CountingMetrics()
        async with build_network(
            "beta", [build_record("alpha")], metrics=metrics, limits=with_limits(handshake_ms=300)
        ) as beta:
            async with raw_tcp(beta) as peer:
                peer.write(said)
                await peer.wait_closed_by_peer()
            await until(lambda: metrics.closed[Refusal.TLS] + metrics.closed[Refusal.LOST] == 1, "it is counted")
            await still_serves(beta)

    asyncio.run(scenario())


@pytest.mark.parametrize("said", [b"", b"\x16", b"\x16\x03\x01\x02\x00"])
def test_a_slow_client_is_closed_in_time(said: bytes) -> None:
    """Slow-loris: a connection that begins a handshake and never ends it holds its place for a bounded time."""

    async def scenario() -> None:
        metrics = CountingMetrics()
        async with build_network(
            "beta", [build_record("alpha")], metrics=metrics, limits=with_limits(handshake_ms=200)
        ) as beta:
            async with raw_tcp(beta) as peer:
                peer.write(said)
                await peer.wait_closed_by_peer()
            await until(lambda: metrics.closed.total() == 1, "it is counted")
            await still_serves(beta)

    asyncio.run(scenario())


def test_a_client_that_vanishes_is_forgotten() -> None:
    """Connect and reset, again and again."""

    async def scenario() -> None:
        metrics = CountingMetrics()
        async with build_network("beta", [build_record("alpha")], metrics=metrics) as beta:
            for _ in range(20):
                async with raw_tcp(beta):
                    pass
            await until(lambda: metrics.closed.total() == 20, "all are counted")
            await still_serves(beta)

    asyncio.run(scenario())


def test_connections_without_a_first_frame_are_limited_by_source() -> None:
    """The surplus is closed at once; the places come back."""

    async def scenario() -> None:
        metrics = CountingMetrics()
        limits = with_limits(pending_per_source=3, handshake_ms=600)
        async with build_network("beta", [build_record("alpha")], metrics=metrics, limits=limits) as beta:
            async with raw_tcp(beta), raw_tcp(beta), raw_tcp(beta), raw_tcp(beta) as surplus:
                await surplus.wait_closed_by_peer()
                assert metrics.closed == {Refusal.LIMIT: 1}
            await still_serves(beta)

    asyncio.run(scenario())


def test_a_stranger_is_refused() -> None:
    """Its key is not a member's; the member that dials a stranger refuses it as well."""

    async def scenario() -> None:
        metrics, own = CountingMetrics(), CountingMetrics()
        async with (
            build_network("beta", [build_record("alpha")], metrics=metrics) as beta,
            build_network("mallory", [build_record("beta", beta.address)], metrics=own),
        ):
            await until(lambda: metrics.closed[Refusal.TLS] > 0, "it is refused")
            await until(lambda: own.closed.total() > 0, "it notices")
            await still_serves(beta)

    asyncio.run(scenario())


def test_a_client_without_a_certificate_is_refused() -> None:
    """Mutual means both."""

    async def scenario() -> None:
        metrics = CountingMetrics()
        anonymous = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        anonymous.check_hostname = False
        anonymous.verify_mode = ssl.CERT_NONE
        async with build_network("beta", [build_record("alpha")], metrics=metrics) as beta:
            async with raw_tls(beta, "alpha", server="beta", context=anonymous) as peer:
                await peer.wait_closed_by_peer()
            await until(lambda: metrics.closed[Refusal.TLS] == 1, "it is counted")

    asyncio.run(scenario())


def test_another_networks_node_is_refused_on_both_sides() -> None:
    """The same firms, another genesis: the Hello tells, and each operator is told to compare."""

    async def scenario() -> None:
        near, far = CountingMetrics(), CountingMetrics()
        async with (
            build_network("beta", [build_record("alpha")], metrics=far) as beta,
            build_network(
                "alpha", [build_record("beta", beta.address)], metrics=near, network_id=Digest(b"m" * 32)
            ) as alpha,
        ):
            await until(lambda: near.closed[Refusal.WRONG_NETWORK] + far.closed[Refusal.WRONG_NETWORK] >= 2, "refused")
            assert "compare genesis.json" in str(last_fault(beta, "alpha"))
            assert not is_connected(alpha, "beta")
            assert beta.inbox.take() == []

    asyncio.run(scenario())


def test_another_protocol_version_is_refused() -> None:
    """It may connect again once both run the same release: no mute."""

    async def scenario() -> None:
        metrics = CountingMetrics()
        async with (
            build_network("beta", [build_record("alpha")], metrics=metrics) as beta,
            build_network("alpha", [build_record("beta", beta.address)], protocol=2),
        ):
            await until(lambda: metrics.closed[Refusal.WRONG_PROTOCOL] > 0, "it is refused")
            assert beta.peers()[0].muted_for_ms == 0

    asyncio.run(scenario())


def test_a_member_at_another_members_address_is_refused() -> None:
    """An address proves nothing; the key does."""

    async def scenario() -> None:
        metrics = CountingMetrics()
        async with (
            build_network("gamma", [build_record("alpha")]) as gamma,
            build_network(
                "alpha", [build_record("beta", gamma.address), build_record("gamma")], metrics=metrics
            ) as alpha,
        ):
            await until(lambda: metrics.closed[Refusal.WRONG_MEMBER] > 0, "it is refused")
            assert not is_connected(alpha, "beta")
            assert last_fault(alpha, "beta") == "gamma answers at the address of beta"

    asyncio.run(scenario())


def test_a_member_that_calls_itself_another_is_refused() -> None:
    """The Hello must name whom the certificate proves."""

    async def scenario() -> None:
        metrics = CountingMetrics()
        async with build_network("beta", [build_record("alpha"), build_record("gamma")], metrics=metrics) as beta:
            async with raw_tls(beta, "alpha", server="beta") as peer:
                peer.write(chunks_of(build_hello("gamma")))
                await peer.wait_closed_by_peer()
            await until(lambda: metrics.closed[Refusal.WRONG_MEMBER] == 1, "it is counted")

    asyncio.run(scenario())


def test_a_node_that_dials_itself_is_told_so() -> None:
    """A wrong address in the genesis, or a second process with our key."""

    async def scenario() -> None:
        metrics = CountingMetrics()
        async with build_network("alpha", [build_record("beta")], metrics=metrics) as alpha:
            alpha.set_peers([build_record("beta", alpha.address)])
            await until(lambda: metrics.closed[Refusal.OWN_KEY] >= 1, "it notices")
            assert not is_connected(alpha, "beta")

    asyncio.run(scenario())


def test_no_client_can_resume_a_session() -> None:
    """A removed member would come back past the new trust. The node hands out no tickets."""

    async def scenario() -> None:
        context = client_context(build_key("alpha"), [build_key("beta").public_key])
        async with build_network("beta", [build_record("alpha")]) as beta:
            reader, writer = await asyncio.open_connection(*beta.address, ssl=context, server_hostname="")
            writer.write(chunks_of(build_hello()))
            await reader.read(100)
            tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
            assert tls.session is None or not tls.session.has_ticket
            writer.transport.abort()

    asyncio.run(scenario())


def test_a_member_that_is_removed_loses_its_session_and_gets_no_other() -> None:
    """A change of membership takes effect at once, without dropping the listener."""

    async def scenario() -> None:
        metrics = CountingMetrics()
        async with (
            build_network("beta", [build_record("alpha"), build_record("gamma")], metrics=metrics) as beta,
            build_network("alpha", [build_record("beta", beta.address)]) as alpha,
            build_network("gamma", [build_record("beta", beta.address)]) as gamma,
        ):
            await until(lambda: is_connected(alpha, "beta") and is_connected(gamma, "beta"), "both are connected")
            beta.inbox.take()
            beta.set_peers([build_record("gamma")])
            assert [peer.member for peer in beta.peers()] == ["gamma"]
            assert beta.inbox.take() == [PeerDown(ALPHA)]
            await until(lambda: metrics.closed[Refusal.TLS] > 0, "it has tried again in vain")
            assert not beta.send(ALPHA, build_vote())
            assert beta.send(MemberId("gamma"), build_vote())
            beta.set_peers([build_record("gamma"), build_record("alpha")])
            await until(lambda: is_connected(alpha, "beta"), "it is a member again")

    asyncio.run(scenario())


def test_a_member_with_a_new_key_is_met_by_the_new_one_only() -> None:
    """Key rotation: the old session ends."""

    async def scenario() -> None:
        async with (
            build_network("beta", [build_record("alpha")]) as beta,
            build_network("alpha", [build_record("beta", beta.address)]),
        ):
            await until(lambda: is_connected(beta, "alpha"), "the old key is connected")
            renewed = build_record("alpha-renewed")
            beta.set_peers([type(renewed)(ALPHA, renewed.node_key)])
            assert not is_connected(beta, "alpha")
            async with build_network("alpha", [build_record("beta", beta.address)], key_of="alpha-renewed"):
                await until(lambda: is_connected(beta, "alpha"), "the new key is connected")

    asyncio.run(scenario())


async def _silent(peer: RawPeer) -> None:
    pass


async def _hello_byte_by_byte(peer: RawPeer) -> None:
    for byte in chunks_of(build_hello())[:20]:
        peer.write(bytes([byte]))
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("behave", [_silent, _hello_byte_by_byte])
def test_a_member_that_says_no_hello_in_time_is_closed(behave: Callable[[RawPeer], Awaitable[None]]) -> None:
    """TLS and first frame share one deadline."""

    async def scenario() -> None:
        metrics = CountingMetrics()
        limits = with_limits(handshake_ms=300)
        async with build_network("beta", [build_record("alpha")], metrics=metrics, limits=limits) as beta:
            async with raw_tls(beta, "alpha", server="beta") as peer:
                await behave(peer)
                await peer.wait_closed_by_peer()
            await until(lambda: metrics.closed[Refusal.TIMEOUT] == 1, "it is counted")
            assert beta.inbox.take() == []

    asyncio.run(scenario())


def test_a_member_that_falls_silent_is_given_up() -> None:
    """A host that lost its power sends no farewell."""

    async def scenario() -> None:
        metrics = CountingMetrics()
        limits = with_limits(idle_ms=200)
        async with (
            build_network("beta", [build_record("alpha")], metrics=metrics, limits=limits) as beta,
            raw_tls(beta, "alpha", server="beta") as peer,
        ):
            peer.write(chunks_of(build_hello()))
            await until(lambda: is_connected(beta, "alpha"), "it is connected")
            await peer.wait_closed_by_peer()
            await until(lambda: metrics.closed[Refusal.IDLE] == 1, "it is counted")
            assert beta.inbox.take() == [PeerUp(ALPHA, Height(0)), PeerDown(ALPHA)]

    asyncio.run(scenario())


def test_a_member_that_reads_nothing_is_given_up() -> None:
    """Its queue would stay full for ever."""

    async def scenario() -> None:
        metrics = CountingMetrics()
        limits = with_limits(stall_ms=200)
        async with (
            build_network("beta", [build_record("alpha")], metrics=metrics, limits=limits) as beta,
            raw_tls(beta, "alpha", server="beta") as peer,
        ):
            peer.write(chunks_of(build_hello()))
            await until(lambda: is_connected(beta, "alpha"), "it is connected")
            for _ in range(8):
                beta.send(ALPHA, build_batch(1_000_000))
            await until(lambda: metrics.closed[Refusal.STALLED] == 1, "it is given up")

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "said",
    [
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x00",
        chunks(b"\x92\x01\x7f", 0),
        chunks(build_vote(), 1),
        chunks_of(build_hello()),
    ],
)
def test_a_member_that_breaks_the_rules_of_the_stream_is_muted(said: bytes) -> None:
    """Its session ends, and it gets no other for a while; who dials it waits as well."""

    async def scenario() -> None:
        metrics = CountingMetrics()
        async with build_network(
            "beta", [build_record("alpha")], metrics=metrics, limits=with_limits(mute_ms=400)
        ) as beta:
            async with raw_tls(beta, "alpha", server="beta") as peer:
                peer.write(chunks_of(build_hello()))
                assert (await peer.read_frame()).tag is Tag.HELLO
                peer.write(said)
                await peer.wait_closed_by_peer()
            await until(lambda: metrics.closed[Refusal.MALFORMED] == 1, "it is counted")
            (status,) = beta.peers()
            assert status.muted_for_ms > 0
            assert status.last_fault is not None
            async with raw_tls(beta, "alpha", server="beta") as peer:
                peer.write(chunks_of(build_hello()))
                await peer.wait_closed_by_peer()
            assert metrics.closed[Refusal.MUTED] == 1
            await still_serves(beta)

    asyncio.run(scenario())


def test_a_penalty_ends_the_session_drops_what_waits_and_passes() -> None:
    """The engine found a provable fault in what a frame says."""

    async def scenario() -> None:
        async with (
            build_network("beta", [build_record("alpha")]) as beta,
            build_network("alpha", [build_record("beta", beta.address)]) as alpha,
        ):
            await until(lambda: is_connected(beta, "alpha") and is_connected(alpha, "beta"), "they are connected")
            alpha.send(BETA, build_vote())
            await frames(beta, 1)
            alpha.send(BETA, build_vote())
            await beta.inbox.wait()
            beta.penalise(ALPHA, "two batches with one seq", mute_ms=300)
            assert not is_connected(beta, "alpha")
            assert beta.inbox.take() == [PeerDown(ALPHA)]
            assert last_fault(beta, "alpha") == "two batches with one seq"
            beta.penalise(MemberId("nobody"), "is not a member")
            await until(lambda: is_connected(beta, "alpha"), "the mute is over")

    asyncio.run(scenario())


def test_a_muted_peer_is_not_dialled() -> None:
    """Nothing to do with it means both directions."""

    async def scenario() -> None:
        metrics = CountingMetrics()
        async with (
            build_network("beta", [build_record("alpha")], metrics=metrics) as beta,
            build_network("alpha", [build_record("beta", beta.address)]) as alpha,
        ):
            await until(lambda: is_connected(alpha, "beta"), "it is connected")
            alpha.penalise(BETA, "a fault", mute_ms=300)
            await until(lambda: not is_connected(beta, "alpha"), "it is gone")
            accepted = metrics.closed.total()
            await asyncio.sleep(0.15)
            assert metrics.closed.total() == accepted
            await until(lambda: is_connected(alpha, "beta"), "the mute is over")

    asyncio.run(scenario())
