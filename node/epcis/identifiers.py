"""GS1 identifiers in one spelling: the canonical Digital Link, by which items, places and parties are compared.

An EPC URN converts without loss and without knowing the length of the company prefix. A Digital Link may have any
host and leading path, word forms for its keys (`/gtin/`, `/lot/`) and qualifiers in any order; it keeps only its
finest level, so a serial without its lot. Anything else, and any GS1 key with a wrong length or check digit, stays
as it is: an opaque URI, with a warning. All of this is part of the reader's numbered rules and rests on no library.

Sources: EPC Tag Data Standard 2.0 §6 (URNs), GS1 Digital Link Standard: URI Syntax 1.4 §4 to §6 (keys, qualifiers,
canonical form), GS1 General Specifications §3 (lengths of keys).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

import msgspec

from node.epcis.checkdigits import check_digit, is_checked

ID_LENGTH_MAX: Final = 1024
"""Characters of an identifier that the reader still accepts."""

LINK_HOST: Final = "https://id.gs1.org"

# At most some 60 MB of the longest identifiers, a tenth of that of usual ones.
_CACHE_ENTRIES: Final = 1 << 15
_DESCRIPTIONS: Final = 1 << 13


class IdKind(StrEnum):
    """What an identifier names."""

    SERIAL = "serial"
    LOT = "lot"
    SSCC = "sscc"
    CLASS = "class"
    LOCATION = "location"
    PARTY = "party"
    ASSET = "asset"
    DOCUMENT = "document"
    OPAQUE = "opaque"


class Identifier(NamedTuple):
    """An identifier in its canonical spelling, what it names, and what was wrong with the text, if anything."""

    id: str
    kind: IdKind
    warning: str | None


@dataclass(frozen=True, slots=True)
class Key:
    """A GS1 primary key: its application identifier, how its value looks, and what may follow it.

    checked: where in the value the digits with a check digit stand, or None. finest: qualifiers that make another
    thing of it, the finest first, with what it then is. coarse: qualifiers that are dropped.
    """

    ai: str
    name: str
    shape: re.Pattern[str]
    kind: IdKind
    checked: slice | None = None
    finest: tuple[tuple[str, IdKind], ...] = ()
    coarse: tuple[str, ...] = ()


_ANY: Final = r"[^\x00-\x1f\x7f]"


def _key(
    ai: str,
    name: str,
    shape: str,
    kind: IdKind,
    checked: slice | None = None,
    finest: tuple[tuple[str, IdKind], ...] = (),
    coarse: tuple[str, ...] = (),
) -> Key:
    return Key(ai, name, re.compile(shape), kind, checked, finest, coarse)


_WHOLE: Final = slice(0, None)
_ITEM: Final = (("21", IdKind.SERIAL), ("235", IdKind.SERIAL), ("10", IdKind.LOT))

KEYS: Final[dict[str, Key]] = {
    key.ai: key
    for key in (
        _key("01", "GTIN", r"[0-9]{14}", IdKind.CLASS, _WHOLE, _ITEM, ("22",)),
        _key("8006", "ITIP", r"[0-9]{18}", IdKind.CLASS, slice(0, 14), (_ITEM[0], _ITEM[2]), ("22",)),
        _key("00", "SSCC", r"[0-9]{18}", IdKind.SSCC, _WHOLE),
        _key("414", "GLN", r"[0-9]{13}", IdKind.LOCATION, _WHOLE, (("254", IdKind.LOCATION),)),
        _key("417", "GLN", r"[0-9]{13}", IdKind.PARTY, _WHOLE),
        _key("8003", "GRAI", rf"0[0-9]{{13}}{_ANY}{{0,16}}", IdKind.ASSET, slice(1, 14)),
        _key("8004", "GIAI", rf"[0-9]{{6}}{_ANY}{{0,24}}", IdKind.ASSET),
        _key("253", "GDTI", rf"[0-9]{{13}}{_ANY}{{0,17}}", IdKind.DOCUMENT, slice(0, 13)),
        _key("255", "GCN", r"[0-9]{13,25}", IdKind.DOCUMENT, slice(0, 13)),
        _key("8017", "GSRN", r"[0-9]{18}", IdKind.PARTY, _WHOLE, (("8019", IdKind.PARTY),)),
        _key("8018", "GSRN", r"[0-9]{18}", IdKind.PARTY, _WHOLE, (("8019", IdKind.PARTY),)),
        _key("401", "GINC", rf"[0-9]{{6}}{_ANY}{{0,24}}", IdKind.DOCUMENT),
        _key("402", "GSIN", r"[0-9]{17}", IdKind.DOCUMENT, _WHOLE),
        _key("8010", "CPID", rf"[0-9]{{6}}{_ANY}{{0,24}}", IdKind.CLASS, None, (("8011", IdKind.SERIAL),)),
    )
}

# Word forms are deprecated since Digital Link 1.2, but stand on packages.
_WORDS: Final = {
    "gtin": "01", "itip": "8006", "sscc": "00", "gln": "414", "party": "417", "grai": "8003", "giai": "8004",
    "gdti": "253", "gcn": "255", "gsrnp": "8017", "gsrn": "8018", "ginc": "401", "gsin": "402", "cpid": "8010",
    "cpv": "22", "lot": "10", "ser": "21", "tpx": "235", "glnx": "254", "srin": "8019", "cpsn": "8011",
}  # fmt: skip

_QUALIFIER_LENGTH_MAX: Final = {"235": 28, "8019": 10, "8011": 12}

# The 82 characters of GS1 General Specifications figure 7.11-1.
_SET_82: Final = re.compile(r"""[!"%-?A-Z_a-z#]*""")
_PLAIN: Final = re.compile(r"[A-Za-z0-9._~';=-]*")

