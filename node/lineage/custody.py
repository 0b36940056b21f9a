"""Who held the goods of an event, and where: the first source that states it.

Custodian: the possessing party in source or destination, by direction; the party of the location by master data; the
party at that place, unnamed; the submitting member only if the event names no place, for members submit for others.
Place: location before read point, else the source or destination location; an outbound step names its read point
first. Stock is kept by site: a GLN without its extension.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from consensus.types import Digest, Height
from node.epcis.identifiers import identify, site_of
from node.epcis.model import Event, MasterRecord
from node.lineage.reader import LineageReader
from node.lineage.readings import Movement, Readings
from node.lineage.records import EventRow, MasterRow
from node.lineage.units import read_fact

UNIT_FACT: Final = "unitFact"
"""Master data attribute of a product: how much one of a unit is, such as "1 CS = 10 KGM"."""
_PARTY_ATTRIBUTES = ("possessing_party", "owning_party")


class Holder(NamedTuple):
    """Who holds goods, where. party: None is "the party at that place". place: as named. site: where stock is kept.

    key: what tells stock apart, the site, else the party.
    """

    party: str | None
    place: str | None
    site: str | None
    key: str


class Custodian(NamedTuple):
    """Whose run an event is: the party if known, the site if stated, and who entered it."""

    party: str | None
    site: str | None
    member: str

    def may_be(self, other: "Custodian") -> bool:
        """Return whether nothing tells the two apart: of one member, only parties that are known and differ do."""
        if self.party is not None and other.party is not None:
            return self.party == other.party
        return self.member == other.member or (self.site is not None and self.site == other.site)


NOBODY: Final = Holder(None, None, None, "")


def build_holder(party: str | None, place: str | None) -> Holder:
    """Return the holder with this party at this place."""
    site = None if place is None else site_of(place)
    return Holder(party, place, site, site or party or "")


class Masters:
    """Master data for one question: what stood at its height, each subject read once."""

    def __init__(self, reader: LineageReader, *, known_at: Height) -> None:
        self._reader = reader
        self._known_at = known_at
        self._rows: dict[str, tuple[MasterRow, ...]] = {}

    def read_by(self, reader: LineageReader) -> None:
        """Go on with another reader of the same height."""
        self._reader = reader

    def rows_of(self, subject: str) -> tuple[MasterRow, ...]:
        """Return the same as `of`, with who entered it."""
        rows = self._rows.get(subject)
        if rows is None:
            rows = self._rows[subject] = tuple(self._reader.master_of(subject, known_at=self._known_at))
        return rows

    def of(self, subject: str) -> tuple[MasterRecord, ...]:
        """Return what the members state of a product, place or party, by member."""
        return tuple([row.record for row in self.rows_of(subject)])

    def unit_fact(self, product: str, uom: str | None) -> tuple[Decimal, str] | None:
        """Return how much of another unit one `uom` of the product is; None if nobody states it, or two differ."""
        stated = {
            fact[1:]
            for record in self.of(product)
            for name, value in record.attributes
            if name == UNIT_FACT and (fact := read_fact(value)) is not None and fact[0] == uom
        }
        return stated.pop() if len(stated) == 1 else None

    def name_of(self, subject: str | None, attributes: tuple[str, ...]) -> str | None:
        """Return what master data call a product, place or party: by the first attribute that anyone states.

        Of several statements the least: the same at every node.
        """
        if subject is None:
            return None
        found: list[tuple[int, str]] = [
            (attributes.index(name), value)
            for record in self.of(subject)
            for name, value in record.attributes
            if name in attributes
        ]
        return min(found)[1] if found else None


class Custody:
    """Custodians and places for one question; remembers the parties of places."""

    def __init__(self, masters: Masters, readings: Readings) -> None:
        self._masters = masters
        self._readings = readings
        self._parties: dict[str, str | None] = {}
        self._read: dict[tuple[Digest, str], tuple[Movement, Holder]] = {}
        self._holders: dict[str, Holder] = {}
        self._named: dict[tuple[tuple[str, str], ...], Holder | None] = {}

    def holder_of(self, row: EventRow) -> Holder:
        """Return who held the event's goods when it happened: the sender of an outbound step, else who has them."""
        return self.read(row)[1]

    def read(self, row: EventRow) -> tuple[Movement, Holder]:
        """Return how the event moves its goods, and who held them."""
        # The member is part of what is read: it holds the goods where no place is named.
        key = (row.event.event_digest, row.member)
        found = self._read.get(key)
        if found is None:
            movement = self._readings.movement_of(row.event)
            found = self._read[key] = (movement, self._read_holder(row, movement))
        return found

    def _read_holder(self, row: EventRow, movement: Movement) -> Holder:
        event = row.event
        outbound = movement is Movement.OUTBOUND
        place = _place_of(event, outbound=outbound)
        party = None
        if outbound and event.sources:
            party = _first(event.sources, "possessing_party")
        elif movement is Movement.INBOUND and event.destinations:
            party = _first(event.destinations, "possessing_party")
        if place is None:
            return build_holder(party or row.member, None)
        return build_holder(party, place) if party is not None else self._holder_at(place)

    def _holder_at(self, place: str) -> Holder:
        holder = self._holders.get(place)
        if holder is None:
            holder = self._holders[place] = build_holder(self.party_at(place), place)
        return holder

    def receiver_of(self, event: Event) -> Holder | None:
        """Return to whom an outbound step sends its goods, or None if it does not say."""
        return self._named_by(event.destinations) if event.destinations else None

    def sender_of(self, event: Event) -> Holder | None:
        """Return from whom an inbound step has its goods, or None if it does not say."""
        return self._named_by(event.sources) if event.sources else None

    def _named_by(self, pairs: tuple[tuple[str, str], ...]) -> Holder | None:
        """Return whom sources or destinations name: possessing party, the place's, then the owner."""
        if pairs in self._named:
            return self._named[pairs]
        place = _first(pairs, "location")
        party = (
            _first(pairs, "possessing_party")
            or (self.party_at(place) if place else None)
            or _first(pairs, "owning_party")
        )
        holder = None if place is None and party is None else build_holder(party, place)
        self._named[pairs] = holder
        return holder

    def custodian_of(self, row: EventRow) -> Custodian:
        """Return what is known of whose run an event is."""
        holder = self.holder_of(row)
        return Custodian(None if holder.place is None else holder.party, holder.site, row.member)

    def run_key(self, row: EventRow) -> str:
        """Return whose runs an event's transformationID counts among."""
        holder = self.holder_of(row)
        return holder.party or holder.site or row.member

    def clock_at(self, key: str, counts: Mapping[str, int]) -> str:
        """Return by whose clock what several members told of a holder's goods is put in order; the others' is widened.

        Whoever alone states in master data whose the place is, if it told of any: then nobody else's events, however
        many, widen the order of the site's own. Else who told of most. key: of the holder. counts: how much each told
        of, not empty.
        """
        described = {
            row.member
            for row in self._masters.rows_of(key)
            for name, _value in row.record.attributes
            if name in _PARTY_ATTRIBUTES
        }
        if len(described) == 1 and described <= counts.keys():
            return described.pop()
        return min(counts, key=lambda member: (-counts[member], member))

    def party_at(self, place: str) -> str | None:
        """Return the party that master data names for a place; None if it names none, or two."""
        if place not in self._parties:
            party = self._read_party(place)
            if party is None and site_of(place) != place:
                party = self._read_party(site_of(place))
            self._parties[place] = party
        return self._parties[place]

    def _read_party(self, place: str) -> str | None:
        records = self._masters.of(place)
        if not records:
            return None
        for attribute in _PARTY_ATTRIBUTES:
            stated = {
                identify(value).id for record in records for name, value in record.attributes if name == attribute
            }
            if stated:
                # Two that differ: which of them holds the place stays open.
                return stated.pop() if len(stated) == 1 else None
        return None


def ask_whom(holder: Holder) -> str:
    """Return whom to ask, as an answer says it: a party's id, else the party at a place."""
    if holder.party is not None:
        return holder.party
    return f"the party at {holder.place}" if holder.place is not None else "unknown"


def _place_of(event: Event, *, outbound: bool) -> str | None:
    if outbound:
        return event.read_point or event.location or _first(event.sources, "location")
    return (
        event.location
        or event.read_point
        or _first(event.destinations, "location")
        or _first(event.sources, "location")
    )


def _first(pairs: Iterable[tuple[str, str]], kind: str) -> str | None:
    for name, value in pairs:
        if name == kind:
            return value
    return None
