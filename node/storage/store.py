"""The one place that touches LevelDB.

Every read checks the block's checksum and every open is paranoid: LevelDB's defaults go on past damage. What it
cannot tell (an incomplete last record of its own log passes for a clean end) the stores above find out by marks.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Self

import plyvel

from consensus.types import Digest
from node.errors import ConfigError, StorageError
from node.storage.errors import (
    DISK_ADVICE,
    FILES_ADVICE,
    DamagedStoreError,
    MissingStoreError,
    UnknownSchemaError,
    WriteFailedError,
    advise,
    is_out_of_files,
)
from node.storage.keys import NETWORK_MARK, SCHEMA_MARK, read_u64, u64

SCHEMA_VERSION: Final = 2
_OPEN_FILES_MAX: Final = 256
_BLOOM_BITS: Final = 10

Row = tuple[bytes, bytes]


class Snapshot:
    """The store as it was at one moment. Close it: an open one keeps old data on disk."""

    def __init__(self, raw: Any, store: "Store") -> None:
        self._raw = raw
        self._store = store

    def get(self, key: bytes) -> bytes | None:
        """Return the value of `key`, or None."""
        try:
            value: bytes | None = self._raw.get(key, verify_checksums=True)
        except plyvel.Error as error:
            raise self._store.damaged(error) from error
        return value

    def rows(
        self,
        *,
        prefix: bytes | None = None,
        start: bytes | None = None,
        stop: bytes | None = None,
        reverse: bool = False,
    ) -> Iterator[Row]:
        """Yield (key, value) in the order of keys: those with `prefix`, or from start up to before stop.

        reverse: the last first.
        """
        return _iterate(self._raw, self._store, prefix=prefix, start=start, stop=stop, reverse=reverse)

    def last_row(self, prefix: bytes, *, stop: bytes | None = None) -> Row | None:
        """Return the row with the highest key that has `prefix`, and is below `stop` if given, or None."""
        return _last_row(self._raw, self._store, prefix, stop)

    def list_rows(self, prefix: bytes) -> list[Row]:
        """Return all rows with `prefix`, in order; for short lists, where a generator would cost as much again."""
        try:
            with self._raw.iterator(prefix=prefix, verify_checksums=True) as iterator:
                return list(iterator)
        except plyvel.Error as error:
            raise self._store.damaged(error) from error

    def cursor(self, prefix: bytes) -> "Cursor":
        """Return a cursor over the keys with `prefix`, for reading by jumps. Close it before the snapshot."""
        return Cursor(self._raw, self._store, prefix)

    def lists(self, prefix: bytes) -> "Lists":
        """Return a reader of the short lists among the rows with `prefix`. Close it before the snapshot."""
        return Lists(self._raw, self._store, prefix)

    def close(self) -> None:
        """Let go of the moment."""
        self._raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Cursor:
    """Jumps among the keys that have one prefix. Each jump costs about as much as a read."""

    def __init__(self, raw: Any, store: "Store", prefix: bytes) -> None:
        self._store = store
        self._prefix = prefix
        self._keys = raw.iterator(prefix=prefix, include_value=False, verify_checksums=True)

    def first_from(self, key: bytes) -> bytes | None:
        """Return the first key with the prefix that is not before `key`, or None."""
        try:
            self._keys.seek(key)
            found: bytes | None = next(self._keys, None)
        except plyvel.Error as error:
            raise self._store.damaged(error) from error
        return found

    def close(self) -> None:
        """Let go of the keys."""
        self._keys.close()


class Lists:
    """Reads short lists of rows one after another by one iterator: opening one for each costs as much again."""

    def __init__(self, raw: Any, store: "Store", prefix: bytes) -> None:
        self._store = store
        self._rows = raw.iterator(prefix=prefix, verify_checksums=True)

    def of(self, prefix: bytes) -> list[Row]:
        """Return all rows with `prefix`, in order."""
        rows = self._rows
        found: list[Row] = []
        try:
            rows.seek(prefix)
            for row in rows:
                if not row[0].startswith(prefix):
                    break
                found.append(row)
        except plyvel.Error as error:
            raise self._store.damaged(error) from error
        return found

    def close(self) -> None:
        """Let go of the rows."""
        self._rows.close()


def _iterate(
    raw: Any,
    store: "Store",
    *,
    prefix: bytes | None,
    start: bytes | None,
    stop: bytes | None,
    reverse: bool = False,
) -> Iterator[Row]:
    try:
        with raw.iterator(
            prefix=prefix,
            start=start,
            stop=stop,
            reverse=reverse,
            verify_checksums=True,
            fill_cache=prefix is not None,
        ) as iterator:
            yield from iterator
    except plyvel.Error as error:
        raise store.damaged(error) from error


def _last_row(raw: Any, store: "Store", prefix: bytes, stop: bytes | None) -> Row | None:
    bounds = {"prefix": prefix} if stop is None else {"start": prefix, "stop": stop}
    try:
        with raw.iterator(**bounds, reverse=True, verify_checksums=True) as iterator:
            row: Row | None = next(iterator, None)
    except plyvel.Error as error:
        raise store.damaged(error) from error
    return row


class Store:
    """One LevelDB, opened. Reads and writes may come from any thread; no key is written by two."""

    def __init__(self, raw: Any, folder: Path, advice: str) -> None:
        self._raw = raw
        self._folder = folder
        self._advice = advice

    def damaged(self, why: object) -> DamagedStoreError:
        """Return the error that says so, with the way out of this store."""
        if is_out_of_files(why):
            return DamagedStoreError(f"store {self._folder} cannot be read ({why}): {FILES_ADVICE}")
        return DamagedStoreError(f"store {self._folder} is damaged ({why}): {self._advice}")

    def get(self, key: bytes) -> bytes | None:
        """Return the value of `key`, or None."""
        try:
            value: bytes | None = self._raw.get(key, verify_checksums=True)
        except plyvel.Error as error:
            raise self.damaged(error) from error
        return value

    def rows(
        self, *, prefix: bytes | None = None, start: bytes | None = None, stop: bytes | None = None
    ) -> Iterator[Row]:
        """Yield (key, value) in the order of keys: those with `prefix`, or from start up to before stop."""
        return _iterate(self._raw, self, prefix=prefix, start=start, stop=stop)

    def last_row(self, prefix: bytes) -> Row | None:
        """Return the row with the highest key that has `prefix`, or None."""
        return _last_row(self._raw, self, prefix, None)

    def write(self, rows: Iterable[Row], *, deleted: Iterable[bytes] = (), sync: bool = True) -> None:
        """Remove the keys `deleted`, then write all rows; all of it or none. sync: on disk when this returns.

        Raises WriteFailedError: the process must end.
        """
        try:
            with self._raw.write_batch(transaction=True, sync=sync) as batch:
                for key in deleted:
                    batch.delete(key)
                put = batch.put
                for key, value in rows:
                    put(key, value)
        except (plyvel.Error, OSError) as error:
            raise WriteFailedError(f"store {self._folder}: {error}; {advise(error, DISK_ADVICE)}") from error

    def snapshot(self) -> Snapshot:
        """Return the store as it is now."""
        return Snapshot(self._raw.snapshot(), self)

    def size_bytes(self) -> int:
        """Return what the store's files take on disk."""
        total = 0
        for entry in os.scandir(self._folder):
            # LevelDB merges tables in the background: one listed here may be gone before it is looked at.
            with contextlib.suppress(FileNotFoundError):
                total += entry.stat(follow_symlinks=False).st_size
        return total

    def verify(self) -> None:
        """Read every row against its checksum. Raises DamagedStoreError. Takes a second for some 300 MB."""
        for _ in self.rows():
            pass

    def close(self) -> None:
        """Close it: the next process may open it."""
        self._raw.close()


