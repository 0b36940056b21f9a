"""What a peer can do wrong on a session. All of these end that session, and nothing else."""

from enum import Enum

from node.errors import PeerError


class Refusal(Enum):
    """Why a session was not opened, or was closed; the values are metric labels."""

    LIMIT = "limit"
    TIMEOUT = "timeout"
    TLS = "tls"
    RESUMED = "resumed"
    UNKNOWN_MEMBER = "unknown_member"
    WRONG_MEMBER = "wrong_member"
    UNKNOWN_THERE = "unknown_there"
    OWN_KEY = "own_key"
    WRONG_NETWORK = "wrong_network"
    WRONG_PROTOCOL = "wrong_protocol"
    MALFORMED = "malformed"
    MUTED = "muted"
    REPLACED = "replaced"
    REMOVED = "removed"
    IDLE = "idle"
    STALLED = "stalled"
    OVERFLOW = "overflow"
    LOST = "lost"
    STOPPED = "stopped"


class SessionError(PeerError):
    """A session is refused or ended. reason: for counting; the message: for the operator."""

    def __init__(self, reason: Refusal, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ProtocolFaultError(SessionError):
    """An authenticated peer broke the rules of the stream. Provable to us alone; it costs the peer a mute."""

    def __init__(self, message: str) -> None:
        super().__init__(Refusal.MALFORMED, message)
