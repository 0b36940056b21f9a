"""node/lineage/items: what a canonical id says of itself."""

import pytest

from node.lineage.items import ItemFacts, ItemKind, lot_of, read_item
from tests.support.events import lot, place, product_class, serial, unit

GTIN = product_class("1")
GDST = "urn:gdst:example.org:product"


@pytest.mark.parametrize(
    ("item", "facts"),
    [
        (lot("1", "AB%2F1"), ItemFacts(ItemKind.LOT, GTIN, "AB/1", single=False)),
        (serial("1", "7"), ItemFacts(ItemKind.SERIAL, GTIN, "7", single=True)),
        (GTIN, ItemFacts(ItemKind.CLASS, GTIN, None, single=False)),
        (unit(1), ItemFacts(ItemKind.UNIT, None, "000000000000000017", single=True)),
        (f"{GDST}:lot:class:p.2u.v1-01", ItemFacts(ItemKind.LOT, f"{GDST}:class:p.2u", "v1-01", single=False)),
        (f"{GDST}:class:p.2u", ItemFacts(ItemKind.CLASS, f"{GDST}:class:p.2u", None, single=False)),
        ("urn:uuid:1", ItemFacts(ItemKind.OTHER, None, None, single=False)),
        ("", ItemFacts(ItemKind.OTHER, None, None, single=False)),
    ],
)
def test_id_says_what_it_names(item: str, facts: ItemFacts) -> None:
    """Key and qualifiers of a Digital Link and the words of a GDST name say the kind; the rest is opaque."""
    assert read_item(item) == facts


def test_place_is_no_goods() -> None:
    """A GLN is a place, whatever list it stands in."""
    assert read_item(place(1)).kind is ItemKind.PLACE


def test_lot_code_is_encoded_in_a_lots_id() -> None:
    """A lot code is free text: what a path cannot hold is percent-encoded. An opaque product has no such id."""
    assert lot_of(GTIN, "A/1") == lot("1", "A%2F1")
    assert lot_of("urn:other", "A") is None
    assert lot_of(GTIN, "longer than the 20 characters of GS1") is None
