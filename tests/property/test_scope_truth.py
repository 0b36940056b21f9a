"""Scopes of made-up worlds whose truth is known: nothing that is truly affected may be left out of them.

The worlds drop events, amounts, times, documents and codes, and tell things twice; see `tests/support/truth.py`. A
world that ever failed stands here by its number.
"""

import pytest

from node.lineage.hazards import Hazard
from node.lineage.scope import compute_scope
from tests.support.truth import broken_bounds, build_world, false_certainties, missed_grams
from tests.support.truth_full import FULL_FROM
from tests.support.truth_play import BUSY_FROM, RICH_FROM

FAILED_ONCE = (
    24,
    26,
    503,
    526,
    640,
    801,
    860,
    872,
    3458,
    2253,
    30690,
    31289,
    31485,
    32059,
    35924,
    36152,
    36838,
    37634,
    39251,
    39509,
    39994,
    60464,
    62016,
    100_517,
)
"""A shipment whose goods nobody had recorded as made was fed from its own receipt. 2253: a plant ships out what it was
never recorded to get, and makes other goods of the rest without a record. The others have a test of their own each, in
`tests/unit/lineage/test_scope_gaps.py`."""


@pytest.mark.parametrize(
    "number",
    [
        *FAILED_ONCE,
        *range(40),
        *range(RICH_FROM, RICH_FROM + 20),
        *range(BUSY_FROM, BUSY_FROM + 20),
        *range(FULL_FROM, FULL_FROM + 20),
    ],
)
def test_what_is_truly_affected_is_in_scope(number: int) -> None:
    """True taint is within certain and possible, the bounds contain it, and what is certain truly was tainted."""
    world = build_world(number)
    story = world.tell()
    for hazard in (Hazard.ORIGIN, Hazard.CHEMICAL, Hazard.MICROBE):
        answer = compute_scope(story.index(), world.question(hazard))
        assert missed_grams(world, story, answer) == {}
        assert broken_bounds(world, story, answer) == []
        assert false_certainties(world, answer) == []
