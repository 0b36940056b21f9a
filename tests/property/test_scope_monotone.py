"""A further record never widens a scope over the portions that were there before, unless it adds taint or contradicts.

Worlds of known truth are told with one report left out, and whole.
"""

import random

import pytest

from node.lineage.hazards import Hazard
from node.lineage.scope import compute_scope
from node.lineage.scope_answer import ScopeAnswer
from node.lineage.scope_question import ScopeQuestion
from tests.support.chronicle import Chronicle
from tests.support.truth import build_world
from tests.support.truth_play import BUSY_FROM

WORLDS = 20


def statuses(story: Chronicle, answer: ScopeAnswer) -> dict[tuple[str, ...], bool]:
    """Return whether each portion is in scope: by its event, item, kind and place."""
    names = {f"{row.transaction_id.hex()}:{row.ref.event}": row.event.event_digest.hex() for row in story.rows}
    return {
        (names[one.event], one.item, one.kind, one.place or "", one.unit or ""): one.status != "excluded"
        for one in (*answer.portions, *answer.excluded)
    }


@pytest.mark.parametrize("hazard", [Hazard.ORIGIN, Hazard.MICROBE])
@pytest.mark.parametrize("number", range(BUSY_FROM, BUSY_FROM + WORLDS))
def test_further_record_widens_nothing_but_by_taint_or_contradiction(number: int, hazard: Hazard) -> None:
    """It adds taint where it says that goods in scope went into a run; a contradiction shows in the flags."""
    world = build_world(number)
    story = world.tell()
    question = ScopeQuestion((world.seed(),), hazard)
    whole = compute_scope(story.index(), question)
    now = statuses(story, whole)
    in_scope = {portion.item for portion in whole.portions}
    chance = random.Random(f"left out/{number}")
    others = [row for row in story.rows if row.event.event_digest != question.seeds[0].event]
    for row in chance.sample(others, 2):
        less = Chronicle()
        less.rows, less.masters = [one for one in story.rows if one is not row], story.masters
        answer = compute_scope(less.index(), question)
        before = statuses(less, answer)
        if not in_scope.isdisjoint(goods.item for goods in row.event.inputs):
            continue
        if {(flag.code, flag.item) for flag in whole.flags} - {(flag.code, flag.item) for flag in answer.flags}:
            continue
        assert {at for at in now.keys() & before.keys() if now[at] and not before[at]} == set()
