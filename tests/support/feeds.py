"""Builders of batch records: feeds without bodies, named by short texts."""

import hashlib

from consensus.types import ZERO_DIGEST, Digest
from node.feed.records import BatchRecord
from node.wire.ids import FeedId, FeedNumber, FeedTip, MemberId, Seq


def build_feed_id(member: str = "firm-0") -> FeedId:
    """The feed of a member."""
    return FeedId(MemberId(member), FeedNumber(0))


def build_digest(name: str) -> Digest:
    """A digest that is the same at each call with one name; that of "" is zero."""
    return Digest(hashlib.sha256(name.encode()).digest()) if name else ZERO_DIGEST


def build_tip(seq: int, name: str, *, member: str = "firm-0") -> FeedTip:
    """A tip by the name of its batch."""
    return FeedTip(build_feed_id(member), Seq(seq), build_digest(name))


def build_record(
    seq: int, name: str, previous: str = "", *, member: str = "firm-0", size: int = 100, count: int = 1
) -> BatchRecord:
    """A batch by its own name and that of the one before."""
    return BatchRecord(build_tip(seq, name, member=member), build_digest(previous), count, size)
