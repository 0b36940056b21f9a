"""The chain on a real LevelDB: what is final is there after a restart, what is damaged is refused."""

import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import plyvel
import pytest

from consensus.errors import InvariantError
from consensus.types import Digest, Height
from node.errors import ConfigError, StorageError
from node.ledger.batch import Batch
from node.ledger.genesis import Genesis
from node.storage import keys
from node.storage.chain import ChainStore, ChainWrite, create_chain, open_chain
from node.storage.errors import DamagedStoreError, MissingStoreError, UnknownSchemaError, WriteFailedError
from node.storage.vote_records import START_POSITION, LogPosition
from node.wire.ids import FeedId, FeedTip
from tests.support.chains import ChainBuilder, final_write
from tests.support.networks import build_batch, build_genesis, build_transaction

GENESIS = build_genesis()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_chain(tmp_path / "chain", GENESIS)
    return tmp_path / "chain"


@pytest.fixture
def chain(folder: Path) -> Iterator[ChainStore]:
    store = open_chain(folder, GENESIS)
    yield store
    store.close()


def build_feed(count: int, *, member: str = "firm-0", genesis: Genesis = GENESIS) -> list[Batch]:
    """A feed of `count` linked batches."""
    batches: list[Batch] = []
    for seq in range(count):
        transaction = build_transaction(genesis, member=member, nonce=seq)
        previous = batches[-1].digest if batches else Digest(bytes(32))
        batches.append(build_batch(genesis, transaction, member=member, seq=seq, previous=previous))
    return batches


def test_a_new_chain_stands_at_the_anchor(chain: ChainStore) -> None:
    """Height 0 is genesis, whose digest is the network id."""
    assert (chain.final_height, chain.final_digest) == (0, GENESIS.network_id)
    assert chain.frontier.size == 1
    assert chain.find_final_digest(Height(0)) == GENESIS.network_id
    assert chain.find_final_block(Height(0)) is None
    assert chain.find_certificate(Height(1)) is None
    assert (chain.feeds(), chain.final_tips(), chain.blocks_above(Height(0))) == ([], (), ())


def test_what_is_final_is_there_after_a_restart(folder: Path) -> None:
    """Blocks by height and digest, batches, tips, certificates and the frontier."""
    chain = open_chain(folder, GENESIS)
    builder = ChainBuilder(GENESIS)
    first, second = build_feed(2), build_feed(1, member="firm-1")
    blocks = [builder.finalize(chain, first[0]), builder.finalize(chain, first[1], second[0])]
    chain.close()
    chain = open_chain(folder, GENESIS)
    assert (chain.final_height, chain.final_digest) == (2, builder.digest)
    assert chain.frontier == builder.frontier
    assert [chain.find_final_block(Height(height)) for height in (1, 2, 3)] == [*blocks, None]
    assert chain.find_block(builder.digest) == blocks[1]
    assert chain.find_block(Digest(bytes(32))) is None
    assert chain.final_tips() == (first[1].tip, second[0].tip)
    assert [chain.find_batch(batch.tip) for batch in first] == [batch.encoded for batch in first]
    found = chain.find_certificate(Height(2))
    assert found is not None
    assert found.subject.digest == builder.digest
    assert chain.commits == 2
    chain.close()


def test_blocks_that_are_not_final_are_kept_by_height(chain: ChainStore) -> None:
    """Recovery hands them to the core, which may have voted for them."""
    builder, other = ChainBuilder(GENESIS), ChainBuilder(GENESIS)
    builder.finalize(chain)
    other.build_block(time_ms=1)
    rival, child = builder.build_block(), other.build_block(time_ms=2)
    chain.commit(ChainWrite(blocks=[rival, child]), START_POSITION)
    assert set(chain.blocks_above(Height(1))) == {rival, child}
    assert chain.final_height == 1


def test_stored_batches_above_a_tip_are_found_by_feed(chain: ChainStore) -> None:
    """Branches included: a forked feed has two batches at one seq."""
    batches = build_feed(3)
    fork = build_batch(GENESIS, build_transaction(GENESIS, nonce=99), seq=1, previous=batches[0].digest)
    others = build_feed(1, member="firm-2")
    chain.commit(ChainWrite(batches=[*batches, fork, *others]), START_POSITION)
    feed = batches[0].header.feed
    assert chain.feeds() == [feed, others[0].header.feed]
    assert [tip for tip, _ in chain.batches_above(feed, 0)] == sorted(
        [batches[1].tip, fork.tip, batches[2].tip], key=lambda tip: (tip.seq, tip.digest)
    )
    assert len(list(chain.batches_above(feed, -1))) == 4
    assert list(chain.batches_above(feed, 2)) == []


