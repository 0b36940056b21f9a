"""Small EPCIS documents and events for tests, valid unless a test makes them otherwise."""

import json
from typing import Any, Final

CONTEXT: Final = "https://ref.gs1.org/standards/epcis/epcis-context.jsonld"
LOT: Final = "https://id.gs1.org/01/09780345418913/10/L1"
SERIAL: Final = "https://id.gs1.org/01/09780345418913/21/S1"
PLACE: Final = "https://id.gs1.org/414/4012345000054"
SSCC: Final = "https://id.gs1.org/00/340123451111111111"


def build_event(**changes: Any) -> dict[str, Any]:
    """Return a valid object event; a change to None takes the field away."""
    event = {
        "type": "ObjectEvent",
        "eventTime": "2025-11-25T12:00:00Z",
        "eventTimeZoneOffset": "+00:00",
        "eventID": "urn:uuid:1",
        "action": "OBSERVE",
        "bizStep": "shipping",
        "epcList": [SERIAL],
        "quantityList": [{"epcClass": LOT, "quantity": 2.5, "uom": "KGM"}],
        "readPoint": {"id": PLACE},
    }
    return {name: value for name, value in (event | changes).items() if value is not None}


def build_document(*events: object, **changes: Any) -> dict[str, Any]:
    """Return a valid document of these events."""
    document = {
        "@context": CONTEXT,
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2025-11-25T12:00:00Z",
        "epcisBody": {"eventList": list(events)},
    }
    return {name: value for name, value in (document | changes).items() if value is not None}


def build_query_document(*events: object, **changes: Any) -> dict[str, Any]:
    """Return a valid query document of these events."""
    document = {
        "@context": CONTEXT,
        "type": "EPCISQueryDocument",
        "schemaVersion": "2.0",
        "creationDate": "2025-11-25T12:00:00Z",
        "epcisBody": {"queryResults": {"queryName": "q", "resultsBody": {"eventList": list(events)}}},
    }
    return document | changes


def build_master_data(*identifiers: str, kind: str = "urn:epcglobal:epcis:vtype:EPCClass") -> dict[str, Any]:
    """Return a header with master data of these identifiers."""
    elements = [
        {"id": name, "attributes": [{"id": "urn:epcglobal:cbv:mda#descriptionShort", "attribute": "Flour"}]}
        for name in identifiers
    ]
    return {"epcisMasterData": {"vocabularyList": [{"type": kind, "vocabularyElementList": elements}]}}


def to_bytes(value: object) -> bytes:
    """Return the JSON of a value."""
    return json.dumps(value).encode()
