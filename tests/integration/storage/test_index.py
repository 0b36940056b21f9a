"""The index on a real LevelDB: what was executed is found, at one height, by all that it is filed under."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import plyvel
import pytest

from consensus.errors import InvariantError
from consensus.types import Digest, Height
from node.errors import StorageError
from node.ledger.batch import Batch
from node.ledger.governance import genesis_governance
from node.ledger.state import WriteSet
from node.ledger.verdicts import EventCode, TransactionCode
from node.lineage.names import NameTable
from node.lineage.records import EventRef, PostingKind
from node.query.find import FindRequest, find
from node.query.near import suggest
from node.storage import keys
from node.storage.errors import DamagedStoreError, MissingStoreError, UnknownSchemaError
from node.storage.execution import execute_block
from node.storage.index import INDEX_SCHEMA, IndexReader, IndexStore, create_index, open_index
from tests.support.captures import PRODUCT, build_capture, lot, object_event, transformation_event
from tests.support.chains import ChainBuilder
from tests.support.networks import build_batch, build_genesis, build_transaction

GENESIS = build_genesis()
ELEMENT = json.dumps(
    {
        "type": "urn:epcglobal:epcis:vtype:EPCClass",
        "vocabularyElementList": [
            {
                "id": PRODUCT,
                "attributes": [{"id": "urn:epcglobal:cbv:mda#descriptionShort", "attribute": "Rye flour"}],
            }
        ],
    }
).encode()


class Ledger:
    """An index with a builder of blocks on top of it."""

    def __init__(self, index: IndexStore) -> None:
        self.index = index
        self.builder = ChainBuilder(GENESIS)
        self.batches: list[Batch] = []

    def execute(self, *events: bytes, vocabulary: tuple[bytes, ...] = ()) -> WriteSet:
        """Execute a block with one transaction of these events."""
        seq = len(self.batches)
        signed = build_capture(GENESIS, *events, nonce=seq, vocabulary=vocabulary)
        batch = build_batch(GENESIS, signed, seq=seq, previous=self.batches[-1].digest if seq else Digest(bytes(32)))
        self.batches.append(batch)
        return execute_block(self.index, self.builder.build_block(batch), [batch])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_index(tmp_path / "index", GENESIS)
    return tmp_path / "index"


@pytest.fixture
def ledger(folder: Path) -> Iterator[Ledger]:
    index = open_index(folder, GENESIS)
    yield Ledger(index)
    index.close()


@pytest.fixture
def reader(ledger: Ledger) -> Iterator[IndexReader]:
    """Two blocks: two lots made, then one of them turned into a third."""
    ledger.execute(
        object_event("FLOUR-1", event_id="urn:uuid:1", hour=9), object_event("SALT-7", hour=8), vocabulary=(ELEMENT,)
    )
    ledger.execute(transformation_event(["FLOUR-1", "SALT-7"], ["DOUGH-4"], run="urn:run:1"))
    with ledger.index.reader() as reader:
        yield reader


def test_a_new_index_stands_at_genesis(ledger: Ledger) -> None:
    """Height 0, with the state digest of genesis."""
    with ledger.index.reader() as reader:
        assert (reader.height, reader.state_digest) == (0, GENESIS.state_digest)
        assert reader.network_id == GENESIS.network_id
        assert reader.governance == genesis_governance(GENESIS)
        assert list(reader.iterate_events()) == []
        assert reader.find_block(Height(1)) is None


def test_events_are_read_back_as_they_were_executed(ledger: Ledger) -> None:
    """By their place, and in ledger order."""
    first = ledger.execute(object_event("A"), object_event("B"))
    second = ledger.execute(transformation_event(["A"], ["C"]))
    with ledger.index.reader() as reader:
        assert tuple(reader.iterate_events()) == first.events + second.events
        assert reader.get_event(second.events[0].ref) == second.events[0]
        with pytest.raises(KeyError):
            reader.get_event(EventRef(Height(9), 0, 0))


def test_postings_come_by_time_with_their_roles(reader: IndexReader) -> None:
    """What an item's walk reads."""
    postings = reader.postings_of(PostingKind.ITEM, lot("FLOUR-1"))
    assert [(posting.ref, posting.role) for posting in postings] == [
        (EventRef(Height(1), 0, 0), 1),
        (EventRef(Height(2), 0, 0), 4),
    ]
    assert postings[0].time_ms < postings[1].time_ms
    assert [posting.ref for posting in reader.postings_of(PostingKind.EVENT_ID, "urn:uuid:1")] == [
        EventRef(Height(1), 0, 0)
    ]
    assert len(reader.postings_of(PostingKind.RUN_INPUT, "urn:run:1")) == 1
    assert len(reader.postings_of(PostingKind.RUN_OUTPUT, "urn:run:1")) == 1
    assert reader.postings_of(PostingKind.ITEM, "urn:nothing") == []


