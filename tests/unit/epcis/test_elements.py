"""An item may be typed or scanned in any usual form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.epcis.elements import parse_item
from node.epcis.errors import IdentifierError
from node.epcis.identifiers import IdKind

LOT = "https://id.gs1.org/01/09780345418913/10/L1"
CLASS = "https://id.gs1.org/01/09780345418913"
SSCC = "https://id.gs1.org/00/340123451111111111"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(01)09780345418913(10)L1", LOT),
        (" (01) 09780345418913 (10) L1 ", LOT),
        ("(01)9780345418913(17)261231(10)L1", LOT),
        ("(02)09780345418913(37)24(10)L1", LOT),
        ("(01)09780345418913(10)a(1)b", "https://id.gs1.org/01/09780345418913/10/a%281%29b"),
        ("010978034541891310L1", LOT),
        ("]C1010978034541891310L1", LOT),
        ("]d2010978034541891317261231310300125010L1\x1d21S", "https://id.gs1.org/01/09780345418913/21/S"),
        ("01097803454189133103001250\x1d10L1", LOT),
        ("https://x.org/gtin/9780345418913/lot/L1", LOT),
        ("id.gs1.org/01/09780345418913/10/L1", LOT),
        ("urn:epc:class:lgtin:978034541.0891.L1", LOT),
        ("9780345418913", CLASS),
        ("0109780345418913", CLASS),
        ("340123451111111111", SSCC),
        ("3 4012345 111111111 1", SSCC),
        ("00340123451111111111", SSCC),
        ("(00)340123451111111111(02)09780345418913(37)5", SSCC),
        ("(414)4012345000054(254)a", "https://id.gs1.org/414/4012345000054/254/a"),
        ("4144012345000054254a\x1d", "https://id.gs1.org/414/4012345000054/254/a"),
    ],
)
def test_every_usual_form_names_the_item(text: str, expected: str) -> None:
    """Link, URN, element string with or without parentheses, bare SSCC or GTIN."""
    assert parse_item(text).id == expected


@pytest.mark.parametrize("text", ["urn:gdst:x:product:lot:class:a.b.c", "LOT 77", "example.org/about", "0109"])
def test_other_text_is_an_opaque_name(text: str) -> None:
    """What has no known form is looked up as it is."""
    assert parse_item(text).id == text


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "identifier_length"),
        ("  ", "identifier_length"),
        ("x" * 1025, "identifier_length"),
        ("a\x00b", "identifier_characters"),
        ("(01)09780345418914(10)L1", "identifier_malformed"),
        ("(01)097803454189(10)L1", "identifier_malformed"),
        ("(10)L1", "element_string"),
        ("(01", "element_string"),
        ("()", "element_string"),
        ("340123451111111112", "identifier_malformed"),
        ("9780345418914", "identifier_malformed"),
        ("010978034541891310", "identifier_malformed"),
        ("\x1dx", "element_string"),
        ("4144012345000054x\x1dz", "element_string"),
    ],
)
def test_a_slip_is_named(text: str, code: str) -> None:
    """A wrong check digit or a missing part is said at once, before anything is looked up."""
    with pytest.raises(IdentifierError) as refused:
        parse_item(text)
    assert refused.value.code == code


@given(st.text() | st.text(st.sampled_from("()01\x1d29a]C1 ")))
def test_any_text_is_an_item_or_a_named_refusal(text: str) -> None:
    """Nothing that is typed raises anything else."""
    try:
        found = parse_item(text)
    except IdentifierError:
        return
    assert found.kind in IdKind
