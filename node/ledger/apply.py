"""What executing a final block does: a pure function of state, block and batches, the same at every node.

Two levels of wrong. What is protocol-invalid never got into a cut. What only execution can see gets a rejected
verdict with a stable code; it stays on the ledger and changes nothing else. No clock, no floats in what is hashed,
no iteration over sets.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from consensus.errors import invariant
from consensus.messages import FLAG_EPOCH_END, Block, Header
from consensus.types import Digest, Height
from node.crypto.digests import STATE_DOMAIN, sha256
from node.crypto.merkle import merkle_root
from node.epcis.errors import UnreadableEventError
from node.epcis.reader import read_event, read_master
from node.ledger.batch import Batch
from node.ledger.evidence import Evidence, VoteEvidence, decode_evidence, find_fault
from node.ledger.governance import GovernanceState, Governing, decode_reference, decode_request
from node.ledger.roster import EpochRecord, Roster
from node.ledger.state import EvidenceRow, StateReader, TransactionRow, WriteSet
from node.ledger.transaction import Capture, Kind, SignedTransaction, decode_capture
from node.ledger.verdicts import EventCode, TransactionCode
from node.ledger.waivers import WaiverRow, decode_waiver
from node.lineage.indexing import file_event
from node.lineage.records import EventRef, EventRow, Filing, MasterRow
from node.wire.codec import MalformedError, pack
from node.wire.ids import FeedId, MemberId


def verdict_leaf(row: TransactionRow) -> bytes:
    """Return what a transaction's verdict adds to the state digest: id, code, and a byte for each event."""
    return row.id + bytes((row.code,)) + bytes(row.event_codes)


def next_state_digest(
    previous: Digest,
    transactions: Sequence[TransactionRow],
    feed_clocks: Sequence[tuple[FeedId, int]],
    governance: GovernanceState | None = None,
    evidence: Sequence[EvidenceRow] = (),
) -> Digest:
    """Return the running digest after a block: previous, root over the verdicts, digest of all else to agree on.

    governance: the state after the block where it is another one than before, else None.
    """
    others = pack(
        (
            tuple((feed.member, feed.number, clock_ms) for feed, clock_ms in feed_clocks),
            None if governance is None else governance.digest(),
            tuple(row.key for row in evidence),
        )
    )
    return sha256(STATE_DOMAIN, previous, merkle_root([verdict_leaf(row) for row in transactions]), sha256(others))