def test_events_are_found_by_the_site_that_they_name(ledger: Ledger) -> None:
    """What a scope reads to see what a holder had."""
    event = json.loads(object_event("A"))
    event["bizLocation"] = {"id": "https://id.gs1.org/414/9521102000008/254/7"}
    write = ledger.execute(json.dumps(event).encode())
    with ledger.index.reader() as reader:
        postings = reader.postings_of(PostingKind.HOLDER, "https://id.gs1.org/414/9521102000008")
        assert [posting.ref for posting in postings] == [write.events[0].ref]


def test_postings_of_a_window_are_read_from_either_end(reader: IndexReader) -> None:
    """Without those before and after it; a bound of all time is no bound."""
    first, second = reader.postings_of(PostingKind.ITEM, lot("FLOUR-1"))
    read = partial(reader.postings_within, PostingKind.ITEM, lot("FLOUR-1"))
    ever = partial(read, from_ms=-(1 << 70), to_ms=1 << 70)
    assert ever(limit=9) == [first, second]
    assert ever(limit=1, newest=True) == [second]
    assert read(from_ms=first.time_ms, to_ms=first.time_ms, limit=9) == [first]
    assert read(from_ms=first.time_ms + 1, to_ms=second.time_ms - 1, limit=9) == []
    assert reader.postings_within(PostingKind.ITEM, "urn:nothing", from_ms=0, to_ms=1, limit=9) == []


def test_master_data_are_found_by_the_words_of_their_names(reader: IndexReader) -> None:
    """And items by what the product is called."""
    assert reader.named(NameTable.WORD, "FLOUR", limit=9) == (PRODUCT,)
    assert reader.next_name(NameTable.WORD, "G") == "RYE"
    assert reader.next_name(NameTable.WORD, "S") is None
    found = find(reader, FindRequest(text="rye fluor")).found
    assert {one.code for one in found} == {"FLOUR-1", "SALT-7", "DOUGH-4"}
    assert found[0].product_name == "Rye flour"


def test_height_at_a_time_is_that_of_the_newest_block_not_later(ledger: Ledger) -> None:
    """By halves over the executed blocks; before the first it is 0."""
    for number in range(5):
        ledger.execute(object_event(f"A{number}"))
    with ledger.index.reader() as reader:
        times = [block.time_ms for height in range(1, 6) if (block := reader.find_block(Height(height)))]
        assert len(times) == 5
        assert [reader.height_at(time_ms) for time_ms in times] == [1, 2, 3, 4, 5]
        assert reader.height_at(times[0] - 1) == 0
        assert reader.height_at(2**62) == 5


def test_items_are_found_by_id_and_product(reader: IndexReader) -> None:
    """With product and code, as their id says."""
    item = reader.find_item(lot("FLOUR-1"))
    assert item is not None
    assert (item.product, item.code) == (PRODUCT, "FLOUR-1")
    assert reader.find_item(lot("FLOUR-2")) is None
    assert [row.code for row in reader.items_of_product(PRODUCT, limit=10)] == ["DOUGH-4", "FLOUR-1", "SALT-7"]
    assert [row.code for row in reader.items_of_product(PRODUCT, limit=2)] == ["DOUGH-4", "FLOUR-1"]
    assert reader.items_of_product("https://id.gs1.org/01/1", limit=10) == []


def test_items_of_an_opaque_product_are_found(ledger: Ledger) -> None:
    """GDST names say their class, but are not below it as Digital Links are."""
    made = json.loads(object_event("A"))
    made["quantityList"][0]["epcClass"] = "urn:gdst:example.org:product:lot:class:mill.flour.lot-1"
    ledger.execute(json.dumps(made).encode())
    with ledger.index.reader() as reader:
        (row,) = reader.items_of_product("urn:gdst:example.org:product:class:mill.flour", limit=5)
        assert row.code == "lot-1"


@pytest.mark.parametrize(
    "text",
    [
        "FLOUR-1",
        "flour1",
        "FLOUR-2",
        "XLOUR-1",
        "FLUOR-1",
        "FLOR-1",
        "FLOUR-11",
        "FLOU",
        "(01)09520001000003(10)FLOUR-1",
        f"{PRODUCT}/10/FLOUR-9",
    ],
)
def test_near_codes_are_found(reader: IndexReader, text: str) -> None:
    """One wrong, missing, extra or swapped sign, other case or separators, a beginning, a code inside an id."""
    assert suggest(reader, text, limit=1) == (f"{PRODUCT}/10/FLOUR-1",)


