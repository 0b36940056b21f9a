"""Every run of the real core in small worlds keeps the properties that agreement rests on; a broken core does not.

What a search covers: four validators, one of which says whatever a signer can say, to whom and when it likes; messages
that are lost, late, repeated and in any order; patience that ends at any moment; with_restarts, death at any moment,
with or without the records that no sync had covered; with_seals, the last block of an epoch and its re-proposals. What
it does not: more views than it is told, execution (every block is good and its executed height is the anchor's), the
epoch after, guards after a loss, clocks, and whether anything is ever decided.
"""

import itertools

import pytest

from consensus.chain import KnownBlock
from consensus.core import Core
from consensus.messages import Subject, VoteKind
from consensus.pacemaker import Pacemaker
from consensus.repair import Fetches
from consensus.view_state import ViewState
from tests.model.broken import VARIANTS, Variant, broken
from tests.model.explorer import Configuration, Exploration
from tests.model.fingerprint import _LEFT_OUT
from tests.model.universe import HONEST, Universe

SEARCHES = (
    Configuration(liar_leads=1, views=1, with_hearsay=True, with_restarts=True),
    Configuration(liar_leads=2, views=1, with_hearsay=True, with_restarts=True),
    Configuration(liar_leads=1, views=2),
    Configuration(liar_leads=2, views=2, with_forgeries=True),
    Configuration(liar_leads=3, views=2),
    Configuration(liar_leads=2, views=2, with_seals=True),
)


def _name(configuration: Configuration) -> str:
    flags = ("with_hearsay", "with_forgeries", "with_restarts", "with_seals")
    extras = "".join(f"-{flag}" for flag in flags if getattr(configuration, flag))
    return f"liar-leads-{configuration.liar_leads}-of-{configuration.views}{extras}"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("configuration", SEARCHES, ids=_name)
def test_no_run_of_a_small_world_breaks_agreement(configuration: Configuration) -> None:
    """I-1 to I-5, I-11 and I-13 in every state that can be reached, and the search has seen the rare paths."""
    found = Exploration(configuration).run()
    assert found.fault is None
    assert found.is_complete
    assert found.final_views == set(range(1, configuration.views + 1))
    assert "NOTARIZE+NULLIFY" in found.reached, "one view notarized and nullified is the path that P3 is there for"


@pytest.mark.parametrize("liar_leads", [1, 2, 3])
def test_walks_through_three_views_break_nothing(liar_leads: int) -> None:
    """Three views are too many to search within a test: some runs of them."""
    search = Exploration(
        Configuration(
            liar_leads=liar_leads,
            views=3,
            with_forgeries=liar_leads == 2,
            with_restarts=liar_leads != 3,
            with_seals=liar_leads != 1,
        )
    )
    found = search.run(walks=8, seed=liar_leads)
    assert found.fault is None
    assert {"NOTARIZE", "NULLIFY"} <= found.reached


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
def test_a_core_with_one_rule_broken_is_found_out(variant: Variant) -> None:
    """A search that accepts a broken core proves nothing about a whole one."""
    with broken(variant):
        found = Exploration(variant.search).run()
    assert found.fault is not None, f"not noticed: {variant.rule}"
    assert variant.finds in found.fault


@pytest.mark.parametrize("liar_leads", [1, 2])
@pytest.mark.parametrize("with_restarts", [False, True], ids=["no-restarts", "restarts"])
def test_the_reductions_lose_nothing_that_is_said(liar_leads: int, *, with_restarts: bool) -> None:
    """Up to the names of what is alike, the reduced search comes to the sayings of the one that tries everything."""
    found = []
    for is_reduced in (False, True):
        configuration = Configuration(
            liar_leads=liar_leads, views=1, with_restarts=with_restarts and liar_leads == 2, is_reduced=is_reduced
        )
        search = Exploration(configuration)
        assert search.run().is_complete
        found.append({_nameless(search.universe, said) for said in search.sayings})
    assert found[0] == found[1]


Saying = tuple[tuple[tuple[int, int, int, int], ...], ...]


def _nameless(universe: Universe, said: tuple[int, ...]) -> Saying:
    """Return the same for sayings that differ in the names of followers or of the liar's blocks only."""
    followers = [seat for seat in HONEST if seat not in map(universe.leader_of, range(1, universe.views + 1))]
    others = [seat for seat in HONEST if seat not in followers]
    words = {seat: [_word(universe, subject) for subject in universe.subjects_in(said[seat])] for seat in HONEST}
    names: list[Saying] = []
    for order, is_swapped in itertools.product(itertools.permutations(followers), (False, True)):
        names.append(
            tuple(
                tuple(sorted((*rest, -variant if is_swapped else variant) for *rest, variant in words[seat]))  # type: ignore[misc]  # The last is an int.
                for seat in (*others, *order)
            )
        )
    return min(names)


def _word(universe: Universe, subject: Subject) -> tuple[int, int, int, int]:
    """Return a subject with the liar's blocks told apart by sign: -1 and 1 are alike, 0 is anything else."""
    variant = 0
    if subject.kind != VoteKind.NULLIFY:
        header = universe.blocks[subject.digest].header
        if universe.leader_of(header.view) not in HONEST:
            variant = 2 * universe.blocks[subject.digest].payload[0] - 1
    return int(subject.kind), subject.view, subject.parent_view, variant


def test_what_a_fingerprint_leaves_out_exists() -> None:
    """A name that the core no longer has would hide that something else took its place."""
    core = Exploration(Configuration(liar_leads=1, views=1))
    core.run()
    real = core.seats[0].registry.load(core.seats[0].states[0].core)
    fields = {
        "Core": set(vars(real)),
        "ViewState": set(ViewState.__slots__),
        "KnownBlock": set(KnownBlock.__slots__),
        "Pacemaker": set(Pacemaker.__slots__),
        "Fetches": set(vars(real._fetches)),
    }
    assert {Core.__name__, Fetches.__name__} <= set(fields)
    for kind, names in _LEFT_OUT.items():
        assert set(names) <= fields[kind], kind
