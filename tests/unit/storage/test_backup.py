"""A chain as a file: row for row the same, and any damage is found."""

import io
import struct
from pathlib import Path

import pytest

from node.ledger.genesis import Genesis
from node.storage.backup import BackupError, restore_chain, write_chain
from node.storage.chain import create_chain, open_chain
from node.storage.vote_records import START_POSITION
from tests.support.chains import ChainBuilder
from tests.support.networks import build_batch, build_genesis, build_transaction


@pytest.fixture
def genesis() -> Genesis:
    return build_genesis(validators=1)


@pytest.fixture
def written(tmp_path: Path, genesis: Genesis) -> bytes:
    create_chain(tmp_path / "chain", genesis)
    chain = open_chain(tmp_path / "chain", genesis)
    ChainBuilder(genesis).finalize(chain, build_batch(genesis, build_transaction(genesis)))
    target = io.BytesIO()
    assert write_chain(chain, target) == len(target.getvalue())
    chain.close()
    return target.getvalue()


def test_a_chain_comes_back_row_for_row(tmp_path: Path, genesis: Genesis, written: bytes) -> None:
    """But for the marks of its writes: how far a lost vote log was says nothing about the next one."""
    restored = restore_chain(io.BytesIO(written), tmp_path / "new", genesis)
    before = open_chain(tmp_path / "chain", genesis)
    try:
        differing = {
            key for (key, value), other in zip(before.rows(), restored.rows(), strict=True) if other != (key, value)
        }
        assert len(differing) == 1
        assert restored.commits == before.commits + 1
        assert restored.final_digest == before.final_digest
        assert restored.log_position() == START_POSITION
    finally:
        before.close()
        restored.close()


@pytest.mark.parametrize("cut", [0, 5, 16, 19, 40, -1, -33])
def test_a_file_that_was_cut_short_is_refused(tmp_path: Path, genesis: Genesis, written: bytes, cut: int) -> None:
    """Wherever it ends."""
    with pytest.raises(BackupError):
        restore_chain(io.BytesIO(written[:cut]), tmp_path / "new", genesis)


def test_a_flipped_bit_is_found(tmp_path: Path, genesis: Genesis, written: bytes) -> None:
    """By the digest over all parts, if by nothing before it."""
    for place in (3, 18, 60, len(written) - 40):
        altered = bytearray(written)
        altered[place] ^= 1
        with pytest.raises(BackupError):
            restore_chain(io.BytesIO(altered), tmp_path / f"new-{place}", genesis)


def test_a_length_that_no_part_has_takes_no_memory(tmp_path: Path, genesis: Genesis, written: bytes) -> None:
    """Checked before anything is read for it."""
    altered = written[:16] + struct.pack(">I", 0xFFFF_FFFF) + written[20:]
    with pytest.raises(BackupError, match="a part of 4294967295 bytes"):
        restore_chain(io.BytesIO(altered), tmp_path / "new", genesis)


@pytest.mark.parametrize("part", [b"\0\0\0\1", struct.pack(">II", 5, 5) + b"abc"])
def test_a_row_without_an_end_is_refused(tmp_path: Path, genesis: Genesis, part: bytes) -> None:
    """A part whose lengths do not fit."""
    stream = b"lotvine chain\x00\x00\x01" + struct.pack(">I", len(part)) + part
    with pytest.raises(BackupError, match="without an end"):
        restore_chain(io.BytesIO(stream), tmp_path / "new", genesis)
