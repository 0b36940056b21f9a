"""Every way in which three honest validators and a liar can go through a few views, by search.

A state of the network is one state number for each honest validator: what was sent never disappears and may reach
anybody, at any time or never, so messages need no place of their own. The liar has none either: it may say anything
that a signer can sign, whenever that helps.

Four reductions keep the search small, and none of them loses a vote:

- What a validator hears without saying anything new is put off until just before it says something new: others cannot
  tell when it heard it.
- Of what it hears before that, only what it needs for it is heard: the rest is put off again.
- Two validators that lead no view of the search differ in name only: one of two networks that differ so is searched.
- The liar's blocks for one view and parent differ in name only: the second is shown once somebody has voted for the
  first.

`Configuration(…, is_reduced=False)` searches without them; both must come to the same sayings.
"""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from consensus.messages import VoteKind
from tests.model.properties import certifiable, fault_of
from tests.model.seat import (
    Action,
    HearCertificate,
    HearForeign,
    HearLie,
    HearProposal,
    HearVotes,
    Seat,
    ViolationError,
)
from tests.model.universe import HONEST, LIAR, Universe

Network = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Configuration:
    """What is searched. liar_leads: the view, of the first four, that the liar leads. views: in which anything is done.

    with_hearsay: single votes and certificates that are none arrive too, not good certificates alone. with_forgeries:
    proposals that show the certificate of one block and stand on another, and good certificates of the epoch before.
    with_restarts: validators die at any moment and come back from their disks. with_seals: the epoch ends with any
    block on its anchor. states_max: then the search gives up.
    """

    liar_leads: int
    views: int
    with_hearsay: bool = False
    with_forgeries: bool = False
    with_restarts: bool = False
    with_seals: bool = False
    is_reduced: bool = True
    states_max: int = 5_000_000


@dataclass(slots=True)
class Found:
    """What a search came to. fault: the broken property, None if all hold in every state reached."""

    configuration: Configuration
    networks: int = 0
    transitions: int = 0
    local_states: int = 0
    core_steps: int = 0
    sayings: int = 0
    seconds: float = 0.0
    is_complete: bool = False
    fault: str | None = None
    final_views: set[int] = field(default_factory=set)
    reached: set[str] = field(default_factory=set)


