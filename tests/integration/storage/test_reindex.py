"""An index built anew equals the one that grew block by block: all keys and values, in order."""

import errno
import os
from pathlib import Path

import plyvel
import pytest

from consensus.types import Digest, Height
from node.errors import StorageError
from node.storage import keys
from node.storage.chain import ChainStore, create_chain, open_chain
from node.storage.errors import DamagedStoreError
from node.storage.execution import execute_next
from node.storage.index import create_index, open_index
from node.storage.originals import find_original
from node.storage.reindex import reindex
from tests.support.captures import build_capture, object_event, transformation_event
from tests.support.chains import ChainBuilder
from tests.support.networks import build_batch, build_genesis

GENESIS = build_genesis()


def grow(chain: ChainStore, blocks: int) -> list[Digest]:
    """Blocks of two feeds, with repeated events, repeated transactions and unreadable ones; returns all ids."""
    builder = ChainBuilder(GENESIS)
    previous = {member: Digest(bytes(32)) for member in ("firm-0", "firm-1")}
    seqs = dict.fromkeys(previous, 0)
    ids: list[Digest] = []
    for number in range(blocks):
        batches = []
        for member in previous:
            signed = [
                build_capture(
                    GENESIS,
                    object_event(f"L{number % 7}", hour=number % 24),
                    transformation_event([f"L{number % 7}"], [f"M{number}"]),
                    b"nonsense",
                    member=member,
                    nonce=number,
                ),
                build_capture(GENESIS, object_event("L0"), member=member, nonce=number // 2 + 10_000),
            ]
            batch = build_batch(GENESIS, *signed, member=member, seq=seqs[member], previous=previous[member])
            previous[member], seqs[member] = batch.digest, seqs[member] + 1
            batches.append(batch)
            ids.extend(entry.id for entry in signed)
        builder.finalize(chain, *batches)
    return ids


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A chain of 40 blocks and the index that grew with it."""
    create_chain(tmp_path / "chain", GENESIS)
    create_index(tmp_path / "index", GENESIS)
    chain, index = open_chain(tmp_path / "chain", GENESIS), open_index(tmp_path / "index", GENESIS)
    grow(chain, 40)
    for number in range(1, 41):
        block = chain.find_final_block(Height(number))
        assert block is not None
        execute_next(chain, index, block)
        if number in (3, 20):
            # A restart in between leaves no trace.
            index.close()
            index = open_index(tmp_path / "index", GENESIS)
    index.close()
    chain.close()
    return tmp_path


def read_rows(folder: Path) -> list[tuple[bytes, bytes]]:
    index = open_index(folder, GENESIS)
    rows = list(index.rows())
    index.close()
    return rows


def test_the_rebuilt_index_equals_the_one_that_grew(data: Path) -> None:
    """All keys and values in order: the index is derived, never the truth."""
    grown = read_rows(data / "index")
    chain = open_chain(data / "chain", GENESIS)
    heights: list[int] = []
    built = reindex(chain, data / "index", GENESIS, on_block=heights.append)
    chain.close()
    assert read_rows(data / "index") == grown
    assert heights == list(range(1, 41))
    assert (built.height, built.transactions) == (40, 160)
    assert built.events > 30
    assert sorted(entry.name for entry in data.iterdir()) == ["chain", "index"]


def test_an_interrupted_rebuild_is_begun_anew(data: Path) -> None:
    """What a killed run left is thrown away; a missing index is no obstacle."""
    grown = read_rows(data / "index")
    (data / "index").rename(data / "index.new")
    (data / "index.new" / "CURRENT").write_text("nonsense")
    chain = open_chain(data / "chain", GENESIS)
    reindex(chain, data / "index", GENESIS)
    chain.close()
    assert read_rows(data / "index") == grown


def test_a_damaged_chain_leaves_the_old_index_alone(data: Path) -> None:
    """Nothing takes its place before it is whole."""
    grown = read_rows(data / "index")
    raw = plyvel.DB(str(data / "chain"))
    raw.delete(keys.final_key(Height(5)))
    raw.close()
    chain = open_chain(data / "chain", GENESIS, full_check_bytes=0)
    with pytest.raises(DamagedStoreError, match="block 5 is missing"):
        reindex(chain, data / "index", GENESIS)
    chain.close()
    assert read_rows(data / "index") == grown


def test_a_disk_that_refuses_is_said_so(data: Path) -> None:
    """The old index is still there."""
    grown = read_rows(data / "index")
    chain = open_chain(data / "chain", GENESIS)
    (data / "index.old").write_text("in the way")
    (data / "index.old").chmod(0)
    with pytest.raises(StorageError, match="cannot build the index"):
        reindex(chain, data / "index", GENESIS)
    chain.close()
    assert read_rows(data / "index") == grown


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_a_rebuild_that_finds_no_file_left_to_open_points_to_the_limit_and_not_to_the_disk(
    data: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Who looks for free space then looks in the wrong place."""
    chain = open_chain(data / "chain", GENESIS)

    def refuse(folder: Path, target: Path) -> Path:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(StorageError, match="raise its limit") as raised:
        reindex(chain, data / "index", GENESIS)
    chain.close()
    assert "free space" not in str(raised.value)


def test_every_transaction_is_read_back_as_it_was_signed(data: Path, tmp_path: Path) -> None:
    """The chain keeps the original losslessly; the index says where."""
    create_chain(tmp_path / "other", GENESIS)
    other = open_chain(tmp_path / "other", GENESIS)
    ids = grow(other, 40)
    other.close()
    chain, index = open_chain(data / "chain", GENESIS), open_index(data / "index", GENESIS)
    with index.reader() as reader:
        for transaction_id in ids:
            original = find_original(chain, reader, transaction_id)
            assert original is not None
            assert original.id == transaction_id
        assert find_original(chain, reader, Digest(bytes(32))) is None
    index.close()
    chain.close()


def test_an_original_that_is_not_there_is_damage(data: Path) -> None:
    """The index vouches for it."""
    index = open_index(data / "index", GENESIS)
    create_chain(data / "empty", GENESIS)
    empty = open_chain(data / "empty", GENESIS)
    with index.reader() as reader:
        event = next(reader.iterate_events())
        with pytest.raises(DamagedStoreError, match="missing"):
            find_original(empty, reader, event.transaction_id)
    empty.close()
    index.close()
