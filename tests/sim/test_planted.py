"""The planted bugs themselves: each still applies, breaks a rule that has a name, and names a finder that exists.

That each is found is what `make sim-planted` shows; it takes minutes.
"""

import subprocess

import pytest

from tests.sim.planted import ROOT, RULES, Planted, all_planted


@pytest.mark.parametrize("planted", all_planted(), ids=lambda planted: planted.path.stem)
def test_a_planted_bug_applies_to_production_code_and_names_its_finder(planted: Planted) -> None:
    """A patch that no longer applies finds nothing: write it anew for the code of today."""
    done = subprocess.run(
        ["git", "apply", "--check", str(planted.path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    changed = [line[6:] for line in planted.path.read_text().splitlines() if line.startswith("+++ b/")]
    assert changed
    assert all(path.startswith(("consensus/", "node/")) for path in changed)
    module, *words = planted.finder
    if module == "pytest":
        for word in words:
            if word.startswith("tests/"):
                path, *names = word.split("::")
                text = (ROOT / path).read_text()
                assert all(f"def {name}(" in text for name in names), word
    else:
        assert (ROOT / module.replace(".", "/")).exists()


def test_every_rule_is_broken_by_some_patch() -> None:
    """At least 25 bugs, at least one for each rule that safety or liveness rests on."""
    found = all_planted()
    assert len(found) >= 25
    assert {planted.rule for planted in found} == set(RULES)
    assert len({planted.path.name[:2] for planted in found}) == len(found)
