"""What ended a node, out of all that ended with it, and what the operator is told."""

from collections.abc import Iterator
from typing import Final

from consensus.errors import InvariantError
from node.errors import ConfigError, StorageError
from node.telemetry.logs import get_logger

FAILED: Final = 1

_log = get_logger("app")


def report_failure(error: BaseException) -> int:
    """Log why a node cannot go on and return its exit code. Raises ConfigError: that is said before a log exists."""
    cause = find_cause(error)
    match cause:
        case ConfigError():
            raise cause
        case StorageError():
            _log.error("the store cannot go on", why=str(cause))
        case InvariantError():
            _log.error("stopped: an invariant does not hold", why=str(cause), exc_info=cause)
        case _:
            _log.error("stopped by an unexpected error", why=repr(cause), exc_info=cause)
    return FAILED


def find_cause(error: BaseException) -> BaseException:
    """Return the error in a group that says most: our own fault, else the store's, else the configuration's."""
    leaves = list(_leaves(error))
    for kind in (InvariantError, StorageError, ConfigError, Exception):
        for leaf in leaves:
            if isinstance(leaf, kind):
                return leaf
    return leaves[0]


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    else:
        yield error