class Exploration:
    """One search."""

    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.universe = Universe(
            liar_leads=configuration.liar_leads, views=configuration.views, with_seals=configuration.with_seals
        )
        self.sayings: set[tuple[int, ...]] = set()
        followers = [
            seat for seat in HONEST if seat not in map(self.universe.leader_of, range(1, configuration.views + 1))
        ]
        self._twins = (followers[0], followers[1]) if configuration.is_reduced and len(followers) == 2 else None
        self.seats: tuple[Seat, ...] = ()
        self._moves: dict[tuple[int, int, int, int, int], tuple[int, ...]] = {}
        self._offers: dict[tuple[int, int, int, int, int], tuple[tuple[int | None, Action], ...]] = {}

    def run(self, *, walks: int = 0, seed: int = 0) -> Found:
        """Search until everything has been seen, a property is broken, or the bound is met.

        walks: if not 0, go so often from the beginning to an end by chance instead, in worlds too large to search.
        """
        found = Found(self.configuration)
        begun = time.monotonic()
        try:
            restarts = self.configuration.with_restarts
            seats = [Seat(self.universe, seat, with_restarts=restarts) for seat in HONEST]
            if self._twins is not None:
                seats[self._twins[1]] = seats[self._twins[0]]
            self.seats = tuple(seats)
            if walks:
                self._wander(found, walks, random.Random(seed))
            else:
                self._search(found)
        except ViolationError as violation:
            found.fault = str(violation)
        found.seconds = time.monotonic() - begun
        found.sayings = len(self.sayings)
        machines = {seat.index: seat for seat in self.seats}.values()
        found.local_states = sum(len(seat.states) for seat in machines)
        found.core_steps = sum(seat.steps for seat in machines)
        return found

    def _search(self, found: Found) -> None:
        start: Network = (self.seats[0].start, self.seats[1].start, self.seats[2].start)
        seen = {start}
        stack = [start]
        while stack:
            network = stack.pop()
            found.networks = len(seen)
            if not self._holds(found, network) or len(seen) > self.configuration.states_max:
                return
            for following in self._following(network):
                found.transitions += 1
                if following not in seen:
                    seen.add(following)
                    stack.append(following)
        found.is_complete = True

    def _wander(self, found: Found, walks: int, chance: random.Random) -> None:
        """Go from the beginning by chance until nothing new can be said, again and again."""
        for _ in range(walks):
            network: Network = (self.seats[0].start, self.seats[1].start, self.seats[2].start)
            while True:
                found.networks += 1
                if not self._holds(found, network):
                    return
                following = list(self._following(network))
                if not following:
                    break
                found.transitions += 1
                network = chance.choice(following)

    def _holds(self, found: Found, network: Network) -> bool:
        """Look at what has been said, unless it was looked at before; return whether all is well."""
        said = self._said(network)
        if said not in self.sayings:
            self.sayings.add(said)
            found.fault = fault_of(self.universe, said)
            self._note_reached(found, said)
        for machine, number in zip(self.seats, network, strict=True):
            why = machine.states[number].halted
            if why is not None and found.fault is None:
                found.fault = f"validator {machine.index} halts: {why}"
        return found.fault is None

    def _said(self, network: Network) -> tuple[int, ...]:
        return tuple(machine.states[number].said for machine, number in zip(self.seats, network, strict=True))

    def _following(self, network: Network) -> Iterator[Network]:
        """Yield the network after each move of each validator."""
        said = self._said(network)
        proposed = 0
        for machine, number in zip(self.seats, network, strict=True):
            proposed |= machine.states[number].proposed
        for seat in HONEST:
            for after in self._moves_of(seat, network, said, proposed):
                yield self._named(network, seat, after)

    def _named(self, network: Network, seat: int, after: int) -> Network:
        """Return the network after one validator's move, under the name that stands for its twin as well."""
        numbers = list(network)
        numbers[seat] = after
        if self._twins is not None:
            one, other = self._twins
            if numbers[one] > numbers[other]:
                numbers[one], numbers[other] = numbers[other], numbers[one]
        return numbers[0], numbers[1], numbers[2]

    def _note_reached(self, found: Found, said: tuple[int, ...]) -> None:
        kinds: dict[int, set[VoteKind]] = {}
        bits = certifiable(said)
        for number, subject in enumerate(self.universe.subjects):
            if bits >> number & 1:
                kinds.setdefault(subject.view, set()).add(subject.kind)
                if subject.kind == VoteKind.FINALIZE:
                    found.final_views.add(subject.view)
        for of_view in kinds.values():
            found.reached.add("+".join(kind.name for kind in sorted(of_view)))

    # What one validator can come to.

    def _moves_of(self, seat: int, network: Network, said: tuple[int, ...], proposed: int) -> tuple[int, ...]:
        peers, words = self._peers_of(seat, said)
        machine = self.seats[seat]
        key = (machine.index, network[seat], *words, proposed)
        moves = self._moves.get(key)
        if moves is None:
            scene = _Scene(peers, words, said, proposed)
            move = self._next_sayings if self.configuration.is_reduced else self._next_states
            moves = self._moves[key] = tuple(dict.fromkeys(move(machine, network[seat], scene)))
        return moves

    def _peers_of(self, seat: int, said: tuple[int, ...]) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the names of the two other honest validators, as this one's core knows them, and what they said."""
        peers = [(peer, said[peer]) for peer in HONEST if peer != seat]
        if self._twins is not None and seat == self._twins[1]:
            swapped = {self._twins[0]: self._twins[1]}
            peers = sorted((swapped.get(peer, peer), word) for peer, word in peers)
        (one, word), (other, its_word) = peers
        return (one, other), (word, its_word)

    def _next_states(self, machine: Seat, number: int, scene: "_Scene") -> Iterator[int]:
        """Yield the state after every single thing that can happen."""
        for action in self._actions(machine, number, scene):
            after = machine.step(number, action)
            if after != number:
                yield after

    def _next_sayings(self, machine: Seat, number: int, scene: "_Scene") -> Iterator[int]:
        """Yield the states just after this validator has said something new, having heard no more than that needs."""
        before = machine.states[number]
        level: dict[int, frozenset[Action]] = {number: frozenset()}
        seen = {number}
        needed: dict[tuple[int, int], list[frozenset[Action]]] = {}
        while level:
            following: dict[int, frozenset[Action]] = {}
            for silent, heard in level.items():
                for action in self._actions(machine, silent, scene):
                    after = machine.step(silent, action)
                    if after == silent:
                        continue
                    state = machine.states[after]
                    new = (state.said, state.proposed)
                    if new == (before.said, before.proposed) and state.halted is None:
                        if after not in seen:
                            seen.add(after)
                            following[after] = heard | {action}
                        continue
                    now_heard = heard | {action}
                    ways = needed.setdefault(new, [])
                    if not any(way < now_heard for way in ways):
                        ways.append(now_heard)
                        yield after
            level = following

    def _actions(self, machine: Seat, number: int, scene: "_Scene") -> Iterator[Action]:
        yield from machine.own_actions(number)
        held = machine.states[number].held
        for subject, action in self._offers_of(machine.index, scene):
            if subject is None or not held >> subject & 1:
                yield action

    def _offers_of(self, seat: int, scene: "_Scene") -> tuple[tuple[int | None, Action], ...]:
        """Return all that a validator can hear, given what each honest one has said; with the subject it is about."""
        one, other = scene.words
        own = sum(scene.said) - one - other
        certain = certifiable((one, other, own))
        said = one | other | own if self.configuration.is_reduced else -1
        proposals = scene.proposed | self.universe.lies(certain, said=said)
        if self.configuration.with_forgeries:
            proposals |= self.universe.crossed_lies(certain)
        key = (seat, one, other, own, proposals)
        offers = self._offers.get(key)
        if offers is None:
            found: list[tuple[int | None, Action]] = [
                (subject, HearCertificate(subject))
                for subject in range(len(self.universe.subjects))
                if certain >> subject & 1
            ]
            if self.configuration.with_forgeries:
                found.append((None, HearForeign()))
            if self.configuration.with_hearsay:
                found += self._hearsay(seat, scene, own, certain)
            found += [
                (None, HearProposal(number))
                for number, proposal in enumerate(self.universe.proposals)
                if proposals >> number & 1 and proposal.leader_vote.signer != seat
            ]
            offers = self._offers[key] = tuple(found)
        return offers

    def _hearsay(self, seat: int, scene: "_Scene", own: int, certain: int) -> list[tuple[int | None, Action]]:
        found: list[tuple[int | None, Action]] = []
        for subject in range(len(self.universe.subjects)):
            bit = 1 << subject
            signers = tuple(peer for peer, word in zip(scene.peers, scene.words, strict=True) if word & bit)
            voters = (*signers, seat) if own & bit else signers
            if voters:
                found.append((subject, HearVotes(subject, (*signers, int(LIAR)))))
                if not certain & bit:
                    found.append((None, HearLie(subject, tuple(sorted((*voters, int(LIAR)))))))
        return found


@dataclass(frozen=True, slots=True)
class _Scene:
    """What one validator finds: the two other honest ones as it knows them, what they said, and what all said."""

    peers: tuple[int, int]
    words: tuple[int, int]
    said: tuple[int, ...]
    proposed: int
