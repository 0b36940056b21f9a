"""A chain as one file, written from a running node's store at one moment, and made into a chain again.

    magic 16 B, then parts: length u32 (1 … 8 MiB + one row), bytes; length 0, SHA-256 of all parts

The parts, one after the other, are rows: key length u32, value length u32, key, value. LevelDB has no online backup,
but an iterator shows the store as it was when the iterator was made, however much is written meanwhile. The index is
left out, since it is derived; so is the vote log: an old one looks whole from inside, and would have the node vote
twice (docs/protocol.md).
"""

import hashlib
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from node.errors import StorageError
from node.ledger.genesis import Genesis
from node.storage.chain import ChainStore, ChainWrite, open_chain
from node.storage.store import Row, create_store, open_store
from node.storage.vote_records import START_POSITION

PART_BYTES: Final = 8 * 1024 * 1024
ROW_BYTES_MAX: Final = 16 * 1024 * 1024
_MAGIC: Final = b"lotvine chain\x00\x00\x01"
_LENGTH: Final = struct.Struct(">I")
_ROW: Final = struct.Struct(">II")


class BackupError(StorageError):
    """A file is no backup of a chain, or not whole."""


def write_chain(chain: ChainStore, target: BinaryIO) -> int:
    """Write a chain as it is now; return how many bytes. Slow: call it in a thread. Raises OSError, StorageError."""
    digest = hashlib.sha256()
    written = target.write(_MAGIC)
    part = bytearray()
    for key, value in chain.rows():
        part += _ROW.pack(len(key), len(value)) + key + value
        if len(part) >= PART_BYTES:
            written += _write_part(target, part, digest.update)
            part = bytearray()
    if part:
        written += _write_part(target, part, digest.update)
    return written + target.write(_LENGTH.pack(0) + digest.digest())


def _write_part(target: BinaryIO, part: bytearray, note: Callable[[bytearray], None]) -> int:
    note(part)
    return target.write(_LENGTH.pack(len(part))) + target.write(part)


def restore_chain(source: BinaryIO, folder: Path, genesis: Genesis) -> ChainStore:
    """Make a chain in `folder` of what `write_chain` wrote, and open it. Raises BackupError, StorageError, OSError.

    What is made of a file that turns out not to be whole is the caller's to remove.
    """
    create_store(folder, genesis.network_id)
    store = open_store(folder, genesis.network_id, advice="restore it anew from the backup")
    try:
        for rows in _read_parts(source):
            store.write(rows, sync=False)
        store.write([], sync=True)
    finally:
        store.close()
    chain = open_chain(folder, genesis)
    # How far the lost vote log was on disk means nothing for the one that begins now.
    chain.commit(ChainWrite(), START_POSITION)
    return chain


def _read_parts(source: BinaryIO) -> Iterator[list[Row]]:
    if source.read(len(_MAGIC)) != _MAGIC:
        raise BackupError("this is no backup of a chain, or one by another version")
    digest = hashlib.sha256()
    while True:
        (length,) = _LENGTH.unpack(_read(source, _LENGTH.size))
        if length == 0:
            break
        if length > PART_BYTES + ROW_BYTES_MAX:
            raise BackupError(f"the backup has a part of {length} bytes")
        part = _read(source, length)
        digest.update(part)
        yield list(_read_rows(part))
    if _read(source, digest.digest_size) != digest.digest():
        raise BackupError("the backup is not what was written: its digest differs")


def _read(source: BinaryIO, length: int) -> bytes:
    data = source.read(length)
    if len(data) != length:
        raise BackupError("the backup ends too soon: it was cut short")
    return data


def _read_rows(part: bytes) -> Iterator[Row]:
    at = 0
    while at < len(part):
        if at + _ROW.size > len(part):
            raise BackupError("the backup has a row without an end")
        key_length, value_length = _ROW.unpack_from(part, at)
        at += _ROW.size
        end = at + key_length + value_length
        if end > len(part):
            raise BackupError("the backup has a row without an end")
        yield part[at : at + key_length], part[at + key_length : end]
        at = end
