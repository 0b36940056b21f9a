"""node/app/files: who gets the files that a process may open."""

import asyncio
import errno
import resource

import pytest

from node.app import files
from node.app.files import CONNECTIONS_MIN, FILES_RESERVED, WARN_EACH_SECONDS, LoopFaults, connections_within

Said = list[tuple[str, dict[str, object]]]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Said:
    lines: Said = []

    class Log:
        def warning(self, message: str, **values: object) -> None:
            lines.append((message, values))

    monkeypatch.setattr(files, "_log", Log())
    return lines


@pytest.mark.parametrize(
    ("soft", "hard", "becomes"),
    [
        (1_024, 4_096, 4_096),
        (1_024, 1_024, 1_024),
        (1_024, resource.RLIM_INFINITY, files.FILES_WANTED),
        (50_000, 60_000, 50_000),
    ],
)
def test_the_limit_of_files_is_raised_as_far_as_it_may_be(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, becomes: int
) -> None:
    """Never above the hard limit, and never lowered."""
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: sent.append(limits))
    assert files.raise_limit() == becomes
    assert sent == ([] if becomes == soft else [(becomes, hard)])


def test_a_limit_that_cannot_be_raised_is_said(monkeypatch: pytest.MonkeyPatch, said: Said) -> None:
    """Some containers forbid it."""

    def refuse(_: int, _limits: tuple[int, int]) -> None:
        raise OSError(errno.EPERM, "not permitted")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (512, 4_096))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert files.raise_limit() == 512
    assert len(said) == 1


def test_clients_get_what_the_stores_leave(said: Said) -> None:
    """And the operator is told what the limit would have to be."""
    assert connections_within(16_384, 256) == 256
    assert not said
    assert connections_within(1_000, 256) == 1_000 - FILES_RESERVED
    assert connections_within(100, 256) == CONNECTIONS_MIN
    assert str(256 + FILES_RESERVED) in str(said[0][1]["advice"])


def test_an_accept_that_finds_no_file_left_is_one_line(said: Said) -> None:
    """The loop reports it a hundred times a second."""
    now = [0.0]
    faults = LoopFaults(lambda: now[0])
    loop = asyncio.new_event_loop()
    try:
        for _ in range(100):
            faults.report(loop, {"message": "accept", "exception": OSError(errno.EMFILE, "Too many open files")})
        assert len(said) == 1
        now[0] = WARN_EACH_SECONDS
        faults.report(loop, {"message": "accept", "exception": OSError(errno.EMFILE, "Too many open files")})
        assert len(said) == 2
    finally:
        loop.close()


def test_other_faults_of_the_loop_are_reported_whole(said: Said, caplog: pytest.LogCaptureFixture) -> None:
    """They are ours."""
    loop = asyncio.new_event_loop()
    try:
        LoopFaults(lambda: 0.0).report(loop, {"message": "a task was lost", "exception": ZeroDivisionError()})
    finally:
        loop.close()
    assert "a task was lost" in caplog.text
    assert not said
