"""Seven firms of which two lie: real processes with real keys, whose sessions tell what their replicas do not say."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.e2e.chaos_net import ChaosNet, running_chaos_net

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

VALIDATORS = 7
BLOCKS = 8
LIARS = (2, 5)


async def go_on(chaos: ChaosNet, blocks: int) -> float:
    """Return blocks a second of the slowest honest node over so many blocks under load."""
    before = await chaos.top()
    began = time.monotonic()
    await chaos.seconds_until_progress(before + blocks, seconds=60)
    return blocks / (time.monotonic() - began)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("first", "second", "is_provable"),
    [
        (("equivocator", "withholder"), ("forker",), True),
        (("silent",), ("replayer", "flooder", "garbage"), False),
    ],
    ids=["two stories", "silence and noise"],
)
def test_five_honest_of_seven_go_on_and_name_who_lies(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    first: Sequence[str],
    second: Sequence[str],
    is_provable: bool,
) -> None:
    """T-17, T-18, T-37, T-46: progress and one chain; evidence where two signed things cannot both be honest."""

    async def scenario() -> None:
        liars = dict(zip(LIARS, (first, second), strict=True))
        async with running_chaos_net(tmp_path / "net", validators=VALIDATORS, misbehaving=liars) as chaos:
            async with chaos.traffic(chaos.nodes):
                rate = await go_on(chaos, BLOCKS)
                assert all(node.is_running for node in chaos.nodes), "a liar has ended: nothing was shown"
            outcome = await chaos.check()
            named = chaos.find_named()
            with capsys.disabled():
                print(  # noqa: T201 - the counts are the point
                    f"\n{'+'.join(first)} and {'+'.join(second)} among 7: {rate:.1f} blocks/s, {outcome}, "
                    f"{len(chaos.evidence())} pieces of evidence against {sorted(named) or 'nobody'}"
                )
            assert named == ({chaos.nodes[index].member for index in LIARS} if is_provable else set())

    asyncio.run(scenario())
