"""Every key of node.toml is on its page, as it is."""

from pathlib import Path

from node.config.settings import describe_keys

PAGE = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text(encoding="utf-8")


def test_every_key_is_documented_with_its_default_and_meaning() -> None:
    """One row a key, and no row without a key."""
    rows = [
        line
        for line in PAGE.splitlines()
        if line.startswith("| `") and "." in line.split("`")[1] and "/" not in line.split("`")[1]
    ]
    assert rows == [f"| `{key.path}` | `{key.shown_default}` | {key.docs} |" for key in describe_keys()]
    assert all(key.docs for key in describe_keys())