_CANONICAL: Final = re.compile(
    r"https://id\.gs1\.org/(?:01/([0-9]{14})(?:/(?:(10)|(21))/[A-Za-z0-9._~-]{1,20})?"
    r"|00/([0-9]{18})|414/([0-9]{13})|417/([0-9]{13}))"
)
_CANONICAL_KINDS: Final = (
    None, IdKind.CLASS, IdKind.LOT, IdKind.SERIAL, IdKind.SSCC, IdKind.LOCATION, IdKind.PARTY,
)  # fmt: skip
# A list of our own: what Python calls printable changes with its version, and may not change what an event means.
_CONTROL: Final = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff]")
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]+")


class _Malformed(Exception):  # noqa: N818 - it never leaves this file: its text becomes the warning.
    """A GS1 identifier that breaks a rule; the message is the warning."""


def _decode(component: str) -> str:
    if "%" not in component:
        return component
    try:
        return unquote(component, errors="strict")
    except UnicodeDecodeError:
        raise _Malformed("percent-encoding that is not UTF-8") from None


def _encode(value: str) -> str:
    return value if _PLAIN.fullmatch(value) else quote(value, safe="';=")


def build_link(ai: str, value: str, qualifiers: dict[str, str]) -> Identifier:
    """Return the canonical identifier of a key with its qualifiers, all decoded.

    ai: one of KEYS. Raises ValueError with a sentence if length, characters or check digit are wrong.
    """
    try:
        return _build(KEYS[ai], value, qualifiers)
    except _Malformed as fault:
        raise ValueError(str(fault)) from None


def _build(key: Key, value: str, qualifiers: dict[str, str]) -> Identifier:
    if key.ai == "01" and len(value) in {8, 12, 13}:
        value = value.zfill(14)
    if not key.shape.fullmatch(value):
        raise _Malformed(f"{value} has not the form of a {key.name}")
    if key.checked is not None:
        digits = value[key.checked]
        if not is_checked(digits):
            raise _Malformed(f"the check digit of {key.name} {digits} should be {check_digit(digits[:-1])}")
    link, kind, text = f"{LINK_HOST}/{key.ai}/{_encode(value)}", key.kind, value
    for ai, finer in key.finest:
        qualifier = qualifiers.get(ai)
        if qualifier is not None:
            length_max = _QUALIFIER_LENGTH_MAX.get(ai, 20)
            if not 1 <= len(qualifier) <= length_max:
                raise _Malformed(f"({ai}) of {key.name} {value} has {len(qualifier)} characters, not 1 … {length_max}")
            link, kind, text = f"{link}/{ai}/{_encode(qualifier)}", finer, value + qualifier
            break
    if key.ai == "8003" and len(value) == 14:
        kind = IdKind.CLASS
    warning = None if _SET_82.fullmatch(text) else "characters that GS1 does not allow in a code"
    return Identifier(link, kind, warning)


