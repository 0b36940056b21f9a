"""What a person types or scans for an item: Digital Link, EPC URN, element string with or without parentheses, SSCC.

A scanner gives an element string: application identifier (AI), value, AI, value …; values of open length end with the
group separator 0x1D. In print the AIs stand in parentheses.

Source: GS1 General Specifications §3.2 (AIs), §7.8.5 (which values have a predefined length).
"""

import re
from typing import Final

from node.epcis.errors import IdentifierError
from node.epcis.identifiers import ID_LENGTH_MAX, KEYS, Identifier, build_link, identify

GROUP_SEPARATOR: Final = "\x1d"

_SYMBOLOGY: Final = re.compile(r"\](?:C1|E0|e0|d2|Q3|J1)")
_PRINTED: Final = re.compile(r"\(([0-9]{2,4})\)(.*?)(?=\([0-9]{2,4}\)|$)")
_HOST: Final = re.compile(r"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?::[0-9]+)?/\S+")
_GTIN_LENGTHS: Final = frozenset({8, 12, 13, 14})

_TWO_DIGITS: Final = frozenset(
    {f"{number:02d}" for number in (*range(5), *range(10, 23), 30, 37, *range(90, 100))},
)
_THREE_DIGITS: Final = frozenset({"23", "24", "25", "40", "41", "42", "71"})
_VALUE_LENGTHS: Final = {
    "00": 18, "01": 14, "02": 14, "03": 14, "04": 16, "20": 2, "41": 13,
    **{f"{number}": 6 for number in (*range(11, 20), *range(31, 37))},
}  # fmt: skip
_KEY_LENGTHS: Final = {"8006": 18, "8017": 18, "8018": 18, "402": 17}

# Which key an element string names, if it holds several: a pallet's label has the SSCC beside its contents.
_ORDER: Final = ("00", "8006", "01", *(ai for ai in KEYS if ai not in {"00", "8006", "01"}))


def parse_item(text: str) -> Identifier:
    """Return the item that a person means, in its canonical spelling; text of no known form is an opaque name.

    Raises IdentifierError if the text is empty, too long, has control characters, or is an element string that
    names no item or has a wrong length or check digit.
    """
    text = text.strip(" \t\r\n")  # Not the group separator, which Python counts as white space.
    if text.startswith("]"):
        text = _SYMBOLOGY.sub("", text, count=1)
    if not 1 <= len(text) <= ID_LENGTH_MAX:
        raise IdentifierError("identifier_length", f"an item has 1 … {ID_LENGTH_MAX} characters, not {len(text)}")
    if not text.replace(GROUP_SEPARATOR, "").isprintable():
        raise IdentifierError("identifier_characters", "an item has no control characters")
    if text.startswith("("):
        return _from_elements(_printed_elements(text))
    digits = text.replace(" ", "")
    if digits.isdecimal() and digits.isascii():
        if len(digits) == 18:
            return _from_elements({"00": digits})
        if len(digits) in _GTIN_LENGTHS:
            return _from_elements({"01": digits})
    if re.match(r"(?:00[0-9]{18}|0[12][0-9]{14})(?![0-9])|(?:01|02)[0-9]{14}(?:10|21|11|13|15|17)", text):
        return _from_elements(_scanned_elements(text))
    if GROUP_SEPARATOR in text:
        return _from_elements(_scanned_elements(text))
    if _HOST.fullmatch(text):
        linked = identify(f"https://{text}")
        if linked.warning is None:
            return linked
    return identify(text)


def _printed_elements(text: str) -> dict[str, str]:
    elements: dict[str, str] = {}
    end = 0
    for found in _PRINTED.finditer(text):
        elements.setdefault(found[1], found[2].strip().strip(GROUP_SEPARATOR))
        end = found.end()
    if end != len(text) or not elements:
        raise IdentifierError("element_string", f"{text[:64]!r} cannot be read: write it as (01)…(10)…")
    return elements


def _scanned_elements(text: str) -> dict[str, str]:
    elements: dict[str, str] = {}
    rest = text.replace(" ", "")
    while rest:
        start = rest[:2]
        ai = rest[: 2 if start in _TWO_DIGITS else 3 if start in _THREE_DIGITS else 4]
        rest = rest[len(ai) :]
        length = _KEY_LENGTHS.get(ai) or _VALUE_LENGTHS.get(start)
        if length is None:
            value, _, rest = rest.partition(GROUP_SEPARATOR)
        else:
            value, rest = rest[:length], rest[length:].removeprefix(GROUP_SEPARATOR)
        if not ai.isdecimal() or not value:
            raise IdentifierError("element_string", f"{text[:64]!r} cannot be read at ({ai})")
        elements.setdefault(ai, value)
    return elements


def _from_elements(elements: dict[str, str]) -> Identifier:
    if "01" not in elements and "02" in elements:
        # (02) is the GTIN of what a logistic unit holds; with a lot it names that lot.
        elements = elements | {"01": elements["02"]}
    for ai in _ORDER:
        if ai in elements:
            try:
                return build_link(ai, elements[ai], elements)
            except ValueError as error:
                raise IdentifierError("identifier_malformed", str(error)) from error
    named = ", ".join(f"({ai})" for ai in elements)
    raise IdentifierError("element_string", f"{named} names no item: a GTIN (01) or SSCC (00) is missing")
