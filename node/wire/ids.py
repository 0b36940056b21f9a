"""The names of members and of their feeds, as they stand in every message, batch and cut."""

import re
from dataclasses import dataclass
from typing import Final, NewType

from consensus.types import U32_MAX, U64_MAX, Digest
from node.wire.codec import MalformedError, Packable, read_array, read_digest, read_int, read_text

MemberId = NewType("MemberId", str)
"""A member's short name in the network: 1 … 32 of a-z, 0-9 and hyphen, beginning with a letter."""

FeedNumber = NewType("FeedNumber", int)
"""Which of a member's feeds: raised when its node key changes."""

Seq = NewType("Seq", int)
"""A batch's place in its feed, from 0, without gaps."""

MEMBER_ID_LENGTH_MAX: Final = 32
_MEMBER_ID: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")


def read_member_id(value: object, what: str) -> MemberId:
    """Return `value` as a member id. Raises MalformedError."""
    text = read_text(value, what, length_max=MEMBER_ID_LENGTH_MAX)
    if not _MEMBER_ID.fullmatch(text):
        raise MalformedError(f"{what}: {text!r} is not 1 … 32 of a-z, 0-9 and hyphen, beginning with a letter")
    return MemberId(text)


@dataclass(frozen=True, slots=True, order=True)
class FeedId:
    """One feed of one member. Ordered by member, then number."""

    member: MemberId
    number: FeedNumber


@dataclass(frozen=True, slots=True, order=True)
class FeedTip:
    """A batch of a feed by its place and digest: the tip of what is meant."""

    feed: FeedId
    seq: Seq
    digest: Digest

    def to_fields(self) -> Packable:
        """Return the array that stands in messages and cuts."""
        return (self.feed.member, self.feed.number, self.seq, self.digest)


def read_feed_tip(value: object, what: str) -> FeedTip:
    """Return `value` as a feed tip. Raises MalformedError."""
    member, number, seq, digest = read_array(value, what, length=4)
    return FeedTip(
        feed=FeedId(
            read_member_id(member, f"{what}.member"),
            FeedNumber(read_int(number, f"{what}.feed", highest=U32_MAX)),
        ),
        seq=Seq(read_int(seq, f"{what}.seq", highest=U64_MAX)),
        digest=read_digest(digest, f"{what}.digest"),
    )
