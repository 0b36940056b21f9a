"""Bugs to plant: each patch here breaks one rule of production code, and something must find it.

A patch begins with three lines: `Rule:` (one of `RULES`), `Fault:` (what the patch does) and `Finder:` (what is run as
`python -m …` and must fail). `python -m tests.sim.planted` plants them one by one in a scratch copy of the tree.
Random runs find what forks; what merely stands still is found by directed tests.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent
ROOT: Final = FOLDER.parents[2]

RULES: Final = {
    "signed bytes": "Safety: what is signed names kind, epoch and network, so that no vote passes for another.",
    "quorum": "Safety: a certificate is n - f distinct validators' good signatures on one subject.",
    "one block": "Safety: one notarize vote a view, whatever restarts lie between.",
    "justification": "Safety: no vote for a block unless every view between it and its parent is nullified.",
    "finalize": "Safety: no finalize vote in a view that one nullified, or notarized another block of.",
    "durable": "Safety: nothing is shown before it, and what it rests on, is on disk.",
    "guard": "Safety: a node that may have forgotten votes is silent up to its guard, in each epoch anew.",
    "epoch": "Safety: nothing follows the last block of an epoch but itself, and votes count in their epoch only.",
    "state": "Safety: a certified block's state digest is every voter's own.",
    "feed": "Safety: one batch a seq; a cut covers what is linked, valid and held.",
    "back-pressure": "Liveness: execution that lags empties blocks and never forbids them.",
    "proof of e": "Liveness: a missing proof of finality refuses a proposal and is no verdict on its block.",
    "enter": "Liveness: who nullified a view still leaves it through its notarization.",
    "tail": "Liveness: an unfinished block wakes an idle view.",
    "status": "Liveness: a status is answered with the certificates and own votes that its sender lacks.",
    "catch-up": "Liveness: whoever is behind reaches what is final, however many blocks one certificate stands for.",
    "restart": "Liveness: own votes count again after a restart, and the view is the highest of all records.",
    "no-op": "Liveness: a node that lost its disk seals a batch at once, and counts among the f until that is final.",
    "named branch": "Liveness: what a proposal or a certificate names is fetched, whatever unasked bounds say.",
    "timeouts": "Liveness: waits grow with what is not final, up to a cap.",
    "bounds": "Memory: what a liar can make a node keep is bounded.",
    "blame": "Correct nodes never blame one another.",
    "time": "No block dated ahead of honest clocks.",
}


@dataclass(frozen=True, slots=True)
class Planted:
    """One patch. finder: the words after `python -m`."""

    path: Path
    rule: str
    fault: str
    finder: tuple[str, ...]


def read_planted(path: Path) -> Planted:
    """Read a patch's head. Raises ValueError when it is not as this file says."""
    lines = path.read_text().splitlines()
    head = dict(line.split(": ", 1) for line in lines[:3] if ": " in line)
    if set(head) != {"Rule", "Fault", "Finder"} or head["Rule"] not in RULES:
        raise ValueError(f"{path.name} does not begin with Rule, Fault and Finder")
    return Planted(path, head["Rule"], head["Fault"], tuple(shlex.split(head["Finder"])))


def all_planted() -> list[Planted]:
    """Return all patches, by number."""
    return [read_planted(path) for path in sorted(FOLDER.glob("*.patch"))]
