"""`backup.create`."""

from node.api.backends import Backends
from node.api.operations import NoParams, operation
from node.api.schema.backup import BackupResult


@operation("backup.create")
async def backup_create(backends: Backends, params: NoParams) -> BackupResult:  # noqa: ARG001 - every handler's shape
    """Write the chain as it is now into a file in the node's home, in place of the one before; no keys are in it."""
    return await backends.backup.create()
