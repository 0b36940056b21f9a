"""The first entry of a member that has none: nothing, once, so that others see that its node runs and has caught up.

Only a member whose present feed has a final batch can be made a validator. Who joined, or has a new feed, would have
to enter something for no other reason.
"""

import asyncio
import os
from functools import partial
from typing import Protocol

from node.clock import Clock
from node.crypto.keys import PublicKey
from node.errors import RequestError
from node.ledger.roster import Role
from node.ledger.transaction import NONCE_BYTES, Kind, SignedTransaction, Transaction, sign_transaction
from node.replica.overview import Overview
from node.storage.index import IndexStore
from node.wire.ids import FeedId, FeedTip, MemberId


class Engine(Protocol):
    """What this file needs of the engine."""

    def overview(self) -> Overview:
        """Return where this node stands."""
        ...

    def submit(self, transactions: tuple[SignedTransaction, ...]) -> asyncio.Future[FeedTip]:
        """Put transactions on this node's feed; done once they are durable here."""
        ...


class Introducer:
    """Looks whether the member has something to enter for the first time, and enters it."""

    def __init__(self, engine: Engine, index: IndexStore, member: MemberId, key: PublicKey, clock: Clock) -> None:
        self._engine = engine
        self._index = index
        self._member = member
        self._key = key
        self._clock = clock
        self._entered: set[FeedId] = set()

    def look(self) -> bool:
        """Enter nothing on an empty feed of a member that does not vote; return whether it was done now."""
        with self._index.reader() as reader:
            own = reader.governance.roster.find(self._member)
            if own is None or own.role is not Role.MEMBER or own.node_key != self._key or own.feed in self._entered:
                return False
            network_id, is_known = reader.network_id, reader.executed_tip(own.feed) is not None
        if is_known or self._engine.overview().sync_target is not None:
            return False
        self._entered.add(own.feed)
        noop = Transaction(Kind.NOOP, own.id, None, self._clock.wall_ms(), os.urandom(NONCE_BYTES), b"")
        entered = self._engine.submit((sign_transaction(noop, network_id, None),))
        entered.add_done_callback(partial(self._on_entered, own.feed))
        return True

    def _on_entered(self, feed: FeedId, entered: asyncio.Future[FeedTip]) -> None:
        if not entered.cancelled() and isinstance(entered.exception(), RequestError):
            # Not taken, such as while the node rejoins: tried again at the next look.
            self._entered.discard(feed)
