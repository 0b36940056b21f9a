"""A backup holds all but the votes; a home made of it is whole, or is not made at all."""

import io
import json
import tarfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from consensus.types import Digest
from node.app.backup import BACKUP_FORMAT, CHAIN_ENTRY, MANIFEST_ENTRY
from node.app.identity import load_genesis_and_key, store_paths
from node.cli.entry import program
from node.config.home import Home, lock_home
from node.storage.chain import open_chain
from node.storage.execution import execute_next
from node.storage.index import open_index
from tests.support.chains import ChainBuilder
from tests.support.networks import build_batch, build_transaction
from tests.support.ports import free_base_port

BLOCKS = 5


def run(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(program, list(map(str, arguments)))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A stopped node of a network of one, with some blocks."""
    made = run("localnet", "create", tmp_path / "net", "--validators", "1", "--base-port", str(free_base_port()))
    assert made.exit_code == 0, made.output
    home = Home(tmp_path / "net" / "node-0")
    genesis, _ = load_genesis_and_key(home)
    chain = open_chain(store_paths(home).chain, genesis)
    index = open_index(store_paths(home).index, genesis)
    builder, previous = ChainBuilder(genesis), Digest(bytes(32))
    for seq in range(BLOCKS):
        signed = build_transaction(genesis, member="node-0", nonce=seq)
        batch = build_batch(genesis, signed, member="node-0", seq=seq, previous=previous)
        previous = batch.digest
        execute_next(chain, index, builder.finalize(chain, batch))
    index.close()
    chain.close()
    return home


def back_up(home: Home, target: Path) -> Path:
    result = run("backup", "--home", home.root, "--to", target)
    assert result.exit_code == 0, result.output
    return target


def digest_of(home: Home) -> tuple[int, bytes]:
    genesis, _ = load_genesis_and_key(home)
    index = open_index(store_paths(home).index, genesis)
    try:
        return index.height, index.state_digest
    finally:
        index.close()


def test_a_restored_home_has_everything_but_the_votes(home: Home, tmp_path: Path) -> None:
    """The same key, settings, chain and state; no vote log, so that it asks before it votes (docs/protocol.md)."""
    backup = back_up(home, tmp_path / "backup.tar")
    assert backup.stat().st_mode & 0o777 == 0o600
    assert list(home.backups.iterdir()) == []
    result = run("restore", backup, "--home", tmp_path / "new", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["height"] == BLOCKS
    new = Home(tmp_path / "new")
    for path in ("keys/node.key", "keys/actor.key", "config/genesis.json", "config/node.toml"):
        assert (new.root / path).read_bytes() == (home.root / path).read_bytes()
    assert new.node_key.stat().st_mode & 0o777 == 0o600
    assert not new.votes.exists()
    assert {path.name for path in new.data.iterdir()} == {"chain", "index"}
    assert digest_of(new) == digest_of(home)
    assert "two would vote against each other" in run("restore", backup, "--home", tmp_path / "other").stdout


def test_a_next_key_that_waits_is_backed_up_too(home: Home, tmp_path: Path) -> None:
    """It may come into force before the backup is needed."""
    home.next_node_key.write_text("ab" * 32 + "\n", encoding="ascii")
    backup = back_up(home, tmp_path / "backup.tar")
    assert run("restore", backup, "--home", tmp_path / "new").exit_code == 0
    assert Home(tmp_path / "new").next_node_key.read_bytes() == home.next_node_key.read_bytes()


def test_nothing_is_overwritten(home: Home, tmp_path: Path) -> None:
    """Neither a file nor a home."""
    target = tmp_path / "backup.tar"
    target.write_text("precious", encoding="ascii")
    result = run("backup", "--home", home.root, "--to", target)
    assert (result.exit_code, target.read_text(encoding="ascii")) == (2, "precious")
    backup = back_up(home, tmp_path / "other.tar")
    result = run("restore", backup, "--home", home.root)
    assert (result.exit_code, "nothing was changed" in result.stderr) == (2, True)


def test_a_home_that_another_process_holds_is_not_read(home: Home, tmp_path: Path) -> None:
    """A node that runs, and does not answer."""
    with lock_home(home):
        result = run("backup", "--home", home.root, "--to", tmp_path / "backup.tar")
    assert (result.exit_code, "in use by another process" in result.stderr) == (2, True)
    assert not (tmp_path / "backup.tar").exists()


def test_a_target_that_cannot_be_written_is_named(home: Home, tmp_path: Path) -> None:
    """By the system's words."""
    result = run("backup", "--home", home.root, "--to", tmp_path / "absent" / "backup.tar")
    assert (result.exit_code, "cannot write" in result.stderr) == (2, True)


def alter(backup: Path, name: str, content: bytes | None) -> Path:
    """The backup with one entry of another content, or without it."""
    altered = backup.with_name("altered.tar")
    with tarfile.open(backup) as source, tarfile.open(altered, "w") as target:
        for entry in source.getmembers():
            data = source.extractfile(entry)
            assert data is not None
            payload = data.read()
            if entry.name == name:
                if content is None:
                    continue
                payload = content
                entry.size = len(payload)
            target.addfile(entry, io.BytesIO(payload))
    return altered


def entry_of(backup: Path, name: str) -> bytes:
    with tarfile.open(backup) as archive:
        file = archive.extractfile(name)
        assert file is not None
        return file.read()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("keys/node.key", b"00" * 32, "not as the backup's manifest says: keys/node.key"),
        ("keys/node.key", None, "the backup has no keys/node.key"),
        (CHAIN_ENTRY, None, "the backup has no chain.rows"),
        (CHAIN_ENTRY, b"short", "not as the backup's manifest says: chain.rows"),
        (MANIFEST_ENTRY, None, "it was cut short"),
        (MANIFEST_ENTRY, b"{", "manifest cannot be read"),
    ],
)
def test_a_backup_that_is_not_what_was_written_makes_no_home(
    home: Home, tmp_path: Path, name: str, content: bytes | None, words: str
) -> None:
    """Nothing is left that could be started."""
    altered = alter(back_up(home, tmp_path / "backup.tar"), name, content)
    result = run("restore", altered, "--home", tmp_path / "new")
    assert (result.exit_code, (tmp_path / "new").exists()) == (1, False)
    assert words in result.stderr


