"""`item.get`."""

from node.api.backends import Backends
from node.api.operations import operation
from node.api.schema.items import ItemParams, ItemResult


@operation("item.get")
async def item_get(backends: Backends, params: ItemParams) -> ItemResult:
    """An item in any spelling, and the events that name it."""
    return await backends.lineage.item(params.item)
