"""`lotvine diff`."""

from pathlib import Path
from typing import Final

import click
import msgspec

from node.cli.options import json_option, write_lines
from node.query.changes import AnyAnswer, diff_answers, read_answer, render_changes

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("diff")
@click.argument("before", type=_FILE)
@click.argument("after", type=_FILE)
@json_option
def command(before: Path, after: Path, *, as_json: bool) -> None:
    """Write what moved between two answers: files that `trace --json` or `scope --json` wrote."""
    try:
        changes = diff_answers(_read(before), _read(after))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        click.echo(msgspec.json.encode(changes).decode())
        return
    write_lines(render_changes(changes))


def _read(path: Path) -> AnyAnswer:
    """Return the answer in a file. Raises click.UsageError if it is none."""
    try:
        return read_answer(path.read_bytes())
    except msgspec.MsgspecError as error:
        raise click.UsageError(f"{path} is no answer of trace or scope: {error}") from error
