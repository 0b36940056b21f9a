"""docs/lineage.md and docs/trace.md say what the code does: every field, code, reason and test is on its page."""

import re
from pathlib import Path

import msgspec

from node.epcis.document import read_document
from node.epcis.identifiers import site_of
from node.lineage.answer import Answer
from node.lineage.readings import Readings
from node.lineage.warnings import MESSAGES
from node.query.text import REASONS

ROOT = Path(__file__).parents[3]
LINEAGE = (ROOT / "docs" / "lineage.md").read_text(encoding="utf-8")
TRACE = (ROOT / "docs" / "trace.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return LINEAGE.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]


def test_every_field_of_an_answer_is_on_its_page() -> None:
    """In backquotes, as it stands in the JSON."""
    schema = msgspec.json.schema(Answer)
    names = {name for part in schema["$defs"].values() for name in part.get("properties", ())}
    assert len(names) > 40
    assert {name for name in names if f"`{name}`" not in TRACE and f'"{name}"' not in TRACE} == set()


def test_every_warning_and_reason_is_on_its_page() -> None:
    """No code without a line, no line without a code."""
    assert set(re.findall(r"^\| `(\w+)` \|", section("Codes of warnings"), re.MULTILINE)) - {"code"} == set(MESSAGES)
    assert set(re.findall(r"^\| `(\w+)` \|", section("Reasons of unknowns"), re.MULTILINE)) - {"reason"} == set(REASONS)


def test_every_test_that_the_page_names_exists() -> None:
    """Each reading has its test."""
    named = set(re.findall(r"`(test_\w+)`", LINEAGE))
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert {name for name in named if f"def {name}(" not in sources} == set()
    assert len(named) > 40


def test_every_reason_and_code_in_the_source_is_known() -> None:
    """A code that the walks use has words."""
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "node" / "lineage").glob("*.py"))
    codes = set(re.findall(r'(?:warn|Finding|Note)\(\s*"(\w+)"', sources))
    assert len(codes) > 10
    assert codes <= set(MESSAGES)
    assert set(re.findall(r'know_not\(\s*[\w.]+,\s*"(\w+)"', sources)) <= set(REASONS)


def test_example_of_a_cleaning_is_entered_and_ends_contact_on_its_line() -> None:
    """Its step is one of the network's own words: bare, the door refuses it, and the refusal says how to write it."""
    raw = (ROOT / "docs" / "examples" / "cleaning.jsonld").read_bytes()
    (judged,) = read_document(raw).events
    assert (judged.errors, judged.warnings) == ((), ())
    assert judged.event is not None
    assert Readings().is_cleaning(judged.event)
    assert judged.event.read_point is not None
    assert site_of(judged.event.read_point) == judged.event.location
    (refused,) = read_document(raw.replace(b"https://bakery.example/steps/cleaning", b"cleaning")).events
    assert [(error.path.rpartition(".")[2], error.code) for error in refused.errors] == [("bizStep", "unknown_word")]
    assert "such as https://example.org/cleaning" in refused.errors[0].message
