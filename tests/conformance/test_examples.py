"""The published example documents come through the door with the verdicts that were counted for them."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pytest

from consensus.types import Digest
from node.epcis.document import Document, read_document
from node.epcis.errors import DocumentError
from node.intake.capture import prepare
from node.intake.results import Verdict
from node.ledger.transaction import decode_capture
from node.wire.ids import MemberId
from tests.conformance.material import EXAMPLES, needs_material

FILES: Final = sorted(EXAMPLES.rglob("*.json*"))


def name_of(path: Path) -> str:
    """Return the path below the folder of examples."""
    return str(path.relative_to(EXAMPLES))


def outcome_of(path: Path) -> tuple[str, Document | None]:
    """Return what the door makes of a file: one of five outcomes."""
    try:
        document = read_document(path.read_bytes())
    except DocumentError as error:
        outcomes = {"not_a_capture_document": "no capture document", "not_json": "not JSON"}
        return outcomes.get(error.code, "refused"), None
    if any(event.errors for event in document.events):
        return "refused", document
    deviates = document.warnings or any(event.warnings for event in document.events)
    return ("warning" if deviates else "valid"), document


@needs_material
def test_the_outcomes_are_those_counted() -> None:
    """129 files: 73 valid, 37 accepted with a warning, 12 refused, 6 no capture documents, 1 not JSON."""
    assert Counter(outcome_of(path)[0] for path in FILES) == {
        "valid": 73,
        "warning": 37,
        "refused": 12,
        "no capture document": 6,
        "not JSON": 1,
    }


@needs_material
def test_the_deviations_are_those_counted() -> None:
    """Each tolerance is met in so many of the files that are accepted."""
    met: Counter[str] = Counter()
    for path in FILES:
        outcome, document = outcome_of(path)
        if outcome == "warning" and document is not None:
            told = [*document.warnings, *(finding for event in document.events for finding in event.warnings)]
            met.update({finding.code for finding in told})
            assert all(finding.path and finding.message for finding in told)
    assert met == {
        "comment": 26,
        "word_spelling": 14,
        "header_in_query": 11,
        "unknown_field": 7,
        "no_uri": 6,
        "number_as_text": 5,
        "time_without_offset": 1,
    }


REFUSED: Final = {
    "Combination_of_events_with_missing_mandatory_fields.json": "epcisBody.eventList[0].action",
    "Combination_of_non_standard_bizStep_and_disposition.json": "epcisBody.eventList[0].bizStep",
    "EPCISDocument_without_context.json": "@context",
    "ObjectEvent_with_ilmd_field_without_namespace.json": "epcisBody.eventList[0].ilmd.materialType",
    "ObjectEvent_with_invalid_action.json": "epcisBody.eventList[0].action",
    "ObjectEvent_with_invalid_eventTime_format.json": "epcisBody.eventList[0].eventTime",
    "ObjectEvent_with_non_standard_bizStep.json": "epcisBody.eventList[0].bizStep",
    "ObjectEvent_with_quantity_as_text.json": "epcisBody.eventList[0].quantityList[0].quantity",
    "ObjectEvent_without_action_and_eventTime.json": "epcisBody.eventList[0].eventTime",
    "QueryDocument_with_invalid_action.json": "epcisBody.queryResults.resultsBody.eventList[0].action",
    "negative-event.jsonld": "epcisBody.eventList[0].errorDeclaration.reason",
    "eu/electronics/ownership-transfer.jsonld": "epcisBody.eventList[2].disposition",
}


@needs_material
def test_every_refusal_names_the_field() -> None:
    """The first error of each refused file is at the field that is wrong."""
    found = {}
    for path in FILES:
        try:
            document = read_document(path.read_bytes())
        except DocumentError as error:
            if error.code == "invalid_document":
                found[name_of(path)] = error.field
        else:
            errors = [finding for event in document.events for finding in event.errors]
            if errors:
                found[name_of(path)] = errors[0].path
    assert len(found) == len(REFUSED)
    for name, field in found.items():
        assert [expected for end, expected in REFUSED.items() if name.endswith(end)] == [field]


def events_of(value: Any) -> list[Any]:
    """Return the events of a parsed document, by the standard's layout."""
    body = value.get("epcisBody")
    if body is None:
        return [value]
    events: list[Any] = body.get("eventList") or body["queryResults"]["resultsBody"]["eventList"]
    return events


@needs_material
@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_events_are_kept_as_they_were_sent(path: Path) -> None:
    """Each event's bytes are the same JSON value as in the document, by the standard library's own parser."""
    _, document = outcome_of(path)
    if document is None:
        return
    sent = events_of(json.loads(path.read_text(encoding="utf-8-sig")))
    assert [json.loads(event.raw) for event in document.events] == sent


class NothingKnown:
    """A member that has entered nothing yet."""

    def find_known_event(self, member: MemberId, event_digest: Digest) -> None:
        """Return None."""


@needs_material
def test_all_good_events_go_into_transactions_unchanged() -> None:
    """What stands in the payloads is, event by event, the JSON value that was sent; the rest says why not.

    Of the 275 events in the files, one stands in a document without a context, which is refused whole.
    """
    entered = told = 0
    for path in FILES:
        raw = path.read_bytes()
        try:
            prepared = prepare(raw, member=MemberId("a"), network_id=Digest(bytes(32)), now_ms=1, known=NothingKnown())
        except DocumentError:
            continue
        captures = {signed.id.hex(): decode_capture(signed.transaction.payload) for signed in prepared.transactions}
        sent = events_of(json.loads(raw.decode("utf-8-sig")))
        for event, result in zip(sent, prepared.result.events, strict=True):
            if result.transaction is None or result.position is None:
                assert result.verdict is Verdict.REJECTED
                assert all(error.path and error.message for error in result.errors)
                told += 1
            else:
                assert json.loads(captures[result.transaction].events[result.position]) == event
                entered += 1
    assert (entered, told) == (261, 13)
