"""Says what went wrong with a peer once, then ever more rarely, so that a dead or hostile one cannot fill the log."""

from dataclasses import dataclass
from typing import Final

import structlog

from node.p2p.errors import Refusal
from node.wire.ids import MemberId

_FIRST_INTERVAL_MS: Final = 60_000
_LAST_INTERVAL_MS: Final = 3_600_000
_TEXT_MAX: Final = 300
_QUIET: Final = frozenset({Refusal.STOPPED, Refusal.REPLACED, Refusal.LOST})
_MISBEHAVIOUR: Final = frozenset(
    {
        Refusal.MALFORMED,
        Refusal.MUTED,
        Refusal.OWN_KEY,
        Refusal.RESUMED,
        Refusal.UNKNOWN_MEMBER,
        Refusal.WRONG_MEMBER,
        Refusal.WRONG_NETWORK,
        Refusal.WRONG_PROTOCOL,
    }
)

_log = structlog.get_logger()


@dataclass(slots=True)
class _Silence:
    until_ms: int
    interval_ms: int
    suppressed: int = 0


class FaultLog:
    """Logs faults by peer and reason. Bounded: peers are members, reasons an enum."""

    def __init__(self) -> None:
        self._silences: dict[tuple[MemberId | None, Refusal], _Silence] = {}

    def note(self, member: MemberId | None, reason: Refusal, text: str, now_ms: int) -> None:
        """Log this fault unless the same was logged lately. member: None for a stranger."""
        silence = self._silences.get((member, reason))
        if silence is not None and now_ms < silence.until_ms:
            silence.suppressed += 1
            return
        interval = min(silence.interval_ms * 2, _LAST_INTERVAL_MS) if silence else _FIRST_INTERVAL_MS
        self._silences[member, reason] = _Silence(now_ms + interval, interval)
        if reason in _MISBEHAVIOUR:
            report = _log.warning
        elif reason in _QUIET:
            report = _log.debug
        else:
            report = _log.info
        report(
            "session refused or ended",
            peer=member,
            reason=reason.value,
            detail=clean_text(text),
            suppressed=silence.suppressed if silence else 0,
        )

    def forget(self, member: MemberId) -> None:
        """The peer is well again: what happens next is news."""
        for key in [key for key in self._silences if key[0] == member]:
            del self._silences[key]


def clean_text(text: str) -> str:
    """Return `text` without control characters, at most 300 characters long: a peer may have had a hand in it."""
    return "".join(sign if sign.isprintable() else "?" for sign in text[:_TEXT_MAX])
