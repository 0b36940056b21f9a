"""The index: verdicts, events and what they are found by, derived from the chain block by block.

One block is one atomic write (`IndexStore.write`); what the block was executed to, and how far, stands in the same
write, so that a crash leaves the state after some block, never between two. Questions and execution read through an
`IndexReader`, a snapshot: all its answers hold at one height.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Final, Self

from consensus.errors import invariant
from consensus.types import Digest, Epoch, Height
from node.ledger.genesis import Genesis
from node.ledger.governance import GovernanceState, genesis_governance
from node.ledger.roster import EpochRecord
from node.ledger.state import EvidenceRow, TransactionRow, WriteSet
from node.ledger.verdicts import TransactionCode
from node.lineage.closure import Closure, LinkedItem, close_backward, close_forward
from node.lineage.items import read_item
from node.lineage.links import Links, begin_of_names
from node.lineage.names import NameTable
from node.lineage.pace import tick
from node.lineage.records import EventRef, EventRow, ItemRow, MasterRow, Posting, PostingKind
from node.lineage.row_codec import decode_row, encode_row
from node.storage import keys
from node.storage.errors import REINDEX_ADVICE, DamagedStoreError
from node.storage.flags import FlagReader, FlagStore, first_mark, flag_mark_row, settings_of, waiver_row
from node.storage.governance import GovernanceCache, governance_rows, read_epoch_row, read_evidence_row, rows_of_block
from node.storage.index_rows import (
    ExecutedBlock,
    decode_executed,
    decode_master,
    decode_transaction,
    encode_executed,
    encode_master,
    encode_transaction,
    item_row,
    item_rows,
    read_state,
)
from node.storage.names import NameReader, word_rows
from node.storage.store import Lists, Row, Snapshot, Store, create_store, open_store
from node.wire.codec import MalformedError, pack, read_array, read_int, unpack
from node.wire.ids import FeedId, FeedTip, MemberId, Seq

INDEX_SCHEMA: Final = 8
"""Raised with every change of what the index keeps: an older one is built anew."""
FULL_CHECK_BYTES: Final = 256 * 1024 * 1024
"""An index up to this size is read whole at every start."""
_SHORTS_CACHED: Final = 1 << 16

_AFTER_EVIDENCE: Final = b"W"

_short = lru_cache(maxsize=_SHORTS_CACHED)(keys.short)
_ROLES: Final = [bytes([role]) for role in range(256)]


class IndexReader:
    """The index at one height: what execution reads (`ledger.StateReader`), and questions (`lineage.LineageReader`).

    A context manager; close it soon. It may be used by one thread at a time.
    """

    def __init__(
        self, snapshot: Snapshot, store: Store, network_id: Digest, governance: GovernanceCache, links: Links
    ) -> None:
        self._snapshot = snapshot
        self._links = links
        self._store = store
        self.flags = FlagReader(snapshot, store)
        self._network_id = network_id
        self._governance = governance
        self._names = NameReader(snapshot)
        self._postings: Lists | None = None
        try:
            self._height, self._state_digest, self._governance_height = read_state(snapshot.get(keys.STATE_MARK))
        except MalformedError as error:
            snapshot.close()
            raise store.damaged(error) from error
        # Of the links, which go on without it, a reader takes what there was at its height.
        self._edge_count = links.edge_count(self._height)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the snapshot."""
        self._names.close()
        if self._postings is not None:
            self._postings.close()
        self._snapshot.close()

    def damaged(self, why: str) -> DamagedStoreError:
        """Return the error that says so, with the way out."""
        return self._store.damaged(why)

    @property
    def height(self) -> Height:
        """The executed height that all answers hold at."""
        return self._height

    @property
    def state_digest(self) -> Digest:
        """The running digest at that height."""
        return self._state_digest

    @property
    def network_id(self) -> Digest:
        """The network's name."""
        return self._network_id

    @property
    def governance_height(self) -> Height:
        """The newest height, at or below this one, whose block changed the state of governance; 0 if none did."""
        return self._governance_height

    @property
    def governance(self) -> GovernanceState:
        """The membership, the parameters and what governance has before it, at this height."""
        known = self._governance.find(self._governance_height)
        if known is not None:
            return known
        try:
            return self._governance.load(self._governance_height, self._snapshot.get(keys.GOVERNANCE) or b"")
        except MalformedError as error:
            raise self._store.damaged(error) from error

    def find_epoch(self, epoch: Epoch) -> EpochRecord | None:
        """Return an epoch that has begun, or None."""
        value = self._snapshot.get(keys.epoch_key(epoch))
        try:
            return None if value is None else read_epoch_row(epoch, value)
        except MalformedError as error:
            raise self._store.damaged(error) from error

    def has_evidence(self, key: bytes) -> bool:
        """Return whether evidence of this misdeed stands on the ledger."""
        return self._snapshot.get(keys.evidence_key(key)) is not None

    def evidence(self, *, after: bytes = b"", count: int) -> tuple[EvidenceRow, ...]:
        """Return up to `count` misdeeds in the order of their keys, those above `after`."""
        rows = self._snapshot.rows(
            start=keys.evidence_key(after) + b"\0" if after else keys.EVIDENCE, stop=_AFTER_EVIDENCE
        )
        try:
            return tuple(read_evidence_row(key[1:], value) for key, value in itertools.islice(rows, count))
        except MalformedError as error:
            raise self._store.damaged(error) from error

    def has_transaction(self, transaction_id: Digest) -> bool:
        """Return whether a transaction was executed."""
        return self._snapshot.get(keys.transaction_key(transaction_id)) is not None

    def has_event(self, member: MemberId, event_digest: Digest) -> bool:
        """Return whether the member has entered this event."""
        return self._snapshot.get(keys.event_digest_key(member, event_digest)) is not None

    def feed_clock_ms(self, feed: FeedId) -> int:
        """Return the feed's clock; 0 at first."""
        value = self._snapshot.get(keys.feed_clock_key(feed))
        return 0 if value is None else keys.read_u64(value)

    def executed_tip(self, feed: FeedId) -> FeedTip | None:
        """Return the newest batch of a feed that was executed, or None."""
        row = self._snapshot.last_row(keys.EXECUTED_BATCH + keys.feed_part(feed))
        return None if row is None else FeedTip(feed, Seq(keys.read_u64(row[0][-8:])), Digest(row[1][:32]))

    def find_batch(self, feed: FeedId, seq: int) -> tuple[Height, Digest] | None:
        """Return the block that covers the batch at `seq` of a feed and the batch's digest, or None."""
        value = self._snapshot.get(keys.executed_batch_key(feed, seq))
        return None if value is None else (Height(keys.read_u64(value[32:])), Digest(value[:32]))

    def find_block(self, height: Height) -> ExecutedBlock | None:
        """Return what executing the block at `height` came to, or None."""
        value = self._snapshot.get(keys.executed_key(height))
        if value is None:
            return None
        try:
            return decode_executed(height, value)
        except MalformedError as error:
            raise self._store.damaged(error) from error

    def height_at(self, time_ms: int) -> Height:
        """Return the newest executed height whose block is not later than `time_ms`; 0 if none is.

        Times of blocks never fall, so it is searched by halves.
        """
        low, high = 0, int(self.height)
        while low < high:
            middle = (low + high + 1) // 2
            block = self.find_block(Height(middle))
            if block is not None and block.time_ms <= time_ms:
                low = middle
            else:
                high = middle - 1
        return Height(low)

    def count_executed(self) -> tuple[int, int]:
        """Return how many transactions and events all executed blocks have. Reads a small row of each block."""
        transactions = events = 0
        for _, value in self._snapshot.rows(prefix=keys.EXECUTED):
            try:
                row = read_array(unpack(value, what="executed block"), "executed block", length=6)
                transactions += read_int(row[3], "transactions")
                events += read_int(row[4], "events")
            except MalformedError as error:
                raise self._store.damaged(error) from error
        return transactions, events

    def find_transaction(self, transaction_id: Digest) -> tuple[Height, TransactionRow] | None:
        """Return a transaction's block and row, verdict included, or None."""
        value = self._snapshot.get(keys.transaction_key(transaction_id))
        if value is None:
            return None
        try:
            return decode_transaction(transaction_id, value)
        except (MalformedError, ValueError) as error:
            raise self._store.damaged(error) from error

    def transaction_ref(self, transaction_id: Digest) -> tuple[Height, int] | None:
        """Return where a transaction stands (block, place in the block), or None."""
        found = self.find_transaction(transaction_id)
        return None if found is None else (found[0], found[1].position)

    def get_event(self, ref: EventRef) -> EventRow:
        """Return the event at `ref`. Raises KeyError if there is none."""
        tick()
        value = self._snapshot.get(keys.event_key(ref))
        if value is None:
            raise KeyError(ref)
        return self._decode_row(value)

    def _decode_row(self, value: bytes) -> EventRow:
        try:
            return decode_row(value)
        except MalformedError as error:
            raise self._store.damaged(error) from error

    def postings_of(self, kind: PostingKind, key: str) -> Sequence[Posting]:
        """Return what is filed under (kind, key), by time, then by place on the ledger."""
        tick()
        lists = self._postings
        if lists is None:
            lists = self._postings = self._snapshot.lists(keys.POSTING)
        return keys.read_postings(kind, key, lists.of(keys.posting_prefix(kind, _short(key))))

    def postings_within(
        self, kind: PostingKind, key: str, *, from_ms: int, to_ms: int, limit: int, newest: bool = False
    ) -> Sequence[Posting]:
        """Return what is filed under (kind, key) from from_ms to to_ms, as `postings_of`.

        At most `limit`: the first, or with `newest` the last, these from the last to the first.
        """
        prefix = keys.posting_prefix(kind, _short(key))
        rows = self._snapshot.rows(
            start=prefix + keys.time_part(from_ms), stop=prefix + keys.time_part(to_ms + 1), reverse=newest
        )
        found = []
        for row in itertools.islice(rows, limit):
            tick()
            found.append(row)
        return keys.read_postings(kind, key, found)

    def find_item(self, item: str) -> ItemRow | None:
        """Return the item with this canonical id, or None if no event named it."""
        tick()
        return None if self._snapshot.get(keys.item_key(item)) is None else item_row(item)

    def next_name(self, table: NameTable, at: str) -> str | None:
        """Return the first name of a table that is not before `at`, or None."""
        tick()
        return self._names.next_name(table, at)

    def named(self, table: NameTable, name: str, *, limit: int) -> Sequence[str]:
        """Return the ids that stand under a name, in their order, at most `limit`."""
        return self._names.named(table, name, limit=limit)

    def closure_of(self, item: str, *, is_back: bool, items_max: int) -> Closure:
        """Return what the item can come from, or go into: see `lineage/closure`. An item that is not known is alone."""
        vertex = self._links.find(item)
        if not vertex or self.find_item(item) is None:
            return Closure([LinkedItem(item, None, None, is_carrier=False)], is_cut=False)
        walk = close_backward if is_back else close_forward
        return walk(self._links, vertex, edge_count=self._edge_count, items_max=items_max)

    def items_of_product(self, product: str, *, limit: int) -> Sequence[ItemRow]:
        """Return lots and serials of a product (canonical GTIN Digital Link), by id."""
        found: list[str] = []
        # The ids of most stand below the product's own; for others there is a table by product.
        for prefix, item_of in (
            (keys.item_key(product + "/"), keys.item_of_key),
            (keys.PRODUCT + _short(product), keys.item_of_product_key),
        ):
            for key, _ in itertools.islice(self._snapshot.rows(prefix=prefix), limit):
                item = item_of(key)
                # The key has only 16 bytes of the product's digest: the item says which one it is.
                if item != product and read_item(item).product == product:
                    found.append(item)
        return [item_row(item) for item in sorted(found)[:limit]]

    def master_of(self, id: str, *, known_at: Height | None = None) -> Sequence[MasterRow]:  # noqa: A002 - the field's word
        """Return master data entered for this canonical id by known_at, the newest of each member, by member."""
        tick()
        prefix = keys.master_prefix(id)
        try:
            rows = [
                decode_master(MemberId(key[len(prefix) :].decode()), value)
                for key, value in self._snapshot.list_rows(prefix)
            ]
            if known_at is not None:
                rows = [
                    found
                    for row in rows
                    if (found := row if row.ref.height <= known_at else self._version_of(id, row.member, known_at))
                ]
        except (MalformedError, ValueError) as error:
            raise self._store.damaged(error) from error
        return [row for row in rows if row.record.id == id]

    def _version_of(self, id: str, member: MemberId, known_at: Height) -> MasterRow | None:  # noqa: A002 - as above
        """Return what a member's master data were at a height below that of the newest."""
        first = keys.master_version_key(id, member, EventRef(Height(0), 0, 0))
        stop = keys.master_version_key(id, member, EventRef(Height(known_at + 1), 0, 0))
        found = self._snapshot.last_row(first, stop=stop)
        return None if found is None else decode_master(member, found[1])

    def iterate_events(self) -> Iterator[EventRow]:
        """Yield every event in ledger order."""
        for _, value in self._snapshot.rows(prefix=keys.EVENT):
            tick()
            yield self._decode_row(value)

    def events_between(self, after: Height, to: Height) -> Iterator[EventRow]:
        """Yield the events of the blocks above `after`, up to `to`, in ledger order."""
        start, stop = (keys.event_key(EventRef(Height(height + 1), 0, 0)) for height in (after, to))
        for _, value in self._snapshot.rows(start=start, stop=stop):
            yield self._decode_row(value)

    def new_since(self, height: Height) -> Callable[[str], bool]:
        """Return what tells of an item whether no block up to `height` named it."""
        links = self._links
        try:
            for _, value in self._snapshot.rows(start=keys.links_key(Height(height + 1)), stop=keys.AFTER_LINKS):
                begin = begin_of_names(value)
                if begin is not None:
                    return partial(links.is_from, begin=begin)
        except MalformedError as error:
            raise self._store.damaged(error) from error
        return lambda _: False

    def every_item(self) -> Iterator[str]:
        """Yield every item that an event named, by id."""
        for key, _ in self._snapshot.rows(prefix=keys.ITEM):
            yield keys.item_of_key(key)


