"""What is missing and whom it was asked of: batches and blocks by their digest, from one peer after the other.

At most `OPEN_PER_PEER_MAX` requests are open with a peer and `OPEN_MAX` in all. What is not answered in time is asked
of the next peer, while the first may still answer. Who is asked is decided by turn, not by chance.
"""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from consensus.types import Digest
from node.wire.ids import MemberId
from node.wire.messages import BatchRequest, BlockRequest

OPEN_PER_PEER_MAX: Final = 8
OPEN_MAX: Final = 64
SPARE_SHARE: Final = 2
"""What was asked for in vain, and what nobody waits for, takes at most half of all places: it may not exist at all."""

LOOKS_IN_VAIN_MAX: Final = 32
"""So many wants whose holders are all busy are looked at when a place is free; the next time, the next ones."""

_FRESH, _AGAIN, _CALM = range(3)
"""The queues, in order of need: urgent and never asked for, urgent and asked for in vain, not urgent."""
_SHARES: Final = (1, SPARE_SHARE, SPARE_SHARE)
"""What part of the places, as a divisor, the wants of each queue may take."""

ASK_AGAIN_MS: Final = 300
ASK_AGAIN_MS_MAX: Final = 1_500
OPEN_MS_MAX: Final = 2_000
"""A request that is not answered by then counts as failed, and its place is free again.

Who does not have what is asked for stays silent. An answer that comes later is taken all the same, while it is wanted.
"""
SLOW_MS: Final = 600
"""Who has left a request open for so long is not waited for any more, however surely it has a thing: it may be silent.

Else one silent author could slow down everybody who catches up with its feed to the pace of its places.
"""

NEVER_MS: Final = 2**62

Request = BatchRequest | BlockRequest


@dataclass(slots=True)
class _Want:
    request: Request
    hints: deque[MemberId]
    is_urgent: bool
    expires_ms: int | None
    wait_ms: int = ASK_AGAIN_MS
    is_ready: bool = False
    asked: dict[MemberId, None] = field(default_factory=dict)
    is_tried: bool = False

    @property
    def queue(self) -> int:
        """Which queue it stands in."""
        if not self.is_urgent:
            return _CALM
        return _AGAIN if self.is_tried else _FRESH


