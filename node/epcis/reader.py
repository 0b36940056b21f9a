"""How execution reads an event: our own numbered rules, the same at every node.

The rules rest on the bytes alone: no schema, no GS1 library, no clock, no context fetched. They are narrower than
what the door checks where lineage rests on a field (type, time, action, identifiers, amounts), and ask nothing
where it does not (sensors, extensions). Whoever changes what an event means raises `RULES_VERSION`; the network
says from which height on the new number holds.

A field that is null counts as absent. Identifiers are canonical (`identifiers`), words bare (`vocabulary`), times
intervals (`times`), numbers exact (`json_values`).
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Final, cast

from consensus.types import Digest
from node.crypto.digests import CONTENT_DOMAIN, EVENT_DOMAIN, sha256
from node.epcis.errors import UnreadableEventError
from node.epcis.identifiers import ID_LENGTH_MAX, IdKind, identify, lot_beside_serial
from node.epcis.json_values import JsonValue, decode_value, encode_canonical
from node.epcis.model import Action, Declaration, Event, EventType, Goods, Interval, MasterKind, MasterRecord
from node.epcis.times import read_instant, read_interval
from node.epcis.vocabulary import DISPOSITIONS, DOCUMENT_TYPES, ERROR_REASONS, PARTY_TYPES, STEPS

RULES_VERSION: Final = 1

_TEXTS_CACHED: Final = 1 << 13
"""Some 8 MB of the longest texts, which the cache of identifiers holds as well."""
_WORDS_CACHED: Final = 1 << 8
_WORD_LENGTH_MAX: Final = 16

ATTRIBUTES_MAX: Final = 256
ATTRIBUTE_LENGTH_MAX: Final = 4096

JsonObject = dict[str, JsonValue]

_ONE: Final = Decimal(1)
_WHOLE_MAX: Final = 10**18
"""Amounts have at most 18 digits before the point and 9 after it; longer ones are unknown."""
_PLACES_MAX: Final = 9

_TYPES: Final = {member.value: member for member in EventType}
_ACTIONS: Final = {member.value: member for member in Action}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
# In an EPC list only these are one piece each; a lot or class there has an unknown amount.
_PIECES: Final = frozenset({IdKind.SERIAL, IdKind.SSCC, IdKind.ASSET, IdKind.DOCUMENT, IdKind.LOCATION, IdKind.PARTY})
# cbvmda:lotNumber and gs1:hasBatchLotNumber under any prefix or namespace.
_LOT_NAMES: Final = ("lotNumber", "hasBatchLotNumber")
_EXPIRY_NAMES: Final = ("itemExpirationDate", "expirationDate")
_DATE_LENGTH: Final = len("2026-11-25")
_NAME_END: Final = frozenset("#:/")


def read_event(raw: bytes, context: bytes) -> Event:
    """Return the event in `raw`, one JSON object. Raises UnreadableEventError, and nothing else.

    context: the document's `@context`; no rule of version 1 reads it, since no prefix changes what lineage needs.
    """
    del context
    value = decode_value(raw)
    if type(value) is not dict:
        raise UnreadableEventError("wrong_type", "", "an event is a JSON object")
    event = value
    type_name = event.get("type")
    event_type = _TYPES.get(type_name) if type(type_name) is str else None
    if event_type is None:
        raise UnreadableEventError("event_type", "type", f"the type must be one of {', '.join(_TYPES)}")
    time_text, time = _read_time(event)
    action = None if event_type is EventType.TRANSFORMATION else _read_action(event)
    step = _read_word(event, "bizStep", STEPS.bare)
    disposition = _read_word(event, "disposition", DISPOSITIONS.bare)
    goods: tuple[Goods, ...] = ()
    inputs: tuple[Goods, ...] = ()
    outputs: tuple[Goods, ...] = ()
    transformation_id: str | None = None
    parent: str | None = None
    if event_type is EventType.TRANSFORMATION:
        inputs = _read_goods(event, "inputEPCList", "inputQuantityList")
        outputs = _read_goods(event, "outputEPCList", "outputQuantityList")
        transformation_id = _read_id(event, "transformationID", "transformationID")
    elif event_type is EventType.OBJECT:
        goods = _read_goods(event, "epcList", "quantityList")
    else:
        parent = _read_id(event, "parentID", "parentID")
        if event_type is EventType.TRANSACTION:
            goods = _read_goods(event, "epcList", "quantityList")
        else:
            goods = _read_goods(event, "childEPCs", "childQuantityList")
    read_point = _read_place(event, "readPoint")
    location = _read_place(event, "bizLocation")
    sources = _read_parties(event, "sourceList", "source")
    destinations = _read_parties(event, "destinationList", "destination")
    ilmd = event.get("ilmd")
    return Event(
        type=event_type,
        event_id=_read_text(event, "eventID", "eventID"),
        time=time,
        time_text=time_text,
        record_time_ms=_read_record_time(event.get("recordTime")),
        action=action,
        step=step,
        disposition=disposition,
        read_point=read_point,
        location=location,
        documents=_read_documents(event),
        sources=sources,
        destinations=destinations,
        parent=parent,
        goods=goods,
        inputs=inputs,
        outputs=outputs,
        transformation_id=transformation_id,
        lot_code=_read_lot_code(ilmd) or _lot_in_links(event.get("epcList"), event.get("outputEPCList")),
        declaration=_read_declaration(event.get("errorDeclaration")),
        content_digest=_content_digest(
            event_type, action, time, step, (read_point, location), sources, destinations, parent, transformation_id,
            (goods, inputs, outputs),
        ),
        expires_ms=_read_expiry(ilmd),
        certificates=_read_certificates(event.get("certificationInfo")),
        event_digest=_event_digest(event),
    )  # fmt: skip


def _event_digest(event: JsonObject) -> Digest:
    # recordTime is set anew at each node that passes an event on, and @context stands outside it in a document.
    event.pop("recordTime", None)
    event.pop("@context", None)
    return sha256(EVENT_DOMAIN, encode_canonical(event))


def _content_digest(
    event_type: EventType,
    action: Action | None,
    time: Interval,
    step: str | None,
    places: tuple[str | None, str | None],
    sources: tuple[tuple[str, str], ...],
    destinations: tuple[tuple[str, str], ...],
    parent: str | None,
    transformation_id: str | None,
    goods: tuple[tuple[Goods, ...], ...],
) -> Digest:
    """Return the digest of what happened, however it was spelled and in whatever order it was listed."""
    lists = [sorted([_goods_text(entry) for entry in entries]) if entries else [] for entries in goods]
    return sha256(
        CONTENT_DOMAIN,
        encode_canonical(
            (event_type, action, time.lo_ms, time.hi_ms, step, places, sorted(sources), sorted(destinations), parent,
             transformation_id, lists)
        ),
    )  # fmt: skip


def _goods_text(goods: Goods) -> tuple[str, str, str]:
    # A text, since None does not sort with a number; one number has one text after `decode_value`.
    return (goods.item, "" if goods.amount is None else str(goods.amount), goods.uom or "")


def _read_time(event: JsonObject) -> tuple[str, Interval]:
    text = event.get("eventTime")
    if type(text) is not str:
        raise UnreadableEventError("event_time", "eventTime", "the time of the event is missing")
    zone = event.get("eventTimeZoneOffset")
    try:
        return text, read_interval(text, zone if type(zone) is str else None)
    except ValueError as error:
        raise UnreadableEventError("event_time", "eventTime", f"{text[:64]!r} cannot be read: {error}") from error


def _read_record_time(value: JsonValue) -> int | None:
    # Our own record time stands in the transaction: a bad one of the sender's is no loss.
    if type(value) is not str:
        return None
    try:
        return read_instant(value).ms
    except ValueError:
        return None


def _read_action(event: JsonObject) -> Action:
    value = event.get("action")
    action = _ACTIONS.get(value) if type(value) is str else None
    if action is None:
        raise UnreadableEventError("action", "action", "the action must be ADD, OBSERVE or DELETE")
    return action


def _checked_text(value: JsonValue, path: str) -> str:
    if type(value) is not str:
        raise UnreadableEventError("wrong_type", path, "this must be text")
    if not 1 <= len(value) <= ID_LENGTH_MAX:
        raise UnreadableEventError("length", path, f"{len(value)} characters, not 1 … {ID_LENGTH_MAX}")
    if not value.isprintable() and _CONTROL.search(value):
        raise UnreadableEventError("control_character", path, "control characters are not allowed here")
    return value


def _read_text(fields: JsonObject, name: str, path: str) -> str | None:
    value = fields.get(name)
    return None if value is None else _checked_text(value, path)


def _read_word(fields: JsonObject, name: str, bare: dict[str, str]) -> str | None:
    """Return the word of a vocabulary in its bare spelling, or another text as it is."""
    value = fields.get(name)
    if value is None:
        return None
    # A word that is in the vocabulary needs no other check.
    known = bare.get(value) if type(value) is str else None
    return _checked_text(value, name) if known is None else known


def _read_id(fields: JsonObject, name: str, path: str) -> str | None:
    value = fields.get(name)
    return None if value is None else identify(_checked_text(value, path)).id


@lru_cache(maxsize=_TEXTS_CACHED)
def _find_id(text: str) -> str | None:
    """Return the canonical id in a text that may stand for one, None if it may not."""
    try:
        return identify(_checked_text(text, "")).id
    except UnreadableEventError:
        return None


@lru_cache(maxsize=_WORDS_CACHED)
def _is_text(text: str) -> bool:
    """Return whether a short text that comes again and again, such as a unit, would pass `_checked_text`."""
    try:
        return bool(_checked_text(text, ""))
    except UnreadableEventError:
        return False


def _required_id(fields: JsonObject, name: str, path: str) -> str:
    text = fields.get(name)
    # Places and parties come again and again: neither their rules nor the path of an error are looked at twice.
    found = _find_id(text) if type(text) is str else None
    return identify(_checked_text(text, f"{path}.{name}")).id if found is None else found


def _read_list(fields: JsonObject, name: str) -> list[JsonValue]:
    value = fields.get(name)
    if value is None:
        return []
    if type(value) is not list:
        raise UnreadableEventError("wrong_type", name, "this must be a list")
    return value


def _objects(fields: JsonObject, name: str) -> Iterator[tuple[str, JsonObject]]:
    """Give each object of a list with its path. Raises UnreadableEventError."""
    for place, entry in enumerate(_read_list(fields, name)):
        path = f"{name}[{place}]"
        yield path, _object(entry, path)


def _object(entry: JsonValue, path: str) -> JsonObject:
    if type(entry) is not dict:
        raise UnreadableEventError("wrong_type", path, "this must be an object")
    return entry


def _read_goods(event: JsonObject, epcs_name: str, quantities_name: str) -> tuple[Goods, ...]:
    goods: list[Goods] = []
    epcs = event.get(epcs_name)
    if epcs is not None:
        if type(epcs) is not list:
            raise UnreadableEventError("wrong_type", epcs_name, "this must be a list")
        seen: set[str] = set()
        for place, text in enumerate(epcs):
            # Only a wrong one needs its path: it is not made for the others.
            if type(text) is not str or not 1 <= len(text) <= ID_LENGTH_MAX or not text.isprintable():
                _checked_text(text, f"{epcs_name}[{place}]")
            found = identify(cast(str, text))
            # An EPC list is a set: the same serial in two spellings is one piece.
            if found.id not in seen:
                seen.add(found.id)
                goods.append(Goods(found.id, _ONE if found.kind in _PIECES else None, None))
    if event.get(quantities_name) is not None:
        goods += [
            _read_quantity(quantities_name, place, entry)
            for place, entry in enumerate(_read_list(event, quantities_name))
        ]
    return tuple(goods)


def _read_quantity(list_name: str, place: int, entry: JsonValue) -> Goods:
    if type(entry) is not dict:
        raise UnreadableEventError("wrong_type", f"{list_name}[{place}]", "this must be an object")
    text, uom, quantity = entry.get("epcClass"), entry.get("uom"), entry.get("quantity")
    # As in `_required_id`: the path of an error is made only for one.
    item = _find_id(text) if type(text) is str else None
    if item is None:
        item = _required_id(entry, "epcClass", f"{list_name}[{place}]")
    if uom is not None and not (type(uom) is str and len(uom) <= _WORD_LENGTH_MAX and _is_text(uom)):
        uom = _checked_text(uom, f"{list_name}[{place}].uom")
    if quantity is None:
        return Goods(item, None, uom)
    if type(quantity) is int:
        return Goods(item, Decimal(quantity) if 0 <= quantity < _WHOLE_MAX else None, uom)
    if type(quantity) is Decimal:
        return Goods(item, quantity if _is_amount(quantity) else None, uom)
    raise UnreadableEventError(
        "quantity", f"{list_name}[{place}].quantity", "a quantity must be a number, without quotes"
    )


def _is_amount(quantity: Decimal) -> bool:
    exponent = quantity.as_tuple().exponent
    return type(exponent) is int and -_PLACES_MAX <= exponent < 0 <= quantity < _WHOLE_MAX


def _read_place(event: JsonObject, name: str) -> str | None:
    value = event.get(name)
    if value is None:
        return None
    if type(value) is not dict:
        raise UnreadableEventError("wrong_type", name, "this must be an object with an id")
    return _required_id(value, "id", name)


def _read_documents(event: JsonObject) -> tuple[tuple[str | None, str], ...]:
    if event.get("bizTransactionList") is None:
        return ()
    documents: list[tuple[str | None, str]] = []
    for place, entry in enumerate(_read_list(event, "bizTransactionList")):
        found = _find_pair(entry, DOCUMENT_TYPES.bare, "bizTransaction")
        if found is not None:
            documents.append(found)
            continue
        path = f"bizTransactionList[{place}]"
        fields = _object(entry, path)
        kind = fields.get("type")
        name = DOCUMENT_TYPES.bare.get(kind) if type(kind) is str else None
        if name is None and kind is not None:
            name = _checked_text(kind, f"{path}.type")
        documents.append((name, _required_id(fields, "bizTransaction", path)))
    return tuple(documents)


def _find_pair(entry: JsonValue, bare: dict[str, str], name: str) -> tuple[str, str] | None:
    """Return a known word and an id, the usual entry of a list, None for any other: it needs the path of an error."""
    if type(entry) is not dict:
        return None
    kind, text = entry.get("type"), entry.get(name)
    word = bare.get(kind) if type(kind) is str else None
    found = _find_id(text) if type(text) is str else None
    return None if word is None or found is None else (word, found)


def _read_certificates(value: JsonValue) -> tuple[str, ...]:
    """Return the ids that certificationInfo names, each once; what is no id is left out. Never raises."""
    if value is None:
        return ()
    entries = value if type(value) is list else [value]
    texts = [entry for entry in entries if type(entry) is str and 0 < len(entry) <= ID_LENGTH_MAX and _is_text(entry)]
    return tuple(dict.fromkeys([identify(text).id for text in texts]))


def _read_parties(event: JsonObject, list_name: str, name: str) -> tuple[tuple[str, str], ...]:
    if event.get(list_name) is None:
        return ()
    parties: list[tuple[str, str]] = []
    for place, entry in enumerate(_read_list(event, list_name)):
        found = _find_pair(entry, PARTY_TYPES.bare, name)
        if found is not None:
            parties.append(found)
            continue
        path = f"{list_name}[{place}]"
        fields = _object(entry, path)
        kind = fields.get("type")
        word = PARTY_TYPES.bare.get(kind) if type(kind) is str else None
        if word is None:
            word = _checked_text(kind, f"{path}.type")
        parties.append((word, _required_id(fields, name, path)))
    return tuple(parties)


def _read_lot_code(ilmd: JsonValue) -> str | None:
    """Return the lot number in `ilmd`; of several, that under the name first in order. Never raises."""
    if type(ilmd) is not dict:
        return None
    names = [
        name
        for name in ilmd
        for known in _LOT_NAMES
        if name.endswith(known) and (len(name) == len(known) or name[-len(known) - 1] in _NAME_END)
    ]
    for name in sorted(names):
        value = ilmd[name]
        text = str(value) if type(value) is int else value
        if type(text) is str and 1 <= len(text) <= ID_LENGTH_MAX and not _CONTROL.search(text):
            return text
    return None


def _read_expiry(ilmd: JsonValue) -> int | None:
    """Return until when `ilmd` says that goods may be used; of several the latest. Never raises.

    A date ends with the day, wherever that is last. Best before is no expiry: it says how good goods are, not whether.
    """
    if type(ilmd) is not dict:
        return None
    ends: list[int] = []
    for name in ilmd:
        value = ilmd[name]
        known = next((known for known in _EXPIRY_NAMES if name.endswith(known)), None)
        if known is None or type(value) is not str:
            continue
        if len(name) != len(known) and name[-len(known) - 1] not in _NAME_END:
            continue
        text = value if len(value) > _DATE_LENGTH else f"{value}T00:00:00Z"
        try:
            ends.append(read_interval(text, "Z").hi_ms)
        except ValueError:
            continue
    return max(ends, default=None)


def _lot_in_links(*lists: JsonValue) -> str | None:
    """Return the lot that the Digital Links of an event's serials name, if each names the same. Never raises.

    The canonical id of a serial has no lot.
    """
    lot: str | None = None
    for texts in lists:
        for text in texts if type(texts) is list else ():
            found = lot_beside_serial(text) if type(text) is str else None
            if found is None or lot not in (None, found):
                return None
            lot = found
    return lot


def _read_declaration(value: JsonValue) -> Declaration | None:
    if value is None:
        return None
    if type(value) is not dict:
        raise UnreadableEventError("wrong_type", "errorDeclaration", "this must be an object")
    time_path = "errorDeclaration.declarationTime"
    text = value.get("declarationTime")
    if type(text) is not str:
        raise UnreadableEventError("declaration_time", time_path, "the time of the declaration is missing")
    try:
        time_ms = read_instant(text).ms
    except ValueError as error:
        raise UnreadableEventError("declaration_time", time_path, f"{text[:64]!r} cannot be read: {error}") from error
    reason = _read_text(value, "reason", "errorDeclaration.reason")
    corrective = _read_list(value, "correctiveEventIDs")
    return Declaration(
        time_ms=time_ms,
        reason=None if reason is None else ERROR_REASONS.bare.get(reason, reason),
        corrective_event_ids=tuple(
            _checked_text(entry, f"errorDeclaration.correctiveEventIDs[{place}]")
            for place, entry in enumerate(corrective)
        ),
    )


_MASTER_KINDS: Final = {
    "epcclass": MasterKind.PRODUCT,
    "businesslocation": MasterKind.LOCATION,
    "readpoint": MasterKind.LOCATION,
    "location": MasterKind.LOCATION,
    "party": MasterKind.PARTY,
    "businesstransaction": MasterKind.DOCUMENT,
}


def read_master(raw: bytes) -> tuple[MasterRecord, ...]:
    """Return what a slice of master data describes; of types we do not use, nothing.

    raw: one vocabulary as a JSON object, `{"type": …, "vocabularyElementList": […]}`, with one element or more.
    Raises UnreadableEventError, and nothing else.
    """
    value = decode_value(raw)
    if type(value) is not dict:
        raise UnreadableEventError("wrong_type", "", "a vocabulary is a JSON object")
    type_name = _checked_text(value.get("type"), "type")
    kind = _MASTER_KINDS.get(_short_name(type_name).lower())
    if kind is None:
        return ()
    return tuple(_read_element(kind, path, element) for path, element in _objects(value, "vocabularyElementList"))


def _short_name(name: str) -> str:
    """Return what follows the `#`, or the last `:` or `/`."""
    tail = name.rpartition("#")[2]
    return tail.rpartition(":")[2].rpartition("/")[2] or name


def _read_element(kind: MasterKind, path: str, element: JsonObject) -> MasterRecord:
    attributes: list[tuple[str, str]] = []
    entries = element.get("attributes")
    for place, entry in enumerate(entries if type(entries) is list else []):
        if place >= ATTRIBUTES_MAX:
            raise UnreadableEventError("length", f"{path}.attributes", f"more than {ATTRIBUTES_MAX} attributes")
        if type(entry) is not dict:
            raise UnreadableEventError("wrong_type", f"{path}.attributes[{place}]", "this must be an object")
        name = _checked_text(entry.get("id"), f"{path}.attributes[{place}].id")
        attribute = entry.get("attribute")
        if attribute is None:
            continue
        text = attribute if type(attribute) is str else encode_canonical(attribute).decode()
        if len(text) > ATTRIBUTE_LENGTH_MAX:
            raise UnreadableEventError(
                "length", f"{path}.attributes[{place}]", f"more than {ATTRIBUTE_LENGTH_MAX} characters"
            )
        attributes.append((_short_name(name), text))
    return MasterRecord(kind, _required_id(element, "id", path), tuple(attributes))
