"""Sessions follow the roster; a node that knows nobody's key meets a network by an address, for catching up only."""

import asyncio
import itertools
import socket

import pytest
import structlog

from consensus.types import Height
from node.p2p.errors import Refusal
from node.p2p.inbox import FrameReceived, PeerDown, PeerUp
from node.p2p.joining import JoinState
from node.p2p.peers import PeerRecord
from node.wire.ids import MemberId
from node.wire.tags import Tag
from tests.support.frames import build_batch, build_vote
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
from tests.support.networks import build_key

ALPHA, BETA, GAMMA = MemberId("alpha"), MemberId("beta"), MemberId("gamma")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def rekeyed(name: str, key_of: str, *addresses: tuple[str, int]) -> PeerRecord:
    """A member whose key is another one than its name says."""
    return PeerRecord(MemberId(name), build_key(key_of).public_key, addresses)


def test_a_member_that_is_removed_is_cut_at_once_and_let_in_no_more() -> None:
    """An established session whose key no longer belongs to the roster ends (ADR 0006)."""

    async def scenario() -> None:
        async with (
            build_network("beta", [build_record("alpha"), build_record("gamma")]) as beta,
            build_network("alpha", [build_record("beta", beta.address)]) as alpha,
            build_network("gamma", [build_record("beta", beta.address)]) as gamma,
        ):
            await until(lambda: is_connected(beta, "alpha") and is_connected(beta, "gamma"), "both are connected")
            beta.set_peers([build_record("gamma")])
            assert [peer.member for peer in beta.peers()] == [GAMMA]
            assert beta.broadcast(build_vote()) == 1
            await until(lambda: not is_connected(alpha, "beta"), "alpha is cut")
            await until(lambda: next(iter(alpha.peers())).does_not_know_us, "alpha is told that it is no member")
            assert is_connected(gamma, "beta")

    asyncio.run(scenario())


def test_a_member_that_comes_is_dialled_and_accepted() -> None:
    """Both ways round, while both nodes run."""

    async def scenario() -> None:
        async with build_network("alpha") as alpha, build_network("beta") as beta:
            alpha.set_peers([build_record("beta", beta.address)])
            beta.set_peers([build_record("alpha")])
            await until(lambda: is_connected(alpha, "beta") and is_connected(beta, "alpha"), "they meet")

    asyncio.run(scenario())


def test_a_member_with_a_new_key_is_cut_and_met_again_with_it() -> None:
    """What ran under the old key ends; the old key is a stranger's from then on."""

    async def scenario() -> None:
        async with build_network("beta", [build_record("alpha")]) as beta:
            async with build_network("alpha", [build_record("beta", beta.address)]) as old:
                await until(lambda: is_connected(beta, "alpha"), "the old key is connected")
                beta.set_peers([rekeyed("alpha", "alpha two")])
                await until(lambda: not is_connected(old, "beta"), "the old key is cut")
            async with build_network("alpha", [build_record("beta", beta.address)], key_of="alpha two") as alpha:
                await until(lambda: is_connected(alpha, "beta"), "the new key is connected")

    asyncio.run(scenario())


def test_a_session_outlives_a_new_address_and_the_next_one_goes_there() -> None:
    """A firm that moves its node must not cost the others a session."""

    async def scenario() -> None:
        ports = free_port(), free_port()
        async with build_network("alpha", [build_record("beta", ("127.0.0.1", ports[0]))]) as alpha:
            async with build_network("beta", [build_record("alpha")], port=ports[0]):
                await until(lambda: is_connected(alpha, "beta"), "they meet")
                alpha.inbox.take()
                alpha.set_peers([build_record("beta", ("127.0.0.1", ports[1]))])
                await asyncio.sleep(0.05)
                assert alpha.inbox.take() == []
                assert is_connected(alpha, "beta")
            async with build_network("beta", [build_record("alpha")], port=ports[1]):
                await until(lambda: is_connected(alpha, "beta"), "they meet at the new address")

    asyncio.run(scenario())


