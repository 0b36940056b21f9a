"""Meeting a network whose members' keys are not known here: by an address alone, for catching up and nothing else.

A firm that joins has genesis, whose keys may all have been rotated since; a node that was away while the others rotated
theirs is in the same place. Such a node dials an address of `p2p.join` while it has sessions with no more than f of the
validators by the keys that it knows: so many may all have been away as long. What it takes there proves itself by
certificates, so it need not know who answers; the other end knows us by our key as always. Sessions with more known
keys end this one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from node.p2p.errors import Refusal, SessionError
from node.p2p.faults import clean_text


class JoinState(Enum):
    """How far a node has come with the addresses of `p2p.join`."""

    IDLE = "idle"
    """None was tried: the members themselves are met, or will be."""
    DIALLING = "dialling"
    UNREACHABLE = "unreachable"
    NOT_A_MEMBER = "not_a_member"
    """The node that answers does not know our key: a member has to add us, or has not yet."""
    CONNECTED = "connected"


@dataclass(frozen=True, slots=True)
class JoinStatus:
    """Where joining by address stands. address: the last one tried. words: what went wrong last, if anything."""

    state: JoinState
    address: str | None = None
    words: str | None = None


class Guide(Protocol):
    """A session with a node whose key is not known."""

    def fail(self, fault: Exception) -> None:
        """End it."""
        ...


class Joining:
    """The addresses of `p2p.join` in turn, and the one session that may come of them.

    addresses: host and port each.
    """

    def __init__(self, addresses: Sequence[tuple[str, int]]) -> None:
        self._addresses = tuple(addresses)
        self._turn = 0
        self._not_before_ms = dict.fromkeys(self._addresses, 0)
        self.status = JoinStatus(JoinState.IDLE)
        self.guide: Guide | None = None
        self._height = 0
        self._progress_ms = 0

    @property
    def is_possible(self) -> bool:
        """Whether there is any address."""
        return bool(self._addresses)

    def next_address(self, now_ms: int) -> tuple[str, int] | None:
        """Return the address to try now, each in turn; None while all of them are left alone. now_ms: monotonic."""
        for _ in self._addresses:
            address = self._addresses[self._turn % len(self._addresses)]
            self._turn += 1
            if self._not_before_ms[address] <= now_ms:
                self.status = JoinStatus(JoinState.DIALLING, _name(address), self.status.words)
                return address
        return None

    def on_connected(self, guide: Guide, height: int, now_ms: int) -> None:
        """A session stands. height: final here."""
        self.guide = guide
        self._height, self._progress_ms = height, now_ms
        self.status = JoinStatus(JoinState.CONNECTED, self.status.address)

    def on_ended(self, address: tuple[str, int], fault: Exception, not_before_ms: int) -> None:
        """An attempt has failed, or the session is over. not_before_ms: when the address may be tried again."""
        self.guide = None
        self._not_before_ms[address] = not_before_ms
        if self.status.state is JoinState.IDLE:
            return
        state = JoinState.NOT_A_MEMBER if is_unknown_there(fault) else JoinState.UNREACHABLE
        words = clean_text(str(fault) or type(fault).__name__)
        self.status = JoinStatus(state, self.status.address, words)

    def check(self, height: int, now_ms: int, patience_ms: int) -> None:
        """End a session that brings nothing new for so long, if another address is left: who answers may withhold."""
        if height > self._height:
            self._height, self._progress_ms = height, now_ms
        elif self.guide is not None and len(self._addresses) > 1 and now_ms - self._progress_ms >= patience_ms:
            self.guide.fail(SessionError(Refusal.STALLED, f"no new block for {now_ms - self._progress_ms} ms"))

    def stand_down(self) -> None:
        """Members are met by their known keys: the session by address has done its work."""
        self.status = JoinStatus(JoinState.IDLE)
        if self.guide is not None:
            self.guide.fail(SessionError(Refusal.REPLACED, "members are met by their known keys"))


def is_unknown_there(fault: Exception) -> bool:
    """Return whether a peer refused us because it takes our node key for no member's."""
    return isinstance(fault, SessionError) and fault.reason is Refusal.UNKNOWN_THERE


def _name(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
