"""`trace.back`, `trace.forward`."""

from node.api.backends import Backends
from node.api.operations import operation
from node.api.schema.traces import TraceParams, TraceResult
from node.epcis.times import read_instant
from node.errors import RequestError


@operation("trace.back")
async def trace_back(backends: Backends, params: TraceParams) -> TraceResult:
    """Where an item came from: everything that went into it, as far as the record goes."""
    return await _trace(backends, params, direction="back")


@operation("trace.forward")
async def trace_forward(backends: Backends, params: TraceParams) -> TraceResult:
    """Where an item went: everything it went into, and who was last seen with it."""
    return await _trace(backends, params, direction="forward")


async def _trace(backends: Backends, params: TraceParams, *, direction: str) -> TraceResult:
    as_of_ms = None
    if params.as_of is not None:
        try:
            as_of = read_instant(params.as_of)
        except ValueError as error:
            raise RequestError("invalid_params", f"{params.as_of!r}: {error}", field="params.as_of") from error
        if as_of.offset_minutes is None:
            # Taken as UTC, it would be another hour than the asker's clock shows, and nothing would say so.
            words = f"{params.as_of!r} has no offset from UTC, such as Z or +01:00"
            raise RequestError("invalid_params", words, field="params.as_of")
        as_of_ms = as_of.ms
    return await backends.lineage.trace(
        params.item, direction=direction, as_of_ms=as_of_ms, height=params.height, depth=params.depth
    )
