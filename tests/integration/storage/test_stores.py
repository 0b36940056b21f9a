"""The stores of one home, checked against one another, and killed in the middle of writing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import plyvel
import pytest

from consensus.types import Height
from node.errors import ConfigError, StorageError
from node.storage import keys
from node.storage.chain import ChainWrite
from node.storage.errors import DamagedStoreError, DamagedVoteLogError
from node.storage.execution import execute_next
from node.storage.stores import StorePaths, create_stores, open_stores, renew_chain
from tests.support.captures import build_capture, object_event
from tests.support.chains import ChainBuilder, final_write
from tests.support.networks import ZERO, build_batch, build_genesis, build_key
from tests.support.records import build_vote

GENESIS = build_genesis()
KEY = build_key("firm-0").public_key


@pytest.fixture
def paths(tmp_path: Path) -> StorePaths:
    paths = StorePaths(tmp_path / "data" / "chain", tmp_path / "data" / "index", tmp_path / "data" / "votes")
    create_stores(paths, GENESIS, public_key=KEY)
    return paths


def write_group(paths: StorePaths, *, execute: bool = True) -> None:
    """One block, executed, with a vote: as the engine writes a group."""
    stores = open_stores(paths, GENESIS, public_key=KEY)
    builder = ChainBuilder(GENESIS)
    for number in range(stores.chain.final_height):
        block = stores.chain.find_final_block(Height(number + 1))
        assert block is not None
        builder.height, builder.digest = block.header.height, block.header.digest()
        builder.time_ms = block.header.timestamp_ms
    tips = stores.chain.final_tips()
    batch = build_batch(
        GENESIS,
        build_capture(GENESIS, object_event("A"), nonce=builder.height),
        seq=tips[0].seq + 1 if tips else 0,
        previous=tips[0].digest if tips else ZERO,
    )
    block = builder.build_block(batch)
    stores.chain.commit(final_write(block, [batch]), stores.vote_log.position)
    stores.vote_log.append(build_vote(block.header.view))
    stores.vote_log.append_chain_mark(stores.chain.commits)
    stores.vote_log.sync()
    if execute:
        execute_next(stores.chain, stores.index, block)
    stores.close()


def test_new_stores_open_empty(paths: StorePaths) -> None:
    """Nothing voted, nothing final, nothing executed."""
    stores = open_stores(paths, GENESIS, public_key=KEY)
    assert (stores.chain.final_height, stores.index.height, stores.logged.votes) == (0, 0, ())
    stores.close()


def test_stores_are_created_only_once(paths: StorePaths) -> None:
    """An empty vote log never takes the place of another."""
    with pytest.raises(FileExistsError):
        create_stores(paths, GENESIS, public_key=KEY)


def test_an_index_behind_the_chain_is_no_damage(paths: StorePaths) -> None:
    """It is caught up: execution follows finality (T-25)."""
    write_group(paths)
    write_group(paths, execute=False)
    stores = open_stores(paths, GENESIS, public_key=KEY)
    assert (stores.chain.final_height, stores.index.height) == (2, 1)
    stores.close()


def test_an_index_ahead_of_the_chain_means_that_the_chain_lost_blocks(paths: StorePaths, tmp_path: Path) -> None:
    """Only what was final and durable is executed (T-25)."""
    write_group(paths)
    shutil.copytree(paths.chain, tmp_path / "older")
    write_group(paths)
    shutil.rmtree(paths.chain)
    shutil.copytree(tmp_path / "older", paths.chain)
    raw = plyvel.DB(str(paths.chain))
    raw.put(keys.COMMITS_MARK, keys.u64(99))
    raw.close()
    with pytest.raises(DamagedStoreError, match="block 2 was executed"):
        open_stores(paths, GENESIS, public_key=KEY)


def test_a_chain_that_went_back_in_time_is_found_out(paths: StorePaths, tmp_path: Path) -> None:
    """The vote log knows how many writes there were."""
    write_group(paths, execute=False)
    shutil.copytree(paths.chain, tmp_path / "older")
    write_group(paths, execute=False)
    shutil.rmtree(paths.chain)
    shutil.copytree(tmp_path / "older", paths.chain)
    with pytest.raises(DamagedStoreError, match="1 writes of 2"):
        open_stores(paths, GENESIS, public_key=KEY)


def test_a_vote_log_that_went_back_in_time_is_found_out(paths: StorePaths, tmp_path: Path) -> None:
    """An older copy is intact in itself; the chain knows how long it was (docs/protocol.md, Durability)."""
    write_group(paths)
    shutil.copytree(paths.votes, tmp_path / "older")
    write_group(paths)
    write_group(paths)
    shutil.rmtree(paths.votes)
    shutil.copytree(tmp_path / "older", paths.votes)
    with pytest.raises(DamagedVoteLogError, match="older copy"):
        open_stores(paths, GENESIS, public_key=KEY)


def test_an_index_of_another_chain_is_to_be_built_anew(paths: StorePaths) -> None:
    """Its newest block is not the one that is final here."""
    write_group(paths)
    raw = plyvel.DB(str(paths.index))
    key = keys.executed_key(Height(1))
    value = bytearray(raw.get(key))
    value[5] ^= 1
    raw.put(key, bytes(value))
    raw.close()
    with pytest.raises(StorageError, match="lotvine reindex"):
        open_stores(paths, GENESIS, public_key=KEY)


def test_a_failed_opening_leaves_nothing_locked(paths: StorePaths) -> None:
    """So that the way out can be taken in the same shell."""
    shutil.rmtree(paths.index)
    for _ in range(2):
        with pytest.raises(StorageError, match="lotvine reindex"):
            open_stores(paths, GENESIS, public_key=KEY)


def test_a_renewed_chain_begins_empty_and_keeps_the_votes(paths: StorePaths) -> None:
    """Twice even: nothing that is set aside is written over."""
    write_group(paths)
    for number in (1, 2):
        kept = renew_chain(paths, GENESIS, public_key=KEY)
        assert [folder.name for folder in kept] == [f"index.damaged-{number}", f"chain.damaged-{number}"]
        stores = open_stores(paths, GENESIS, public_key=KEY)
        assert (stores.chain.final_height, stores.index.height, len(stores.logged.votes)) == (0, 0, 1)
        stores.close()


def test_a_running_nodes_chain_is_not_renewed(paths: StorePaths) -> None:
    """Nor one whose votes are lost."""
    stores = open_stores(paths, GENESIS, public_key=KEY)
    with pytest.raises(ConfigError, match="another process"):
        renew_chain(paths, GENESIS, public_key=KEY)
    stores.close()
    shutil.rmtree(paths.votes)
    with pytest.raises(DamagedVoteLogError):
        renew_chain(paths, GENESIS, public_key=KEY)
    assert paths.chain.exists()


def test_a_second_process_is_told_that_the_home_is_in_use(paths: StorePaths) -> None:
    """Exit code 2, before anything is read."""
    stores = open_stores(paths, GENESIS, public_key=KEY)
    with pytest.raises(ConfigError, match="another process"):
        open_stores(paths, GENESIS, public_key=KEY)
    stores.close()


_WRITER = """
import os, sys, threading, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tests.integration.storage.test_stores import GENESIS, KEY
from tests.support.captures import build_capture, object_event
from tests.support.chains import ChainBuilder, final_write
from tests.support.networks import build_batch
from tests.support.records import build_vote
from consensus.types import Digest
from node.storage.execution import execute_next
from node.storage.stores import StorePaths, open_stores

