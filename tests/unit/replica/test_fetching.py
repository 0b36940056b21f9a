"""What is missing is asked of one peer after the other, within bounds."""

from consensus.types import Digest
from node.replica.fetching import (
    ASK_AGAIN_MS,
    LOOKS_IN_VAIN_MAX,
    OPEN_MAX,
    OPEN_MS_MAX,
    OPEN_PER_PEER_MAX,
    SLOW_MS,
    SPARE_SHARE,
    Fetcher,
)
from node.wire.ids import MemberId
from node.wire.messages import BlockRequest
from tests.support.feeds import build_digest

A, B, C = MemberId("a"), MemberId("b"), MemberId("c")


def build_fetcher(*members: MemberId, needed: dict[Digest, None] | None = None) -> Fetcher:
    """A fetcher with these peers; everything is needed if not told."""
    fetcher = Fetcher(is_needed=lambda digest: needed is None or digest in needed)
    for member in members:
        fetcher.peer_up(member)
    return fetcher


def want(
    fetcher: Fetcher,
    name: str,
    *hints: MemberId,
    now_ms: int = 0,
    is_urgent: bool = True,
    after_ms: int = 0,
    expires_ms: int | None = None,
) -> Digest:
    """Want a thing by its name."""
    digest = build_digest(name)
    fetcher.want(
        digest,
        BlockRequest(digest),
        now_ms=now_ms,
        hints=hints,
        is_urgent=is_urgent,
        after_ms=after_ms,
        expires_ms=expires_ms,
    )
    return digest


def asked(fetcher: Fetcher, now_ms: int) -> list[MemberId]:
    """Who is asked now."""
    return [member for member, _ in fetcher.take_due(now_ms)]