def test_a_member_that_loses_its_address_is_dialled_no_more() -> None:
    """It dials us, or nobody does."""

    async def scenario() -> None:
        port = free_port()
        async with build_network("alpha", [build_record("beta", ("127.0.0.1", port))]) as alpha:
            alpha.set_peers([build_record("beta")])
            async with build_network("beta", [build_record("alpha")], port=port) as beta:
                await asyncio.sleep(0.3)
                assert not is_connected(alpha, "beta")
                beta.set_peers([build_record("alpha", alpha.address)])
                await until(lambda: is_connected(alpha, "beta"), "beta dials")

    asyncio.run(scenario())


def test_a_node_that_knows_no_key_catches_up_from_one_address() -> None:
    """The other end must know us; we do not know it, and say so with the session."""

    async def scenario() -> None:
        async with (
            build_network("beta", [build_record("alpha")], key_of="beta two", height=lambda: Height(7)) as beta,
            build_network("alpha", [build_record("beta", beta.address)], joins=[beta.address]) as alpha,
        ):
            assert await arrivals(alpha, 1) == [PeerUp(BETA, Height(7), is_sync_only=True)]
            assert alpha.joining().state is JoinState.CONNECTED
            assert not is_connected(alpha, "beta"), "it is nobody's session as far as peers are counted"
            assert is_connected(beta, "alpha"), "the other end knows whom it serves"
            assert alpha.send(BETA, build_vote(1))
            assert not alpha.send(GAMMA, build_vote(1))
            assert alpha.broadcast(build_vote(2)) == 1
            assert [each.frame for each in await frames(beta, 2)] == [build_vote(1), build_vote(2)]
            beta.send(ALPHA, build_batch(1000))
            assert await frames(alpha, 1) == [FrameReceived(BETA, Tag.BATCH, build_batch(1000))]

    asyncio.run(scenario())


def test_the_first_member_met_by_its_known_key_ends_the_session_by_address() -> None:
    """Down before up, so that nobody is counted twice; and it is not dialled again while members are met."""

    async def scenario() -> None:
        metrics = CountingMetrics()
        async with (
            build_network("beta", [build_record("alpha")], key_of="beta two") as beta,
            build_network(
                "alpha", [build_record("beta", beta.address)], joins=[beta.address], metrics=metrics
            ) as alpha,
        ):
            await arrivals(alpha, 1)
            alpha.set_peers([rekeyed("beta", "beta two", beta.address)])
            assert await arrivals(alpha, 2) == [PeerDown(BETA), PeerUp(BETA, Height(0))]
            assert alpha.joining().state is JoinState.IDLE
            await until(lambda: metrics.closed[Refusal.REPLACED] >= 1, "the session by address is closed")
            await asyncio.sleep(0.3)
            assert alpha.inbox.take() == []

    asyncio.run(scenario())


def test_no_address_is_dialled_while_a_member_is_met_by_its_known_key() -> None:
    """Less is known about who answers there, so it comes last."""

    async def scenario() -> None:
        async with (
            build_network("gamma", [build_record("alpha")]) as gamma,
            build_network("beta", [build_record("alpha")]) as beta,
            build_network("alpha", [build_record("beta", beta.address)], joins=[gamma.address]) as alpha,
        ):
            await until(lambda: is_connected(alpha, "beta"), "beta is met")
            await asyncio.sleep(0.3)
            assert not is_connected(gamma, "alpha")

    asyncio.run(scenario())


