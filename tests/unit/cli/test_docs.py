"""Every command and option is on its page."""

import re
from collections.abc import Iterator
from pathlib import Path

import click

from node.cli.entry import COMMANDS, program

PAGE = (Path(__file__).parents[3] / "docs" / "cli.md").read_text(encoding="utf-8")


def test_every_command_and_option_is_documented() -> None:
    """Under its command's heading; --home, --json and --help are said once for all."""
    sections = {heading.split("`")[1].removeprefix("lotvine ").split()[0]: text for heading, text in split_page()}
    context = click.Context(program)
    for name in COMMANDS:
        assert name in sections, name
        command = program.get_command(context, name)
        assert command is not None
        for words, one in walk(name, command):
            assert words.removeprefix(f"{name} ") in PAGE, words
            for parameter in one.params:
                if isinstance(parameter, click.Option):
                    assert max(parameter.opts, key=len) in sections[name], (words, parameter.name)


def walk(words: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """The command and all below it, each with the words that call it."""
    yield words, command
    if isinstance(command, click.Group):
        for name, child in sorted(command.commands.items()):
            yield from walk(f"{words} {name}", child)


def split_page() -> list[tuple[str, str]]:
    parts = re.split(r"^## (.*)$", PAGE, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def test_no_command_is_documented_that_does_not_exist() -> None:
    """A page that promises more than the program costs a newcomer an hour."""
    for heading, _ in split_page():
        assert heading.split("`")[1].removeprefix("lotvine ").split()[0] in COMMANDS
