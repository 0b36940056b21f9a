"""ARCHITECTURE.md and the decisions are held against the tree: a map that is wrong is worse than none."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAP = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
DECISIONS = ROOT / "docs" / "adr"


def test_every_file_that_the_map_names_is_there() -> None:
    """Paths in full; bare file names stand in the folder of the path before them."""
    named = re.findall(r"`((?:node|consensus|docs|tests)/[\w/.]+)`", MAP)
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_drawing_has_every_package() -> None:
    """A newcomer finds each folder of node/ in it."""
    drawing = MAP.split("```")[1]
    # The left column names the floor, the middle one the packages, the right one what they own.
    middle = " ".join(line[10:41] for line in drawing.splitlines())
    drawn = set(re.findall(r"[a-z0-9]+", middle))
    packages = {path.parent.name for path in (ROOT / "node").glob("*/__init__.py")}
    assert packages <= drawn


def test_every_decision_is_in_the_index() -> None:
    """By its file and its own title's number."""
    index = (DECISIONS / "README.md").read_text(encoding="utf-8")
    files = sorted(path.name for path in DECISIONS.glob("0*.md"))
    assert sorted(set(re.findall(r"\((0[\w-]+\.md)\)", index))) == files
    for name in files:
        assert (DECISIONS / name).read_text(encoding="utf-8").startswith(f"# {name[:4]}: "), name


def test_no_file_refers_to_a_text_that_is_not_here() -> None:
    """Whoever has the repository has all that its sources and pages point to."""
    foreign = re.compile(r"\b[A-Z]{4,}(?:\.md)? (?:§|sections? )\d")
    pages = re.compile(r"\bdocs/[\w/-]+\.(?:md|svg|jsonld)\b")
    lost = []
    for folder in ("bench", "consensus", "docs", "node", "tests"):
        for path in sorted((ROOT / folder).rglob("*.*")):
            if path.suffix not in (".py", ".md"):
                continue
            text = path.read_text(encoding="utf-8")
            lost += [f"{path.relative_to(ROOT)}: {one}" for one in foreign.findall(text)]
            lost += [f"{path.relative_to(ROOT)}: {one}" for one in pages.findall(text) if not (ROOT / one).exists()]
    assert lost == []


def test_the_map_of_lineage_has_each_of_its_files_once_and_none_looks_down() -> None:
    """A file without a place in the drawing is one that a newcomer finds by chance."""
    lineage = ROOT / "node" / "lineage"
    section = MAP.split("## Inside `node/lineage/`")[1].split("\n## ")[0]
    cells = [row.split("|")[2] for row in section.splitlines() if row.startswith("| ")]
    drawn = [(name, number) for number, cell in enumerate(cells) for name in re.findall(r"`(\w+)`", cell)]
    there = [path.stem for path in lineage.glob("*.py") if path.stem != "__init__"]
    assert sorted(name for name, _ in drawn) == sorted(there), "give a new file its place in ARCHITECTURE.md"
    row_of = dict(drawn)
    down = [
        f"{name} imports {other}"
        for name, row in drawn
        for other in re.findall(
            r"from node\.lineage\.(\w+) import", (lineage / f"{name}.py").read_text(encoding="utf-8")
        )
        if row_of[other] > row
    ]
    assert down == []
