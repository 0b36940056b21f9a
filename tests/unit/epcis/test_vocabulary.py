"""CBV words and their three spellings."""

import pytest

from node.epcis.vocabulary import (
    ALERTS,
    COMPONENTS,
    DISPOSITIONS,
    DOCUMENT_TYPES,
    ERROR_REASONS,
    MEASUREMENTS,
    PARTY_TYPES,
    STEPS,
)


def test_each_vocabulary_is_complete() -> None:
    """CBV 2.0 has so many words of each kind."""
    vocabularies = (STEPS, DISPOSITIONS, DOCUMENT_TYPES, PARTY_TYPES, ERROR_REASONS, COMPONENTS)
    assert [len(vocabulary.words) for vocabulary in vocabularies] == [41, 33, 13, 3, 2, 14]
    assert (len(MEASUREMENTS), len(ALERTS)) == (72, 2)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("in_transit", "in_transit"),
        ("urn:epcglobal:cbv:disp:in_transit", "in_transit"),
        ("https://ref.gs1.org/cbv/Disp-in_transit", "in_transit"),
        ("http://ns.gs1.org/cbv/Disp-in_transit", "in_transit"),
        ("urn:epcglobal:cbv:bizstep:in_transit", "urn:epcglobal:cbv:bizstep:in_transit"),
        ("https://ref.gs1.org/cbv/BizStep-in_transit", "https://ref.gs1.org/cbv/BizStep-in_transit"),
        ("urn:x:in_transit", "urn:x:in_transit"),
        ("In_Transit", "In_Transit"),
    ],
)
def test_a_known_word_becomes_bare(text: str, word: str) -> None:
    """Of its own vocabulary only; all else stays."""
    assert DISPOSITIONS.normalise(text) == word


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("shiping", "shipping"),
        ("urn:epcglobal:cbv:bizstep:recieving", "receiving"),
        ("https://ref.gs1.org/cbv/BizStep-packin", "packing"),
        ("qqqq", None),
        ("", None),
    ],
)
def test_the_nearest_word_is_offered(text: str, word: str | None) -> None:
    """Only where one is near."""
    assert STEPS.nearest(text) == word
