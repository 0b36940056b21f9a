"""Questions about items, answered in a thread from snapshots of the index."""

from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

import msgspec

from consensus.types import Height
from node.api.backends import TraceQuestion
from node.api.errors import NotFoundError
from node.api.schema.answers import DiffParams, DiffResult
from node.api.schema.common import CommonParams, CommonResult
from node.api.schema.items import FindParams, FindResult, ItemEvent, ItemResult
from node.api.schema.scopes import ScopeParams, ScopePictureParams, ScopeResult
from node.api.schema.traces import ClosureResult, PictureFormat, PictureResult, TraceBothResult, TraceResult
from node.app.backends.pools import QuestionPool
from node.errors import RequestError
from node.lineage.trace import Direction
from node.query.changes import diff_answers, read_answer
from node.query.drawing import write_dot, write_mermaid
from node.query.errors import UnknownHeightError, UnknownItemError, UnknownSeedError
from node.query.picture import Picture, draw
from node.query.scope_picture import draw_scope
from node.query.service import QueryService, TraceOptions
from node.query.svg import write_svg

T = TypeVar("T")

_WRITERS: Final = {"dot": write_dot, "mermaid": write_mermaid}


class LineageQueries:
    """Fills in `api.backends.LineageBackend`; walks run in `pool`, what is read at once in `reads`."""

    def __init__(self, service: QueryService, pool: QuestionPool, reads: QuestionPool) -> None:
        self._service = service
        self._pool = pool
        self._reads = reads

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

        return await self._run(answer, self._reads)

    async def find(self, asked: FindParams) -> FindResult:
        """Return items that may be meant, the nearest first."""
        return await self._run(partial(self._service.find, asked))

    async def trace(self, question: TraceQuestion, *, direction: str) -> TraceResult:
        """Return a trace. Raises NotFoundError, with near matches for an unknown item."""
        ask = partial(self._service.trace, question.asked, Direction(direction))
        return await self._run(partial(ask, **_options(question)))

    async def trace_both(self, question: TraceQuestion) -> TraceBothResult:
        """Return both traces, at one height. Raises as `trace` does."""
        return await self._run(partial(self._service.trace_both, question.asked, **_options(question)))

    async def closure(self, item: str, *, direction: str, limit: int) -> ClosureResult:
        """Return all that an item can come from or go into. Raises NotFoundError as `trace` does."""
        return await self._run(partial(self._service.closure, item, Direction(direction), items_max=limit))

    async def picture(
        self,
        question: TraceQuestion,
        *,
        ways: tuple[str, ...],
        format: PictureFormat,  # noqa: A002 - the field's word
        limit: int,
        narrow: bool,
    ) -> PictureResult:
        """Return a picture of one trace or two. Raises as `trace` does."""

        def answer() -> PictureResult:
            both = self._service.traces(question.asked, [Direction(way) for way in ways], **_options(question))
            picture = draw(both, limit=limit)
            digests = tuple([one.digest for one in both])
            return _written(picture, format, narrow=narrow, height=both[0].height, digests=digests)

        return await self._run(answer)

    async def common(self, asked: CommonParams) -> CommonResult:
        """Return what several bad items have in common. Raises as `trace` does."""
        return await self._run(partial(self._service.common, asked))

    async def diff(self, asked: DiffParams) -> DiffResult:
        """Return what moved between two answers. Raises RequestError for what is no answer."""

        def answer() -> DiffResult:
            read = []
            for field, text in (("before", asked.before), ("after", asked.after)):
                try:
                    read.append(read_answer(text))
                except msgspec.MsgspecError as error:
                    words = f"`{field}` is no answer of trace or scope: {error}"
                    raise RequestError("invalid_params", words, field=f"params.{field}") from error
            try:
                return diff_answers(*read)
            except ValueError as error:
                raise RequestError("invalid_params", str(error), field="params.after") from error

        return await self._run(answer)

    async def scope_picture(self, asked: ScopePictureParams) -> PictureResult:
        """Return a picture of a scope. Raises as `scope` does."""

        def answer() -> PictureResult:
            scope, trace = self._service.scope_with_trace(asked)
            picture = draw_scope(scope, trace, limit=asked.limit)
            return _written(
                picture, asked.format, narrow=asked.narrow, height=scope.height, digests=(scope.digest, trace.digest)
            )

        return await self._run(answer)

    async def scope(self, asked: ScopeParams) -> ScopeResult:
        """Return how far a hazard can have come. Raises NotFoundError, with near matches for an unknown item."""
        return await self._run(partial(self._service.scope, asked))

    async def _run(self, work: Callable[[], T], pool: QuestionPool | None = None) -> T:
        try:
            return await (self._pool if pool is None else pool).run(work)
        except UnknownItemError as error:
            raise NotFoundError(error.message, field=error.field, hint=error.hint, near=error.near) from error
        except UnknownSeedError as error:
            raise NotFoundError(error.message, field=error.field, hint=error.hint, near=error.near) from error
        except UnknownHeightError as error:
            raise NotFoundError(error.message, field=error.field) from error


def _written(
    picture: Picture,
    format: PictureFormat,  # noqa: A002 - the field's word
    *,
    narrow: bool,
    height: int,
    digests: tuple[str, ...],
) -> PictureResult:
    """Return a picture in its format."""
    text = write_svg(picture, narrow=narrow) if format == "svg" else _WRITERS[format](picture)
    return PictureResult(format, text, height, picture.items, len(picture.boxes), picture.grouped, digests)


def _options(question: TraceQuestion) -> TraceOptions:
    return TraceOptions(
        as_of_ms=question.as_of_ms,
        known_at=None if question.height is None else Height(question.height),
        known_at_ms=question.known_at_ms,
        depth_max=question.depth,
        items_max=question.items,
    )
