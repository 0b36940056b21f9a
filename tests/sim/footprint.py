"""How much a replica holds in memory: every entry of every container that can be reached from it, by where it is.

Nothing of the replica is named here, so that a table added tomorrow is counted too.
"""

from collections import deque
from collections.abc import Iterator

from tests.sim.chain_checkers import BrokenRuleError

ENTRIES_MAX = 700
"""So much is held in one place at a quiet moment; a leak of one entry a message passes it within minutes."""

COUNTED = (dict, list, deque, set)
OWN = ("node.", "consensus.")


def _parts(value: object) -> Iterator[tuple[str, object]]:
    """Yield the attributes of an object of ours."""
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(value, name):
                yield name, getattr(value, name)
    yield from vars(value).items() if hasattr(value, "__dict__") else ()


def footprint(root: object) -> dict[str, int]:
    """Return for each `Class.attribute` how many entries its containers hold, over all objects below `root`."""
    counts: dict[str, int] = {}
    seen = {id(root)}
    waiting: list[tuple[str, object]] = [("", root)]
    while waiting:
        where, value = waiting.pop()
        inside: list[tuple[str, object]] = []
        if isinstance(value, COUNTED):
            counts[where] = counts.get(where, 0) + len(value)
            inside = [(where, entry) for entry in (value.values() if isinstance(value, dict) else value)]
        elif isinstance(value, tuple):
            inside = [(where, entry) for entry in value]
        elif type(value).__module__.startswith(OWN):
            inside = [(f"{type(value).__name__}.{name}", part) for name, part in _parts(value)]
        for name, part in inside:
            if id(part) not in seen and not isinstance(part, int | bytes | str | None):
                seen.add(id(part))
                waiting.append((name, part))
    return counts


def check_footprint(name: str, replica: object) -> None:
    """I-14: no container of a replica at rest has grown beyond its bound."""
    for where, count in footprint(replica).items():
        if count > ENTRIES_MAX:
            raise BrokenRuleError(f"{name} holds {count} entries in {where}")
