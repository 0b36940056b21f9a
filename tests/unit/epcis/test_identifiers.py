"""Identifiers have one canonical spelling, whatever a document writes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.epcis.checkdigits import check_digit
from node.epcis.identifiers import IdKind, describe, identify, site_of


@pytest.mark.parametrize(
    ("text", "expected", "kind"),
    [
        ("urn:epc:id:sgtin:4012345.011111.98%22", "https://id.gs1.org/01/04012345111118/21/98%22", IdKind.SERIAL),
        ("URN:EPC:ID:SGTIN:4012345.011111.9", "https://id.gs1.org/01/04012345111118/21/9", IdKind.SERIAL),
        ("urn:epc:class:lgtin:4012345.012345.Lot.9", "https://id.gs1.org/01/04012345123456/10/Lot.9", IdKind.LOT),
        ("urn:epc:idpat:sgtin:4012345.012345.*", "https://id.gs1.org/01/04012345123456", IdKind.CLASS),
        ("urn:epc:id:sscc:4012345.3111111111", "https://id.gs1.org/00/340123451111111111", IdKind.SSCC),
        ("urn:epc:id:sgln:4012345.00005.0", "https://id.gs1.org/414/4012345000054", IdKind.LOCATION),
        ("urn:epc:id:sgln:123456789012..a%2Fb", "https://id.gs1.org/414/1234567890128/254/a%2Fb", IdKind.LOCATION),
        ("urn:epc:id:pgln:999999999999.", "https://id.gs1.org/417/9999999999994", IdKind.PARTY),
        ("urn:epc:id:upui:1234567.098765.5*j", "https://id.gs1.org/01/01234567987651/235/5%2Aj", IdKind.SERIAL),
        ("urn:epc:id:grai:4012345.00022.33", "https://id.gs1.org/8003/0401234500022133", IdKind.ASSET),
        ("urn:epc:idpat:grai:4012345.99999.*", "https://id.gs1.org/8003/04012345999990", IdKind.CLASS),
        ("urn:epc:id:giai:4012345.ABC345", "https://id.gs1.org/8004/4012345ABC345", IdKind.ASSET),
        ("urn:epc:id:gdti:4012345.00009.PO-1", "https://id.gs1.org/253/4012345000092PO-1", IdKind.DOCUMENT),
        ("urn:epc:id:cpi:0614141.123ABC.12", "https://id.gs1.org/8010/0614141123ABC/8011/12", IdKind.SERIAL),
        ("urn:epc:id:ginc:473847.3", "https://id.gs1.org/401/4738473", IdKind.DOCUMENT),
        ("urn:epc:id:gsrn:142512.45142152511", "https://id.gs1.org/8018/142512451421525110", IdKind.PARTY),
        ("https://id.gs1.org/01/9780345418913/21/a/10/L", "https://id.gs1.org/01/09780345418913/21/a", IdKind.SERIAL),
        ("http://x.org/a/gtin/9780345418913/cpv/3/lot/L?17=1", "https://id.gs1.org/01/09780345418913/10/L", IdKind.LOT),
        ("HTTPS://ID.GS1.ORG/01/09780345418913/", "https://id.gs1.org/01/09780345418913", IdKind.CLASS),
        ("https://x.org/01/09780345418913/10/(a)", "https://id.gs1.org/01/09780345418913/10/%28a%29", IdKind.LOT),
        ("https://x.org/01/09780345418913/10/%28a)", "https://id.gs1.org/01/09780345418913/10/%28a%29", IdKind.LOT),
        ("https://x.org/01/96385074", "https://id.gs1.org/01/00000096385074", IdKind.CLASS),
        (
            "https://x.org/8006/040123451234560102/10/XYZ",
            "https://id.gs1.org/8006/040123451234560102/10/XYZ",
            IdKind.LOT,
        ),
    ],
)
def test_every_spelling_of_a_key_becomes_one_link(text: str, expected: str, kind: IdKind) -> None:
    """Keys, word forms, hosts, paths, padding, qualifiers in any order and percent-encoding have one canonical form."""
    found = identify(text)
    assert (found.id, found.kind, found.warning) == (expected, kind, None)
    assert identify(expected) == found


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("https://id.gs1.org/01/09780345418914", "check digit of GTIN 09780345418914 should be 3"),
        ("https://shop.example/01/040123451234/lot/ABD", "check digit"),
        ("https://id.gs1.org/21/a/01/09780345418913", "qualifier stands before"),
        ("https://id.gs1.org/01/09780345418913/99/a", "not a GS1 Digital Link"),
        ("https://id.gs1.org/01/09780345418913/10/a/10/b", "not a GS1 Digital Link"),
        ("https://id.gs1.org/01/09780345418913/10/123456789012345678901", "21 characters"),
        ("https://id.gs1.org/01/09780345418913/10/%ff", "not UTF-8"),
        ("urn:epc:id:sscc:08600031303.0004", "15 digits, not 17"),
        ("urn:epc:class:lgtin:0860003130..1", "digits, not 13"),
        ("urn:epc:id:sgtin:4012345.011111", "3 parts"),
        ("urn:epc:id:sgtin:401.2345011111.1", "company prefix"),
        ("urn:epc:id:sgtin:4012345.01111A.1", "must be digits"),
        ("urn:epc:id:sgtin:4012345.011111.", "missing"),
        ("urn:epc:id:itip:4012345.011111.1.2.9", "two digits"),
        ("urn:epc:id:giai:41.9", "company prefix"),
        ("urn:epc:idpat:sgtin:4012345.011111.5", "must end in"),
        ("urn:epc:idpat:sgtin:4012345.*.*", "must be digits"),
        ("urn:epc:id:nonsense:1.2", "do not know"),
        ("urn:epc:id:gid:1.2.3", "no GS1 key"),
        ("urn:uuid:0b8a", "no GS1 identifier"),
        ("https://example.org/123/4012345ABC987/456/4711", "no GS1 identifier"),
        ("https://example.org/00/about", "no GS1 identifier"),
        ("42", "no URI"),
        ("a\x00b", "control characters"),
        ("https://id.gs1.org/01/09780345418913/10/\ud800", "control characters"),
        ("", "no URI"),
    ],
)
def test_an_identifier_that_breaks_a_rule_stays_as_it_is(text: str, reason: str) -> None:
    """Unknown and malformed identifiers are opaque, with a warning that says why: never an error."""
    found = identify(text)
    assert (found.id, found.kind) == (text, IdKind.OPAQUE)
    assert found.warning is not None
    assert reason in found.warning


def test_characters_outside_the_set_keep_the_link_and_warn() -> None:
    """A lot code with a space still belongs to its product, but the person is told."""
    found = identify("https://id.gs1.org/01/09780345418913/10/LOT%207")
    assert found.id == "https://id.gs1.org/01/09780345418913/10/LOT%207"
    assert found.warning == "characters that GS1 does not allow in a code"


def test_industry_names_say_what_they_name() -> None:
    """Seafood names stay opaque as text, but a lot is known as a lot, with its class and code."""
    lot = describe("urn:gdst:example.org:product:lot:class:processor.2u.v1-0122-2022")
    assert (lot.kind, lot.product, lot.code) == (
        IdKind.LOT,
        "urn:gdst:example.org:product:class:processor.2u",
        "v1-0122-2022",
    )
    assert describe(lot.product or "").product == lot.product
    assert describe("urn:gdst:example.org:location:loc:farm.1").kind is IdKind.LOCATION
    assert describe("urn:gdst:x:product:lot:class:L").product is None


@pytest.mark.parametrize(
    ("text", "product", "code", "words"),
    [
        (
            "urn:epc:class:lgtin:4012345.012345.L9",
            "https://id.gs1.org/01/04012345123456",
            "L9",
            "lot L9 of GTIN 04012345123456",
        ),
        ("https://id.gs1.org/01/04012345123456", "https://id.gs1.org/01/04012345123456", None, "GTIN 04012345123456"),
        ("https://id.gs1.org/00/340123451111111111", None, "340123451111111111", "SSCC 340123451111111111"),
        ("https://id.gs1.org/414/4012345000054/254/a%2Fb", None, "4012345000054", "GLN 4012345000054 a/b"),
        ("https://id.gs1.org/8018/142512451421525110/8019/3", None, "142512451421525110", "GSRN 142512451421525110 3"),
        ("urn:uuid:1", None, None, "urn:uuid:1"),
    ],
)
def test_a_description_has_product_code_and_words(text: str, product: str | None, code: str | None, words: str) -> None:
    """What a person reads and what look-up by code needs."""
    found = describe(text)
    assert (found.product, found.code, found.text) == (product, code, words)


def test_a_site_is_the_location_without_its_extension() -> None:
    """Stock is kept by site; other places are their own."""
    assert site_of("https://id.gs1.org/414/4012345000054/254/a") == "https://id.gs1.org/414/4012345000054"
    assert site_of("https://id.gs1.org/414/4012345000054") == "https://id.gs1.org/414/4012345000054"
    assert site_of("urn:x:y/254/z") == "urn:x:y/254/z"


@given(st.text())
def test_any_text_is_identified(text: str) -> None:
    """No text raises, and the canonical spelling of a canonical spelling is itself."""
    once = identify(text)
    assert identify(once.id).id == once.id
    describe(text)


_SERIALS = st.text(st.sampled_from("!\"%&'()*+,-./0189:;<=>?AZ_az"), min_size=1, max_size=20)


@given(st.integers(6, 12), st.from_regex(r"[0-9]{13}", fullmatch=True), _SERIALS)
def test_urn_and_link_of_one_serial_are_one(length: int, digits: str, serial: str) -> None:
    """The company prefix may have any length: the link has the same digits, and any serial survives encoding."""
    escaped = "".join(f"%{ord(letter):02X}" if letter in '"%&/<>?' else letter for letter in serial)
    urn = f"urn:epc:id:sgtin:{digits[:length]}.{digits[length:]}.{escaped}"
    gtin = digits[length] + digits[:length] + digits[length + 1 :]
    hexed = "".join(f"%{ord(letter):02x}" for letter in serial)
    link = f"https://resolver.example/x/01/{gtin}{check_digit(gtin)}/21/{hexed}"
    if serial == "*":
        assert identify(urn).kind is IdKind.OPAQUE
    else:
        assert identify(urn) == identify(link)
        assert describe(link).code == serial
