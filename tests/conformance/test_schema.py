"""Our schema's verdicts are those of the official one, on the examples and on events altered at random."""

import json
from functools import cache
from typing import Any, Final

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from node.epcis.schema import DOCUMENT_TYPES_KNOWN, EVENT_TYPES_KNOWN, envelope_validator, event_validator
from tests.conformance.material import EPCIS, needs_material
from tests.conformance.test_examples import FILES, events_of, name_of

OFFICIAL: Final = EPCIS / "schema" / "epcis-json-schema-2.0.1.json"


@cache
def official() -> jsonschema_rs.Draft7Validator:
    """Return the official schema, with formats checked."""
    return jsonschema_rs.Draft7Validator(json.loads(OFFICIAL.read_text()), validate_formats=True)


def ours(value: Any) -> bool:
    """Return our verdict on a whole parsed document."""
    if not isinstance(value, dict):
        return False
    document_type = value.get("type")
    if document_type in EVENT_TYPES_KNOWN:
        return event_validator(document_type, is_bare=True).is_valid(value)
    if document_type not in DOCUMENT_TYPES_KNOWN or not envelope_validator(document_type).is_valid(value):
        return False
    return all(
        isinstance(event, dict)
        and event.get("type") in EVENT_TYPES_KNOWN
        and event_validator(event["type"], is_bare=False).is_valid(event)
        for event in events_of(value)
    )


def parsed_examples() -> list[Any]:
    """Return the examples that are JSON."""
    values = []
    for path in FILES:
        try:
            values.append(pytest.param(json.loads(path.read_text(encoding="utf-8-sig")), id=name_of(path)))
        except json.JSONDecodeError:
            continue
    return values


@needs_material
@pytest.mark.parametrize("value", parsed_examples())
def test_examples_have_the_official_verdict(value: Any) -> None:
    """On whole documents."""
    assert ours(value) is official().is_valid(value)


@cache
def valid_events() -> list[dict[str, Any]]:
    """Return the events of the examples, each bare with a context."""
    events = []
    for parameters in parsed_examples():
        value = parameters.values[0]
        if isinstance(value, dict) and (value.get("type") in DOCUMENT_TYPES_KNOWN or "eventTime" in value):
            events += [{"@context": "https://example.org/c", **event} for event in events_of(value)]
    return [event for event in events if event.get("type") in EVENT_TYPES_KNOWN]


NAMES_TEXT: Final = """
    @context action bizLocation bizStep bizTransactionList certificationInfo childEPCs childQuantityList disposition
    destinationList epcList errorDeclaration eventID eventTime eventTimeZoneOffset ilmd inputEPCList id set unset
    inputQuantityList outputEPCList outputQuantityList parentID persistentDisposition quantityList readPoint type
    recordTime sensorElementList sourceList transformationID epcClass quantity uom bizTransaction source reason
    destination sensorReport sensorMetadata value component time declarationTime correctiveEventIDs foo ex:foo
    deviceID hexBinaryValue booleanValue stringValue exception _comment
"""
NAMES: Final = NAMES_TEXT.split()
TEXTS: Final = """
    ADD OBSERVE DELETE shipping transforming active in_transit sold owning_party location bol did_not_occur x
    urn:epcglobal:cbv:bizstep:shipping https://ref.gs1.org/cbv/BizStep-shipping https://ns.gs1.org/cbv/Disp-active
    http://gs1.org/voc/Temperature gs1:Temperature Temperature ALARM_CONDITION urn:x:y https://example.org/a?b#c
    KGM kg 2026-11-25T08:30:00+01:00 2026-11-25T08:30:00 2026-02-30T08:30:00Z +01:00 +14:00 -14:30 Z FF 0g
"""
VALUES: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 10**20)
    | st.sampled_from([1.5, 0.0])
    | st.sampled_from(TEXTS.split())
    | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=8,
)


def alter(data: st.DataObject, value: Any) -> Any:
    """Return the value with one thing in it changed, somewhere."""
    if isinstance(value, dict) and value:
        key = data.draw(st.sampled_from(sorted(value)))
        match data.draw(st.integers(0, 5)):
            case 0:
                return {name: entry for name, entry in value.items() if name != key}
            case 1:
                return value | {data.draw(st.sampled_from(NAMES)): data.draw(VALUES)}
            case 2:
                return value | {key: data.draw(VALUES)}
            case _:
                return value | {key: alter(data, value[key])}
    if isinstance(value, list) and value:
        place = data.draw(st.integers(0, len(value) - 1))
        match data.draw(st.integers(0, 3)):
            case 0:
                return value[:place] + value[place + 1 :]
            case 1:
                return [*value, value[place]]
            case _:
                return [*value[:place], alter(data, value[place]), *value[place + 1 :]]
    return data.draw(VALUES)


@needs_material
@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_altered_events_have_the_official_verdict(data: st.DataObject) -> None:
    """One to three changes anywhere in an event: taken away, put in, put twice or made something else."""
    event = data.draw(st.sampled_from(valid_events()))
    for _ in range(data.draw(st.integers(1, 3))):
        altered = alter(data, event)
        event = altered if isinstance(altered, dict) else event
    if event.get("type") not in EVENT_TYPES_KNOWN:
        return  # The official schema takes any URI as a type; we know five.
    assert ours(event) is official().is_valid(event)


@needs_material
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.sampled_from(EVENT_TYPES_KNOWN), st.dictionaries(st.sampled_from(NAMES), VALUES))
@example("ObjectEvent", {})
def test_invented_events_have_the_official_verdict(event_type: str, fields: dict[str, Any]) -> None:
    """Events of random fields, so that nothing hangs on what the examples happen to hold."""
    start = {"eventTime": "2026-11-25T08:30:00Z", "eventTimeZoneOffset": "+00:00", "@context": "https://example.org"}
    event = start | {"action": "ADD"} | fields | {"type": event_type}
    assert ours(event) is official().is_valid(event)
