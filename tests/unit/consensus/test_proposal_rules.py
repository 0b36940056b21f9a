"""P1 by itself, and P2 to P5 against what is known."""

import dataclasses
from collections.abc import Callable

import pytest

from consensus.chain import Chain
from consensus.elector import epoch_shift
from consensus.messages import FLAG_EPOCH_END, JUSTIFICATION_MAX, Block, Proposal
from consensus.proposal_rules import (
    PROPOSAL_PAYLOAD_BYTES_MAX,
    Accepted,
    Invalid,
    NeedsBody,
    NeedsTime,
    Outcome,
    Refused,
    examine,
    fault_of_shape,
)
from consensus.types import View
from consensus.view_state import Gap, Views
from tests.support.core_builders import (
    ANCHOR,
    NETWORK_ID,
    NOTARIZE,
    NULLIFY,
    build_block,
    build_digest,
    build_leader,
    build_proposal,
    build_setup,
    change_header,
    finalization,
    notarization,
    nullification,
)

ONE = build_block(1)
TWO = build_block(2, parent=ONE)
THREE = build_block(3, parent=TWO)
GOOD = build_proposal(
    build_block(6, parent=TWO),
    parent=notarization(TWO),
    nullifications=(nullification(5), nullification(4), nullification(3)),
)


def test_the_shape_of_a_good_proposal() -> None:
    """P1: with and without certificates."""
    assert fault_of_shape(GOOD, leader=build_leader(6)) is None
    assert fault_of_shape(build_proposal(ONE), leader=build_leader(1)) is None


def change(**changes: object) -> Callable[[], Proposal]:
    return lambda: dataclasses.replace(GOOD, **changes)  # type: ignore[arg-type] # any field


@pytest.mark.parametrize(
    ("build", "fault"),
    [
        (change(view=View(7)), "not signed by the leader"),
        (change(parent_view=View(1)), "parent's view differs"),
        (change(parent_certificate=None), "or none"),
        (lambda: build_proposal(build_block(4), parent=nullification(2)), "something else than its parent"),
        (change(parent_certificate=notarization(ONE)), "something else than its parent"),
        (change(nullifications=GOOD.nullifications[::-1]), "out of order"),
        (change(nullifications=(nullification(6),)), "out of order"),
        (change(nullifications=(nullification(2),)), "out of order"),
        (change(nullifications=(notarization(THREE),)), "out of order"),
        (change(nullifications=(nullification(5),) * (JUSTIFICATION_MAX + 1)), "too large"),
        (change(executed_certificate=notarization(ONE)), "something else than finality"),
        (change(block=Block(GOOD.block.header, b"other bytes")), "payload of another block"),
        (change(block=Block(GOOD.block.header, bytes(PROPOSAL_PAYLOAD_BYTES_MAX + 1))), "too large"),
        (
            lambda: dataclasses.replace(build_proposal(ONE), parent_certificate=notarization(ONE)),
            "where none may be",
        ),
    ],
)
def test_the_shape_is_refused(build: Callable[[], Proposal], fault: str) -> None:
    """T-18, P1: each part by itself. A payload that is not the header's must leave no verdict on the header."""
    proposal = build()
    found = fault_of_shape(proposal, leader=build_leader(6) if proposal.block.header.view == 6 else build_leader(4))
    assert found is not None
    if "leader" not in found:
        assert fault in found


class Known:
    """What a follower knows: blocks 1 and 2 with bodies, both notarized, views 3 to 5 nullified."""

    def __init__(self) -> None:
        self.chain = Chain.from_anchor(build_setup())
        self.views = Views()
        for block in (ONE, TWO):
            self.chain.add(block, block.header.digest()).body_ms = 0
            self.views.at(block.header.view).certificates[NOTARIZE] = notarization(block)
        for view in (3, 4, 5):
            self.views.at(View(view)).certificates[NULLIFY] = nullification(view)

    def examine(self, proposal: Proposal, *, latest_ms: int = 2**60) -> Outcome:
        return examine(
            proposal,
            setup=build_setup(),
            shift=epoch_shift(NETWORK_ID),
            chain=self.chain,
            views=self.views,
            latest_ms=latest_ms,
        )


def test_a_good_proposal_is_accepted() -> None:
    """P2 to P5."""
    known = Known()
    assert known.examine(GOOD) == Accepted()
    assert known.examine(build_proposal(ONE)) == Accepted()


def test_a_parent_below_the_final_view_is_refused_without_blame() -> None:
    """P2: the leader may not know what is final here."""
    known = Known()
    known.chain.final_view = View(3)
    assert known.examine(GOOD) == Refused("its parent is below the final view", is_fault=False)


def test_a_parent_at_the_final_view_must_be_the_final_block() -> None:
    """P3: no certificate is looked up there, the final block is known."""
    known = Known()
    known.chain.finalize(finalization(TWO))
    assert known.examine(GOOD) == Accepted()
    known.chain.final_digest = build_digest("another")
    outcome = known.examine(GOOD)
    assert isinstance(outcome, Refused)
    assert outcome.is_fault


