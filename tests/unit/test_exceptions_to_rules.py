"""Where a line is let off a rule of the linter or the type checker, it says why."""

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("bench", "consensus", "node", "tests")
LET_OFF = re.compile(r"#\s*(?:type: ignore|noqa|mypy: |ruff: noqa)")
WITH_REASON = re.compile(r"# (?:type: ignore\[[a-z, -]+\]|noqa: [A-Z]+\d+(?:, [A-Z]+\d+)*)(?: - |  ?# )\w.{4,}")


def comments_of(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def find_bare(source: str) -> list[int]:
    """Return the lines that are let off a rule without a word of why."""
    return [line for line, text in comments_of(source) if LET_OFF.search(text) and not WITH_REASON.search(text)]


def test_every_exception_to_a_rule_says_why_beside_it() -> None:
    """Who meets it later can tell whether the reason still holds."""
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line in find_bare(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_an_exception_without_a_reason_is_found() -> None:
    """By what stands behind the code of the rule."""
    source = """
a = 1  # noqa: F401
b = 2  # noqa: F401 - for its side effect
c = 3  # type: ignore[misc]
d = 4  # type: ignore[misc]  # mypy does not know defaults of lambdas.
e = "# noqa: F401"
f = 6  # noqa
"""
    assert find_bare(source) == [2, 4, 7]
