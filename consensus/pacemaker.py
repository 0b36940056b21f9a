"""How long to wait in a view, and for whom: the timers of the current view and the last signs of life.

A view is inactive until there is a reason to expect a block; only then do its timers run, so that an idle network
stays quiet. Nothing here is agreed on: a wrong guess costs a view and never safety.
"""

from dataclasses import dataclass, field
from typing import Final

from consensus.effects import CancelTimers, Effect, SetTimer
from consensus.inputs import TimerId
from consensus.quorum import quorum_size
from consensus.timing import Timing, growth
from consensus.types import Digest, ValidatorIndex, View

_JITTER_MULTIPLIER: Final = 6_364_136_223_846_793_005
_JITTER_INCREMENT: Final = 1_442_695_040_888_963_407
"""Knuth's linear congruential generator (MMIX): status periods of nodes must differ, not surprise."""


@dataclass(slots=True)
class Pacemaker:
    """The clockwork of one core. is_active: timers run. may_be_empty: a tail or heartbeat block is wanted.

    asked_parent: on which a block was asked for in this view. is_paced: the pause before that runs.
    """

    timing: Timing
    validator_count: int
    own_index: ValidatorIndex | None
    view: View = View(0)  # noqa: RUF009 - a NewType is the int itself
    is_active: bool = False
    may_be_empty: bool = False
    asked_parent: Digest | None = None
    is_paced: bool = False
    _is_tail_armed: bool = False
    _retry_ms: int = 0
    _started_ms: int = 0
    _jitter: int = 0
    _last_seen_ms: dict[ValidatorIndex, int] = field(default_factory=dict)

    def start(self, now_ms: int) -> None:
        """Begin to listen."""
        self._started_ms = now_ms
        self._jitter = 1 if self.own_index is None else self.own_index + 2

    def enter(self, view: View, now_ms: int, out: list[Effect]) -> None:
        """Leave the old view with all its timers; the new one is inactive."""
        if self.view:
            out.append(CancelTimers(self.view))
        self.view = view
        self.is_active = self.may_be_empty = self.is_paced = False
        self.asked_parent = None
        self._is_tail_armed = False
        self._retry_ms = 0
        out.append(SetTimer(TimerId.HEART, view, now_ms + self.timing.heartbeat_ms))

    def arm_tail(self, now_ms: int, out: list[Effect]) -> None:
        """A notarized block is not final: wake up for it, once a view, even if nothing else happens."""
        if not self._is_tail_armed:
            self._is_tail_armed = True
            out.append(SetTimer(TimerId.TAIL, self.view, now_ms + self.timing.tail_ms))

    def rearm_tail(self) -> None:
        """The tail timer has fired for nothing: the next unfinished block arms it anew."""
        self._is_tail_armed = False

    def activate(self, now_ms: int, *, final_view: View, out: list[Effect]) -> None:
        """Start the timers of the view, longer the longer nothing became final."""
        self.is_active = True
        factor = growth(view=self.view, final_view=final_view, validator_count=self.validator_count)
        propose_ms = self.timing.propose_ms * factor
        out.append(SetTimer(TimerId.BUILD, self.view, now_ms + propose_ms // 2))
        out.append(SetTimer(TimerId.PROPOSE, self.view, now_ms + propose_ms))
        out.append(SetTimer(TimerId.ADVANCE, self.view, now_ms + self.timing.advance_ms * factor))

    def arm_retry(self, now_ms: int, out: list[Effect]) -> None:
        """Set the next re-sending of our votes, each wait half as long again as the one before, up to the cap."""
        grown = self._retry_ms * 3 // 2
        self._retry_ms = min(grown, self.timing.retry_ms_max) if grown else self.timing.retry_ms
        out.append(SetTimer(TimerId.RETRY, self.view, now_ms + self._retry_ms))

    def arm_status(self, now_ms: int, out: list[Effect]) -> None:
        """Set the next status, a quarter of its period sooner or later than planned."""
        self._jitter = (self._jitter * _JITTER_MULTIPLIER + _JITTER_INCREMENT) % 2**64
        quarter = self.timing.status_ms // 4
        wait_ms = self.timing.status_ms - quarter + (self._jitter >> 33) % (2 * quarter + 1)
        out.append(SetTimer(TimerId.STATUS, View(0), now_ms + wait_ms))

    def note_heard(self, peer: ValidatorIndex, now_ms: int) -> None:
        """Any authenticated message is a sign of life."""
        self._last_seen_ms[peer] = now_ms

    def is_silent(self, leader: ValidatorIndex, now_ms: int) -> bool:
        """Return whether the leader was not heard for so long, while a quorum with us was, that it is skipped.

        If fewer are heard, the trouble is probably ours.
        """
        since_ms = now_ms - self.timing.skip_ms
        if max(self._last_seen_ms.get(leader, self._started_ms), self._started_ms) > since_ms:
            return False
        heard = sum(1 for seen_ms in self._last_seen_ms.values() if seen_ms > since_ms)
        return heard >= quorum_size(self.validator_count) - 1
