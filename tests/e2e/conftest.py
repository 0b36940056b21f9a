"""No process outlives the tests that started it, and a failed test says where its nodes' logs are."""

import contextlib
import os
import secrets
import signal
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Final

import pytest

MARK: Final = "LOCALNET_TEST_RUN"
"""An environment variable that every process started from here inherits."""
LOGS_NAMED_MAX: Final = 60


@pytest.fixture(scope="module", autouse=True)
def no_leftover_processes() -> Iterator[None]:
    """Fail the module if a process of it still lives at its end, and end that process."""
    run = secrets.token_hex(8)
    before = os.environ.get(MARK)
    os.environ[MARK] = run
    try:
        yield
    finally:
        if before is None:
            del os.environ[MARK]
        else:
            os.environ[MARK] = before
    left = find_processes(run)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert not left, f"left over: {left}"


def find_processes(run: str) -> dict[int, str]:
    """Return the command line of every living process that was started under this mark, by process id."""
    mark = f"{MARK}={run}".encode()
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark not in (folder / "environ").read_bytes().split(b"\0"):
                continue
            words = (folder / "cmdline").read_bytes()
        except OSError:
            # Gone meanwhile, or somebody else's.
            continue
        # A zombie has neither; its parent reaps it.
        if words:
            found[int(folder.name)] = words.replace(b"\0", b" ").decode(errors="replace")[:300]
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, object, object]:
    """Name the logs of the nodes of a test that failed; pytest keeps the folders of its last three runs."""
    report = yield
    assert isinstance(report, pytest.TestReport)
    if report.failed:
        logs = find_logs(getattr(item, "funcargs", {}).values())
        if logs:
            report.sections.append(("logs of the nodes", "\n".join(logs[:LOGS_NAMED_MAX])))
    return report


def find_logs(values: Iterable[object]) -> list[str]:
    """Return the nodes' logs below what a test was given: folders, and networks with one."""
    folders = set()
    for value in values:
        folder = value if isinstance(value, Path) else getattr(value, "root", None)
        if isinstance(folder, Path):
            folders.add(folder)
    # LevelDB's own are called LOG.
    return sorted({str(log) for folder in folders for log in folder.rglob("*.log") if "data" not in log.parts})