def test_ids_that_begin_with_the_text_are_near(reader: IndexReader) -> None:
    """An id that was cut short is completed."""
    found = suggest(reader, f"{PRODUCT}/10/", limit=10)
    assert {item.rpartition("/")[2] for item in found} == {"DOUGH-4", "FLOUR-1", "SALT-7"}


@pytest.mark.parametrize("text", ["", "ZZZZZZZZ", "-/-", "\0"])
def test_nothing_is_near_nothing(reader: IndexReader, text: str) -> None:
    """No suggestion is better than a far one."""
    assert suggest(reader, text, limit=5) == ()


def test_a_transaction_is_found_with_its_verdict(ledger: Ledger) -> None:
    """The row of its first time stands."""
    writes = ledger.execute(object_event("A"), b"nonsense")
    signed = ledger.batches[0].transactions[0]
    batch = build_batch(GENESIS, signed, seq=1, previous=ledger.batches[0].digest)
    again = execute_block(ledger.index, ledger.builder.build_block(batch), [batch])
    assert again.transactions[0].code is TransactionCode.DUPLICATE
    with ledger.index.reader() as reader:
        found = reader.find_transaction(signed.id)
        assert found == (1, writes.transactions[0])
        assert found[1].event_codes == (EventCode.ACCEPTED, EventCode.UNREADABLE)
        assert reader.transaction_ref(signed.id) == (1, 0)
        assert reader.find_transaction(Digest(bytes(32))) is None
        assert reader.transaction_ref(Digest(bytes(32))) is None
        assert reader.has_transaction(signed.id)


def test_execution_reads_what_it_wrote(ledger: Ledger) -> None:
    """Feed clocks, event digests, batches and blocks."""
    writes = ledger.execute(object_event("A"))
    batch = ledger.batches[0]
    with ledger.index.reader() as reader:
        assert reader.feed_clock_ms(batch.header.feed) == dict(writes.feed_clocks)[batch.header.feed]
        (member, digest) = writes.event_digests[0]
        assert reader.has_event(member, digest)
        assert not reader.has_event(member, Digest(bytes(32)))
        assert reader.find_batch(batch.header.feed, 0) == (1, batch.digest)
        assert reader.find_batch(batch.header.feed, 1) is None
        assert reader.executed_tip(batch.header.feed) == batch.tip
        block = reader.find_block(Height(1))
        assert block is not None
        assert (block.digest, block.state_digest) == (writes.block_digest, writes.state_digest)
        assert (block.transaction_count, block.event_count) == (1, 1)
        assert reader.governance.roster.find(member) == GENESIS.roster.members[member]


def test_master_data_of_each_member_stands_once(ledger: Ledger) -> None:
    """The newest of each."""
    ledger.execute(object_event("A"), vocabulary=(ELEMENT,))
    writes = ledger.execute(vocabulary=(ELEMENT.replace(b"Rye", b"Wheat"),))
    with ledger.index.reader() as reader:
        assert tuple(reader.master_of(PRODUCT)) == writes.masters
        assert reader.master_of("urn:nothing") == []


def test_master_data_are_known_as_they_stood_at_a_height(ledger: Ledger) -> None:
    """A later version does not change an answer at an earlier height."""
    first = ledger.execute(object_event("A"), vocabulary=(ELEMENT,))
    ledger.execute(object_event("B"))
    second = ledger.execute(vocabulary=(ELEMENT.replace(b"Rye", b"Wheat"),))
    with ledger.index.reader() as reader:
        assert tuple(reader.master_of(PRODUCT, known_at=Height(2))) == first.masters
        assert tuple(reader.master_of(PRODUCT, known_at=Height(3))) == second.masters
        assert reader.master_of(PRODUCT, known_at=Height(0)) == []


def test_a_reader_holds_at_its_height(ledger: Ledger) -> None:
    """What is executed meanwhile is not in its answers."""
    ledger.execute(object_event("A"))
    with ledger.index.reader() as early:
        ledger.execute(object_event("B"))
        assert early.height == 1
        assert early.find_item(lot("B")) is None
        with ledger.index.reader() as late:
            assert late.height == 2
            assert late.find_item(lot("B")) is not None


def test_closures_hold_at_the_readers_height_and_after_a_restart(folder: Path) -> None:
    """The links are arrays in memory beside the snapshot, built again from the rows of the blocks."""

    def closed(index: IndexStore, code: str) -> list[str]:
        with index.reader() as reader:
            return [one.id for one in reader.closure_of(lot(code), is_back=True, items_max=9).items]

    index = open_index(folder, GENESIS)
    ledger = Ledger(index)
    ledger.execute(object_event("A"), transformation_event(["A"], ["B"]))
    with index.reader() as early:
        ledger.execute(transformation_event(["C"], ["B"]))
        ledger.execute()
        for code, expected in (("B", [lot("B"), lot("A")]), ("C", [lot("C")])):
            closure = early.closure_of(lot(code), is_back=True, items_max=9)
            assert [one.id for one in closure.items] == expected
    before = closed(index, "B")
    assert before == [lot("B"), lot("C"), lot("A")]
    index.close()
    index = open_index(folder, GENESIS)
    assert closed(index, "B") == before
    index.close()


