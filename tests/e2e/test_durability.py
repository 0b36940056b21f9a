"""A vote is on disk before it is on the wire: seen from outside, in the system calls of a running node.

What leaves a node is encrypted. So the traced node runs with a `SSLObject.write` that first writes the plain bytes to
`/dev/null`, where strace sees them: a vote is found there, just before it is encrypted and sent.
"""

import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from consensus.messages import Vote
from node.p2p.framing import ChunkReader
from node.storage.vote_records import HEADER_BYTES, RecordType
from node.wire.codec import pack
from node.wire.messages import decode, vote_fields
from node.wire.tags import Tag
from tests.e2e.localnet import cleaned_up, create_localnet
from tests.e2e.stream import Journal, submit_for_ever
from tests.support.frames import build_batch, build_vote, chunks

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

CALLS: Final = "write,pwrite64,sendto,sendmsg,fdatasync,fsync"
RECORD_HEAD_BYTES: Final = 9
RECORD_TAIL_BYTES: Final = 4
MARK_BYTES: Final = 8
BLOCKS: Final = 15

SHOWING_NODE: Final = """
import os, ssl
mark, encrypt = os.open("/dev/null", os.O_WRONLY), ssl.SSLObject.write
def show(self, data):
    os.write(mark, id(self).to_bytes(8, "big") + data)
    return encrypt(self, data)
ssl.SSLObject.write = show
from node.cli import main
main()
"""


def _skip_without_strace() -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    tried = subprocess.run(
        ["strace", "-f", "-e", "trace=fdatasync", "true"], capture_output=True, timeout=10, check=False
    )
    if tried.returncode != 0:
        pytest.skip(f"this machine forbids tracing: {tried.stderr.decode(errors='replace').strip()[:200]}")


@dataclass(frozen=True)
class Began:
    """A system call begins; what it does may happen from here on."""

    name: str
    target: str
    data: bytes


@dataclass(frozen=True)
class Ended:
    """A system call has returned this."""

    name: str
    target: str
    result: int


_LINE: Final = re.compile(r"^(\d+)\s+(.*)$")
_START: Final = re.compile(r"^(\w+)\((\d+)<(.*?)>(?=[,) ])(?:, \"((?:\\x[0-9a-f]{2})*)\")?")
_RESUMED: Final = re.compile(r"^<\.\.\. (\w+) resumed>")
_RESULT: Final = re.compile(r"= (-?\d+)")


def _decode(text: str) -> bytes:
    """Return what strace wrote as hexadecimal escapes throughout, or plainly; a device's numbers are left out."""
    text = text.partition("<char ")[0]
    return bytes.fromhex(text.replace("\\x", "")) if text.startswith("\\x") else text.encode()


def read_trace(path: Path) -> Iterator[Began | Ended]:
    """Yield beginnings and ends of the traced calls in the order that strace saw them."""
    open_calls: dict[str, Began] = {}
    for line in path.read_text(encoding="ascii", errors="replace").splitlines():
        found = _LINE.match(line)
        if found is None:
            continue
        thread, text = found.groups()
        start = _START.match(text)
        if start is not None:
            name, _, target, encoded = start.groups()
            began = Began(name, _decode(target).decode(errors="replace"), _decode(encoded or ""))
            yield began
            if "<unfinished ...>" in text:
                open_calls[thread] = began
                continue
        elif _RESUMED.match(text) and thread in open_calls:
            began = open_calls.pop(thread)
        else:
            continue
        result = _RESULT.search(text[text.rfind(")") :])
        if result is not None:
            yield Ended(began.name, began.target, int(result.group(1)))


def votes_logged(written: bytes) -> list[bytes]:
    """Return the own votes among the records of one write to the vote log, as they are encoded there."""
    votes = []
    if written.startswith(b"lotvine votes"):
        written = written[HEADER_BYTES:]
    while len(written) >= RECORD_HEAD_BYTES:
        size, kind = int.from_bytes(written[:4], "big"), written[4]
        if kind == RecordType.VOTE:
            votes.append(written[RECORD_HEAD_BYTES : RECORD_HEAD_BYTES + size])
        written = written[RECORD_HEAD_BYTES + size + RECORD_TAIL_BYTES :]
    return votes


@dataclass
class Seen:
    """What a trace shows. early: votes that were sent while the disk did not have them."""

    synced: set[bytes] = field(default_factory=set)
    sent: list[bytes] = field(default_factory=list)
    early: list[bytes] = field(default_factory=list)
    socket_sends: int = 0


