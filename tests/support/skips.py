"""Which tests may be skipped, and why: a skipped test is one that nobody has run, so it must not go by unseen.

Hooks of pytest, taken up by `tests/conftest.py`: each skip is printed with its reason at the end of a run, and where
the environment says CI=true, a skip that no line of `ALLOWED` covers fails the run. An expected failure is a skip, too.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest


@dataclass(frozen=True, slots=True)
class Allowed:
    """A skip that is no surprise. path: where the test stands; reason: what its skip says, as a regular expression."""

    path: str
    reason: str
    because: str


ALLOWED: Final = (
    Allowed(
        "tests/unit/cli/test_entry.py",
        r"this system has no /dev/full",
        "it is Linux's; the words are the same everywhere",
    ),
    Allowed(
        "tests/integration/test_deploy.py",
        r"systemd-analyze is not on this machine",
        "a container without systemd cannot check a unit file; the machine that packages it can",
    ),
    Allowed(
        "tests/",
        r"the example documents are not at |the public EPCIS samples are not beside "
        r"|the published EPCIS material is not at ",
        "GS1's examples may not be copied into this repository",
    ),
    Allowed(
        "tests/property/test_bounds_linear_program.py",
        r"the seed ended in nothing that is held",
        "a drawn story in which nothing is left has no bounds to compare",
    ),
    Allowed(
        "tests/e2e/test_durability.py",
        r"strace is not installed|this machine forbids tracing: ",
        "the order of system calls can only be read where tracing is allowed",
    ),
    Allowed(
        "tests/e2e/test_chaos_clocks.py",
        r"libfaketime (is not installed|has no effect here|does not work here: )",
        "one process's clock can only be set apart with libfaketime",
    ),
    Allowed(
        "tests/e2e/test_chaos_disk.py",
        r"unshare is not installed|no tmpfs in a namespace of our own: ",
        "a small disk needs a mount namespace, which a locked-down container forbids",
    ),
)

_skipped: dict[str, str] = {}


def is_allowed(node_id: str, reason: str) -> bool:
    """Return whether a line of `ALLOWED` covers the skip."""
    return any(node_id.startswith(known.path) and re.search(known.reason, reason) for known in ALLOWED)


def unexpected() -> Iterator[str]:
    """Yield the skipped tests of this run that nothing covers."""
    return (node_id for node_id, reason in _skipped.items() if not is_allowed(node_id, reason))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember a skip, wherever in a test's life it happened."""
    if report.skipped:
        where = report.longrepr
        reason = where[2] if isinstance(where, tuple) else str(getattr(report, "wasxfail", where))
        _skipped[report.nodeid] = reason.removeprefix("Skipped: ")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print each skip with its reason, and which of them nobody has listed."""
    for node_id, reason in _skipped.items():
        note = "" if is_allowed(node_id, reason) else " — NOT LISTED in tests/support/skips.py"
        terminalreporter.write_line(f"skipped: {node_id}: {reason}{note}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run in CI in which a test was skipped that may not be."""
    if os.environ.get("CI") and not hasattr(session.config, "workerinput") and any(unexpected()):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
