"""The answer to a capture, in a JSON shape that stays: verdicts by event, counts, transactions.

`{"verdict", "events": [{"index", "verdict", "event_id", "transaction", "position", "warnings", "errors", "notices"}],
"counts": {"accepted", "warning", "duplicate", "rejected"}, "transactions": […], "warnings", "notices"}`; a warning,
error or notice is `{"path", "code", "message"}`.
"""

from collections import Counter
from enum import StrEnum

import msgspec

from node.epcis.findings import Finding


class Verdict(StrEnum):
    """What became of one event at the door, or of the document as a whole.

    WARNING is accepted, with a deviation from the standard that was mended. REJECTED leaves no trace on the ledger.
    PARTIAL is for documents alone: some events rejected, the others entered.
    """

    ACCEPTED = "accepted"
    WARNING = "warning"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    PARTIAL = "partial"


class FindingResult(msgspec.Struct, frozen=True):
    """One thing said of one field: its path in the document, a stable code, and a plain sentence."""

    path: str
    code: str
    message: str


class EventResult(msgspec.Struct, frozen=True):
    """The verdict on one event. index: its place in the document, from 0.

    transaction, position: where it stands, `<transaction>:<position>` being its public id; of a duplicate, where the
    first stands, if that is in the document or on its way still. None if rejected at the door, or a duplicate of what
    is executed.
    """

    index: int
    verdict: Verdict
    event_id: str | None
    transaction: str | None
    position: int | None
    warnings: tuple[FindingResult, ...]
    errors: tuple[FindingResult, ...]
    notices: tuple[FindingResult, ...]


class Counts(msgspec.Struct, frozen=True):
    """How many events got which verdict; each event counts once."""

    accepted: int
    warning: int
    duplicate: int
    rejected: int


class CaptureResult(msgspec.Struct, frozen=True):
    """The verdicts on a document. transactions: ids in hex, in order. warnings, notices: of it outside its events."""

    verdict: Verdict
    events: tuple[EventResult, ...]
    counts: Counts
    transactions: tuple[str, ...]
    warnings: tuple[FindingResult, ...]
    notices: tuple[FindingResult, ...]


def count_events(events: tuple[EventResult, ...]) -> Counts:
    """Return how many events got which verdict."""
    numbers = Counter(event.verdict for event in events)
    return Counts(
        accepted=numbers[Verdict.ACCEPTED],
        warning=numbers[Verdict.WARNING],
        duplicate=numbers[Verdict.DUPLICATE],
        rejected=numbers[Verdict.REJECTED],
    )


def judge_document(counts: Counts, *, has_warnings: bool) -> Verdict:
    """Return the verdict on the document: rejected or partial before all else, duplicate if nothing is new.

    has_warnings: outside its events.
    """
    if counts.rejected:
        return Verdict.PARTIAL if counts.accepted + counts.warning else Verdict.REJECTED
    if counts.duplicate and not counts.accepted + counts.warning:
        return Verdict.DUPLICATE
    return Verdict.WARNING if counts.warning or has_warnings else Verdict.ACCEPTED


def to_results(findings: tuple[Finding, ...]) -> tuple[FindingResult, ...]:
    """Return the findings of the door as they stand in an answer."""
    return tuple(FindingResult(finding.path, finding.code, finding.message) for finding in findings)