def check_trace(path: Path) -> Seen:
    """Walk a trace and hold every vote that is sent against what the vote log's file had been synced with."""
    seen = Seen()
    unsynced: list[bytes] = []
    streams: dict[bytes, ChunkReader] = {}
    for event in read_trace(path):
        is_log = event.target.endswith(".votes")
        match event:
            case Began("write" | "pwrite64", _, data) if is_log:
                unsynced += votes_logged(data)
            case Ended("fdatasync" | "fsync", _, 0) if is_log:
                # One thread writes and syncs the log, so all that was written before is covered.
                seen.synced |= set(unsynced)
                unsynced = []
            case Began("write", "/dev/null", data):
                sent = _votes_sent(streams.setdefault(data[:MARK_BYTES], ChunkReader()), data[MARK_BYTES:])
                seen.sent += sent
                seen.early += [vote for vote in sent if vote not in seen.synced]
            case Ended("sendto" | "sendmsg", target, size) if target.startswith("TCP:") and size > 0:
                seen.socket_sends += 1
            case _:
                pass
    return seen


def _votes_sent(reader: ChunkReader, stream: bytes) -> list[bytes]:
    """Return the votes that become whole with these bytes of a session, as the vote log encodes them."""
    votes = []
    while stream:
        count = min(len(stream), len(reader.get_buffer()))
        reader.get_buffer()[:count] = stream[:count]
        stream = stream[count:]
        for frame in reader.received(count):
            if frame.tag is Tag.VOTE:
                vote = decode(frame.data)
                assert isinstance(vote, Vote)
                votes.append(pack(vote_fields(vote)))
    return votes


@pytest.mark.timeout(120)
def test_the_vote_log_is_synced_before_a_vote_is_sent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """CONSENSUS: what must be durable before what is sent. A node that forgets a vote could vote twice."""
    _skip_without_strace()
    trace = tmp_path / "trace"
    net = create_localnet(tmp_path / "net")
    traced = net.nodes[0]
    traced.prefix = ("strace", "-f", "-yy", "-xx", "-s", "300000", "-e", f"trace={CALLS}", "-o", str(trace))
    traced.program = (sys.executable, "-c", SHOWING_NODE)

    async def scenario() -> None:
        async with cleaned_up(net):
            for node in net.nodes:
                node.start()
            await net.wait_ready()
            journal = Journal(tmp_path / "journal")
            stop = asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(submit_for_ever(net, net.nodes[1], journal, stop, pause_seconds=0.1))
                before = (await traced.wait_for_height(0))["executed_height"]
                await traced.wait_for_height(before + BLOCKS)
                stop.set()
            net.stop()

    asyncio.run(scenario())
    seen = check_trace(trace)
    with capsys.disabled():
        print(  # noqa: T201 - the counts are the point
            f"\n{len(seen.synced)} votes synced, {len(seen.sent)} times one sent to a peer, {len(seen.early)} too early"
        )
    assert len(seen.synced) >= BLOCKS
    assert len(set(seen.sent)) >= BLOCKS, "votes were not recognised on their way out: the test shows nothing"
    assert seen.socket_sends >= BLOCKS
    assert not seen.early


def test_the_reader_of_traces_finds_a_vote_that_is_sent_too_early(tmp_path: Path) -> None:
    """A check that cannot fail shows nothing: here the send stands before the end of the sync."""
    frame = build_vote()
    vote = decode(frame)
    assert isinstance(vote, Vote)
    payload = pack(vote_fields(vote))
    record = len(payload).to_bytes(4, "big") + bytes([RecordType.VOTE]) + bytes(4) + payload + bytes(4)

    def call(name: str, target: str, data: bytes) -> str:
        coded = "".join(f"\\x{byte:02x}" for byte in data)
        return f'10 {name}({target}, "{coded}", {len(data)}) = {len(data)}'

    log = "9</h/data/votes/0000000001.votes>"
    write = call("write", log, record)
    sync, synced = f"11 fdatasync({log} <unfinished ...>", "11 <... fdatasync resumed>) = 0"
    send = call("write", "5</dev/null<char 1:3>>", bytes(MARK_BYTES) + chunks(build_batch(), 1) + chunks(frame, 0))
    trace = tmp_path / "trace"
    for lines, early in (
        ([write, sync, synced, send, send], 0),
        ([write, sync, send, synced], 1),
        ([write, send, sync, synced], 1),
        ([send, write, sync, synced, send], 1),
    ):
        trace.write_text("\n".join(lines) + "\n", encoding="ascii")
        seen = check_trace(trace)
        assert (len(seen.early), len(seen.sent)) == (early, lines.count(send)), lines
