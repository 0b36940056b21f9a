"""`trace.back`, `trace.forward`."""

from node.api.backends import Backends
from node.api.operations import operation
from node.api.schema.traces import TraceParams, TraceResult
from node.query.scopes import read_time


@operation("trace.back")
async def trace_back(backends: Backends, params: TraceParams) -> TraceResult:
    """Where an item came from: everything that went into it, as far as the record goes."""
    return await _trace(backends, params, direction="back")


@operation("trace.forward")
async def trace_forward(backends: Backends, params: TraceParams) -> TraceResult:
    """Where an item went: everything it went into, and who was last seen with it."""
    return await _trace(backends, params, direction="forward")


async def _trace(backends: Backends, params: TraceParams, *, direction: str) -> TraceResult:
    as_of_ms = read_time(params.as_of, "params.as_of")
    known_at_ms = read_time(params.known_at, "params.known_at")
    return await backends.lineage.trace(
        params.item,
        direction=direction,
        as_of_ms=as_of_ms,
        height=params.height,
        known_at_ms=known_at_ms,
        depth=params.depth,
    )
