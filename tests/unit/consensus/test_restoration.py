"""Going on from what was durable."""

import pytest

from consensus.errors import InvariantError
from consensus.messages import Vote
from consensus.recovery import Recovered
from consensus.restoration import Restored, restore
from consensus.types import Epoch, Height, View
from tests.support.core_builders import (
    FINALIZE,
    NETWORK_ID,
    NOTARIZE,
    NULLIFY,
    build_block,
    build_digest,
    build_setup,
    build_subject,
    certify,
    change_header,
    finalization,
    notarization,
    nullification,
    sign,
)

ONE = build_block(1)
TWO = build_block(2, parent=ONE)


def again(**recovered: object) -> Restored:
    return restore(build_setup(), Recovered(**recovered))  # type: ignore[arg-type] # any field


def own(subject_view: int, name: str | None = None) -> Vote:
    subject = build_subject(NULLIFY, subject_view)
    if name is not None:
        subject = build_subject(NOTARIZE, subject_view, build_digest(name))
    return sign(subject, 0)


def test_a_node_that_never_ran_begins_in_view_one() -> None:
    """At the anchor."""
    restored = again()
    assert (restored.view, restored.entry) == (1, None)
    assert restored.chain.final_digest == NETWORK_ID


@pytest.mark.parametrize(
    ("recovered", "view"),
    [
        ({"votes": (own(5), own(3))}, 5),
        ({"certificates": (nullification(7), nullification(4))}, 8),
        ({"certificates": (notarization(build_block(6)),)}, 7),
        ({"certificates": (finalization(build_block(6)),), "votes": (own(2),)}, 7),
        ({"certificates": (nullification(4),), "votes": (own(9),)}, 9),
        ({"certificates": (nullification(9),), "votes": (own(9),)}, 10),
        ({"final_block": TWO, "final_certificate": finalization(TWO)}, 3),
    ],
)
def test_the_view_is_the_highest_of_all_records_in_any_order(recovered: dict[str, object], view: int) -> None:
    """Others resumed from the last record, and too low."""
    assert again(**recovered).view == view


def test_the_entry_certificate_is_that_of_the_view_before() -> None:
    """It is re-sent; there is none if a vote is higher than all certificates."""
    assert again(certificates=(nullification(4), nullification(2))).entry == nullification(4)
    assert again(certificates=(nullification(4),), votes=(own(9),)).entry is None
    assert again(final_block=ONE, final_certificate=finalization(ONE)).entry == finalization(ONE)


def test_own_votes_are_back_in_their_slots_and_verified() -> None:
    """Exactly a quorum may have voted before all crashed."""
    vote = own(5)
    restored = again(votes=(vote, vote))
    state = restored.views.at(View(5))
    assert state.own[NULLIFY] == vote
    assert state.vote_count(vote.subject) == 1
    assert state.is_verified(vote)


def test_records_of_other_epochs_and_of_final_views_are_left_alone() -> None:
    """Old-epoch records once entered a new epoch elsewhere."""
    foreign_vote = sign(build_subject(NULLIFY, 9, epoch=1), 0)
    foreign = certify(build_subject(NULLIFY, 9, epoch=1))
    restored = again(
        votes=(foreign_vote, own(2)),
        certificates=(foreign, nullification(1)),
        final_block=TWO,
        final_certificate=finalization(TWO),
    )
    assert restored.view == 3
    assert len(restored.views) == 0


def test_a_finalization_above_the_chain_moves_the_final_view() -> None:
    """The certificate was logged, the blocks not yet handed out."""
    restored = again(certificates=(finalization(TWO), finalization(ONE)), blocks=(ONE, TWO))
    assert restored.chain.final_view == 2
    assert restored.chain.delivered_height == 0
    assert restored.chain.take_final() == ((ONE, TWO), finalization(TWO))


def test_recovered_blocks_have_their_bodies_and_are_not_stored_again() -> None:
    """Only blocks above the last one handed out matter."""
    restored = again(final_block=ONE, final_certificate=finalization(ONE), blocks=(ONE, TWO))
    known = restored.chain.find(TWO.header.digest())
    assert known is not None
    assert known.has_body
    assert known.is_stored
    assert restored.chain.is_local(known.digest)


def test_executed_states_are_taken_up() -> None:
    """As far as a new block may name them."""
    states = tuple((Height(height), build_digest(str(height))) for height in range(4))
    assert again(executed=states).chain.executed_height == 3


@pytest.mark.parametrize(
    "recovered",
    [
        {"votes": (own(5, "a"), own(5, "b"))},
        {"certificates": (notarization(ONE), notarization(change_header(ONE, timestamp_ms=9)))},
        {"final_block": ONE, "final_certificate": finalization(TWO)},
    ],
)
def test_records_that_contradict_one_another_stop_the_node(recovered: dict[str, object]) -> None:
    """It never guesses which one is right."""
    with pytest.raises(InvariantError):
        again(**recovered)


def test_a_logged_finalize_vote_is_restored_with_its_view() -> None:
    """All three kinds are."""
    vote = sign(build_subject(FINALIZE, 4, build_digest("a")), 0)
    assert again(votes=(vote,)).views.at(View(4)).own == {FINALIZE: vote}


def test_blocks_of_another_epoch_are_left_alone() -> None:
    """The stores may still hold what stood beside the anchor."""
    old = change_header(ONE, epoch=Epoch(7))
    assert again(blocks=(old,)).chain.find(old.header.digest()) is None
