"""Worlds whose truth is known: what is recorded wholly balances in every period, and only what is not may be odd."""

import random
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import pytest

from node.lineage.custody import Holder
from node.lineage.facts import open_facts
from node.lineage.mass_balance import Account, Verdict, balance_of
from node.lineage.readings import Readings
from tests.support.events import place
from tests.support.memory_index import MemoryIndex
from tests.support.truth import World, build_world
from tests.support.truth_play import BUSY_FROM, KG, RICH_FROM
from tests.support.truth_record import Report

WORLDS = 20


def accounts(world: World, index: MemoryIndex, from_ms: int, to_ms: int) -> Iterator[tuple[int, Account]]:
    """The accounts of every lot at every party of a world."""
    before, until = (
        open_facts(index, Readings(), as_of_ms=as_of_ms, known_at=index.height) for as_of_ms in (from_ms - 1, to_ms)
    )
    lots = sorted({code for fact in world.facts for code, _grams in (*fact.goods, *fact.outputs)})
    for party in sorted({fact.party for fact in world.facts}):
        is_own = partial(_is_at, place(party))
        for account in balance_of(lots, before, until, is_own, from_ms=from_ms, to_ms=to_ms):
            yield party, account


def _is_at(site: str, holder: Holder) -> bool:
    return holder.site == site


def periods(world: World) -> list[tuple[int, int]]:
    """All of the story, and some part of it."""
    from_ms, to_ms = world.record.from_ms, world.record.to_ms
    part = sorted(random.Random(world.number).choices(range(from_ms, to_ms), k=2))
    return [(from_ms, to_ms), (part[0], part[1])]


def judge(account: Account) -> Verdict:
    return account.judge(gain_permille=5, loss_permille=50)


@pytest.mark.parametrize("first", [0, RICH_FROM, BUSY_FROM])
def test_whole_record_balances_exactly_in_any_period(first: int) -> None:
    """And its closing is what each party truly had at last."""
    for number in range(first, first + WORLDS):
        world = build_world(number)
        reports = tuple([Report(fact, fact.when_ms) for fact in world.facts])
        index = replace(world.record, reports=reports).tell().index()
        for from_ms, to_ms in periods(world):
            for party, account in accounts(world, index, from_ms, to_ms):
                assert judge(account) is Verdict.BALANCED, (number, party, account)
        truly = {(held.party, held.lot): held.amount for held in world.truth}
        for party, account in accounts(world, index, *periods(world)[0]):
            wanted = truly.get((party, account.item), 0)
            assert account.closing.lo == account.closing.hi == wanted / KG, (number, party, account)


@pytest.mark.parametrize("first", [0, RICH_FROM, BUSY_FROM])
def test_only_what_was_not_recorded_is_a_gain_or_a_loss(first: int) -> None:
    """A lot of which every event was recorded by its code is balanced, or unsure where amounts are not known."""
    odd = 0
    for number in range(first, first + WORLDS):
        world = build_world(number)
        index = world.tell().index()
        told = [report.fact for report in world.record.reports if not report.is_uncoded]
        lacking = {
            code for fact in world.facts if fact not in told for code, _grams in (*fact.goods, *fact.outputs)
        }  # fmt: skip
        for from_ms, to_ms in periods(world):
            for party, account in accounts(world, index, from_ms, to_ms):
                if judge(account) in (Verdict.GAIN, Verdict.LOSS):
                    assert account.item in lacking, (number, party, account)
                    odd += 1
    assert odd > 5
