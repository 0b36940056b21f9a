"""The vote log: what was synced is there after any crash, and what is damaged is never read as an end."""

import os
import shutil
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from consensus.errors import InvariantError
from consensus.messages import VoteKind
from consensus.types import Digest, Epoch, View
from node.errors import ConfigError, StorageError
from node.storage.errors import DamagedVoteLogError, WriteFailedError
from node.storage.vote_log import VoteLog, create_lost_log, create_vote_log, open_vote_log
from node.storage.vote_records import HEADER_BYTES, LoggedState, LogPosition, Record, RecordType, segment_path
from node.wire.logged import EpochStart, Loss
from tests.support.records import build_certificate, build_tip, build_vote

NETWORK = Digest(bytes([1]) * 32)
KEY = bytes([2]) * 32
SMALL_SEGMENT = 2048

RECORDS: tuple[Record, ...] = (
    build_vote(1),
    build_certificate(1, VoteKind.NOTARIZE),
    build_tip(0),
    build_vote(2, VoteKind.NULLIFY),
    build_certificate(1, VoteKind.FINALIZE),
    build_tip(1),
)


def open_log(folder: Path, *, segment_bytes: int = 1 << 22) -> tuple[VoteLog, LoggedState]:
    return open_vote_log(folder, network_id=NETWORK, public_key=KEY, segment_bytes=segment_bytes)


def read_state(folder: Path) -> LoggedState:
    log, state = open_log(folder)
    log.close()
    return state


def build_log(folder: Path, records: tuple[Record, ...] = RECORDS) -> Path:
    """A log of one segment with these records; returns the segment's path."""
    create_vote_log(folder, network_id=NETWORK, public_key=KEY)
    log, _ = open_log(folder)
    for record in records:
        log.append(record)
    log.append_chain_mark(7)
    log.sync()
    log.close()
    return next(iter(folder.iterdir()))


def fill_segments(folder: Path, views: int) -> VoteLog:
    """A log of small segments with a vote and a finalization for each view, still open."""
    create_vote_log(folder, network_id=NETWORK, public_key=KEY)
    log, _ = open_log(folder, segment_bytes=SMALL_SEGMENT)
    log.append(build_tip(5))
    log.append_chain_mark(3)
    for view in range(1, views + 1):
        log.append(build_vote(view))
        log.append(build_certificate(view))
        log.sync()
    return log


def test_a_new_log_is_empty(tmp_path: Path) -> None:
    """Only such a log may vote from view 1 (docs/protocol.md, Durability)."""
    create_vote_log(tmp_path / "votes", network_id=NETWORK, public_key=KEY)
    assert read_state(tmp_path / "votes") == LoggedState()


def test_what_was_synced_is_read_back(tmp_path: Path) -> None:
    """Own votes, certificates, the newest own batch, the chain's mark and the floor."""
    build_log(tmp_path / "votes")
    state = read_state(tmp_path / "votes")
    assert state.votes == (RECORDS[0], RECORDS[3])
    assert state.certificates == (RECORDS[1], RECORDS[4])
    assert state.newest_batch == RECORDS[5]
    assert (state.chain_commits, state.floor_view, state.torn_bytes) == (7, 1, 0)


def test_a_log_goes_on_where_it_ended(tmp_path: Path) -> None:
    """Records of several runs stand in one chain of checksums."""
    folder = tmp_path / "votes"
    build_log(folder)
    for view in (3, 4):
        log, _ = open_log(folder)
        log.append(build_vote(view))
        log.close()
    assert [vote.subject.view for vote in read_state(folder).votes] == [1, 2, 3, 4]


def test_a_log_is_created_only_once(tmp_path: Path) -> None:
    """A second, empty log over the first would forget every vote."""
    create_vote_log(tmp_path / "votes", network_id=NETWORK, public_key=KEY)
    with pytest.raises(FileExistsError):
        create_vote_log(tmp_path / "votes", network_id=NETWORK, public_key=KEY)


def test_a_torn_last_record_is_cut_off_wherever_it_tore(tmp_path: Path) -> None:
    """T-22: an incomplete last record was never promised: every shorter length reads as the records before it."""
    path = build_log(tmp_path / "votes", RECORDS[:2])
    whole = path.read_bytes()
    log, _ = open_log(path.parent)
    log.append(RECORDS[3])
    log.close()
    longer = path.read_bytes()
    for length in range(len(whole), len(longer)):
        path.write_bytes(longer[:length])
        state = read_state(path.parent)
        assert state.votes == (RECORDS[0],)
        assert state.torn_bytes == length - len(whole)
        assert path.read_bytes() == whole


