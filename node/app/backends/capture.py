"""Documents in: judged and cut into transactions by `intake/`, then put on the feed, part by part."""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Final

from consensus.types import Digest
from node.api.errors import BusyError
from node.api.schema.events import CaptureAnswer
from node.api.schema.transactions import TransactionResult, Wait
from node.app.backends.transactions import Transactions
from node.clock import Clock
from node.errors import RequestError
from node.intake.capture import PreparedCapture, prepare
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
    """Digests of own events that were accepted and are not executed yet: so a document sent twice is recognised."""

    def __init__(self) -> None:
        self._digests: dict[Digest, None] = {}

    def __contains__(self, digest: Digest) -> bool:
        return digest in self._digests

    def add(self, digests: Sequence[Digest]) -> None:
        """Note events that were accepted. Full: they are not noted, and execution alone finds their duplicates."""
        if len(self._digests) + len(digests) <= ON_THE_WAY_MAX:
            self._digests.update(dict.fromkeys(digests))

    def on_executed(self, write_set: WriteSet) -> None:
        """Forget what the index knows now."""
        if self._digests:
            for _, digest in write_set.event_digests:
                self._digests.pop(digest, None)


class _Known:
    """Answers intake's question for one document, and notes what was new."""

    def __init__(self, reader: IndexReader, on_the_way: OnTheWay) -> None:
        self._reader = reader
        self._on_the_way = on_the_way
        self.new: list[Digest] = []

    def is_known_event(self, member: MemberId, event_digest: Digest) -> bool:
        """Return whether the member has entered this event."""
        if event_digest in self._on_the_way or self._reader.has_event(member, event_digest):
            return True
        self.new.append(event_digest)
        return False


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
        prepared, new = await asyncio.get_running_loop().run_in_executor(
            self._executor, partial(self._prepare, document)
        )
        result = prepared.result
        await self._enter(prepared.transactions)
        self._on_the_way.add(new)
        finals: tuple[TransactionResult, ...] = ()
        state = "accepted" if prepared.transactions else "nothing"
        if wait is Wait.FINAL and prepared.transactions:
            waits = [self._transactions.wait_final(one.id) for one in prepared.transactions]
            finals = tuple(await asyncio.gather(*waits))
            state = "final"
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

    def _prepare(self, document: bytes) -> tuple[PreparedCapture, list[Digest]]:
        with self._index.reader() as reader:
            known = _Known(reader, self._on_the_way)
            prepared = prepare(
                document,
                member=self._member,
                network_id=self._genesis.network_id,
                now_ms=self._clock.wall_ms(),
                known=known,
            )
        return prepared, known.new if prepared.transactions else []

    async def _enter(self, transactions: Sequence[SignedTransaction]) -> None:
        entered = 0
        for part in _split(transactions):
            try:
                await self._transactions.enter(part)
            except RequestError as error:
                if entered == 0:
                    raise
                words = f"only {entered} of {len(transactions)} transactions of the document were accepted: {error}"
                raise BusyError(f"{words}; send it again, and what was entered is recognised") from error
            entered += len(part)


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
