"""What the last run accepted on its member's feeds and did not see executed, read from the stores at the start."""

from dataclasses import dataclass, field

from consensus.types import Digest
from node.app.backends.capture import OnTheWay
from node.app.backends.transactions import Pending
from node.epcis.errors import UnreadableEventError
from node.epcis.reader import read_event
from node.ledger.batch import decode_batch
from node.ledger.roster import Member
from node.ledger.transaction import Kind, SignedTransaction, decode_capture
from node.storage.chain import ChainStore
from node.storage.index import IndexReader, IndexStore
from node.wire.codec import MalformedError
from node.wire.ids import FeedId, FeedTip, MemberId


@dataclass(frozen=True, slots=True)
class Recalled:
    """What waits to be final or never will be, and the events among the latter."""

    pending: Pending = field(default_factory=Pending)
    on_the_way: OnTheWay = field(default_factory=OnTheWay)


def recall(chain: ChainStore, index: IndexStore, member: MemberId, network_id: Digest) -> Recalled:
    """Return what this node accepted on its member's feeds, ended ones too, and did not see executed."""
    recalled = Recalled()
    lapsed: dict[Digest, tuple[FeedTip, SignedTransaction]] = {}
    with index.reader() as reader:
        own = reader.governance.roster.find(member)
        recalled.pending.on_epoch(has_feed=own is not None and own.has_feed)
        feeds = [feed for feed in chain.feeds() if feed.member == member]
        for feed in feeds:
            has_ended = is_over(feed, own, feeds, reader)
            executed = reader.executed_tip(feed)
            for tip, encoded in chain.batches_above(feed, -1 if executed is None else executed.seq):
                for one in decode_batch(encoded, network_id).transactions:
                    if (has_ended or feed != feeds[-1]) and reader.has_transaction(one.id):
                        continue
                    if has_ended:
                        lapsed[one.id] = tip, one
                    else:
                        # What an ended feed could not bring to an end was sealed again in this one.
                        lapsed.pop(one.id, None)
                        recalled.pending.add((one.id,), tip)
        for tip, one in lapsed.values():
            digests = tuple(digest for digest in _read_digests(one) if not reader.has_event(member, digest))
            if digests:
                recalled.pending.add_lapsed(one.id, tip)
                recalled.on_the_way.add(one.id, digests)
    return recalled


def is_over(feed: FeedId, own: Member | None, feeds: list[FeedId], reader: IndexReader) -> bool:
    """Return whether nothing more of a feed becomes final, on the next feed neither.

    What is uncut is sealed again as the first of the next feed, or never (`node/replica/sealing.py`).
    """
    if own is None or not own.has_feed:
        return True
    return feed < own.feed and (own.feed in feeds or reader.executed_tip(own.feed) is not None)


def _read_digests(signed: SignedTransaction) -> list[Digest]:
    """Return the events of a capture; of what else lapsed nothing can be entered again as it was."""
    if signed.transaction.kind != Kind.CAPTURE:
        return []
    try:
        capture = decode_capture(signed.transaction.payload)
    except MalformedError:
        return []
    digests = []
    for raw in capture.events:
        try:
            digests.append(read_event(raw, capture.context).event_digest)
        except UnreadableEventError:
            # Execution would have entered nothing for it.
            continue
    return digests
