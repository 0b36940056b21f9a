"""node/lineage/items: what a canonical id says of itself."""

import pytest

from node.lineage.items import ItemFacts, ItemKind, lot_of, read_item

GTIN = "https://id.gs1.org/01/09521321123454"
GDST = "urn:gdst:example.org:product"


@pytest.mark.parametrize(
    ("item", "facts"),
    [
        (f"{GTIN}/10/AB%2F1", ItemFacts(ItemKind.LOT, GTIN, "AB/1", None)),
        (f"{GTIN}/21/7", ItemFacts(ItemKind.SERIAL, GTIN, "7", None)),
        (f"{GTIN}/10/A/21/7", ItemFacts(ItemKind.SERIAL, GTIN, "7", f"{GTIN}/10/A")),
        (f"{GTIN}/22/2A/10/A", ItemFacts(ItemKind.LOT, GTIN, "A", None)),
        (GTIN, ItemFacts(ItemKind.CLASS, GTIN, None, None)),
        ("https://id.gs1.org/00/1", ItemFacts(ItemKind.UNIT, None, "1", None)),
        ("https://id.gs1.org/8003/01", ItemFacts(ItemKind.ASSET, None, "01", None)),
        ("https://id.gs1.org/8006/1/21/5", ItemFacts(ItemKind.SERIAL, None, "5", None)),
        ("https://id.gs1.org/414/1", ItemFacts(ItemKind.PLACE, None, "1", None)),
        ("https://id.gs1.org/253/1", ItemFacts(ItemKind.OTHER, None, "1", None)),
        ("https://id.gs1.org/", ItemFacts(ItemKind.OTHER, None, None, None)),
        (f"{GDST}:lot:class:p.2u.v1-01.2", ItemFacts(ItemKind.LOT, f"{GDST}:class:p.2u", "v1-01.2", None)),
        (f"{GDST}:lot:class:v1", ItemFacts(ItemKind.LOT, None, "v1", None)),
        (f"{GDST}:serial:obj:p.2u.7", ItemFacts(ItemKind.SERIAL, f"{GDST}:class:p.2u", "7", None)),
        (f"{GDST}:class:p.2u", ItemFacts(ItemKind.CLASS, f"{GDST}:class:p.2u", None, None)),
        ("urn:gdst:example.org:location:loc:x", ItemFacts(ItemKind.PLACE, None, None, None)),
        ("urn:uuid:1", ItemFacts(ItemKind.OTHER, None, None, None)),
        ("", ItemFacts(ItemKind.OTHER, None, None, None)),
    ],
)
def test_id_says_what_it_names(item: str, facts: ItemFacts) -> None:
    """Key and qualifiers of a Digital Link and the words of a GDST name say the kind; the rest is opaque."""
    assert read_item(item) == facts


def test_lot_code_is_encoded_in_a_lots_id() -> None:
    """A lot code is free text: what a path cannot hold is percent-encoded. An opaque product has no such id."""
    assert lot_of(GTIN, "A/1+2") == f"{GTIN}/10/A%2F1%2B2"
    assert lot_of("urn:other", "A") is None
