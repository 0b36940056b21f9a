"""From signed bytes to accepted, and from accepted to final.

A submission is checked at the door, handed to the engine, and accepted once its batch is durable here. It is final for
its sender once its block is executed here; who waits for that is told then.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, Protocol

from consensus.types import Digest, Height
from node.api.errors import BusyError, NotFoundError
from node.api.schema.transactions import TransactionResult, Wait
from node.clock import Clock
from node.errors import RequestError
from node.ledger.governance import GovernanceState
from node.ledger.state import TransactionRow
from node.ledger.transaction import SignedTransaction, decode_signed
from node.storage.index import IndexStore
from node.wire.codec import MalformedError
from node.wire.ids import FeedTip, MemberId

PENDING_MAX: Final = 200_000
"""Transactions accepted here and not executed yet that are remembered; beyond it submissions are refused."""


class Engine(Protocol):
    """What this file needs of the engine."""

    def submit(self, transactions: tuple[SignedTransaction, ...]) -> asyncio.Future[FeedTip]:
        """Put transactions on this node's feed; done, with the tip of their batch, once they are durable here."""
        ...

    def count_holders(self, tip: FeedTip) -> int:
        """Return how many nodes are known to hold a batch durably, this one included."""
        ...


class Pending:
    """Transactions accepted here that are not executed yet, and who waits for them.

    One is lapsed if its feed ended first and its member has no next one: it never becomes final.
    """

    def __init__(self) -> None:
        self._tips: dict[Digest, FeedTip] = {}
        self._lapsed: dict[Digest, FeedTip] = {}
        self._has_feed = True
        self._waiting: dict[Digest, list[asyncio.Future[TransactionResult]]] = {}

    def __len__(self) -> int:
        return len(self._tips)

    @property
    def lapsed(self) -> int:
        """How many have lapsed and were not entered again."""
        return len(self._lapsed)

    def add(self, ids: Iterable[Digest], tip: FeedTip) -> None:
        """Remember that these are durable in the batch at `tip`."""
        # Its feed may have ended between the sealing and now.
        into = self._tips if self._has_feed else self._lapsed
        for one in ids:
            into[one] = tip

    def add_lapsed(self, transaction_id: Digest, tip: FeedTip) -> None:
        """Remember one of an ended feed, durable in the batch at `tip`."""
        self._lapsed[transaction_id] = tip

    def on_epoch(self, *, has_feed: bool) -> None:
        """Take up an epoch, all blocks before it being executed. has_feed: whether the member may submit in it."""
        self._has_feed = has_feed
        if not has_feed:
            self._lapsed.update(self._tips)
            self._tips.clear()

    def find_lapsed(self, transaction_id: Digest) -> FeedTip | None:
        """Return the batch of a lapsed transaction, or None."""
        return self._lapsed.get(transaction_id)

    def forget_lapsed(self, transaction_id: Digest) -> None:
        """Forget a lapsed transaction: all of it was entered again."""
        self._lapsed.pop(transaction_id, None)

    def find(self, transaction_id: Digest) -> FeedTip | None:
        """Return the batch of an accepted transaction, or None."""
        return self._tips.get(transaction_id)

    def wait(self, transaction_id: Digest) -> asyncio.Future[TransactionResult]:
        """Return a future that is done once the transaction is executed."""
        future: asyncio.Future[TransactionResult] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(transaction_id, []).append(future)
        return future

    def forget_waiting(self, transaction_id: Digest, future: asyncio.Future[TransactionResult]) -> None:
        """Take back a wait."""
        futures = self._waiting.get(transaction_id, [])
        if future in futures:
            futures.remove(future)
        if not futures:
            self._waiting.pop(transaction_id, None)

    def on_executed(self, height: Height, rows: Sequence[TransactionRow]) -> None:
        """Take up an executed block. Called for each, in order, with all of its transactions."""
        tips, lapsed, waiting = self._tips, self._lapsed, self._waiting
        if not tips and not lapsed and not waiting:
            return
        for row in rows:
            tips.pop(row.id, None)
            lapsed.pop(row.id, None)
            futures = waiting.pop(row.id, None)
            if futures is not None:
                result = describe_final(height, row)
                for future in futures:
                    if not future.done():
                        future.set_result(result)


