"""What may have been at a holder: the names that its events are filed under, and the goods that came in units."""

from collections.abc import Iterable
from typing import Final

from node.epcis.identifiers import site_of
from node.lineage.facts import Facts
from node.lineage.items import ItemKind, read_item
from node.lineage.names import NameTable

PLACES_MAX: Final = 1_000
"""Places of one party that are looked at."""


def filed_names(facts: Facts, holder: str) -> tuple[str, ...]:
    """Return what a holder's events are filed under: its site or party, and the places that master data give a party.

    An event may name only the place, and master data whose it is.
    """
    places = facts.reader.named(NameTable.WORD, holder, limit=PLACES_MAX)
    return tuple(dict.fromkeys([site_of(holder), *[site_of(place) for place in places]]))


def with_contents(facts: Facts, items: Iterable[str]) -> dict[str, None]:
    """Return the items, and what is or was in those of them that are units: events may name only the unit."""
    found = dict.fromkeys(items)
    pending = [item for item in found if read_item(item).kind in (ItemKind.UNIT, ItemKind.ASSET)]
    while pending:
        for child in sorted(facts.containment.contents_of(pending.pop()).stays):
            if child not in found:
                found[child] = None
                if read_item(child).kind in (ItemKind.UNIT, ItemKind.ASSET):
                    pending.append(child)
    return found
