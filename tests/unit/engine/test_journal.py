"""Groups: what needs a sync, and what only a place in the log."""

import pytest

from consensus.messages import VoteKind
from node.engine.journal import WAITING_BYTES_MAX, Group
from node.replica.effects import Alarm, Effect, FinalBlock, Finalized, LogBatch, Persist, StoreBatch, StoreBlock
from tests.support.networks import build_batch, build_genesis, build_transaction
from tests.support.records import build_block, build_certificate, build_tip, build_vote

GENESIS = build_genesis()
BLOCK = build_block(1, parent_digest=GENESIS.network_id, network_id=GENESIS.network_id)
BATCH = build_batch(GENESIS, build_transaction(GENESIS))


def group_of(*effects: Effect) -> Group:
    group = Group()
    for effect in effects:
        group.add(effect)
    return group


@pytest.mark.parametrize(
    ("effect", "must_write", "must_sync"),
    [
        (StoreBatch(BATCH), True, False),
        (StoreBlock(BLOCK), True, False),
        (LogBatch(build_tip(0)), True, True),
        (Persist(build_vote(1)), True, True),
        (Persist(build_certificate(1, VoteKind.NOTARIZE)), True, False),
        (
            Finalized((FinalBlock(BLOCK, BLOCK.header.digest(), ()),), build_certificate(1, VoteKind.FINALIZE)),
            True,
            False,
        ),
        (Alarm("x"), False, False),
    ],
)
def test_each_effect_asks_for_what_its_promise_needs(effect: Effect, must_write: bool, must_sync: bool) -> None:
    """must_sync is the vote log's; the chain is always synced where it is written."""
    group = group_of(effect)
    assert (group.must_write, group.must_sync, group.is_empty) == (must_write, must_sync, False)


def test_a_certificate_after_a_vote_takes_no_sync_away() -> None:
    """The vote still needs it."""
    assert group_of(Persist(build_vote(1)), Persist(build_certificate(1))).must_sync


def test_an_empty_group_is_nothing_to_do() -> None:
    """Not even a thread."""
    assert Group().is_empty
    assert not Group().must_write


@pytest.mark.parametrize(
    ("effects", "may_wait"),
    [
        ((StoreBatch(BATCH),), True),
        ((StoreBatch(BATCH), StoreBatch(BATCH)), True),
        ((StoreBatch(BATCH), Alarm("x")), False),
        ((StoreBatch(BATCH), StoreBlock(BLOCK)), False),
        ((StoreBatch(BATCH), LogBatch(build_tip(0))), False),
        ((Alarm("x"),), False),
        ((), False),
    ],
)
def test_only_batches_that_nothing_rests_on_may_wait(effects: tuple[Effect, ...], may_wait: bool) -> None:
    """Whatever else is in the group is for now."""
    assert group_of(*effects).may_wait == may_wait


def test_only_so_many_bytes_may_wait() -> None:
    """They are in memory."""
    large = build_batch(GENESIS, build_transaction(GENESIS, payload=bytes(WAITING_BYTES_MAX // 4)))
    assert group_of(*[StoreBatch(large)] * 3).may_wait
    assert not group_of(*[StoreBatch(large)] * 4).may_wait
