"""The vote log: what this node has promised, on disk before anyone hears of it.

A folder of append-only segments of 4 MiB; `vote_records` has their bytes. An incomplete last record is a torn write,
whose vote was never sent: it is cut off. Anything else that does not fit is damage, and refused: LevelDB would read
it as the end of the data, and the node could vote twice. A log comes into the world in one of two ways: with its key
(`create_vote_log`), and then what it does not hold was never promised; or for a key that has lost its log
(`create_lost_log`), and then its first record says so, for ever: such a node asks its peers before it votes.
"""

import fcntl
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from consensus.errors import invariant
from consensus.messages import Vote
from consensus.types import Digest, Epoch, View
from node.errors import ConfigError, StorageError
from node.storage.errors import (
    DELETED_ADVICE,
    DISK_ADVICE,
    VOTE_LOG_ADVICE,
    DamagedVoteLogError,
    WriteFailedError,
    advise,
)
from node.storage.vote_records import (
    HEADER_BYTES,
    NO_FLOOR,
    RECORD_BYTES_MAX,
    START_POSITION,
    VIEWS_KEPT_BELOW_FLOOR,
    Carried,
    Contents,
    LoggedState,
    LogPosition,
    Record,
    RecordType,
    damaged,
    encode_header,
    encode_record,
    frame_record,
    read_header,
    read_segment,
    segment_numbers,
    segment_path,
)
from node.wire.codec import pack
from node.wire.logged import Loss

SEGMENT_BYTES: Final = 4 * 1024 * 1024
FIRST_EPOCH: Final = Epoch(0)
_CHECKSUM_BYTES: Final = 4


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def create_vote_log(folder: Path, *, network_id: Digest, public_key: bytes) -> None:
    """Make the empty log of a new key. Raises FileExistsError if the folder is there.

    # Safety: called only in the step that makes the key. An empty log says that the key has never voted.
    """
    _create(folder, 1, encode_header(network_id, public_key, 1))


def create_lost_log(folder: Path, *, network_id: Digest, public_key: bytes, first_segment: int) -> None:
    """Make the log of a key whose log is lost. Raises FileExistsError if the folder is there.

    first_segment: beyond those of the lost log, as far as known: so that its end passes for no end of this one.
    """
    header = encode_header(network_id, public_key, first_segment)
    content = bytearray(header)
    checksum = int.from_bytes(header[-_CHECKSUM_BYTES:], "big")
    for kind, payload in Carried(FIRST_EPOCH, loss=Loss(FIRST_EPOCH), oldest=first_segment).records():
        encoded, checksum = frame_record(kind, payload, checksum)
        content += encoded
    _create(folder, first_segment, content)


