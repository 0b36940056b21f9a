"""What a simulated core stands on: the anchor, payloads of small numbers, the state they lead to, and a disk.

An item is a number; an item of `CHANGE` or more asks for another validator set, which the network knows by that
number. A change is due in the state after the block that covers it, until a seal enacts it.
"""

import hashlib
import struct
from dataclasses import dataclass, field

from consensus.messages import FLAG_EPOCH_END, Block, Certificate, Header, Vote, payload_digest
from consensus.recovery import GUARD_CLOSED, NO_GUARD, Recovered
from consensus.types import ZERO_DIGEST, Digest, Epoch, Height, ValidatorIndex, View

NETWORK_ID = Digest(hashlib.sha256(b"simulated network").digest())
WALL_START_MS = 1_700_000_000_000
CHANGE = 1_000_000_000
NOOP = 500_000_000
"""Items from here on are the no-ops of nodes that lost their disks."""

UNEXECUTED_MAX = 16
"""A block whose executed height lies further below its own covers no items."""

ANCHOR = Block(
    Header(
        network_id=NETWORK_ID,
        epoch=Epoch(0),
        height=Height(0),
        view=View(0),
        proposer=ValidatorIndex(0),
        parent_digest=ZERO_DIGEST,
        timestamp_ms=WALL_START_MS - 1,
        cut_digest=payload_digest(b""),
        batch_root=ZERO_DIGEST,
        history_root=ZERO_DIGEST,
        batch_count=0,
        transaction_count=0,
        executed_height=Height(0),
        state_digest=ZERO_DIGEST,
        flags=0,
        next_epoch_digest=ZERO_DIGEST,
    ),
    b"",
)


def encode_payload(items: list[int]) -> bytes:
    """Return a payload that covers these items."""
    return struct.pack(f">{len(items)}I", *items)


def decode_payload(payload: bytes) -> list[int]:
    """Return the items that a payload covers."""
    return list(struct.unpack(f">{len(payload) // 4}I", payload))


def digest_of(block: Block) -> Digest:
    """Return the name of a block; that of the first anchor is the network id."""
    return NETWORK_ID if block is ANCHOR else block.header.digest()


@dataclass(frozen=True)
class ChainState:
    """The state after a block. due: changes that wait for a seal, in order; queued: all that ever did."""

    digest: Digest = ZERO_DIGEST
    due: tuple[int, ...] = ()
    queued: frozenset[int] = frozenset()

    @property
    def due_digest(self) -> Digest:
        """What a seal of this executed height must name; zero when nothing is due."""
        return Digest(hashlib.sha256(repr(self.due).encode()).digest()) if self.due else ZERO_DIGEST

    def after(self, block: Block, executed: "ChainState") -> "ChainState":
        """Return the state after `block`. executed: the state its header names; a seal enacts what is due there."""
        due = self.due
        if block.header.flags & FLAG_EPOCH_END:
            due = tuple(change for change in due if change not in executed.due)
        new = [item for item in decode_payload(block.payload) if item >= CHANGE and item not in self.queued]
        digest = Digest(hashlib.sha256(self.digest + block.header.digest()).digest())
        return ChainState(digest, (*due, *new), self.queued | frozenset(new))


@dataclass(frozen=True)
class EpochStart:
    """The record that begins an epoch at a node. members: the nodes that vote, in the order of their seats."""

    epoch: Epoch
    anchor: Block
    members: tuple[int, ...]


@dataclass
class Disk:
    """What survives a crash: everything synced, and nothing else.

    is_lost: it was made anew after an older one was lost, and nothing yet proves that no old vote can count.
    noop: the item that its owner made after the loss; 0 for none. closings: what ended each epoch.
    guards: what was answered in each epoch after a loss, on record before any vote: a restart asks no second time.
    covered: the items in the chain, so that looking one up is cheap.
    """

    start: EpochStart
    records: dict[Vote | Certificate, None] = field(default_factory=dict)
    blocks: dict[Digest, Block] = field(default_factory=dict)
    chain: list[Block] = field(default_factory=list)
    final_certificate: Certificate | None = None
    states: list[ChainState] = field(default_factory=lambda: [ChainState()])
    closings: dict[Epoch, Certificate] = field(default_factory=dict)
    unsynced: list[Vote | Certificate | Block | EpochStart] = field(default_factory=list)
    is_lost: bool = False
    noop: int = 0
    guards: dict[Epoch, View] = field(default_factory=dict)
    covered: set[int] = field(default_factory=set)

    def extend(self, block: Block) -> None:
        """The block is final, and durable."""
        self.chain.append(block)
        self.covered.update(decode_payload(block.payload))

    def sync(self) -> None:
        for record in self.unsynced:
            if isinstance(record, Block):
                self.blocks[record.header.digest()] = record
            elif isinstance(record, EpochStart):
                self.start = record
            else:
                self.records[record] = None
        self.unsynced.clear()

    def lose_unsynced(self, keep: int) -> None:
        """A crash: the first `keep` unsynced records happen to have reached the disk."""
        del self.unsynced[keep:]
        self.sync()

    def drop_records(self, final: Certificate) -> None:
        """What `final` finalizes is durable: records up to its view, and of epochs before, are never needed again."""
        floor = (final.subject.epoch, final.subject.view)
        kept = (record for record in self.records if (record.subject.epoch, record.subject.view) > floor)
        self.records = dict.fromkeys(kept)

    @property
    def must_rejoin(self) -> bool:
        """Whether an old vote of ours in this epoch may exist that we have forgotten."""
        below = self.chain[: self.start.anchor.header.height]
        return self.is_lost and not any(self.noop and self.noop in decode_payload(block.payload) for block in below)

    @property
    def guard(self) -> View:
        """Vote only above it: what the answers gave in this epoch, closed before they are in."""
        return self.guards.get(self.start.epoch, GUARD_CLOSED) if self.must_rejoin else NO_GUARD

    def recovered(self) -> Recovered:
        final = self.chain[-1] if self.chain else None
        height = len(self.chain)
        return Recovered(
            votes=tuple(record for record in self.records if isinstance(record, Vote)),
            certificates=tuple(record for record in self.records if isinstance(record, Certificate)),
            final_block=final,
            final_certificate=self.final_certificate,
            blocks=tuple(block for block in self.blocks.values() if block.header.height > height),
            executed=tuple((Height(number), state.digest) for number, state in enumerate(self.states)),
            guard=self.guard,
        )