def test_a_block_covers_its_batches_in_cut_order(chain: ChainStore) -> None:
    """Feeds in cut order, each by seq, along the links from the tip: a fork's other branch is not in it."""
    first, second = build_feed(4), build_feed(2, member="firm-1")
    fork = build_batch(GENESIS, build_transaction(GENESIS, nonce=99), seq=1, previous=first[0].digest)
    builder = ChainBuilder(GENESIS)
    early = builder.finalize(chain, first[0])
    chain.commit(ChainWrite(batches=[fork]), START_POSITION)
    late = builder.finalize(chain, *first[1:], *second)
    before: dict[FeedId, FeedTip] = {}
    assert chain.covered_batches(early, before.get) == (first[0],)
    before[first[0].header.feed] = first[0].tip
    assert chain.covered_batches(late, before.get) == (*first[1:], *second)


def test_a_cut_that_does_not_stand_on_the_last_one_is_damage(chain: ChainStore) -> None:
    """A covered batch links back to the feed's tip before the block."""
    batches = build_feed(2)
    block = ChainBuilder(GENESIS).finalize(chain, *batches)
    stranger = build_batch(GENESIS, build_transaction(GENESIS, nonce=7), seq=0)
    with pytest.raises(DamagedStoreError, match="one chain"):
        chain.covered_batches(block, lambda _: stranger.tip)


def test_a_missing_batch_is_damage(chain: ChainStore) -> None:
    """What is final was durable before."""
    batches = build_feed(2)
    block = ChainBuilder(GENESIS).finalize(chain, batches[1])
    with pytest.raises(DamagedStoreError, match="missing"):
        chain.covered_batches(block, lambda _: None)


def test_final_blocks_come_in_order(chain: ChainStore) -> None:
    """A gap, a repetition or another parent is our own bug."""
    builder = ChainBuilder(GENESIS)
    first, second = builder.build_block(), builder.build_block()
    with pytest.raises(InvariantError):
        chain.commit(final_write(second), START_POSITION)
    chain.commit(final_write(first), START_POSITION)
    with pytest.raises(InvariantError):
        chain.commit(final_write(first), START_POSITION)
    rival = ChainBuilder(GENESIS)
    rival.build_block(time_ms=1)
    with pytest.raises(InvariantError):
        chain.commit(final_write(rival.build_block()), START_POSITION)


def test_the_chain_remembers_how_far_the_vote_log_was(chain: ChainStore) -> None:
    """A vote log that went back in time is found out by it."""
    assert chain.log_position() == START_POSITION
    chain.commit(ChainWrite(), LogPosition(3, 4711))
    assert chain.log_position() == LogPosition(3, 4711)


def write_blocks(folder: Path, count: int) -> None:
    chain = open_chain(folder, GENESIS)
    builder = ChainBuilder(GENESIS)
    for batch in build_feed(count):
        builder.finalize(chain, batch)
    chain.close()


def test_every_flipped_byte_of_a_log_is_refused_or_changes_nothing(folder: Path) -> None:
    """LevelDB's own log is read with checksums, and what it drops as a torn end is missed by the marks."""
    write_blocks(folder, 3)
    commits = 3
    copy = folder.parent / "copy"
    path = max(folder.glob("*.log"), key=lambda entry: entry.stat().st_size)
    data = path.read_bytes()
    for place in range(0, len(data), 41):
        shutil.copytree(folder, copy)
        damaged = bytearray(data)
        damaged[place] ^= 0x10
        (copy / path.name).write_bytes(damaged)
        try:
            chain = open_chain(copy, GENESIS)
        except StorageError:
            pass
        else:
            assert chain.commits < commits, f"byte {place}"
            chain.close()
        shutil.rmtree(copy)


