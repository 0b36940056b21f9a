"""What the engine writes to the log is for a person."""

import structlog

from consensus.messages import Subject, Vote, VoteKind
from consensus.types import Digest, Epoch, ValidatorIndex, View
from node.engine.observer import LogObserver
from node.replica.effects import ReportEvidence
from node.wire.ids import MemberId
from tests.support.feeds import build_tip


def test_evidence_is_written_so_that_both_things_can_be_compared() -> None:
    """Digests in hex and no signatures: an operator takes it to the other firm."""
    member = MemberId("mill")
    votes = [
        Vote(
            Subject(VoteKind.NOTARIZE, Epoch(0), View(7), View(6), Digest(bytes([n]) * 32)),
            ValidatorIndex(1),
            bytes(64),
        )
        for n in (1, 2)
    ]
    tips = [build_tip(4, name) for name in ("a", "b")]
    with structlog.testing.capture_logs() as logs:
        LogObserver().on_evidence(ReportEvidence(member, votes[0], votes[1]))
        LogObserver().on_evidence(ReportEvidence(member, tips[0], tips[1]))
    assert [each["peer"] for each in logs] == [member, member]
    assert logs[0]["second"] == f"notarize in view 7 of epoch 0: {'02' * 32}"
    assert logs[1]["first"] == f"batch 4 of feed 0: {tips[0].digest.hex()}"
