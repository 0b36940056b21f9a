"""What a leader shows with its block."""

import pytest

from consensus.chain import Chain
from consensus.errors import InvariantError
from consensus.proposing import Proposer
from consensus.types import View
from consensus.view_state import Gap, Parent, Views
from tests.support.core_builders import (
    NETWORK_ID,
    NOTARIZE,
    NULLIFY,
    build_block,
    build_leader,
    build_proposal,
    build_setup,
    build_subject,
    change_header,
    finalization,
    notarization,
    nullification,
    sign,
)

ONE = build_block(1)
TWO = build_block(2, parent=ONE)
FOUR = build_block(4, parent=TWO)
LEADER = build_leader(4)


class Known:
    """What the leader of view 4 knows: two notarized blocks and a nullified view."""

    def __init__(self) -> None:
        self.chain = Chain.from_anchor(build_setup())
        self.views = Views()
        for block in (ONE, TWO):
            self.chain.add(block, block.header.digest()).body_ms = 0
            self.views.at(block.header.view).certificates[NOTARIZE] = notarization(block)
        self.views.at(View(3)).certificates[NULLIFY] = nullification(3)
        self.proposer = Proposer(build_setup(LEADER), self.chain, self.views)


def test_a_parent_is_named_by_its_certificate_or_is_the_anchor() -> None:
    """The anchor's name is not the hash of its header."""
    known = Known()
    parent = known.proposer.find_parent(View(4))
    assert isinstance(parent, Parent)
    assert known.proposer.digest_of(parent) == TWO.header.digest()
    assert known.proposer.digest_of(Parent(View(0), None)) == NETWORK_ID
    assert known.proposer.find_parent(View(6)) == Gap(View(4), View(5))


def test_a_proposal_carries_its_parent_and_the_skipped_views() -> None:
    """Anybody can judge it by itself."""
    known = Known()
    above = known.chain.known[TWO.header.digest()]
    vote = sign(build_subject(NOTARIZE, 4, FOUR.header.digest(), parent_view=2), LEADER)
    parent = Parent(View(2), notarization(TWO))
    proposal = known.proposer.assemble(FOUR, above=above, parent=parent, vote=vote)
    assert proposal == build_proposal(FOUR, parent=notarization(TWO), nullifications=(nullification(3),))


def test_a_raised_executed_height_comes_with_the_newest_finalization() -> None:
    """And only then."""
    known = Known()
    known.chain.finalize(finalization(ONE))
    above = known.chain.known[TWO.header.digest()]
    raised = change_header(FOUR, executed_height=1)
    vote = sign(build_subject(NOTARIZE, 4, raised.header.digest(), parent_view=2), LEADER)
    proposal = known.proposer.assemble(raised, above=above, parent=Parent(View(2), notarization(TWO)), vote=vote)
    assert proposal.executed_certificate == finalization(ONE)


@pytest.mark.parametrize(
    "changes",
    [
        {"view": 5},
        {"parent_digest": NETWORK_ID},
        {"height": 4},
        {"proposer": (LEADER + 1) % 4},
        {"epoch": 1},
        {"timestamp_ms": TWO.header.timestamp_ms},
        {"cut_digest": NETWORK_ID},
        {"executed_height": 1},
    ],
)
def test_a_block_of_our_own_that_breaks_the_rules_is_a_bug(changes: dict[str, object]) -> None:
    """Better to stop than to be refused by everybody, view after view."""
    known = Known()
    above = known.chain.known[TWO.header.digest()]
    known.proposer.check_built(FOUR, view=View(4), above=above)
    with pytest.raises(InvariantError):
        known.proposer.check_built(change_header(FOUR, **changes), view=View(4), above=above)


def test_our_first_block_must_execute_its_anchor() -> None:
    """As everybody's."""
    known = Known()
    proposer = Proposer(build_setup(build_leader(1)), known.chain, known.views)
    anchor = known.chain.known[NETWORK_ID]
    proposer.check_built(ONE, view=View(1), above=anchor)
    with pytest.raises(InvariantError, match="anchor"):
        proposer.check_built(change_header(ONE, executed_height=1), view=View(1), above=anchor)


def restored(known: Known, *, parent_view: int = 2) -> object:
    state = known.views.at(View(4))
    digest = FOUR.header.digest()
    state.own[NOTARIZE] = sign(build_subject(NOTARIZE, 4, digest, parent_view=parent_view), LEADER)
    return known.proposer.restore(state)


def test_the_recorded_block_is_proposed_again_after_a_restart() -> None:
    """With the parent's notarization, or its finalization if that came meanwhile."""
    known = Known()
    assert known.proposer.restore(known.views.at(View(4))) is None
    assert restored(known) is None
    known.chain.add(FOUR, FOUR.header.digest()).body_ms = 0
    expected = build_proposal(FOUR, parent=notarization(TWO), nullifications=(nullification(3),))
    assert restored(known) == expected
    known.chain.finalize(finalization(TWO))
    expected = build_proposal(FOUR, parent=finalization(TWO), nullifications=(nullification(3),))
    assert restored(known) == expected


def test_a_recorded_block_that_was_overtaken_is_not_proposed_again() -> None:
    """Nobody could vote for it."""
    known = Known()
    known.chain.add(FOUR, FOUR.header.digest()).body_ms = 0
    known.views.at(View(2)).certificates.clear()
    assert restored(known) is None
    known.chain.final_view = View(3)
    assert restored(known) is None
