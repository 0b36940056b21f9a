"""`trace.back`, `trace.forward`."""

from node.api.backends import Backends
from node.api.operations import operation
from node.api.schema.traces import TraceParams, TraceResult


@operation("trace.back")
async def trace_back(backends: Backends, params: TraceParams) -> TraceResult:
    """Where an item came from: everything that went into it, as far as the record goes."""
    return await backends.lineage.trace(params.item, direction="back")


@operation("trace.forward")
async def trace_forward(backends: Backends, params: TraceParams) -> TraceResult:
    """Where an item went: everything it went into, and who was last seen with it."""
    return await backends.lineage.trace(params.item, direction="forward")
