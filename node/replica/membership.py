"""Who is who in one epoch: members, their node keys and feeds, and the validators by their index.

The one place to ask. Constant within an epoch: every change takes effect at an epoch's boundary.
"""

from consensus.types import ValidatorIndex
from node.crypto.keys import PublicKey, verify_signature
from node.ledger.roster import Roster
from node.wire.ids import FeedId, MemberId


class Membership:
    """The members of a roster, seen from one of them.

    own: may be missing in the roster: a node that only follows. own_index: None for a node that does not vote, and
    for one whose key is no longer the member's. own_feed: None for a node that may not submit. others: the
    validators besides this node's member.
    """

    def __init__(self, roster: Roster, own: MemberId, own_key: PublicKey | None = None) -> None:
        """own_key: of this node; None takes it for the one that the roster names."""
        self.roster = roster
        self.validators = roster.validators
        self._index = {member: ValidatorIndex(place) for place, member in enumerate(roster.validators)}
        self.own = own
        us = roster.find(own)
        self.is_ours = us is not None and own_key in (None, us.node_key)
        self.own_index = self._index.get(own) if self.is_ours else None
        self.own_feed = us.feed if us is not None and self.is_ours and us.has_feed else None
        self.others = tuple(member for member in roster.validators if member != own)

    def has_member(self, member: MemberId) -> bool:
        """Return whether the member takes part in the network."""
        found = self.roster.find(member)
        return found is not None and found.is_present

    def index_of(self, member: MemberId) -> ValidatorIndex | None:
        """Return the member's place among the validators; None for one that does not vote."""
        return self._index.get(member)

    def member_at(self, index: ValidatorIndex) -> MemberId:
        """Return the validator at a place."""
        return self.validators[index]

    def feed_of(self, member: MemberId) -> FeedId | None:
        """Return the member's present feed, or None."""
        found = self.roster.find(member)
        return found.feed if found is not None and found.has_feed else None

    def find_feed_key(self, feed: FeedId) -> PublicKey | None:
        """Return the key that signs a feed's batches; None for a feed that does not exist (yet), or has ended."""
        member = self.roster.find(feed.member)
        if member is None or not member.has_feed or feed != member.feed:
            return None
        return member.node_key


class ValidatorKeys:
    """The core's Verifier over the validators' node keys."""

    def __init__(self, roster: Roster) -> None:
        self._keys = roster.validator_keys()

    def verify(self, signer: ValidatorIndex, message: bytes, signature: bytes) -> bool:
        """Return whether `signature` is that validator's of `message`; False for an unknown one."""
        return signer < len(self._keys) and verify_signature(self._keys[signer], message, signature)
