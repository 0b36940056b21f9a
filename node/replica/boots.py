"""Which processes speak with a member's key: each has its own boot nonce, new at every start."""

from consensus.timing import Timing
from node.wire.ids import MemberId

NONCES_MAX = 4
"""So many processes of one member are remembered: a liar makes as many as it likes."""


class Boots:
    """The boot nonces of every member, with the time at which each was last heard."""

    def __init__(self, timing: Timing) -> None:
        # A status comes after a period and a quarter at the latest: half a period more is a process that has ended.
        self._alive_ms = timing.status_ms * 3 // 2
        self._heard: dict[MemberId, dict[bytes, int]] = {}

    def note(self, member: MemberId, nonce: bytes, now_ms: int) -> None:
        """A process of this member has said something."""
        heard = self._heard.setdefault(member, {})
        heard.pop(nonce, None)
        heard[nonce] = now_ms
        if len(heard) > NONCES_MAX:
            del heard[next(iter(heard))]

    def is_another_alive(self, member: MemberId, nonce: bytes, now_ms: int) -> bool:
        """Return whether another process than this one has spoken for the member so lately that it may still run."""
        heard = self._heard.get(member, {})
        return any(other != nonce and at_ms > now_ms - self._alive_ms for other, at_ms in heard.items())

    def keep(self, members: tuple[MemberId, ...]) -> None:
        """Forget everybody but these."""
        self._heard = {member: self._heard[member] for member in members if member in self._heard}
