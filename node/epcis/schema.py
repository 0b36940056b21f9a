"""The shape of EPCIS 2.0 JSON as JSON Schema of our own, run at the door by a fast validator.

Its verdict is that of the official schema 2.0.1, which a conformance test checks, but for one point: an event of
another type than the five is refused. Each event is judged by itself, so that one bad event does not hide the rest.

Source: EPCIS 2.0 §7.4 (event types and their fields), §12 (JSON form); CBV 2.0 §7 (words).
"""

from functools import cache
from typing import Any, Final

import jsonschema_rs

from node.epcis.model import EventType
from node.epcis.vocabulary import (
    ALERTS,
    COMPONENTS,
    DISPOSITIONS,
    DOCUMENT_TYPES,
    ERROR_REASONS,
    MEASUREMENTS,
    PARTY_TYPES,
    STEPS,
)

Schema = dict[str, Any]

_TEXT: Final[Schema] = {"type": "string"}
_NUMBER: Final[Schema] = {"type": "number"}
_URI: Final[Schema] = {"type": "string", "format": "uri"}
_TIME: Final[Schema] = {"type": "string", "format": "date-time"}
_CONTEXT_PART: Final[Schema] = {"anyOf": [_URI, {"type": "object"}]}
_CONTEXT: Final[Schema] = {
    "anyOf": [*_CONTEXT_PART["anyOf"], {"type": "array", "uniqueItems": True, "items": _CONTEXT_PART}]
}
_OLD_CBV: Final = "^(urn:epcglobal:cbv|https?://ns\\.gs1\\.org/cbv/)"
_OLD_VOC: Final = "^https?://(www\\.)?gs1\\.org/voc/"


def _list_of(items: Schema, **more: object) -> Schema:
    return {"type": "array", "items": items, **more}


def _word(words: frozenset[str], foreign: str = _OLD_CBV) -> Schema:
    """Return the schema of a known word or a URI of another vocabulary."""
    return {"anyOf": [{"enum": sorted(words)}, {**_URI, "not": {"pattern": foreign}}]}


