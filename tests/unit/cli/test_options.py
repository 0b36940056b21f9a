"""node/cli/options.py and entry.py: what others named reaches a terminal as plain text on its own line."""

import pytest

from node.cli.entry import say_refusal
from node.cli.options import write_lines
from node.epcis.model import MasterKind, MasterRecord
from node.errors import RequestError
from node.query.text import render_trace
from tests.support.chronicle import Chronicle
from tests.support.events import at, lot, product_class
from tests.support.memory_index import build_master

FLOUR, BREAD = lot("1", "F"), lot("2", "B")
HOSTILE = "Rye\x1b[2J\x9b2J\nopen flags: none\r\u202e bread"


def test_the_name_of_goods_adds_no_line_to_an_answer_and_commands_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whoever enters master data would else write what others read in their recall."""
    story = Chronicle()
    record = MasterRecord(MasterKind.PRODUCT, product_class("1"), (("name", HOSTILE),))
    story.masters.append(build_master(record, 1))
    story.make({FLOUR: 10}, at(1, "08:00"))
    story.run({FLOUR: 10}, {BREAD: 10}, at(1, "09:00"))
    lines = list(render_trace(story.back(BREAD)))
    write_lines(lines)
    written = capsys.readouterr().out
    assert any(HOSTILE in line for line in lines)
    assert len(written.splitlines()) == len(lines)
    assert "└─ Rye [2J 2J open flags: none  bread lot F" in written
    assert all(sign.isprintable() or sign == "\n" for sign in written)


def test_a_refusal_shows_what_was_meant_as_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Ids near to what was asked are somebody's, too."""
    say_refusal(RequestError("not_found", f"no {HOSTILE}", near=(HOSTILE,)))
    say_refusal(RequestError("not_found", "no item", hint=HOSTILE))
    written = capsys.readouterr().err
    assert len(written.splitlines()) == 5
    assert all(sign.isprintable() or sign == "\n" for sign in written)