def test_a_parent_without_certificate_or_of_another_digest_is_refused() -> None:
    """P3 is the safety argument."""
    known = Known()
    del known.views.at(View(2)).certificates[NOTARIZE]
    assert known.examine(GOOD) == Refused("no certificate of its parent", is_fault=True)
    known = Known()
    wrong = build_proposal(build_block(6, parent=ONE), parent=notarization(TWO))
    outcome = known.examine(wrong)
    assert isinstance(outcome, Refused)
    assert outcome.is_fault


def test_every_skipped_view_must_be_nullified_before_a_vote() -> None:
    """P3: what is missing is fetched; no vote before it is here, even if the view is known notarized."""
    known = Known()
    del known.views.at(View(4)).certificates[NULLIFY]
    assert known.examine(GOOD) == Gap(View(4), View(4))
    known.views.at(View(4)).certificates[NOTARIZE] = notarization(build_block(4))
    assert known.examine(GOOD) == Gap(View(4), View(4))
    over_final = build_proposal(build_block(2))
    assert known.examine(over_final) == Gap(View(1), View(1))


def propose(block: Block, *, executed: Block | None = None) -> Proposal:
    return build_proposal(
        block, parent=notarization(TWO), executed=None if executed is None else finalization(executed)
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"network_id": build_digest("another network")},
        {"epoch": 1},
        {"proposer": (build_leader(6) + 1) % 4},
        {"height": 4},
        {"timestamp_ms": TWO.header.timestamp_ms},
        {"executed_height": 3},
        {"executed_height": 9},
    ],
)
def test_what_the_digest_covers_is_invalid_for_good(changes: dict[str, object]) -> None:
    """P4: no proposal of this block can be good."""
    assert isinstance(Known().examine(propose(change_header(GOOD.block, **changes))), Invalid)


def test_a_block_of_another_view_is_refused_but_not_invalid() -> None:
    """P4: the same block may be good in its own view."""
    outcome = Known().examine(build_proposal(build_block(5, parent=TWO), parent=notarization(TWO), view=6))
    assert outcome == Refused("its block is of another view", is_fault=True)


def test_nothing_is_judged_without_the_parents_body() -> None:
    """The links need its header, the cut needs its payload."""
    known = Known()
    known.chain.known[TWO.header.digest()].body_ms = None
    assert known.examine(GOOD) == NeedsBody(TWO.header.digest())
    del known.chain.known[TWO.header.digest()]
    assert known.examine(GOOD) == NeedsBody(TWO.header.digest())


def test_the_first_block_of_an_epoch_executes_its_anchor() -> None:
    """A lower or higher height would seal the same change twice."""
    known = Known()
    assert isinstance(known.examine(build_proposal(change_header(ONE, executed_height=1))), Invalid)
    assert ANCHOR.header.height == ONE.header.executed_height == 0


def test_nothing_follows_the_last_block_of_an_epoch() -> None:
    """Only its re-proposal may."""
    known = Known()
    seal = change_header(TWO, flags=FLAG_EPOCH_END)
    known.chain.add(seal, seal.header.digest()).body_ms = 0
    known.views.at(View(2)).certificates[NOTARIZE] = notarization(seal)
    child = build_proposal(build_block(6, parent=seal), parent=notarization(seal))
    outcome = known.examine(child)
    assert isinstance(outcome, Refused)
    assert outcome.is_fault


RAISED = change_header(GOOD.block, executed_height=1)


def test_a_raised_executed_height_shows_its_finality() -> None:
    """Judged on each proposal, never a verdict on the digest."""
    known = Known()
    assert known.examine(propose(RAISED)) == Refused("no proof that its executed height is final", is_fault=True)
    known.chain.finalize(finalization(ONE))
    assert known.examine(propose(RAISED, executed=ONE)) == Accepted()


def test_an_executed_height_above_the_final_block_is_refused() -> None:
    """Nobody can be made to wait for what is not final."""
    known = Known()
    assert known.examine(propose(RAISED, executed=ONE)) == Refused("its executed height is not final", is_fault=True)


def test_the_final_block_is_fetched_before_its_height_is_compared() -> None:
    """Its certificate names no height."""
    known = Known()
    known.chain.finalize(finalization(ONE))
    del known.chain.known[ONE.header.digest()]
    assert known.examine(propose(RAISED, executed=ONE)) == NeedsBody(ONE.header.digest())


def test_a_block_dated_ahead_is_held_and_not_refused() -> None:
    """P5: there is no lower bound against the wall clock."""
    known = Known()
    at_ms = GOOD.block.header.timestamp_ms
    assert known.examine(GOOD, latest_ms=at_ms - 1) == NeedsTime(at_ms)
    assert known.examine(GOOD, latest_ms=at_ms) == Accepted()