def _open(properties: dict[str, Schema], *required: str, more: tuple[str, ...] = ()) -> Schema:
    """Return the schema of an object that may have fields of others, under a prefix or a URI."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "propertyNames": {"anyOf": [{"enum": sorted({*properties, *more})}, {"format": "uri"}]},
    }


def _closed(properties: dict[str, Schema], *required: str) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


_PLACE: Final[Schema] = {"type": "object", "properties": {"id": _URI}, "required": ["id"]}
_DISPOSITION: Final = _word(DISPOSITIONS.words)
_DISPOSITION_SET: Final = _list_of(_DISPOSITION, minItems=1, uniqueItems=True)
_PERSISTENT: Final[Schema] = {
    **_closed({"set": _DISPOSITION_SET, "unset": _DISPOSITION_SET}),
    "anyOf": [{"required": ["set"]}, {"required": ["unset"]}],
}
_QUANTITY: Final = _closed(
    {"epcClass": _URI, "quantity": _NUMBER, "uom": {"type": "string", "pattern": "^[A-Z0-9]{2,3}$"}}, "epcClass"
)
_DEVICE: Final[dict[str, Schema]] = {
    "time": _TIME,
    "deviceID": _URI,
    "deviceMetadata": _URI,
    "rawData": _URI,
    "dataProcessingMethod": _URI,
    "bizRules": _URI,
}
SENSOR_NUMBERS: Final = ("value", "minValue", "maxValue", "meanValue", "sDev", "percRank", "percValue")
_SENSOR_REPORT: Final = _open(
    {
        **_DEVICE,
        **dict.fromkeys(SENSOR_NUMBERS, _NUMBER),
        **dict.fromkeys(("microorganism", "chemicalSubstance", "coordinateReferenceSystem", "uriValue"), _URI),
        "type": _word(MEASUREMENTS, _OLD_VOC),
        "exception": _word(ALERTS, _OLD_VOC),
        "component": _word(COMPONENTS.words),
        "stringValue": _TEXT,
        "uom": _TEXT,
        "booleanValue": {"type": "boolean"},
        "hexBinaryValue": {"type": "string", "pattern": "^[0-9A-Fa-f]+$"},
    },
    "type",
)
_SENSOR: Final = _open(
    {
        "sensorMetadata": _open({**_DEVICE, "startTime": _TIME, "endTime": _TIME}),
        "sensorReport": _list_of(_SENSOR_REPORT, minItems=1),
    },
    "sensorReport",
)
_ILMD: Final[Schema] = {"type": "object", "propertyNames": {"format": "uri"}}
_ACTION: Final[Schema] = {"enum": ["ADD", "OBSERVE", "DELETE"]}

_ALWAYS: Final[dict[str, Schema]] = {
    "@context": _CONTEXT,
    "type": _TEXT,
    "eventTime": _TIME,
    "recordTime": _TIME,
    "eventTimeZoneOffset": {"type": "string", "pattern": "^[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00)$"},
    "eventID": _URI,
    "certificationInfo": {"anyOf": [_URI, _list_of(_URI)]},
    "errorDeclaration": _open(
        {
            "declarationTime": _TIME,
            "reason": _word(ERROR_REASONS.words),
            "correctiveEventIDs": _list_of(_URI),
        },
        "declarationTime",
    ),
}
_COMMON: Final[dict[str, Schema]] = {
    **_ALWAYS,
    "bizStep": _word(STEPS.words),
    "disposition": _DISPOSITION,
    "readPoint": _PLACE,
    "bizLocation": _PLACE,
    "bizTransactionList": _list_of(
        _closed({"type": _word(DOCUMENT_TYPES.words), "bizTransaction": _URI}, "bizTransaction")
    ),
    "sourceList": _list_of(_closed({"type": _word(PARTY_TYPES.words), "source": _URI}, "type", "source")),
    "destinationList": _list_of(
        _closed({"type": _word(PARTY_TYPES.words), "destination": _URI}, "type", "destination")
    ),
    "sensorElementList": _list_of(_SENSOR),
}
_URI_LIST: Final = _list_of(_URI)
_URI_SET: Final = _list_of(_URI, uniqueItems=True)
_QUANTITIES: Final = _list_of(_QUANTITY)


def _filled(*names: str) -> list[Schema]:
    """Return schemas of which each asks for one of the lists with at least one entry."""
    return [{"required": [name], "properties": {name: {"minItems": 1}}} for name in names]


_IS_DELETE: Final[Schema] = {"properties": {"action": {"const": "DELETE"}}}
_NO_ILMD_UNLESS_ADD: Final[Schema] = {
    "anyOf": [{"properties": {"action": {"const": "ADD"}}}, {"not": {"required": ["ilmd"]}}]
}
_CHILDREN: Final[Schema] = {"anyOf": [*_filled("childEPCs", "childQuantityList"), _IS_DELETE]}
_INPUTS: Final = _filled("inputEPCList", "inputQuantityList")
_OUTPUTS: Final = _filled("outputEPCList", "outputQuantityList")
_RUN: Final[Schema] = {
    "anyOf": [
        {"allOf": [{"anyOf": _INPUTS}, {"anyOf": _OUTPUTS}]},
        {"required": ["transformationID"], "anyOf": [*_INPUTS, *_OUTPUTS]},
    ]
}
_FAMILY: Final[dict[str, Schema]] = {
    **_COMMON,
    "parentID": _URI,
    "childEPCs": _URI_LIST,
    "childQuantityList": _QUANTITIES,
    "action": _ACTION,
}

# The official schema names persistentDisposition on these three types but does not look into it.
_UNREAD: Final = ("persistentDisposition",)

_EVENTS: Final[dict[str, Schema]] = {
    EventType.OBJECT: {
        **_open(
            {
                **_COMMON,
                "action": _ACTION,
                "epcList": _URI_SET,
                "quantityList": _QUANTITIES,
                "persistentDisposition": _PERSISTENT,
                "ilmd": _ILMD,
            },
            "action",
        ),
        "allOf": [
            {
                "anyOf": [
                    {"required": ["epcList"]},
                    *_filled("quantityList"),
                    {**_filled("sensorElementList")[0], "required": ["readPoint", "sensorElementList"]},
                ]
            },
            _NO_ILMD_UNLESS_ADD,
        ],
    },
    EventType.AGGREGATION: {**_open(_FAMILY, "action", more=_UNREAD), "allOf": [_CHILDREN]},
    EventType.ASSOCIATION: {**_open(_FAMILY, "action", "parentID", more=_UNREAD), "allOf": [_CHILDREN]},
    EventType.TRANSACTION: {
        **_open(
            {
                **_COMMON,
                "bizTransactionList": {**_COMMON["bizTransactionList"], "minItems": 1},
                "action": _ACTION,
                "parentID": _URI,
                "epcList": _URI_LIST,
                "quantityList": _QUANTITIES,
            },
            "action",
            "bizTransactionList",
            more=_UNREAD,
        ),
        "allOf": [{"anyOf": [{"required": ["epcList"]}, *_filled("quantityList"), _IS_DELETE]}],
    },
    EventType.TRANSFORMATION: {
        **_open(
            {
                **_COMMON,
                "inputEPCList": _URI_SET,
                "inputQuantityList": _QUANTITIES,
                "outputEPCList": _URI_SET,
                "outputQuantityList": _QUANTITIES,
                "transformationID": _URI,
                "persistentDisposition": _PERSISTENT,
                "ilmd": _ILMD,
            }
        ),
        "allOf": [_RUN],
    },
}

_VOCABULARIES: Final = _list_of(
    {
        "type": "object",
        "properties": {
            "type": _URI,
            "vocabularyElementList": _list_of(
                {
                    "type": "object",
                    "properties": {
                        "id": _URI,
                        "attributes": _list_of(
                            {
                                "type": "object",
                                "properties": {"id": _URI, "attribute": {"type": ["number", "string", "object"]}},
                                "required": ["id"],
                            }
                        ),
                        "children": _URI_LIST,
                    },
                    "required": ["id"],
                }
            ),
        },
        "required": ["type"],
    }
)
_HEADER: Final = _open(
    {"epcisMasterData": {"type": "object", "properties": {"vocabularyList": _VOCABULARIES}}},
)
_EVENT_LIST: Final[Schema] = {"type": "array"}
_ENVELOPE: Final[dict[str, Schema]] = {
    "@context": _CONTEXT,
    "id": _URI,
    "type": _TEXT,
    "schemaVersion": {"type": "string", "pattern": "^[0-9]+(\\.[0-9]+)*$"},
    "creationDate": _TIME,
}
_DOCUMENTS: Final[dict[str, Schema]] = {
    "EPCISDocument": _open(
        {
            **_ENVELOPE,
            "instanceIdentifier": _TEXT,
            "sender": _TEXT,
            "receiver": _TEXT,
            "epcisHeader": _HEADER,
            "epcisBody": {"type": "object", "properties": {"eventList": _EVENT_LIST}, "required": ["eventList"]},
        },
        "@context",
        "schemaVersion",
        "creationDate",
        "epcisBody",
    ),
    "EPCISQueryDocument": _open(
        {
            **_ENVELOPE,
            "epcisBody": _open(
                {
                    "queryResults": _open(
                        {
                            "queryName": _TEXT,
                            "subscriptionID": _TEXT,
                            "resultsBody": _open(
                                {"eventList": _EVENT_LIST, "vocabularyList": _VOCABULARIES}, "eventList"
                            ),
                        },
                        "queryName",
                        "resultsBody",
                    )
                },
                "queryResults",
            ),
        },
        "@context",
        "epcisBody",
    ),
}

DOCUMENT_TYPES_KNOWN: Final = tuple(_DOCUMENTS)
EVENT_TYPES_KNOWN: Final = tuple(str(name) for name in _EVENTS)

_ALWAYS_REQUIRED: Final = ("type", "eventTime", "eventTimeZoneOffset")


@cache
def event_validator(event_type: str, *, is_bare: bool) -> jsonschema_rs.Draft7Validator:
    """Return the validator of one event. event_type: one of the five. is_bare: it stands alone, with a context."""
    schema = _EVENTS[event_type]
    required = [*_ALWAYS_REQUIRED, *schema["required"], *(["@context"] if is_bare else [])]
    return jsonschema_rs.Draft7Validator({**schema, "required": required}, validate_formats=True)


@cache
def envelope_validator(document_type: str) -> jsonschema_rs.Draft7Validator:
    """Return the validator of a document of one of the two types, whatever its events are."""
    return jsonschema_rs.Draft7Validator(_DOCUMENTS[document_type], validate_formats=True)


_URI_VALIDATOR: Final = jsonschema_rs.Draft7Validator(_URI, validate_formats=True)


def is_uri(value: object) -> bool:
    """Return whether the value is text of the form of a URI, as the schema judges it."""
    return _URI_VALIDATOR.is_valid(value)


def known_fields(event_type: str) -> frozenset[str]:
    """Return the names that an event of this type may have without a prefix."""
    return frozenset(_EVENTS[event_type]["propertyNames"]["anyOf"][0]["enum"])
