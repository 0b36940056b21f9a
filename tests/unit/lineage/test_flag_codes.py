"""docs/flags.md says what the code does: every code with its meaning, and every tolerance."""

import re
from pathlib import Path

from node.ledger.roster import LATER_PARAMETERS, Parameters
from node.lineage.findings import REMEDIES
from node.lineage.flag_codes import CODES

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "flags.md").read_text(encoding="utf-8")


def test_every_code_is_on_its_page_as_it_stands() -> None:
    """All that the code says of it: no code without a line, no line without a code."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (\w+) \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", PAGE, re.MULTILINE)
    listed = {name: tuple(rest) for name, *rest in rows}
    assert len(listed) == len(rows)
    assert listed == {
        name: (
            code.group.value,
            code.severity.value,
            code.means,
            code.settles,
            code.closes,
            "–" if code.tolerance is None else f"`{code.tolerance}`",
        )
        for name, code in CODES.items()
    }


def test_every_tolerance_is_on_its_page_with_its_default() -> None:
    """The parameters that begin with flag_."""
    rows = dict(re.findall(r"^\| `(flag_\w+)` \| (\d+) \|", PAGE, re.MULTILINE))
    names = [name for name in LATER_PARAMETERS if name.startswith("flag_")]
    assert {name: int(value) for name, value in rows.items()} == {name: getattr(Parameters(), name) for name in names}
    used = {code.tolerance for code in CODES.values()} - {None}
    assert used <= set(Parameters.__struct_fields__)


def test_every_finding_of_a_ledger_is_a_flag() -> None:
    """With the severity and remedy that a scope says of it."""
    assert set(REMEDIES) <= set(CODES)
    assert all(
        CODES[name][1] is remedy.severity and CODES[name].closes == remedy.closes for name, remedy in REMEDIES.items()
    )


def test_every_code_in_the_source_is_known_and_used() -> None:
    """A code that flags use has words, and none is only promised."""
    sources = "".join(
        path.read_text(encoding="utf-8")
        for path in (ROOT / "node" / "lineage").glob("*.py")
        if path.name not in ("flag_codes.py", "warnings.py", "findings.py")
    )
    assert {name for name in CODES if f'"{name}"' not in sources} == set()
    assert set(re.findall(r'found\.add\(\s*"(\w+)"', sources)) <= set(CODES)
