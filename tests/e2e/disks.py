"""A small disk of a node's own: a tmpfs below its data folder, in a mount namespace that lives as long as a holder.

No privileges are needed where user namespaces are allowed. Outside the namespace the data folder stays as it was; what
the node sees is found through the holder's root in `/proc`.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.e2e.localnet import NodeProcess

COMMAND_SECONDS: Final = 20.0
_HOLD: Final = """
set -e
cp -a "$1" "$1.seed"
mount -t tmpfs -o "size=$2k" none "$1"
cp -a "$1.seed/." "$1/"
echo ready
exec sleep 3600
"""


@dataclass(frozen=True)
class SmallDisk:
    """The disk of one node. holder: process id of who keeps the namespace."""

    holder: int
    data: Path

    @property
    def prefix(self) -> tuple[str, ...]:
        """The words before a command that shall see this disk."""
        return ("nsenter", "-t", str(self.holder), "-U", "--preserve-credentials", "-m", "--wd=.")

    @property
    def seen(self) -> Path:
        """The data folder as the node sees it, for us."""
        return Path(f"/proc/{self.holder}/root{self.data}")

    def fill(self, *, leave_bytes: int) -> None:
        """Take up the space but for so many bytes."""
        free = int(self._run("stat", "-f", "-c", "%a", str(self.data)).strip()) * self._block_bytes()
        assert free > leave_bytes, f"only {free} bytes were free"
        self._run("fallocate", "-l", str(free - leave_bytes), f"{self.data}/filling")

    def free(self) -> None:
        """Give the space back."""
        self._run("rm", f"{self.data}/filling")

    def make_read_only(self) -> None:
        """Remount it; the kernel refuses while a file is open for writing."""
        self._run("mount", "-o", "remount,ro", str(self.data))

    def make_writable(self) -> None:
        """Remount it."""
        self._run("mount", "-o", "remount,rw", str(self.data))

    def _block_bytes(self) -> int:
        return int(self._run("stat", "-f", "-c", "%S", str(self.data)).strip())

    def _run(self, *words: str) -> str:
        ended = subprocess.run(
            [*self.prefix, *words], capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        )
        assert ended.returncode == 0, f"{words}: {ended.stderr}"
        return ended.stdout


def find_why_not() -> str | None:
    """Return why this machine gives us no disk of our own, or None if it does."""
    try:
        tried = subprocess.run(
            ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"],
            capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        return "unshare is not installed"
    return None if tried.returncode == 0 else f"no tmpfs in a namespace of our own: {tried.stderr.strip()}"


@contextmanager
def small_disk(node: NodeProcess, *, size_kib: int) -> Iterator[SmallDisk]:
    """Put the data of a node that does not run on a disk of that size while the block runs."""
    assert not node.is_running
    data = node.home / "data"
    holder = subprocess.Popen(
        ["unshare", "-rm", "sh", "-c", _HOLD, "hold", str(data), str(size_kib)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    with holder:
        try:
            assert holder.stdout is not None
            assert holder.stderr is not None
            assert holder.stdout.readline() == b"ready\n", holder.stderr.read().decode()
            disk = SmallDisk(holder.pid, data)
            node.prefix = disk.prefix
            yield disk
        finally:
            node.kill()
            node.prefix = ()
            holder.kill()
