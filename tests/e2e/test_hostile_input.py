"""Bytes that nobody should send, at every door of a running node: refused by name, and nothing changes.

The peer that misbehaves is a member: it holds the key of the fourth node, which does not run.
"""

import asyncio
import base64
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from consensus.messages import Status, Subject, Vote, VoteKind
from consensus.types import ZERO_DIGEST, Digest, Epoch, Height, ValidatorIndex, View
from node.api.client import RpcError
from node.crypto.keys import SigningKey, load_key
from node.ledger.batch import seal_batch
from node.ledger.genesis import PROTOCOL_VERSION
from node.ledger.transaction import sign_transaction
from node.p2p.certificates import issue_leaf
from node.p2p.context import build_context
from node.wire.ids import FeedId, FeedNumber, Seq
from node.wire.messages import KINDS, BatchData, ChainRequest, Hello, Message, StatusReport
from node.wire.tags import Tag
from tests.e2e.localnet import Localnet, NodeProcess, cleaned_up, create_localnet
from tests.e2e.stream import build_submission
from tests.support.frames import chunks, chunks_of
from tests.support.meshes import RawPeer
from tests.support.tls import NOW

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

BODY_BYTES_MAX = 65_536


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Localnet]:
    """Three of four nodes, running; small bodies only."""
    net = create_localnet(tmp_path_factory.mktemp("hostile") / "net")

    async def start() -> None:
        for node in net.nodes[:3]:
            node.environment = {"LOTVINE_RPC__BODY_BYTES_MAX": str(BODY_BYTES_MAX)}
            node.start()
        for node in net.nodes[:3]:
            await node.wait_for_height(0, peers=2)

    async def end() -> None:
        async with cleaned_up(net):
            pass

    try:
        asyncio.run(start())
        yield net
    finally:
        asyncio.run(end())


async def place(node: NodeProcess) -> tuple[int, str, int]:
    """Return how far a node has executed, and what to."""
    status = await node.call("network.status")
    return status["executed_height"], status["state_digest"], status["transactions"]


async def submit(net: Localnet, node: NodeProcess, signed: bytes, *, wait: str = "final") -> dict[str, Any]:
    answer: dict[str, Any] = await node.call("tx.submit", signed=base64.b64encode(signed).decode(), wait=wait)
    return answer


def actor_of(node: NodeProcess) -> SigningKey:
    return load_key(node.home / "keys" / "actor.key")


async def goes_on(net: Localnet) -> None:
    """All three still agree on something new."""
    node = net.nodes[0]
    signed = build_submission(net, node, actor_of(node), time.time_ns() % 10**9)
    answer = await submit(net, node, signed.encode())
    assert (answer["state"], answer["verdict"]) == ("final", "accepted")


BODIES = {
    "empty": b"",
    "no json": b"{",
    "no utf-8": b'{"jsonrpc":"2.0","id":1,"method":"\xff"}',
    "deep": b"[" * 60_000,
    "deep params": b'{"jsonrpc":"2.0","id":1,"method":"tx.get","params":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "empty batch": b"[]",
    "number": b"17",
    "unknown method": b'{"jsonrpc":"2.0","id":1,"method":"node.destroy"}',
    "positional": b'{"jsonrpc":"2.0","id":1,"method":"tx.get","params":["00"]}',
    "unknown field": b'{"jsonrpc":"2.0","id":1,"method":"network.status","params":{"a":1}}',
    "wrong type": b'{"jsonrpc":"2.0","id":1,"method":"block.get","params":{"height":"one"}}',
    "negative": b'{"jsonrpc":"2.0","id":1,"method":"block.get","params":{"height":-1}}',
    "huge number": b'{"jsonrpc":"2.0","id":1,"method":"block.get","params":{"height":' + b"9" * 5000 + b"}}",
    "far block": b'{"jsonrpc":"2.0","id":1,"method":"block.get","params":{"height":4294967296}}',
    "bad id": b'{"jsonrpc":"2.0","id":{},"method":"network.status"}',
    "old version": b'{"jsonrpc":"1.0","id":1,"method":"network.status"}',
    "no document": b'{"jsonrpc":"2.0","id":1,"method":"event.capture","params":{"document":17}}',
    "odd item": b'{"jsonrpc":"2.0","id":1,"method":"trace.back","params":{"item":"\\u0000\\ud800"}}',
    "oversized": b'{"jsonrpc":"2.0","id":1,"method":"network.status","params":{"a":"' + b"x" * BODY_BYTES_MAX + b'"}}',
}


