"""`network.status`."""

from node.api.backends import Backends
from node.api.operations import NoParams, operation
from node.api.schema.network import StatusResult


@operation("network.status")
def network_status(backends: Backends, params: NoParams) -> StatusResult:  # noqa: ARG001 - every handler's shape
    """Height, lag, peers, feeds and the health of each part."""
    return backends.network.status()
