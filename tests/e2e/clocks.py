"""Wrong clocks for single processes, by libfaketime: what the process reads as wall time is shifted, and may jump.

Monotonic time stays true, as it does on a machine whose clock is set.
"""

import importlib.util
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.e2e.localnet import NodeProcess

_PLACES: Final = ("/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime", "/usr/lib/faketime")
_NAME: Final = "libfaketime.so.1"
_SHOW: Final = "import time; print(time.time())"
_SHIFT: Final = 86_400


def find_library() -> Path | None:
    """Return libfaketime as the Python package or the system's package brings it, or None."""
    package = importlib.util.find_spec("libfaketime")
    places = [Path(place) for place in _PLACES]
    if package is not None and package.origin is not None:
        places.insert(0, Path(package.origin).parent / "vendor" / "libfaketime" / "src")
    return next((place / _NAME for place in places if (place / _NAME).is_file()), None)


def find_why_not() -> str | None:
    """Return why clocks cannot be shifted here, or None if they can: a process is tried."""
    library = find_library()
    if library is None:
        return "libfaketime is not installed"
    words = [sys.executable, "-c", _SHOW]
    true = float(subprocess.run(words, capture_output=True, timeout=20, check=True).stdout)
    shifted = subprocess.run(
        words,
        env={"LD_PRELOAD": str(library), "FAKETIME": f"+{_SHIFT}s"},
        capture_output=True, timeout=20, check=False,
    )  # fmt: skip
    try:
        return None if float(shifted.stdout) > true + _SHIFT - 60 else "libfaketime has no effect here"
    except ValueError:
        return f"libfaketime does not work here: {shifted.stderr.decode(errors='replace')[:200]}"


@dataclass(frozen=True)
class WrongClock:
    """The clock of one node. path: where its shift stands, read again several times a second."""

    path: Path

    def set(self, shift_seconds: float) -> None:
        """Have the node's wall clock be so much ahead, or behind if negative."""
        # Replaced at once: half a file would be read as no shift.
        draft = self.path.with_suffix(".new")
        draft.write_text(f"{shift_seconds:+.3f}s\n", encoding="ascii")
        draft.replace(self.path)


def give_wrong_clock(node: NodeProcess, *, shift_seconds: float = 0.0) -> WrongClock:
    """Have a node start with a clock that can be set; call it before the start."""
    library = find_library()
    assert library is not None
    clock = WrongClock(node.home.parent / f"{node.home.name}.clock")
    clock.set(shift_seconds)
    node.environment = {
        **node.environment,
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock.path),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        # Without it a wait on a monotonic condition takes as long as its probe was slow at start, and Python's
        # threads wait so for one another.
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        "NO_FAKE_STAT": "1",
        "DONT_FAKE_MONOTONIC": "1",
        # Seconds, the least that it takes: how old a read shift may be.
        "FAKETIME_CACHE_DURATION": "1",
    }
    return clock