def _from_link(text: str) -> Identifier | None:
    """Return the identifier in a web address, or None if there is no GS1 key in its path."""
    path = text.partition("://")[2].partition("?")[0].partition("#")[0]
    parts = path.rstrip("/").split("/")
    fault: _Malformed | None = None
    # The key stands last: a resolver may have any path before it.
    for place in range(len(parts) - 2, 0, -1):
        key = KEYS.get(_WORDS.get(parts[place], parts[place]))
        if key is None or (len(parts) - place) % 2:
            continue
        allowed = {ai for ai, _ in key.finest}.union(key.coarse)
        qualifiers: dict[str, str] = {}
        for name, qualifier in zip(parts[place + 2 :: 2], parts[place + 3 :: 2], strict=True):
            ai = _WORDS.get(name, name)
            if ai not in allowed or ai in qualifiers:
                break
            qualifiers[ai] = _decode(qualifier)
        else:
            if place > 2 and _WORDS.get(parts[place - 2], parts[place - 2]) in allowed:
                raise _Malformed(f"a qualifier stands before the {key.name}")
            try:
                return _build(key, _decode(parts[place + 1]), qualifiers)
            except _Malformed as found:
                # Only a value with the digits of a key is meant as one: `/00/about` is some page.
                fault = found if fault is None and _SIX_DIGITS.match(parts[place + 1]) else fault
    if fault is not None:
        raise fault
    if text[: len(LINK_HOST) + 1].lower() == LINK_HOST + "/":
        raise _Malformed("not a GS1 Digital Link that we know")
    return None


_PREFIX: Final = re.compile(r"[0-9]{6,12}")
_SIX_DIGITS: Final = re.compile(r"[0-9]{6}")
_DIGITS: Final = re.compile(r"[0-9]*")


def _digits(prefix: str, reference: str, length: int) -> str:
    """Return company prefix and reference as digits; raises _Malformed if they are not `length` digits together."""
    if not _PREFIX.fullmatch(prefix) or not _DIGITS.fullmatch(reference):
        raise _Malformed("company prefix (6 to 12 digits) and reference must be digits")
    if len(prefix) + len(reference) != length:
        raise _Malformed(f"company prefix and reference have {len(prefix) + len(reference)} digits, not {length}")
    return prefix + reference


def _gtin(prefix: str, reference: str) -> str:
    _digits(prefix, reference, 13)
    digits = reference[:1] + prefix + reference[1:]
    return digits + check_digit(digits)


def _with_check(digits: str) -> str:
    return digits + check_digit(digits)


def _sscc(prefix: str, reference: str) -> str:
    _digits(prefix, reference, 17)
    return _with_check(reference[:1] + prefix + reference[1:])


def _plain(prefix: str, reference: str) -> str:
    if not _PREFIX.fullmatch(prefix):
        raise _Malformed("a company prefix has 6 to 12 digits")
    return prefix + _decode(reference)


def _itip(prefix: str, reference: str, piece: str, total: str) -> str:
    if len(piece) != 2 or len(total) != 2 or not _DIGITS.fullmatch(piece + total):
        raise _Malformed("piece and total have two digits each")
    return _gtin(prefix, reference) + piece + total


