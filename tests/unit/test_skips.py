"""tests/support/skips.py: a skip is printed, and fails a run in CI unless it is listed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.skips import ALLOWED, is_allowed

ROOT = Path(__file__).parents[2]
SKIPPING = """
import pytest

def test_that_runs():
    pass

@pytest.mark.skip(reason="for no good reason")
def test_that_does_not():
    pass

@pytest.mark.xfail(reason="known to be broken")
def test_that_fails():
    raise AssertionError
"""


def run(folder: Path, *, is_ci: bool, text: str = SKIPPING) -> subprocess.CompletedProcess[str]:
    """Run these tests as a project of their own, with our hooks."""
    (folder / "test_some.py").write_text(text, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name not in ("CI", "PYTEST_ADDOPTS")}
    environment |= {"PYTHONPATH": str(ROOT), **({"CI": "true"} if is_ci else {})}
    plugins = [word for name in ("tests.support.skips", "no:cacheprovider", "no:xdist") for word in ("-p", name)]
    words = [sys.executable, "-m", "pytest", "-q", *plugins]
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_a_skip_that_is_not_listed_fails_a_run_in_ci_and_is_printed(tmp_path: Path) -> None:
    """Green must mean that the tests have run."""
    done = run(tmp_path, is_ci=True)
    assert done.returncode == 1
    assert "test_that_does_not: for no good reason — NOT LISTED" in done.stdout
    assert "test_that_fails: known to be broken — NOT LISTED" in done.stdout


def test_elsewhere_it_is_printed_only(tmp_path: Path) -> None:
    """A developer's machine may lack what CI has."""
    done = run(tmp_path, is_ci=False)
    assert done.returncode == 0
    assert "for no good reason — NOT LISTED" in done.stdout


def test_a_run_without_skips_passes_in_ci(tmp_path: Path) -> None:
    """The hooks do nothing else."""
    done = run(tmp_path, is_ci=True, text="def test_that_runs():\n    pass\n")
    assert done.returncode == 0
    assert "skipped" not in done.stdout


@pytest.mark.parametrize(
    ("node_id", "reason", "is_fine"),
    [
        ("tests/integration/test_deploy.py::test_a", "systemd-analyze is not on this machine", True),
        ("tests/integration/test_deploy.py::test_a", "I did not feel like it", False),
        ("tests/unit/test_other.py::test_a", "systemd-analyze is not on this machine", False),
        ("tests/e2e/test_durability.py::test_a", "this machine forbids tracing: ptrace", True),
    ],
)
def test_a_skip_is_allowed_by_place_and_reason(node_id: str, reason: str, *, is_fine: bool) -> None:
    """Both must fit."""
    assert is_allowed(node_id, reason) is is_fine


def test_every_line_of_the_list_is_about_a_test_that_exists() -> None:
    """A line that outlives its test would cover something else one day."""
    for known in ALLOWED:
        assert (ROOT / known.path).exists(), known
        re.compile(known.reason)
        assert known.because
