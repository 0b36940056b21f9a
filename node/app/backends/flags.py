"""Questions about flags, answered in a thread from snapshots of the index."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar

from node.api.errors import NotFoundError
from node.api.schema.flags import FlagListParams, FlagListResult, FlagResult
from node.query.flags import FlagService, UnknownFlagError

T = TypeVar("T")


class FlagQueries:
    """Fills in `api.backends.FlagBackend`; the work runs in the threads of `executor`."""

    def __init__(self, service: FlagService, executor: Executor) -> None:
        self._service = service
        self._executor = executor

    async def flags(self, asked: FlagListParams) -> FlagListResult:
        """Return the flags asked for."""
        return await self._run(partial(self._service.flags, asked))

    async def flag(self, flag_id: str) -> FlagResult:
        """Return one flag. Raises NotFoundError."""
        try:
            return await self._run(partial(self._service.flag, flag_id))
        except UnknownFlagError as error:
            raise NotFoundError(error.message, field=error.field, hint=error.hint) from error

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)
