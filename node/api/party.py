"""`party.scorecard`, `party.balance`."""

from node.api.backends import Backends
from node.api.operations import operation
from node.api.schema.flags import BalanceParams, BalanceResult, ScorecardParams, ScorecardResult


@operation("party.scorecard", is_question=True)
async def party_scorecard(backends: Backends, params: ScorecardParams) -> ScorecardResult:
    """How a party keeps its record: events, late entries, open flags, shipments not received, completeness."""
    return await backends.flags.scorecard(params)


@operation("party.balance", is_question=True)
async def party_balance(backends: Backends, params: BalanceParams) -> BalanceResult:
    """What a party had, got, gave and has of a product over a period, and whether that adds up."""
    return await backends.flags.balance(params)