def test_blocks_are_executed_in_order(ledger: Ledger) -> None:
    """A height left out or repeated is our own bug."""
    writes = ledger.execute(object_event("A"))
    with pytest.raises(InvariantError):
        ledger.index.write(writes, [])


def test_the_index_goes_on_after_a_restart(folder: Path) -> None:
    """Height and digest stand in the same write as what they speak of."""
    index = open_index(folder, GENESIS)
    writes = Ledger(index).execute(object_event("A"))
    index.close()
    index = open_index(folder, GENESIS)
    assert (index.height, index.state_digest) == (1, writes.state_digest)
    index.close()


def test_a_block_without_events_is_executed(ledger: Ledger) -> None:
    """Nothing but no-ops is a block too."""
    signed = build_transaction(GENESIS, member="firm-1")
    batch = build_batch(GENESIS, signed, member="firm-1")
    writes = execute_block(ledger.index, ledger.builder.build_block(batch), [batch])
    assert writes.transactions[0].code is TransactionCode.ACCEPTED
    empty = execute_block(ledger.index, ledger.builder.build_block(), [])
    assert empty.transactions == ()
    assert ledger.index.height == 2


@pytest.mark.parametrize(
    ("schema", "advice"),
    [(INDEX_SCHEMA - 1, "lotvine reindex"), (INDEX_SCHEMA + 1, "the version of lotvine that wrote it")],
)
def test_an_index_of_another_schema_is_refused_with_the_way_out(folder: Path, schema: int, advice: str) -> None:
    """An older one is built anew from the chain; a newer one belongs to a newer version."""
    raw = plyvel.DB(str(folder))
    raw.put(keys.SCHEMA_MARK, keys.u64(schema))
    raw.close()
    with pytest.raises(UnknownSchemaError, match=advice):
        open_index(folder, GENESIS)


def test_a_missing_index_is_to_be_built_anew(tmp_path: Path) -> None:
    """The way out is named."""
    with pytest.raises(MissingStoreError, match="lotvine reindex"):
        open_index(tmp_path / "index", GENESIS)


@pytest.mark.parametrize("key", [keys.STATE_MARK, keys.SCHEMA_MARK])
def test_an_index_without_its_marks_is_to_be_built_anew(folder: Path, key: bytes) -> None:
    """It is derived: nothing in it is guessed at."""
    raw = plyvel.DB(str(folder))
    raw.delete(key)
    raw.close()
    with pytest.raises(DamagedStoreError, match="lotvine reindex"):
        open_index(folder, GENESIS)


def test_links_that_cannot_be_read_are_damage(ledger: Ledger, folder: Path) -> None:
    """They are read at the start, so the start says so."""
    ledger.execute(object_event("A"))
    ledger.index.close()
    raw = plyvel.DB(str(folder))
    raw.put(keys.links_key(Height(1)), b"\x91\x01")
    raw.close()
    with pytest.raises(DamagedStoreError, match=r"links.*lotvine reindex"):
        open_index(folder, GENESIS)


READS: dict[bytes, Callable[[IndexReader, Digest], object]] = {
    keys.EVENT: lambda reader, _: list(reader.iterate_events()),
    keys.TRANSACTION: lambda reader, transaction_id: reader.find_transaction(transaction_id),
    keys.MASTER: lambda reader, _: reader.master_of(PRODUCT),
    keys.EXECUTED: lambda reader, _: reader.find_block(Height(1)),
}


@pytest.mark.parametrize("table", READS)
def test_a_row_that_cannot_be_read_is_damage(ledger: Ledger, folder: Path, table: bytes) -> None:
    """Its bytes passed LevelDB's checksum, and are still not ours."""
    ledger.execute(object_event("A"), vocabulary=(ELEMENT,))
    transaction_id = ledger.batches[0].transactions[0].id
    ledger.index.close()
    raw = plyvel.DB(str(folder))
    with raw.iterator(prefix=table) as iterator:
        key, _ = next(iterator)
    raw.put(key, b"\x91\x01")
    raw.close()
    index = open_index(folder, GENESIS)
    with index.reader() as reader, pytest.raises(StorageError, match="lotvine reindex"):
        READS[table](reader, transaction_id)
    index.close()