def test_every_flipped_bit_is_refused(tmp_path: Path) -> None:
    """T-22: damage is never taken for the end of the data, in lengths, types, payloads, checksums or the header."""
    path = build_log(tmp_path / "votes", (RECORDS[0], RECORDS[2]))
    whole = path.read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << (place % 8)
        path.write_bytes(damaged)
        with pytest.raises(DamagedVoteLogError, match="could vote twice"):
            open_log(path.parent)
    path.write_bytes(whole)
    assert read_state(path.parent).votes == (RECORDS[0],)


def test_a_record_that_was_taken_out_is_noticed(tmp_path: Path) -> None:
    """Checksums are chained: whole records cannot be removed from the middle."""
    folder = tmp_path / "votes"
    create_vote_log(folder, network_id=NETWORK, public_key=KEY)
    path = next(iter(folder.iterdir()))
    ends = [path.stat().st_size]
    log, _ = open_log(folder)
    for view in (1, 2, 3):
        log.append(build_vote(view))
        log.sync()
        ends.append(path.stat().st_size)
    log.close()
    data = path.read_bytes()
    path.write_bytes(data[: ends[1]] + data[ends[2] :])
    with pytest.raises(DamagedVoteLogError):
        open_log(folder)


def test_an_unknown_record_type_is_refused(tmp_path: Path) -> None:
    """A record that a later version wrote may be a promise."""
    path = build_log(tmp_path / "votes", ())
    data = path.read_bytes()
    checksum = int.from_bytes(data[-4:], "big")
    prefix = struct.pack(">IB", 1, 99)
    head = zlib.crc32(prefix, checksum)
    path.write_bytes(data + prefix + head.to_bytes(4, "big") + b"\x90" + zlib.crc32(b"\x90", head).to_bytes(4, "big"))
    with pytest.raises(DamagedVoteLogError, match="cannot be read"):
        open_log(path.parent)


def test_another_keys_log_is_refused(tmp_path: Path) -> None:
    """Its votes are not ours, and ours are not in it."""
    build_log(tmp_path / "votes")
    with pytest.raises(ConfigError, match="of node key"):
        open_vote_log(tmp_path / "votes", network_id=NETWORK, public_key=bytes(32))


def test_another_networks_log_is_refused(tmp_path: Path) -> None:
    """A home that was moved between networks is not to vote."""
    build_log(tmp_path / "votes")
    with pytest.raises(ConfigError, match="of network"):
        open_vote_log(tmp_path / "votes", network_id=Digest(bytes(32)), public_key=KEY)


@pytest.mark.parametrize("case", ["no folder", "empty folder"])
def test_a_missing_log_is_a_lost_one(tmp_path: Path, case: str) -> None:
    """T-22: a key without a log may have voted: it must not begin anew."""
    if case == "empty folder":
        (tmp_path / "votes").mkdir()
    with pytest.raises(DamagedVoteLogError, match="could vote twice"):
        open_log(tmp_path / "votes")


def test_two_processes_cannot_share_a_log(tmp_path: Path) -> None:
    """Two writers with one key would equivocate."""
    build_log(tmp_path / "votes")
    log, _ = open_log(tmp_path / "votes")
    with pytest.raises(ConfigError, match="in use"):
        open_log(tmp_path / "votes")
    log.close()
    read_state(tmp_path / "votes")


def test_records_below_the_floor_go_with_their_segments(tmp_path: Path) -> None:
    """Whole segments go; the newest batch, the chain's mark and the floor are carried over."""
    folder = tmp_path / "votes"
    log = fill_segments(folder, 60)
    before = len(list(folder.iterdir()))
    log.raise_floor(View(60))
    log.sync()
    after = len(list(folder.iterdir()))
    log.close()
    assert before > 5
    assert after < before / 2
    state = read_state(folder)
    assert state.newest_batch == build_tip(5)
    assert (state.chain_commits, state.floor_view) == (3, 60)
    assert [vote.subject.view for vote in state.votes] == list(range(53, 61))


def test_no_segment_goes_before_its_floor_is_logged(tmp_path: Path) -> None:
    """Votes are dropped only below a finalization that is on disk (docs/protocol.md, Durability)."""
    folder = tmp_path / "votes"
    log = fill_segments(folder, 30)
    before = sorted(folder.iterdir())
    log.raise_floor(View(31))
    log.sync()
    assert sorted(folder.iterdir()) == before
    log.close()


def test_a_deletion_that_was_interrupted_is_finished(tmp_path: Path) -> None:
    """The log says first that it no longer needs a segment, then the segment goes."""
    folder = tmp_path / "votes"
    log = fill_segments(folder, 40)
    contents = {path: path.read_bytes() for path in folder.iterdir()}
    log.raise_floor(View(40))
    log.sync()
    log.close()
    left = set(folder.iterdir())
    # As if the process had died between the sync and the last deletion.
    last_gone = max(set(contents) - left)
    last_gone.write_bytes(contents[last_gone])
    log, state = open_log(folder)
    log.sync()
    log.close()
    assert state.floor_view == 40
    assert set(folder.iterdir()) == left


