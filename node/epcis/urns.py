"""Canonical Digital Links back to EPC URNs, where the length of the company prefix is known.

The way to a Digital Link is lossless; the way back needs to know where the company prefix ends: from the caller, or
from GS1's public list, which biip carries. This serves people and partners at the door; nothing that nodes agree on
rests on it.

Source: EPC Tag Data Standard 2.0 §6.3.
"""

from collections.abc import Callable
from typing import Final
from urllib.parse import unquote

from node.epcis.identifiers import LINK_HOST, IdKind, identify

PREFIX_LENGTH_MIN: Final = 6
PREFIX_LENGTH_MAX: Final = 12

_ESCAPED: Final = {ord(letter): f"%{ord(letter):02X}" for letter in '"%&/<>?#'}


def find_prefix_length(digits: str) -> int | None:
    """Return how many of `digits` are the company prefix by GS1's list, or None if it does not say.

    digits: those of a GLN or GTIN-13, with or without check digit.
    """
    # Imported here: the list is large, and few nodes ever ask for a URN.
    from biip.gs1_prefixes import GS1CompanyPrefix

    found = GS1CompanyPrefix.extract(digits)
    if found is None or not PREFIX_LENGTH_MIN <= len(found.value) <= PREFIX_LENGTH_MAX:
        return None
    return len(found.value)


def to_urn(identifier: str, prefix_length: int | None = None) -> str | None:
    """Return the EPC URN of a GS1 identifier, or None if there is none or the prefix is of unknown length.

    prefix_length: 6 … 12 where the caller knows it. A class becomes a pattern (`urn:epc:idpat:…*`).
    """
    found = identify(identifier)
    if found.kind is IdKind.OPAQUE or not found.id.startswith(LINK_HOST + "/"):
        return None
    ai, value, *rest = (unquote(part) for part in found.id[len(LINK_HOST) + 1 :].split("/"))
    convert = _CONVERTERS.get((ai, rest[0] if rest else ""))
    if convert is None:
        return None
    if ai == "01" and value.startswith("000000") and prefix_length is None:
        return None  # A GTIN-8 has no company prefix that anyone lists.
    start = {"01": 1, "00": 1, "8003": 1, "8006": 1}.get(ai, 0)
    digits = value[start : start + 12]
    length = find_prefix_length(digits) if prefix_length is None else prefix_length
    if length is None or not PREFIX_LENGTH_MIN <= length <= PREFIX_LENGTH_MAX or not digits[:length].isdecimal():
        return None
    return "urn:epc:" + convert(value, rest[1] if rest else "", length)


def _escape(text: str) -> str:
    return text.translate(_ESCAPED)


def _item(digits: str, length: int) -> str:
    """Return P.IR of a GTIN-14, or P.ES of an SSCC: the first digit moves behind the prefix."""
    return f"{digits[1 : 1 + length]}.{digits[0]}{digits[1 + length : -1]}"


def _split(digits: str, length: int) -> str:
    return f"{digits[:length]}.{digits[length:]}"


def _numbered(scheme: str, start: int) -> Callable[[str, str, int], str]:
    """Return the converter of a key with 13 digits at `start` and a serial behind them, which may be missing."""

    def convert(value: str, qualifier: str, length: int) -> str:
        del qualifier
        head, serial = value[start : start + 12], value[start + 13 :]
        if not serial:
            return f"idpat:{scheme}:{_split(head, length)}.*"
        return f"id:{scheme}:{_split(head, length)}.{_escape(serial)}"

    return convert


def _itip(value: str, qualifier: str, length: int) -> str:
    form, serial = ("id", _escape(qualifier)) if qualifier else ("idpat", "*")
    return f"{form}:itip:{_item(value[:14], length)}.{value[14:16]}.{value[16:]}.{serial}"


_CONVERTERS: Final[dict[tuple[str, str], Callable[[str, str, int], str]]] = {
    ("01", ""): lambda value, _, length: f"idpat:sgtin:{_item(value, length)}.*",
    ("01", "21"): lambda value, serial, length: f"id:sgtin:{_item(value, length)}.{_escape(serial)}",
    ("01", "235"): lambda value, serial, length: f"id:upui:{_item(value, length)}.{_escape(serial)}",
    ("01", "10"): lambda value, lot, length: f"class:lgtin:{_item(value, length)}.{_escape(lot)}",
    ("8006", ""): _itip,
    ("8006", "21"): _itip,
    ("00", ""): lambda value, _, length: f"id:sscc:{_item(value, length)}",
    ("414", ""): lambda value, _, length: f"id:sgln:{_split(value[:12], length)}.0",
    ("414", "254"): lambda value, part, length: f"id:sgln:{_split(value[:12], length)}.{_escape(part)}",
    ("417", ""): lambda value, _, length: f"id:pgln:{_split(value[:12], length)}",
    ("8003", ""): _numbered("grai", 1),
    ("253", ""): _numbered("gdti", 0),
    ("255", ""): _numbered("sgcn", 0),
    ("8004", ""): lambda value, _, length: f"id:giai:{value[:length]}.{_escape(value[length:])}",
    ("401", ""): lambda value, _, length: f"id:ginc:{value[:length]}.{_escape(value[length:])}",
    ("402", ""): lambda value, _, length: f"id:gsin:{_split(value[:16], length)}",
    ("8017", ""): lambda value, _, length: f"id:gsrnp:{_split(value[:17], length)}",
    ("8018", ""): lambda value, _, length: f"id:gsrn:{_split(value[:17], length)}",
    ("8010", ""): lambda value, _, length: f"idpat:cpi:{value[:length]}.{_escape(value[length:])}.*",
    ("8010", "8011"): lambda value, serial, length: f"id:cpi:{value[:length]}.{_escape(value[length:])}.{serial}",
}
