"""A node whose disk is full or read-only stops and says so; the rest go on, and it catches up once there is room."""

import asyncio
from pathlib import Path

import pytest

from tests.e2e.chaos_net import create_chaos_net
from tests.e2e.disks import find_why_not, small_disk
from tests.e2e.localnet import NodeProcess, cleaned_up

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

DISK_KIB = 64 * 1024
LEAVE_BYTES = 96 * 1024
END_SECONDS = 30.0
FAILED = 1


async def wait_ended(node: NodeProcess) -> tuple[int, str]:
    """Return exit code and log of a node that ends by itself."""
    assert node.process is not None
    async with asyncio.timeout(END_SECONDS):
        while True:
            code = node.process.poll()
            if code is not None:
                return code, node.log_path.read_text(errors="replace")
            await asyncio.sleep(0.05)


@pytest.mark.timeout(120)
def test_a_node_whose_disk_is_full_or_read_only_stops_says_so_and_comes_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """T-22: after a failed write nothing more is said; what was accepted is kept, and nothing is voted twice."""
    why_not = find_why_not()
    if why_not is not None:
        pytest.skip(why_not)

    async def scenario() -> None:
        chaos = create_chaos_net(tmp_path / "net", validators=4)
        victim, *rest = chaos.nodes
        async with cleaned_up(chaos.net):
            with chaos.relay, small_disk(victim, size_kib=DISK_KIB) as disk:
                chaos.kept_logs[victim.index] = [disk.seen / "votes"]
                for node in chaos.nodes:
                    node.start()
                await chaos.net.wait_ready()
                async with chaos.traffic(pause_seconds=0.05):
                    await chaos.seconds_until_progress(await chaos.top() + 2)

                    disk.fill(leave_bytes=LEAVE_BYTES)
                    code, log = await wait_ended(victim)
                    assert code == FAILED, log[-2000:]
                    errors = [line for line in log.splitlines() if "[error" in line]
                    assert any("No space left" in line for line in errors), log[-2000:]
                    assert "Traceback" not in log, log[-4000:]
                    await chaos.seconds_until_progress(await chaos.top(rest) + 2, rest)
                    disk.free()
                    victim.start()
                    full = await chaos.wait_level(seconds=20)

                    victim.kill()
                    disk.make_read_only()
                    victim.start()
                    code, log = await wait_ended(victim)
                    assert code != 0
                    said = log.splitlines()[-1]
                    assert "Read-only" in said, log[-2000:]
                    assert "Traceback" not in log, log[-4000:]
                    disk.make_writable()
                    victim.start()
                    read_only = await chaos.wait_level(seconds=20)
                outcome = await chaos.check()
                with capsys.disabled():
                    print(  # noqa: T201 - the counts are the point
                        f"\nlevel {full:.1f} s after a full disk, {read_only:.1f} s after a read-only one; {outcome}"
                    )

    asyncio.run(scenario())
