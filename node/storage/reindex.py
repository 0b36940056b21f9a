"""Building the index anew from the chain: for a damaged index, or one of an older schema.

The new one grows in a folder beside the old one and takes its place only when it is whole and on disk, so that an
interrupted run changes nothing.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from consensus.types import Height
from node.errors import StorageError
from node.ledger.genesis import Genesis
from node.storage.chain import ChainStore
from node.storage.errors import advise
from node.storage.execution import execute_next
from node.storage.index import create_index, open_index

_DISK_ADVICE: Final = "check the disk and its free space"
_BUFFER_BYTES: Final = 64 * 1024 * 1024
"""LevelDB sorts so much in memory before it writes a table: fewer tables, less merging."""


@dataclass(frozen=True, slots=True)
class Reindexed:
    """What was built. state_digest in hex."""

    height: Height
    transactions: int
    events: int
    state_digest: str


def reindex(
    chain: ChainStore, folder: Path, genesis: Genesis, *, on_block: Callable[[Height], None] | None = None
) -> Reindexed:
    """Build the index of all final blocks and put it into `folder`, in place of what is there.

    The node must be stopped. on_block: told each height that is done. Raises StorageError: the chain is damaged, or
    the disk refuses; the old index is still there then.
    """
    new, old = folder.with_name(folder.name + ".new"), folder.with_name(folder.name + ".old")
    try:
        shutil.rmtree(new, ignore_errors=True)
        create_index(new, genesis)
        built = _build(chain, new, genesis, on_block)
        # What was written without a sync, in files that LevelDB has already left behind, too.
        os.sync()
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
        os.sync()
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise StorageError(f"cannot build the index in {new}: {error}; {advise(error, _DISK_ADVICE)}") from error
    return built


def _build(chain: ChainStore, folder: Path, genesis: Genesis, on_block: Callable[[Height], None] | None) -> Reindexed:
    index = open_index(folder, genesis, write_buffer_bytes=_BUFFER_BYTES)
    transactions = events = 0
    try:
        for number in range(1, chain.final_height + 1):
            height = Height(number)
            block = chain.find_final_block(height)
            if block is None:
                raise chain.damaged(f"block {height} is missing")
            write_set = execute_next(chain, index, block, sync=False)
            transactions += len(write_set.transactions)
            events += len(write_set.events)
            if on_block is not None:
                on_block(height)
        return Reindexed(index.height, transactions, events, index.state_digest.hex())
    finally:
        index.close()
