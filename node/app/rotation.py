"""Replacing the node key of a home: the next key waits beside the present one until the epoch begins that holds it.

The next key and its empty vote log are made in one step, before anybody hears of the key: so its log is born with it
and may vote from the first view of its first epoch. When that epoch begins, the node that runs ends its life with the
old key and takes up the new one (`adopt_next_key`); the old one is erased.

Each step can be cut off anywhere. What lies in the home tells how far it came:

    keys/node.key.next   a next key waits
    data/votes.next      its log; made before it, so one without a key is of a key that nobody has heard of
    data/votes.former    adopting has begun; goes last
    keys/node.key.former the old key, about to be erased

Source: docs/protocol.md, "Rejoin" and "Governance": a key and its empty log are made in one step.
"""

import os
import shutil
from pathlib import Path

from node.app.identity import store_paths
from node.config.home import Home
from node.crypto.keys import SigningKey, generate_key, load_key, store_key
from node.errors import ConfigError
from node.ledger.genesis import Genesis
from node.storage.vote_log import create_vote_log


def prepare_next_key(home: Home, genesis: Genesis) -> SigningKey:
    """Return the next key of a home, made now with its vote log unless one waits already. Raises ConfigError."""
    waiting = find_next_key(home)
    if waiting is not None:
        return waiting
    key = generate_key()
    unfinished = home.next_node_key.with_suffix(".making")
    try:
        # A log without its key is what a crash between the two lines below left: nobody has heard of that key.
        _remove_folder(_next_votes(home))
        create_vote_log(_next_votes(home), network_id=genesis.network_id, public_key=key.public_key)
        unfinished.unlink(missing_ok=True)
        store_key(unfinished, key)
        # Half a key file would keep the node from starting.
        unfinished.rename(home.next_node_key)
        _sync_folder(home.keys)
    except OSError as error:
        raise ConfigError([f"cannot write the next key into {home.root}: {error}"]) from error
    return key


def find_next_key(home: Home) -> SigningKey | None:
    """Return the next key if one waits. Raises ConfigError if its file is not as it should be."""
    return load_key(home.next_node_key) if home.next_node_key.exists() else None


def discard_next_key(home: Home) -> bool:
    """Erase a next key that no proposal names any more; return whether there was one. Raises ConfigError."""
    was_there = home.next_node_key.exists()
    try:
        _erase(home.next_node_key)
        _remove_folder(_next_votes(home))
    except OSError as error:
        raise ConfigError([f"cannot erase the next key in {home.root}: {error}"]) from error
    return was_there


def adopt_next_key(home: Home) -> None:
    """Make the next key the node's own, with its log, and erase the old one. The stores are closed.

    # Safety: called once the epoch that holds the key is final and on disk. The log moves before the key: a new key
    # beside the old log is refused at start, never the other way round. Raises OSError.
    """
    votes = store_paths(home).votes
    if votes.exists():
        _remove_folder(_former_votes(home))
        votes.rename(_former_votes(home))
    else:
        # The log is lost as well: what marks that adopting has begun must be there all the same.
        _former_votes(home).mkdir(exist_ok=True)
    _sync_folder(home.data)
    finish_adopting(home)


def finish_adopting(home: Home) -> bool:
    """Go on with an adoption that was cut off; return whether there was one. Called before a home is opened."""
    if home.next_node_key.exists():
        # Cut off before the rename below: it is one file with the present key, which must not be overwritten yet.
        home.former_node_key.unlink(missing_ok=True)
    else:
        _erase(home.former_node_key)
    if not _former_votes(home).exists():
        return False
    votes, next_votes = store_paths(home).votes, _next_votes(home)
    if next_votes.exists() and not votes.exists():
        next_votes.rename(votes)
        _sync_folder(home.data)
    if home.next_node_key.exists():
        os.link(home.node_key, home.former_node_key)
        home.next_node_key.rename(home.node_key)
        _sync_folder(home.keys)
        _erase(home.former_node_key)
    _remove_folder(_former_votes(home))
    return True


def _next_votes(home: Home) -> Path:
    return home.votes.with_name(home.votes.name + ".next")


def _former_votes(home: Home) -> Path:
    return home.votes.with_name(home.votes.name + ".former")


def _erase(path: Path) -> None:
    """Overwrite and remove a key file. What a disk keeps of overwritten bytes is beyond us."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()
    _sync_folder(path.parent)


def _remove_folder(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
