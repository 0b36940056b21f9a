"""node.wire.codec and node.wire.ids."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consensus.types import U64_MAX, Digest
from node.wire import codec
from node.wire.codec import MalformedError, Packable, pack, unpack
from node.wire.ids import FeedId, FeedNumber, FeedTip, MemberId, Seq, read_feed_tip, read_member_id

PACKABLE: st.SearchStrategy[Packable] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), U64_MAX) | st.binary(max_size=40) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=5).map(tuple),
    max_leaves=20,
)


@given(st.lists(PACKABLE, max_size=6).map(tuple))
def test_what_is_packed_comes_back(value: tuple[Packable, ...]) -> None:
    """Round trip, and the same bytes as an independent implementation of msgpack gives."""
    encoded = pack(value)
    assert unpack(encoded, what="x") == value
    assert encoded == msgspec.msgpack.encode(value)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_by_name(encoded: bytes) -> None:
    """unpack raises MalformedError and nothing else, and what it reads has one encoding."""
    try:
        value = unpack(encoded, what="x")
    except MalformedError:
        return
    assert msgspec.msgpack.encode(value) == encoded


@pytest.mark.parametrize(
    ("encoded", "why"),
    [
        (b"\x92\x01", "not msgpack"),
        (b"\x01", "not an array"),
        (b"\x91\xcd\x00\x01", "not in its canonical encoding"),
        (b"\xdc\x00\x01\x01", "not in its canonical encoding"),
        (b"\x91" * 5000 + b"\x01", "not msgpack"),
        (b"\x91\x01\x02", "not msgpack"),
    ],
)
def test_a_second_encoding_of_one_thing_is_refused(encoded: bytes, why: str) -> None:
    """Else one vote would have two digests."""
    with pytest.raises(MalformedError, match=why):
        unpack(encoded, what="x")


@pytest.mark.parametrize(
    ("read", "why"),
    [
        (lambda: codec.read_array([], "f"), "f: not an array"),
        (lambda: codec.read_array((1,), "f", length=2), "f: 1 fields, not 2"),
        (lambda: codec.read_array((1, 2), "f", length_max=1), "f: 2 entries, more than 1"),
        (lambda: codec.read_int(True, "f"), "f: not an integer"),
        (lambda: codec.read_int("1", "f"), "f: not an integer"),
        (lambda: codec.read_int(-1, "f"), "f: -1 is outside"),
        (lambda: codec.read_int(8, "f", highest=7), "f: 8 is outside 0 … 7"),
        (lambda: codec.read_bytes("a", "f"), "f: not bytes"),
        (lambda: codec.read_bytes(b"a", "f", length=2), "f: 1 bytes, not 2"),
        (lambda: codec.read_bytes(b"ab", "f", length_max=1), "f: 2 bytes, more than 1"),
        (lambda: codec.read_digest(bytes(31), "f"), "f: 31 bytes, not 32"),
        (lambda: codec.read_text(b"a", "f", length_max=1), "f: not text"),
        (lambda: codec.read_text("", "f", length_max=1), "f: 0 characters"),
        (lambda: codec.read_text("ab", "f", length_max=1), "f: 2 characters"),
        (lambda: codec.read_bool(1, "f"), "f: not true or false"),
        (lambda: read_member_id("Mill", "f"), "f: 'Mill' is not"),
        (lambda: read_member_id("a" * 33, "f"), "f: 33 characters"),
        (lambda: read_feed_tip(("mill", 0, 0), "f"), "f: 3 fields, not 4"),
        (lambda: read_feed_tip(("mill", 2**32, 0, bytes(32)), "f"), "f.feed: 4294967296 is outside"),
    ],
)
def test_a_wrong_field_is_named(read: Callable[[], object], why: str) -> None:
    """The message says which field is wrong and how."""
    with pytest.raises(MalformedError, match=why):
        read()


def test_right_fields_pass() -> None:
    """Each reader returns what it was given."""
    assert codec.read_bool(True, "f") is True
    assert codec.read_text("ab", "f", length_max=2) == "ab"
    tip = FeedTip(FeedId(MemberId("mill"), FeedNumber(0)), Seq(3), Digest(bytes(32)))
    assert read_feed_tip(tip.to_fields(), "f") == tip
