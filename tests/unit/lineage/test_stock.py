"""node/lineage/stock: stock and shipments are found by what tells them apart."""

from decimal import Decimal

from node.epcis.model import Action, EventType
from node.lineage.custody import NOBODY, Holder, build_holder
from node.lineage.records import EventRow
from node.lineage.stock import REPORTS_MAX, Shipment, Stock, Stocks, Transit, despatch_documents, is_same
from tests.support.events import at, build_event, build_row, lot, party, place, unit


def at_site(number: int, owner: int | None = None) -> Holder:
    return build_holder(None if owner is None else party(owner), place(number))


def row(step: str = "shipping", bill: str | None = None) -> EventRow:
    event = build_event(
        EventType.OBJECT,
        at(1, "08:00"),
        action=Action.OBSERVE,
        goods=[lot("1", "a")],
        step=step,
        documents=(("po", "urn:po:1"), *((("bol", bill),) if bill else ())),
    )
    return build_row(event, 1)


def stock(holder: Holder, inside: str = "") -> Stock:
    return Stock(holder, row(), Decimal(1), "KGM", inside)


def shipment(
    sender: Holder, receiver: Holder | None = None, *, step: str = "shipping", bill: str | None = None
) -> Shipment:
    sent = row(step, bill)
    return Shipment(sender, receiver, sent, Decimal(1), "KGM", "", despatch_documents(sent.event))


def test_stock_is_found_by_site_and_unit() -> None:
    """Loose and packed stock of one site are apart; what is removed is gone from every index."""
    stocks = Stocks()
    loose, packed = stock(at_site(1)), stock(at_site(1), unit(1))
    stocks.add(loose)
    stocks.add(packed)
    assert stocks.find(at_site(1), "") is loose
    assert stocks.packed_at(at_site(1)) == [packed]
    assert stocks.inside(unit(1)) == [packed]
    assert list(stocks) == [loose, packed]
    stocks.remove(loose)
    stocks.remove(packed)
    assert not stocks
    assert list(stocks) == []
    assert not stocks.has(at_site(1))


def test_only_other_stock_is_the_one_at_one_other_site() -> None:
    """None if there is no other, or more than one."""
    stocks = Stocks()
    here, there = at_site(1, 7), at_site(2, 7)
    assert stocks.only_elsewhere(here) is None
    mine = stock(there)
    stocks.add(stock(here))
    stocks.add(mine)
    assert stocks.only_elsewhere(here) is mine
    assert stocks.only_own_elsewhere(here) is mine
    assert stocks.has_elsewhere(here)
    stocks.add(stock(at_site(3, 8)))
    assert stocks.only_elsewhere(here) is None
    assert stocks.only_own_elsewhere(here) is mine
    stocks.add(stock(there, unit(1)))
    assert stocks.only_own_elsewhere(here) is None
    assert stocks.only_own_elsewhere(NOBODY) is None


def test_shipments_are_found_by_receiver_document_and_sender() -> None:
    """In the order of their sending."""
    transit = Transit()
    addressed = shipment(at_site(1), at_site(2, 9))
    to_party = shipment(at_site(1), build_holder(party(9), None))
    papered = shipment(at_site(1), bill="urn:bol:1")
    for one in (addressed, to_party, papered):
        transit.add(one)
    assert list(transit) == [addressed, to_party, papered]
    assert list(transit.addressed_to(at_site(2, 9))) == [addressed, to_party]
    assert list(transit.addressed_to(at_site(3, 9))) == [to_party]
    assert list(transit.with_document("urn:bol:1")) == [papered]
    assert list(transit.with_document("urn:po:1")) == []
    assert list(transit.unaddressed()) == [papered]
    assert transit.inside("") == [addressed, to_party, papered]
    transit.remove(addressed)
    assert len(transit) == 2
    assert list(transit.addressed_to(at_site(2, 9))) == [to_party]


def test_receiver_that_a_later_report_states_is_added() -> None:
    """Loading names nobody, departing does."""
    transit = Transit()
    one = shipment(at_site(1))
    transit.add(one)
    transit.name_receiver(one, at_site(2))
    assert list(transit.unaddressed()) == []
    assert list(transit.addressed_to(at_site(2))) == [one]


def test_reports_by_the_same_step_are_never_compared() -> None:
    """The same step twice is two shipments; of another step the newest few are looked at."""
    transit = Transit()
    for _number in range(REPORTS_MAX + 5):
        transit.add(shipment(at_site(1), step="loading"))
    assert list(transit.sent_otherwise(at_site(1), "", "loading")) == []
    assert len(list(transit.sent_otherwise(at_site(1), "", "departing"))) == REPORTS_MAX
    assert list(transit.sent_otherwise(at_site(2), "", "departing")) == []


def test_two_names_may_mean_one_holder() -> None:
    """By site where both state it, else by party, else not."""
    assert is_same(at_site(1, 7), at_site(1, 8))
    assert not is_same(at_site(1, 7), at_site(2, 7))
    assert is_same(at_site(1, 7), build_holder(party(7), None))
    assert not is_same(at_site(1), build_holder(party(7), None))
