"""The balance of a party, product and period, as it is asked for: on a real index, with names, bounds and a digest."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.errors import RequestError
from node.lineage.readings import Readings
from node.query import balances
from node.query.balance_text import render_balance
from node.query.balances import BalanceAnswer, BalanceRequest, BalanceService, Bounds
from node.query.errors import UnknownSeedError
from tests.support.events import lot, place, unit
from tests.support.flag_ledger import FlagLedger, make, pack, place_of, receive, run, ship, stamp, stated

FLOUR, OTHER, BREAD = lot("952110000001", "F1"), lot("952110000001", "F2"), lot("952110000002", "B1")
PRODUCT = FLOUR.partition("/10/")[0]
PALLET = unit(21)
FIRM = "urn:example:firm:7"


def fill(ledger: FlagLedger, *, turned: bool = False) -> None:
    """A bakery (place 2, of firm 7) gets 100 loose and 40 on a pallet, and uses 90 of one lot and 50 of the other."""
    blocks = [
        [make(FLOUR, 100, 5), make(OTHER, 40, 5), ship(FLOUR, 100, 6)],
        [pack(PALLET, OTHER, 40, 6), ship(PALLET, 1, 7), receive(PALLET, 1, 8)],
        [receive(FLOUR, 100, 8), run({FLOUR: 90}, {BREAD: 90}, 12, at=2)],
        [pack(PALLET, OTHER, 40, 9, 2, "DELETE"), run({OTHER: 50}, {BREAD: 50}, 13, at=2)],
    ]
    ledger.enter(vocabulary=(place_of(2, 7), stated("EPCClass", PRODUCT, "name", "Rye flour")))
    for events in reversed(blocks) if turned else blocks:
        ledger.enter(*events)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlagLedger]:
    one = FlagLedger(tmp_path_factory.mktemp("balance") / "index")
    fill(one)
    yield one
    one.close()


def ask(ledger: FlagLedger, *, party: str = FIRM, since: str = stamp(7), until: str = stamp(20)) -> BalanceAnswer:
    service = BalanceService(ledger.index.reader, lambda _: Readings())
    return service.balance(BalanceRequest(party, PRODUCT, since, until))


def test_balance_has_every_lot_that_the_party_had_in_units_too(ledger: FlagLedger) -> None:
    """The pallet's events name no lot; 10 kg of what it brought came from nowhere."""
    answer = ask(ledger)
    (total,) = answer.totals
    assert [line.item for line in answer.lots] == [FLOUR, OTHER]
    assert (total.received, total.used, total.closing.min) == (Bounds("140", "140"), Bounds("140", "140"), "10")
    assert [line.verdict for line in answer.lots] == ["balanced", "gain"]
    assert (answer.lots[1].difference, total.verdict) == (Bounds("10", "10"), "gain")
    assert (answer.gain_permille, answer.loss_permille, answer.lot_count, answer.complete) == (5, 50, 2, True)
    assert answer.names == {PRODUCT: "Rye flour"}


def test_a_place_is_asked_for_like_its_party_and_a_period_before_all_is_empty(ledger: FlagLedger) -> None:
    """Whose place it is, master data say."""
    assert ask(ledger, party=place(2)).lots == ask(ledger).lots
    empty = ask(ledger, since=stamp(1), until=stamp(2))
    assert (empty.totals, empty.lots, empty.lot_count) == ((), (), 0)
    assert "nothing of it was there, came or went" in list(render_balance(empty))


def test_balance_reads_as_an_account(ledger: FlagLedger) -> None:
    """Opening, what came and went, closing, the difference; then the lots that do not balance."""
    text = list(render_balance(ask(ledger)))
    assert text[0].startswith(f"Rye flour at {FIRM}, 2025-10-06T05:00:00.000Z to ")
    assert "  + received: 140 kg" in text
    assert "  difference: 10 kg: MORE than the record explains" in text
    assert f"  {OTHER}: 10 kg, MORE than the record explains" in text
    assert text[-1].startswith("2 lots, at height 5, digest ")


def test_digest_is_the_same_in_any_order_of_arrival_and_of_another_period_another(
    ledger: FlagLedger, tmp_path: Path
) -> None:
    """It is over all of the answer but the height."""
    turned = FlagLedger(tmp_path / "index")
    fill(turned, turned=True)
    turned.wait(1)
    assert ask(turned).height != ask(ledger).height
    assert ask(turned).digest == ask(ledger).digest != ask(ledger, until=stamp(12)).digest
    turned.close()


def test_what_cannot_be_asked_is_refused_with_its_field(ledger: FlagLedger) -> None:
    """A period that ends before it begins, a time without offset, a party that nobody named."""
    for how, field in (
        ({"since": stamp(9), "until": stamp(8)}, "params.to"),
        ({"since": "2025-10-06T00:00:00"}, "params.from"),
        ({"until": "soon"}, "params.to"),
    ):
        with pytest.raises(RequestError) as refused:
            ask(ledger, **how)
        assert refused.value.field == field
    with pytest.raises(UnknownSeedError) as unknown:
        ask(ledger, party="urn:example:firm:99")
    assert unknown.value.field == "params.party"


def test_balance_of_more_than_is_looked_at_says_so(ledger: FlagLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    """By lots, and by events: the totals are of what was looked at."""
    monkeypatch.setattr(balances, "LOTS_MAX", 1)
    answer = ask(ledger)
    assert (answer.lot_count, answer.complete, answer.totals[0].verdict) == (1, False, "balanced")
    assert any(line.startswith("there is more than was looked at") for line in render_balance(answer))
    monkeypatch.undo()
    monkeypatch.setattr(balances, "EVENTS_MAX", 2)
    assert not ask(ledger).complete