def test_a_backup_of_another_format_is_refused(home: Home, tmp_path: Path) -> None:
    """By its number."""
    backup = back_up(home, tmp_path / "backup.tar")
    manifest = json.loads(entry_of(backup, MANIFEST_ENTRY)) | {"format": BACKUP_FORMAT + 1}
    altered = alter(backup, MANIFEST_ENTRY, json.dumps(manifest).encode())
    result = run("restore", altered, "--home", tmp_path / "new")
    assert (result.exit_code, f"format {BACKUP_FORMAT + 1}" in result.stderr) == (1, True)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    """Exit code 2: another file was meant."""
    for name, content in (("text", b"nonsense" * 200), ("empty", b"")):
        path = tmp_path / name
        path.write_bytes(content)
        result = run("restore", path, "--home", tmp_path / "new")
        assert (result.exit_code, (tmp_path / "new").exists()) == (2, False), name
    assert run("restore", tmp_path / "absent", "--home", tmp_path / "new").exit_code == 2


def test_an_entry_that_leads_elsewhere_is_not_followed(home: Home, tmp_path: Path) -> None:
    """A link in place of a key would read whatever it names."""
    backup = back_up(home, tmp_path / "backup.tar")
    evil = tmp_path / "evil.tar"
    with tarfile.open(evil, "w") as target:
        link = tarfile.TarInfo("config/genesis.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        target.addfile(link)
    result = run("restore", evil, "--home", tmp_path / "new")
    assert (result.exit_code, "is no file of this kind" in result.stderr) == (1, True)
    assert backup.exists()
