"""Who is who: members, their node keys and feeds, and the validators by their index.

The one place to ask, so that members may come, go and change keys later. In epoch 0 it is what genesis says.
"""

from consensus.types import ValidatorIndex
from node.crypto.keys import PublicKey, verify_signature
from node.ledger.genesis import Genesis
from node.ledger.roster import Role
from node.wire.ids import FeedId, FeedNumber, MemberId


class Membership:
    """The members as genesis names them, seen from one of them.

    own_index: None for a node that does not vote. own_feed: None for an observer, which may not submit. others: the
    validators besides this node.
    """

    def __init__(self, genesis: Genesis, own: MemberId) -> None:
        self._members = genesis.members
        self.validators = genesis.validators
        self._index = {member: ValidatorIndex(place) for place, member in enumerate(genesis.validators)}
        self.own = own
        self.own_index = self._index.get(own)
        self.own_feed = FeedId(own, FeedNumber(0)) if genesis.members[own].role is not Role.OBSERVER else None
        self.others = tuple(member for member in genesis.validators if member != own)

    def has_member(self, member: MemberId) -> bool:
        """Return whether the member belongs to the network."""
        return member in self._members

    def index_of(self, member: MemberId) -> ValidatorIndex | None:
        """Return the member's place among the validators; None for one that does not vote."""
        return self._index.get(member)

    def member_at(self, index: ValidatorIndex) -> MemberId:
        """Return the validator at a place."""
        return self.validators[index]

    def find_feed_key(self, feed: FeedId) -> PublicKey | None:
        """Return the key that signs a feed's batches; None for a feed that does not exist (yet)."""
        member = self._members.get(feed.member)
        if member is None or member.role is Role.OBSERVER or feed != member.feed:
            return None
        return member.node_key


class ValidatorKeys:
    """The core's Verifier over the validators' node keys."""

    def __init__(self, genesis: Genesis) -> None:
        self._keys = tuple(genesis.members[member].node_key for member in genesis.validators)

    def verify(self, signer: ValidatorIndex, message: bytes, signature: bytes) -> bool:
        """Return whether `signature` is that validator's of `message`; False for an unknown one."""
        return signer < len(self._keys) and verify_signature(self._keys[signer], message, signature)
