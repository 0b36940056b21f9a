"""What msgspec says of a value of the wrong kind, in words for people who know neither Python nor JSON Schema."""

import re
from typing import Final, NamedTuple

_NOUNS: Final = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "nothing",
}
_LENGTHS: Final = {"str": "text of {} characters", "array": "a list of {} entries"}
_BOUND: Final = re.compile(r"Expected `(\w+)` (of length )?([<>]=) (-?[\d.]+)")
_KIND: Final = re.compile(r"Expected `([\w| ]+)`, got `(\w+)`")
_PATTERN: Final = re.compile(r"Expected `str` matching regex '(.*)'")


class Fault(NamedTuple):
    """path: where, such as `.changes[0].name`; empty at the top. words: what is wrong there."""

    path: str
    words: str


def explain_fault(error: Exception) -> Fault:
    """Return what a msgspec.ValidationError says; a sentence that is not known stays as it is."""
    sentence, found, path = str(error).rpartition(" - at `$")
    if not found:
        sentence, path = str(error), ""
    return Fault(path.rstrip("`"), _explain(sentence))


def _explain(sentence: str) -> str:
    if bound := _BOUND.fullmatch(sentence):
        kind, is_length, relation, number = bound.groups()
        limit = f"at least {number}" if relation == ">=" else f"at most {number}"
        return "expected " + (_LENGTHS[kind].format(limit) if is_length else f"{_NOUNS[kind]}, {limit}")
    if kinds := _KIND.fullmatch(sentence):
        wanted = " or ".join(_NOUNS.get(name, name) for name in kinds[1].split(" | "))
        return f"expected {wanted}, got {_NOUNS.get(kinds[2], kinds[2])}"
    if pattern := _PATTERN.fullmatch(sentence):
        return f"expected text of the form {pattern[1]}"
    return sentence[:1].lower() + sentence[1:].replace("`", "")
