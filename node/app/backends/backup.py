"""The chain of the running node as a file in its home."""

import asyncio
from concurrent.futures import Executor
from pathlib import Path

from node.api.errors import BusyError
from node.api.schema.backup import BackupResult
from node.app.provision import write_new_file
from node.errors import RequestError
from node.storage.backup import write_chain
from node.storage.chain import ChainStore


class Backups:
    """Fills in `api.backends.BackupBackend`.

    folder: of the home; one file stands in it at most. executor: its threads end before the chain is closed.
    """

    def __init__(self, chain: ChainStore, folder: Path, executor: Executor) -> None:
        self._chain = chain
        self._executor = executor
        self._folder = folder
        self._is_busy = False

    async def create(self) -> BackupResult:
        """Write the file. Raises RequestError: one is being written, or the disk refuses."""
        if self._is_busy:
            raise BusyError("a backup is being written already")
        self._is_busy = True
        # Shielded: a client that leaves must not let a second thread write the same file.
        writing = asyncio.get_running_loop().run_in_executor(self._executor, self._write)
        writing.add_done_callback(self._on_written)
        return await asyncio.shield(writing)

    def _on_written(self, writing: "asyncio.Future[BackupResult]") -> None:
        self._is_busy = False
        if not writing.cancelled():
            writing.exception()

    def _write(self) -> BackupResult:
        path = self._folder / "chain.rows"
        height = self._chain.final_height
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            path.unlink(missing_ok=True)
            with write_new_file(path) as file:
                size = write_chain(self._chain, file)
        except OSError as error:
            path.unlink(missing_ok=True)
            words = f"cannot write {path}: {error.strerror or error}"
            raise RequestError("disk", words, hint="check the disk and its free space") from error
        return BackupResult(str(path), height, size)
