"""node/cli/status: what the operator has to do is said in words."""

import msgspec

from node.cli.status import render_status
from tests.support.api_backends import build_status


def test_what_lapsed_is_said_with_the_way_out() -> None:
    """Nothing is said where nothing lapsed."""
    status = build_status()
    assert "never be final" not in "\n".join(render_status(status))
    (one,) = [line for line in render_status(msgspec.structs.replace(status, lapsed=1)) if "never be final" in line]
    assert one.strip().startswith("1 accepted transaction will")
    assert "enter the same documents again" in one
    assert "2 accepted transactions" in "\n".join(render_status(msgspec.structs.replace(status, lapsed=2)))


def test_one_of_a_thing_is_said_as_one() -> None:
    """A first document makes one transaction of one event, and a node may be one block behind."""
    first = msgspec.structs.replace(build_status(), transactions=1, events=1, lag=1)
    said = "\n".join(render_status(first))
    assert "1 transaction, 1 event; " in said
    assert "1 block behind" in said
    many = "\n".join(render_status(msgspec.structs.replace(first, transactions=2, events=1_200, lag=2)))
    assert "2 transactions, 1,200 events; " in many
    assert "2 blocks behind" in many
