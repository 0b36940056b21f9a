"""Log lines in words or as JSON, on standard error, with text from peers made harmless.

A message is short and constant, its values are keywords under the same names everywhere (`peer`, `view`, `height`).
"""

import logging
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final, TextIO

import structlog

TEXT_LENGTH_MAX: Final = 2_000
"""Characters of one value; a peer shall not fill the disk through the log."""

# C0, DEL and C1 controls, line and paragraph separators, and the marks that turn the writing direction.
_CODES: Final = (*range(0x20), 0x7F, *range(0x80, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_CONTROL: Final = dict.fromkeys(_CODES, "\N{REPLACEMENT CHARACTER}")
_CONTROL_KEPT: Final = {**_CONTROL}
del _CONTROL_KEPT[0x0A]
_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def clean_text(text: str) -> str:
    """Return `text` without control characters, line breaks and direction marks, at most TEXT_LENGTH_MAX long.

    A peer's text could else forge log lines or move an operator's cursor.
    """
    short = text if len(text) <= TEXT_LENGTH_MAX else text[:TEXT_LENGTH_MAX] + "…"
    return short.translate(_CONTROL)


def _clean_values(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str):
            # A traceback is our own text and keeps its lines.
            event[name] = value.translate(_CONTROL_KEPT) if name == "exception" else clean_text(value)
        elif isinstance(value, bytes):
            event[name] = value.hex()[:64]
        elif not isinstance(value, int | float | bool | None):
            event[name] = clean_text(str(value))
    return event


def configure_logs(*, format: str, level: str, node: str | None = None, stream: TextIO | None = None) -> None:  # noqa: A002 - the key's name
    """Set up logging for this process. format: `words` or `json`. node: shown on each line when given."""
    out = stream if stream is not None else sys.stderr
    base: list[Callable[..., Any]] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _clean_values,
    ]
    if format == "json":
        renderer: Callable[..., Any] = structlog.processors.JSONRenderer(sort_keys=False)
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0, sort_keys=False)
    structlog.configure(
        processors=[*base, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.clear_contextvars()
    if node is not None:
        structlog.contextvars.bind_contextvars(node=node)
    # Libraries that use the standard logger: warnings and worse, through the same door.
    logging.basicConfig(level=logging.WARNING, handlers=[_StandardHandler()], force=True)


def get_logger(part: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of a part; its lines carry part=`part`."""
    # Lazy: it takes up the configuration of its first use, not that of the import.
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(part=part)
    return logger


class _StandardHandler(logging.Handler):
    """Hands records of the standard library's loggers to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        write = structlog.get_logger().error if record.levelno >= logging.ERROR else structlog.get_logger().warning
        values = {"exc_info": record.exc_info} if record.exc_info else {}
        write(record.getMessage(), part=record.name, **values)
