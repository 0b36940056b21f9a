"""What a question can be refused for."""

from collections.abc import Sequence
from typing import Final

from node.errors import RequestError

_RULES_SHOWN_MAX: Final = 5


class UnknownItemError(RequestError):
    """No event names the item. near: canonical ids that were perhaps meant, best first."""

    def __init__(self, message: str, *, near: tuple[str, ...], hint: str | None, field: str = "params.item") -> None:
        super().__init__("not_found", message, field=field, hint=hint, near=near)


class UnknownSeedError(RequestError):
    """What a question is to begin from is not on the ledger. near: ids that were perhaps meant, best first."""

    def __init__(self, message: str, *, field: str, hint: str | None, near: tuple[str, ...] = ()) -> None:
        super().__init__("not_found", message, field=field, hint=hint, near=near)


class UnknownRuleError(RequestError):
    """What is distrusted names no rule. declared: the rules of the scope's runs, in words."""

    def __init__(self, name: str, *, field: str, declared: Sequence[str]) -> None:
        known = "; ".join(declared[:_RULES_SHOWN_MAX]) or "none"
        more = f"; and {len(declared) - _RULES_SHOWN_MAX} more" if len(declared) > _RULES_SHOWN_MAX else ""
        super().__init__(
            "not_found",
            f"no rule that this scope would rely on has the place, record or name {name}",
            field=field,
            hint=f"declared of its runs: {known}{more}; what is not declared need not be distrusted",
        )


class UnknownHeightError(RequestError):
    """The height asked for is not executed here: an answer "as of" it would change once it is."""

    def __init__(self, height: int, newest: int) -> None:
        super().__init__(
            "not_found", f"no executed block at height {height}; the newest is {newest}", field="params.height"
        )
