"""`lotvine sandbox`."""

import asyncio
import contextlib
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import click

from node.api.client import UnreachableError
from node.app.provision import BASE_PORT, find_base_port
from node.app.sandbox.show import Outcome, render_outcome, run_sandbox
from node.cli.entry import FAILED
from node.cli.options import json_option, write_lines
from node.clock import SystemClock
from node.errors import RequestError

FIRST_PORT = BASE_PORT + 1000


def _program_name() -> str:
    """Return how this command was called, so that what we suggest can be pasted."""
    name = sys.argv[0]
    return "lotvine" if not name.endswith("lotvine") or shutil.which("lotvine") == name else name


@click.command("sandbox")
@click.option("--once", is_flag=True, help="Stop after the story and the traces.")
@json_option
@click.option(
    "--dir", "folder", type=click.Path(path_type=Path), help="Keep the homes here.  [default: a temporary folder]"
)
@click.option("--base-port", type=int, help=f"First of forty ports.  [default: free ones from {FIRST_PORT} on]")
def command(folder: Path | None, base_port: int | None, *, once: bool, as_json: bool) -> None:
    """Start four firms on this machine, tell them a bread's story, and trace a contamination.

    Exit code 1 if the nodes do not answer alike.
    """

    def say(line: str) -> None:
        # Beside JSON, progress is a diagnostic.
        click.echo(line, err=as_json)

    def show(outcome: Outcome) -> None:
        if as_json:
            click.echo(outcome.to_json().decode())
        else:
            write_lines(render_outcome(outcome))

    async def run(at: Path) -> Outcome | None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, task.cancel)
        clock = SystemClock()
        try:
            return await run_sandbox(
                at,
                base_port=find_base_port(4, first=FIRST_PORT) if base_port is None else base_port,
                clock=clock,
                say=say,
                on_shown=show,
                stay=not once,
                program=_program_name(),
            )
        except asyncio.CancelledError:
            say("Stopped.")
            return None

    with contextlib.ExitStack() as stack:
        at = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lotvine-sandbox-"))) / "net"
        try:
            outcome = asyncio.run(run(at))
        except UnreachableError as error:
            raise RequestError("unreachable", str(error), hint="run it again; --dir keeps the logs") from error
    if once:
        sys.exit(0 if outcome is not None and outcome.is_agreed else FAILED)