def test_hints_are_asked_first_and_then_each_peer_in_turn() -> None:
    """No answer in time: the next one, with growing patience; the first may still answer."""
    fetcher = build_fetcher(A, B, C)
    digest = want(fetcher, "x", B, MemberId("gone"))
    assert asked(fetcher, 0) == [B]
    assert fetcher.is_open(B, digest)
    assert asked(fetcher, ASK_AGAIN_MS - 1) == []
    assert fetcher.deadline_ms() == ASK_AGAIN_MS
    second = asked(fetcher, ASK_AGAIN_MS)
    third = asked(fetcher, ASK_AGAIN_MS * 5 // 2)
    assert sorted([*second, *third]) == [A, C]
    assert fetcher.close(B, digest)
    assert not fetcher.close(B, digest)


def test_when_all_were_asked_the_round_begins_anew() -> None:
    """Whoever has it may have come back."""
    fetcher = build_fetcher(A)
    want(fetcher, "x")
    assert asked(fetcher, 0) == [A]
    assert asked(fetcher, ASK_AGAIN_MS) == []
    # The first request has to fail before the only peer is asked again.
    now_ms = ASK_AGAIN_MS
    again: list[MemberId] = []
    while not again:
        now_ms = fetcher.deadline_ms() or 0
        again = asked(fetcher, now_ms)
    assert again == [A]
    assert now_ms >= OPEN_MS_MAX


def test_no_peer_has_more_than_its_share_of_open_requests_and_all_together_have_a_bound() -> None:
    """8 a peer, 64 in all; the rest waits for its turn."""
    fetcher = build_fetcher(A, B)
    digests = [want(fetcher, f"{number}") for number in range(40)]
    sends = fetcher.take_due(0)
    assert len(sends) == 2 * OPEN_PER_PEER_MAX
    assert fetcher.open_count == 16
    assert fetcher.take_due(0) == []
    member, request = sends[0]
    assert isinstance(request, BlockRequest)
    fetcher.close(member, request.digest)
    fetcher.drop(request.digest)
    assert len(fetcher.take_due(0)) == 1
    assert fetcher.want_count == len(digests) - 1
    many = build_fetcher(*(MemberId(f"m{number}") for number in range(12)))
    for number in range(90):
        want(many, f"{number}")
    assert len(many.take_due(0)) == OPEN_MAX


def test_what_was_asked_in_vain_or_nobody_waits_for_leaves_half_of_all_places() -> None:
    """Else names of things that do not exist would keep all requests busy."""
    for is_urgent in (True, False):
        fetcher = build_fetcher(A, B)
        for number in range(60):
            want(fetcher, f"bogus {number}", is_urgent=is_urgent)
        assert len(fetcher.take_due(0)) == (16 if is_urgent else 8)
        now_ms = 0
        for _ in range(9):
            now_ms += OPEN_MS_MAX
            fetcher.take_due(now_ms)
        assert fetcher.open_count <= 16
        digest = want(fetcher, "real", now_ms=now_ms + OPEN_MS_MAX)
        sends = fetcher.take_due(now_ms + OPEN_MS_MAX)
        assert BlockRequest(digest) in [request for _, request in sends]
    many = build_fetcher(*(MemberId(f"m{number}") for number in range(20)))
    for number in range(90):
        want(many, f"{number}", is_urgent=False)
    assert len(many.take_due(0)) == OPEN_MAX // SPARE_SHARE


def test_who_probably_has_it_is_waited_for_while_busy() -> None:
    """Others would stay silent."""
    fetcher = build_fetcher(A, B)
    for number in range(OPEN_PER_PEER_MAX):
        want(fetcher, f"{number}", A)
    digest = want(fetcher, "x", A)
    assert asked(fetcher, 0) == [A] * OPEN_PER_PEER_MAX
    fetcher.close(A, build_digest("0"))
    fetcher.drop(build_digest("0"))
    assert fetcher.take_due(1) == [(A, BlockRequest(digest))]


def test_who_answers_nothing_is_waited_for_no_longer_and_others_are_asked() -> None:
    """T-33: the author of a feed is named for each batch; its silence is not the pace of who catches up."""
    fetcher = build_fetcher(A, B)
    for number in range(OPEN_PER_PEER_MAX + 1):
        want(fetcher, f"{number}", A)
    assert asked(fetcher, 0) == [A] * OPEN_PER_PEER_MAX
    # Elsewhere there are no answers either: only the one that was never asked for matters here.
    for number in range(OPEN_PER_PEER_MAX):
        fetcher.drop(build_digest(f"{number}"))
    assert fetcher.deadline_ms() is not None
    assert asked(fetcher, SLOW_MS - 1) == []
    assert fetcher.deadline_ms() == SLOW_MS
    assert fetcher.take_due(SLOW_MS) == [(B, BlockRequest(build_digest(f"{OPEN_PER_PEER_MAX}")))]
    want(fetcher, "next", A, now_ms=SLOW_MS)
    assert asked(fetcher, SLOW_MS) == [B]
    for name in (f"{OPEN_PER_PEER_MAX}", "next"):
        fetcher.drop(build_digest(name))
    want(fetcher, "later", A, now_ms=OPEN_MS_MAX)
    assert asked(fetcher, OPEN_MS_MAX) == [A]


def test_what_one_peer_merely_tells_of_is_asked_of_nobody_else_while_that_peer_is_silent() -> None:
    """A liar tells of a thousand batches that do not exist: the places of the honest stay free for what is needed."""
    fetcher = build_fetcher(A, B, C)
    for number in range(100):
        want(fetcher, f"lie {number}", A, is_urgent=False, expires_ms=60_000)
    for now_ms in range(0, OPEN_MS_MAX, 50):
        assert set(asked(fetcher, now_ms)) <= {A}


def test_what_agreement_waits_for_keeps_its_place_while_all_are_busy() -> None:
    """It had slept whenever all were busy, and what nobody waits for took each place that became free meanwhile."""
    fetcher = build_fetcher(A, B)
    for number in range(200):
        want(fetcher, f"idle {number}", B, is_urgent=False, expires_ms=60_000)
    assert asked(fetcher, 0) == [B] * (OPEN_PER_PEER_MAX // SPARE_SHARE)
    tried = want(fetcher, "tried", A)
    sent = [(now_ms, *one) for now_ms in range(0, OPEN_MS_MAX + 1, 10) for one in fetcher.take_due(now_ms)]
    assert [(now_ms, member) for now_ms, member, request in sent if request == BlockRequest(tried)] == [
        (0, A),
        (OPEN_MS_MAX, B),
    ]


def test_urgent_wants_come_before_the_others() -> None:
    """Agreement does not wait behind what is fetched in advance."""
    fetcher = build_fetcher(A)
    for number in range(OPEN_PER_PEER_MAX):
        want(fetcher, f"later {number}", is_urgent=False)
    digest = want(fetcher, "urgent")
    sends = fetcher.take_due(0)
    assert sends[0] == (A, BlockRequest(digest))


def test_what_may_come_by_itself_is_asked_for_after_a_while() -> None:
    """after_ms: a push is probably on its way; a pressing need does not wait for it."""
    fetcher = build_fetcher(A)
    digest = want(fetcher, "x", after_ms=150, expires_ms=10_000)
    assert asked(fetcher, 0) == []
    want(fetcher, "x", now_ms=10, after_ms=150, expires_ms=11_000)
    assert asked(fetcher, 100) == []
    want(fetcher, "x", A, now_ms=100)
    assert asked(fetcher, 100) == [A]
    assert fetcher.is_wanted(digest)
    want(fetcher, "y", now_ms=100, after_ms=150, is_urgent=False, expires_ms=10_000)
    assert asked(fetcher, 250) == [A]


def test_what_becomes_urgent_is_asked_for_at_once_again() -> None:
    """Nobody waited for it, so it was asked for ever more seldom; now a block does."""
    fetcher = build_fetcher(A)
    digest = want(fetcher, "x", is_urgent=False, expires_ms=60_000)
    now_ms = 0
    for _ in range(12):
        fetcher.take_due(now_ms)
        now_ms = fetcher.deadline_ms() or 0
    fetcher.take_due(now_ms)
    fetcher.close(A, digest)
    want(fetcher, "x", A, now_ms=now_ms)
    assert fetcher.take_due(now_ms) == [(A, BlockRequest(digest))]
    fetcher.close(A, digest)
    assert asked(fetcher, now_ms + ASK_AGAIN_MS) == [A]


def test_a_want_ends_when_its_time_is_over_or_nobody_needs_it() -> None:
    """What only a have-vector names expires; what a block needs goes with the block."""
    needed = {build_digest("x"): None}
    fetcher = build_fetcher(needed=needed)
    digest = want(fetcher, "x")
    other = want(fetcher, "y", expires_ms=1_000)
    fetcher.peer_up(A)
    assert asked(fetcher, 0) == [A, A]
    needed.clear()
    fetcher.take_due(ASK_AGAIN_MS)
    assert not fetcher.is_wanted(digest)
    assert fetcher.is_wanted(other)
    fetcher.take_due(1_000)
    fetcher.take_due(2_000)
    assert not fetcher.is_wanted(other)
    late = want(fetcher, "z")
    assert asked(fetcher, 2_000) == []
    assert not fetcher.is_wanted(late)


def test_a_useless_answer_and_a_lost_peer_make_the_next_one_be_asked_at_once() -> None:
    """ask_now and peer_down."""
    fetcher = build_fetcher(A, B)
    digest = want(fetcher, "x", A)
    assert asked(fetcher, 0) == [A]
    fetcher.ask_now(digest)
    fetcher.ask_now(digest)
    assert asked(fetcher, 0) == [B]
    fetcher.peer_down(B)
    assert fetcher.open_count == 1
    fetcher.peer_down(MemberId("never seen"))
    fetcher.close(A, digest)
    assert asked(fetcher, 0) == [A]
    fetcher.ask_now(build_digest("not wanted"))


def test_without_peers_nothing_is_asked_and_all_is_once_one_comes() -> None:
    """Wants wait."""
    fetcher = build_fetcher()
    want(fetcher, "x", A)
    assert asked(fetcher, 0) == []
    assert fetcher.deadline_ms() is None
    fetcher.peer_up(B)
    assert asked(fetcher, 5) == [B]


def test_a_request_that_is_never_answered_frees_its_place() -> None:
    """Open requests end after a time, whoever is silent."""
    fetcher = build_fetcher(A)
    digest = want(fetcher, "x")
    asked(fetcher, 0)
    fetcher.drop(digest)
    assert fetcher.open_count == 1
    fetcher.take_due(OPEN_MS_MAX)
    assert fetcher.open_count == 0


def test_wanting_the_same_thing_often_makes_no_queue() -> None:
    """While no peer is there, every block that waits for it says so again."""
    fetcher = build_fetcher()
    for _ in range(1_000):
        want(fetcher, "x")
    assert sum(len(queue) for queue in fetcher._queues) == 1


def test_a_want_dropped_and_wanted_again_is_asked_for_once() -> None:
    """Traces of the first want in the queue count for nothing."""
    fetcher = build_fetcher()
    digest = want(fetcher, "x")
    fetcher.drop(digest)
    want(fetcher, "x")
    fetcher.peer_up(A)
    fetcher.peer_up(B)
    assert len(fetcher.take_due(0)) == 1


def test_while_nothing_has_changed_no_want_is_looked_at_again() -> None:
    """A node that catches up has hundreds of wants and is stepped hundreds of times a second.

    Looking at each of them in each step took a busy node so long that answers waited until their requests were given
    up: it asked again and fell further behind.
    """
    looks = 0

    def is_needed(digest: Digest) -> bool:
        nonlocal looks
        looks += 1
        return True

    fetcher = Fetcher(is_needed=is_needed)
    for member in (A, B, C):
        fetcher.peer_up(member)
    for number in range(500):
        want(fetcher, f"x{number}", A, is_urgent=number % 2 == 0)
    first = fetcher.take_due(0)
    assert len(first) == OPEN_PER_PEER_MAX
    looked = looks
    for now_ms in range(1, ASK_AGAIN_MS):
        assert fetcher.take_due(now_ms) == []
    assert looks == looked
    # A place that is free again is used at once, at the price of a few looks.
    member, request = first[0]
    assert isinstance(request, BlockRequest)
    assert fetcher.close(member, request.digest)
    fetcher.drop(request.digest)
    assert asked(fetcher, ASK_AGAIN_MS - 1) == [A]
    assert looks <= looked + 3 * LOOKS_IN_VAIN_MAX


def test_what_becomes_urgent_while_it_waits_in_line_goes_first() -> None:
    """It stands in another line then, whenever it may be asked for."""
    fetcher = build_fetcher()
    want(fetcher, "calm", is_urgent=False)
    for number in range(OPEN_PER_PEER_MAX // SPARE_SHARE):
        want(fetcher, f"other {number}", is_urgent=False)
    pressed = want(fetcher, "pressed", is_urgent=False)
    want(fetcher, "pressed", after_ms=50)
    fetcher.peer_up(A)
    # Pressed from the end of the line, it is asked for in time, for all that was looked at before.
    seen: set[Digest] = set()
    for now_ms in range(3):
        for _, request in fetcher.take_due(now_ms):
            assert isinstance(request, BlockRequest)
            seen.add(request.digest)
            fetcher.close(A, request.digest)
            fetcher.drop(request.digest)
    assert pressed in seen
    assert len(seen) == OPEN_PER_PEER_MAX // SPARE_SHARE + 2
