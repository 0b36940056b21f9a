"""Clocks that are wrong or jump: order and finality do not depend on them."""

import asyncio
from pathlib import Path

import pytest

from tests.e2e.chaos_net import create_chaos_net
from tests.e2e.clocks import find_why_not, give_wrong_clock
from tests.e2e.localnet import cleaned_up

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

HOUR_SECONDS = 3_600.0
BLOCKS = 2
REREAD_SECONDS = 1.5


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
                        clock.set(shift)
                        await asyncio.sleep(REREAD_SECONDS)
                        await chaos.seconds_until_progress(await chaos.top() + BLOCKS, seconds=30)
                outcome = await chaos.check()
                with capsys.disabled():
                    print(f"\na clock an hour ahead, behind and right again: {outcome}")  # noqa: T201 - the point

    asyncio.run(scenario())
