"""Governance through this node: proposals and approvals in its member's name, and what has been decided."""

import asyncio
import os
from functools import partial
from typing import Final, Literal

import msgspec

from consensus.quorum import quorum_size
from consensus.types import Digest, Epoch
from node.api.errors import NotFoundError
from node.api.schema import governance as schema
from node.api.schema.transactions import TransactionResult, Wait
from node.app.backends.changes import describe_change, describe_difference, read_change, show_change
from node.app.backends.transactions import Transactions
from node.app.backends.verdicts import refusal_of
from node.clock import Clock
from node.errors import RequestError
from node.ledger.changes import apply_changes
from node.ledger.evidence import describe_kind
from node.ledger.governance import GovernanceState, Proposal, Queued, Request, decode_request, encode_reference
from node.ledger.roster import EpochRecord
from node.ledger.state import EvidenceRow
from node.ledger.transaction import NONCE_BYTES, Kind, Transaction, sign_transaction
from node.ledger.verdicts import TransactionCode
from node.storage.chain import ChainStore
from node.storage.index import IndexReader, IndexStore
from node.storage.originals import read_original
from node.wire.codec import MalformedError, pack
from node.wire.ids import MemberId
from node.wire.messages import certificate_fields

EVIDENCE_ANSWERED_MAX: Final = 1_000
PROOF_BYTES_MAX: Final = 4 * 1024 * 1024
"""So many bytes of rosters stand in one answer, or one roster."""

_State = Literal["open", "approved", "closed", "unknown"]


