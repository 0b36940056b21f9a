"""README.md is held against the code: a newcomer's first ten minutes must not fail on a typing error of ours."""

import re
import shlex
from pathlib import Path

import click

from node.cli.entry import program
from node.epcis.document import read_document
from node.epcis.elements import parse_item

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "docs" / "examples" / "bread.jsonld"


def commands() -> list[list[str]]:
    """The words of every lotvine command of the page, without comments."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("lotvine ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


def test_every_command_is_one_that_exists() -> None:
    """Subcommands and options are those of the command line."""
    assert commands()
    for words in commands():
        found: click.Command = program
        rest = list(words)
        while isinstance(found, click.Group):
            inner = found.get_command(click.Context(found), rest.pop(0))
            assert inner is not None, words
            found = inner
        known = {name for parameter in found.params for name in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= known, words


def test_the_example_is_entered_without_a_word() -> None:
    """No error, no warning, no notice: it shows how a document should be."""
    document = read_document(EXAMPLE.read_bytes())
    assert len(document.events) == 5
    assert not [finding for event in document.events for finding in (*event.errors, *event.warnings, *event.notices)]
    assert not document.warnings


def test_the_items_of_the_page_are_in_the_example() -> None:
    """What the page asks about is what it entered."""
    named = {goods.item for event in read_document(EXAMPLE.read_bytes()).events if event.event is not None
             for goods in (*event.event.goods, *event.event.inputs, *event.event.outputs)}  # fmt: skip
    asked = [words[2] for words in commands() if words[0] == "trace"]
    assert asked
    assert {parse_item(item).id for item in asked} <= named


def test_every_link_leads_somewhere() -> None:
    """Pages move; links should not be left behind."""
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
