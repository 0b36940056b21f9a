"""docs/epcis.md names every code that a client can meet, and nothing it cannot."""

import ast
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = (ROOT / "docs" / "epcis.md").read_text(encoding="utf-8")
PLACES: Final = {"Finding": 1, "FindingResult": 1, "DocumentError": 0, "UnreadableEventError": 0, "IdentifierError": 0}


def codes_in(path: Path) -> set[str]:
    """Return the constant codes that a source file gives to findings and errors."""
    codes: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in PLACES:
            place = PLACES[node.func.id]
            code = node.args[place] if len(node.args) > place else None
            if isinstance(code, ast.Constant) and isinstance(code.value, str):
                codes.add(code.value)
    return codes


@pytest.mark.parametrize(
    "path",
    sorted([*(ROOT / "node" / "epcis").glob("*.py"), *(ROOT / "node" / "intake").glob("*.py")]),
    ids=lambda path: path.name,
)
def test_every_code_is_on_the_page(path: Path) -> None:
    """In backquotes, where a reader finds it."""
    assert {code for code in codes_in(path) if f"`{code}`" not in PAGE} == set()


def test_codes_are_found_at_all() -> None:
    """Else the test above could not fail."""
    assert "repeated_key" in codes_in(ROOT / "node" / "epcis" / "document.py")
    assert "rolled_back" in codes_in(ROOT / "node" / "intake" / "capture.py")
