"""Questions about flags, answered in a thread from snapshots of the index."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar

from node.api.errors import NotFoundError
from node.api.schema.flags import (
    CompletenessParams,
    CompletenessResult,
    FlagListParams,
    FlagListResult,
    FlagResult,
    ScorecardParams,
    ScorecardResult,
)
from node.query.errors import UnknownItemError
from node.query.flags import FlagService, UnknownFlagError
from node.query.scorecards import ScorecardService

T = TypeVar("T")


class FlagQueries:
    """Fills in `api.backends.FlagBackend`; the work runs in the threads of `executor`."""

    def __init__(self, service: FlagService, scores: ScorecardService, executor: Executor) -> None:
        self._service = service
        self._scores = scores
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

    async def completeness(self, asked: CompletenessParams) -> CompletenessResult:
        """Return how complete an item's record is. Raises NotFoundError with near matches."""
        return await self._find(partial(self._scores.completeness, asked))

    async def scorecard(self, asked: ScorecardParams) -> ScorecardResult:
        """Return a party's scorecard. Raises NotFoundError."""
        return await self._find(partial(self._scores.scorecard, asked))

    async def _find(self, work: Callable[[], T]) -> T:
        try:
            return await self._run(work)
        except UnknownItemError as error:
            raise NotFoundError(error.message, field=error.field, hint=error.hint, near=error.near) from error

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)