def _open_raw(folder: Path, *, create: bool, write_buffer_bytes: int, cache_bytes: int) -> Any:
    return plyvel.DB(
        str(folder),
        create_if_missing=create,
        error_if_exists=create,
        paranoid_checks=True,
        write_buffer_size=write_buffer_bytes,
        lru_cache_size=cache_bytes,
        max_open_files=_OPEN_FILES_MAX,
        bloom_filter_bits=_BLOOM_BITS,
    )


def create_store(folder: Path, network_id: Digest, *, marks: Iterable[Row] = (), schema: int = SCHEMA_VERSION) -> None:
    """Make an empty store of this network, with its first marks. Raises StorageError if there is one already."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        raw = _open_raw(folder, create=True, write_buffer_bytes=1 << 20, cache_bytes=1 << 20)
    except (plyvel.Error, OSError) as error:
        advice = advise(error, "check the disk, its free space, and who may write there")
        raise StorageError(f"cannot create store {folder}: {error}; {advice}") from error
    store = Store(raw, folder, "")
    try:
        store.write([(SCHEMA_MARK, u64(schema)), (NETWORK_MARK, network_id), *marks])
    finally:
        store.close()


def open_store(
    folder: Path,
    network_id: Digest,
    *,
    advice: str,
    write_buffer_bytes: int = 8 << 20,
    cache_bytes: int = 32 << 20,
    schema: int = SCHEMA_VERSION,
    older_advice: str | None = None,
) -> Store:
    """Open a store and check whose it is. advice: what to do if it is damaged; older_advice: if its schema is older.

    Raises MissingStoreError, DamagedStoreError, UnknownSchemaError, and ConfigError if another process has it.
    """
    if not (folder / "CURRENT").is_file():
        raise MissingStoreError(f"there is no store in {folder}: {advice}")
    try:
        raw = _open_raw(folder, create=False, write_buffer_bytes=write_buffer_bytes, cache_bytes=cache_bytes)
    except plyvel.IOError as error:
        if "lock" in str(error).lower():
            raise ConfigError([f"store {folder} is in use: another process runs this node"]) from error
        if "no such file" in str(error).lower():
            raise DamagedStoreError(f"store {folder} is damaged ({error}): {advice}") from error
        raise StorageError(
            f"store {folder} cannot be opened ({error}): "
            + advise(error, "check the disk, its free space, and who may read and write it")
        ) from error
    except plyvel.Error as error:
        raise DamagedStoreError(f"store {folder} is damaged ({error}): {advice}") from error
    store = Store(raw, folder, advice)
    try:
        _check_marks(store, folder, network_id, schema, older_advice)
    except BaseException:
        store.close()
        raise
    return store


def _check_marks(store: Store, folder: Path, network_id: Digest, schema: int, older_advice: str | None) -> None:
    mark, network = store.get(SCHEMA_MARK), store.get(NETWORK_MARK)
    if mark is None or network is None or len(mark) != 8:
        raise store.damaged("its marks are missing")
    found = read_u64(mark)
    if found != schema:
        advice = older_advice if found < schema else None
        raise UnknownSchemaError(
            f"store {folder} has schema {found}, and this version reads {schema}: "
            + (advice or "run the version of lotvine that wrote it, or upgrade as its notes say")
        )
    if network != network_id:
        raise UnknownSchemaError(
            f"store {folder} is of network {network.hex()}, not {network_id.hex()}: "
            "check that config/genesis.json and the data are of one home"
        )
