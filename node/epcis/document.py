"""The door: bytes of a client to a document whose events are judged one by one, each kept as the bytes it came in.

Accepted are an EPCISDocument, an EPCISQueryDocument and a bare event of the five types. A document that cannot be
taken apart without doubt (not JSON, a key twice, nested too deep, another kind) is refused whole; else each event
has its own verdict: valid, valid with warnings (`tolerance`), or refused with the path of the field.
"""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, cast

import msgspec

from node.epcis.errors import DocumentError, UnreadableEventError
from node.epcis.explain import explain_errors, show
from node.epcis.findings import Finding, join_path
from node.epcis.json_values import EVENT_BYTES_MAX, check_depth, decode_value
from node.epcis.model import Event
from node.epcis.reader import read_event, read_master
from node.epcis.schema import (
    DOCUMENT_TYPES_KNOWN,
    EVENT_TYPES_KNOWN,
    envelope_validator,
    event_validator,
    known_fields,
)
from node.epcis.standard import find_notices
from node.epcis.tolerance import Words, drop_comments, has_foreign_words, mend_event

DOCUMENT_BYTES_MAX: Final = 64 * 1024 * 1024
CONTEXT_BYTES_MAX: Final = 32 * 1024
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class DocumentEvent:
    """One event of a document. raw: its bytes as they came. event: as execution will read it, None if refused.

    errors: why it is refused. warnings: what deviates from the standard and was mended for judging. notices: what
    is right by the standard, but a person should know.
    """

    path: str
    raw: bytes
    event: Event | None
    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    notices: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A document taken apart. context: its `@context` as JSON bytes. vocabulary: one JSON object for each element of
    master data, with its vocabulary's type. warnings and notices: of the document outside its events."""

    type: str
    context: bytes
    events: tuple[DocumentEvent, ...]
    vocabulary: tuple[bytes, ...]
    warnings: tuple[Finding, ...]
    notices: tuple[Finding, ...]


@dataclass(slots=True)
class _Told:
    """What is said of an event without refusing it."""

    warnings: list[Finding] = field(default_factory=list)
    notices: list[Finding] = field(default_factory=list)


class _Vocabulary(msgspec.Struct):
    type: msgspec.Raw
    elements: list[msgspec.Raw] = msgspec.field(name="vocabularyElementList", default_factory=list)


class _MasterData(msgspec.Struct):
    vocabularies: list[_Vocabulary] = msgspec.field(name="vocabularyList", default_factory=list)


class _Header(msgspec.Struct):
    master_data: _MasterData = msgspec.field(name="epcisMasterData", default_factory=_MasterData)


class _Results(msgspec.Struct):
    events: list[msgspec.Raw] = msgspec.field(name="eventList")
    vocabularies: list[_Vocabulary] = msgspec.field(name="vocabularyList", default_factory=list)


class _QueryResults(msgspec.Struct):
    body: _Results = msgspec.field(name="resultsBody")


class _QueryBody(msgspec.Struct):
    results: _QueryResults = msgspec.field(name="queryResults")


class _Body(msgspec.Struct):
    events: list[msgspec.Raw] = msgspec.field(name="eventList")


class _Slices(msgspec.Struct):
    """The parts of a document as the bytes they came in."""

    context: msgspec.Raw = msgspec.field(name="@context")
    body: msgspec.Raw = msgspec.field(name="epcisBody")
    header: msgspec.Raw = msgspec.field(name="epcisHeader", default_factory=msgspec.Raw)


class _Bare(msgspec.Struct):
    context: msgspec.Raw = msgspec.field(name="@context", default_factory=msgspec.Raw)


_Form = TypeVar("_Form")


class _RepeatedKeyError(ValueError):
    """An object has a key twice; the message is the key."""


def _unique(pairs: list[tuple[str, Any]]) -> JsonObject:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        raise _RepeatedKeyError(next(name for name, _ in pairs if name in seen or seen.add(name)))  # type: ignore[func-returns-value]  # add() is None, and so false.
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _float(text: str) -> float:
    # For the schema alone, which asks whether it is a number; the reader takes the exact decimal from the bytes.
    return max(-sys.float_info.max, min(sys.float_info.max, float(text)))


def _int(text: str) -> int | float:
    return int(text) if len(text) <= 18 else _float(text)


_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_PARSER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_float, parse_int=_int, parse_constant=_refuse_constant
)


