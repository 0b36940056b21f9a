"""Documents in: judged and cut into transactions by `intake/`, then put on the feed, part by part."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Final

from consensus.types import Digest
from node.api.errors import BusyError
from node.api.schema.events import CaptureAnswer
from node.api.schema.transactions import TransactionResult, Wait
from node.app.backends.outcomes import as_executed
from node.app.backends.transactions import Transactions
from node.clock import Clock
from node.errors import RequestError
from node.intake.capture import KnownEvent, PreparedCapture, prepare
from node.ledger.genesis import Genesis
from node.ledger.state import WriteSet
from node.ledger.transaction import SignedTransaction
from node.storage.index import IndexReader, IndexStore
from node.wire.ids import MemberId

PART_TRANSACTIONS_MAX: Final = 64
PART_BYTES_MAX: Final = 4 * 1024 * 1024
"""What of a long document goes to the feed at once: it shall not crowd out everyone else's submissions."""
ON_THE_WAY_MAX: Final = 1_000_000


class OnTheWay:
    """Own events that were accepted and are not executed yet: so a document sent twice is recognised."""

    def __init__(self) -> None:
        self._places: dict[Digest, KnownEvent] = {}
        self._digests: dict[Digest, tuple[Digest, ...]] = {}

    def __len__(self) -> int:
        return len(self._places)

    def find(self, event_digest: Digest) -> KnownEvent | None:
        """Return where an event stands that is on its way, or None."""
        return self._places.get(event_digest)

    def add(self, transaction_id: Digest, digests: tuple[Digest, ...]) -> tuple[Digest, ...]:
        """Note the events of an accepted transaction, in order; return earlier ones that are superseded by now.

        Full: they are not noted, and execution alone finds their duplicates.
        """
        if not digests or len(self._places) + len(digests) > ON_THE_WAY_MAX:
            return ()
        self._digests[transaction_id] = digests
        earlier: dict[Digest, None] = {}
        for position, digest in enumerate(digests):
            before = self._places.get(digest)
            if before is not None and before.transaction is not None:
                earlier[before.transaction] = None
            self._places[digest] = KnownEvent(transaction_id, position)
        superseded = tuple(one for one in earlier if not any(self._stands_in(one, of) for of in self._digests[one]))
        for one in superseded:
            del self._digests[one]
        return superseded

    def _stands_in(self, transaction_id: Digest, digest: Digest) -> bool:
        place = self._places.get(digest)
        return place is not None and place.transaction == transaction_id

    def on_executed(self, write_set: WriteSet) -> None:
        """Forget what the index knows now, and what was refused: that can be entered again."""
        if self._digests:
            for row in write_set.transactions:
                for digest in self._digests.pop(row.id, ()):
                    if self._stands_in(row.id, digest):
                        del self._places[digest]


class _Known:
    """Answers intake's question for one document."""

    def __init__(self, reader: IndexReader, on_the_way: OnTheWay, is_lapsed: Callable[[Digest], bool]) -> None:
        self._reader = reader
        self._on_the_way = on_the_way
        self._is_lapsed = is_lapsed

    def find_known_event(self, member: MemberId, event_digest: Digest) -> KnownEvent | None:
        """Return an event that the member has entered, or None."""
        if self._reader.has_event(member, event_digest):
            return KnownEvent()
        found = self._on_the_way.find(event_digest)
        if found is not None and found.transaction is not None and self._is_lapsed(found.transaction):
            return None
        return found


class Captures:
    """Fills in `api.backends.CaptureBackend`."""

    def __init__(
        self,
        transactions: Transactions,
        index: IndexStore,
        genesis: Genesis,
        member: MemberId,
        *,
        on_the_way: OnTheWay,
        clock: Clock,
        executor: Executor,
    ) -> None:
        self._transactions = transactions
        self._index = index
        self._genesis = genesis
        self._member = member
        self._on_the_way = on_the_way
        self._clock = clock
        self._executor = executor

    async def capture(self, document: bytes, *, wait: Wait) -> CaptureAnswer:
        """Judge, submit and answer; see `api.backends`."""
        prepared = await asyncio.get_running_loop().run_in_executor(self._executor, partial(self._prepare, document))
        result = prepared.result
        await self._enter(prepared)
        finals: tuple[TransactionResult, ...] = ()
        state = "accepted" if prepared.transactions else "nothing"
        if wait is Wait.FINAL:
            # Those of the document, and earlier ones with events of it that are on their way.
            earlier = (event.transaction for event in result.events if event.transaction is not None)
            ids = dict.fromkeys((*result.transactions, *earlier))
            waits = [self._transactions.wait_final(Digest(bytes.fromhex(one))) for one in ids]
            finals = tuple(await asyncio.gather(*waits))
            result = as_executed(result, finals)
            state = "final" if prepared.transactions else "nothing"
        return CaptureAnswer(
            state=state,  # type: ignore[arg-type]  # One of the three words above.
            verdict=result.verdict,
            counts=result.counts,
            events=result.events,
            transactions=result.transactions,
            warnings=result.warnings,
            notices=result.notices,
            final=finals,
        )

    def _prepare(self, document: bytes) -> PreparedCapture:
        with self._index.reader() as reader:
            return prepare(
                document,
                member=self._member,
                network_id=self._genesis.network_id,
                now_ms=self._clock.wall_ms(),
                known=_Known(reader, self._on_the_way, self._transactions.is_lapsed),
            )

    async def _enter(self, prepared: PreparedCapture) -> None:
        transactions, entered = prepared.transactions, 0
        digests = iter(prepared.digests)
        for part in _split(transactions):
            try:
                await self._transactions.enter(part)
            except RequestError as error:
                if entered == 0:
                    raise
                words = f"only {entered} of {len(transactions)} transactions of the document were accepted: {error}"
                raise BusyError(f"{words}; send it again, and what was entered is recognised") from error
            entered += len(part)
            for one in part:
                for superseded in self._on_the_way.add(one.id, next(digests)):
                    self._transactions.forget_lapsed(superseded)


def _split(transactions: Sequence[SignedTransaction]) -> Iterator[tuple[SignedTransaction, ...]]:
    part: list[SignedTransaction] = []
    size = 0
    for one in transactions:
        if part and (len(part) >= PART_TRANSACTIONS_MAX or size + one.size_bytes > PART_BYTES_MAX):
            yield tuple(part)
            part, size = [], 0
        part.append(one)
        size += one.size_bytes
    if part:
        yield tuple(part)
