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
