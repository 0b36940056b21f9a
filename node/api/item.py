"""`item.get`, `item.find`."""

from node.api.backends import Backends
from node.api.operations import operation
from node.api.schema.items import FindParams, FindResult, ItemParams, ItemResult


@operation("item.get", is_question=True)
async def item_get(backends: Backends, params: ItemParams) -> ItemResult:
    """An item in any spelling, and the events that name it."""
    return await backends.lineage.item(params.item)


@operation("item.find", is_question=True)
async def item_find(backends: Backends, params: FindParams) -> FindResult:
    """Items that may be meant by what is left of a label: a misread code, a product, a date, a place, a party."""
    return await backends.lineage.find(params)
