"""Blocks and events as they stand on the ledger, read from the chain and the index."""

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

import msgspec

from consensus.messages import Header
from consensus.types import Digest, Height
from node.api.errors import NotFoundError
from node.api.schema.blocks import BlockResult, CutEntry
from node.api.schema.events import EventEntry, EventsResult
from node.app.backends.pools import QuestionPool
from node.errors import RequestError
from node.ledger.cut import decode_cut
from node.ledger.state import TransactionRow
from node.ledger.transaction import Capture, Kind, decode_capture
from node.ledger.verdicts import EventCode
from node.lineage.reader import LineageReader
from node.lineage.records import EventRow, PostingKind
from node.query.find import OriginalOf
from node.storage.chain import ChainStore
from node.storage.index import IndexReader, IndexStore
from node.storage.originals import find_original, read_original
from node.wire.ids import FeedTip, MemberId, Seq

T = TypeVar("T")

EVENTS_ANSWERED_MAX: Final = 1_000
"""Of one eventID; more than that is no question for an answer in one piece."""


class LedgerQueries:
    """Answers from the stores, each from one snapshot, in the threads of `pool`."""

    def __init__(self, chain: ChainStore, index: IndexStore, pool: QuestionPool) -> None:
        self._chain = chain
        self._index = index
        self._pool = pool

    async def block(self, height: int | None) -> BlockResult:
        """Return the block at a height, None for the newest executed. Raises NotFoundError."""
        return await self._run(lambda reader: self._read_block(reader, height))

    async def events_at(self, transaction_id: str, index: int | None) -> EventsResult:
        """Return an event of a transaction, or all of them. Raises NotFoundError."""
        return await self._run(lambda reader: self._read_events(reader, Digest(bytes.fromhex(transaction_id)), index))

    async def events_called(self, event_id: str) -> EventsResult:
        """Return all events with this eventID. Raises NotFoundError."""
        return await self._run(lambda reader: self._find_events(reader, event_id))

    async def _run(self, work: Callable[[IndexReader], T]) -> T:
        def answer() -> T:
            with self._index.reader() as reader:
                return work(reader)

        return await self._pool.run(answer)

    def _read_block(self, reader: IndexReader, height: int | None) -> BlockResult:
        at = reader.height if height is None else Height(height)
        block, executed = self._chain.find_final_block(at), reader.find_block(at)
        if block is None or executed is None:
            hint = "the block at height 0 is genesis itself" if at == 0 else None
            raise NotFoundError(
                f"no executed block at height {at}; the newest is {reader.height}", field="params.height", hint=hint
            )
        header = block.header
        cut = decode_cut(block.payload)
        before = {tip.feed: _tip_before(reader, tip, at) for tip in cut}
        batches = self._chain.covered_batches(block, before.get)
        return BlockResult(
            height=at,
            view=header.view,
            epoch=header.epoch,
            digest=executed.digest.hex(),
            parent=header.parent_digest.hex(),
            time_ms=header.timestamp_ms,
            leader=_leader_of(reader, header),
            cut=tuple(CutEntry(tip.feed.member, tip.feed.number, tip.seq, tip.digest.hex()) for tip in cut),
            transactions=tuple(one.id.hex() for batch in batches for one in batch.transactions),
            state_digest=executed.state_digest.hex(),
        )

    def _read_events(self, reader: IndexReader, transaction_id: Digest, index: int | None) -> EventsResult:
        found = reader.find_transaction(transaction_id)
        if found is None:
            raise NotFoundError(
                f"no executed transaction {transaction_id.hex()}",
                field="params.transaction",
                hint="tx.get says whether it is accepted and not final yet",
            )
        height, row = found
        entries = list(self._entries(reader, height, row))
        if index is None:
            return EventsResult(tuple(entries))
        if index >= len(entries):
            raise NotFoundError(f"the transaction has {len(entries)} events", field="params.index")
        return EventsResult((entries[index],))

    def _entries(self, reader: IndexReader, height: Height, row: TransactionRow) -> Iterator[EventEntry]:
        """Yield every event that an accepted capture carried, the duplicates and unreadable ones too."""
        executed = reader.find_block(height)
        assert executed is not None
        capture = self._capture_of(reader, row)
        # A transaction that was rejected as a whole has no verdicts on events, and entered none.
        for number, (raw, code) in enumerate(zip(capture.events, row.event_codes, strict=False)):
            yield EventEntry(
                id=f"{row.id.hex()}:{number}",
                transaction=row.id.hex(),
                index=number,
                member=row.feed.member,
                height=height,
                ledger_time_ms=executed.time_ms,
                record_time_ms=row.created_ms,
                event=msgspec.Raw(raw),
                context=msgspec.Raw(capture.context),
                verdict=code.name.lower(),
            )

    def _capture_of(self, reader: IndexReader, row: TransactionRow) -> Capture:
        """Return the payload of a transaction, empty for one that carries no events."""
        if row.kind != Kind.CAPTURE or not row.event_codes:
            return Capture(b"null", (), ())
        return decode_capture(read_original(self._chain, reader, row).transaction.payload)

    def _find_events(self, reader: IndexReader, event_id: str) -> EventsResult:
        postings = reader.postings_of(PostingKind.EVENT_ID, event_id)
        rows = [reader.get_event(posting.ref) for posting in postings[: EVENTS_ANSWERED_MAX + 1]]
        if len(rows) > EVENTS_ANSWERED_MAX:
            raise RequestError("too_large", f"more than {EVENTS_ANSWERED_MAX} events bear this eventID")
        # The posting's key is shortened on disk; the row says in full what it is.
        mine = sorted((row for row in rows if row.event.event_id == event_id), key=lambda row: row.ref)
        entries = [self._entry_of(reader, row) for row in mine]
        if not entries:
            raise NotFoundError(f"no event with eventID {event_id}", field="params.event_id")
        return EventsResult(tuple(entries))

    def _entry_of(self, reader: IndexReader, row: EventRow) -> EventEntry:
        found = reader.find_transaction(row.transaction_id)
        assert found is not None
        capture = self._capture_of(reader, found[1])
        return EventEntry(
            id=f"{row.transaction_id.hex()}:{row.ref.event}",
            transaction=row.transaction_id.hex(),
            index=row.ref.event,
            member=row.member,
            height=row.ref.height,
            ledger_time_ms=row.ledger_time_ms,
            record_time_ms=row.record_time_ms,
            event=msgspec.Raw(capture.events[row.ref.event]),
            context=msgspec.Raw(capture.context),
            verdict=EventCode.ACCEPTED.name.lower(),
        )


def _leader_of(reader: IndexReader, header: Header) -> MemberId:
    """Return who proposed a final block: a validator of its epoch."""
    record = reader.find_epoch(header.epoch)
    assert record is not None
    return record.roster.validators[header.proposer]


def _tip_before(reader: IndexReader, tip: FeedTip, height: Height) -> FeedTip | None:
    """Return where a feed stood before the block at `height` that cut it at `tip`."""
    for seq in range(tip.seq - 1, -1, -1):
        place = reader.find_batch(tip.feed, seq)
        assert place is not None
        if place[0] < height:
            return FeedTip(tip.feed, Seq(seq), place[1])
    return None


def event_as_sent(chain: ChainStore) -> OriginalOf:
    """Return what reads an event's JSON from the chain, by its row in a snapshot of the index."""

    def read(reader: LineageReader, row: EventRow) -> bytes:
        assert isinstance(reader, IndexReader)
        signed = find_original(chain, reader, row.transaction_id)
        assert signed is not None
        return decode_capture(signed.transaction.payload).events[row.ref.event]

    return read
