"""`event.capture`, `event.get`."""

from node.api.backends import Backends
from node.api.operations import operation
from node.api.schema.events import CaptureAnswer, CaptureParams, EventParams, EventsResult
from node.errors import RequestError


@operation("event.capture")
async def event_capture(backends: Backends, params: CaptureParams) -> CaptureAnswer:
    """Check an EPCIS document, submit its events, and answer with a verdict on each."""
    return await backends.capture.capture(bytes(params.document), wait=params.wait)


@operation("event.get")
async def event_get(backends: Backends, params: EventParams) -> EventsResult:
    """Events as they were sent, by transaction and index or by eventID (which may find several)."""
    if (params.transaction is None) == (params.event_id is None):
        raise RequestError(
            "invalid_params",
            "give either transaction (with index, or all of its events) or event_id",
            field="params",
        )
    if params.transaction is not None:
        return await backends.ledger.events_at(params.transaction, params.index)
    assert params.event_id is not None
    if params.index is not None:
        raise RequestError("invalid_params", "index goes with transaction, not with event_id", field="params.index")
    return await backends.ledger.events_called(params.event_id)
