"""The bytes of the vote log: segments, records, checksums, and what reading them gathers.

A segment begins with a header (what it is, whose, which number); records follow:

    length u32 ‖ type u8 ‖ checksum of those five bytes u32 ‖ payload ‖ checksum of the payload u32

Every checksum is a CRC-32 that starts from the one before it, so that a record cannot be cut out, doubled or moved
unseen, and a flipped bit in a length is told from a record that was cut short. It is zlib's CRC-32, not CRC-32C:
it finds the same short bursts and needs no further library.
"""

import struct
import zlib
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Final

from consensus.messages import Certificate, Vote, VoteKind
from consensus.types import Digest, Epoch, View
from node.errors import ConfigError
from node.storage.errors import VOTE_LOG_ADVICE, DamagedVoteLogError
from node.wire.codec import MalformedError, pack, read_array, read_int, unpack
from node.wire.ids import FeedTip, read_feed_tip
from node.wire.logged import EpochStart, Loss, read_epoch_start, read_loss
from node.wire.messages import certificate_fields, read_certificate, read_vote, vote_fields

RECORD_BYTES_MAX: Final = 64 * 1024
VIEWS_KEPT_BELOW_FLOOR: Final = 8
"""As many as the core keeps, so that late conflicts are still seen."""

NO_FLOOR: Final = View(0)

_OTHER_HOME: Final = "put back the genesis.json and keys/ that belong to this home, or use another home"
_MAGIC: Final = b"lotvine votes\x00\x00\x01"
_HEADER: Final = struct.Struct(">16s32s32sQ")
_CHECKSUM: Final = struct.Struct(">I")
_RECORD: Final = struct.Struct(">IB")
HEADER_BYTES: Final = _HEADER.size + _CHECKSUM.size
_PREFIX_BYTES: Final = _RECORD.size + _CHECKSUM.size


class RecordType(IntEnum):
    """What a record holds. Numbers stand on disk and are never used again."""

    VOTE = 1
    CERTIFICATE = 2
    BATCH = 3
    """The tip of this node's own feed: the batch was durable before it was logged."""
    CHAIN = 4
    """How many commits the chain had when this was written: fewer at start means that it lost some."""
    OLDEST = 5
    """The oldest segment still needed: those before it may be gone."""
    EPOCH = 6
    """The epoch that the node serves in from here on: votes before it mean nothing any more."""
    LOSS = 7
    """An earlier log of this key is lost; the newest record says how far the node has come since."""


@dataclass(frozen=True, slots=True, order=True)
class LogPosition:
    """How far the log is on disk: a segment and the bytes in it. public_key: whose log it is; empty for none yet."""

    segment: int
    offset: int
    public_key: bytes = field(default=b"", compare=False)

    def __str__(self) -> str:
        return f"byte {self.offset} of segment {self.segment}"


START_POSITION: Final = LogPosition(1, HEADER_BYTES)


