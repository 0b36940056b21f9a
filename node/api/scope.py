"""`scope.compute`, `scope.picture`."""

from node.api.backends import Backends
from node.api.operations import operation
from node.api.schema.scopes import ScopeParams, ScopePictureParams, ScopeResult
from node.api.schema.traces import PictureResult


@operation("scope.compute", is_question=True)
async def scope_compute(backends: Backends, params: ScopeParams) -> ScopeResult:
    """What a hazard must have reached, what it may have, what is excluded and why; and how much of each."""
    return await backends.lineage.scope(params)


@operation("scope.picture", is_question=True)
async def scope_picture(backends: Backends, params: ScopePictureParams) -> PictureResult:
    """A scope as a picture, laid out by the node: what is certain, possible and excluded."""
    return await backends.lineage.scope_picture(params)
