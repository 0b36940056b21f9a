"""A Digital Link goes back to its URN where the company prefix is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.epcis.identifiers import identify
from node.epcis.urns import find_prefix_length, to_urn


@pytest.mark.parametrize(
    "urn",
    [
        "urn:epc:id:sgtin:4012345.011111.98%22",
        "urn:epc:class:lgtin:4012345.012345.Lot.9",
        "urn:epc:idpat:sgtin:4012345.012345.*",
        "urn:epc:id:upui:1234567.098765.5a",
        "urn:epc:id:itip:4012345.011111.01.02.987",
        "urn:epc:idpat:itip:4012345.011111.01.02.*",
        "urn:epc:id:sscc:4012345.3111111111",
        "urn:epc:id:sgln:4012345.00005.0",
        "urn:epc:id:sgln:4012345.00005.a%2Fb",
        "urn:epc:id:pgln:4012345.00005",
        "urn:epc:id:grai:4012345.00022.33",
        "urn:epc:idpat:grai:4012345.99999.*",
        "urn:epc:id:giai:4012345.ABC345",
        "urn:epc:id:gdti:4012345.00009.PO-1",
        "urn:epc:idpat:gdti:4012345.00009.*",
        "urn:epc:id:sgcn:4012345.00009.17",
        "urn:epc:id:gsrn:4012345.4514215251",
        "urn:epc:id:gsrnp:4012345.0000000007",
        "urn:epc:id:ginc:4012345.x",
        "urn:epc:id:gsin:4012345.222333444",
        "urn:epc:id:cpi:0614141.123ABC.12",
        "urn:epc:idpat:cpi:4012345.AB12.*",
    ],
)
def test_every_scheme_goes_there_and_back(urn: str) -> None:
    """With the length of the company prefix, nothing is lost."""
    link = identify(urn)
    assert link.warning is None
    assert to_urn(link.id, 7) == urn


@given(st.integers(6, 12), st.from_regex(r"[0-9]{13}", fullmatch=True))
def test_any_prefix_length_goes_there_and_back(length: int, digits: str) -> None:
    """The split between prefix and reference is the caller's."""
    urn = f"urn:epc:class:lgtin:{digits[:length]}.{digits[length:]}.L"
    assert to_urn(identify(urn).id, length) == urn


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("urn:uuid:1", 7),
        ("https://id.gs1.org/01/09780345418914", 7),
        ("https://id.gs1.org/01/09780345418913", 5),
        ("https://id.gs1.org/01/09780345418913", 13),
        ("https://id.gs1.org/8018/142512451421525110/8019/3", 7),
        ("urn:gdst:x:product:lot:class:a.b.c", 7),
        ("https://id.gs1.org/8004/123456A", 7),
        ("https://id.gs1.org/01/00000096385074", None),
    ],
)
def test_without_a_known_prefix_there_is_no_urn(text: str, length: int | None) -> None:
    """None says: show the Digital Link instead."""
    assert to_urn(text, length) is None


def test_the_public_list_knows_prefixes() -> None:
    """GS1's list says how long a prefix is; unknown ranges stay unknown."""
    assert find_prefix_length("061414112345") == 7
    assert find_prefix_length("990000000000") is None
