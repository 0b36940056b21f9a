"""JSON is read under bounds that hold at every node, and one value has one text."""

import json
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from node.epcis.errors import UnreadableEventError
from node.epcis.json_values import DEPTH_MAX, EVENT_BYTES_MAX, JsonValue, decode_value, encode_canonical

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=20,
)


def _same(ours: JsonValue, theirs: object) -> bool:
    """Compare by value: numbers exactly, true is not 1."""
    if isinstance(theirs, dict):
        return isinstance(ours, dict) and ours.keys() == theirs.keys() and all(_same(ours[k], theirs[k]) for k in ours)
    if isinstance(theirs, list):
        return (
            isinstance(ours, list)
            and len(ours) == len(theirs)
            and all(_same(a, b) for a, b in zip(ours, theirs, strict=True))
        )
    if isinstance(theirs, bool) or isinstance(ours, bool) or theirs is None:
        return ours is theirs
    return ours == theirs and isinstance(ours, str) == isinstance(theirs, str)


@given(VALUES)
def test_values_are_those_of_the_standard_library(value: object) -> None:
    """Our parser and Python's read the same value from the same text, numbers as exact decimals."""
    text = json.dumps(value)
    assert _same(decode_value(text.encode()), json.loads(text, parse_float=Decimal))


@given(VALUES)
def test_one_value_has_one_text(value: object) -> None:
    """The canonical text is JSON of the same value, and its own canonical text."""
    canonical = encode_canonical(decode_value(json.dumps(value).encode()))
    assert encode_canonical(decode_value(canonical)) == canonical
    assert encode_canonical(decode_value(json.dumps(value, indent=1, ensure_ascii=False).encode())) == canonical


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_read_or_refused_as_python_does(raw: bytes) -> None:
    """No bytes raise anything else; what we read, Python's parser reads alike."""
    try:
        ours = decode_value(raw)
    except UnreadableEventError:
        return
    assert _same(ours, json.loads(raw, parse_float=Decimal))


@pytest.mark.parametrize(
    ("texts", "canonical"),
    [
        (["10", "10.0", "1e1", "100E-1", "0.1e+2"], b"10"),
        (["0", "-0", "-0.0", "0e7"], b"0"),
        (["0.5", "5e-1", "0.500"], b"0.5"),
        (["-125", "-1.25e2"], b"-125"),
        (["1e30", "10.00e29"], b"1E+30"),
    ],
)
def test_equal_numbers_have_one_text(texts: list[str], canonical: bytes) -> None:
    """A number is its value, not its spelling."""
    assert {encode_canonical(decode_value(text.encode())) for text in texts} == {canonical}


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b" " * (EVENT_BYTES_MAX + 1), "too_large"),
        (b"[" * (DEPTH_MAX + 1) + b"]" * (DEPTH_MAX + 1), "too_deep"),
        (b'{"a":' * (DEPTH_MAX + 1) + b"1" + b"}" * (DEPTH_MAX + 1), "too_deep"),
        (b"[" * 100_000, "not_json"),
        (b"[" * 40 + b"}" * 40, "not_json"),
        (b"9" * 4000, "number"),
        (b"1e10000", "not_json"),
        (b"1e99999999999", "not_json"),
        (b"1." + b"1" * 3999, "not_json"),
        (b'"\\ud800"', "not_json"),
        (b'"\xed\xa0\x80"', "not_json"),
        (b"NaN", "not_json"),
        (b"\xef\xbb\xbf1", "not_json"),
        (b"{} {}", "not_json"),
        (b"", "not_json"),
    ],
)
def test_what_is_out_of_bounds_is_refused(raw: bytes, code: str) -> None:
    """Size, depth and numbers have bounds of our own, so that no setting of a process decides."""
    with pytest.raises(UnreadableEventError) as refused:
        decode_value(raw)
    assert refused.value.code == code


def test_depth_counts_brackets_outside_texts() -> None:
    """Many brackets are fine, and those inside texts do not count."""
    wide = b"[" + b",".join([b'{"a":["]]]][[[[\\""]}'] * 100) + b"]"
    assert decode_value(wide) == json.loads(wide)
    deep = b"[" * DEPTH_MAX + b"]" * DEPTH_MAX
    assert decode_value(deep) is not None


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=4), inner, max_size=5)
    ),
    max_leaves=20,
)


@given(PLAIN)
@example({"\U0001f41f": 1, "\uffff": 2, "é": '\x00\b\t\n\f\r\x1f\x7f"\\/\u2028'})
def test_the_text_is_what_the_standard_library_writes(value: object) -> None:
    """Keys by code point, no white space, only what must be escaped: so others can make the same digest."""
    ours = encode_canonical(decode_value(json.dumps(value).encode()))
    assert ours.decode() == json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
