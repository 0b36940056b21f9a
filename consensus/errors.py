"""The one error of the core: a rule of our own that does not hold. Nothing below `app/` catches it."""


class InvariantError(Exception):
    """Our own bug, or more faulty validators than the protocol bears: the node must stop at once."""


def invariant(condition: bool, message: str) -> None:  # noqa: FBT001 - reads as a sentence: invariant(x > 0, "…")
    """Raise InvariantError with `message` unless `condition` holds."""
    if not condition:
        raise InvariantError(message)