data = Path(sys.argv[1])
stores = open_stores(StorePaths(data / "chain", data / "index", data / "votes"), GENESIS, public_key=KEY)
builder, previous = ChainBuilder(GENESIS), Digest(bytes(32))
threading.Thread(target=lambda: (time.sleep(float(sys.argv[3])), os._exit(9)), daemon=True).start()
for number in range(100_000):
    batch = build_batch(
        GENESIS, build_capture(GENESIS, object_event(f"A{number}"), nonce=number), seq=number, previous=previous
    )
    previous = batch.digest
    block = builder.build_block(batch)
    stores.chain.commit(final_write(block, [batch]), stores.vote_log.position)
    stores.vote_log.append(build_vote(block.header.view % 2**20))
    stores.vote_log.append_chain_mark(stores.chain.commits)
    stores.vote_log.sync()
    print(block.header.height, flush=True)
    execute_next(stores.chain, stores.index, block)
    print("executed", block.header.height, flush=True)
"""


@pytest.mark.parametrize("seconds", [0.05, 0.12, 0.21, 0.33])
def test_a_process_killed_while_writing_loses_nothing_that_it_told(paths: StorePaths, seconds: float) -> None:
    """Whatever was printed after its write is there, the stores agree, and the index can be caught up."""
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", _WRITER, str(paths.chain.parent), str(root), str(seconds)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert done.returncode == 9, done.stderr
    lines = done.stdout.splitlines()
    final = max((int(line) for line in lines if line.isdecimal()), default=0)
    executed = max((int(line.split()[1]) for line in lines if line.startswith("executed ")), default=0)
    stores = open_stores(paths, GENESIS, public_key=KEY)
    assert stores.chain.final_height in (final, final + 1)
    assert stores.index.height in (executed, executed + 1)
    assert len(stores.logged.votes) in (final, final + 1)
    for number in range(stores.index.height + 1, stores.chain.final_height + 1):
        block = stores.chain.find_final_block(Height(number))
        assert block is not None
        execute_next(stores.chain, stores.index, block)
    stores.chain.commit(ChainWrite(), stores.vote_log.position)
    stores.close()
