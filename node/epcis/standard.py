"""What the standard asks and no schema can check, and what the reader makes of an event: told, never refused.

Notices do not change a verdict. Each opaque identifier of a document is told once.

Sources: EPCIS 2.0 §7.4.6 (only an association may have a place as its parent), §7.3.7 (times of sensors), §7.2.1.3
(an error declaration repeats the eventID of what it declares wrong).
"""

from collections.abc import Iterator
from typing import Any, Final

from node.epcis.findings import Finding, join_path
from node.epcis.identifiers import IdKind, identify
from node.epcis.model import Event, EventType
from node.epcis.times import read_instant

JsonObject = dict[str, Any]

_EPC_LISTS: Final = ("epcList", "childEPCs", "inputEPCList", "outputEPCList")
_QUANTITY_LISTS: Final = ("quantityList", "childQuantityList", "inputQuantityList", "outputQuantityList")
_PARTY_LISTS: Final = (("sourceList", "source"), ("destinationList", "destination"))
_UNITLESS_KINDS: Final = frozenset({IdKind.LOT, IdKind.CLASS})


def find_notices(event: Event, value: JsonObject, base: str, seen: set[str]) -> list[Finding]:
    """Return what a person should know of an accepted event.

    value: the event as parsed JSON, valid by the schema. seen: identifiers of the document told already; grows.
    """
    notices = [
        Finding(path, "identifier", f"{text[:64]}: {warning}") for path, text, warning in _opaque(value, base, seen)
    ]
    for name in _EPC_LISTS:
        for place, text in enumerate(value.get(name, ())):
            if identify(text).kind in _UNITLESS_KINDS:
                notices.append(
                    Finding(
                        join_path(base, name, place),
                        "lot_without_amount",
                        "a lot or class in a list of single items: its amount is unknown; quantities stand in "
                        "quantityList",
                    )
                )
                break
    notices.extend(_amounts(event, value, base))
    is_place = event.parent is not None and identify(event.parent).kind is IdKind.LOCATION
    if is_place and event.type is not EventType.ASSOCIATION:
        path = join_path(base, "parentID")
        notices.append(Finding(path, "place_as_parent", "only an AssociationEvent may name a place here"))
    if event.declaration is not None and event.event_id is None:
        notices.append(
            Finding(
                join_path(base, "errorDeclaration"),
                "declaration_of_nothing",
                "without the eventID of the wrong event this declaration voids nothing",
            )
        )
    if "sensorElementList" in value:
        notices.extend(_sensor_times(event, value, base))
    return notices


def _identifiers(value: JsonObject) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for name in _EPC_LISTS:
        for place, text in enumerate(value.get(name, ())):
            yield (name, place), text
    for name in _QUANTITY_LISTS:
        for place, entry in enumerate(value.get(name, ())):
            yield (name, place, "epcClass"), entry["epcClass"]
    if "parentID" in value:
        yield ("parentID",), value["parentID"]
    for name in ("readPoint", "bizLocation"):
        if name in value:
            yield (name, "id"), value[name]["id"]
    for list_name, name in _PARTY_LISTS:
        for place, entry in enumerate(value.get(list_name, ())):
            yield (list_name, place, name), entry[name]


def _opaque(value: JsonObject, base: str, seen: set[str]) -> Iterator[tuple[str, str, str]]:
    for steps, text in _identifiers(value):
        warning = identify(text).warning
        if warning is not None and text not in seen:
            seen.add(text)
            yield join_path(base, *steps), text, warning


def _amounts(event: Event, value: JsonObject, base: str) -> Iterator[Finding]:
    if event.type is EventType.TRANSFORMATION:
        read = (("inputQuantityList", event.inputs), ("outputQuantityList", event.outputs))
    else:
        name = "childQuantityList" if "childQuantityList" in value else "quantityList"
        read = ((name, event.goods), ("", ()))
    for name, goods in read:
        entries = value.get(name, ())
        # The reader gives EPCs first, then one entry for each quantity.
        for place, (entry, found) in enumerate(zip(entries, goods[len(goods) - len(entries) :], strict=True)):
            if found.amount is None and "quantity" in entry:
                yield Finding(
                    join_path(base, name, place, "quantity"),
                    "amount_unknown",
                    "negative, or longer than 18 digits and 9 decimals: the amount counts as unknown",
                )


def _sensor_times(event: Event, value: JsonObject, base: str) -> Iterator[Finding]:
    for place, sensor in enumerate(value["sensorElementList"]):
        metadata = sensor.get("sensorMetadata", {})
        reports = [(("sensorReport", number), report) for number, report in enumerate(sensor["sensorReport"])]
        stated: list[tuple[tuple[str | int, ...], object]] = [
            (("sensorMetadata", name), metadata.get(name)) for name in ("time", "endTime")
        ]
        stated += [((*steps, "time"), report.get("time")) for steps, report in reports]
        for steps, text in stated:
            try:
                is_late = isinstance(text, str) and read_instant(text).ms > event.time.hi_ms
            except ValueError:
                continue
            if is_late:
                yield Finding(
                    join_path(base, "sensorElementList", place, *steps), "sensor_time", "later than the event itself"
                )
