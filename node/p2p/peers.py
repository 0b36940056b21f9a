"""What is known of each peer, and which of its sessions counts. Without I/O.

Each pair of members keeps one session. Both sides dial, hence two may come up at once, and a peer that restarted
dials while its old session has not died yet. One side decides, so that the two never close each other's choice: the
member with the smaller id keeps the newest session and closes the rest. The other side sends on its newest, and goes
back to the older one if it loses that.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

from node.crypto.keys import PublicKey
from node.p2p.limits import Limits
from node.wire.ids import MemberId

SESSIONS_MAX: Final = 2
"""How many sessions of one peer the side that does not decide bears for a while."""


@dataclass(frozen=True, slots=True)
class PeerRecord:
    """A member as the network's state has it, and where its node listens.

    addresses: host and port, tried in turn; none: the peer dials us. is_validator: whether its node votes.
    """

    member: MemberId
    node_key: PublicKey
    addresses: tuple[tuple[str, int], ...] = ()
    is_validator: bool = True


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """A peer as `network.status` shows it. Times: milliseconds of the wall clock; None where there is none.

    does_not_know_us: it refused our node key as no member's when it was dialled last.
    """

    member: MemberId
    is_connected: bool
    since_ms: int | None
    address: str | None
    is_dialled: bool | None
    rtt_us: int | None
    bytes_waiting: int
    muted_for_ms: int
    last_fault: str | None
    does_not_know_us: bool = False


S = TypeVar("S")


@dataclass(slots=True)
class Standing(Generic[S]):
    """The sessions of one peer, the newest last, and its penalty. muted_until_ms: monotonic."""

    sessions: list[S] = field(default_factory=list)
    muted_until_ms: int = 0
    last_fault: str | None = None

    @property
    def current(self) -> S | None:
        """The session to send on."""
        return self.sessions[-1] if self.sessions else None

    def add(self, session: S, *, decides: bool) -> list[S]:
        """Make `session` the current one; return those that are to be closed, already taken off.

        decides: we have the smaller member id.
        """
        keep = 0 if decides else SESSIONS_MAX - 1
        surplus = self.sessions[: max(0, len(self.sessions) - keep)]
        self.sessions = [*self.sessions[len(surplus) :], session]
        return surplus

    def remove(self, session: S) -> bool:
        """Forget a session that is gone; return whether it was the current one."""
        was_current = session is self.current
        self.sessions = [each for each in self.sessions if each is not session]
        return was_current

    def mute(self, until_ms: int) -> None:
        """Have nothing to do with the peer until then; never shortens a mute."""
        self.muted_until_ms = max(self.muted_until_ms, until_ms)


class Backoff:
    """Delays between attempts to dial: doubled up to a cap, each shortened at random by up to a half.

    uniform: random.Random.uniform or the like; without it all nodes of a restarted network dial in step.
    """

    def __init__(self, limits: Limits, uniform: Callable[[float, float], float]) -> None:
        self._limits = limits
        self._uniform = uniform
        self._next_ms = limits.backoff_ms_min

    def reset(self) -> None:
        """Begin anew with the shortest delay."""
        self._next_ms = self._limits.backoff_ms_min

    def next_seconds(self) -> float:
        """Return how long to wait before the next attempt."""
        delay = self._next_ms * self._uniform(0.5, 1.0)
        self._next_ms = min(self._next_ms * 2, self._limits.backoff_ms_max)
        return delay / 1000
