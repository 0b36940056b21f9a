"""Random pieces, packed, unpacked and used: the walk agrees with a simulation that knows where every piece is.

The simulation shares no code with the walk: it moves pieces between places, second by second, and remembers of each
piece what went into it. Amounts and lots play no part here; times are points, each used once.
"""

import random
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.chronicle import Chronicle, carriers_of, goods_of
from tests.support.events import at, serial, unit

UNITS = 4
PIECES = 4


@dataclass
class World:
    """What is where now, and what was. inside: child → unit, for what is packed."""

    chance: random.Random
    chronicle: Chronicle = field(default_factory=Chronicle)
    clock: int = 0
    loose: set[str] = field(default_factory=set)
    inside: dict[str, str] = field(default_factory=dict)
    ancestors: dict[str, set[str]] = field(default_factory=dict)
    rode_in: dict[str, set[str]] = field(default_factory=dict)
    made: int = 0

    def tick(self) -> int:
        self.clock += 1
        return at(1, "08:00") + self.clock * 1000

    def make(self) -> str:
        piece = serial("1", f"P{self.made}")
        self.made += 1
        self.loose.add(piece)
        self.ancestors[piece] = set()
        self.rode_in[piece] = set()
        return piece

    def contents(self, thing: str) -> set[str]:
        """Return all that is inside, through every layer."""
        found: set[str] = set()
        pending = [thing]
        while pending:
            holder = pending.pop()
            children = {child for child, parent in self.inside.items() if parent == holder}
            found |= children
            pending += children
        return found

    def note_rides(self) -> None:
        for child in self.inside:
            if child in self.rode_in:
                parent: str | None = self.inside[child]
                while parent is not None:
                    self.rode_in[child].add(parent)
                    parent = self.inside.get(parent)


def live(seed: int, steps: int) -> World:
    """Return a world after `steps` random events."""
    world = World(random.Random(seed))
    units = [unit(number) for number in range(UNITS)]
    world.loose |= set(units)
    for _number in range(PIECES):
        when = world.tick()
        world.chronicle.make([world.make()], when)
    for _step in range(steps):
        step(world)
        world.note_rides()
    return world


def step(world: World) -> None:
    chance = world.chance
    when = world.tick()
    loose = sorted(world.loose)
    kind = chance.choice(["pack", "pack", "unpack", "empty", "run"])
    boxes = [thing for thing in loose if "/00/" in thing]
    if kind == "pack" and boxes:
        box = chance.choice(boxes)
        others = [thing for thing in loose if thing != box]
        children = chance.sample(others, min(len(others), chance.randint(1, 2)))
        if children:
            world.chronicle.pack(box, children, when)
            for child in children:
                world.loose.discard(child)
                world.inside[child] = box
    elif kind in ("unpack", "empty") and world.inside:
        box = chance.choice(sorted(set(world.inside.values())))
        if box in world.inside:
            return  # Only what stands loose is opened.
        children = sorted(child for child, parent in world.inside.items() if parent == box)
        if kind == "unpack":
            children = chance.sample(children, 1)
        world.chronicle.unpack(box, children if kind == "unpack" else (), when)
        for child in children:
            del world.inside[child]
            world.loose.add(child)
    elif kind == "run":
        inputs = chance.sample(loose, min(len(loose), chance.randint(1, 2)))
        used = set(inputs).union(*(world.contents(thing) for thing in inputs))
        if not any("/21/" in thing for thing in used):
            return
        for thing in used:
            world.loose.discard(thing)
            world.inside.pop(thing, None)
        output = world.make()
        world.ancestors[output] = {piece for piece in used if piece in world.ancestors}.union(
            *(world.ancestors[piece] for piece in used if piece in world.ancestors)
        )
        world.chronicle.run(inputs, [output], when)


@given(seed=st.integers(0, 2**32), steps=st.integers(1, 25))
@settings(max_examples=150, deadline=None)
def test_walks_agree_with_where_every_piece_was(seed: int, steps: int) -> None:
    """Rule 3: what happens to a unit happens to what is in it then; forward, back and the units on the way."""
    world = live(seed, steps)
    pieces = sorted(world.ancestors)
    for piece in pieces:
        descendants = {other for other in pieces if piece in world.ancestors[other]}
        forward = world.chronicle.forward(piece)
        assert goods_of(forward) == descendants
        rides = world.rode_in[piece].union(*(world.rode_in[other] for other in descendants))
        assert carriers_of(forward) == rides
        back = world.chronicle.back(piece)
        assert {item for item in goods_of(back) if "/21/" in item} == world.ancestors[piece]
