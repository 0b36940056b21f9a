"""The answer to a capture, in a JSON shape that stays: verdicts by event, counts, transactions.

`{"verdict", "events": [{"index", "verdict", "event_id", "transaction", "position", "warnings", "errors", "notices"}],
"counts": {"accepted", "warning", "duplicate", "rejected"}, "transactions": […], "warnings", "notices"}`; a warning,
error or notice is `{"path", "code", "message"}`.
"""

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

    transaction, position: where it stands, `<transaction>:<position>` being its public id; of a duplicate within the
    document, where the first stands; None if rejected, or a duplicate of what was entered before.
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


def to_results(findings: tuple[Finding, ...]) -> tuple[FindingResult, ...]:
    """Return the findings of the door as they stand in an answer."""
    return tuple(FindingResult(finding.path, finding.code, finding.message) for finding in findings)
