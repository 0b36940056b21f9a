"""What a scope is asked about: seeds, the class of the hazard, and rules that somebody vouches for."""

from dataclasses import dataclass
from typing import Final

from consensus.types import Height
from node.lineage.hazards import Hazard

SEEDS_MAX: Final = 1_000
VERTICES_MAX: Final = 400_000
"""Portions and lines that one scope may load; more are counted, and said."""


@dataclass(frozen=True, slots=True)
class Seed:
    """Where the hazard begins. One of: an item (lot, serial, unit, product), perhaps only what one of its
    events made (event: the digest of its content); a place, a party or a line with a time window, perhaps only of one
    product; a run.

    from_ms, to_ms: Unix milliseconds, None unbounded; for a place or party.
    """

    item: str | None = None
    event: bytes | None = None
    holder: str | None = None
    product: str | None = None
    run: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None


@dataclass(frozen=True, slots=True)
class RunRule:
    """What is vouched for of a run, beyond `any`: mixed, assigned or kill_step, with its validation record.

    run: transformationID, or the digest of its event in hex. pairs: of assigned, (input item, output item). agents: of
    a kill step. record: what validates it. by: who approved it.
    """

    run: str
    rule: str
    record: str
    by: str
    pairs: tuple[tuple[str, str], ...] = ()
    agents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScopeQuestion:
    """A recall case in short. agent: of a microbe, such as "Salmonella". resident: a cleaning does not end it.

    colocation: whether one unit or vehicle passes it on. distrusted: declared rules that are not relied on, by their
    place, record or name: the step that is suspected to have failed, say.
    """

    seeds: tuple[Seed, ...]
    hazard: Hazard = Hazard.UNKNOWN
    agent: str | None = None
    resident: bool = False
    colocation: bool = False
    rules: tuple[RunRule, ...] = ()
    distrusted: tuple[str, ...] = ()
    as_of_ms: int | None = None
    known_at: Height | None = None
    vertices_max: int = VERTICES_MAX
