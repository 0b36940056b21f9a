"""The folder that all of a node lies in.

`config/node.toml` and `config/genesis.json`, `keys/` (0700, files 0600), `data/{chain,index,votes}`, and `VERSION`,
the version of this layout.
"""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from node.errors import ConfigError

HOME_VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Home:
    """Paths of one home; nothing is opened."""

    root: Path

    @property
    def settings(self) -> Path:
        """`node.toml`."""
        return self.root / "config" / "node.toml"

    @property
    def genesis(self) -> Path:
        """`genesis.json`."""
        return self.root / "config" / "genesis.json"

    @property
    def keys(self) -> Path:
        """The folder of keys."""
        return self.root / "keys"

    @property
    def node_key(self) -> Path:
        """The node's own key."""
        return self.keys / "node.key"

    @property
    def next_node_key(self) -> Path:
        """The key that follows, while it waits for the epoch that holds it."""
        return self.keys / "node.key.next"

    @property
    def former_node_key(self) -> Path:
        """The key before, for the moment in which it is erased."""
        return self.keys / "node.key.former"

    @property
    def actor_key(self) -> Path:
        """A key that genesis knows for signing single transactions below the firm; a running node does not need it."""
        return self.keys / "actor.key"

    @property
    def join_request(self) -> Path:
        """What a firm that joins hands to a member; a running node does not need it."""
        return self.root / "join-request.json"

    @property
    def data(self) -> Path:
        """The folder of stores."""
        return self.root / "data"

    @property
    def chain(self) -> Path:
        """The store of batches, blocks and certificates."""
        return self.data / "chain"

    @property
    def index(self) -> Path:
        """The store of what is derived from the chain."""
        return self.data / "index"

    @property
    def votes(self) -> Path:
        """The folder of the vote log."""
        return self.data / "votes"

    @property
    def backups(self) -> Path:
        """Where a running node puts its chain for a backup."""
        return self.root / "backups"

    @property
    def version(self) -> Path:
        """The version of the layout."""
        return self.root / "VERSION"

    @property
    def lock(self) -> Path:
        """Held by the one process that works on this home."""
        return self.root / "LOCK"


def create_home(root: Path) -> Home:
    """Make the folders of a new home and return it. Raises ConfigError if something is there already."""
    home = Home(root)
    try:
        if root.exists() and any(root.iterdir()):
            raise ConfigError([f"{root} exists and is not empty: choose another folder, nothing was changed"])
        home.settings.parent.mkdir(parents=True)
        home.keys.mkdir(mode=0o700)
        home.data.mkdir(mode=0o700)
        home.version.write_text(f"{HOME_VERSION}\n", encoding="ascii")
    except OSError as error:
        raise ConfigError([f"cannot make a home at {root}: {error}"]) from error
    return home


def find_home_problems(home: Home) -> tuple[str, ...]:
    """Return what is wrong with a home before anything of it is opened, each with a way out."""
    if not home.root.is_dir():
        return (f"there is no home at {home.root}: make one with lotvine init or lotvine localnet create",)
    problems = []
    try:
        version = home.version.read_text(encoding="ascii").strip()
        if version != str(HOME_VERSION):
            problems.append(f"{home.version} says {version!r}; this program reads version {HOME_VERSION}")
    except (OSError, UnicodeDecodeError):
        problems.append(f"{home.version} cannot be read: {home.root} is not the home of a node, or not whole")
    problems += [
        f"{path} is missing: {way_out}"
        for path, way_out in (
            (home.settings, "restore it from a backup, or copy that of another home and set its addresses"),
            (home.genesis, "copy it from any other member, it is the same for all"),
            (home.node_key, "restore it from your backup of keys/, nobody else has it"),
        )
        if not path.is_file()
    ]
    if home.keys.is_dir() and (mode := stat.S_IMODE(home.keys.stat().st_mode)) & 0o077:
        problems.append(f"{home.keys} has mode {mode:04o}, open to others: run chmod 700 {home.keys}")
    return tuple(problems)


@contextmanager
def lock_home(home: Home) -> Iterator[None]:
    """Hold the home for this process. Raises ConfigError if another process has it.

    The lock is the kernel's and goes with the process, so a killed node leaves nothing to clean up.
    """
    try:
        handle = os.open(home.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError([f"cannot open {home.lock}: {error}"]) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(handle, 32, 0).decode("ascii", "replace").strip() or "unknown"
            raise ConfigError(
                [f"{home.root} is in use by another process (number {holder}): stop it, or use another home"]
            ) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)