@pytest.mark.parametrize("name", list(BODIES))
def test_a_bad_request_is_answered_with_an_error_and_changes_nothing(net: Localnet, name: str) -> None:
    """JSON-RPC 2.0: a code, a sentence; the node stays up."""

    async def scenario() -> None:
        node = net.nodes[0]
        before = await place(node)
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session,
            session.post(
                f"http://{node.rpc}/rpc", data=BODIES[name], headers={"Content-Type": "application/json"}
            ) as response,
        ):
            status, body = response.status, await response.read()
        assert status < 500, body[:300]
        answer = json.loads(body)
        assert answer["error"]["code"] < 0
        assert answer["error"]["message"]
        assert (await place(node))[2] == before[2]

    asyncio.run(scenario())


def test_a_transaction_that_is_not_what_it_says_is_refused_by_name(net: Localnet) -> None:
    """Undecodable, another member's, another network's, forged, of an unknown key: each with its own code."""

    async def scenario() -> None:
        node, other = net.nodes[0], net.nodes[1]
        good = build_submission(net, node, actor_of(node), 1)
        forged = bytearray(good.encode())
        forged[-1] ^= 1
        foreign = sign_transaction(good.transaction, Digest(os.urandom(32)), actor_of(node))
        strange_key = SigningKey(os.urandom(32))
        strange = build_submission(net, node, strange_key, 2)
        cases = {
            "malformed_transaction": [
                b"x",
                good.encode()[:-1],
                good.encode() + b"\0",
                b"\xdd\xff\xff\xff\xff" + bytes(40),
            ],
            "bad_signature": [bytes(forged), foreign.encode()],
            "wrong_member": [build_submission(net, other, actor_of(other), 3).encode()],
            "actor_unknown": [strange.encode()],
        }
        before = await place(node)
        for code, submissions in cases.items():
            for signed in submissions:
                with pytest.raises(RpcError) as refused:
                    await submit(net, node, signed)
                assert refused.value.code == code
                assert " " in refused.value.message
        assert (await place(node))[2] == before[2]

    asyncio.run(scenario())


def test_a_transaction_that_is_replayed_is_executed_once(net: Localnet) -> None:
    """Same bytes, same id: the second changes nothing."""

    async def scenario() -> None:
        node = net.nodes[0]
        signed = build_submission(net, node, actor_of(node), 4)
        first = await submit(net, node, signed.encode())
        assert first["verdict"] == "accepted"
        events = (await node.call("network.status"))["events"]
        again = await submit(net, node, signed.encode())
        assert again["state"] == "final"
        got = await node.call("tx.get", id=signed.id.hex())
        assert (got["height"], got["verdict"]) == (first["height"], "accepted")
        assert (await node.call("network.status"))["events"] == events

    asyncio.run(scenario())