Parts = list[str]
_URNS: Final[dict[tuple[str, str], tuple[int, Callable[[Parts], tuple[str, str, dict[str, str]]]]]] = {
    ("id", "sgtin"): (3, lambda p: ("01", _gtin(p[0], p[1]), {"21": _decode(p[2])})),
    ("id", "upui"): (3, lambda p: ("01", _gtin(p[0], p[1]), {"235": _decode(p[2])})),
    ("class", "lgtin"): (3, lambda p: ("01", _gtin(p[0], p[1]), {"10": _decode(p[2])})),
    ("id", "itip"): (5, lambda p: ("8006", _itip(p[0], p[1], p[2], p[3]), {"21": _decode(p[4])})),
    ("id", "sscc"): (2, lambda p: ("00", _sscc(p[0], p[1]), {})),
    ("id", "sgln"): (
        3,
        lambda p: ("414", _with_check(_digits(p[0], p[1], 12)), {} if p[2] == "0" else {"254": _decode(p[2])}),
    ),
    ("id", "pgln"): (2, lambda p: ("417", _with_check(_digits(p[0], p[1], 12)), {})),
    ("id", "grai"): (3, lambda p: ("8003", "0" + _with_check(_digits(p[0], p[1], 12)) + _decode(p[2]), {})),
    ("id", "giai"): (2, lambda p: ("8004", _plain(p[0], p[1]), {})),
    ("id", "gdti"): (3, lambda p: ("253", _with_check(_digits(p[0], p[1], 12)) + _decode(p[2]), {})),
    ("id", "sgcn"): (3, lambda p: ("255", _with_check(_digits(p[0], p[1], 12)) + p[2], {})),
    ("id", "gsrn"): (2, lambda p: ("8018", _with_check(_digits(p[0], p[1], 17)), {})),
    ("id", "gsrnp"): (2, lambda p: ("8017", _with_check(_digits(p[0], p[1], 17)), {})),
    ("id", "ginc"): (2, lambda p: ("401", _plain(p[0], p[1]), {})),
    ("id", "gsin"): (2, lambda p: ("402", _with_check(_digits(p[0], p[1], 16)), {})),
    ("id", "cpi"): (3, lambda p: ("8010", _plain(p[0], p[1]), {"8011": p[2]})),
    # A pattern whose serial is the only wild card names the class.
    ("idpat", "sgtin"): (3, lambda p: ("01", _gtin(p[0], p[1]), {})),
    ("idpat", "itip"): (5, lambda p: ("8006", _itip(p[0], p[1], p[2], p[3]), {})),
    ("idpat", "grai"): (3, lambda p: ("8003", "0" + _with_check(_digits(p[0], p[1], 12)), {})),
    ("idpat", "gdti"): (3, lambda p: ("253", _with_check(_digits(p[0], p[1], 12)), {})),
    ("idpat", "sgcn"): (3, lambda p: ("255", _with_check(_digits(p[0], p[1], 12)), {})),
    ("idpat", "cpi"): (3, lambda p: ("8010", _plain(p[0], p[1]), {})),
}
# Schemes of the Tag Data Standard that are no GS1 keys: there is nothing to convert.
_OTHER_SCHEMES: Final = frozenset({"gid", "usdod", "adi", "bic", "imovn"})


def _from_urn(text: str) -> Identifier:
    """Return the identifier in an EPC URN. Raises _Malformed."""
    form, _, rest = text[8:].partition(":")
    scheme, _, body = rest.partition(":")
    form, scheme = form.lower(), scheme.lower()
    known = _URNS.get((form, scheme))
    if known is None:
        if form == "id" and scheme in _OTHER_SCHEMES:
            raise _Malformed("no GS1 key")
        raise _Malformed("an EPC scheme that we do not know")
    count, convert = known
    parts = body.split(".", count - 1)
    if len(parts) != count:
        raise _Malformed(f"an EPC of scheme {scheme} has {count} parts between dots, not {len(parts)}")
    if form == "idpat" and parts[-1] != "*":
        raise _Malformed("a pattern must end in .*")
    if form != "idpat" and parts[-1] in {"", "*"} and scheme not in {"pgln", "ginc"}:
        raise _Malformed("the last part is missing")
    ai, value, qualifiers = convert(parts)
    return _build(KEYS[ai], value, qualifiers)


@lru_cache(maxsize=_CACHE_ENTRIES)
def identify(text: str) -> Identifier:
    """Return what `text` names, in the canonical spelling. Never raises; the same text, the same answer.

    text: a Digital Link, an EPC URN, or any other URI or name, which stays as it is.
    """
    found = _CANONICAL.fullmatch(text)
    if found is not None:
        place = found.lastindex or 0
        kind = _CANONICAL_KINDS[place]
        # In a lot or serial the GTIN is group 1, and the group that matched last says which it is.
        if kind is not None and is_checked(found[1] or found[place]):
            return Identifier(text, kind, None)
    if _CONTROL.search(text):
        return Identifier(text, IdKind.OPAQUE, "control characters: kept as it is")
    scheme = text[:8].lower()
    try:
        if scheme == "urn:epc:":
            return _from_urn(text)
        if scheme.startswith(("http://", "https://")):
            linked = _from_link(text)
            if linked is not None:
                return linked
    except _Malformed as fault:
        return Identifier(text, IdKind.OPAQUE, f"{fault}: kept as it is")
    if not _URI.fullmatch(text):
        return Identifier(text, IdKind.OPAQUE, "no URI: kept as it is")
    foreign = _FOREIGN.fullmatch(text)
    kind = IdKind.OPAQUE if foreign is None else _FOREIGN_KINDS[foreign[2]]
    return Identifier(text, kind, "no GS1 identifier: kept as it is")


