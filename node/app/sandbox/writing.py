"""EPCIS 2.0 events and documents in words of the trade: received, milled, packed, shipped, unpacked, sold."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from node.app.sandbox.trade import PARTIES, PRODUCTS, SITES, Party, Product, Site, party_of

CONTEXT: Final = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
OFFSET: Final = "+00:00"
_NAMESPACE: Final = uuid.UUID("b6d1a5de-3c0f-4b43-9f64-0a1c7d2a9f10")

Event = dict[str, Any]
When = tuple[int, int]
"""Day of the story, from 1, and minute after 06:00."""


@dataclass(frozen=True, slots=True)
class Amount:
    """So much of a lot."""

    product: Product
    lot: str
    quantity: int

    @property
    def id(self) -> str:
        """The Digital Link of the lot."""
        return self.product.lot(self.lot)

    def of(self, quantity: int) -> "Amount":
        """Return another amount of the same lot."""
        return Amount(self.product, self.lot, quantity)

    def to_json(self) -> dict[str, Any]:
        """Return an EPCIS quantity element."""
        element = {"epcClass": self.id, "quantity": self.quantity}
        return element if self.product.uom is None else element | {"uom": self.product.uom}


class Diary:
    """Writes the events of one story, which starts at 06:00 on its first day. Same calls, same bytes."""

    def __init__(self, first_day: datetime) -> None:
        self._start = first_day.astimezone(UTC).replace(hour=6, minute=0, second=0, microsecond=0)
        self._count = 0

    def time(self, day: int, minute: int) -> str:
        """Return an event time. day: 1 is the first. minute: after 06:00."""
        moment = self._start + timedelta(days=day - 1, minutes=minute)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")

    def _event(self, kind: str, when: When, site: Site, step: str, **fields: Any) -> Event:
        self._count += 1
        place = {"id": site.id}
        return {
            "type": kind,
            "eventID": f"urn:uuid:{uuid.uuid5(_NAMESPACE, str(self._count))}",
            "eventTime": self.time(*when),
            "eventTimeZoneOffset": OFFSET,
            "bizStep": step,
            "readPoint": place,
            "bizLocation": place,
            **fields,
        }

    def observe(
        self,
        when: When,
        site: Site,
        step: str,
        *,
        lots: Sequence[Amount] = (),
        units: Sequence[str] = (),
        **fields: Any,
    ) -> Event:
        """Return an event that sees goods without changing them."""
        what: dict[str, Any] = {"epcList": list(units)} if units or not lots else {}
        if lots:
            what["quantityList"] = [amount.to_json() for amount in lots]
        return self._event("ObjectEvent", when, site, step, action="OBSERVE", **what, **fields)

    def take_in(self, when: When, site: Site, amount: Amount, sender: Party) -> Event:
        """Return the making of a lot of goods that came without one from a firm outside the network."""
        return self._event(
            "ObjectEvent", when, site, "commissioning", action="ADD", disposition="in_progress", epcList=[],
            quantityList=[amount.to_json()], **_hand_over(sender, party_of(site)),
        )  # fmt: skip

    def receive_lot(self, when: When, site: Site, amount: Amount, sender: Party) -> Event:
        """Return the receipt of a loose lot from a firm outside the network."""
        return self.observe(
            when, site, "receiving", lots=[amount], disposition="in_progress", **_hand_over(sender, party_of(site))
        )

    def ship(
        self,
        when: When,
        site: Site,
        receiver: Party,
        note: str,
        *,
        units: Sequence[str] = (),
        lots: Sequence[Amount] = (),
    ) -> Event:
        """Return a shipment under a despatch note."""
        return self.observe(
            when, site, "shipping", units=units, lots=lots, disposition="in_transit",
            bizTransactionList=[_note(party_of(site), note)], **_hand_over(party_of(site), receiver),
        )  # fmt: skip

    def receive(self, when: When, site: Site, sender: Party, note: str, units: Sequence[str]) -> Event:
        """Return a receipt under the sender's despatch note."""
        return self.observe(
            when, site, "receiving", units=units, disposition="in_progress",
            bizTransactionList=[_note(sender, note)], **_hand_over(sender, party_of(site)),
        )  # fmt: skip

    def transform(
        self,
        when: When,
        site: Site,
        *,
        takes: Sequence[Amount],
        gives: Sequence[Amount],
        run: str | None = None,
    ) -> Event:
        """Return a run, or with `run` a part of one that lasts."""
        fields: dict[str, Any] = {"disposition": "in_progress"}
        if takes:
            fields["inputQuantityList"] = [amount.to_json() for amount in takes]
        if gives:
            fields["outputQuantityList"] = [amount.to_json() for amount in gives]
        if run is not None:
            fields["transformationID"] = f"urn:uuid:{uuid.uuid5(_NAMESPACE, run)}"
        return self._event("TransformationEvent", when, site, "commissioning", **fields)

    def pack(
        self, when: When, site: Site, unit: str, *, lots: Sequence[Amount] = (), units: Sequence[str] = ()
    ) -> Event:
        """Return the packing of lots or units onto a unit."""
        return self._event(
            "AggregationEvent", when, site, "packing", action="ADD", parentID=unit, **_children(lots, units)
        )

    def unpack(
        self, when: When, site: Site, unit: str, *, lots: Sequence[Amount] = (), units: Sequence[str] = ()
    ) -> Event:
        """Return the unpacking of a unit: of what is named, or of all that is in it."""
        children = _children(lots, units) if lots or units else {}
        return self._event("AggregationEvent", when, site, "unpacking", action="DELETE", parentID=unit, **children)

    def declare_wrong(self, event: Event, declared: When, corrective: Event) -> Event:
        """Return the declaration that an event did not happen so, naming the one that corrects it."""
        declaration = {
            "declarationTime": self.time(*declared),
            "reason": "incorrect_data",
            "correctiveEventIDs": [corrective["eventID"]],
        }
        return event | {"errorDeclaration": declaration}