def _load_links(store: Store) -> Links:
    """Return the links of all blocks up to the height of the state. Raises DamagedStoreError."""
    links = Links()
    try:
        # By start and stop: what is read once at the start stays out of the cache.
        for _, value in store.rows(start=keys.LINKS, stop=keys.AFTER_LINKS):
            links.load(value)
        links.settle(read_state(store.get(keys.STATE_MARK))[0])
    except MalformedError as error:
        raise store.damaged(error) from error
    return links


class IndexStore:
    """The open index. One thread writes; each reader is a snapshot of its own."""

    def __init__(self, store: Store, genesis: Genesis) -> None:
        self._store = store
        self.flags = FlagStore(store)
        self._genesis = genesis
        self._governance = GovernanceCache(genesis.network_id)
        self._links = _load_links(store)
        with self.reader() as reader:
            self._height = reader.height
            self._state_digest = reader.state_digest
            self._governance_height = reader.governance_height

    @property
    def height(self) -> Height:
        """The executed height."""
        return self._height

    @property
    def state_digest(self) -> Digest:
        """The running digest at that height."""
        return self._state_digest

    def reader(self) -> IndexReader:
        """Return the index as it is now. Close it."""
        return IndexReader(self._store.snapshot(), self._store, self._genesis.network_id, self._governance, self._links)

    def write(self, write_set: WriteSet, covered: Iterable[FeedTip], *, sync: bool = True) -> None:
        """Write all that one block changes, or nothing. covered: the batches that the block newly covers.

        sync: on disk when this returns; else it may be lost with the machine, and is executed again.
        Raises WriteFailedError: the process must end.
        """
        height = write_set.height
        invariant(height == self._height + 1, "blocks are executed in height order, none left out")
        rows: list[Row] = [
            (keys.transaction_key(row.id), encode_transaction(height, row))
            for row in write_set.transactions
            if row.code is not TransactionCode.DUPLICATE
        ]
        for master in write_set.masters:
            encoded = encode_master(master)
            rows.append((keys.master_key(master.record.id, master.member), encoded))
            rows.append((keys.master_version_key(master.record.id, master.member, master.ref), encoded))
            rows.append((keys.flag_master_key(height, master.record.id), b""))
        rows.extend(map(waiver_row, write_set.waivers))
        rows.extend(word_rows(master.record for master in write_set.masters))
        rows.extend((keys.feed_clock_key(feed), keys.u64(clock)) for feed, clock in write_set.feed_clocks)
        at = keys.u64(height)
        rows.extend((keys.executed_batch_key(tip.feed, tip.seq), tip.digest + at) for tip in covered)
        rows.append((keys.executed_key(height), encode_executed(write_set)))
        rows.extend(rows_of_block(write_set))
        changed = height if write_set.is_governance_changed else self._governance_height
        rows.append((keys.STATE_MARK, pack((height, write_set.state_digest, changed))))
        self._store.write(itertools.chain(rows, self._event_rows(write_set)), sync=sync)
        if write_set.is_governance_changed:
            self._governance.put(height, write_set.governance)
        self._height, self._state_digest, self._governance_height = height, write_set.state_digest, changed

    def _event_rows(self, write_set: WriteSet) -> Iterator[Row]:
        """Yield the rows of all events and of the items that they are the first to name.

        One by one: a list of them all, some 9 an event, would cost the collector more than making them.
        """
        if not write_set.events:
            self._links.pass_by(write_set.height)
            return
        added, new = self._links.add(write_set.height, write_set.events, write_set.filings)
        yield keys.links_key(write_set.height), added
        for item in new:
            yield from item_rows(item)
        for row in write_set.events:
            yield keys.event_key(row.ref), encode_row(row)
        for member, event_digest in write_set.event_digests:
            yield keys.event_digest_key(member, event_digest), b""
        prefix, short, roles = keys.posting_prefix, _short, _ROLES
        head = prefix(PostingKind.ITEM, b"")
        for filing in write_set.filings:
            # All postings of one event end alike.
            ending = keys.posting_tail(filing.time_ms, filing.ref)
            for item, role in filing.roles.items():
                yield head + short(item) + ending, roles[role]
            for kind, key, role in filing.others:
                yield prefix(kind, short(key)) + ending, roles[role]

    def rows(self) -> Iterator[Row]:
        """Yield all keys and values in order, without those of flags: for comparing two indexes."""
        return (row for row in self._store.rows() if not row[0].startswith(keys.FLAGS))

    def sync(self) -> None:
        """Have everything written so far on disk."""
        self._store.write([], sync=True)

    def verify(self) -> None:
        """Read all of it against its checksums. Raises DamagedStoreError."""
        self._store.verify()

    def close(self) -> None:
        """Close it: the next process may open it."""
        self._store.close()


