"""What a canonical id says of itself: lot, serial, logistic unit, asset, class, or nothing that we can read.

An id that follows no scheme we know is still traced: by equality alone.
"""

from enum import StrEnum
from functools import lru_cache
from typing import Final

import msgspec

from node.epcis.identifiers import LINK_HOST, IdKind, build_link, describe

_CACHED: Final = 1 << 16
_PRODUCT_START: Final = f"{LINK_HOST}/01/"


class ItemKind(StrEnum):
    """What an id names."""

    LOT = "lot"
    SERIAL = "serial"
    UNIT = "unit"
    """A logistic unit (SSCC)."""
    ASSET = "asset"
    """A returnable or individual asset (GRAI, GIAI): crate, tank, machine."""
    CLASS = "class"
    """A product without lot or serial."""
    PLACE = "place"
    OTHER = "other"


_KINDS: Final = {
    IdKind.LOT: ItemKind.LOT,
    IdKind.SERIAL: ItemKind.SERIAL,
    IdKind.SSCC: ItemKind.UNIT,
    IdKind.ASSET: ItemKind.ASSET,
    IdKind.CLASS: ItemKind.CLASS,
    IdKind.LOCATION: ItemKind.PLACE,
    IdKind.PARTY: ItemKind.OTHER,
    IdKind.DOCUMENT: ItemKind.OTHER,
    IdKind.OPAQUE: ItemKind.OTHER,
}


class ItemFacts(msgspec.Struct, frozen=True, gc=False):
    """What an id says. product: the class's id. code: lot, serial or SSCC text. single: one piece, never a part."""

    kind: ItemKind
    product: str | None
    code: str | None
    single: bool


@lru_cache(maxsize=_CACHED)
def read_item(item: str) -> ItemFacts:
    """Return what the canonical id `item` says of itself. Total."""
    description = describe(item)
    kind = _KINDS[description.kind]
    return ItemFacts(
        kind, description.product, description.code, kind in (ItemKind.SERIAL, ItemKind.UNIT, ItemKind.ASSET)
    )


@lru_cache(maxsize=_CACHED)
def lot_of(product: str, lot_code: str) -> str | None:
    """Return the canonical id of the lot `lot_code` of `product`, or None if the product has no such ids."""
    if not product.startswith(_PRODUCT_START):
        return None
    try:
        return build_link("01", product[len(_PRODUCT_START) :], {"10": lot_code}).id
    except ValueError:
        # A lot number longer than GS1 allows is no key of a lot.
        return None
