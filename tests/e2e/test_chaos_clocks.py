"""Clocks that are wrong or jump: order and finality do not depend on them."""

import asyncio
import re
import time
from datetime import datetime
from pathlib import Path

import pytest

from tests.e2e.chaos_net import create_chaos_net
from tests.e2e.clocks import find_why_not, give_wrong_clock
from tests.e2e.localnet import cleaned_up

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

HOUR_SECONDS = 3_600.0
MINUTE_SECONDS = 60.0
BLOCKS = 2
REREAD_SECONDS = 1.5


def first_stamp(log: Path) -> float:
    """Return the time of the first line of a node's log, in seconds since 1970."""
    found = re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", log.read_text(errors="replace"))
    assert found is not None, "no line has a time"
    return datetime.fromisoformat(f"{found[0]}+00:00").timestamp()


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
                now = time.time()
                assert first_stamp(wrong.log_path) > now + HOUR_SECONDS - 2 * MINUTE_SECONDS, "its clock is not wrong"
                assert first_stamp(rest[1].log_path) < now + MINUTE_SECONDS
                async with chaos.traffic():
                    for shift in (HOUR_SECONDS, -HOUR_SECONDS, 0.0):
                        clock.set(shift)
                        await asyncio.sleep(REREAD_SECONDS)
                        await chaos.seconds_until_progress(await chaos.top() + BLOCKS, seconds=30)
                outcome = await chaos.check()
                with capsys.disabled():
                    print(f"\na clock an hour ahead, behind and right again: {outcome}")  # noqa: T201 - the point

    asyncio.run(scenario())