def create_index(folder: Path, genesis: Genesis) -> None:
    """Make the empty index of a new home. Raises StorageError if there is one."""
    create_store(
        folder,
        genesis.network_id,
        marks=(
            (keys.STATE_MARK, pack((0, genesis.state_digest, 0))),
            flag_mark_row(first_mark(settings_of(genesis.roster.parameters))),
            *governance_rows(genesis_governance(genesis), genesis.epoch_record),
        ),
        schema=INDEX_SCHEMA,
    )


def open_index(
    folder: Path, genesis: Genesis, *, full_check_bytes: int = FULL_CHECK_BYTES, write_buffer_bytes: int = 16 << 20
) -> IndexStore:
    """Open the index and check it: whole if it is small. Close it when done.

    Raises MissingStoreError, DamagedStoreError, UnknownSchemaError, or ConfigError if another process has it.
    """
    store = open_store(
        folder,
        genesis.network_id,
        advice=REINDEX_ADVICE,
        write_buffer_bytes=write_buffer_bytes,
        cache_bytes=64 << 20,
        schema=INDEX_SCHEMA,
        older_advice=REINDEX_ADVICE,
    )
    try:
        if store.size_bytes() <= full_check_bytes:
            store.verify()
        return IndexStore(store, genesis)
    except BaseException:
        store.close()
        raise
