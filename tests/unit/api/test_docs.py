"""Every method, parameter, result field and error code is on its page."""

import re
from pathlib import Path
from typing import Any

import msgspec

from node.api.catalog import OPERATIONS
from node.api.errors import NUMBERS

PAGE = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")


def sections() -> dict[str, str]:
    parts = re.split(r"^### (.*)$", PAGE, flags=re.MULTILINE)
    found = {}
    for heading, text in zip(parts[1::2], parts[2::2], strict=True):
        for name in re.findall(r"`([a-z.]+)`", heading):
            found[name] = text
    return found


def field_names(schema: Any) -> set[str]:
    """Return every property name anywhere in a JSON schema."""
    if isinstance(schema, list):
        return set().union(*map(field_names, schema))
    if not isinstance(schema, dict):
        return set()
    return set(schema.get("properties", ())).union(*map(field_names, schema.values()))


def test_every_method_is_documented_with_its_parameters_and_results() -> None:
    """Each name stands in the section of its method; and no section without a method."""
    documented = sections()
    assert set(documented) == set(OPERATIONS)
    for name, one in OPERATIONS.items():
        text = documented["tx.get"] + documented[name] if name == "tx.submit" else documented[name]
        for kind in (one.params, one.result):
            for field in field_names(msgspec.json.schema(kind)):
                assert f"`{field}`" in text, (name, field)


def test_every_error_code_is_documented_with_its_number() -> None:
    """The table is the contract."""
    rows = re.findall(r"^\| (-\d+) \| `(\w+)` \|", PAGE, flags=re.MULTILINE)
    assert {code: int(number) for number, code in rows} == NUMBERS