@dataclass(frozen=True, slots=True)
class LoggedState:
    """What the log holds of its newest epoch. votes: own ones. certificates: all that were relayed or rested upon.

    Both only from `VIEWS_KEPT_BELOW_FLOOR` views below the floor on. newest_batch: of the own feed, or None.
    chain_commits: of the newest mark. floor_view: of the highest finalization certificate, 0 without one.
    torn_bytes: how much of an unfinished last record was cut off. epoch_start: of the epoch, None while that is the
    first. loss: what this key has lost, None for nothing.
    """

    votes: tuple[Vote, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    newest_batch: FeedTip | None = None
    chain_commits: int = 0
    floor_view: View = NO_FLOOR
    torn_bytes: int = 0
    epoch_start: EpochStart | None = None
    loss: Loss | None = None


Record = Vote | Certificate | FeedTip | EpochStart | Loss
"""What the replica asks to log."""


def encode_record(record: Record) -> tuple[RecordType, bytes]:
    """Return the type and the payload of a record."""
    match record:
        case Vote():
            return RecordType.VOTE, pack(vote_fields(record))
        case Certificate():
            return RecordType.CERTIFICATE, pack(certificate_fields(record))
        case FeedTip():
            return RecordType.BATCH, pack(record.to_fields())
        case EpochStart():
            return RecordType.EPOCH, pack(record.to_fields())
        case Loss():
            return RecordType.LOSS, pack(record.to_fields())


def segment_path(folder: Path, number: int) -> Path:
    """Return where segment `number`, from 1 on, stands."""
    return folder / f"{number:010d}.votes"


def encode_header(network_id: Digest, public_key: bytes, number: int) -> bytes:
    """Return the first `HEADER_BYTES` of a segment; its last four are its checksum."""
    fields = _HEADER.pack(_MAGIC, network_id, public_key, number)
    return fields + _CHECKSUM.pack(zlib.crc32(fields))


def frame_record(kind: RecordType, payload: bytes, checksum: int) -> tuple[bytes, int]:
    """Return a record's bytes and its checksum. checksum: that of the record or header before it."""
    prefix = _RECORD.pack(len(payload), kind)
    head = zlib.crc32(prefix, checksum)
    tail = zlib.crc32(payload, head)
    return prefix + _CHECKSUM.pack(head) + payload + _CHECKSUM.pack(tail), tail


@dataclass(slots=True)
class Carried:
    """What must never be lost when old segments go: each new segment begins with it. epoch: the newest."""

    epoch: Epoch
    epoch_start: EpochStart | None = None
    loss: Loss | None = None
    newest_batch: FeedTip | None = None
    chain_commits: int = 0
    floor: Certificate | None = None
    oldest: int = 1
    views: dict[int, View] = field(default_factory=dict)
    """The highest view that each segment has a record of."""

    def note(self, segment: int, record: Record) -> None:
        """Remember what `record`, of that segment, adds."""
        match record:
            case FeedTip():
                self.newest_batch = record
            case Loss():
                self.loss = record
            case EpochStart():
                self._enter(record)
            case _ if record.subject.epoch == self.epoch:
                self._note_of_epoch(segment, record)

    def _enter(self, start: EpochStart) -> None:
        """Begin an epoch: what is recorded of the ones before is needed no longer.

        # Safety: never an earlier one. A node that takes its chain anew passes through epochs that it has served in,
        # and its votes of the newest must outlast that.
        """
        if start.epoch < self.epoch:
            return
        if start.epoch > self.epoch:
            self.floor = None
            self.views.clear()
        self.epoch, self.epoch_start = start.epoch, start

    def _note_of_epoch(self, segment: int, record: Vote | Certificate) -> None:
        subject = record.subject
        self.views[segment] = max(self.views.get(segment, NO_FLOOR), subject.view)
        if (
            isinstance(record, Certificate)
            and subject.kind is VoteKind.FINALIZE
            and (self.floor is None or subject.view > self.floor.subject.view)
        ):
            self.floor = record

    def records(self) -> list[tuple[RecordType, bytes]]:
        """Return what a new segment begins with."""
        carried = [(RecordType.CHAIN, pack((self.chain_commits,))), (RecordType.OLDEST, pack((self.oldest,)))]
        kept = (self.epoch_start, self.loss, self.newest_batch, self.floor)
        carried.extend(encode_record(record) for record in kept if record is not None)
        return carried


@dataclass(slots=True)
class Contents:
    """What reading the segments gathers."""

    carried: Carried
    votes: list[Vote] = field(default_factory=list)
    certificates: list[Certificate] = field(default_factory=list)

    def add(self, segment: int, kind: RecordType, payload: bytes) -> None:
        """Take up one record. Raises MalformedError."""
        fields = unpack(payload, what="vote log record")
        carried = self.carried
        match kind:
            case RecordType.VOTE:
                vote = read_vote(fields, "vote")
                carried.note(segment, vote)
                if vote.subject.epoch == carried.epoch:
                    self.votes.append(vote)
            case RecordType.CERTIFICATE:
                certificate = read_certificate(fields, "certificate")
                carried.note(segment, certificate)
                if certificate.subject.epoch == carried.epoch:
                    self.certificates.append(certificate)
            case RecordType.BATCH:
                carried.note(segment, read_feed_tip(fields, "batch"))
            case RecordType.EPOCH:
                start = read_epoch_start(fields, "epoch")
                if start.epoch > carried.epoch:
                    self.votes.clear()
                    self.certificates.clear()
                carried.note(segment, start)
            case RecordType.LOSS:
                carried.note(segment, read_loss(fields, "loss"))
            case RecordType.CHAIN:
                carried.chain_commits = read_int(read_array(fields, "chain", length=1)[0], "chain")
            case RecordType.OLDEST:
                carried.oldest = read_int(read_array(fields, "oldest", length=1)[0], "oldest")

    def state(self, torn_bytes: int) -> LoggedState:
        """Return what was read, without what lies far below the floor."""
        floor = NO_FLOOR if self.carried.floor is None else self.carried.floor.subject.view
        kept = floor - VIEWS_KEPT_BELOW_FLOOR
        return LoggedState(
            votes=tuple(vote for vote in self.votes if vote.subject.view > kept),
            certificates=tuple(entry for entry in self.certificates if entry.subject.view > kept),
            newest_batch=self.carried.newest_batch,
            chain_commits=self.carried.chain_commits,
            floor_view=floor,
            torn_bytes=torn_bytes,
            epoch_start=self.carried.epoch_start,
            loss=self.carried.loss,
        )


def damaged(path: Path, why: str) -> DamagedVoteLogError:
    """Return the error that says so, with the way out."""
    return DamagedVoteLogError(f"vote log {path}: {why}; {VOTE_LOG_ADVICE}")


def read_header(path: Path, data: bytes, *, network_id: Digest, public_key: bytes, number: int) -> int:
    """Check the header of a segment and return its checksum.

    Raises DamagedVoteLogError, and ConfigError for a sound log of another network or key: nothing is lost then.
    """
    if len(data) < HEADER_BYTES:
        raise damaged(path, "its header is cut short")
    magic, network, key, found = _HEADER.unpack_from(data)
    checksum = zlib.crc32(data[: _HEADER.size])
    if _CHECKSUM.unpack_from(data, _HEADER.size)[0] != checksum:
        raise damaged(path, "its header does not have its checksum")
    if magic != _MAGIC:
        raise damaged(path, "its header is of an unknown version")
    if network != network_id:
        raise ConfigError(
            [f"{path} is the vote log of network {network.hex()}, genesis.json of {network_id.hex()}: {_OTHER_HOME}"]
        )
    if key != public_key:
        raise ConfigError([f"{path} is the vote log of node key {key.hex()}, not {public_key.hex()}: {_OTHER_HOME}"])
    if found != number:
        raise damaged(path, f"it says that it is segment {found}")
    return checksum


def read_segment(path: Path, data: bytes, checksum: int, number: int, contents: Contents) -> tuple[int, int]:
    """Read the records of one segment; return (bytes up to the last whole record, checksum there)."""
    offset = HEADER_BYTES
    size = len(data)
    while size - offset >= _PREFIX_BYTES:
        length, kind = _RECORD.unpack_from(data, offset)
        head = zlib.crc32(data[offset : offset + _RECORD.size], checksum)
        if _CHECKSUM.unpack_from(data, offset + _RECORD.size)[0] != head:
            raise damaged(path, f"the record at byte {offset} does not have its checksum")
        start = offset + _PREFIX_BYTES
        if start + length + _CHECKSUM.size > size:
            break
        payload = data[start : start + length]
        tail = zlib.crc32(payload, head)
        if _CHECKSUM.unpack_from(data, start + length)[0] != tail:
            raise damaged(path, f"the record at byte {offset} does not have its checksum")
        try:
            contents.add(number, RecordType(kind), payload)
        except (MalformedError, ValueError) as error:
            raise damaged(path, f"the record at byte {offset} cannot be read ({error})") from error
        checksum = tail
        offset = start + length + _CHECKSUM.size
    return offset, checksum


def segment_numbers(folder: Path) -> list[int]:
    """Return the numbers of the segments that are there, rising.

    Raises DamagedVoteLogError if there is none, OSError if the folder cannot be read.
    """
    names = sorted(folder.iterdir())
    numbers = [int(path.stem) for path in names if path.suffix == ".votes" and path.stem.isdecimal()]
    if not numbers:
        raise damaged(folder, "it has no segment")
    return numbers
