"""The roots of all errors. Whose fault it is decides the type, and the type decides what happens.

Our own faults are `consensus.errors.InvariantError`: the node stops at once, and nothing below `app/` catches it.
"""

from collections.abc import Sequence


class PeerError(Exception):
    """Another node's fault: its connection closes and its penalty grows."""


class RequestError(Exception):
    """An API client's fault: answered with a stable code, a plain message and the field.

    code: lower-case words joined by underscores, stable. field: where in the request, such as `events[3].action`,
    or None. hint: what to do next, or None. near: what the caller may have meant, best first.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        field: str | None = None,
        hint: str | None = None,
        near: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.hint = hint
        self.near = near


class ConfigError(Exception):
    """The operator's fault: all problems at once, exit code 2; nothing has been started."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class StorageError(Exception):
    """The disk's or the data's fault: the node stops and says how to recover; it never guesses a repair."""
