"""What can be wrong with the files of a node, each with the way out in its message."""

import errno
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
FILES_ADVICE: Final = (
    "this process may not open more files: raise its limit (`ulimit -n`, `LimitNOFILE=`), then start it again; "
    "nothing is damaged"
)
DISK_ADVICE: Final = "check the disk and its free space, then restart the node"
DELETED_ADVICE: Final = (
    "what the data folder held is gone: restart the node, which takes the chain anew from the others and asks them "
    "what it has signed before it votes (docs/operations.md, A machine is lost)"
)


def is_out_of_files(error: object) -> bool:
    """Return whether a system call or LevelDB, which gives only its text, found no file left to open."""
    number = error.errno if isinstance(error, OSError) else None
    return number in (errno.EMFILE, errno.ENFILE) or "too many open files" in str(error).lower()


def advise(error: object, otherwise: str) -> str:
    """Return the way out of an error of the disk or the files. otherwise: if it is not that no file is left."""
    return FILES_ADVICE if is_out_of_files(error) else otherwise


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
