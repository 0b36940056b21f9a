"""Networks that are cut, slowed and stopped, and go on by themselves once nothing hinders them."""

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.e2e.chaos_net import HEALED_SECONDS, PROBE_SECONDS, running_chaos_net
from tests.e2e.localnet import NodeProcess, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

STANDSTILL_SECONDS = 2.0
FROZEN_SECONDS = 4.0


async def answer(nodes: Sequence[NodeProcess]) -> bool:
    """Whether all of these answer their API."""
    return all([await node.find_status(seconds=PROBE_SECONDS) is not None for node in nodes])


@pytest.mark.timeout(120)
def test_with_three_of_seven_gone_nothing_is_final_and_healed_it_goes_on_by_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """T-02, T-09, T-21, T-39: killed, frozen or cut off, three of seven stop the chain and never fork it."""

    async def scenario() -> None:
        async with running_chaos_net(tmp_path / "net", validators=7) as chaos:
            healed = {}
            async with chaos.traffic():
                await chaos.seconds_until_progress(await chaos.top() + 2)
                three, four = chaos.nodes[1:4], [chaos.nodes[0], *chaos.nodes[4:]]

                for node in three:
                    node.kill()
                await chaos.assert_standstill(four, seconds=STANDSTILL_SECONDS)
                height = await chaos.top(four)
                for node in three:
                    node.start()
                # Healed once the processes are there: what the interpreter takes to start is the machine's.
                await wait_until(lambda: answer(three), "the killed ones answer")
                healed["killed"] = await chaos.seconds_until_progress(height + 1)

                chaos.freeze(three)
                await chaos.assert_standstill(four, seconds=FROZEN_SECONDS)
                height = await chaos.top(four)
                chaos.thaw(three)
                healed["frozen"] = await chaos.seconds_until_progress(height + 1)

                chaos.relay.partition([1, 2, 3], [0, 4, 5, 6])
                await chaos.assert_standstill(chaos.nodes, seconds=STANDSTILL_SECONDS)
                height = await chaos.top()
                chaos.relay.heal()
                healed["cut off"] = await chaos.seconds_until_progress(height + 1)
            outcome = await chaos.check()
            with capsys.disabled():
                words = ", ".join(f"{what}: {seconds:.1f} s" for what, seconds in healed.items())
                print(f"\n3 of 7 gone, on again once healed after: {words}; {outcome}")  # noqa: T201 - the point
            assert max(healed.values()) <= HEALED_SECONDS

    asyncio.run(scenario())


@pytest.mark.timeout(120)
def test_one_node_badly_connected_does_not_stop_the_rest_and_catches_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """T-06, T-09, T-39: heard by nobody, hearing nobody, slow, reset again and again, frozen: one of four at a time."""

    async def scenario() -> None:
        async with running_chaos_net(tmp_path / "net", validators=4) as chaos:
            relay, caught_up = chaos.relay, {}
            async with chaos.traffic():
                await chaos.seconds_until_progress(await chaos.top() + 2)

                async def suffer(victim: int, what: str, *, blocks: int = 2) -> None:
                    rest = [node for node in chaos.nodes if node.index != victim]
                    await chaos.seconds_until_progress(await chaos.top(rest) + blocks, rest, seconds=30)
                    relay.heal()
                    chaos.nodes[victim].signal(signal.SIGCONT)
                    caught_up[what] = await chaos.wait_level(seconds=15)

                for other in (1, 2, 3):
                    relay.stall(0, other)
                await suffer(0, "unheard")

                for other in (0, 2, 3):
                    relay.stall(other, 1)
                await suffer(1, "deaf")

                for other in (0, 1, 3):
                    relay.delay(2, other, 0.3)
                    relay.delay(other, 2, 0.15)
                    relay.limit(2, other, 20_000)
                    relay.limit(other, 2, 20_000)
                await suffer(2, "slow")

                for _ in range(5):
                    for other in (0, 1, 2):
                        relay.reset(3, other)
                    await asyncio.sleep(0.1)
                await suffer(3, "reset")

                chaos.nodes[0].signal(signal.SIGSTOP)
                await asyncio.sleep(FROZEN_SECONDS)
                await suffer(0, "frozen")
            outcome = await chaos.check()
            with capsys.disabled():
                words = ", ".join(f"{what}: {seconds:.1f} s" for what, seconds in caught_up.items())
                print(f"\n1 of 4 badly connected, level again after: {words}; {outcome}")  # noqa: T201 - the point

    asyncio.run(scenario())
