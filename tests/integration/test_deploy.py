"""What lies in deploy/ is good for what it says."""

import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "deploy" / "lotvine.service"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
def test_the_systemd_unit_is_hardened() -> None:
    """An exposure of at most 2.0 by systemd's own reckoning."""
    command = ["systemd-analyze", "security", "--offline=yes", "--threshold=20", str(UNIT)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-500:]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
def test_the_systemd_unit_is_well_formed() -> None:
    """Its program is of course not installed here."""
    result = subprocess.run(["systemd-analyze", "verify", str(UNIT)], capture_output=True, text=True, check=False)
    complaints = [line for line in result.stderr.splitlines() if "is not executable" not in line]
    assert complaints == []


def test_a_wrong_configuration_is_not_started_again_and_again() -> None:
    """Exit code 2 ends it."""
    assert "RestartPreventExitStatus=2" in UNIT.read_text(encoding="ascii")
