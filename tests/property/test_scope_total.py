"""Whatever events there are: ledgers, runs and scopes do not fail, say least below most, and know no order of arrival.

Events are drawn without regard to sense: goods used before they were made, units packed twice, runs without inputs,
dates of unsure zone, declarations by anybody.
"""

import random
from decimal import Decimal

import pytest

from node.epcis.model import Event, Interval
from node.lineage.hazards import Hazard
from node.lineage.scope import compute_scope
from node.lineage.scope_answer import Amount
from node.lineage.scope_question import ScopeQuestion, Seed
from tests.support.chronicle import Chronicle, Time
from tests.support.events import HOUR_MS, Amounts, at, lot, product_class, serial, unit

LOTS = [lot("1", "A"), lot("1", "B"), lot("2", "C"), lot("2", "D")]
PIECES = [serial("3", str(number)) for number in range(3)]
UNITS = [unit(1), unit(2)]
ITEMS = [*LOTS, *PIECES, *UNITS, product_class("1")]
BILLS = (None, None, "urn:bol:1", "urn:bol:2")
WORLDS = 120


class Nonsense:
    """Tells events drawn from a seed."""

    def __init__(self, seed: int) -> None:
        self.story = Chronicle()
        self._draw = random.Random(seed)
        self._events: list[Event] = []
        for _ in range(self._draw.randint(3, 16)):
            self._tell()
        self.asked = self._draw.choice(ITEMS)
        self.colocation = self._draw.random() < 0.3

    def _when(self) -> Time:
        start = at(1, "00:00") + self._draw.randint(0, 60) * HOUR_MS
        kind = self._draw.random()
        if kind < 0.6:
            return start
        return Interval(start, start + self._draw.randint(0, 30) * HOUR_MS) if kind < 0.8 else at(2, "00:00")

    def _goods(self) -> Amounts:
        among = [*LOTS, *PIECES, product_class("1"), *(UNITS if self._draw.random() < 0.3 else ())]
        items = self._draw.sample(among, self._draw.randint(1, 2))
        if self._draw.random() < 0.15:
            return items
        return {item: self._draw.choice((None, 0, 1, 5, 10, 10, 20)) for item in items}

    def _tell(self) -> None:
        story, draw, when, site = self.story, self._draw, self._when(), self._draw.randint(1, 3)
        member = draw.choice(("mill", "mill", "carrier"))
        match draw.randrange(10):
            case 0:
                code = draw.choice((None, None, "A"))
                self._events.append(story.make(self._goods(), when, at=site, lot_code=code, event_id=self._name()))
            case 1:
                self._events.append(story.run(self._goods(), self._goods(), when, at=site, event_id=self._name()))
            case 2:
                inputs = self._goods() if draw.random() < 0.6 else ()
                outputs = self._goods() if draw.random() < 0.6 else ()
                story.run(inputs, outputs, when, at=site, name="urn:run:1", member=member)
            case 3:
                goods = self._goods() if draw.random() < 0.7 else [draw.choice(UNITS)]
                step, to = draw.choice(("shipping", "loading")), draw.choice((None, 1, 2, 3))
                story.ship(goods, when, at=site, to=to, step=step, bill=draw.choice(BILLS), member=member)
            case 4:
                goods = self._goods() if draw.random() < 0.7 else [draw.choice(UNITS)]
                step, source = draw.choice(("receiving", "arriving")), draw.choice((None, 1, 2))
                story.receive(goods, when, at=site, step=step, bill=draw.choice(BILLS), source=source, member=member)
            case 5:
                story.see(self._goods(), when, at=site, step=draw.choice(("inspecting", "cycle_counting")))
            case 6:
                goods = self._goods() if draw.random() < 0.7 else [draw.choice(UNITS)]
                story.end(goods, when, at=site, step=draw.choice(("destroying", "decommissioning")))
            case 7:
                story.pack(draw.choice(UNITS), self._goods(), when, at=site)
            case 8:
                story.unpack(draw.choice(UNITS), self._goods() if draw.random() < 0.6 else (), when, at=site)
            case _:
                if self._events and draw.random() < 0.5:
                    story.void(draw.choice(self._events), at(4, "00:00"), member=member)
                else:
                    story.observe_unit(draw.choice(UNITS), self._goods(), when, at=site)

    def _name(self) -> str:
        return f"urn:uuid:{len(self._events)}"


def is_in_order(amount: Amount) -> bool:
    return amount.max is None or Decimal(amount.min) <= Decimal(amount.max)


@pytest.mark.parametrize("seed", range(WORLDS))
def test_scope_of_any_events_is_sound_in_itself_and_knows_no_order_of_arrival(seed: int) -> None:
    """For what amounts may exclude and for what they may not."""
    world = Nonsense(seed)
    for hazard in (Hazard.ORIGIN, Hazard.MICROBE):
        question = ScopeQuestion((Seed(item=world.asked),), hazard, colocation=world.colocation)
        answer = compute_scope(world.story.index(), question)
        assert compute_scope(world.story.shuffled(seed), question).digest == answer.digest
        for portion in answer.portions:
            assert is_in_order(portion.content), portion
            assert is_in_order(portion.affected), portion
            assert portion.because, portion
        assert all(portion.reason for portion in answer.excluded)
