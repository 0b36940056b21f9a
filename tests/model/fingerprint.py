"""When are two cores in the same state? When all that can matter to what they may ever sign is equal.

Everything a core holds is walked, so that what is added to it later counts by itself; only what is named in `_LEFT_OUT`
does not count, each with its reason. Leaving out too much would merge states that differ, and hide behaviours;
leaving out too little only costs time.
"""

import io
import pickle
from collections import deque
from collections.abc import Hashable
from typing import Any, Final

from consensus.chain import KnownBlock
from consensus.core import Core
from consensus.messages import Block, Certificate, Header, Proposal, Subject, Vote
from consensus.recovery import Setup
from consensus.timing import Timing
from consensus.view_state import Views, ViewState

_LEFT_OUT: Final = {
    "Core": {
        "_setup": "never changes",
        "_timing": "never changes",
        "_shift": "never changes",
        "_own": "never changes",
        "_voter": "its rules look at the views; it retires with _is_over",
        "_notary": "never changes",
        "_admission": "looks at views and chain",
        "_proposer": "looks at views and chain",
        "_repair": "whom to ask and what was sent: all that was ever sent can be heard anyway",
        "_entry": "is re-sent only",
        "_state": "one of the views",
        "_now_ms": "time stands still here: any timer may fire at any moment",
        "_wall_offset_ms": "never changes",
        "_out": "empty between steps",
        "_tip": "is told to the driver only",
        "_notarized_view": "follows from the certificates",
    },
    "ViewState": {
        "_slots": "less than a quorum does nothing; a quorum can be heard as a certificate as well",
        "_counts": "as the slots",
        "_nullify_count": "a reason to wake up; time may pass anyway",
        "_verified": "saves work",
        "reported": "speaks of the liar",
        "rival_header": "speaks of the liar",
        "view": "is its place",
    },
    "KnownBlock": {
        "is_chain_local": "follows from the bodies",
        "block": "is named by its digest",
    },
    "Fetches": {"_setup": "never changes", "_shift": "never changes", "_chain": "walked", "_views": "walked"},
    "Pacemaker": dict.fromkeys(
        (
            "timing",
            "validator_count",
            "own_index",
            "_is_tail_armed",
            "_retry_ms",
            "_started_ms",
            "_jitter",
            "_last_seen_ms",
            "is_paced",
        ),
        "time stands still here",
    ),
}

_PAST: Final = ("proposal", "proposal_digest", "stage")
"""A proposal is looked at in its own view only."""

_fields: dict[type, tuple[str, ...]] = {}


class Registry:
    """Gives each message and other unchanging thing a number, so that states hold numbers in their place.

    Certificates are told apart by their subjects alone: who signed them makes no difference to anybody.
    """

    def __init__(self) -> None:
        self.things: list[object] = []
        self._by_key: dict[Hashable, int] = {}
        self._by_id: dict[int, int] = {}

    def number_of(self, thing: object) -> int | None:
        """Return the number of an unchanging thing, new or old; None for anything else."""
        number = self._by_id.get(id(thing))
        if number is not None:
            return number
        key: Hashable
        match thing:
            case Certificate():
                key = (Certificate, thing.subject)
            case Proposal():
                parent = thing.parent_certificate
                shown = None if parent is None else parent.subject
                key = (Proposal, thing.leader_vote.subject, shown, len(thing.nullifications))
            case Vote() | Block() | Header() | Subject() | Setup() | Timing():
                key = (type(thing), thing)
            case _:
                return None
        number = self._by_key.get(key)
        if number is None:
            number = self._by_key[key] = len(self.things)
            self.things.append(thing)
            # The thing lives as long as the registry does, so its address is its own.
            self._by_id[id(thing)] = number
        return number

    def dump(self, core: Core) -> bytes:
        """Return the core as bytes, with numbers in place of what never changes."""
        buffer = io.BytesIO()
        pickler = pickle.Pickler(buffer, pickle.HIGHEST_PROTOCOL)
        pickler.persistent_id = self.number_of  # type: ignore[method-assign]  # How pickle takes it.
        pickler.dump(core)
        return buffer.getvalue()

    def load(self, dumped: bytes) -> Core:
        """Return a core of its own in the dumped state."""
        unpickler = pickle.Unpickler(io.BytesIO(dumped))
        unpickler.persistent_load = self.things.__getitem__  # type: ignore[method-assign]  # As above.
        core = unpickler.load()
        assert isinstance(core, Core)
        return core

    def fingerprint(self, core: Core) -> Hashable:
        """Return a value that is equal for two cores in the same state."""
        return (core.view, self._walk(core, core.view))

    def _walk(self, thing: Any, current: int) -> Hashable:
        kind = type(thing)
        if kind is int or kind is bool or kind is bytes or thing is None:
            return thing  # type: ignore[no-any-return]  # Its kind is known.
        if kind is dict:
            walk = self._walk
            return frozenset([(walk(key, current), walk(value, current)) for key, value in thing.items()])
        if kind is KnownBlock:
            names = _names_of(thing)
            others = [self._walk(getattr(thing, name), current) for name in names if name != "body_ms"]
            return (thing.has_body, *others)
        if kind is ViewState:
            names = _names_of(thing)
            return (
                thing.view,
                *[
                    self._walk(getattr(thing, name), current)
                    for name in names
                    if name not in _PAST or thing.view >= current
                ],
            )
        number = self.number_of(thing)
        if number is not None:
            return number
        if isinstance(thing, int | str):
            return thing
        if kind is Views:
            return frozenset([self._walk(state, current) for state in thing if _matters(state, current)])
        if isinstance(thing, tuple | list | deque):
            return tuple([self._walk(part, current) for part in thing])
        return tuple([self._walk(getattr(thing, name), current) for name in _names_of(thing)])


def forget_hearsay(core: Core) -> None:
    """Make the core forget single votes of others, and the proposals of views it has left.

    Neither counts in a fingerprint, so neither may live on in the core that stands for all of that fingerprint.
    """
    for state in core._views:
        kept = (state.proposal, state.proposal_digest) if state.view >= core.view else (None, None)
        if not state.has_votes and kept == (None, None):
            continue
        state.forget_votes()
        state.proposal, state.proposal_digest = kept
        state.reported.clear()
        for vote in state.own.values():
            state.add(vote)
            state.mark_verified(vote)


def _matters(state: ViewState, current: int) -> bool:
    return bool(state.certificates or state.own or (state.proposal and state.view >= current))


def _names_of(thing: Any) -> tuple[str, ...]:
    kind = type(thing)
    names = _fields.get(kind)
    if names is None:
        every = getattr(kind, "__slots__", None) or tuple(vars(thing))
        left_out = _LEFT_OUT.get(kind.__name__, {})
        names = _fields[kind] = tuple(name for name in every if name not in left_out)
    return names
