"""P6: each thing that a block's digest covers and that can be wrong."""

import dataclasses

import pytest

from consensus.messages import FLAG_EPOCH_END, FLAG_HEARTBEAT, Header
from consensus.types import Height
from node.feed.records import BatchRecord
from node.ledger.roster import BATCH_BLOCK_MINIMUM, Parameters
from node.replica.executed import ExecutedState
from node.replica.judge import (
    EXECUTION_LAG_MAX,
    Invalid,
    NeedsExecution,
    Valid,
    Verdict,
    judge_block,
    may_cover_batches,
)
from tests.support.feeds import build_digest, build_record
from tests.support.final_chain import FinalChain
from tests.support.networks import build_genesis

GENESIS = build_genesis()
CHAIN = FinalChain(GENESIS)
PARENT = CHAIN.extend(build_record(0, "a")).header
COVERED = (build_record(1, "b", "a", count=3), build_record(0, "c", member="firm-1"))
EXECUTED = ExecutedState(GENESIS.state_digest)
GOOD = CHAIN.build(*COVERED).header


def judge(
    header: Header,
    covered: tuple[BatchRecord, ...] = COVERED,
    *,
    parent: Header = PARENT,
    parameters: Parameters = GENESIS.roster.parameters,
    anchor_height: int = 0,
    executed: ExecutedState | None = EXECUTED,
) -> Verdict:
    """The verdict on a child of PARENT."""
    return judge_block(
        header,
        parent,
        covered,
        parameters=parameters,
        history_root=CHAIN.frontier.root(),
        anchor_height=Height(anchor_height),
        executed=executed,
    )


def test_a_block_whose_parts_all_match_is_valid() -> None:
    """With batches, or empty and saying so."""
    assert judge(GOOD) == Valid()
    assert judge(CHAIN.build().header, ()) == Valid()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"batch_count": 1}, "covers 2"),
        ({"transaction_count": 3}, "transaction count"),
        ({"batch_root": build_digest("x")}, "batch root"),
        ({"history_root": build_digest("x")}, "history root"),
        ({"executed_height": Height(2)}, "out of range"),
        ({"flags": FLAG_EPOCH_END}, "without the other"),
        ({"flags": 4}, "why it is empty"),
        ({"next_epoch_digest": build_digest("x")}, "without the other"),
        ({"flags": FLAG_EPOCH_END, "next_epoch_digest": build_digest("x")}, "why it is empty"),
        ({"flags": FLAG_HEARTBEAT}, "why it is empty"),
        ({"state_digest": build_digest("x")}, "state digest"),
    ],
)
def test_a_block_with_one_wrong_part_is_invalid(changes: dict[str, object], why: str) -> None:
    """Each rule for itself."""
    verdict = judge(dataclasses.replace(GOOD, **changes))  # type: ignore[arg-type] # fields by name
    assert isinstance(verdict, Invalid)
    assert why in verdict.why


def test_an_executed_height_below_the_parents_is_invalid() -> None:
    """It never falls along the chain."""
    parent = dataclasses.replace(PARENT, executed_height=Height(1))
    assert isinstance(judge(GOOD, parent=parent), Invalid)


def test_an_empty_block_that_does_not_say_so_is_invalid() -> None:
    """The heartbeat flag is exact in both directions."""
    assert isinstance(judge(dataclasses.replace(CHAIN.build().header, flags=0), ()), Invalid)


def test_more_batches_or_bytes_than_a_block_may_cover_are_invalid() -> None:
    """The bounds of genesis."""
    assert isinstance(judge(GOOD, parameters=Parameters(block_batches_max=1)), Invalid)
    large = (build_record(1, "b", "a", size=BATCH_BLOCK_MINIMUM), build_record(0, "c", member="firm-1", size=1))
    header = CHAIN.build(*large).header
    parameters = Parameters(block_bytes_max=BATCH_BLOCK_MINIMUM)
    assert isinstance(judge(header, large, parameters=parameters), Invalid)
    assert judge(CHAIN.build(large[0]).header, large[:1], parameters=parameters) == Valid()


def test_a_block_far_above_its_executed_height_covers_nothing() -> None:
    """Back-pressure empties blocks and forbids none."""
    high = dataclasses.replace(GOOD, height=Height(EXECUTION_LAG_MAX + 1))
    assert isinstance(judge(high), Invalid)
    assert not may_cover_batches(high)
    assert judge(dataclasses.replace(CHAIN.build().header, height=Height(EXECUTION_LAG_MAX + 1)), ()) == Valid()
    assert judge(dataclasses.replace(GOOD, height=Height(EXECUTION_LAG_MAX))) == Valid()


def test_no_verdict_before_the_executed_height_is_executed() -> None:
    """Not yet is neither valid nor invalid; what is wrong anyway is invalid at once."""
    assert judge(GOOD, executed=None) == NeedsExecution()
    assert isinstance(judge(dataclasses.replace(GOOD, batch_count=9), executed=None), Invalid)


def test_an_epoch_ends_with_exactly_what_is_due_and_with_nothing_else() -> None:
    """T-45: the block names the roster that the state at its executed height says is due, and covers no batches."""
    due = build_digest("next roster")
    sealing = ExecutedState(GENESIS.state_digest, due)
    seal = dataclasses.replace(CHAIN.build().header, flags=FLAG_EPOCH_END, next_epoch_digest=due)
    assert judge(seal, (), executed=sealing) == Valid()
    assert isinstance(judge(seal, ()), Invalid), "nothing is due"
    assert isinstance(judge(seal, (), executed=ExecutedState(GENESIS.state_digest, build_digest("x"))), Invalid)
    assert isinstance(judge(CHAIN.build().header, (), executed=sealing), Invalid), "it must end the epoch"
    assert isinstance(judge(GOOD, executed=sealing), Invalid), "no batches before the change"
    flagged = dataclasses.replace(seal, flags=FLAG_EPOCH_END | FLAG_HEARTBEAT)
    assert isinstance(judge(flagged, (), executed=sealing), Invalid), "it has one encoding"


def test_the_first_block_of_an_epoch_names_its_anchor_as_executed() -> None:
    """T-45: with a lower height the change that began the epoch would be due once more, and seal follow seal."""
    anchor = dataclasses.replace(PARENT, executed_height=Height(0))
    at_anchor = dataclasses.replace(GOOD, executed_height=anchor.height)
    assert judge(at_anchor, parent=anchor, anchor_height=anchor.height) == Valid()
    assert isinstance(judge(GOOD, parent=anchor, anchor_height=anchor.height), Invalid)
