"""`backup.create`."""

import msgspec


class BackupResult(msgspec.Struct, frozen=True):
    """path: of the file with the chain, on the node's own disk, in its home. height: at least so many final blocks."""

    path: str
    height: int
    bytes: int