def _hand_over(sender: Party, receiver: Party) -> dict[str, Any]:
    return {
        "sourceList": [{"type": "owning_party", "source": sender.id}],
        "destinationList": [{"type": "owning_party", "destination": receiver.id}],
    }


def _note(sender: Party, number: str) -> dict[str, str]:
    return {"type": "desadv", "bizTransaction": f"urn:epcglobal:cbv:bt:{sender.id.rpartition('/')[2]}:{number}"}


def _children(lots: Sequence[Amount], units: Sequence[str]) -> dict[str, Any]:
    children: dict[str, Any] = {"childEPCs": list(units)} if units else {}
    if lots:
        children["childQuantityList"] = [amount.to_json() for amount in lots]
    return children


def write_document(events: Sequence[Event], *, created: str) -> bytes:
    """Return an EPCIS document with master data of all that is named in the story in its header."""
    document = {
        "@context": [CONTEXT],
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": created,
        "epcisHeader": {"epcisMasterData": {"vocabularyList": _vocabularies(events)}},
        "epcisBody": {"eventList": list(events)},
    }
    return msgspec.json.encode(document)


def _vocabularies(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Return the master data of what the events name, and no more."""
    named = msgspec.json.encode(events).decode()
    classes = [_element(product.id, {"descriptionShort": product.name}) for product in PRODUCTS if product.id in named]
    places = [_element(site.id, {"name": site.name}, owner=party_of(site).id) for site in SITES if site.id in named]
    owners = {party_of(site).id for site in SITES if site.id in named}
    parties = [_element(party.id, {"name": party.name}) for party in PARTIES if party.id in named or party.id in owners]
    kinds = (("EPCClass", classes), ("Location", places), ("Party", parties))
    return [
        {"type": f"urn:epcglobal:epcis:vtype:{kind}", "vocabularyElementList": elements}
        for kind, elements in kinds
        if elements
    ]


def _element(of: str, attributes: Mapping[str, str], owner: str | None = None) -> dict[str, Any]:
    listed = [{"id": f"urn:epcglobal:cbv:mda#{name}", "attribute": value} for name, value in attributes.items()]
    if owner is not None:
        listed.append({"id": "urn:epcglobal:cbv:owning_party", "attribute": owner})
    return {"id": of, "attributes": listed}
