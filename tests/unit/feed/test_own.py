"""This member's own feed: when a batch is sealed, what goes into it, what is refused."""

import pytest

from consensus.types import ZERO_DIGEST
from node.feed.branches import WINDOW_BYTES
from node.feed.own import OwnFeed, Refusal
from node.ledger.batch import BATCH_BODY_BYTES_MAX, BATCH_TRANSACTIONS_MAX, SEAL_DELAY_MS, decode_batch
from node.ledger.transaction import SignedTransaction
from node.wire.messages import BATCH_BYTES_MAX
from tests.support.feeds import build_feed_id
from tests.support.networks import build_genesis, build_key, build_transaction

GENESIS = build_genesis(validators=1)
SMALL = build_transaction(GENESIS)
LARGE = build_transaction(GENESIS, payload=bytes(400_000))


def build_own() -> OwnFeed:
    """A feed that has nothing in it."""
    own = OwnFeed(network_id=GENESIS.network_id, feed=build_feed_id(), key=build_key("firm-0"))
    own.continue_after(seq=-1, digest=ZERO_DIGEST)
    return own


def submit(own: OwnFeed, token: int, *transactions: SignedTransaction) -> Refusal | None:
    """Submit to a feed of which all is final."""
    return own.submit(token, transactions, reach_bytes=0)


def test_a_lone_submission_is_sealed_at_once() -> None:
    """An idle feed does not wait for company."""
    own = build_own()
    assert own.deadline_ms() is None
    assert submit(own, 1, SMALL) is None
    assert own.deadline_ms() == 0
    sealed = own.seal(now_ms=5, wall_ms=1_000)
    assert sealed is not None
    assert sealed.tokens == (1,)
    assert sealed.batch.transactions == (SMALL,)
    assert (sealed.batch.header.seq, sealed.batch.header.previous, sealed.batch.header.time_ms) == (
        0,
        ZERO_DIGEST,
        1_000,
    )
    assert sealed.batch.verify_node(build_key("firm-0").public_key)
    assert own.seal(now_ms=5, wall_ms=1_000) is None


def test_a_stream_is_sealed_once_in_the_delay_and_links() -> None:
    """Under load a batch waits for the rest of its delay; seqs are gapless, each names the one before."""
    own = build_own()
    submit(own, 1, SMALL)
    first = own.seal(now_ms=100, wall_ms=1_000)
    submit(own, 2, SMALL)
    submit(own, 3, SMALL, SMALL)
    assert own.deadline_ms() == 100 + SEAL_DELAY_MS
    assert own.seal(now_ms=99 + SEAL_DELAY_MS, wall_ms=1_000) is None
    second = own.seal(now_ms=100 + SEAL_DELAY_MS, wall_ms=1_000)
    assert first is not None
    assert second is not None
    assert second.tokens == (2, 3)
    assert (second.batch.header.seq, second.batch.header.previous) == (1, first.batch.digest)
    assert own.next_seq == 2
    submit(own, 4, SMALL)
    assert own.seal(now_ms=126, wall_ms=1_000, at_once=True) is not None


@pytest.mark.parametrize(
    ("transactions", "lengths"),
    [([SMALL] * (BATCH_TRANSACTIONS_MAX + 1), [BATCH_TRANSACTIONS_MAX, 1]), ([LARGE] * 3, [2, 1])],
)
def test_a_full_batch_is_sealed_at_once_and_the_rest_waits(
    transactions: list[SignedTransaction], lengths: list[int]
) -> None:
    """Limits: 4,096 transactions, 1 MiB. A request is done with its last transaction."""
    own = build_own()
    submit(own, 1, SMALL)
    own.seal(now_ms=0, wall_ms=0)
    for token, transaction in enumerate(transactions):
        submit(own, token, transaction)
    assert own.waiting_count == len(transactions)
    first = own.seal(now_ms=1, wall_ms=0)
    assert first is not None
    assert len(first.batch.transactions) == lengths[0]
    assert first.batch.header.byte_count <= BATCH_BODY_BYTES_MAX
    assert own.deadline_ms() == 1 + SEAL_DELAY_MS
    second = own.seal(now_ms=1 + SEAL_DELAY_MS, wall_ms=0)
    assert second is not None
    assert second.tokens == (len(transactions) - 1,)


def test_many_small_transactions_never_make_a_batch_larger_than_a_message() -> None:
    """The heads of thousands of entries count too (found by simulation)."""
    own = build_own()
    bare = build_transaction(GENESIS, payload=bytes(100)).size_bytes - 100
    small = build_transaction(GENESIS, payload=bytes(255 - bare))
    assert small.size_bytes * BATCH_TRANSACTIONS_MAX <= BATCH_BODY_BYTES_MAX
    submit(own, 1, *[small] * BATCH_TRANSACTIONS_MAX)
    sealed = own.seal(now_ms=0, wall_ms=0)
    assert sealed is not None
    assert len(sealed.batch.transactions) > 3_900
    assert len(sealed.batch.encoded) <= BATCH_BYTES_MAX
    assert decode_batch(sealed.batch.encoded, GENESIS.network_id) == sealed.batch


def test_a_request_may_span_batches_and_is_done_with_its_last_transaction() -> None:
    """Its token comes with the batch that holds the end of it."""
    own = build_own()
    submit(own, 9, LARGE, LARGE, LARGE)
    first, second = own.seal(now_ms=0, wall_ms=0), own.seal(now_ms=SEAL_DELAY_MS, wall_ms=0)
    assert first is not None
    assert second is not None
    assert (first.tokens, second.tokens) == ((), (9,))


def test_what_cannot_be_taken_is_refused_whole() -> None:
    """T-48: an empty request, one larger than a batch, one beyond the window."""
    own = build_own()
    assert submit(own, 1) is Refusal.TOO_LARGE
    assert submit(own, 1, *[SMALL] * (BATCH_TRANSACTIONS_MAX + 1)) is Refusal.TOO_LARGE
    assert own.submit(1, (SMALL,), reach_bytes=WINDOW_BYTES) is Refusal.FEED_FULL
    assert own.submit(1, (SMALL,), reach_bytes=WINDOW_BYTES - SMALL.size_bytes) is None
    assert own.submit(1, (SMALL,), reach_bytes=WINDOW_BYTES - SMALL.size_bytes) is Refusal.FEED_FULL
    assert own.waiting_count == 1


def test_a_lost_feed_seals_nothing_until_its_end_is_known() -> None:
    """Whatever it sealed might be the second batch of its seq."""
    own = build_own()
    submit(own, 1, SMALL)
    own.lose()
    assert own.is_lost
    assert own.deadline_ms() is None
    assert own.seal(now_ms=1_000, wall_ms=0, at_once=True) is None
    assert submit(own, 2, SMALL) is Refusal.FEED_LOST
    own.continue_after(seq=6, digest=SMALL.id)
    sealed = own.seal(now_ms=1_000, wall_ms=0)
    assert sealed is not None
    assert (sealed.batch.header.seq, sealed.batch.header.previous) == (7, SMALL.id)


def test_what_waits_in_an_ended_feed_is_sealed_into_the_next_one() -> None:
    """In order, with whom to answer; nothing stays behind."""
    ended, following = build_own(), build_own()
    ended.is_held = True
    submit(ended, 1, SMALL)
    submit(ended, 2, SMALL, LARGE)
    assert ended.waiting_tokens() == (1, 2)
    following.inherit(ended)
    assert (ended.waiting_count, following.waiting_count) == (0, 3)
    sealed = following.seal(now_ms=5, wall_ms=1_000)
    assert sealed is not None
    assert sealed.tokens == (1, 2)
