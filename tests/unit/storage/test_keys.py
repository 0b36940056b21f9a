"""The key schema: order in keys is the order that readers rely on."""

import pytest

from consensus.types import Digest, Height
from node.lineage.near import fold_code
from node.lineage.records import EventRef, Posting, PostingKind
from node.storage import keys
from node.wire.ids import FeedId, FeedNumber, FeedTip, MemberId, Seq

FEEDS = [
    FeedId(MemberId(member), FeedNumber(number))
    for member, number in [("a", 0), ("a", 1), ("a", 256), ("a-b", 0), ("ab", 0), ("b", 0)]
]
DIGEST = Digest(bytes(range(32)))


def test_each_table_has_a_letter_of_its_own() -> None:
    """A scan of one table meets no row of another."""
    letters = [value for name, value in vars(keys).items() if name.isupper() and isinstance(value, bytes)]
    tables = [letter for letter in letters if len(letter) == 1]
    assert len(set(tables)) == len(tables) > 20


def test_feeds_stand_in_their_own_order() -> None:
    """So a walk over a table by feed meets them as a cut does."""
    assert sorted(FEEDS) == FEEDS
    assert sorted(keys.feed_part(feed) for feed in FEEDS) == [keys.feed_part(feed) for feed in FEEDS]


@pytest.mark.parametrize("feed", FEEDS)
def test_a_batch_key_reads_back(feed: FeedId) -> None:
    """Recovery learns what is held from keys."""
    tip = FeedTip(feed, Seq(2**40), DIGEST)
    assert keys.read_batch_key(keys.batch_key(tip)) == tip
    assert keys.read_final_tip_key(keys.final_tip_key(feed)) == feed


def test_batches_stand_by_seq() -> None:
    """Integers are big-endian."""
    tips = [FeedTip(FEEDS[0], Seq(seq), DIGEST) for seq in (0, 1, 255, 256, 2**32)]
    assert sorted(keys.batch_key(tip) for tip in tips) == [keys.batch_key(tip) for tip in tips]


def test_postings_stand_by_time_then_place() -> None:
    """A reader takes an item's events in the order of their time, also before 1970."""
    wanted = [
        (-(10**13), EventRef(Height(9), 9, 9)),
        (-1, EventRef(Height(9), 0, 0)),
        (0, EventRef(Height(1), 0, 0)),
        (5, EventRef(Height(1), 2, 3)),
        (5, EventRef(Height(1), 2, 4)),
        (5, EventRef(Height(2), 0, 0)),
    ]
    prefix = keys.posting_prefix(PostingKind.ITEM, keys.short("item"))
    encoded = [prefix + keys.posting_tail(time_ms, ref) for time_ms, ref in wanted]
    assert sorted(encoded) == encoded
    read = keys.read_postings(PostingKind.ITEM, "item", [(key, b"\x05") for key in encoded])
    assert read == [Posting(PostingKind.ITEM, "item", time_ms, ref, 5) for time_ms, ref in wanted]


def test_events_stand_in_ledger_order() -> None:
    """The scan of all events is the ledger's order."""
    refs = [
        EventRef(Height(1), 0, 0),
        EventRef(Height(1), 0, 1),
        EventRef(Height(1), 1, 0),
        EventRef(Height(300), 0, 0),
    ]
    assert sorted(keys.event_key(ref) for ref in refs) == [keys.event_key(ref) for ref in refs]


def test_codes_are_folded_to_letters_and_digits() -> None:
    """What a smudged label keeps of a code."""
    assert fold_code("lot-12/ä.b") == "LOT12ÄB"


def test_the_newest_flag_stands_first() -> None:
    """So the first page of a list is what is new."""
    ages = [keys.flag_age(since_ms, bytes([number])) for since_ms in (10**13, 5, 0, -7) for number in range(2)]
    assert sorted(ages) == ages


def test_no_two_tables_share_a_letter() -> None:
    """Each table is a range of its own."""
    chain = [keys.MARK, keys.BATCH, keys.BLOCK, keys.BLOCK_AT, keys.FINAL, keys.CERTIFICATE, keys.FINAL_TIP]
    index = [
        keys.MARK,
        keys.EXECUTED,
        keys.FEED_CLOCK,
        keys.EVENT_DIGEST,
        keys.EVENT,
        keys.EXECUTED_BATCH,
        keys.ITEM,
        keys.WORD,
        keys.CODE,
        keys.CODE_REVERSED,
        keys.MASTER,
        keys.PRODUCT,
        keys.TRANSACTION,
        keys.POSTING,
        keys.EVIDENCE,
        keys.WAIVER,
        keys.FLAGS,
    ]
    for tables in (chain, index):
        assert len(set(tables)) == len(tables)
        assert all(len(table) == 1 for table in tables)