@dataclass(slots=True)
class _Execution:
    """What has been gathered of one block. The dicts serve look-ups within the block; nothing iterates sets."""

    state: StateReader
    block: Block
    height: Height
    time_ms: int
    transactions: list[TransactionRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    filings: list[Filing] = field(default_factory=list)
    masters: list[MasterRow] = field(default_factory=list)
    event_digests: dict[tuple[MemberId, Digest], None] = field(default_factory=dict)
    ids: dict[Digest, None] = field(default_factory=dict)
    feed_clocks: dict[FeedId, int] = field(default_factory=dict)
    evidence: dict[bytes, EvidenceRow] = field(default_factory=dict)
    waivers: list[WaiverRow] = field(default_factory=list)
    governing: Governing = field(init=False)
    roster: Roster = field(init=False)
    expiry_ms: int = field(init=False)

    def __post_init__(self) -> None:
        """Begin with the state of governance that the parent left; the roster is constant within a block."""
        governance = self.state.governance
        self.governing = Governing(governance, self.height, self.time_ms, self._has_final_batch)
        self.roster = governance.roster
        self.expiry_ms = governance.roster.parameters.transaction_expiry_ms

    def _has_final_batch(self, feed: FeedId) -> bool:
        # A feed's clock is what the state keeps of its batches; it stands still at 0 before the first.
        return self.feed_clocks.get(feed, 0) > 0 or self.state.feed_clock_ms(feed) > 0

    def apply_batch(self, batch: Batch) -> None:
        """Execute the transactions of one batch, in order."""
        feed = batch.header.feed
        clock_ms = self.feed_clocks.get(feed)
        if clock_ms is None:
            clock_ms = self.state.feed_clock_ms(feed)
        clock_ms = max(clock_ms, min(batch.header.time_ms, self.time_ms))
        self.feed_clocks[feed] = clock_ms
        for place, signed in enumerate(batch.transactions):
            code, event_codes = self._judge(signed, clock_ms)
            self.transactions.append(
                TransactionRow(
                    id=signed.id,
                    position=len(self.transactions),
                    feed=feed,
                    seq=batch.header.seq,
                    place=place,
                    kind=signed.transaction.kind,
                    created_ms=signed.transaction.created_ms,
                    code=code,
                    event_codes=event_codes,
                )
            )

    def _judge(self, signed: SignedTransaction, clock_ms: int) -> tuple[TransactionCode, tuple[EventCode, ...]]:
        transaction = signed.transaction
        if signed.id in self.ids or self.state.has_transaction(signed.id):
            return TransactionCode.DUPLICATE, ()
        self.ids[signed.id] = None
        expiry_ms = self.expiry_ms
        if transaction.created_ms < clock_ms - expiry_ms:
            return TransactionCode.EXPIRED, ()
        if transaction.created_ms > self.time_ms + expiry_ms:
            return TransactionCode.TOO_EARLY, ()
        if transaction.actor_key is not None:
            member = self.roster.find(transaction.member)
            if member is None or transaction.actor_key not in member.actor_keys:
                return TransactionCode.ACTOR_UNKNOWN, ()
        if transaction.kind == Kind.NOOP:
            return TransactionCode.ACCEPTED, ()
        try:
            if transaction.kind != Kind.CAPTURE:
                return self._apply_other(signed), ()
            capture = decode_capture(transaction.payload)
        except MalformedError:
            return TransactionCode.MALFORMED, ()
        return TransactionCode.ACCEPTED, self._apply_capture(signed, capture)

    def _apply_other(self, signed: SignedTransaction) -> TransactionCode:
        """Judge what is neither a capture nor a no-op. Raises MalformedError for a payload that cannot be read."""
        transaction, governing = signed.transaction, self.governing
        match transaction.kind:
            case Kind.PROPOSE:
                return governing.propose(signed.id, transaction.member, decode_request(transaction.payload))
            case Kind.APPROVE:
                return governing.approve(transaction.member, decode_reference(transaction.payload))
            case Kind.WITHDRAW:
                return governing.withdraw(transaction.member, decode_reference(transaction.payload))
            case Kind.EVIDENCE:
                return self._apply_evidence(signed, decode_evidence(transaction.payload))
            case Kind.WAIVE:
                waived, member = decode_waiver(transaction.payload), transaction.member
                self.waivers.append(WaiverRow(waived.flag_id, member, waived.reason, signed.id, self.height))
                return TransactionCode.ACCEPTED
            case _:
                return TransactionCode.UNKNOWN_KIND

    def _apply_evidence(self, signed: SignedTransaction, evidence: Evidence) -> TransactionCode:
        state, running = self.state, self.roster.epoch
        if isinstance(evidence, VoteEvidence) and evidence.epoch < running - 1:
            return TransactionCode.EVIDENCE_EXPIRED
        record = state.find_epoch(evidence.epoch)
        signer = None if record is None else evidence.find_signer(record.roster)
        if record is None or signer is None:
            return TransactionCode.EVIDENCE_UNPROVEN
        key = evidence.key(signer)
        # Before the signatures: whoever repeats what is known costs a look-up, not two verifications.
        if key in self.evidence or state.has_evidence(key):
            return TransactionCode.EVIDENCE_KNOWN
        if find_fault(evidence, state.network_id, record) is not None:
            return TransactionCode.EVIDENCE_UNPROVEN
        self.evidence[key] = EvidenceRow(
            key=key,
            signer=signer,
            evidence=evidence,
            reporter=signed.transaction.member,
            transaction_id=signed.id,
            height=self.height,
        )
        return TransactionCode.ACCEPTED

    def _apply_capture(self, signed: SignedTransaction, capture: Capture) -> tuple[EventCode, ...]:
        member = signed.transaction.member
        position = len(self.transactions)
        codes = tuple(
            self._apply_event(signed, EventRef(self.height, position, number), raw, capture.context)
            for number, raw in enumerate(capture.events)
        )
        for raw in capture.vocabulary:
            try:
                records = read_master(raw)
            except UnreadableEventError:
                continue
            ref = EventRef(self.height, position, 0)
            self.masters.extend(MasterRow(ref, member, record) for record in records)
        return codes

    def _apply_event(self, signed: SignedTransaction, ref: EventRef, raw: bytes, context: bytes) -> EventCode:
        try:
            event = read_event(raw, context)
        except UnreadableEventError:
            return EventCode.UNREADABLE
        member = signed.transaction.member
        key = (member, event.event_digest)
        if key in self.event_digests or self.state.has_event(member, event.event_digest):
            return EventCode.DUPLICATE
        self.event_digests[key] = None
        row = EventRow(
            ref=ref,
            transaction_id=signed.id,
            member=member,
            ledger_time_ms=self.time_ms,
            record_time_ms=signed.transaction.created_ms,
            event=event,
        )
        self.events.append(row)
        self.filings.append(file_event(row))
        return EventCode.ACCEPTED


def apply_block(state: StateReader, block: Block, batches: Sequence[Batch]) -> WriteSet:
    """Return all that the block changes. Nothing is written, and `state` is only read.

    state: after the parent block. batches: all that the block newly covers, in cut order. Raises InvariantError if
    they are not what the header names: our own bug, since a quorum has checked them.
    """
    header = block.header
    invariant(header.height == state.height + 1, "blocks are executed in height order, each once")
    invariant(len(batches) == header.batch_count, "a block is executed with all the batches it covers")
    invariant(
        merkle_root([batch.digest for batch in batches]) == header.batch_root, "the batches are those of the block"
    )
    before = state.governance
    invariant(header.epoch == before.roster.epoch, "a block is executed in its own epoch")
    execution = _Execution(state, block, header.height, header.timestamp_ms)
    execution.governing.expire()
    for batch in batches:
        execution.apply_batch(batch)
    record = _end_epoch(execution.governing, header) if header.flags & FLAG_EPOCH_END else None
    feed_clocks = tuple(sorted(execution.feed_clocks.items()))
    governance = execution.governing.state
    is_changed = governance is not before
    evidence = tuple(execution.evidence.values())
    return WriteSet(
        height=header.height,
        block_digest=header.digest(),
        time_ms=header.timestamp_ms,
        state_digest=next_state_digest(
            state.state_digest, execution.transactions, feed_clocks, governance if is_changed else None, evidence
        ),
        transactions=tuple(execution.transactions),
        events=tuple(execution.events),
        filings=tuple(execution.filings),
        masters=tuple(execution.masters),
        feed_clocks=feed_clocks,
        event_digests=tuple(execution.event_digests),
        governance=governance,
        is_governance_changed=is_changed,
        epoch_record=record,
        evidence=evidence,
        waivers=tuple(execution.waivers),
    )


def _end_epoch(governing: Governing, header: Header) -> EpochRecord:
    """Enact what the last block of an epoch names. Each voter has checked that it is what was due."""
    record = governing.enact(header.executed_height, header.digest())
    invariant(
        record.roster.digest(header.network_id) == header.next_epoch_digest,
        "the last block of an epoch names the roster that was due",
    )
    return record
