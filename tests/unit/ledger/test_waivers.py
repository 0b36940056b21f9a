"""The payload of a waiver: one encoding, bounded, and refused by the field that is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.ledger.waivers import Waiver, decode_waiver
from node.wire.codec import MalformedError, pack

FLAG = bytes(range(16))


def test_waiver_reads_back() -> None:
    """Flag and reason."""
    waiver = Waiver(FLAG, "counted anew: the scale was wrong")
    assert decode_waiver(waiver.encode()) == waiver
    assert decode_waiver(Waiver(FLAG, "ä" * 500).encode()).reason == "ä" * 500


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (pack((FLAG, "")), "waiver.reason: 0 characters"),
        (pack((FLAG, "a" * 501)), "waiver.reason: 501 characters"),
        (pack((FLAG, "two\nlines")), "waiver.reason: has control characters"),
        (pack((FLAG, b"bytes")), "waiver.reason: not text"),
        (pack((FLAG[:15], "why")), "waiver.flag: 15 bytes"),
        (pack(("text", "why")), "waiver.flag: not bytes"),
        (pack((FLAG,)), "waiver"),
        (pack((FLAG, "why", 1)), "waiver"),
        (b"", "waiver"),
        (b"\xc1", "waiver: not msgpack"),
    ],
)
def test_wrong_waiver_is_refused_by_its_field(payload: bytes, words: str) -> None:
    """Nothing from outside is believed."""
    with pytest.raises(MalformedError, match=words):
        decode_waiver(payload)


@given(st.binary(max_size=600))
def test_decoding_raises_nothing_else(payload: bytes) -> None:
    """Whatever a member signs."""
    try:
        assert decode_waiver(payload).encode() == payload
    except MalformedError:
        pass
