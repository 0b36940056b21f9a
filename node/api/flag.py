"""`flag.list`, `flag.get`, `flag.waive`, `item.completeness`."""

from node.api.backends import Backends
from node.api.operations import operation
from node.api.schema.flags import (
    CompletenessParams,
    CompletenessResult,
    FlagListParams,
    FlagListResult,
    FlagParams,
    FlagResult,
    WaiveParams,
)
from node.api.schema.transactions import TransactionResult


@operation("flag.list", is_question=True)
async def flag_list(backends: Backends, params: FlagListParams) -> FlagListResult:
    """What does not add up, the newest first: by item, party, member, code, group, severity and time."""
    return await backends.flags.flags(params)


@operation("flag.get")
async def flag_get(backends: Backends, params: FlagParams) -> FlagResult:
    """One flag, by its id."""
    return await backends.flags.flag(params.id)


@operation("item.completeness", is_question=True)
async def item_completeness(backends: Backends, params: CompletenessParams) -> CompletenessResult:
    """How much of an item the record traces to its origins and accounts for since, and what it lacks."""
    return await backends.flags.completeness(params)


@operation("flag.waive")
async def flag_waive(backends: Backends, params: WaiveParams) -> TransactionResult:
    """Say in this member's name why a flag may stand: it is then no longer open."""
    return await backends.flags.waive(params.id, params.reason, wait=params.wait)
