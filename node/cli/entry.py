"""The commands by name, and what an error means for the person at the keyboard.

Exit code 0: done. 1: failed, or found problems. 2: misused or wrongly configured, and nothing was started. Answers go
to standard output, everything else to standard error.
"""

import errno
import importlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Final

import click

from node.errors import ConfigError, RequestError, StorageError
from node.query.one_line import one_line

FAILED: Final = 1
_OUTPUT_FAULTS: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""What a file that the answer is sent to may fail with."""
MISUSED: Final = 2

COMMANDS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "init": ("node.cli.init", "Make the home of one organisation's node."),
        "localnet": ("node.cli.localnet", "Make a network on this machine, to try things out."),
        "start": ("node.cli.start", "Run a node in the foreground."),
        "status": ("node.cli.status", "How a running node is: height, lag, peers, feeds."),
        "capture": ("node.cli.capture", "Enter EPCIS documents."),
        "find": ("node.cli.find", "An item by what is left of its label."),
        "trace": ("node.cli.trace", "Where an item came from, or where it went."),
        "common": ("node.cli.common", "What several bad lots have in common."),
        "scope": ("node.cli.scope", "What a hazard must, may and cannot have reached."),
        "flags": ("node.cli.flags", "What does not add up, and who can settle it."),
        "waive": ("node.cli.waive", "Say why a flag may stand."),
        "completeness": ("node.cli.completeness", "How much of an item is traced to its origins."),
        "scorecard": ("node.cli.scorecard", "How a party keeps its record."),
        "balance": ("node.cli.balance", "What a party got and gave of a product, and whether it adds up."),
        "diff": ("node.cli.diff", "What moved between two answers."),
        "member": ("node.cli.member", "Who belongs to the network."),
        "validators": ("node.cli.validators", "Who voted in which epoch."),
        "govern": ("node.cli.govern", "Members, roles, keys and parameters, changed by vote."),
        "keys": ("node.cli.keys", "The keys of a home, and replacing its node key."),
        "config": ("node.cli.config", "The settings of a node, and where each came from."),
        "backup": ("node.cli.backup", "Keys, settings and chain of a node in one file."),
        "restore": ("node.cli.restore", "Make a home of a backup."),
        "reindex": ("node.cli.reindex", "Rebuild the index of a stopped node from its chain."),
        "refetch": ("node.cli.refetch", "Set a damaged chain aside, to take it anew from the other nodes."),
        "sandbox": ("node.cli.sandbox", "Four firms on this machine, a story, and a trace."),
    }
)
"""Each command's module and line of help. A module is imported when its command runs: `--help` stays quick."""


class Program(click.Group):
    """The top command: finds subcommands by name, and answers their errors."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of a first day."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import and return a command."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in COMMANDS.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words of the top command; --version and --help answer here."""
        with _writing(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; what it cannot do is said in words, and becomes the exit code.

        Under --json it is said on standard output too, as one object: a program need not read sentences.
        """
        as_json = "--json" in ctx.args
        failure: dict[str, object]
        try:
            with _writing(ctx):
                return super().invoke(ctx)
        except ConfigError as error:
            say_error(error.problems)
            code, failure = MISUSED, {"code": "misconfigured", "message": str(error)}
        except StorageError as error:
            say_error([str(error)])
            code, failure = FAILED, {"code": "storage", "message": str(error)}
        except RequestError as error:
            say_refusal(error)
            code, failure = FAILED, describe_failure(error)
        except click.UsageError as error:
            if as_json:
                _write_failure({"code": "misused", "message": error.format_message()})
            raise
        if as_json:
            _write_failure(failure)
        return ctx.exit(code)


@contextmanager
def _writing(ctx: click.Context) -> Iterator[None]:
    """End the program in order if what it writes is not read to the end, or cannot be written."""
    try:
        yield
    except BrokenPipeError:
        # The reader of a pipe, such as head, has seen enough. Python would complain once more at exit.
        _give_up_output()
        ctx.exit(FAILED)
    except OSError as error:
        if error.errno not in _OUTPUT_FAULTS or error.filename is not None:
            raise
        _give_up_output()
        say_error([f"the answer cannot be written: {error.strerror}"])
        ctx.exit(FAILED)


def _give_up_output() -> None:
    """Lead what is still to be written to nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def describe_failure(error: RequestError) -> dict[str, object]:
    """Return the object that stands under `error` in what --json writes."""
    return {
        "code": error.code,
        "message": error.message,
        "field": error.field,
        "hint": error.hint,
        "near": list(error.near),
    }


def _write_failure(failure: Mapping[str, object]) -> None:
    click.echo(json.dumps({"error": failure}, ensure_ascii=False))


def say_error(problems: Sequence[str]) -> None:
    """Write problems to standard error, one a line."""
    if len(problems) > 1:
        click.echo(f"{len(problems)} problems:", err=True)
    for problem in problems:
        click.secho(f"error: {problem}", err=True, fg="red", color=use_color(sys.stderr))


def say_refusal(error: RequestError) -> None:
    """Write a refused request to standard error: what, where, what next, and the stable code."""
    where = f" ({error.field})" if error.field else ""
    say_error([one_line(f"{error.message}{where} [{error.code}]")])
    if error.near:
        click.echo("  did you mean:", err=True)
        for one in error.near:
            click.echo(f"    {one_line(one)}", err=True)
    elif error.hint:
        click.echo(f"  {one_line(error.hint)}", err=True)


def use_color(stream: Any) -> bool:
    """Return whether to colour what goes to `stream`: a terminal, and NO_COLOR is not set (no-color.org)."""
    return not os.environ.get("NO_COLOR") and bool(stream.isatty())


def _print_version(ctx: click.Context, _option: click.Parameter, is_given: bool) -> None:  # noqa: FBT001 - click's signature
    if is_given and not ctx.resilient_parsing:
        from node.api.catalog import program_version

        click.echo(f"lotvine {program_version()}")
        ctx.exit()


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Print the version."
)
def program() -> None:
    """Supply-chain traceability: each firm runs a node, all agree on one signed history."""


def main() -> None:
    """Run the command line of this process."""
    program(prog_name="lotvine")
