"""Backing up a home and making one of a backup.

A backup is a tar file of mode 0600: genesis, settings, keys, the chain at one moment, and a manifest with the SHA-256
of each. Whoever has it has the node's keys. It has no vote log: a node restored from it asks the others what it signed
after the backup, and votes only after they have answered.

Source: docs/protocol.md, "Rejoin".
"""

import contextlib
import hashlib
import io
import os
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import msgspec

from consensus.types import Height
from node.app.identity import load_genesis_and_key, store_paths
from node.app.provision import write_new_file
from node.config.home import Home, create_home, lock_home
from node.errors import ConfigError, StorageError
from node.ledger.genesis import Genesis, decode_genesis
from node.storage.backup import BackupError, restore_chain, write_chain
from node.storage.chain import open_chain
from node.storage.reindex import Reindexed, reindex

BACKUP_FORMAT: Final = 1
SMALL_FILE_BYTES_MAX: Final = 8 * 1024 * 1024
CHAIN_ENTRY: Final = "chain.rows"
MANIFEST_ENTRY: Final = "manifest.json"
_REQUIRED: Final = ("config/genesis.json", "config/node.toml", "keys/node.key")
_OPTIONAL: Final = ("keys/actor.key", "keys/node.key.next")


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a backup is. created_ms: Unix time. height: at least so many final blocks. digests: SHA-256 by entry."""

    format: int
    network_id: str
    created_ms: int
    height: int
    digests: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What was written."""

    height: Height
    bytes: int


def export_stopped(home: Home, target: Path) -> Height:
    """Write the chain of a stopped node into a new file. Raises ConfigError if the node runs, StorageError."""
    genesis, _ = load_genesis_and_key(home)
    with lock_home(home):
        chain = open_chain(store_paths(home).chain, genesis)
        try:
            with write_new_file(target) as file:
                write_chain(chain, file)
            return chain.final_height
        finally:
            chain.close()


def assemble(home: Home, chain_file: Path, height: Height, target: Path) -> BackedUp:
    """Write a backup of a home whose chain lies in `chain_file` as `write_chain` wrote it.

    Raises ConfigError if the target is there or cannot be written.
    """
    genesis, _ = load_genesis_and_key(home)
    digests: dict[str, str] = {}
    unfinished = target.with_name(target.name + ".part")
    try:
        if target.exists():
            raise ConfigError([f"{target} is there already: choose another name, nothing was changed"])
        unfinished.unlink(missing_ok=True)
        with write_new_file(unfinished) as file:
            with tarfile.open(fileobj=file, mode="w") as archive:
                for name in (*_REQUIRED, *_OPTIONAL):
                    path = home.root / name
                    if name in _REQUIRED or path.exists():
                        _add(archive, name, path, digests)
                _add(archive, CHAIN_ENTRY, chain_file, digests)
                manifest = Manifest(
                    BACKUP_FORMAT, genesis.network_id.hex(), time.time_ns() // 1_000_000, height, digests
                )
                encoded = msgspec.json.encode(manifest)
                archive.addfile(_entry(MANIFEST_ENTRY, len(encoded)), io.BytesIO(encoded))
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(target)
        return BackedUp(height, target.stat().st_size)
    except OSError as error:
        raise ConfigError([f"cannot write {target}: {error.strerror or error}"]) from error


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o600
    return entry


def _add(archive: tarfile.TarFile, name: str, path: Path, digests: dict[str, str]) -> None:
    with path.open("rb") as file:
        digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
        file.seek(0)
        archive.addfile(_entry(name, size), file)


def restore(backup: Path, root: Path, *, on_block: Callable[[Height], None] | None = None) -> Reindexed:
    """Make a home of a backup, without a vote log; return what its index was rebuilt to.

    Raises ConfigError if the folder is in use, StorageError if the backup is not whole; nothing is left then.
    """
    home = create_home(root)
    try:
        with _opened(backup) as archive:
            _take_out(archive, home)
        genesis = decode_genesis(home.genesis.read_bytes())
        return _restore_stores(home, genesis, on_block)
    except BaseException as error:
        # Half a home must not be started: it would look like one that lost its chain.
        shutil.rmtree(root, ignore_errors=True)
        if isinstance(error, OSError | tarfile.TarError):
            raise StorageError(f"cannot restore {backup} into {root}: {error}; nothing was left there") from error
        raise


@contextmanager
def _opened(backup: Path) -> Iterator[tarfile.TarFile]:
    with contextlib.ExitStack() as stack:
        try:
            archive = stack.enter_context(tarfile.open(backup, mode="r:"))
        except OSError as error:
            raise ConfigError([f"{backup}: {(error.strerror or str(error)).lower()}"]) from error
        except tarfile.TarError as error:
            raise ConfigError([f"{backup}: {error}: this is no backup by lotvine backup"]) from error
        yield archive


def _take_out(archive: tarfile.TarFile, home: Home) -> None:
    """Write the entries into their places, and check them against the manifest. Only what we name is looked at."""
    digests = {}
    for name in (*_REQUIRED, *_OPTIONAL, CHAIN_ENTRY):
        source = _find(archive, name)
        if source is None:
            if name not in _OPTIONAL:
                raise BackupError(f"the backup has no {name}")
            continue
        path = home.data / CHAIN_ENTRY if name == CHAIN_ENTRY else home.root / name
        with source, write_new_file(path) as target:
            shutil.copyfileobj(source, target, 1 << 20)
        with path.open("rb") as file:
            digests[name] = hashlib.file_digest(file, "sha256").hexdigest()
    source = _find(archive, MANIFEST_ENTRY)
    if source is None:
        raise BackupError("the backup has no manifest: it was cut short")
    try:
        with source:
            manifest = msgspec.json.decode(source.read(SMALL_FILE_BYTES_MAX), type=Manifest)
    except msgspec.DecodeError as error:
        raise BackupError(f"the backup's manifest cannot be read: {error}") from error
    if manifest.format != BACKUP_FORMAT:
        raise BackupError(f"the backup has format {manifest.format}; this version reads {BACKUP_FORMAT}")
    wrong = [name for name, digest in digests.items() if manifest.digests.get(name) != digest]
    if wrong:
        raise BackupError(f"not as the backup's manifest says: {', '.join(wrong)}")


def _find(archive: tarfile.TarFile, name: str) -> IO[bytes] | None:
    try:
        entry = archive.getmember(name)
    except KeyError:
        return None
    if not entry.isreg() or (name != CHAIN_ENTRY and entry.size > SMALL_FILE_BYTES_MAX):
        raise BackupError(f"{name} of the backup is no file of this kind")
    return archive.extractfile(entry)


def _restore_stores(home: Home, genesis: Genesis, on_block: Callable[[Height], None] | None) -> Reindexed:
    rows = home.data / CHAIN_ENTRY
    with rows.open("rb") as file:
        chain = restore_chain(file, store_paths(home).chain, genesis)
    try:
        rows.unlink()
        return reindex(chain, store_paths(home).index, genesis, on_block=on_block)
    finally:
        chain.close()