def _create(folder: Path, segment: int, content: bytes | bytearray) -> None:
    """Make a log of one segment. A crash on the way leaves one that is damaged, hence lost: never an empty one."""
    folder.mkdir(mode=0o700, parents=True)
    handle = os.open(segment_path(folder, segment), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        _write_all(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)
    _sync_folder(folder)
    _sync_folder(folder.parent)


class VoteLog:
    """The open log. One thread at a time uses it; after a failed write or sync it refuses everything."""

    def __init__(
        self,
        folder: Path,
        lock: int,
        handle: int,
        *,
        identity: tuple[Digest, bytes],
        position: LogPosition,
        checksum: int,
        first_segment: int,
        carried: Carried,
        sync_file: Callable[[int], None],
        segment_bytes: int,
    ) -> None:
        self._folder = folder
        self._lock = lock
        self._handle = handle
        self._network_id, self._public_key = identity
        self._position = self._synced = position
        self._checksum = checksum
        self._sync_file = sync_file
        self._segment_bytes = segment_bytes
        self._pending = bytearray()
        self._failed = False
        self._closed = False
        self._carried = carried
        self._first = first_segment

    @property
    def position(self) -> LogPosition:
        """How far the log is on disk: what has been synced, not merely written."""
        return replace(self._synced, public_key=self._public_key)

    def append(self, record: Record) -> None:
        """Buffer one record; it is promised to nobody until `sync` has returned.

        Raises InvariantError for a vote in an epoch that this log knows to be over.
        """
        epoch = self._carried.epoch
        # Safety: what was voted in an epoch that is over is no longer on record, so nothing more is voted there.
        invariant(not isinstance(record, Vote) or record.subject.epoch >= epoch, "no vote in an epoch that is over")
        self._carried.note(self._position.segment, record)
        self._buffer(*encode_record(record))
        if self._carried.epoch != epoch:
            # Votes of earlier epochs mean nothing any more; their segments go once this record is on disk.
            self._raise_oldest(self._position.segment)

    def append_chain_mark(self, commits: int) -> None:
        """Buffer how many commits the chain has; call it only once they are on disk."""
        self._carried.chain_commits = commits
        self._buffer(RecordType.CHAIN, pack((commits,)))

    def _buffer(self, kind: RecordType, payload: bytes) -> None:
        if len(payload) > RECORD_BYTES_MAX:
            raise ValueError(f"a vote log record of {len(payload)} bytes")
        encoded, self._checksum = frame_record(kind, payload, self._checksum)
        self._pending += encoded

    def sync(self) -> None:
        """Write what is buffered and wait until the disk has it: one sync for all of it.

        Raises WriteFailedError; the process must end then, since a second sync could report what was dropped as
        written.
        """
        self._write()
        self._guarded(lambda: self._sync_file(self._handle))
        if os.fstat(self._handle).st_nlink == 0:
            # Safety: a deleted file takes every write and ends with this process, so nothing of it may be said.
            self._failed = True
            raise WriteFailedError(
                f"vote log {self._folder}: its file was deleted while the node ran; {DELETED_ADVICE}"
            )
        self._synced = self._position
        self._delete_segments()
        if self._position.offset >= self._segment_bytes:
            self._begin_segment()

    def flush(self) -> None:
        """Hand what is buffered to the kernel without waiting for the disk: for records that nothing rests on.

        A full segment is synced all the same, and the next one begun: a node that never votes has a bounded log too.
        """
        self._write()
        if self._position.offset >= self._segment_bytes:
            self.sync()

    def _write(self) -> None:
        pending, self._pending = self._pending, bytearray()
        if pending:
            self._guarded(lambda: _write_all(self._handle, pending))
            self._position = LogPosition(self._position.segment, self._position.offset + len(pending))

    def _guarded(self, work: Callable[[], None]) -> None:
        if self._failed:
            raise WriteFailedError(f"vote log {self._folder}: an earlier write failed; restart the node")
        try:
            work()
        except OSError as error:
            self._failed = True
            raise WriteFailedError(f"vote log {self._folder}: {error}; {advise(error, DISK_ADVICE)}") from error

    def _begin_segment(self) -> None:
        """Open the next segment, which begins with what must never be lost when older ones go."""
        number = self._position.segment + 1

        def begin() -> None:
            handle = os.open(
                segment_path(self._folder, number), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600
            )
            header = encode_header(self._network_id, self._public_key, number)
            content = bytearray(header)
            self._checksum = int.from_bytes(header[-_CHECKSUM_BYTES:], "big")
            for kind, payload in self._carried.records():
                encoded, self._checksum = frame_record(kind, payload, self._checksum)
                content += encoded
            if self._carried.floor is not None:
                self._carried.note(number, self._carried.floor)
            _write_all(handle, content)
            self._sync_file(handle)
            _sync_folder(self._folder)
            os.close(self._handle)
            self._handle = handle
            self._position = self._synced = LogPosition(number, len(content))

        self._guarded(begin)

    def raise_floor(self, view: View) -> None:
        """Have whole segments deleted whose records all lie `VIEWS_KEPT_BELOW_FLOOR` and more below `view`.

        Call it once a finalization certificate of `view` or above is on disk. They go after the next sync, when the
        log itself says that it no longer needs them: else a lost segment would pass for a deleted one.
        """
        carried = self._carried
        if carried.floor is None or carried.floor.subject.view < view:
            return
        oldest = carried.oldest
        while oldest < self._position.segment and carried.views.get(oldest, NO_FLOOR) <= view - VIEWS_KEPT_BELOW_FLOOR:
            oldest += 1
        self._raise_oldest(oldest)

    def _raise_oldest(self, oldest: int) -> None:
        if oldest != self._carried.oldest:
            self._carried.oldest = oldest
            self._buffer(RecordType.OLDEST, pack((oldest,)))

    def _delete_segments(self) -> None:
        while self._first < self._carried.oldest:
            path = segment_path(self._folder, self._first)
            self._guarded(partial(path.unlink, missing_ok=True))
            self._carried.views.pop(self._first, None)
            self._first += 1

    def close(self) -> None:
        """Write and sync what is buffered, unless a write has failed, and unlock the log. Twice is as good as once."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._pending and not self._failed:
                self.sync()
        finally:
            os.close(self._handle)
            os.close(self._lock)


def _write_all(handle: int, content: bytes | bytearray) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(handle, view) :]


def _lock_folder(folder: Path) -> int:
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DamagedVoteLogError(f"vote log {folder}: {error}; {VOTE_LOG_ADVICE}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise ConfigError([f"vote log {folder} is in use: another process runs this node"]) from error
    return lock


def open_vote_log(
    folder: Path,
    *,
    network_id: Digest,
    public_key: bytes,
    sync_file: Callable[[int], None] = os.fdatasync,
    segment_bytes: int = SEGMENT_BYTES,
) -> tuple[VoteLog, LoggedState]:
    """Lock and read the log; cut off a torn last record. Close the log when done.

    Raises DamagedVoteLogError if it is missing or altered, and ConfigError if it is another key's or another
    network's, or another process has it.
    """
    try:
        lock = _lock_folder(folder)
    except OSError as error:
        raise StorageError(f"vote log {folder}: {error}; check the disk and who may read it") from error
    try:
        numbers = segment_numbers(folder)
        contents = Contents(Carried(FIRST_EPOCH))
        end = START_POSITION
        checksum = torn = 0
        for place, number in enumerate(numbers):
            path = segment_path(folder, number)
            if number != numbers[0] + place:
                raise damaged(segment_path(folder, numbers[0] + place), "the segment is missing")
            data = path.read_bytes()
            is_last = place == len(numbers) - 1
            if is_last and place and len(data) < HEADER_BYTES:
                # Begun by a process that died before anything was written into it.
                path.unlink()
                break
            checksum = read_header(path, data, network_id=network_id, public_key=public_key, number=number)
            offset, checksum = read_segment(path, data, checksum, number, contents)
            torn = len(data) - offset
            if torn and not is_last:
                raise damaged(path, f"it ends within the record at byte {offset}")
            end = LogPosition(number, offset)
        if numbers[0] > contents.carried.oldest:
            raise damaged(segment_path(folder, contents.carried.oldest), "the segment is missing")
        contents.carried.oldest = min(contents.carried.oldest, end.segment)
        handle = os.open(segment_path(folder, end.segment), os.O_WRONLY | os.O_APPEND)
        if torn:
            os.ftruncate(handle, end.offset)
            os.fsync(handle)
    except OSError as error:
        os.close(lock)
        raise StorageError(f"vote log {folder}: {error}; check the disk and who may read it") from error
    except BaseException:
        os.close(lock)
        raise
    log = VoteLog(
        folder,
        lock,
        handle,
        identity=(network_id, public_key),
        position=end,
        checksum=checksum,
        first_segment=numbers[0],
        carried=contents.carried,
        sync_file=sync_file,
        segment_bytes=segment_bytes,
    )
    return log, contents.state(torn)
