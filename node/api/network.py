"""`network.status`, `network.validators`."""

from node.api.backends import Backends
from node.api.operations import NoParams, operation
from node.api.schema.governance import ValidatorsParams, ValidatorsResult
from node.api.schema.network import StatusResult


@operation("network.status")
def network_status(backends: Backends, params: NoParams) -> StatusResult:  # noqa: ARG001 - every handler's shape
    """Height, lag, peers, feeds, the health of each part, and what the node waits for."""
    return backends.network.status()


@operation("network.validators")
def network_validators(backends: Backends, params: ValidatorsParams) -> ValidatorsResult:
    """Who voted in which epoch, and from which block on: what checking a certificate of any height needs."""
    return backends.governance.validators(from_epoch=params.from_epoch, count=params.count, proof=params.proof)
