"""The checks of these tests can fail: a left-over process is found, and so are the logs of a network."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import MARK, find_logs, find_processes
from tests.e2e.localnet import create_localnet

pytestmark = pytest.mark.e2e


def test_a_process_that_outlives_its_test_is_found_and_one_that_has_ended_is_not() -> None:
    """What a test starts carries the mark, and so does whatever that starts."""
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    run = os.environ[MARK]
    with subprocess.Popen([sys.executable, "-c", child], stdin=subprocess.PIPE) as process:
        try:
            for _ in range(1_000):
                if len(find_processes(run)) == 2:
                    break
            assert len(find_processes(run)) == 2
            assert process.pid in find_processes(run)
        finally:
            process.communicate(b"\n", timeout=10)
    assert not find_processes(run)


def test_the_logs_of_a_network_are_found_and_the_files_of_its_stores_are_not(tmp_path: Path) -> None:
    """Printed when a test fails."""
    net = create_localnet(tmp_path / "net", validators=1)
    net.nodes[0].log_path.write_text("said\n", encoding="ascii")
    assert find_logs([net, 17]) == find_logs([tmp_path]) == [str(net.nodes[0].log_path)]