class Governance:
    """Fills in `api.backends.GovernanceBackend`."""

    def __init__(
        self,
        transactions: Transactions,
        chain: ChainStore,
        index: IndexStore,
        network_id: Digest,
        member: MemberId,
        *,
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._chain = chain
        self._index = index
        self._network_id = network_id
        self._member = member
        self._clock = clock

    def propose(
        self, changes: tuple[schema.Change, ...], note: str, *, wait: Wait
    ) -> asyncio.Future[schema.GovernResult]:
        """Propose; what execution would refuse at present is refused here, before it is sent. Raises RequestError."""
        with self._index.reader() as reader:
            state = reader.governance
            self._check_entitled(state, needs_vote=False)
            read = tuple(
                read_change(change, state.pending, self._network_id, field=f"params.changes[{number}]")
                for number, change in enumerate(changes)
            )
            outcome = apply_changes(
                state.pending, read, self._network_id, lambda feed: reader.executed_tip(feed) is not None
            )
        if isinstance(outcome, TransactionCode):
            raise refusal_of(outcome, field="params.changes")
        payload = Request(read, note).encode()
        try:
            decode_request(payload)
        except MalformedError as error:
            where, _, words = str(error).partition(": ")
            raise RequestError("invalid_params", words, field=where.replace("proposal", "params", 1)) from error
        return self._enter(Kind.PROPOSE, payload, None, wait)

    def approve(self, proposal_id: str, *, wait: Wait) -> asyncio.Future[schema.GovernResult]:
        """Approve an open proposal. Raises RequestError."""
        state = self._state()
        self._check_entitled(state, needs_vote=True)
        proposal = self._get_open(state, proposal_id)
        if self._member in proposal.approvals:
            raise refusal_of(TransactionCode.ALREADY_APPROVED, field="params.id")
        return self._enter(Kind.APPROVE, encode_reference(proposal.id), proposal.id, wait)

    def withdraw(self, proposal_id: str, *, wait: Wait) -> asyncio.Future[schema.GovernResult]:
        """Take back a proposal or an approval. Raises RequestError."""
        proposal = self._get_open(self._state(), proposal_id)
        if self._member not in (proposal.proposer, *proposal.approvals):
            raise refusal_of(TransactionCode.NOTHING_TO_WITHDRAW, field="params.id")
        return self._enter(Kind.WITHDRAW, encode_reference(proposal.id), proposal.id, wait)

    def proposals(self, *, epochs: int) -> schema.GovernList:
        """Return what is open, what waits for an epoch, and what the newest epochs changed."""
        with self._index.reader() as reader:
            state = reader.governance
            validators = state.roster.validators
            return schema.GovernList(
                epoch=state.roster.epoch,
                height=reader.height,
                validators=validators,
                needed=_needed(state),
                proposals=(
                    *(self._describe_open(one, state) for one in state.proposals),
                    *(self._describe_queued(one, state, reader) for one in state.queue),
                ),
                epochs=tuple(_describe_epochs(reader, state.roster.epoch, epochs)),
                evidence=len(reader.evidence(count=EVIDENCE_ANSWERED_MAX)),
            )

    def validators(self, *, from_epoch: int | None, count: int, proof: bool = False) -> schema.ValidatorsResult:
        """Return who voted in which epoch. proof: with what proves it, of as many epochs as one answer may hold."""
        with self._index.reader() as reader:
            newest = reader.governance.roster.epoch
            first = max(0, newest - count + 1) if from_epoch is None else from_epoch
            records = [reader.find_epoch(Epoch(number)) for number in range(first, min(first + count, newest + 1))]
        sets: list[schema.ValidatorSet] = []
        room = PROOF_BYTES_MAX
        for record in records:
            if record is None:
                continue
            described = _describe_set(record, self._network_id)
            if proof:
                proven = self._prove(record)
                room -= len(proven.roster) // 2
                if room < 0 and sets:
                    break
                described = msgspec.structs.replace(described, proof=proven)
            sets.append(described)
        return schema.ValidatorsResult(newest=newest, epochs=tuple(sets))

    def _prove(self, record: EpochRecord) -> schema.SetProof:
        """Return what proves the set of an epoch that is kept here. Raises DamagedStoreError."""
        roster = record.roster.encode().hex()
        if record.epoch == self._chain.genesis.epoch:
            return schema.SetProof(roster, None, None)
        end = self._chain.find_epoch_end(Epoch(record.epoch - 1))
        block = self._chain.find_final_block(record.anchor_height)
        if end is None or block is None:
            raise self._chain.damaged(f"block {record.anchor_height}, which begins epoch {record.epoch}, is missing")
        return schema.SetProof(roster, block.header.encode().hex(), pack(certificate_fields(end[1])).hex())

    def evidence(self, member: str | None) -> schema.EvidenceResult:
        """Return the misdeeds that stand on the ledger."""
        with self._index.reader() as reader:
            rows = reader.evidence(count=EVIDENCE_ANSWERED_MAX)
        mine = sorted((row for row in rows if member in (None, row.signer)), key=lambda row: (row.height, row.key))
        return schema.EvidenceResult(tuple(_describe_evidence(row) for row in mine))

    def _state(self) -> GovernanceState:
        with self._index.reader() as reader:
            return reader.governance

    def _check_entitled(self, state: GovernanceState, *, needs_vote: bool) -> None:
        own = state.roster.find(self._member)
        if own is None:
            words, hint = f"{self._member} is not a member of the network yet", "a member has to propose to add it"
            raise RequestError("not_entitled", words, hint=hint)
        if not own.has_feed or (needs_vote and self._member not in state.roster.validators):
            raise refusal_of(TransactionCode.NOT_ENTITLED, field="params")

    def _get_open(self, state: GovernanceState, proposal_id: str) -> Proposal:
        proposal = state.find_proposal(Digest(bytes.fromhex(proposal_id)))
        if proposal is not None:
            return proposal
        if any(queued.id.hex() == proposal_id for queued in state.queue):
            words = "the proposal is approved already, and takes effect at the next epoch"
            raise RequestError("already_approved", words, field="params.id")
        raise NotFoundError(
            f"no open proposal {proposal_id}",
            field="params.id",
            near=tuple(one.id.hex() for one in state.proposals[:5]),
            hint="lotvine govern list shows what is open, and what the last epochs changed",
        )

    # From a request to its outcome.

    def _enter(
        self, kind: Kind, payload: bytes, proposal: Digest | None, wait: Wait
    ) -> asyncio.Future[schema.GovernResult]:
        transaction = Transaction(kind, self._member, None, self._clock.wall_ms(), os.urandom(NONCE_BYTES), payload)
        signed = sign_transaction(transaction, self._network_id, None)
        answer: asyncio.Future[schema.GovernResult] = asyncio.get_running_loop().create_future()
        entered = self._transactions.submit(signed.encode(), wait=wait)
        is_withdrawal = kind is Kind.WITHDRAW
        entered.add_done_callback(partial(self._on_entered, proposal or signed.id, answer, is_withdrawal=is_withdrawal))
        return answer

    def _on_entered(
        self,
        proposal: Digest,
        answer: asyncio.Future[schema.GovernResult],
        entered: asyncio.Future[TransactionResult],
        *,
        is_withdrawal: bool,
    ) -> None:
        if answer.done():
            return
        if entered.cancelled():
            answer.cancel()
        elif (error := entered.exception()) is not None:
            answer.set_exception(error)
        else:
            try:
                answer.set_result(self._describe_outcome(proposal, entered.result(), is_withdrawal=is_withdrawal))
            except RequestError as refusal:
                answer.set_exception(refusal)

    def _describe_outcome(
        self, proposal: Digest, transaction: TransactionResult, *, is_withdrawal: bool
    ) -> schema.GovernResult:
        if transaction.verdict not in (None, TransactionCode.ACCEPTED.name.lower()):
            raise refusal_of(TransactionCode[str(transaction.verdict).upper()], field="params")
        state = self._state()
        found = state.find_proposal(proposal)
        stage: _State = "closed"
        if transaction.verdict is None:
            stage = "unknown"
        elif found is not None:
            stage = "open"
        elif not is_withdrawal:
            # Execution took it, and it is open no more: then it has its approvals, and waits or has taken effect.
            stage = "approved"
        return schema.GovernResult(
            proposal=proposal.hex(),
            state=stage,
            approvals=found.approvals if found is not None else (),
            needed=_needed(state),
            transaction=transaction,
        )

    # In words.

    def _describe_open(self, proposal: Proposal, state: GovernanceState) -> schema.ProposalEntry:
        return schema.ProposalEntry(
            id=proposal.id.hex(),
            state="open",
            proposer=proposal.proposer,
            note=proposal.note,
            changes=tuple(show_change(change) for change in proposal.changes),
            words=tuple(describe_change(change, state.roster) for change in proposal.changes),
            approvals=proposal.approvals,
            proposed_ms=proposal.proposed_ms,
        )

    def _describe_queued(self, queued: Queued, state: GovernanceState, reader: IndexReader) -> schema.ProposalEntry:
        proposer, note = "", ""
        found = reader.find_transaction(queued.id)
        if found is not None:
            proposer, note = found[1].feed.member, self._read_note(reader, queued.id)
        return schema.ProposalEntry(
            id=queued.id.hex(),
            state="approved",
            proposer=proposer,
            note=note,
            changes=tuple(show_change(change) for change in queued.changes),
            words=tuple(describe_change(change, state.roster) for change in queued.changes),
            approved_height=queued.approved_height,
        )

    def _read_note(self, reader: IndexReader, proposal: Digest) -> str:
        found = reader.find_transaction(proposal)
        assert found is not None
        try:
            return decode_request(read_original(self._chain, reader, found[1]).transaction.payload).note
        except MalformedError as error:
            # It was read when it was executed: the chain is not what it was.
            raise self._chain.damaged(error) from error


def _needed(state: GovernanceState) -> int:
    return len(state.roster.validators) * 2 // 3 + 1


def _describe_epochs(reader: IndexReader, newest: int, count: int) -> list[schema.EpochEntry]:
    entries = []
    for number in range(newest, max(0, newest - count), -1):
        record, before = reader.find_epoch(Epoch(number)), reader.find_epoch(Epoch(number - 1))
        if record is not None and before is not None:
            words = describe_difference(before.roster, record.roster)
            entries.append(schema.EpochEntry(number, record.anchor_height, words))
    return entries


def _describe_set(record: EpochRecord, network_id: Digest) -> schema.ValidatorSet:
    roster = record.roster
    return schema.ValidatorSet(
        epoch=record.epoch,
        anchor_height=record.anchor_height,
        anchor_digest=record.anchor_digest.hex(),
        roster_digest=roster.digest(network_id).hex(),
        quorum=quorum_size(len(roster.validators)),
        validators=tuple(
            schema.Validator(index, member, roster.members[member].node_key.hex())
            for index, member in enumerate(roster.validators)
        ),
        parameters=msgspec.to_builtins(roster.parameters),
    )


def _describe_evidence(row: EvidenceRow) -> schema.EvidenceEntry:
    kind = describe_kind(row.evidence)
    words = (
        f"{row.signer} wrote two batches for one place of its feed"
        if kind == "fork"
        else f"{row.signer} signed two votes of one view that exclude each other: {kind.replace('+', ' and ')}"
    )
    return schema.EvidenceEntry(
        signer=row.signer,
        kind=kind,
        words=words,
        epoch=row.evidence.epoch,
        reporter=row.reporter,
        transaction=row.transaction_id.hex(),
        height=row.height,
        evidence=row.evidence.encode().hex(),
    )
