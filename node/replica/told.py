"""What other validators have told of our own feed, as far as it is not here: fetched before we seal anything."""

from typing import Final

from consensus.types import Digest
from node.feed.branches import FeedBranches
from node.replica.fetching import Fetcher
from node.replica.moment import Moment, earliest
from node.replica.rejoin import Told
from node.wire.ids import FeedTip, MemberId
from node.wire.messages import BatchRequest

TOLD_MS_MAX: Final = 20_000
"""Who tells of a batch has it. What cannot be had in that time, nor anything below it, was told to keep us silent.

What merely floats there is another matter: who tells of it may well lack what it stands on.
"""

NEVER_MS: Final = 2**62


class ToldBatches:
    """What is missing of what was told, by who told it."""

    def __init__(self, moment: Moment, fetcher: Fetcher) -> None:
        self._moment = moment
        self._fetcher = fetcher
        self._since: dict[MemberId, tuple[Digest, int]] = {}
        self._unhad: dict[MemberId, dict[Digest, None]] = {}

    def settle(self, branches: FeedBranches, answers: dict[MemberId, Told]) -> tuple[int, bool]:
        """Fetch what is missing; return how many answers are here with all that they tell, and whether to wait."""
        here, waits = 0, False
        self._since = {member: since for member, since in self._since.items() if member in answers}
        for member, told in answers.items():
            missing = self._missing(branches, told.tips)
            if missing:
                waits = self._fetch(member, missing[0]) or waits
            elif any(self._fetch(member, tip) for tip in self._missing(branches, told.floating)):
                waits = True
            else:
                self._since.pop(member, None)
                here += 1
        return here, waits

    @staticmethod
    def _missing(branches: FeedBranches, tips: tuple[FeedTip, ...]) -> list[FeedTip]:
        missing = (branches.missing_below(tip) for tip in tips if tip.feed == branches.feed)
        return [tip for tip in missing if tip is not None]

    def _fetch(self, member: MemberId, missing: FeedTip) -> bool:
        """Return whether there is hope yet."""
        now_ms = self._moment.now_ms
        unhad = self._unhad.setdefault(member, {})
        if missing.digest in unhad:
            return False
        digest, since_ms = self._since.get(member, (None, now_ms))
        if digest != missing.digest:
            self._since[member] = (missing.digest, now_ms)
            self._fetcher.want(
                missing.digest, BatchRequest(missing), now_ms=now_ms, hints=(member,), expires_ms=NEVER_MS
            )
        elif since_ms + TOLD_MS_MAX <= now_ms:
            unhad[missing.digest] = None
            self._fetcher.drop(missing.digest)
            del self._since[member]
            return False
        return True

    def deadline_ms(self) -> int | None:
        """Return when hope may end."""
        return earliest(*(since_ms + TOLD_MS_MAX for _, since_ms in self._since.values()))
