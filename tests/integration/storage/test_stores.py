"""The stores of one home, checked against one another, and killed in the middle of writing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import plyvel
import pytest

from consensus.types import Epoch, Height
from node.errors import ConfigError, StorageError
from node.storage import keys, vote_log
from node.storage.chain import ChainWrite
from node.storage.errors import DamagedStoreError
from node.storage.execution import execute_next
from node.storage.stores import StorePaths, create_stores, open_stores, renew_chain
from node.storage.vote_log import create_vote_log
from node.storage.vote_records import LoggedState
from node.wire.logged import Loss
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


def test_a_vote_log_that_went_back_in_time_is_lost(paths: StorePaths, tmp_path: Path) -> None:
    """An older copy is intact in itself; the chain knows how long it was (docs/protocol.md, Durability)."""
    write_group(paths)
    shutil.copytree(paths.votes, tmp_path / "older")
    write_group(paths)
    write_group(paths)
    shutil.rmtree(paths.votes)
    shutil.copytree(tmp_path / "older", paths.votes)
    stores = open_stores(paths, GENESIS, public_key=KEY)
    assert stores.lost is not None
    assert "older copy" in stores.lost.why
    assert stores.logged.loss == Loss(Epoch(0))
    stores.close()


def flip_a_bit(paths: StorePaths) -> None:
    path = next(iter(paths.votes.iterdir()))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("how", ["missing", "empty", "damaged", "older copy"])
def test_a_lost_vote_log_is_set_aside_and_the_new_one_says_so_for_ever(
    paths: StorePaths, tmp_path: Path, how: str
) -> None:
    """Nothing is deleted; no restart, no further loss and no new segment makes the node forget that it has lost one."""
    shutil.copytree(paths.votes, tmp_path / "older")
    write_group(paths)
    before = sorted(path.read_bytes() for path in paths.votes.iterdir())
    match how:
        case "missing":
            shutil.rmtree(paths.votes)
        case "empty":
            shutil.rmtree(paths.votes)
            paths.votes.mkdir()
        case "damaged":
            flip_a_bit(paths)
            before = sorted(path.read_bytes() for path in paths.votes.iterdir())
        case _:
            write_group(paths)
            shutil.rmtree(paths.votes)
            shutil.copytree(tmp_path / "older", paths.votes)
            before = sorted(path.read_bytes() for path in paths.votes.iterdir())
    for number in range(3):
        stores = open_stores(paths, GENESIS, public_key=KEY)
        assert (stores.lost is not None) == (number == 0)
        if stores.lost is not None:
            assert (stores.lost.kept is None) == (how == "missing")
            if stores.lost.kept is not None:
                assert stores.lost.kept.name == "votes.damaged-1"
                kept = sorted(path.read_bytes() for path in stores.lost.kept.iterdir())
                assert kept == ([] if how == "empty" else before)
        assert stores.logged.votes == () or number == 2
        assert stores.logged.loss == Loss(Epoch(0))
        stores.vote_log.append(build_vote(7))
        stores.vote_log.sync()
        stores.chain.commit(ChainWrite(), stores.vote_log.position)
        stores.close()
        if number == 0:
            # The new log is lost as well: it is found out all the same.
            shutil.rmtree(paths.votes)
            again = open_stores(paths, GENESIS, public_key=KEY)
            assert again.lost is not None
            again.close()


def test_what_the_new_log_of_a_lost_one_promises_is_checked_like_any(paths: StorePaths, tmp_path: Path) -> None:
    """It begins beyond the lost one, so the chain's marks tell them apart."""
    write_group(paths)
    shutil.rmtree(paths.votes)
    open_stores(paths, GENESIS, public_key=KEY).close()
    shutil.copytree(paths.votes, tmp_path / "older")
    write_group(paths)
    write_group(paths)
    stores = open_stores(paths, GENESIS, public_key=KEY)
    assert stores.lost is None
    assert stores.chain.log_position().segment == 2
    stores.close()
    shutil.rmtree(paths.votes)
    shutil.copytree(tmp_path / "older", paths.votes)
    stores = open_stores(paths, GENESIS, public_key=KEY)
    assert stores.lost is not None
    stores.close()


def test_a_home_whose_data_are_gone_begins_empty_and_has_lost_its_votes(paths: StorePaths) -> None:
    """A deleted data folder, or a new machine with the old key."""
    write_group(paths)
    shutil.rmtree(paths.chain.parent)
    stores = open_stores(paths, GENESIS, public_key=KEY)
    assert (stores.chain.final_height, stores.index.height) == (0, 0)
    assert stores.logged.loss == Loss(Epoch(0))
    assert stores.lost is not None
    assert stores.lost.kept is None
    stores.close()


def test_a_missing_chain_beside_votes_is_refused(paths: StorePaths) -> None:
    """The operator says whether it is to be taken anew: what this node accepted may be lost with it."""
    shutil.rmtree(paths.chain)
    with pytest.raises(StorageError, match="lotvine refetch"):
        open_stores(paths, GENESIS, public_key=KEY)


def test_a_log_that_was_born_with_another_key_is_no_older_copy(paths: StorePaths) -> None:
    """A rotated key comes with its own log; the chain's marks are of the old one."""
    write_group(paths)
    write_group(paths)
    key = build_key("next key of firm-0").public_key
    shutil.rmtree(paths.votes)
    create_vote_log(paths.votes, network_id=GENESIS.network_id, public_key=key)
    stores = open_stores(paths, GENESIS, public_key=key)
    assert stores.lost is None
    assert stores.logged == LoggedState()
    stores.close()


def test_a_log_that_may_not_be_read_is_not_a_lost_one(paths: StorePaths, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk's word is handed on: it may be there again after a repair."""

    def refuse(*_: object) -> int:
        raise PermissionError("not allowed")

    monkeypatch.setattr(vote_log.os, "open", refuse)  # type: ignore[attr-defined]  # The module's os.
    with pytest.raises(StorageError, match="who may read it"):
        vote_log.open_vote_log(paths.votes, network_id=GENESIS.network_id, public_key=KEY)
    monkeypatch.undo()
    assert sorted(path.name for path in paths.votes.parent.iterdir()) == ["chain", "index", "votes"]


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
    """Two processes with one home would write over each other."""
    stores = open_stores(paths, GENESIS, public_key=KEY)
    with pytest.raises(ConfigError, match="another process"):
        renew_chain(paths, GENESIS, public_key=KEY)
    stores.close()


def test_a_renewed_chain_keeps_what_is_left_of_a_lost_vote_log(paths: StorePaths) -> None:
    """One way out, whatever else is damaged."""
    write_group(paths)
    flip_a_bit(paths)
    kept = renew_chain(paths, GENESIS, public_key=KEY)
    assert [folder.name for folder in kept] == ["votes.damaged-1", "index.damaged-1", "chain.damaged-1"]
    stores = open_stores(paths, GENESIS, public_key=KEY)
    assert stores.logged.loss == Loss(Epoch(0))
    stores.close()


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
