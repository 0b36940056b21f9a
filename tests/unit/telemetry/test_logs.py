"""Log lines are one line each, whatever a peer sends."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from node.telemetry.logs import TEXT_LENGTH_MAX, clean_text, configure_logs, get_logger


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    handlers = logging.root.handlers[:]
    yield
    structlog.reset_defaults()
    logging.root.handlers[:] = handlers


def test_a_peers_text_cannot_forge_a_line_or_move_the_cursor() -> None:
    """Controls, line separators and direction marks are replaced; length is bounded."""
    assert clean_text("a\nb\x1b[2J\u2028\u202e\x85") == "a�b�[2J���"
    assert len(clean_text("x" * 9_999)) == TEXT_LENGTH_MAX + 1
    assert clean_text("Überraschung 卵") == "Überraschung 卵"


@pytest.mark.parametrize("kind", ["words", "json"])
def test_each_entry_is_one_line(kind: str) -> None:
    """In both formats, with the values under their names."""
    out = io.StringIO()
    configure_logs(format=kind, level="info", node="mill", stream=out)
    get_logger("p2p").warning(
        "peer refused", peer="evil\nforged line", digest=b"\x01\x02", height=7, other=ValueError("x\ny")
    )
    get_logger("p2p").debug("not shown")
    assert out.getvalue().count("\n") == 1
    if kind == "json":
        line = json.loads(out.getvalue())
        assert (line["event"], line["peer"], line["digest"], line["height"], line["node"], line["part"]) == (
            "peer refused", "evil�forged line", "0102", 7, "mill", "p2p",
        )  # fmt: skip
    else:
        assert "peer refused" in out.getvalue()
        assert "evil�forged line" in out.getvalue()


def test_a_logger_made_before_the_set_up_obeys_it() -> None:
    """Modules make theirs when they are imported; format, level and stream come later, from node.toml."""
    early = get_logger("app")
    out = io.StringIO()
    configure_logs(format="json", level="warning", stream=out)
    early.info("not shown")
    early.warning("shown")
    (line,) = (json.loads(line) for line in out.getvalue().splitlines())
    assert (line["event"], line["part"]) == ("shown", "app")


def test_the_standard_librarys_records_come_through_the_same_door() -> None:
    """Warnings and worse, with their traceback."""
    out = io.StringIO()
    configure_logs(format="json", level="info", stream=out)
    logging.getLogger("asyncio").info("quiet")
    logging.getLogger("asyncio").warning("slow %s", "callback\n")
    try:
        raise ZeroDivisionError("bang")
    except ZeroDivisionError:
        logging.getLogger("aiohttp").exception("handler failed")
    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert (first["event"], first["level"], first["part"]) == ("slow callback�", "warning", "asyncio")
    assert (second["level"], "bang" in second["exception"]) == ("error", True)
