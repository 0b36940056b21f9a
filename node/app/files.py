"""How many files this process may have open: LevelDB's tables, other members' nodes and clients share them.

A store that finds none left stops the node, so clients get only what the others leave.
"""

import asyncio
import errno
import resource
from collections.abc import Callable
from typing import Any, Final

from node.telemetry.logs import get_logger

FILES_WANTED: Final = 16_384
FILES_RESERVED: Final = 768
"""For two stores (256 tables each), sessions with other nodes, the operations listener, logs, backups."""
CONNECTIONS_MIN: Final = 16
WARN_EACH_SECONDS: Final = 30.0

_log = get_logger("app")


def raise_limit() -> int:
    """Raise the limit of open files as far as this process may, up to FILES_WANTED; return what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_WANTED if hard == resource.RLIM_INFINITY else min(FILES_WANTED, hard)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return FILES_WANTED if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError) as error:
        _log.warning("the limit of open files cannot be raised", limit=soft, why=str(error))
        return soft
    return wanted


def connections_within(files: int, asked: int) -> int:
    """Return how many connections of clients fit into the limit, at most `asked`; say so if they are fewer."""
    allowed = max(CONNECTIONS_MIN, files - FILES_RESERVED)
    if allowed >= asked:
        return asked
    _log.warning(
        "fewer connections than rpc.connections_max: this process may not open more files",
        connections_max=allowed,
        asked=asked,
        files=files,
        advice=f"raise its limit (`ulimit -n`, `LimitNOFILE=`) to {asked + FILES_RESERVED}",
    )
    return allowed


class LoopFaults:
    """What the event loop reports on its own. An accept that finds no file left is one line, and is tried again."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._quiet_until = -WARN_EACH_SECONDS

    def report(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Say it: an exception handler of a loop."""
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in (errno.EMFILE, errno.ENFILE):
            loop.default_exception_handler(context)
            return
        # asyncio has paused accepting for a second, and reports each try.
        now = self._monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + WARN_EACH_SECONDS
            _log.warning(
                "a connection waits, for no more files can be opened",
                why=str(error),
                advice="raise the limit of open files (`ulimit -n`, `LimitNOFILE=`)",
            )
