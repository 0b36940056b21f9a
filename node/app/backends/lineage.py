"""Questions about items, answered in a thread from snapshots of the index."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import TypeVar

from consensus.types import Height
from node.api.errors import NotFoundError
from node.api.schema.items import FindParams, FindResult, ItemEvent, ItemResult
from node.api.schema.scopes import ScopeParams, ScopeResult
from node.api.schema.traces import TraceResult
from node.lineage.trace import Direction
from node.query.errors import UnknownHeightError, UnknownItemError
from node.query.service import QueryService

T = TypeVar("T")


class LineageQueries:
    """Fills in `api.backends.LineageBackend`; the walks run in the threads of `executor`."""

    def __init__(self, service: QueryService, executor: Executor) -> None:
        self._service = service
        self._executor = executor

    async def item(self, item: str) -> ItemResult:
        """Return an item and its events. Raises NotFoundError with near matches."""

        def answer() -> ItemResult:
            found = self._service.item(item)
            return ItemResult(
                id=found.id,
                height=found.height,
                events=tuple(
                    ItemEvent(one.id, one.type, one.time, one.member, one.step, one.place) for one in found.events
                ),
                product=found.product,
                code=found.code,
                name=found.product_name,
            )

        return await self._run(answer)

    async def find(self, asked: FindParams) -> FindResult:
        """Return items that may be meant, the nearest first."""
        return await self._run(partial(self._service.find, asked))

    async def trace(
        self,
        item: str,
        *,
        direction: str,
        as_of_ms: int | None = None,
        height: int | None = None,
        known_at_ms: int | None = None,
        depth: int | None = None,
    ) -> TraceResult:
        """Return the trace of an item. Raises NotFoundError, with near matches for an unknown item."""
        known_at = None if height is None else Height(height)

        def answer() -> TraceResult:
            return self._service.trace(
                item,
                Direction(direction),
                as_of_ms=as_of_ms,
                known_at=known_at,
                known_at_ms=known_at_ms,
                depth_max=depth,
            )

        return await self._run(answer)

    async def scope(self, asked: ScopeParams) -> ScopeResult:
        """Return how far a hazard can have come. Raises NotFoundError, with near matches for an unknown item."""
        return await self._run(partial(self._service.scope, asked))

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        except UnknownItemError as error:
            raise NotFoundError(error.message, field=error.field, hint=error.hint, near=error.near) from error
        except UnknownHeightError as error:
            raise NotFoundError(error.message, field=error.field) from error
