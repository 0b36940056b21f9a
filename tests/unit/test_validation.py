"""What a caller got wrong is said in words, and where."""

from typing import Annotated, Literal

import msgspec
import pytest

from node.validation import explain_fault


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    count: Annotated[int, msgspec.Meta(ge=1, le=5)]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=3)] = "a"
    key: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]+$")] = "a"
    role: Literal["member", "observer"] = "member"
    sizes: Annotated[tuple[float, ...], msgspec.Meta(max_length=2)] = ()
    until: int | None = None


@pytest.mark.parametrize(
    ("given", "path", "words"),
    [
        ('{"count": 0}', ".count", "expected a whole number, at least 1"),
        ('{"count": 6}', ".count", "expected a whole number, at most 5"),
        ('{"count": "one"}', ".count", "expected a whole number, got text"),
        ('{"count": 1, "name": "long"}', ".name", "expected text of at most 3 characters"),
        ('{"count": 1, "name": null}', ".name", "expected text, got nothing"),
        ('{"count": 1, "key": "XY"}', ".key", "expected text of the form ^[0-9a-f]+$"),
        ('{"count": 1, "role": "king"}', ".role", "invalid enum value 'king'"),
        ('{"count": 1, "sizes": [1, 2, 3]}', ".sizes", "expected a list of at most 2 entries"),
        ('{"count": 1, "sizes": [1, "two"]}', ".sizes[1]", "expected a number, got text"),
        ('{"count": 1, "until": "noon"}', ".until", "expected a whole number or nothing, got text"),
        ('{"count": 1, "color": 3}', "", "object contains unknown field color"),
        ("{}", "", "object missing required field count"),
        ("[]", "", "expected an object, got a list"),
    ],
)
def test_each_fault_is_told_by_its_place_and_in_plain_words(given: str, path: str, words: str) -> None:
    """The sentences are those of the library that is installed: a version that words them otherwise is seen here."""
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(given, type=_Asked)
    assert explain_fault(caught.value) == (path, words)