def test_a_flipped_byte_of_a_table_is_refused_at_start(folder: Path) -> None:
    """Also in data that nobody asks for yet: a chain of this size is read whole."""
    write_blocks(folder, 20)
    raw = plyvel.DB(str(folder))
    raw.compact_range()
    raw.close()
    path = max(folder.glob("*.ldb"), key=lambda entry: entry.stat().st_size)
    data = path.read_bytes()
    for place in range(100, len(data) - 100, len(data) // 12):
        damaged = bytearray(data)
        damaged[place] ^= 0x04
        path.write_bytes(damaged)
        with pytest.raises(DamagedStoreError, match="lotvine refetch"):
            open_chain(folder, GENESIS)
    path.write_bytes(data)
    open_chain(folder, GENESIS).close()


@pytest.mark.parametrize("victim", ["CURRENT", "MANIFEST", "table"])
def test_a_missing_file_is_refused(folder: Path, victim: str) -> None:
    """LevelDB must not be let to begin anew over what is left."""
    write_blocks(folder, 5)
    raw = plyvel.DB(str(folder))
    raw.compact_range()
    raw.close()
    pattern = {"CURRENT": "CURRENT", "MANIFEST": "MANIFEST-*", "table": "*.ldb"}[victim]
    next(iter(folder.glob(pattern))).unlink()
    with pytest.raises(StorageError, match="lotvine refetch"):
        open_chain(folder, GENESIS)


@pytest.mark.parametrize("full_check_bytes", [0, 1 << 30])
def test_an_altered_block_is_refused_by_its_digest(folder: Path, full_check_bytes: int) -> None:
    """Checksums that are right do not make a block right: the tail is hashed at every start, at any size."""
    write_blocks(folder, 3)
    raw = plyvel.DB(str(folder))
    key = keys.block_key(Digest(raw.get(keys.final_key(Height(3)))))
    other = raw.get(keys.block_key(Digest(raw.get(keys.final_key(Height(2))))))
    raw.put(key, other)
    raw.close()
    with pytest.raises(DamagedStoreError, match="not the one"):
        open_chain(folder, GENESIS, full_check_bytes=full_check_bytes)


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (keys.certificate_key(Height(3)), "certificate"),
        (keys.HISTORY_MARK, "history"),
        (keys.COMMITS_MARK, "mark"),
        (keys.SCHEMA_MARK, "marks"),
    ],
)
def test_a_missing_row_of_the_tail_is_refused(folder: Path, key: bytes, why: str) -> None:
    """What recovery rests on is looked at first."""
    write_blocks(folder, 3)
    raw = plyvel.DB(str(folder))
    raw.delete(key)
    raw.close()
    with pytest.raises(DamagedStoreError, match=why):
        open_chain(folder, GENESIS)


def test_an_unknown_schema_is_refused_with_advice(folder: Path) -> None:
    """A store that another version wrote is not guessed at."""
    raw = plyvel.DB(str(folder))
    raw.put(keys.SCHEMA_MARK, keys.u64(99))
    raw.close()
    with pytest.raises(UnknownSchemaError, match="the version of lotvine that wrote it"):
        open_chain(folder, GENESIS)


def test_another_networks_chain_is_refused(folder: Path) -> None:
    """Genesis and data must be of one home."""
    with pytest.raises(UnknownSchemaError, match="genesis"):
        open_chain(folder, build_genesis(validators=7))


def test_a_missing_chain_is_not_created(tmp_path: Path) -> None:
    """Only a new home begins with an empty one."""
    with pytest.raises(MissingStoreError):
        open_chain(tmp_path / "chain", GENESIS)
    assert not (tmp_path / "chain").exists()


def test_a_chain_is_created_only_once(folder: Path) -> None:
    """An empty chain never takes the place of another."""
    with pytest.raises(StorageError, match="cannot create"):
        create_chain(folder, GENESIS)


def test_two_processes_cannot_share_a_chain(folder: Path, chain: ChainStore) -> None:
    """LevelDB belongs to one process."""
    with pytest.raises(ConfigError, match="in use"):
        open_chain(folder, GENESIS)


def test_a_write_that_fails_says_so_and_changes_nothing(folder: Path, chain: ChainStore) -> None:
    """A full disk: the error says what to look at, the process ends on it, the next one finds what was there."""
    log = max(folder.glob("*.log"), key=lambda entry: entry.stat().st_size)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + 200, hard))
    try:
        with pytest.raises(WriteFailedError, match="free space"):
            ChainBuilder(GENESIS).finalize(chain, *build_feed(1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (chain.final_height, chain.commits) == (0, 0)
    chain.close()
    chain = open_chain(folder, GENESIS)
    assert (chain.final_height, chain.commits) == (0, 0)
    chain.close()


def test_a_disk_that_refuses_to_open_is_no_damage(folder: Path) -> None:
    """The operator is sent to the disk, not to the other nodes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(StorageError, match="cannot be opened"):
            open_chain(folder, GENESIS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    open_chain(folder, GENESIS).close()
