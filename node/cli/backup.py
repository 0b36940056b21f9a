"""`lotvine backup`."""

import asyncio
import os
from pathlib import Path

import click
import msgspec

from consensus.types import Height
from node.api.client import UnreachableError, open_client
from node.api.schema.backup import BackupResult
from node.app.backup import BackedUp, assemble, export_stopped
from node.cli.options import home_option, json_option
from node.config.addresses import parse_address
from node.config.home import Home, find_home_problems
from node.config.loading import load_settings
from node.errors import ConfigError


@click.command("backup")
@click.option("--to", "target", type=click.Path(path_type=Path), required=True, help="The file to write.")
@home_option
@json_option
def command(target: Path, home: Path, *, as_json: bool) -> None:
    """Write keys, settings and chain of a node, running or stopped, into one file of mode 0600.

    The file holds the node's private keys. It leaves the vote log out: a node that is restored from it first asks the
    others what it has signed since.
    """
    at = Home(home)
    if problems := find_home_problems(at):
        raise ConfigError(problems)
    if target.exists():
        raise ConfigError([f"{target} is there already: choose another name, nothing was changed"])
    chain_file, height = _export(at)
    try:
        written = assemble(at, chain_file, height, target)
    finally:
        chain_file.unlink(missing_ok=True)
    _say(written, target, as_json=as_json)


def _export(home: Home) -> tuple[Path, Height]:
    """Have the running node write its chain, or write that of a stopped one."""
    settings = load_settings(home.settings, environment=os.environ, flags={}).settings

    async def ask() -> BackupResult:
        async with open_client(parse_address(settings.rpc.listen)) as client:
            return await client.call("backup.create", {}, BackupResult)

    try:
        result = asyncio.run(ask())
    except UnreachableError:
        target = home.backups / "chain.rows"
        home.backups.mkdir(mode=0o700, exist_ok=True)
        target.unlink(missing_ok=True)
        return target, export_stopped(home, target)
    path = Path(result.path)
    if path != (home.backups / "chain.rows").absolute() and path != home.backups / "chain.rows":
        raise ConfigError([f"the node at {settings.rpc.listen} is not the one of {home.root}: it wrote {path}"])
    return path, Height(result.height)


def _say(written: BackedUp, target: Path, *, as_json: bool) -> None:
    if as_json:
        answer = {"file": str(target), "height": written.height, "bytes": written.bytes}
        click.echo(msgspec.json.encode(answer).decode())
        return
    click.echo(f"{target}: {written.bytes} bytes, block {written.height} and below. It holds the private keys.")
    click.echo(f"Prove it:  lotvine restore {target} --home NEW-HOME   (start that home only if this one is lost)")