def describe_final(height: Height, row: TransactionRow) -> TransactionResult:
    """Return an executed transaction as the API shows it."""
    return TransactionResult(
        id=row.id.hex(),
        state="final",
        member=row.feed.member,
        feed=row.feed.number,
        seq=row.seq,
        height=height,
        position=row.position,
        verdict=row.code.name.lower(),
        events=tuple(code.name.lower() for code in row.event_codes),
    )


class Transactions:
    """Fills in `api.backends.TransactionBackend`."""

    def __init__(
        self,
        engine: Engine,
        index: IndexStore,
        network_id: Digest,
        member: MemberId,
        *,
        governance: Callable[[], GovernanceState],
        pending: Pending,
        clock: Clock,
        final_wait_ms: int,
    ) -> None:
        self._engine = engine
        self._index = index
        self._network_id = network_id
        self._member = member
        self._governance = governance
        self._pending = pending
        self._clock = clock
        self._final_wait_seconds = final_wait_ms / 1000

    def submit(self, signed: bytes, *, wait: Wait) -> asyncio.Future[TransactionResult]:
        """Submit a signed transaction. Raises RequestError; see `api.backends`."""
        transaction = self._check(signed)
        answer: asyncio.Future[TransactionResult] = asyncio.get_running_loop().create_future()
        accepted = self.enter((transaction,))
        accepted.add_done_callback(partial(self._on_accepted, transaction, wait, answer))
        return answer

    def enter(self, transactions: tuple[SignedTransaction, ...]) -> asyncio.Future[FeedTip]:
        """Put good transactions of this node's member on its feed; done once they are durable. Raises BusyError."""
        if len(self._pending) + len(transactions) > PENDING_MAX:
            raise BusyError(f"{len(self._pending)} transactions wait to be final, more than this node takes on")
        accepted = self._engine.submit(transactions)
        accepted.add_done_callback(partial(self._remember, transactions))
        return accepted

    def _remember(self, transactions: tuple[SignedTransaction, ...], accepted: asyncio.Future[FeedTip]) -> None:
        if not accepted.cancelled() and accepted.exception() is None:
            self._pending.add((one.id for one in transactions), accepted.result())

    def _on_accepted(
        self,
        transaction: SignedTransaction,
        wait: Wait,
        answer: asyncio.Future[TransactionResult],
        accepted: asyncio.Future[FeedTip],
    ) -> None:
        if answer.done():
            return
        if accepted.cancelled():
            answer.cancel()
        elif (error := accepted.exception()) is not None:
            answer.set_exception(error)
        elif wait is Wait.ACCEPTED:
            answer.set_result(self._describe_accepted(transaction.id, accepted.result()))
        else:
            final = self.wait_final(transaction.id)
            final.add_done_callback(partial(_copy_outcome, answer))

    def wait_final(self, transaction_id: Digest) -> asyncio.Future[TransactionResult]:
        """Return a future of an accepted transaction's result; it raises `not_final_in_time` after a while."""
        final = self._pending.wait(transaction_id)
        # Looked up only now that its block cannot be missed: it may have been executed before anyone waited.
        with self._index.reader() as reader:
            found = reader.find_transaction(transaction_id)
        if found is not None:
            self._pending.forget_waiting(transaction_id, final)
            final.set_result(describe_final(*found))
            return final
        timer = asyncio.get_running_loop().call_later(self._final_wait_seconds, self._give_up, transaction_id, final)
        final.add_done_callback(partial(self._end_wait, transaction_id, timer))
        return final

    def _end_wait(
        self, transaction_id: Digest, timer: asyncio.TimerHandle, final: asyncio.Future[TransactionResult]
    ) -> None:
        """Forget a wait that is over; who waited may have gone away."""
        timer.cancel()
        self._pending.forget_waiting(transaction_id, final)

    def _give_up(self, transaction_id: Digest, final: asyncio.Future[TransactionResult]) -> None:
        if not final.done():
            words = f"accepted, and not final after {self._final_wait_seconds:g} s"
            hint = f"it stays accepted: ask tx.get for {transaction_id.hex()}; network.status shows who is missing"
            final.set_exception(RequestError("not_final_in_time", words, hint=hint))

    def get(self, transaction_id: str) -> TransactionResult:
        """Return what is known of a transaction. Raises NotFoundError."""
        wanted = Digest(bytes.fromhex(transaction_id))
        with self._index.reader() as reader:
            found = reader.find_transaction(wanted)
        if found is not None:
            return describe_final(*found)
        tip, lapsed = self._pending.find(wanted), self._pending.find_lapsed(wanted)
        if lapsed is not None:
            return _describe_lapsed(wanted, lapsed)
        if tip is None:
            raise NotFoundError(
                f"no transaction {transaction_id} at this node",
                field="params.id",
                hint="one of another member is known here once it is final",
            )
        return self._describe_accepted(wanted, tip)

    def _describe_accepted(self, transaction_id: Digest, tip: FeedTip) -> TransactionResult:
        return TransactionResult(
            id=transaction_id.hex(),
            state="accepted",
            member=tip.feed.member,
            feed=tip.feed.number,
            seq=tip.seq,
            holders=self._engine.count_holders(tip),
        )

    def is_lapsed(self, transaction_id: Digest) -> bool:
        """Return whether an accepted transaction never becomes final, its feed having ended."""
        return self._pending.find_lapsed(transaction_id) is not None

    def forget_lapsed(self, transaction_id: Digest) -> None:
        """Forget a lapsed transaction whose events were all entered again."""
        self._pending.forget_lapsed(transaction_id)

    def _check(self, signed: bytes) -> SignedTransaction:
        """Return the transaction, good enough for our feed: what no validator would refuse a batch for."""
        field = "params.signed"
        try:
            transaction = decode_signed(signed, self._network_id)
        except MalformedError as error:
            raise RequestError("malformed_transaction", str(error), field=field) from error
        body = transaction.transaction
        if body.member != self._member:
            raise RequestError(
                "wrong_member",
                f"the transaction is of {body.member}, and this is the node of {self._member}",
                field=field,
                hint="a member's transactions go through its own node",
            )
        roster = self._governance().roster
        own = roster.find(self._member)
        if own is None or not own.has_feed:
            words = (
                "is not a member of the network yet" if own is None else f"has the role {own.role}, and submits nothing"
            )
            raise RequestError("not_entitled", f"{self._member} {words}", field=field)
        if body.actor_key is not None and body.actor_key not in own.actor_keys:
            raise RequestError("actor_unknown", f"{self._member} has no actor key {body.actor_key.hex()}", field=field)
        if not transaction.verify_actor(self._network_id):
            raise RequestError(
                "bad_signature",
                "the actor's signature is not good for this transaction in this network",
                field=field,
                hint=f"it is made over the domain, the network id {self._network_id.hex()} and the bytes",
            )
        expiry_ms = roster.parameters.transaction_expiry_ms
        if abs(self._clock.wall_ms() - body.created_ms) > expiry_ms:
            raise RequestError(
                "expired",
                f"created at {body.created_ms}, more than {expiry_ms} ms from this node's clock",
                field=field,
                hint="sign it again with the present time",
            )
        return transaction


def _describe_lapsed(transaction_id: Digest, tip: FeedTip) -> TransactionResult:
    return TransactionResult(
        id=transaction_id.hex(), state="lapsed", member=tip.feed.member, feed=tip.feed.number, seq=tip.seq
    )


def _copy_outcome(answer: asyncio.Future[TransactionResult], done: asyncio.Future[TransactionResult]) -> None:
    if answer.done():
        return
    if done.cancelled():
        answer.cancel()
    elif (error := done.exception()) is not None:
        answer.set_exception(error)
    else:
        answer.set_result(done.result())
