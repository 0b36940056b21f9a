"""`trace.back`, `trace.forward`, `trace.both`, `trace.closure`, `trace.picture`, `trace.common`."""

from node.api.backends import Backends, TraceQuestion
from node.api.operations import operation
from node.api.schema.common import CommonParams, CommonResult
from node.api.schema.traces import (
    ClosureParams,
    ClosureResult,
    PictureParams,
    PictureResult,
    TraceBothResult,
    TraceParams,
    TraceResult,
)
from node.errors import RequestError
from node.query.scopes import read_time


@operation("trace.back", is_question=True)
async def trace_back(backends: Backends, params: TraceParams) -> TraceResult:
    """Where items came from: everything that went into them, as far as the record goes."""
    return await backends.lineage.trace(_question(params), direction="back")


@operation("trace.forward", is_question=True)
async def trace_forward(backends: Backends, params: TraceParams) -> TraceResult:
    """Where items went: everything they went into, and who was last seen with it."""
    return await backends.lineage.trace(_question(params), direction="forward")


@operation("trace.both", is_question=True)
async def trace_both(backends: Backends, params: TraceParams) -> TraceBothResult:
    """Where items came from and where they went, both at one height."""
    return await backends.lineage.trace_both(_question(params))


@operation("trace.picture", is_question=True)
async def trace_picture(backends: Backends, params: PictureParams) -> PictureResult:
    """A trace as a picture, laid out by the node: SVG, or text for Graphviz or Mermaid."""
    ways: tuple[str, ...] = ("back", "forward") if params.direction == "both" else (params.direction,)
    question = _question(params)
    return await backends.lineage.picture(
        question, ways=ways, format=params.format, limit=params.limit, narrow=params.narrow
    )


@operation("trace.common", is_question=True)
async def trace_common(backends: Backends, params: CommonParams) -> CommonResult:
    """What several bad lots have in common upstream, the likeliest source first."""
    return await backends.lineage.common(params)


def _question(params: TraceParams) -> TraceQuestion:
    asked = params.seeds if params.item is None else params.item
    if asked is None or (params.item is not None and params.seeds is not None):
        hint = "`item` is short for one seed of that item"
        raise RequestError("invalid_params", "give one of: item, seeds", field="params", hint=hint)
    return TraceQuestion(
        asked=asked,
        as_of_ms=read_time(params.as_of, "params.as_of"),
        height=params.height,
        known_at_ms=read_time(params.known_at, "params.known_at"),
        depth=params.depth,
        items=params.items,
    )


@operation("trace.closure", is_question=True)
async def trace_closure(backends: Backends, params: ClosureParams) -> ClosureResult:
    """All items that an item can come from or have gone into, whatever the times: ids and amounts, fast."""
    return await backends.lineage.closure(params.item, direction=params.direction, limit=params.limit)