@pytest.mark.parametrize("place", ["oldest", "middle", "newest but one"])
def test_a_missing_segment_is_refused(tmp_path: Path, place: str) -> None:
    """T-22: what it held is not known, so nothing is."""
    folder = tmp_path / "votes"
    fill_segments(folder, 40).close()
    paths = sorted(folder.iterdir())
    paths[{"oldest": 0, "middle": len(paths) // 2, "newest but one": -2}[place]].unlink()
    with pytest.raises(DamagedVoteLogError, match="missing"):
        open_log(folder)


def test_only_the_last_segment_may_be_torn(tmp_path: Path) -> None:
    """A segment is synced whole before the next one begins."""
    folder = tmp_path / "votes"
    fill_segments(folder, 40).close()
    path = sorted(folder.iterdir())[1]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DamagedVoteLogError, match="ends within"):
        open_log(folder)


def test_a_segment_that_was_only_just_begun_is_no_damage(tmp_path: Path) -> None:
    """A crash between creating the next segment and writing its header loses nothing."""
    folder = tmp_path / "votes"
    fill_segments(folder, 10).close()
    expected = read_state(folder)
    number = max(int(path.stem) for path in folder.iterdir()) + 1
    (folder / f"{number:010d}.votes").write_bytes(b"lotv")
    assert read_state(folder) == expected
    log, _ = open_log(folder, segment_bytes=SMALL_SEGMENT)
    for view in range(11, 30):
        log.append(build_vote(view))
        log.sync()
    log.close()
    assert read_state(folder).votes[-1].subject.view == 29


def test_a_log_without_votes_is_bounded_too(tmp_path: Path) -> None:
    """An observer only logs certificates, which need no sync: its segments still end."""
    folder = tmp_path / "votes"
    create_vote_log(folder, network_id=NETWORK, public_key=KEY)
    log, _ = open_log(folder, segment_bytes=SMALL_SEGMENT)
    for view in range(1, 61):
        log.append(build_certificate(view))
        log.flush()
        log.raise_floor(View(view))
    log.close()
    assert len(list(folder.iterdir())) < 6
    assert read_state(folder).floor_view == 60


def test_a_segment_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    """The disk's word is handed on."""
    path = build_log(tmp_path / "votes")
    path.unlink()
    path.mkdir()
    with pytest.raises(StorageError, match="who may read it"):
        open_log(path.parent)


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [(14, 2, "unknown version"), (-5, 7, "it is segment 7")],
)
def test_a_header_with_its_own_checksum_is_still_looked_at(tmp_path: Path, place: int, value: int, why: str) -> None:
    """Another version's, or a segment under another's name."""
    path = build_log(tmp_path / "votes", ())
    header = bytearray(path.read_bytes()[:HEADER_BYTES])
    header[place] = value
    header[-4:] = zlib.crc32(header[:-4]).to_bytes(4, "big")
    path.write_bytes(header)
    with pytest.raises(DamagedVoteLogError, match=why):
        open_log(path.parent)


def test_a_failed_sync_is_never_tried_again(tmp_path: Path) -> None:
    """T-22: after an error the kernel may have dropped the pages: a later success would be a lie."""
    folder = tmp_path / "votes"
    build_log(folder)
    calls: list[int] = []

    def fail(handle: int) -> None:
        calls.append(handle)
        raise OSError(5, "Input/output error")

    log, _ = open_vote_log(folder, network_id=NETWORK, public_key=KEY, sync_file=fail)
    log.append(build_vote(9))
    with pytest.raises(WriteFailedError, match="Input/output error"):
        log.sync()
    log.append(build_vote(10))
    with pytest.raises(WriteFailedError, match="earlier write failed"):
        log.sync()
    log.close()
    assert len(calls) == 1


def test_a_log_deleted_under_a_running_node_is_found_out_before_the_next_vote_is_said(tmp_path: Path) -> None:
    """T-22: an open file without a name takes every write, and holds nothing for the next start."""
    folder = tmp_path / "votes"
    build_log(folder)
    log, _ = open_vote_log(folder, network_id=NETWORK, public_key=KEY)
    log.append(build_vote(9))
    log.sync()
    shutil.rmtree(folder)
    log.append(build_vote(10))
    with pytest.raises(WriteFailedError, match=r"deleted while the node ran; .* restart the node"):
        log.sync()
    with pytest.raises(WriteFailedError, match="earlier write failed"):
        log.sync()
    log.close()


