"""Schema errors in sentences that a person can act on: what is wrong, what is allowed, what was perhaps meant."""

import difflib
import re
from collections.abc import Iterator
from typing import Any, Final

import jsonschema_rs

from node.epcis.findings import Finding, join_path
from node.epcis.vocabulary import (
    ALERTS,
    COMPONENTS,
    DISPOSITIONS,
    DOCUMENT_TYPES,
    ERROR_REASONS,
    MEASUREMENTS,
    PARTY_TYPES,
    STEPS,
    Vocabulary,
)

ERRORS_MAX: Final = 16
"""Findings of one event that are told: who has more has another problem."""

_SHOWN_LENGTH: Final = 64
_NO_PATH: Final = re.compile("[^A-Za-z0-9_-]+")
_TIME_EXAMPLE: Final = "2026-11-25T08:30:00+01:00"

_MISSING: Final = {
    "eventTime": f"say when it happened, such as {_TIME_EXAMPLE}",
    "eventTimeZoneOffset": "say the offset from UTC at the place of the event, such as +01:00",
    "action": "say ADD, OBSERVE or DELETE",
    "@context": "name the EPCIS context, https://ref.gs1.org/standards/epcis/epcis-context.jsonld",
    "bizTransactionList": "a TransactionEvent names at least one business document",
    "parentID": "an AssociationEvent says what the children ride on or are built into",
    "epcClass": "say which lot or class the quantity is of",
    "declarationTime": f"say when the error was declared, such as {_TIME_EXAMPLE}",
    "sensorReport": "a sensor element has at least one report",
}
_GOODS: Final = {
    "ObjectEvent": "name the goods: epcList or a quantityList with an entry (or sensorElementList with readPoint)",
    "AggregationEvent": "name the contents: childEPCs or a childQuantityList with an entry (only DELETE needs none)",
    "AssociationEvent": "name the children: childEPCs or a childQuantityList with an entry (only DELETE needs none)",
    "TransactionEvent": "name the goods: epcList or a quantityList with an entry (only DELETE needs none)",
    "TransformationEvent": "name inputs and outputs, or a transformationID and one of the two",
}
_JSON_TYPES: Final = {
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
    type(None): "null",
}
_TYPE_NAMES: Final = {
    "string": "text",
    "number": "a number, without quotes",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}


def show(value: object) -> str:
    """Return a value short enough for a sentence, without control characters."""
    text = value if isinstance(value, str) else _JSON_TYPES.get(type(value), "a value")
    if not isinstance(value, str):
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else text
    clean = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[:_SHOWN_LENGTH])
    return f"'{clean}…'" if len(text) > _SHOWN_LENGTH else f"'{clean}'"


def _nearest(text: str, words: frozenset[str]) -> str:
    found = difflib.get_close_matches(text[:_SHOWN_LENGTH], sorted(words), n=1, cutoff=0.6)
    return f"; perhaps {found[0]} is meant" if found else ""


def vocabulary_at(steps: list[str | int]) -> Vocabulary | None:
    """Return the vocabulary whose words stand at this place of an event, if there is one."""
    names = [step for step in steps if isinstance(step, str)]
    match names:
        case ["bizStep"]:
            return STEPS
        case ["disposition"] | ["persistentDisposition", "set" | "unset"]:
            return DISPOSITIONS
        case ["bizTransactionList", "type"]:
            return DOCUMENT_TYPES
        case ["sourceList" | "destinationList", "type"]:
            return PARTY_TYPES
        case ["errorDeclaration", "reason"]:
            return ERROR_REASONS
        case ["sensorElementList", "sensorReport", "component"]:
            return COMPONENTS
        case _:
            return None


def unknown_word(vocabulary: Vocabulary, value: str) -> str:
    """Return the sentence for a word that the vocabulary does not have."""
    known = ", ".join(sorted(vocabulary.words)) if len(vocabulary.words) <= 14 else f"{len(vocabulary.words)} CBV words"
    nearest = vocabulary.nearest(value)
    meant = f"; perhaps {nearest} is meant" if nearest else ""
    own = _NO_PATH.sub("-", value[:_SHOWN_LENGTH].rpartition(":")[2].rpartition("/")[2]).strip("-") or "word"
    return (
        f"{show(value)} is no {vocabulary.name} of CBV 2.0 ({known}){meant}. A word of your own is written as a URI "
        f"outside the CBV, such as https://example.org/{own}"
    )


def explain_errors(
    validator: jsonschema_rs.Draft7Validator, value: dict[str, Any], base: str, known: frozenset[str]
) -> list[Finding]:
    """Return what the schema finds wrong, at most `ERRORS_MAX` findings, each place once; empty if all is well.

    base: path of the value in its document. known: names that the value may have, for a guess at what was meant.
    """
    findings: dict[tuple[str, str], Finding] = {}
    for error in validator.iter_errors(value):
        for finding in _explain(error, value, base, known):
            findings.setdefault((finding.path, finding.code), finding)
        if len(findings) >= ERRORS_MAX:
            break
    return list(findings.values())[:ERRORS_MAX]


