"""Nothing that was answered *accepted* is lost, whoever is killed whenever."""

import asyncio
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from node.api.client import open_pipeline
from tests.e2e.localnet import Localnet, NodeProcess, running_localnet
from tests.e2e.stream import Journal, submit_for_ever

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ROUNDS = 20
SEED = 20260105
SUBMIT_PAUSE_SECONDS = 0.02


async def scan(node: NodeProcess) -> list[dict[str, Any]]:
    """Return every block of a node, from height 1 on, read from its store through its API."""
    async with open_pipeline(node.rpc) as client:
        newest = json.loads(await (await client.start("block.get", {})))
        futures = [await client.start("block.get", {"height": height}) for height in range(1, newest["height"] + 1)]
        return [json.loads(await future) for future in futures]


async def verdicts(node: NodeProcess, ids: list[str]) -> list[dict[str, Any]]:
    """Return what the node says of each transaction."""
    async with open_pipeline(node.rpc) as client:
        answers = []
        for start in range(0, len(ids), 256):
            futures = [await client.start("tx.get", {"id": each}) for each in ids[start : start + 256]]
            answers += [json.loads(await future) for future in futures]
        return answers


async def choose_victim(net: Localnet, number: int, previous: int | None) -> tuple[NodeProcess, bool]:
    """Return whom to kill and whether it leads at the moment: in every second round the leader, never one twice."""
    statuses = [await node.find_status() for node in net.nodes]
    view = max(status["view"] for status in statuses if status is not None)
    leader = net.leader_index(view)
    victim = leader if number % 2 else number // 2 % len(net.nodes)
    if victim == previous:
        victim = (victim + 1) % len(net.nodes)
    return net.nodes[victim], victim == leader


async def kill_in_rounds(net: Localnet, journal: Journal, *, rounds: int) -> Counter[str]:
    """Kill one node after the other and start each again; return what happened, counted."""
    chance = random.Random(SEED)
    happened: Counter[str] = Counter()
    previous: int | None = None
    for number in range(rounds):
        await asyncio.sleep(chance.uniform(0.1, 0.4))
        victim, was_leader = await choose_victim(net, number, previous)
        previous = victim.index
        victim.kill()
        happened["killed"] += 1
        happened["leaders"] += was_leader
        others = [node for node in net.nodes if node is not victim]
        before = await others[0].call("network.status")
        accepted = len(journal.accepted)
        await asyncio.sleep(chance.uniform(0.3, 0.9))
        victim.start()
        # The rest went on: what they accept meanwhile becomes final without the victim or with it.
        for node in others:
            await node.wait_for_height(before["executed_height"] + 1)
        assert len(journal.accepted) > accepted, f"round {number}: nobody accepts without {victim.member}"
        reached = await others[0].call("network.status")
        await victim.wait_for_height(reached["executed_height"], peers=len(others))
    return happened


@pytest.mark.timeout(240)
def test_kill_nine_of_any_node_loses_nothing_that_was_accepted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """DESIGN: accepted, then final exactly once on every node, with equal digests; 20 kills, leaders among them."""

    async def scenario() -> None:
        journal = Journal(tmp_path / "journal")
        stop = asyncio.Event()
        async with running_localnet(tmp_path / "net") as net:
            async with asyncio.TaskGroup() as tasks:
                for node in net.nodes:
                    tasks.create_task(
                        submit_for_ever(net, node, journal, stop, pause_seconds=SUBMIT_PAUSE_SECONDS),
                        name=f"submit to {node.member}",
                    )
                happened = await kill_in_rounds(net, journal, rounds=ROUNDS)
                stop.set()
            await net.wait_equal()
            # Stopped and started once more, so that what is scanned is what the disks hold.
            assert net.stop() == [0] * len(net.nodes)
            for node in net.nodes:
                node.start()
            await net.wait_ready()
            statuses = await net.wait_equal()
            chains = [await scan(node) for node in net.nodes]

            shortest = min(len(chain) for chain in chains)
            for height in range(shortest):
                places = {
                    (chain[height]["digest"], chain[height]["state_digest"], tuple(chain[height]["transactions"]))
                    for chain in chains
                }
                assert len(places) == 1, f"the nodes differ at height {height + 1}"
            assert len({status["state_digest"] for status in statuses}) == 1
            promised = journal.read()
            assert len(set(promised)) == len(promised) > ROUNDS
            for node, chain in zip(net.nodes, chains, strict=True):
                times = Counter(each for block in chain for each in block["transactions"])
                lost = [each for each in promised if times[each] == 0]
                assert not lost, f"{node.member} lost {len(lost)} of {len(promised)}: {lost[:3]}"
                # A call that a kill cut off was sent again, as it had to be: it may stand on the feed twice, and
                # is executed once, which its one verdict shows.
                twice = {each for each, count in times.items() if count > 1}
                assert twice <= journal.retried, f"{node.member} has twice: {sorted(twice - journal.retried)[:3]}"
                answers = await verdicts(node, promised)
                assert Counter((answer["state"], answer["verdict"]) for answer in answers) == {
                    ("final", "accepted"): len(promised)
                }
            final = {each for block in chains[0] for each in block["transactions"]}
            with capsys.disabled():
                print(  # noqa: T201 - the counts are the point
                    f"\n{happened['killed']} kills, {happened['leaders']} of a leader; {len(promised)} accepted, "
                    f"{len(journal.retried)} calls cut off and sent again; {len(final)} final on each of "
                    f"{len(net.nodes)} nodes, {shortest} blocks"
                )
            assert happened["leaders"] >= ROUNDS // 4

    asyncio.run(scenario())
