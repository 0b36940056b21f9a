"""Governance on real stores: the state at each height, every epoch for ever, evidence, and where an epoch ends."""

from collections.abc import Callable, Iterator
from pathlib import Path

import plyvel
import pytest

from consensus.messages import FLAG_EPOCH_END
from consensus.types import ZERO_DIGEST, Epoch, Height
from node.engine.serving import read_range
from node.ledger.batch import Batch
from node.ledger.changes import Change, ChangeMember, RemoveMember
from node.ledger.evidence import pair_batches
from node.ledger.governance import Request, genesis_governance
from node.ledger.state import WriteSet
from node.ledger.transaction import Kind, SignedTransaction
from node.ledger.verdicts import TransactionCode
from node.storage import keys
from node.storage.chain import ChainStore, create_chain, open_chain
from node.storage.errors import DamagedStoreError
from node.storage.execution import execute_next
from node.storage.index import IndexReader, IndexStore, create_index, open_index
from node.storage.reindex import reindex
from node.wire.ids import MemberId
from tests.support.chains import ChainBuilder
from tests.support.networks import build_batch, build_genesis, build_transaction

GENESIS = build_genesis(validators=1, members=2)
FIRST, SECOND, THIRD = (MemberId(f"firm-{number}") for number in range(3))
NAME = ChangeMember(SECOND, "Other", "", "other:1")


class Stores:
    """A chain and the index that grows with it: one transaction of the lone validator a block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.chain: ChainStore = open_chain(folder / "chain", GENESIS)
        self.index: IndexStore = open_index(folder / "index", GENESIS)
        self.builder = ChainBuilder(GENESIS)
        self.batches: list[Batch] = []

    def close(self) -> None:
        self.index.close()
        self.chain.close()

    def reopen(self) -> None:
        """As after a restart."""
        self.close()
        self.chain = open_chain(self.folder / "chain", GENESIS)
        self.index = open_index(self.folder / "index", GENESIS)

    def _execute(self) -> WriteSet:
        block = self.chain.find_final_block(Height(self.index.height + 1))
        assert block is not None
        return execute_next(self.chain, self.index, block)

    def run(self, kind: Kind, payload: bytes = b"") -> tuple[SignedTransaction, WriteSet]:
        """Finalize and execute a block with one transaction, which is accepted."""
        seq = len(self.batches)
        signed = build_transaction(GENESIS, kind=kind, payload=payload, nonce=seq)
        previous = self.batches[-1].digest if seq else ZERO_DIGEST
        batch = build_batch(GENESIS, signed, seq=seq, previous=previous)
        self.batches.append(batch)
        with self.index.reader() as reader:
            epoch = reader.governance.roster.epoch
        self.builder.finalize(self.chain, batch, epoch=epoch)
        writes = self._execute()
        assert [row.code for row in writes.transactions] == [TransactionCode.ACCEPTED]
        return signed, writes

    def enact(self, change: Change) -> WriteSet:
        """Propose it, which the lone validator approves by that, and end the epoch."""
        _, decided = self.run(Kind.PROPOSE, Request((change,), "").encode())
        self.builder.finalize(
            self.chain,
            epoch=decided.governance.roster.epoch,
            executed_height=decided.height,
            flags=FLAG_EPOCH_END,
            next_epoch_digest=decided.governance.due_digest,
        )
        return self._execute()


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    create_chain(tmp_path / "chain", GENESIS)
    create_index(tmp_path / "index", GENESIS)
    stores = Stores(tmp_path)
    yield stores
    stores.close()


def test_a_new_index_knows_the_first_epoch(stores: Stores) -> None:
    """As genesis gives it."""
    with stores.index.reader() as reader:
        assert reader.governance == genesis_governance(GENESIS)
        assert reader.find_epoch(Epoch(0)) == GENESIS.epoch_record
        assert reader.find_epoch(Epoch(1)) is None
        assert reader.governance_height == 0


def test_the_state_of_governance_is_that_of_the_readers_height(stores: Stores) -> None:
    """A reader opened before a change sees nothing of it, after a restart neither."""
    with stores.index.reader() as before:
        _, writes = stores.run(Kind.PROPOSE, Request((NAME,), "").encode())
        assert writes.is_governance_changed
        assert before.governance == genesis_governance(GENESIS)
    with stores.index.reader() as after:
        assert after.governance == writes.governance
    stores.reopen()
    with stores.index.reader() as again:
        assert again.governance == writes.governance
        assert again.governance.due_digest == writes.governance.due_digest != ZERO_DIGEST
        assert again.governance is again.governance


def test_a_block_that_changes_nothing_of_governance_writes_nothing_of_it(stores: Stores) -> None:
    """The state may be large, and changes seldom."""
    _, proposed = stores.run(Kind.PROPOSE, Request((NAME,), "").encode())
    _, quiet = stores.run(Kind.NOOP)
    assert not quiet.is_governance_changed
    with stores.index.reader() as reader:
        assert reader.height == 2
        assert reader.governance_height == 1
        assert reader.governance is proposed.governance


def test_each_executed_block_says_what_was_due_after_it(stores: Stores) -> None:
    """What a voter must find in a header that names it as executed."""
    stores.run(Kind.NOOP)
    writes = stores.enact(NAME)
    with stores.index.reader() as reader:
        found = [reader.find_block(Height(height)) for height in (1, 2, 3)]
    dues = [block.due_digest for block in found if block is not None]
    assert writes.epoch_record is not None
    assert dues == [ZERO_DIGEST, writes.epoch_record.roster.digest(GENESIS.network_id), ZERO_DIGEST]


def test_every_epoch_is_kept_with_its_end(stores: Stores) -> None:
    """So an auditor walks from genesis to the validators of today."""
    first = stores.enact(NAME).epoch_record
    second = stores.enact(RemoveMember(THIRD)).epoch_record
    stores.reopen()
    with stores.index.reader() as reader:
        assert [reader.find_epoch(Epoch(number)) for number in range(4)] == [GENESIS.epoch_record, first, second, None]
    assert first is not None
    assert first.anchor_height == 2
    for epoch, height in ((0, 2), (1, 4)):
        assert stores.chain.find_epoch_end(Epoch(epoch)) == (height, stores.chain.find_certificate(Height(height)))
    assert stores.chain.find_epoch_end(Epoch(2)) is None


def test_a_range_of_the_chain_never_crosses_the_end_of_an_epoch(stores: Stores) -> None:
    """Who asks cannot know the next validators before it has the last block."""
    stores.enact(NAME)
    stores.run(Kind.NOOP)
    until = read_range(stores.chain, Height(1), Height(3))
    assert [block.header.height for block in until.blocks] == [1, 2]
    assert until.certificate == stores.chain.find_certificate(Height(2))
    beyond = read_range(stores.chain, Height(3), Height(3))
    assert [block.header.epoch for block in beyond.blocks] == [1]


def test_the_end_of_an_epoch_without_its_certificate_is_damage(stores: Stores) -> None:
    """It is kept for ever."""
    stores.enact(NAME)
    stores.run(Kind.NOOP)
    stores.close()
    raw = plyvel.DB(str(stores.folder / "chain"))
    raw.delete(keys.certificate_key(Height(2)))
    raw.close()
    stores.chain = open_chain(stores.folder / "chain", GENESIS)
    stores.index = open_index(stores.folder / "index", GENESIS)
    with pytest.raises(DamagedStoreError, match="the last of epoch 0"):
        stores.chain.find_epoch_end(Epoch(0))


def fork(seq: int) -> tuple[bytes, bytes]:
    """Evidence of a fork of the second firm's feed, and its key."""
    pair = [
        build_batch(GENESIS, build_transaction(GENESIS, member=SECOND, nonce=nonce), member=SECOND, seq=seq)
        for nonce in (1, 2)
    ]
    evidence = pair_batches(Epoch(0), *pair)
    return evidence.encode(), evidence.key(SECOND)