def test_many_records_cost_one_sync(tmp_path: Path) -> None:
    """Group commit: the sync is the price, not the records."""
    folder = tmp_path / "votes"
    create_vote_log(folder, network_id=NETWORK, public_key=KEY)
    calls: list[int] = []

    def count(handle: int) -> None:
        calls.append(handle)
        os.fdatasync(handle)

    log, _ = open_vote_log(folder, network_id=NETWORK, public_key=KEY, sync_file=count)
    for view in range(1, 101):
        log.append(build_vote(view))
    log.sync()
    log.close()
    assert len(calls) == 1
    assert len(read_state(folder).votes) == 100


def test_an_oversized_record_is_our_own_bug(tmp_path: Path) -> None:
    """No vote or certificate comes near the bound; reading trusts it."""
    build_log(tmp_path / "votes")
    log, _ = open_log(tmp_path / "votes")
    with pytest.raises(ValueError, match="record of"):
        log._buffer(RecordType.VOTE, bytes(70_000))
    log.close()


EPOCH = EpochStart(Epoch(1), Digest(bytes([3]) * 32), Digest(bytes([4]) * 32))


def test_votes_of_an_epoch_that_is_over_are_not_read(tmp_path: Path) -> None:
    """They mean nothing any more: the newest epoch's alone are recovered, whatever views they are of."""
    folder = tmp_path / "votes"
    create_vote_log(folder, network_id=NETWORK, public_key=KEY)
    log, _ = open_log(folder)
    log.append(build_vote(9))
    log.append(build_certificate(9))
    log.append(EPOCH)
    later = replace(build_vote(1), subject=replace(build_vote(1).subject, epoch=Epoch(1)))
    log.append(later)
    log.sync()
    log.close()
    log.close()
    state = read_state(folder)
    assert state.epoch_start == EPOCH
    assert state.votes == (later,)
    assert (state.certificates, state.floor_view) == ((), 0)


def test_segments_of_epochs_that_are_over_go_once_the_next_is_on_disk(tmp_path: Path) -> None:
    """Not before: a crash between the two must still find the votes."""
    folder = tmp_path / "votes"
    log = fill_segments(folder, 40)
    before = len(list(folder.iterdir()))
    assert before > 3
    log.append(EPOCH)
    assert len(list(folder.iterdir())) == before
    log.sync()
    assert len(list(folder.iterdir())) <= 2
    log.close()
    state = read_state(folder)
    assert (state.epoch_start, state.votes) == (EPOCH, ())
    assert state.newest_batch == build_tip(5)
    assert state.chain_commits == 3


def test_an_epoch_and_a_loss_are_carried_into_each_new_segment(tmp_path: Path) -> None:
    """They are never lost when old segments go."""
    folder = tmp_path / "votes"
    loss = Loss(Epoch(1), View(12), build_tip(6), is_over=False)
    create_vote_log(folder, network_id=NETWORK, public_key=KEY)
    log, _ = open_log(folder, segment_bytes=SMALL_SEGMENT)
    log.append(EPOCH)
    log.append(loss)
    for view in range(1, 60):
        subject = replace(build_certificate(view).subject, epoch=Epoch(1))
        log.append(replace(build_certificate(view), subject=subject))
        log.sync()
        log.raise_floor(View(view))
    log.sync()
    log.close()
    assert segment_path(folder, 1) not in set(folder.iterdir())
    state = read_state(folder)
    assert (state.epoch_start, state.loss, state.floor_view) == (EPOCH, loss, 59)


def test_a_log_made_for_a_key_that_lost_one_says_so(tmp_path: Path) -> None:
    """In its first record, and beyond the segments of the lost one."""
    folder = tmp_path / "votes"
    create_lost_log(folder, network_id=NETWORK, public_key=KEY, first_segment=5)
    assert [path.name for path in folder.iterdir()] == ["0000000005.votes"]
    log, state = open_log(folder)
    assert state == LoggedState(loss=Loss(Epoch(0)))
    assert log.position > LogPosition(5, HEADER_BYTES)
    assert log.position.public_key == KEY
    log.close()
    with pytest.raises(FileExistsError):
        create_lost_log(folder, network_id=NETWORK, public_key=KEY, first_segment=6)


def test_a_log_never_goes_back_to_an_earlier_epoch(tmp_path: Path) -> None:
    """A node that takes its chain anew passes through epochs that it served in: their beginnings delete no vote."""
    folder = tmp_path / "votes"
    create_vote_log(folder, network_id=NETWORK, public_key=KEY)
    log, _ = open_log(folder)
    third = replace(EPOCH, epoch=Epoch(3))
    voted = replace(build_vote(4), subject=replace(build_vote(4).subject, epoch=Epoch(3)))
    for record in (third, voted, EPOCH, replace(EPOCH, epoch=Epoch(2)), third):
        log.append(record)
    with pytest.raises(InvariantError, match="epoch that is over"):
        log.append(replace(voted, subject=replace(voted.subject, epoch=Epoch(2))))
    log.sync()
    log.close()
    state = read_state(folder)
    assert (state.epoch_start, state.votes) == (third, (voted,))
