"""`block.get`."""

from node.api.backends import Backends
from node.api.operations import operation
from node.api.schema.blocks import BlockParams, BlockResult


@operation("block.get")
async def block_get(backends: Backends, params: BlockParams) -> BlockResult:
    """A final block: its place, its cut, its transactions and the state digest after it."""
    return await backends.ledger.block(params.height)