def test_a_few_who_know_one_another_look_further_together_with_nobody() -> None:
    """Two of four that were both away while the others rotated their keys meet each other, and look further."""

    async def scenario() -> None:
        metrics = CountingMetrics()
        names = ("beta", "gamma", "delta")
        async with (
            build_network("beta", [build_record("alpha")]) as beta,
            build_network("delta", [build_record("alpha")], key_of="delta two", metrics=metrics) as delta,
        ):
            addresses = {"beta": beta.address}
            records = [build_record(name, *([addresses[name]] if name in addresses else [])) for name in names]
            limits = with_limits(join_ms=500)
            async with build_network("alpha", records, joins=[delta.address], limits=limits) as alpha:
                await until(lambda: is_connected(alpha, "beta"), "one known member is met")
                await until(lambda: alpha.joining().state is JoinState.CONNECTED, "another one is met by address")
                assert is_connected(alpha, "beta")
                assert alpha.broadcast(build_vote()) == 2
                async with build_network("gamma", [build_record("alpha", alpha.address)]):
                    await until(lambda: is_connected(alpha, "gamma"), "a second known member is met")
                    await until(lambda: alpha.joining().state is JoinState.IDLE, "that is enough")
                changes = [
                    (type(each), each.member) for each in alpha.inbox.take(100) if isinstance(each, PeerUp | PeerDown)
                ]
                assert changes[:4] == [
                    (PeerUp, BETA),
                    (PeerUp, MemberId("delta")),
                    (PeerDown, MemberId("delta")),
                    (PeerUp, GAMMA),
                ]

    asyncio.run(scenario())


def test_an_address_of_a_member_that_is_met_costs_its_session_nothing() -> None:
    """Both ends keep the one that stands: it is left before our first frame."""

    async def scenario() -> None:
        metrics = CountingMetrics()
        async with build_network("beta", [build_record("alpha")]) as beta:
            records = [build_record("beta", beta.address), build_record("gamma"), build_record("delta")]
            async with build_network("alpha", records, joins=[beta.address], metrics=metrics) as alpha:
                await until(lambda: metrics.closed[Refusal.REPLACED] == 1, "the address is found to be known")
                await asyncio.sleep(0.2)
                assert is_connected(alpha, "beta")
                assert [type(each) for each in (*alpha.inbox.take(9), *beta.inbox.take(9))] == [PeerUp, PeerUp]

    asyncio.run(scenario())


def test_a_node_that_is_no_member_yet_is_told_so_and_let_in_once_it_is() -> None:
    """The other end demands that we are in its roster; the refusal is told apart from a dead address."""

    async def scenario() -> None:
        metrics = CountingMetrics()
        async with (
            build_network("beta") as beta,
            build_network("alpha", joins=[("127.0.0.1", free_port()), beta.address], metrics=metrics) as alpha,
        ):
            await until(lambda: alpha.joining().state is JoinState.UNREACHABLE, "nothing answers at the first address")
            await until(lambda: alpha.joining().state is JoinState.NOT_A_MEMBER, "the second one refuses")
            assert metrics.closed[Refusal.UNKNOWN_THERE] >= 1
            assert alpha.joining().address == f"127.0.0.1:{beta.address[1]}"
            beta.set_peers([build_record("alpha")])
            await until(lambda: alpha.joining().state is JoinState.CONNECTED, "it is let in")

    asyncio.run(scenario())


def test_a_node_dialled_by_address_that_breaks_the_rules_is_left_alone_for_a_while() -> None:
    """Muted as any peer: the address is not tried again before that."""

    async def scenario() -> None:
        async with (
            build_network("beta", [build_record("alpha")], key_of="beta two") as beta,
            build_network("alpha", joins=[beta.address]) as alpha,
        ):
            await arrivals(alpha, 1)
            beta.send(ALPHA, build_vote(1))
            await until(lambda: bool(alpha.inbox.take()), "something is read")
            alpha.penalise(BETA, "a vote that is none")
            assert await arrivals(alpha, 1) == [PeerDown(BETA)]
            await asyncio.sleep(0.4)
            assert alpha.inbox.take() == []
            assert alpha.joining().words == "a vote that is none"

    asyncio.run(scenario())