class Fetcher:
    """The wants, in order of need, and the open requests."""

    def __init__(self, *, is_needed: Callable[[Digest], bool]) -> None:
        """Begin with no wants.

        is_needed: asked before each request of a want that does not expire; if it is not, it is forgotten.
        """
        self._is_needed = is_needed
        self._wants: dict[Digest, _Want] = {}
        self._queues: tuple[deque[Digest], ...] = tuple(deque() for _ in _SHARES)
        # Whether all ready wants were looked at since a place, a peer or a want came: a look costs time for each of
        # them, and a node that catches up has hundreds and is stepped hundreds of times a second.
        self._is_settled = False
        self._look_ms: int | None = None
        self._later: list[tuple[int, int, Digest]] = []
        self._closing: list[tuple[int, int, MemberId, Digest]] = []
        self._open: dict[MemberId, dict[Digest, int]] = {}
        self._open_count = 0
        self._count = 0
        self._turn = 0

    @property
    def want_count(self) -> int:
        """How many things are wanted."""
        return len(self._wants)

    @property
    def open_count(self) -> int:
        """How many requests are open."""
        return self._open_count

    def is_wanted(self, digest: Digest) -> bool:
        """Return whether this is wanted."""
        return digest in self._wants

    def is_open(self, member: MemberId, digest: Digest) -> bool:
        """Return whether the member was asked for this and may still answer."""
        return digest in self._open.get(member, ())

    def want(
        self,
        digest: Digest,
        request: Request,
        *,
        now_ms: int,
        hints: tuple[MemberId, ...] = (),
        is_urgent: bool = True,
        after_ms: int = 0,
        expires_ms: int | None = None,
    ) -> None:
        """Ask for something until it is here.

        hints: whom to ask first. is_urgent: agreement waits for it. after_ms: not before so long from now, as it may
        come by itself. expires_ms: give up then; None for never. A second call makes a want more pressing, never less.
        """
        want = self._wants.get(digest)
        if want is None:
            want = self._wants[digest] = _Want(request, deque(hints), is_urgent, expires_ms)
            if after_ms > 0:
                self._push_later(now_ms + after_ms, digest)
            else:
                self._make_ready(digest, want)
            return
        if expires_ms is None or (want.expires_ms is not None and expires_ms > want.expires_ms):
            want.expires_ms = expires_ms
        is_pressed = is_urgent and not want.is_urgent
        if is_pressed:
            # Asked for in vain while nobody waited for it, it had become rare to ask again.
            want.is_urgent = True
            want.wait_ms = ASK_AGAIN_MS
            want.asked.clear()
            want.is_tried = False
        more = [hint for hint in hints if hint not in want.asked and hint not in want.hints]
        if more:
            want.hints.extend(more)
            self._is_settled = False
        if after_ms == 0 and not want.asked and (is_pressed or not want.is_ready):
            self._make_ready(digest, want)

    def drop(self, digest: Digest) -> None:
        """Want it no longer: it is here, or not needed."""
        self._wants.pop(digest, None)

    def close(self, member: MemberId, digest: Digest) -> bool:
        """Note that a member has answered; return whether it had been asked."""
        requests = self._open.get(member)
        if requests is None or requests.pop(digest, None) is None:
            return False
        self._open_count -= 1
        self._is_settled = False
        return True

    def ask_now(self, digest: Digest) -> None:
        """Ask the next peer for it without waiting: the answer that came was of no use."""
        want = self._wants.get(digest)
        if want is not None and not want.is_ready:
            self._make_ready(digest, want)

    def peer_up(self, member: MemberId) -> None:
        """Count on a member from now on."""
        self._open.setdefault(member, {})
        self._is_settled = False

    def peer_down(self, member: MemberId) -> None:
        """Ask others for what this member was asked for."""
        requests = self._open.pop(member, {})
        self._open_count -= len(requests)
        self._is_settled = False
        for digest in requests:
            self.ask_now(digest)

    def deadline_ms(self) -> int | None:
        """Return when `take_due` has something to do again."""
        times = [heap[0][0] for heap in (self._later, self._closing) if heap]
        if self._look_ms is not None:
            times.append(self._look_ms)
        return min(times, default=None)

    def take_due(self, now_ms: int) -> list[tuple[MemberId, Request]]:
        """Return the requests to send now, and count them as open."""
        while self._closing and self._closing[0][0] <= now_ms:
            at_ms, _, member, digest = heapq.heappop(self._closing)
            if self._open.get(member, {}).get(digest) == at_ms:
                self.close(member, digest)
        while self._later and self._later[0][0] <= now_ms:
            _, _, digest = heapq.heappop(self._later)
            want = self._wants.get(digest)
            if want is None or want.is_ready:
                continue
            if self._is_over(digest, want, now_ms):
                del self._wants[digest]
                continue
            self._make_ready(digest, want)
        sends: list[tuple[MemberId, Request]] = []
        if self._look_ms is not None and self._look_ms <= now_ms:
            self._is_settled = False
        if not self._is_settled:
            self._is_settled, self._look_ms = True, None
            for number, queue in enumerate(self._queues):
                if queue:
                    self._assign(number, queue, now_ms, sends)
        return sends

    def _has_room(self, share: int) -> bool:
        """Return whether anybody may be asked for one of those wants."""
        return self._open_count < OPEN_MAX // share and any(
            len(requests) < OPEN_PER_PEER_MAX // share for requests in self._open.values()
        )

    def _assign(self, number: int, queue: deque[Digest], now_ms: int, sends: list[tuple[MemberId, Request]]) -> None:
        share = _SHARES[number]
        in_vain = 0
        for _ in range(len(queue)):
            if in_vain >= LOOKS_IN_VAIN_MAX or not self._has_room(share):
                return
            digest = queue.popleft()
            want = self._wants.get(digest)
            if want is None or not want.is_ready:
                continue
            if want.queue != number:
                self._make_ready(digest, want)
                continue
            if self._is_over(digest, want, now_ms):
                del self._wants[digest]
                continue
            member, waits_ms = self._choose(digest, want, share, now_ms)
            if waits_ms is not None:
                if waits_ms != NEVER_MS:
                    self._look_ms = waits_ms if self._look_ms is None else min(self._look_ms, waits_ms)
                queue.append(digest)
                in_vain += 1
                continue
            want.is_ready = False
            if member is not None:
                want.asked[member] = None
                want.is_tried = True
                if member in want.hints:
                    want.hints.remove(member)
                closes_ms = now_ms + OPEN_MS_MAX
                self._count += 1
                self._open[member][digest] = closes_ms
                self._open_count += 1
                heapq.heappush(self._closing, (closes_ms, self._count, member, digest))
                sends.append((member, want.request))
            self._push_later(now_ms + want.wait_ms, digest)
            want.wait_ms = min(want.wait_ms * 3 // 2, ASK_AGAIN_MS_MAX)

    def _is_over(self, digest: Digest, want: _Want, now_ms: int) -> bool:
        return not self._is_needed(digest) if want.expires_ms is None else want.expires_ms <= now_ms

    def _choose(self, digest: Digest, want: _Want, share: int, now_ms: int) -> tuple[MemberId | None, int | None]:
        """Return whom to ask: a hint, then whoever was not asked in this round, by turn; or until when to wait instead.

        Who probably has it and is merely busy is waited for: others would stay silent, and keep their places busy.
        """
        waits_ms: int | None = None
        for hint in tuple(want.hints):
            requests = self._open.get(hint)
            if requests is None or digest in requests:
                want.hints.remove(hint)
                continue
            slow_ms = self._slow_from_ms(requests) if want.expires_ms is None else NEVER_MS
            if slow_ms is not None and slow_ms <= now_ms:
                continue
            if self._is_free(hint, digest, share):
                return hint, None
            assert slow_ms is not None, "who is busy has open requests"
            waits_ms = slow_ms if waits_ms is None else min(waits_ms, slow_ms)
        members = list(self._open)
        if waits_ms is not None or not members:
            return None, waits_ms
        if all(member in want.asked for member in members):
            want.asked.clear()
        self._turn += 1
        for place in range(len(members)):
            member = members[(self._turn + place) % len(members)]
            if member not in want.asked and self._is_free(member, digest, share):
                return member, None
        # All that are left are busy. What agreement waits for keeps its place until one is not: were it to come again
        # later, what a liar tells of would take each place that becomes free meanwhile.
        return None, NEVER_MS if want.is_urgent else None

    @staticmethod
    def _slow_from_ms(requests: dict[Digest, int]) -> int | None:
        """Return from when on somebody is slow, if it answers none of these; None if none is open."""
        closes_ms = next(iter(requests.values()), None)
        return None if closes_ms is None else closes_ms - OPEN_MS_MAX + SLOW_MS

    def _is_free(self, member: MemberId, digest: Digest, share: int) -> bool:
        requests = self._open[member]
        return digest not in requests and len(requests) < OPEN_PER_PEER_MAX // share

    def _make_ready(self, digest: Digest, want: _Want) -> None:
        want.is_ready = True
        self._queues[want.queue].append(digest)
        self._is_settled = False

    def _push_later(self, at_ms: int, digest: Digest) -> None:
        self._count += 1
        heapq.heappush(self._later, (at_ms, self._count, digest))
