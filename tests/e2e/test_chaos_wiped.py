"""Machines that lose their disk, or come back with an old one: they ask before they vote, and nobody votes twice."""

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.e2e.chaos_net import ChaosNet, flip_a_bit, running_chaos_net
from tests.e2e.localnet import NodeProcess, wait_until
from tests.support.vote_scan import read_log

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

REJOINED_SECONDS = 40.0
FOUND_OLD = "the vote log is older than what this node has said"


async def says(node: NodeProcess, *words: str) -> bool:
    """Whether a node's status says all of this of what it waits for."""
    status = await node.find_status()
    return status is not None and all(word in " ".join(status["waiting_for"]) for word in words)


async def needs(chaos: ChaosNet, victim: NodeProcess, other: NodeProcess) -> None:
    """Show that the victim votes again: of four, with `other` gone, nothing would be final without it."""
    # Until a batch that it sealed after the loss is final, it counts among the one that may fail.
    await chaos.wait_regained(victim, seconds=REJOINED_SECONDS)
    other.kill()
    rest = [node for node in chaos.nodes if node is not other]
    await chaos.seconds_until_progress(await chaos.top(rest) + 2, rest, seconds=REJOINED_SECONDS)
    assert victim in rest
    other.start()
    await chaos.wait_level(seconds=20)


@pytest.mark.timeout(150)
def test_a_wiped_node_waits_until_it_knows_then_votes_again_and_never_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """T-22, T-24: the data folder is deleted; of four all three others must answer, and one is cut off first."""

    async def scenario() -> None:
        async with running_chaos_net(tmp_path / "net", validators=4) as chaos:
            victim, *others = chaos.nodes
            async with chaos.traffic():
                await chaos.seconds_until_progress(await chaos.top() + 3)
                victim.kill()
                await chaos.seconds_until_progress(await chaos.top(others) + 2, others)
            await chaos.give_up_disk(victim, others[0])
            shutil.rmtree(victim.home / "data")
            async with chaos.traffic(others):
                chaos.relay.cut(victim.index, others[2].index)
                victim.start()
                await wait_until(
                    lambda: says(victim, "vote log is lost", "2 have answered"), "it says what it waits for", seconds=30
                )
                assert "vote log is lost" in victim.log_path.read_text(errors="replace"), "start says it too"
                await chaos.seconds_until_progress(await chaos.top(others) + 2, others, seconds=20)
                votes, _ = read_log([victim.home / "data" / "votes"])
                assert not votes, "it has voted before it knew what it had signed"
                chaos.relay.heal()
                level = await chaos.wait_level(seconds=REJOINED_SECONDS)
            async with chaos.traffic():
                await needs(chaos, victim, others[0])
            outcome = await chaos.check()
            with capsys.disabled():
                print(f"\nwiped under load, level after {level:.1f} s; {outcome}; {len(chaos.lost)} lost with the disk")  # noqa: T201 - the point

    asyncio.run(scenario())


@pytest.mark.timeout(150)
def test_a_damaged_vote_log_and_an_old_data_folder_never_vote_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """T-22: a flipped bit; then a copy of the data made some blocks ago, put back as an operator might."""

    async def scenario() -> None:
        async with running_chaos_net(tmp_path / "net", validators=4) as chaos:
            victim, *others = chaos.nodes
            data, old = victim.home / "data", tmp_path / "old"
            came_back = {}
            async with chaos.traffic():
                await chaos.seconds_until_progress(await chaos.top() + 3)
                victim.kill()
                chaos.keep_log(victim)
                shutil.copytree(data, old)
                flip_a_bit(data / "votes")
                victim.start()
                came_back["damaged"] = await chaos.wait_level(seconds=REJOINED_SECONDS)
                assert "the vote log is lost" in victim.log_path.read_text(errors="replace"), "the bit was not found"
                # Two losses at once are more than four bear.
                await chaos.wait_regained(victim, seconds=REJOINED_SECONDS)

                await chaos.seconds_until_progress(await chaos.top(others) + 5, others, seconds=30)
                victim.kill()
            await chaos.give_up_disk(victim, others[0])
            shutil.rmtree(data)
            shutil.copytree(old, data)
            async with chaos.traffic():
                victim.start()
                came_back["old"] = await chaos.wait_level(seconds=REJOINED_SECONDS)
                assert FOUND_OLD in victim.log_path.read_text(errors="replace"), "nobody told it that its log is old"
                await needs(chaos, victim, others[1])
            outcome = await chaos.check()
            with capsys.disabled():
                words = ", ".join(f"{what}: {seconds:.1f} s" for what, seconds in came_back.items())
                print(f"\nlevel again with a vote log that is {words}; {outcome}; {len(chaos.lost)} lost")  # noqa: T201 - the point

    asyncio.run(scenario())
