"""The tables of scenarios and invariants in docs/protocol.md are held against the tests and checkers they name."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
SCENARIOS: Final = {f"T-{number:02d}" for number in range(1, 53)}
INVARIANTS: Final = {f"I-{number}" for number in range(1, 22)}
WAITING: Final = {"T-34": "waits for snapshots", "T-40": "waits for a second protocol version"}


def rows(letter: str) -> list[tuple[str, str]]:
    """Return each number of a table with its last cell."""
    return re.findall(rf"^\| ({letter}-\d+) \| [^|]+ \| ([^|]+) \|$", PAGE, re.MULTILINE)


@cache
def docstrings(path: str) -> dict[str, str]:
    """Return the docstring of every function and class of a file, by its name with that of its class."""
    found: dict[str, str] = {}

    def visit(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found[prefix + node.name] = ast.get_docstring(node) or ""
                if isinstance(node, ast.ClassDef):
                    visit(node.body, f"{prefix}{node.name}.")

    visit(ast.parse((ROOT / path).read_text(encoding="utf-8")).body, "")
    return found


def numbers_in(text: str) -> set[str]:
    """Return the numbers in a docstring, with those between "I-1" and "I-6" in "I-1 to I-6"."""
    found = set(re.findall(r"\b[TI]-\d+", text))
    for first, last in re.findall(r"\bI-(\d+) to I-(\d+)", text):
        found |= {f"I-{number}" for number in range(int(first), int(last) + 1)}
    return found


def places(cell: str) -> list[tuple[str, str]]:
    """Return file and name of each thing that a cell names."""
    return [(path, name) for path, name in re.findall(r"`([^`:]+)::([^`]+)`", cell)]


def test_every_number_has_one_row() -> None:
    """T-01 … T-52 and I-1 … I-21, in order."""
    assert [number for number, _ in rows("T")] == sorted(SCENARIOS)
    assert [number for number, _ in rows("I")] == [f"I-{number}" for number in range(1, 22)]


@pytest.mark.parametrize(("number", "cell"), [*rows("T"), *rows("I")], ids=lambda value: value[:5])
def test_a_row_names_what_exists_and_carries_its_number(number: str, cell: str) -> None:
    """What is named is there, under that name, and says in its docstring which row it stands in."""
    if number in WAITING:
        assert cell.startswith(WAITING[number])
        return
    assert places(cell), f"{number} names nothing"
    for path, name in places(cell):
        found = docstrings(path)
        assert name in found, f"{number}: {path} has no {name}"
        assert number in numbers_in(found[name]), f"{number}: {path}::{name} does not carry it"
        assert number[0] == "I" or name.startswith("test_")


def test_tests_carry_no_number_that_is_not_in_the_table() -> None:
    """A number that nobody can look up says nothing."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for name, docstring in docstrings(str(path.relative_to(ROOT))).items():
            unknown = numbers_in(docstring) - SCENARIOS - INVARIANTS
            assert not unknown, f"{path.name}::{name} carries {unknown}"
