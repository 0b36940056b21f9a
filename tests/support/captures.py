"""Captures of real event bytes, as a client would have them signed."""

import json

from node.ledger.genesis import Genesis
from node.ledger.transaction import Capture, Kind, SignedTransaction
from tests.support.networks import CREATED_MS, build_transaction

PRODUCT = "https://id.gs1.org/01/09520001000003"


def lot(code: str) -> str:
    """The canonical id of a lot of one product."""
    return f"{PRODUCT}/10/{code}"


def object_event(code: str, *, event_id: str | None = None, hour: int = 8) -> bytes:
    """An event that makes 10 kg of a lot."""
    fields: dict[str, object] = {
        "type": "ObjectEvent",
        "eventTime": f"2025-10-09T{hour:02}:00:00.000+02:00",
        "eventTimeZoneOffset": "+02:00",
        "action": "ADD",
        "bizStep": "commissioning",
        "readPoint": {"id": "https://id.gs1.org/414/9520001000017"},
        "quantityList": [{"epcClass": lot(code), "quantity": 10, "uom": "KGM"}],
    }
    if event_id is not None:
        fields["eventID"] = event_id
    return json.dumps(fields).encode()


def transformation_event(inputs: list[str], outputs: list[str], *, run: str | None = None) -> bytes:
    """An event that makes lots of others."""
    fields: dict[str, object] = {
        "type": "TransformationEvent",
        "eventTime": "2025-10-09T10:00:00.000+02:00",
        "eventTimeZoneOffset": "+02:00",
        "inputQuantityList": [{"epcClass": lot(code), "quantity": 5, "uom": "KGM"} for code in inputs],
        "outputQuantityList": [{"epcClass": lot(code), "quantity": 4, "uom": "KGM"} for code in outputs],
    }
    if run is not None:
        fields["transformationID"] = run
    return json.dumps(fields).encode()


def build_capture(
    genesis: Genesis,
    *events: bytes,
    member: str = "firm-0",
    nonce: int = 0,
    vocabulary: tuple[bytes, ...] = (),
    created_ms: int = CREATED_MS,
) -> SignedTransaction:
    """A transaction with these events."""
    return build_transaction(
        genesis,
        member=member,
        kind=Kind.CAPTURE,
        payload=Capture(b"[]", events, vocabulary).encode(),
        nonce=nonce,
        created_ms=created_ms,
    )
