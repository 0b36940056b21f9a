"""`govern.propose`, `govern.approve`, `govern.withdraw`, `govern.list`."""

import asyncio

from node.api.backends import Backends
from node.api.operations import operation
from node.api.schema.governance import GovernList, GovernResult, ListParams, ProposeParams, ReferenceParams


@operation("govern.propose")
def govern_propose(backends: Backends, params: ProposeParams) -> asyncio.Future[GovernResult]:
    """Propose changes of membership or parameters; this node's member approves them if it is a validator."""
    return backends.governance.propose(params.changes, params.note, wait=params.wait)


@operation("govern.approve")
def govern_approve(backends: Backends, params: ReferenceParams) -> asyncio.Future[GovernResult]:
    """Approve a proposal, as the validator that this node is."""
    return backends.governance.approve(params.id, wait=params.wait)


@operation("govern.withdraw")
def govern_withdraw(backends: Backends, params: ReferenceParams) -> asyncio.Future[GovernResult]:
    """Take back this member's proposal, or its approval of another's."""
    return backends.governance.withdraw(params.id, wait=params.wait)


@operation("govern.list")
def govern_list(backends: Backends, params: ListParams) -> GovernList:
    """What is proposed, by whom it is approved, what waits for the next epoch, and what the last epochs changed."""
    return backends.governance.proposals(epochs=params.epochs)
