"""The answer to a capture once its transactions are executed: what counts is what took effect.

Execution may refuse what was good at the door: a transaction made by a clock that is wrong, or one that was too long
on its way; and it alone sees duplicates that come from elsewhere.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from node.api.schema.transactions import TransactionResult
from node.app.backends.verdicts import describe_refusal
from node.intake.results import CaptureResult, EventResult, FindingResult, Verdict, count_events, judge_document
from node.ledger.verdicts import EventCode, TransactionCode

_ACCEPTED: Final = TransactionCode.ACCEPTED.name.lower()
_DUPLICATE: Final = EventCode.DUPLICATE.name.lower()
_UNREADABLE: Final = EventCode.UNREADABLE.name.lower()
_UNREADABLE_WORDS: Final = "refused by the network: its rules cannot read the event"


def as_executed(result: CaptureResult, finals: Iterable[TransactionResult]) -> CaptureResult:
    """Return the verdicts on a document as execution left them.

    finals: each transaction in which an event of `result` stands, executed.
    """
    by_id = {final.id: final for final in finals}
    events = tuple(
        event if event.transaction is None else _judge(event, by_id[event.transaction]) for event in result.events
    )
    counts = count_events(events)
    verdict = judge_document(counts, has_warnings=bool(result.warnings))
    if any(by_id[one].verdict != _ACCEPTED for one in result.transactions):
        # Also of one that carried nothing but master data.
        verdict = Verdict.PARTIAL if counts.accepted + counts.warning else Verdict.REJECTED
    return msgspec.structs.replace(result, verdict=verdict, events=events, counts=counts)


def _judge(event: EventResult, final: TransactionResult) -> EventResult:
    if event.verdict is Verdict.REJECTED:
        return event
    if final.verdict != _ACCEPTED:
        words = describe_refusal(TransactionCode[str(final.verdict).upper()])
        return _reject(event, str(final.verdict), f"refused by the network: {words}")
    outcome = final.events[event.position] if event.position is not None else _ACCEPTED
    if outcome == _UNREADABLE:
        return _reject(event, outcome, _UNREADABLE_WORDS)
    return msgspec.structs.replace(event, verdict=Verdict.DUPLICATE) if outcome == _DUPLICATE else event


def _reject(event: EventResult, code: str, message: str) -> EventResult:
    return msgspec.structs.replace(
        event, verdict=Verdict.REJECTED, errors=(*event.errors, FindingResult("", code, message))
    )
