"""Who is told what the engine meets: log, metrics, health, and those who wait for a transaction."""

from typing import Protocol

import structlog

from consensus.messages import Vote
from node.ledger.evidence import SignedHeader
from node.ledger.roster import EpochRecord
from node.ledger.state import WriteSet
from node.replica.effects import ReportEvidence
from node.wire.ids import FeedTip, MemberId

_log = structlog.get_logger()


class Observer(Protocol):
    """Told on the event loop, in order; must not wait and must not raise."""

    def on_executed(self, write_set: WriteSet) -> None:
        """A final block was executed, and the result is on disk."""
        ...

    def on_written(self, records: int, seconds: float) -> None:
        """A group of steps was written and synced; records: batches, blocks and records of the vote log."""
        ...

    def on_fault(self, member: MemberId | None, why: str, *, provable: bool) -> None:
        """A member's node sent something wrong."""
        ...

    def on_evidence(self, evidence: ReportEvidence) -> None:
        """A member signed two things that cannot both be honest."""
        ...

    def on_epoch(self, record: EpochRecord) -> None:
        """An epoch has begun here: members, roles, keys and parameters are those of its roster."""
        ...

    def on_alarm(self, why: str) -> None:
        """The operator should know."""
        ...


class LogObserver:
    """Writes to the log what somebody should read, and nothing else."""

    def on_executed(self, write_set: WriteSet) -> None:
        """Say nothing."""

    def on_written(self, records: int, seconds: float) -> None:
        """Say nothing."""

    def on_fault(self, member: MemberId | None, why: str, *, provable: bool) -> None:
        """A warning if it is provable: somebody misbehaves."""
        (_log.warning if provable else _log.debug)("peer fault", peer=member, why=why)

    def on_evidence(self, evidence: ReportEvidence) -> None:
        """A warning, with both."""
        _log.warning(
            "evidence", peer=evidence.member, first=_in_words(evidence.first), second=_in_words(evidence.second)
        )

    def on_epoch(self, record: EpochRecord) -> None:
        """A line: it happens a few times a year."""
        roster = record.roster
        _log.info("epoch started", epoch=record.epoch, height=record.anchor_height, validators=len(roster.validators))

    def on_alarm(self, why: str) -> None:
        """An error: the operator must act."""
        _log.error("alarm", why=why)


def _in_words(signed: Vote | FeedTip | SignedHeader) -> str:
    """Return what was signed twice, as an operator can compare it: digests in hex, no signature."""
    if isinstance(signed, SignedHeader):
        signed = FeedTip(signed.header.feed, signed.header.seq, signed.digest)
    if isinstance(signed, FeedTip):
        return f"batch {signed.seq} of feed {signed.feed.number}: {signed.digest.hex()}"
    subject = signed.subject
    return f"{subject.kind.name.lower()} in view {subject.view} of epoch {subject.epoch}: {subject.digest.hex()}"