def test_a_node_dialled_by_address_that_brings_nothing_gives_way_to_the_next() -> None:
    """It may withhold what it has; one that brings blocks is kept, and so is the only one there is."""

    async def scenario() -> None:
        heights = itertools.count()
        limits = with_limits(patience_ms=100)
        async with (
            build_network("beta", [build_record("alpha")], key_of="beta two") as beta,
            build_network("gamma", [build_record("alpha")], key_of="gamma two") as gamma,
        ):
            both = [beta.address, gamma.address]
            async with build_network("alpha", joins=both, limits=limits) as alpha:
                assert await arrivals(alpha, 3) == [
                    PeerUp(BETA, Height(0), is_sync_only=True),
                    PeerDown(BETA),
                    PeerUp(GAMMA, Height(0), is_sync_only=True),
                ]
            for joins, height in ((both, lambda: Height(next(heights))), (both[:1], lambda: Height(0))):
                async with build_network("alpha", joins=joins, limits=limits, height=height) as alpha:
                    await arrivals(alpha, 1)
                    await asyncio.sleep(0.5)
                    assert alpha.inbox.take() == []
                    assert alpha.joining().state is JoinState.CONNECTED

    asyncio.run(scenario())


def test_our_own_address_is_no_way_into_a_network() -> None:
    """An operator who names the node's own address is told."""

    async def scenario() -> None:
        port = free_port()
        with structlog.testing.capture_logs() as logs:
            async with build_network("alpha", joins=[("127.0.0.1", port)], port=port) as alpha:
                await until(lambda: alpha.joining().state is JoinState.UNREACHABLE, "it is refused")
                assert "our own node key" in (alpha.joining().words or "")
        assert any(each.get("reason") == Refusal.OWN_KEY.value for each in logs)

    asyncio.run(scenario())


def test_a_node_that_claims_to_be_us_is_refused() -> None:
    """Else an answer to it would go round in a circle."""

    async def scenario() -> None:
        async with (
            build_network("alpha", [rekeyed("gamma", "alpha")], key_of="beta") as liar,
            build_network("alpha", joins=[liar.address]) as alpha,
        ):
            await until(lambda: alpha.joining().state is JoinState.UNREACHABLE, "it is refused")
            await until(lambda: "as we are" in (alpha.joining().words or ""), "it is told why")

    asyncio.run(scenario())


def test_a_node_whose_next_key_is_known_already_dials_with_it() -> None:
    """The epoch that holds it has begun elsewhere, and we have not heard: our old key is a stranger's there."""

    async def scenario() -> None:
        async with (
            build_network("beta", [rekeyed("alpha", "alpha two")]) as beta,
            build_network("alpha", [build_record("beta", beta.address)], next_key_of="alpha two") as alpha,
        ):
            await until(lambda: is_connected(alpha, "beta"), "the next key is let in")
            assert not alpha.peers()[0].does_not_know_us

    asyncio.run(scenario())


def test_a_node_whose_next_key_is_not_known_yet_goes_on_with_both() -> None:
    """A proposal may fail: the present key is tried again after the next one."""

    async def scenario() -> None:
        async with (
            build_network("beta") as beta,
            build_network("alpha", [build_record("beta", beta.address)], next_key_of="alpha two") as alpha,
        ):
            await until(lambda: alpha.peers()[0].does_not_know_us, "the present key is refused")
            beta.set_peers([build_record("alpha")])
            await until(lambda: is_connected(alpha, "beta"), "the present key is let in")

    asyncio.run(scenario())


@pytest.mark.parametrize("said", [b"\xff" * 64])
def test_garbage_from_a_node_dialled_by_address_ends_that_session_alone(said: bytes) -> None:
    """Every bound of ordinary sessions holds for it."""

    async def scenario() -> None:
        metrics = CountingMetrics()
        async with (
            build_network("beta", [build_record("alpha")], key_of="beta two") as beta,
            build_network("alpha", joins=[beta.address], metrics=metrics) as alpha,
        ):
            await arrivals(alpha, 1)
            (connection,) = beta._connections
            assert connection._transport is not None
            connection._transport.write(said)
            await until(lambda: metrics.closed[Refusal.MALFORMED] == 1, "it is refused")
            assert await arrivals(alpha, 1) == [PeerDown(BETA)]
            assert alpha.joining().state is JoinState.UNREACHABLE

    asyncio.run(scenario())