def _explain(
    error: jsonschema_rs.ValidationError, event: dict[str, Any], base: str, known: frozenset[str]
) -> Iterator[Finding]:
    steps = list(error.instance_path)
    path, kind, value = join_path(base, *steps), error.kind, error.instance
    match kind.name:
        case "required":
            name = str(kind.as_dict()["property"])
            hint = _MISSING.get(name)
            message = f"{name} is missing" + (f": {hint}" if hint else "")
            yield Finding(join_path(path, name), "missing_field", message)
        case "propertyNames" | "additionalProperties":
            yield from _explain_names(kind, path, steps, known)
        case "anyOf":
            yield _explain_choice(path, steps, value, event)
        case "enum":
            yield Finding(path, "unknown_word", f"{show(value)} is not one of ADD, OBSERVE and DELETE")
        case "type":
            expected = kind.as_dict()["types"]
            names = " or ".join(_TYPE_NAMES.get(str(name), str(name)) for name in expected)
            yield Finding(path, "wrong_type", f"this must be {names}, not {_told(value)}")
        case "format":
            yield Finding(path, *_explain_format(str(kind.as_dict()["format"]), value))
        case "pattern":
            yield Finding(path, "wrong_form", _explain_pattern(steps, value))
        case "minItems":
            yield Finding(path, "empty_list", "this list must have an entry")
        case "uniqueItems":
            yield Finding(path, "repeated", "the same entry stands in this list twice")
        case _:
            yield Finding(path, "not_allowed", error.message[:200])


def _told(value: object) -> str:
    return f"the text {show(value)}" if isinstance(value, str) else show(value)


def _explain_names(
    kind: Any,
    path: str,
    steps: list[str | int],
    known: frozenset[str],
) -> Iterator[Finding]:
    details = kind.as_dict()
    names = details["unexpected"] if kind.name == "additionalProperties" else [kind.error.instance]
    for name in names:
        if kind.name == "additionalProperties":
            rule = "no field of your own is allowed here"
        elif steps and steps[-1] == "ilmd":
            rule = "every field of ilmd needs a prefix or a URI as its name, such as cbvmda:lotNumber"
        else:
            rule = f"a field of your own needs a prefix, such as example:{_short(name)}"
        meant = "" if steps else _nearest(str(name), known)
        yield Finding(join_path(path, str(name)[:_SHOWN_LENGTH]), "unknown_field", f"unknown field: {rule}{meant}")


def _short(name: object) -> str:
    return "".join(letter for letter in str(name)[:_SHOWN_LENGTH] if letter.isprintable() and letter != " ")


def _explain_choice(path: str, steps: list[str | int], value: object, event: dict[str, Any]) -> Finding:
    vocabulary = vocabulary_at(steps)
    if vocabulary is not None and isinstance(value, str):
        return Finding(path, "unknown_word", unknown_word(vocabulary, value))
    if not steps:
        if "ilmd" in event and event.get("action") in {"OBSERVE", "DELETE"}:
            return Finding(join_path(path, "ilmd"), "not_allowed", "ilmd is allowed only where the action is ADD")
        event_type = str(event.get("type"))
        return Finding(path, "missing_goods", _GOODS.get(event_type, "a required part is missing"))
    last = steps[-1] if isinstance(steps[-1], str) else steps[-2] if len(steps) > 1 else ""
    if last in {"type", "exception"} and isinstance(value, str):
        words = MEASUREMENTS if last == "type" else ALERTS
        return Finding(
            path, "unknown_word", f"{show(value)} is no word of the sensor vocabulary{_nearest(value, words)}"
        )
    if last == "persistentDisposition":
        return Finding(path, "missing_field", "set or unset is missing")
    return Finding(path, "wrong_type", f"this must be a URI or a list of URIs, not {_told(value)}")


def _explain_format(name: str, value: object) -> tuple[str, str]:
    if name == "date-time":
        return "wrong_time", f"{show(value)} is no time with an offset, such as {_TIME_EXAMPLE}"
    return "no_uri", f"{show(value)} is no URI, such as urn:example:1 or https://example.com/1"


def _explain_pattern(steps: list[str | int], value: object) -> str:
    match steps[-1]:
        case "uom":
            return f"{show(value)} is no unit code of two or three capitals or digits, such as KGM"
        case "eventTimeZoneOffset":
            return f"{show(value)} is no offset from UTC between -14:00 and +14:00, such as +01:00"
        case "schemaVersion":
            return f"{show(value)} is no version, such as 2.0"
        case _:
            return f"{show(value)} must be hexadecimal digits"
