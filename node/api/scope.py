"""`scope.compute`."""

from node.api.backends import Backends
from node.api.operations import operation
from node.api.schema.scopes import ScopeParams, ScopeResult


@operation("scope.compute")
async def scope_compute(backends: Backends, params: ScopeParams) -> ScopeResult:
    """What a hazard must have reached, what it may have, what is excluded and why; and how much of each."""
    return await backends.lineage.scope(params)
