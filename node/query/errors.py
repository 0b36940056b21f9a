"""What a question can be refused for."""

from node.errors import RequestError


class UnknownItemError(RequestError):
    """No event names the item. near: canonical ids that were perhaps meant, best first."""

    def __init__(self, message: str, *, near: tuple[str, ...], hint: str | None, field: str = "params.item") -> None:
        super().__init__("not_found", message, field=field, hint=hint, near=near)


class UnknownSeedError(RequestError):
    """What a question is to begin from is not on the ledger. near: ids that were perhaps meant, best first."""

    def __init__(self, message: str, *, field: str, hint: str | None, near: tuple[str, ...] = ()) -> None:
        super().__init__("not_found", message, field=field, hint=hint, near=near)


class UnknownHeightError(RequestError):
    """The height asked for is not executed here: an answer "as of" it would change once it is."""

    def __init__(self, height: int, newest: int) -> None:
        super().__init__(
            "not_found", f"no executed block at height {height}; the newest is {newest}", field="params.height"
        )
