"""Votes are taken before data, and a session whose share is full is not read."""

import asyncio

from consensus.types import Height
from node.p2p.framing import Frame
from node.p2p.inbox import FrameReceived, Inbox, Lane, PeerDown, PeerUp
from node.p2p.limits import Budget, Limits
from node.wire.ids import MemberId
from node.wire.messages import tag_of
from node.wire.tags import Tag
from tests.support.frames import build_batch, build_chain, build_vote

ALPHA = MemberId("alpha")
BETA = MemberId("beta")
SMALL = Limits(
    consensus_in=Budget(bytes_max=10_000, count_max=4),
    data_in=Budget(bytes_max=1000, count_max=100),
    bulk_in=Budget(bytes_max=1000, count_max=100),
)


def frame(data: bytes) -> Frame:
    return Frame(tag_of(data), data)


class Reading:
    """A session's socket: read, or left alone."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pause(self) -> None:
        self.calls.append("pause")

    def resume(self) -> None:
        self.calls.append("resume")


def open_lane(inbox: Inbox, reading: Reading | None = None, member: MemberId = ALPHA) -> Lane:
    reading = reading or Reading()
    return inbox.open_lane(member, reading.pause, reading.resume)


def test_who_is_connected_comes_first_then_votes_then_data_then_bulk() -> None:
    """A full data queue delays no vote."""
    inbox = Inbox(Limits())
    lane = open_lane(inbox)
    inbox.deliver(lane, [frame(build_chain()), frame(build_batch()), frame(build_vote())])
    inbox.announce(PeerUp(BETA, Height(3)))
    taken = inbox.take()
    assert taken[0] == PeerUp(BETA, Height(3))
    assert [each.tag for each in taken[1:] if isinstance(each, FrameReceived)] == [Tag.VOTE, Tag.BATCH, Tag.CHAIN]


def test_frames_of_one_kind_keep_their_order() -> None:
    """A session is an ordered channel within each priority."""
    inbox = Inbox(Limits())
    lane = open_lane(inbox)
    sent = [build_vote(view) for view in range(1, 300)]
    inbox.deliver(lane, [frame(each) for each in sent])
    taken = [*inbox.take(100), *inbox.take(100), *inbox.take(100)]
    assert [each.frame for each in taken if isinstance(each, FrameReceived)] == sent


def test_a_session_is_paused_once_its_share_is_full_and_resumed_at_half() -> None:
    """T-36: back-pressure without flapping."""
    inbox = Inbox(SMALL)
    reading = Reading()
    lane = open_lane(inbox, reading)
    inbox.deliver(lane, [frame(build_vote()) for _ in range(4)])
    assert reading.calls == ["pause"]
    assert lane.is_paused
    inbox.take(1)
    assert reading.calls == ["pause"]
    inbox.take(1)
    assert reading.calls == ["pause", "resume"]
    assert not lane.is_paused


def test_bytes_count_as_well_as_frames() -> None:
    """Few large frames fill a share too."""
    inbox = Inbox(SMALL)
    reading = Reading()
    inbox.deliver(open_lane(inbox, reading), [frame(build_batch(1000))])
    assert reading.calls == ["pause"]


def test_one_peers_full_share_pauses_no_other_peer() -> None:
    """Budgets are by session."""
    inbox = Inbox(SMALL)
    other = Reading()
    inbox.deliver(open_lane(inbox, Reading()), [frame(build_batch(1000))])
    inbox.deliver(open_lane(inbox, other, BETA), [frame(build_vote())])
    assert other.calls == []


def test_a_session_full_in_two_queues_is_resumed_only_when_both_are_at_half() -> None:
    """Reading on would overfill the queue that is still full."""
    inbox = Inbox(SMALL)
    reading = Reading()
    lane = open_lane(inbox, reading)
    inbox.deliver(lane, [frame(build_vote()) for _ in range(4)])
    inbox.deliver(lane, [frame(build_batch(1000))])
    inbox.take(4)
    assert reading.calls == ["pause"]
    inbox.take(1)
    assert reading.calls == ["pause", "resume"]


def test_what_waits_of_a_peer_that_broke_the_rules_is_dropped() -> None:
    """Nothing more of it is wanted, and the others lose nothing."""
    inbox = Inbox(Limits())
    bad, good = open_lane(inbox), open_lane(inbox, member=BETA)
    inbox.deliver(bad, [frame(build_vote(1))])
    inbox.deliver(good, [frame(build_vote(2))])
    bad.drop()
    assert inbox.take() == [FrameReceived(BETA, Tag.VOTE, build_vote(2))]


def test_waiting_ends_when_something_arrives_and_begins_again_when_all_is_taken() -> None:
    """One task takes; it sleeps while nothing is there."""

    async def scenario() -> None:
        inbox = Inbox(Limits())
        woken: list[int] = []
        inbox.set_wake(lambda: woken.append(1))
        assert inbox.take() == []
        inbox.announce(PeerUp(ALPHA, Height(0)))
        inbox.announce(PeerDown(ALPHA))
        await asyncio.wait_for(inbox.wait(), 1)
        assert len(woken) == 1, "woken once for all that came"
        assert len(inbox.take(1)) == 1
        await asyncio.wait_for(inbox.wait(), 1)
        assert len(inbox.take()) == 1
        waiting = asyncio.ensure_future(inbox.wait())  # noqa: TID251 - the test owns it and cancels it
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()

    asyncio.run(scenario())
