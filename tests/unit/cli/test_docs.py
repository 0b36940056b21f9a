"""Every command and option is on its page."""

import re
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
        children = (
            [command.commands[one] for one in sorted(command.commands)] if isinstance(command, click.Group) else []
        )
        for child in children:
            assert f"lotvine {name} {child.name}" in PAGE
        for one in (command, *children):
            for parameter in one.params:
                if isinstance(parameter, click.Option):
                    assert max(parameter.opts, key=len) in sections[name], (name, parameter.name)


def split_page() -> list[tuple[str, str]]:
    parts = re.split(r"^## (.*)$", PAGE, flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def test_no_command_is_documented_that_does_not_exist() -> None:
    """A page that promises more than the program costs a newcomer an hour."""
    for heading, _ in split_page():
        assert heading.split("`")[1].removeprefix("lotvine ").split()[0] in COMMANDS
