"""Evidence that the engine met, brought onto the ledger once, in this member's name.

The ledger counts a misdeed once however often it is brought; this file spares it what is known to stand there, and
what this node has brought already.
"""

import asyncio
import os
from collections.abc import Callable
from typing import Final

from consensus.evidence import Equivocation
from consensus.messages import Vote
from node.clock import Clock
from node.errors import RequestError
from node.ledger.evidence import Evidence, ForkEvidence, SignedHeader, VoteEvidence, pair_batches
from node.ledger.governance import GovernanceState
from node.ledger.transaction import NONCE_BYTES, Kind, SignedTransaction, Transaction, sign_transaction
from node.replica.effects import ReportEvidence
from node.storage.chain import ChainStore
from node.storage.index import IndexStore
from node.telemetry.logs import get_logger
from node.wire.ids import FeedTip, MemberId

BROUGHT_MAX: Final = 1_024
"""Misdeeds remembered as brought; a faulty node could make ever more of them."""

_log = get_logger("app")

Submit = Callable[[tuple[SignedTransaction, ...]], asyncio.Future[FeedTip]]


class EvidenceReporter:
    """Makes transactions of evidence. submit: puts them on this member's feed."""

    def __init__(self, submit: Submit, chain: ChainStore, index: IndexStore, member: MemberId, clock: Clock) -> None:
        self._submit = submit
        self._chain = chain
        self._index = index
        self._member = member
        self._clock = clock
        self._brought: dict[bytes, None] = {}

    def bring(self, met: ReportEvidence) -> bool:
        """Submit a transaction with this evidence unless the ledger has it; return whether one was submitted."""
        with self._index.reader() as reader:
            governance = reader.governance
            evidence = self._build(met, governance)
            record = None if evidence is None else reader.find_epoch(evidence.epoch)
            signer = None if evidence is None or record is None else evidence.find_signer(record.roster)
            if evidence is None or signer is None or reader.has_evidence(evidence.key(signer)):
                return False
            network_id = reader.network_id
        own = governance.roster.find(self._member)
        key = evidence.key(signer)
        if own is None or not own.has_feed or key in self._brought or len(self._brought) >= BROUGHT_MAX:
            return False
        self._brought[key] = None
        payload, created_ms = evidence.encode(), self._clock.wall_ms()
        transaction = Transaction(Kind.EVIDENCE, self._member, None, created_ms, os.urandom(NONCE_BYTES), payload)
        submitted = self._submit((sign_transaction(transaction, network_id, None),))
        submitted.add_done_callback(lambda done: self._on_submitted(key, done))
        return True

    def _build(self, met: ReportEvidence, governance: GovernanceState) -> Evidence | None:
        match met.first, met.second:
            case Vote() as first, Vote() as second:
                return VoteEvidence(Equivocation.pair(first, second))
            case FeedTip() as one, FeedTip() as other:
                if self._chain.find_batch(one) is None or self._chain.find_batch(other) is None:
                    return None
                batches = self._chain.get_batch(one), self._chain.get_batch(other)
                return pair_batches(governance.roster.epoch, *batches)
            case SignedHeader() as heard, SignedHeader() as rival:
                return ForkEvidence(governance.roster.epoch, heard, rival)
            case _:
                return None

    def _on_submitted(self, key: bytes, done: asyncio.Future[FeedTip]) -> None:
        if done.cancelled() or done.exception() is None:
            return
        # Not taken: whoever meets the misdeed again, this node or another, brings it then.
        self._brought.pop(key, None)
        error = done.exception()
        if not isinstance(error, RequestError):
            raise error  # type: ignore[misc]  # Never None here.
        _log.warning("evidence was not taken", why=str(error))
