"""A network after everybody, or too many, were killed at once; a node killed while it starts, or frozen."""

import asyncio
import base64
import json
import random
import signal
from pathlib import Path

import pytest

from node.crypto.keys import load_key
from tests.e2e.localnet import Localnet, NodeProcess, cleaned_up, create_localnet, run_cli, running_localnet, wait_until
from tests.e2e.stream import Journal, build_submission, submit_for_ever

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ITEM = "urn:epc:class:lgtin:4012345.012345.L1"
PRODUCT = "urn:epc:class:lgtin:4012345.099999.P1"
DOCUMENT = {
    "@context": ["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"],
    "type": "EPCISDocument",
    "schemaVersion": "2.0",
    "creationDate": "2026-01-05T08:00:00Z",
    "epcisBody": {
        "eventList": [
            {
                "type": "TransformationEvent",
                "eventTime": "2026-01-05T08:00:00Z",
                "eventTimeZoneOffset": "+00:00",
                "inputQuantityList": [{"epcClass": ITEM, "quantity": 10, "uom": "KGM"}],
                "outputQuantityList": [{"epcClass": PRODUCT, "quantity": 9, "uom": "KGM"}],
                "bizStep": "commissioning",
            }
        ]
    },
}


async def submit(net: Localnet, node: NodeProcess, number: int, *, wait: str) -> str:
    """Submit one transaction; return its id."""
    signed = build_submission(net, node, load_key(node.home / "keys" / "actor.key"), number)
    answer = await node.call("tx.submit", signed=base64.b64encode(signed.encode()).decode(), wait=wait)
    assert answer["state"] == wait
    return signed.id.hex()


async def traces(net: Localnet) -> set[tuple[str, int, int]]:
    """Return digest, number of items and number of events of one trace, as each node answers it."""
    answers = [await node.call("trace.back", item=PRODUCT) for node in net.nodes]
    return {(answer["digest"], len(answer["items"]), len(answer["events"])) for answer in answers}


def test_one_event_and_its_trace_outlive_the_death_of_all_four(tmp_path: Path) -> None:
    """The first milestone: four processes, one event, one trace, killed at once and started again."""
    document = tmp_path / "document.json"
    document.write_text(json.dumps(DOCUMENT), encoding="utf-8")

    async def scenario() -> None:
        async with running_localnet(tmp_path / "net") as net:
            ran = run_cli("capture", document, "--home", net.nodes[2].home, "--wait", "final", "--json")
            assert ran.returncode == 0, ran.stderr
            await net.wait_equal()
            (before,) = await traces(net)
            assert before[1:] == (2, 1)
            for node in net.nodes:
                node.kill()
            for node in net.nodes:
                node.start()
            await net.wait_ready()
            assert await traces(net) == {before}
            await submit(net, net.nodes[0], 1, wait="final")
            statuses = await net.wait_equal()
            assert len({status["state_digest"] for status in statuses}) == 1

    asyncio.run(scenario())


def test_without_a_quorum_nothing_is_final_and_what_was_accepted_becomes_it_later(tmp_path: Path) -> None:
    """Two of four dead: the living accept and wait, and agree on nothing; with three, all of it is final."""

    async def scenario() -> None:
        async with running_localnet(tmp_path / "net") as net:
            await submit(net, net.nodes[0], 1, wait="final")
            await net.wait_equal()
            first, second, third, fourth = net.nodes
            third.kill()
            fourth.kill()
            promised = [
                await submit(net, node, 2 + number, wait="accepted") for number in range(3) for node in net.nodes[:2]
            ]
            height = (await first.call("network.status"))["height"]
            await asyncio.sleep(3)
            for node in (first, second):
                status = await node.call("network.status")
                assert status["height"] <= height + 1, "a block became final without a quorum"
            assert await find_states(first, promised[0::2]) == {"accepted"}
            fourth.start()
            await wait_until(lambda: are_final(first, promised[0::2]), "three of four make it final")
            third.start()
            await net.wait_ready()
            await net.wait_equal()
            for node in net.nodes:
                assert await are_final(node, promised)

    asyncio.run(scenario())


async def are_final(node: NodeProcess, ids: list[str]) -> bool:
    """Return whether a node calls all of these transactions final."""
    return await find_states(node, ids) == {"final"}


async def find_states(node: NodeProcess, ids: list[str]) -> set[str]:
    """Return the states of these transactions at a node."""
    return {(await node.call("tx.get", id=each))["state"] for each in ids}


def test_a_node_that_is_killed_while_it_starts_starts_the_next_time(tmp_path: Path) -> None:
    """Recovery may be cut off anywhere: nothing that it does leaves a store that it would refuse later."""
    chance = random.Random(7)
    net = create_localnet(tmp_path / "net", validators=1)
    (node,) = net.nodes

    async def scenario() -> None:
        async with cleaned_up(net):
            journal = Journal(tmp_path / "journal")
            for round_number in range(12):
                node.start()
                if round_number % 3 == 0:
                    await node.wait_for_height(0)
                    stop = asyncio.Event()
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(
                            submit_for_ever(net, node, journal, stop, pause_seconds=0, first=round_number * 10_000)
                        )
                        await asyncio.sleep(chance.uniform(0.2, 0.6))
                        node.kill()
                        stop.set()
                else:
                    await asyncio.sleep(chance.uniform(0.1, 1.0))
                    node.kill()
            node.start()
            await node.wait_for_height(0)
            await net.wait_equal()
            promised = journal.read()
            assert len(promised) > 20
            assert await are_final(node, promised)
            assert node.stop() == 0

    asyncio.run(scenario())


@pytest.mark.timeout(120)
def test_a_node_that_was_frozen_past_every_time_out_comes_back(tmp_path: Path) -> None:
    """T-39: a suspended machine: the others drop its sessions and go on; woken, it notices, connects and catches up."""

    async def scenario() -> None:
        async with running_localnet(tmp_path / "net") as net:
            frozen, *others = net.nodes
            frozen.signal(signal.SIGSTOP)
            journal = Journal(tmp_path / "journal")
            stop = asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(submit_for_ever(net, others[0], journal, stop, pause_seconds=0.05))
                await wait_until(lambda: is_lost(others[0], frozen), "its session is dropped", seconds=40)
                stop.set()
            frozen.signal(signal.SIGCONT)
            reached = await others[0].call("network.status")
            await frozen.wait_for_height(reached["executed_height"], peers=3)
            statuses = await net.wait_equal()
            assert len({status["state_digest"] for status in statuses}) == 1
            assert await are_final(frozen, journal.read())

    asyncio.run(scenario())


async def is_lost(node: NodeProcess, peer: NodeProcess) -> bool:
    """Return whether a node has no session with another."""
    status = await node.call("network.status")
    return not any(one["connected"] for one in status["peers"] if one["member"] == peer.member)
