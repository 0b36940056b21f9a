"""Clocks that are wrong or jump: order and finality do not depend on them, and the operator is told."""

import asyncio
from pathlib import Path

import pytest

from tests.e2e.chaos_net import create_chaos_net
from tests.e2e.clocks import find_why_not, give_wrong_clock
from tests.e2e.localnet import NodeProcess, cleaned_up, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

HOUR_SECONDS = 3_600.0
BLOCKS = 4
REREAD_SECONDS = 1.5


async def is_told(node: NodeProcess) -> bool:
    """Whether a node's log says that its clock is wrong: once that has lasted for ten seconds."""
    return "check time synchronisation" in node.log_path.read_text(errors="replace")


@pytest.mark.timeout(120)
def test_one_clock_of_four_that_is_hours_off_and_jumps_stops_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """T-29: an hour ahead, an hour behind, back again; the others half a second apart. Time-outs are monotonic."""
    why_not = find_why_not()
    if why_not is not None:
        pytest.skip(why_not)

    async def scenario() -> None:
        chaos = create_chaos_net(tmp_path / "net", validators=4)
        wrong, *rest = chaos.nodes
        clock = give_wrong_clock(wrong, shift_seconds=HOUR_SECONDS)
        give_wrong_clock(rest[0], shift_seconds=0.5)
        async with cleaned_up(chaos.net):
            with chaos.relay:
                for node in chaos.nodes:
                    node.start()
                await chaos.net.wait_ready()
                async with chaos.traffic():
                    for shift in (HOUR_SECONDS, -HOUR_SECONDS, 0.0):
                        if shift == 0:
                            await wait_until(lambda: is_told(wrong), "the operator is told", seconds=20)
                        clock.set(shift)
                        await asyncio.sleep(REREAD_SECONDS)
                        await chaos.seconds_until_progress(await chaos.top() + BLOCKS, seconds=30)
                outcome = await chaos.check()
                with capsys.disabled():
                    print(f"\na clock an hour ahead, behind and right again: {outcome}")  # noqa: T201

    asyncio.run(scenario())
