"""`party.scorecard`."""

from node.api.backends import Backends
from node.api.operations import operation
from node.api.schema.flags import ScorecardParams, ScorecardResult


@operation("party.scorecard", is_question=True)
async def party_scorecard(backends: Backends, params: ScorecardParams) -> ScorecardResult:
    """How a party keeps its record: events, late entries, open flags, shipments not received, completeness."""
    return await backends.flags.scorecard(params)
