"""`network.status` and `member.list`."""

import msgspec


class Peer(msgspec.Struct, frozen=True):
    """Another member's node. connected: whether a session is open now."""

    member: str
    name: str
    role: str
    address: str
    connected: bool


class FeedStatus(msgspec.Struct, frozen=True):
    """A feed as this node holds it. held: batches on disk here. final: batches that are final."""

    member: str
    feed: int
    held: int
    final: int


class Part(msgspec.Struct, frozen=True):
    """A part of the node: ok, starting, degraded or failed, and why in words."""

    state: str
    words: str


class StatusResult(msgspec.Struct, frozen=True):
    """How the node is.

    height: of the newest final block known. executed_height: of the newest executed one; lag: blocks between.
    faulty_max: validators that may fail with the rest going on; tolerance says so in words. state_digest: hex, at
    executed_height, equal on every node at one height. role: none for a node whose member is not in the newest epoch
    known. lapsed: accepted transactions that never become final, their feed having ended, and that were not entered
    again. proposals: open ones. waiting_for: in words, what the node lacks before it can do its part.
    """

    version: str
    network: str
    network_id: str
    member: str
    role: str
    epoch: int
    validators: int
    faulty_max: int
    tolerance: str
    view: int
    height: int
    executed_height: int
    lag: int
    state_digest: str
    transactions: int
    events: int
    pending: int
    lapsed: int
    ready: bool
    peers: tuple[Peer, ...]
    feeds: tuple[FeedStatus, ...]
    proposals: int
    waiting_for: tuple[str, ...]
    parts: dict[str, Part]


class Member(msgspec.Struct, frozen=True):
    """A member of the network. organisation_id: a GLN or other id, or empty. node_key, actor_keys: hex.

    role: former for one that was removed. key_fingerprint: the beginning of the node key, for people. feed: number of
    the feed that its node writes now.
    """

    id: str
    name: str
    organisation_id: str
    role: str
    address: str
    node_key: str
    key_fingerprint: str
    feed: int
    actor_keys: tuple[str, ...]


class MembersResult(msgspec.Struct, frozen=True):
    """All members of the present epoch, by id, former ones too."""

    epoch: int
    members: tuple[Member, ...]