def _parse(raw: bytes) -> Any:
    """Return the JSON value for judging. Raises DocumentError, and nothing else."""
    try:
        check_depth(raw)
    except UnreadableEventError as error:
        raise DocumentError(error.code, error.message) from error
    try:
        value = _PARSER.decode(raw.decode("utf-8"))
        if _SURROGATE.search(raw):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except UnicodeEncodeError as error:
        raise DocumentError("lone_surrogate", "half of a surrogate pair, which is no character") from error
    except UnicodeDecodeError as error:
        raise DocumentError("not_utf8", f"not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise DocumentError(
            "not_json", f"not JSON at line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error
    except _RepeatedKeyError as error:
        raise DocumentError("repeated_key", f"the key {show(str(error))} stands twice in one object") from error
    except (ValueError, RecursionError) as error:
        raise DocumentError("not_json", f"not JSON: {error}") from error


def read_document(raw: bytes) -> Document:
    """Return the document in `raw`, each event judged.

    Raises DocumentError, and nothing else, for bytes that are no document that we capture: `too_large`, `too_deep`,
    `not_utf8`, `not_json`, `lone_surrogate`, `repeated_key`, `not_a_capture_document`, `invalid_document`,
    `context_too_large`.
    """
    if len(raw) > DOCUMENT_BYTES_MAX:
        raise DocumentError("too_large", f"{len(raw)} bytes, more than {DOCUMENT_BYTES_MAX}")
    notices: list[Finding] = []
    if raw.startswith(BYTE_ORDER_MARK):
        raw = raw[len(BYTE_ORDER_MARK) :]
        notices.append(Finding("", "byte_order_mark", "a byte order mark before the text: skipped"))
    value = _parse(raw)
    document_type = value.get("type") if isinstance(value, dict) else None
    if document_type in DOCUMENT_TYPES_KNOWN:
        return _read_envelope(raw, value, document_type, notices)
    if isinstance(document_type, str) and ("eventTime" in value or document_type in EVENT_TYPES_KNOWN):
        return _read_bare(raw, value, document_type, notices)
    raise DocumentError(
        "not_a_capture_document",
        "this is no EPCISDocument, EPCISQueryDocument or event: its type says so at the top of the document",
        field="type",
    )


def _read_bare(raw: bytes, value: JsonObject, document_type: str, notices: list[Finding]) -> Document:
    context = _checked_context(bytes(_decode(raw, _Bare).context) or b"null")
    event = _judge(raw.strip(), value, "", is_bare=True, is_in_query=False, context=context, seen=set())
    return Document(document_type, context, (event,), (), (), tuple(notices))


def _read_envelope(raw: bytes, value: JsonObject, document_type: str, notices: list[Finding]) -> Document:
    is_query = document_type == "EPCISQueryDocument"
    base = "epcisBody.queryResults.resultsBody.eventList" if is_query else "epcisBody.eventList"
    events, warnings = _check_envelope(value, document_type, is_query=is_query)
    slices = _decode(raw, _Slices)
    vocabularies = _read_header(bytes(slices.header), notices)
    if is_query:
        results = _decode(slices.body, _QueryBody).results.body
        raws, vocabularies = results.events, [*vocabularies, *results.vocabularies]
    else:
        raws = _decode(slices.body, _Body).events
    context = _checked_context(bytes(slices.context))
    seen: set[str] = set()
    return Document(
        document_type,
        context,
        tuple(
            _judge(
                bytes(event_raw),
                event,
                join_path(base, place),
                is_bare=False,
                is_in_query=is_query,
                context=context,
                seen=seen,
            )
            for place, (event_raw, event) in enumerate(zip(raws, events, strict=True))
        ),
        tuple(_master_slices(vocabularies, notices)),
        tuple(warnings),
        tuple(notices),
    )


def _check_envelope(value: JsonObject, document_type: str, *, is_query: bool) -> tuple[list[Any], list[Finding]]:
    """Return the events of a document and what is mended in all but the events. Raises DocumentError."""
    warnings: list[Finding] = []
    body = value.get("epcisBody")
    holder = body
    if is_query and isinstance(body, dict):
        results = body.get("queryResults")
        holder = results.get("resultsBody") if isinstance(results, dict) else None
    events: list[Any] = []
    if isinstance(holder, dict) and isinstance(holder.get("eventList"), list):
        # Taken out, so that the envelope is judged without them.
        events, holder["eventList"] = holder["eventList"], []
    validator = envelope_validator(document_type)
    if not validator.is_valid(value):
        value = cast(JsonObject, drop_comments(value, "", warnings))
        if is_query and value.pop("epcisHeader", None) is not None:
            warnings.append(
                Finding("epcisHeader", "header_in_query", "a header in a query answer: its master data is read")
            )
        errors = explain_errors(validator, value, "", frozenset())
        if errors:
            more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
            raise DocumentError("invalid_document", f"{errors[0].message}{more}", field=errors[0].path)
    return events, warnings


def _judge(
    raw: bytes, value: Any, path: str, *, is_bare: bool, is_in_query: bool, context: bytes, seen: set[str]
) -> DocumentEvent:
    """Return one event with its verdict. value: the same as parsed JSON; it is used up."""
    told = _Told()
    errors = _find_errors(raw, value, path, is_bare=is_bare, is_in_query=is_in_query, told=told)
    event: Event | None = None
    if not errors:
        try:
            event = read_event(raw, context)
        except UnreadableEventError as error:
            steps = (error.path,) if error.path else ()
            errors.append(Finding(join_path(path, *steps), error.code, error.message))
        else:
            told.notices += find_notices(event, value, path, seen)
    return DocumentEvent(path, raw, event, tuple(errors), tuple(told.warnings), tuple(told.notices))


def _find_errors(raw: bytes, value: Any, path: str, *, is_bare: bool, is_in_query: bool, told: _Told) -> list[Finding]:
    """Return why an event is refused; what is mended or merely told goes to `told`."""
    if len(raw) > EVENT_BYTES_MAX:
        return [Finding(path, "too_large", f"{len(raw)} bytes, more than {EVENT_BYTES_MAX}")]
    if not isinstance(value, dict):
        return [Finding(path, "wrong_type", f"an event must be an object, not {show(value)}")]
    event_type = value.get("type")
    if event_type not in EVENT_TYPES_KNOWN:
        told_type = "the type is missing" if event_type is None else f"{show(event_type)} is no event type"
        allowed = f"{', '.join(EVENT_TYPES_KNOWN[:-1])} and {EVENT_TYPES_KNOWN[-1]}"
        return [Finding(join_path(path, "type"), "event_type", f"{told_type}: we know {allowed}")]
    errors: list[Finding] = []
    if has_foreign_words(raw):
        words = Words(value, path)
        words.respell()
        told.warnings += words.warnings
        told.notices += words.notices
        errors = words.errors
    validator = event_validator(event_type, is_bare=is_bare)
    if not validator.is_valid(value):
        clean = cast(JsonObject, drop_comments(value, path, told.warnings))
        value.clear()
        value.update(clean)
        told.warnings += mend_event(value, path, is_in_query=is_in_query)
        errors = [*errors, *explain_errors(validator, value, path, known_fields(event_type))]
    return errors


def _checked_context(context: bytes) -> bytes:
    if len(context) > CONTEXT_BYTES_MAX:
        raise DocumentError(
            "context_too_large", f"{len(context)} bytes, more than {CONTEXT_BYTES_MAX}", field="@context"
        )
    try:
        decode_value(context)
    except UnreadableEventError as error:
        raise DocumentError(error.code, error.message, field="@context") from error
    return context


def _read_header(raw: bytes, notices: list[Finding]) -> list[_Vocabulary]:
    """Return the vocabularies of a header; in a query answer it may have any form, which costs only master data."""
    if not raw:
        return []
    try:
        return msgspec.json.decode(raw, type=_Header).master_data.vocabularies
    except ValueError:
        notices.append(Finding("epcisHeader", "master_data", "no master data that we read"))
        return []


def _master_slices(vocabularies: list[_Vocabulary], notices: list[Finding]) -> Iterator[bytes]:
    """Give one JSON object for each element of master data that the reader can read; others are told."""
    for place, vocabulary in enumerate(vocabularies):
        for number, element in enumerate(vocabulary.elements):
            raw = b'{"type":%b,"vocabularyElementList":[%b]}' % (bytes(vocabulary.type), bytes(element))
            try:
                read = read_master(raw)
            except UnreadableEventError as error:
                path = join_path("epcisHeader.epcisMasterData.vocabularyList", place, "vocabularyElementList", number)
                notices.append(Finding(path, error.code, f"not read as master data: {error.message}"))
            else:
                if read:
                    yield raw


def _decode(raw: bytes | msgspec.Raw, form: type[_Form]) -> _Form:
    try:
        return msgspec.json.decode(raw, type=form)
    except (ValueError, RecursionError) as error:
        raise DocumentError("not_json", f"not JSON that we read: {error}") from error
