"""node/cli/scope: what the options say becomes one request."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from node.cli.scope import _params, command

NOTHING = dict.fromkeys(
    ("event", "holder", "product", "since", "until", "agent", "as_of", "height", "known_at", "rules")
)
GIVEN: dict[str, object] = NOTHING | {
    "runs": (),
    "distrust": (),
    "hazard": "microbe",
    "resident": False,
    "colocation": False,
}


def test_options_become_one_request(tmp_path: Path) -> None:
    """Only what was given is in it: the node's defaults are its own."""
    rules = tmp_path / "rules.json"
    rules.write_text('[{"run": "urn:run:1", "rule": "mixed", "record": "r", "by": "qa"}]')
    given = GIVEN | {
        "runs": ("urn:run:1",),
        "holder": "urn:place:1",
        "since": "2026-01-05T00:00:00Z",
        "agent": "Salmonella",
        "resident": True,
        "height": 7,
        "rules": rules,
        "distrust": ("kill_step",),
    }
    assert _params(("a", "b"), given) == {
        "seeds": [
            {"item": "a"},
            {"item": "b"},
            {"run": "urn:run:1"},
            {"holder": "urn:place:1", "from": "2026-01-05T00:00:00Z"},
        ],
        "hazard": "microbe",
        "agent": "Salmonella",
        "height": 7,
        "resident": True,
        "distrusted": ["kill_step"],
        "rules": [{"run": "urn:run:1", "rule": "mixed", "record": "r", "by": "qa"}],
    }
    assert _params(("a",), GIVEN | {"event": "e:0"})["seeds"] == [{"item": "a", "event": "e:0"}]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name an ITEM"),
        (["a", "b", "--event", "e:0"], "--event goes with one ITEM"),
        (["a", "--rules", "{rules}"], "rules.json"),
        (["a", "--hazard", "bad luck"], "bad luck"),
    ],
)
def test_misuse_is_said_before_any_node_is_asked(arguments: list[str], words: str, tmp_path: Path) -> None:
    """Exit code 2."""
    rules = tmp_path / "rules.json"
    rules.write_text("{")
    asked = [one.replace("{rules}", str(rules)) for one in arguments]
    result = CliRunner().invoke(command, [*asked, "--home", str(tmp_path)])
    assert result.exit_code == 2
    assert words in result.output