# Industry names of the pattern urn:gdst:ISSUER:product:lot:class:COMPANY.ITEM.LOT, as the Global Dialogue on Seafood
# Traceability has them (GDST Basic Universal List 1.2, identifiers), and others after it.
_FOREIGN: Final = re.compile(
    r"(urn:[^:]+:[^:]+:)(product:lot:class|product:serial:obj|product:class|location:loc|location:extension:loc|party|"
    r"lpn:obj):([^:]+)"
)
_FOREIGN_KINDS: Final = {
    "product:lot:class": IdKind.LOT,
    "product:serial:obj": IdKind.SERIAL,
    "product:class": IdKind.CLASS,
    "location:loc": IdKind.LOCATION,
    "location:extension:loc": IdKind.LOCATION,
    "party": IdKind.PARTY,
    "lpn:obj": IdKind.SSCC,
}


_LOT_BESIDE: Final = re.compile(
    r"https?://[^?#]*/(?:01|gtin)/[0-9]{8,14}(?:/(?:22|cpv)/[^/?#]+)?/(?:10|lot)/([^/?#]+)/(?:21|ser)/[^/?#]+/?(?:[?#].*)?"
)


def lot_beside_serial(text: str) -> str | None:
    """Return the lot in the Digital Link of a serial that names its lot too, else None."""
    if "/21/" not in text and "/ser/" not in text:
        return None
    found = _LOT_BESIDE.fullmatch(text)
    if found is None or identify(text).kind is not IdKind.SERIAL:
        return None
    return _decode(found[1])


@lru_cache(maxsize=_DESCRIPTIONS)
def site_of(place: str) -> str:
    """Return the site of a canonical place: a GLN without its extension; any other place is its own site."""
    if place.startswith(_LOCATION_START):
        return place.partition("/254/")[0]
    return place


_LOCATION_START: Final = f"{LINK_HOST}/414/"


class Description(msgspec.Struct, frozen=True, gc=False):
    """An identifier in parts, for people and for look-up.

    product: canonical id of the class, or None. code: its lot number, serial or SSCC as printed, or None. text: a few
    words.
    """

    id: str
    kind: IdKind
    product: str | None
    code: str | None
    text: str


@lru_cache(maxsize=_DESCRIPTIONS)
def describe(identifier: str) -> Description:
    """Return what an identifier says of itself; any spelling will do. Never raises."""
    found = identify(identifier)
    if found.id.startswith(LINK_HOST + "/") and found.kind is not IdKind.OPAQUE:
        return _describe_link(found)
    foreign = _FOREIGN.fullmatch(found.id)
    if foreign is not None:
        start, form, name = foreign[1], foreign[2], foreign[3]
        if found.kind in {IdKind.LOT, IdKind.SERIAL} and "." in name:
            product, _, code = name.rpartition(".")
            text = f"{found.kind} {code} of {product}" if product else f"{found.kind} {code}"
            return Description(found.id, found.kind, f"{start}product:class:{product}" if product else None, code, text)
        is_class = form == "product:class"
        code = None if is_class else name
        return Description(found.id, found.kind, found.id if is_class else None, code, f"{found.kind} {name}")
    return Description(found.id, found.kind, None, None, found.id)


def _describe_link(found: Identifier) -> Description:
    tail = found.id[len(LINK_HOST) + 1 :]
    parts = [unquote(part) for part in tail.split("/")] if "%" in tail else tail.split("/")
    key, value = KEYS[parts[0]], parts[1]
    if len(parts) == 4:
        if key.kind is IdKind.LOCATION:
            return Description(found.id, found.kind, None, value, f"GLN {value} {parts[3]}")
        if key.kind is IdKind.PARTY:
            return Description(found.id, found.kind, None, value, f"{key.name} {value} {parts[3]}")
        product = found.id.rsplit("/", 2)[0]
        return Description(found.id, found.kind, product, parts[3], f"{found.kind} {parts[3]} of {key.name} {value}")
    own_class = found.id if found.kind is IdKind.CLASS else None
    code = None if found.kind is IdKind.CLASS else value
    return Description(found.id, found.kind, own_class, code, f"{key.name} {value}")
