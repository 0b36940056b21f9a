"""The schedule of leaders."""

import pytest

from consensus.elector import epoch_shift, leader_of
from consensus.errors import InvariantError
from consensus.types import ZERO_DIGEST, Digest, View


def test_every_view_has_the_next_leader() -> None:
    """Round robin: each of n leads once in n views."""
    shift = epoch_shift(Digest(bytes([0, 0, 0, 0, 0, 0, 0, 9]) + bytes(24)))
    assert shift == 9
    assert [leader_of(View(view), validator_count=4, shift=shift) for view in range(1, 6)] == [1, 2, 3, 0, 1]
    assert epoch_shift(ZERO_DIGEST) == 0


def test_the_anchor_has_no_leader() -> None:
    """View 0 was never an attempt."""
    with pytest.raises(InvariantError):
        leader_of(View(0), validator_count=4, shift=0)