def test_evidence_is_kept_and_listed(stores: Stores) -> None:
    """In pages, in the order of keys."""
    signed, _ = stores.run(Kind.EVIDENCE, fork(3)[0])
    stores.run(Kind.EVIDENCE, fork(1)[0])
    with stores.index.reader() as reader:
        rows = reader.evidence(count=10)
        assert [row.key for row in rows] == [fork(1)[1], fork(3)[1]]
        assert (rows[1].signer, rows[1].reporter, rows[1].transaction_id, rows[1].height) == (
            SECOND,
            FIRST,
            signed.id,
            1,
        )
        assert reader.evidence(count=1) == rows[:1]
        assert reader.evidence(after=rows[0].key, count=5) == rows[1:]
        assert reader.has_evidence(fork(1)[1])
        assert not reader.has_evidence(fork(2)[1])


def test_a_rebuilt_index_has_the_same_governance_byte_for_byte(stores: Stores) -> None:
    """Proposals, epochs and evidence too."""
    stores.run(Kind.EVIDENCE, fork(0)[0])
    stores.enact(NAME)
    proposal, _ = stores.run(Kind.PROPOSE, Request((RemoveMember(THIRD),), "").encode())
    stores.run(Kind.NOOP)
    rows = list(stores.index.rows())
    stores.close()
    stores.chain = open_chain(stores.folder / "chain", GENESIS)
    reindex(stores.chain, stores.folder / "index", GENESIS)
    stores.index = open_index(stores.folder / "index", GENESIS)
    assert list(stores.index.rows()) == rows
    with stores.index.reader() as reader:
        assert [queued.id for queued in reader.governance.queue] == [proposal.id]


@pytest.mark.parametrize(
    ("key", "question"),
    [
        (keys.GOVERNANCE, lambda reader: reader.governance),
        (keys.epoch_key(Epoch(0)), lambda reader: reader.find_epoch(Epoch(0))),
        (keys.evidence_key(fork(0)[1]), lambda reader: reader.evidence(count=1)),
    ],
)
def test_rows_that_cannot_be_read_are_damage(
    stores: Stores, key: bytes, question: Callable[[IndexReader], object]
) -> None:
    """And said so, with the way out."""
    stores.run(Kind.EVIDENCE, fork(0)[0])
    stores.close()
    raw = plyvel.DB(str(stores.folder / "index"))
    raw.put(key, b"nonsense")
    raw.close()
    stores.chain = open_chain(stores.folder / "chain", GENESIS)
    stores.index = open_index(stores.folder / "index", GENESIS)
    with stores.index.reader() as reader, pytest.raises(DamagedStoreError, match="lotvine reindex"):
        question(reader)