@asynccontextmanager
async def session(net: Localnet, target: NodeProcess) -> AsyncIterator[RawPeer]:
    """An open session with a node, as the fourth member."""
    liar = net.nodes[3]
    key = load_key(liar.home / "keys" / "node.key")
    context = build_context(
        issue_leaf(key, NOW), [net.genesis.roster.members[target.member].node_key], server_side=False
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", target.p2p_port, ssl=context, server_hostname="")
    try:
        peer = RawPeer(reader, writer)
        peer.write(chunks_of(Hello(net.genesis.network_id, PROTOCOL_VERSION, liar.member, (), Height(0))))
        assert (await peer.read_frame()).tag is Tag.HELLO
        yield peer
    finally:
        writer.transport.abort()


def hostile_messages(net: Localnet) -> list[Message]:
    """What decodes and is wrong: forged, replayed, reordered, of nobody, absurd."""
    liar = net.nodes[3]
    key = load_key(liar.home / "keys" / "node.key")
    genesis = net.genesis
    index = genesis.roster.validator_index(liar.member)
    assert index is not None

    def batch(seq: int, *, previous: Digest = ZERO_DIGEST, network: Digest | None = None) -> BatchData:
        signed = build_submission(net, liar, actor_of(liar), seq)
        return BatchData(
            seal_batch(
                network_id=network or genesis.network_id,
                feed=FeedId(liar.member, FeedNumber(0)),
                seq=Seq(seq),
                previous=previous,
                time_ms=time.time_ns() // 1_000_000,
                transactions=(signed,),
                key=key,
            ).encoded
        )

    vote = Vote(Subject(VoteKind.NOTARIZE, Epoch(0), View(10), View(9), Digest(os.urandom(32))), index, bytes(64))
    other = Vote(vote.subject, ValidatorIndex((index + 1) % 4), bytes(64))
    far = Status(Epoch(7), View(2**60), View(2**60), Height(2**60), View(2**60))
    fork = batch(0)
    return [
        vote,
        vote,
        other,
        StatusReport(far, Height(2**60), (), bytes(16), 0),
        StatusReport(far, Height(0), (), os.urandom(16), 2**60),
        ChainRequest(Height(1), Height(2**60)),
        batch(9, previous=Digest(os.urandom(32))),
        batch(5),
        batch(0, network=Digest(os.urandom(32))),
        fork,
        fork,
        batch(0),
        BatchData(b"not a batch"),
        BatchData(b""),
    ]


def test_a_member_that_sends_anything_wrong_stops_nobody(net: Localnet) -> None:
    """Forged, replayed, reordered, undecodable frames; each node begins elsewhere, as the first provable one mutes."""

    async def scenario() -> None:
        streams = [chunks_of(message) for message in hostile_messages(net)]
        streams += [chunks(b"\x92\x01" + bytes([tag]) + os.urandom(200), int(KINDS[tag].priority)) for tag in Tag]
        streams += [b"\xff" * 100, b"\x00" * 100, chunks(b"\x92\x02\x02\xc0", 0), os.urandom(3000)]
        said = 0
        for node in net.nodes[:3]:
            first = node.index * len(streams) // 3
            for stream in streams[first:] + streams[:first]:
                try:
                    async with session(net, node) as peer:
                        peer.write(stream)
                        said += 1
                        await asyncio.sleep(0.05)
                except (OSError, AssertionError):
                    break
        assert said >= 3
        node = net.nodes[0]
        await goes_on(net)
        statuses = [await each.call("network.status") for each in net.nodes[:3]]
        assert all(status["ready"] for status in statuses)
        assert {peer["member"] for peer in statuses[0]["peers"] if peer["connected"]} == {
            each.member for each in net.nodes[1:3]
        }
        assert "Traceback" not in node.log_path.read_text(encoding="utf-8")

    asyncio.run(scenario())


@pytest.mark.parametrize("said", [b"GET /rpc HTTP/1.1\r\n\r\n", b"\x16\x03\x01" + bytes(500), os.urandom(2000), b""])
def test_a_stranger_at_the_port_between_nodes_stops_nobody(net: Localnet, said: bytes) -> None:
    """Plain HTTP, half a handshake, noise, silence."""

    async def scenario() -> None:
        for _ in range(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", net.nodes[0].p2p_port)
            writer.write(said)
            await asyncio.sleep(0)
            writer.transport.abort()
            del reader
        await goes_on(net)

    asyncio.run(scenario())


def test_the_homes_of_the_nodes_are_left_as_they_were(net: Localnet, tmp_path: Path) -> None:
    """Whatever was said to them, they stop when asked and start again with the same state."""

    async def scenario() -> None:
        nodes = net.nodes[:3]
        await goes_on(net)
        heights = [await node.wait_for_height(0) for node in nodes]
        for node in nodes:
            assert node.stop() == 0
        for node in nodes:
            node.start()
        for node, before in zip(nodes, heights, strict=True):
            after = await node.wait_for_height(before["executed_height"], peers=2)
            assert after["transactions"] >= before["transactions"]
        await goes_on(net)

    asyncio.run(scenario())
