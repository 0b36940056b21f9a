"""What a canonical id says of itself: lot, serial, logistic unit, asset, class, or nothing that we can read.

Source: GS1 Digital Link URI syntax (keys and qualifiers); GDST 1.2 for its `urn:gdst:` names, which are opaque but for
the words that say lot, class or instance. An id that follows neither scheme is still traced: by equality alone.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote

DIGITAL_LINK: Final = "https://id.gs1.org/"
_CACHED: Final = 1 << 16
_GDST: Final = re.compile(r"urn:gdst:([^:]+):product:(lot:class|serial:obj|class):(.*)", re.DOTALL)


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


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """What an id says. code: lot, serial or SSCC text, decoded. lot: the lot that a serial's own id names, or None."""

    kind: ItemKind
    product: str | None
    code: str | None
    lot: str | None


@lru_cache(maxsize=_CACHED)
def read_item(item: str) -> ItemFacts:
    """Return what the canonical id `item` says of itself. Total."""
    if item.startswith(DIGITAL_LINK):
        return _read_digital_link(item[len(DIGITAL_LINK) :].split("/"))
    if item.startswith("urn:gdst:"):
        return _read_gdst(item)
    return ItemFacts(ItemKind.OTHER, None, None, None)


def lot_of(product: str, lot_code: str) -> str | None:
    """Return the canonical id of the lot `lot_code` of `product`, or None if the product is no Digital Link."""
    return f"{product}/10/{quote(lot_code, safe='')}" if product.startswith(DIGITAL_LINK) else None


def _read_digital_link(path: list[str]) -> ItemFacts:
    """Read the segments behind the host: key, value, then qualifier, value, and so on."""
    key, value = path[0], path[1] if len(path) > 1 else ""
    match key:
        case "01":
            product = f"{DIGITAL_LINK}01/{value}"
            qualifiers = dict(zip(path[2::2], path[3::2], strict=False))
            lot, serial = qualifiers.get("10"), qualifiers.get("21") or qualifiers.get("235")
            lot_id = f"{product}/10/{lot}" if lot else None
            if serial:
                return ItemFacts(ItemKind.SERIAL, product, unquote(serial), lot_id)
            if lot:
                return ItemFacts(ItemKind.LOT, product, unquote(lot), None)
            return ItemFacts(ItemKind.CLASS, product, None, None)
        case "00":
            return ItemFacts(ItemKind.UNIT, None, value, None)
        case "8003" | "8004":
            return ItemFacts(ItemKind.ASSET, None, unquote(value), None)
        case "8006" | "8010":
            return ItemFacts(ItemKind.SERIAL, None, unquote(path[-1]), None)
        case "414" | "417":
            return ItemFacts(ItemKind.PLACE, None, value, None)
        case _:
            return ItemFacts(ItemKind.OTHER, None, unquote(value) or None, None)


def _read_gdst(item: str) -> ItemFacts:
    """Read a GDST name: company.product.code, of which the first two name the class."""
    found = _GDST.fullmatch(item)
    if found is None:
        return ItemFacts(ItemKind.PLACE if ":location:" in item else ItemKind.OTHER, None, None, None)
    authority, form, rest = found.groups()
    if form == "class":
        return ItemFacts(ItemKind.CLASS, item, None, None)
    parts = rest.split(".", 2)
    product = f"urn:gdst:{authority}:product:class:{parts[0]}.{parts[1]}" if len(parts) == 3 else None
    kind = ItemKind.LOT if form == "lot:class" else ItemKind.SERIAL
    return ItemFacts(kind, product, parts[-1] or None, None)
