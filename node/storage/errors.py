"""What can be wrong with the files of a node, each with the way out in its message."""

from typing import Final

from node.errors import StorageError

REINDEX_ADVICE: Final = "stop the node and run `lotvine reindex`, which builds the index anew from the chain"
CHAIN_ADVICE: Final = (
    "stop the node and run `lotvine refetch`, which sets the chain aside and takes it anew from the other nodes; "
    "what this node accepted and no other node holds yet is lost with it"
)
VOTE_LOG_ADVICE: Final = (
    "a validator that goes on without its votes could vote twice, so it votes again only once the other validators "
    "have told it how far it may have come"
)


class MissingStoreError(StorageError):
    """A store is not where it must be."""


class DamagedStoreError(StorageError):
    """Bytes of a store are not what was written."""


class UnknownSchemaError(StorageError):
    """A store was written by another version of this program, or is another network's."""


class DamagedVoteLogError(DamagedStoreError):
    """The vote log is lost, cut short or altered."""


class WriteFailedError(StorageError):
    """The disk refused a write or a sync. The process ends: nobody knows what the kernel has dropped."""
