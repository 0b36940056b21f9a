"""node/lineage/stock: stock and shipments are found by what tells them apart."""

from decimal import Decimal

from node.epcis.model import Action, EventType
from node.lineage.custody import NOBODY, Holder, build_holder
from node.lineage.portions import Portion, PortionKind
from node.lineage.records import EventRow
from node.lineage.stock import REPORTS_MAX, Pool, Stocks, Transit, Way, despatch_documents, is_same
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


def portion(holder: Holder, kind: PortionKind = PortionKind.POOL) -> Portion:
    return Portion(0, kind, row(), holder, "", Decimal(0), None, "KGM")


def stock(stocks: Stocks, holder: Holder, inside: str = "") -> Pool:
    pool = Pool(holder, inside, "KGM", portion(holder), row())
    stocks.add(pool)
    fill(pool, 1)
    stocks.note(pool)
    return pool


def fill(pool: Pool, amount: int) -> None:
    pool.lo = pool.hi = Decimal(amount)


def shipment(
    transit: Transit, sender: Holder, receiver: Holder | None = None, *, step: str = "shipping", bill: str | None = None
) -> Way:
    sent = row(step, bill)
    way = Way(sender, receiver, despatch_documents(sent.event), "", "KGM", portion(sender), sent)
    transit.add(way)
    fill(way, 1)
    transit.note(way)
    transit.remember(portion(sender, PortionKind.SHIPPED), way, step)
    return way


def test_stock_is_found_by_site_and_unit() -> None:
    """Loose and packed stock of one site are apart; what is empty is found at its place alone."""
    stocks = Stocks()
    loose, packed = stock(stocks, at_site(1)), stock(stocks, at_site(1), unit(1))
    assert stocks.at(at_site(1), "") == [loose]
    assert stocks.packed_at(at_site(1)) == [packed]
    assert stocks.inside(unit(1)) == [packed]
    assert list(stocks) == [loose, packed]
    for pool in (loose, packed):
        fill(pool, 0)
        stocks.note(pool)
    assert list(stocks) == []
    assert stocks.any_pool() is None
    assert not stocks.has(at_site(1))
    assert stocks.at(at_site(1), "") == [loose]
    assert stocks.live_at(at_site(1), "") == []


def is_any(_pool: Pool) -> bool:
    return True


def test_only_other_stock_is_the_one_at_one_other_site() -> None:
    """Two show that there are several: they are not all looked at."""
    stocks = Stocks()
    here, there = at_site(1, 7), at_site(2, 7)
    assert stocks.elsewhere(here, is_any) == []
    stock(stocks, here)
    mine = stock(stocks, there)
    assert stocks.elsewhere(here, is_any) == [mine]
    assert stocks.own_elsewhere(here, is_any) == [mine]
    stock(stocks, at_site(3, 8))
    assert len(stocks.elsewhere(here, is_any)) == 2
    assert stocks.own_elsewhere(here, is_any) == [mine]
    stock(stocks, there, unit(1))
    assert len(stocks.own_elsewhere(here, is_any)) == 2
    assert stocks.own_elsewhere(NOBODY, is_any) == []


def test_shipments_are_found_by_receiver_document_and_sender() -> None:
    """In the order of their sending."""
    transit = Transit()
    addressed = shipment(transit, at_site(1), at_site(2, 9))
    to_party = shipment(transit, at_site(1), build_holder(party(9), None))
    papered = shipment(transit, at_site(1), bill="urn:bol:1")
    assert list(transit) == [addressed, to_party, papered]
    assert list(transit.addressed_to(at_site(2, 9))) == [addressed, to_party]
    assert list(transit.addressed_to(at_site(3, 9))) == [to_party]
    assert list(transit.with_document("urn:bol:1")) == [papered]
    assert list(transit.with_document("urn:po:1")) == []
    assert list(transit.unaddressed()) == [papered]
    assert transit.inside("") == [addressed, to_party, papered]
    assert transit.find(at_site(1), at_site(2, 9), frozenset(), "", "KGM") is addressed
    fill(addressed, 0)
    transit.note(addressed)
    assert len(transit) == 2
    assert list(transit.addressed_to(at_site(2, 9))) == [to_party]


def test_receiver_that_a_later_report_states_is_added() -> None:
    """Loading names nobody, departing does."""
    transit = Transit()
    one = shipment(transit, at_site(1))
    transit.name_receiver(one, at_site(2))
    assert list(transit.unaddressed()) == []
    assert list(transit.addressed_to(at_site(2))) == [one]


def test_reports_by_the_same_step_are_never_compared() -> None:
    """The same step twice is two shipments; of another step the newest few are looked at."""
    transit = Transit()
    for number in range(REPORTS_MAX + 5):
        shipment(transit, at_site(1), step="loading", bill=f"urn:bol:{number}")
    assert list(transit.sent_otherwise(at_site(1), "", "loading")) == []
    assert len(list(transit.sent_otherwise(at_site(1), "", "departing"))) == REPORTS_MAX
    assert list(transit.sent_otherwise(at_site(2), "", "departing")) == []


def test_two_names_may_mean_one_holder() -> None:
    """By site where both state it, else by party, else not."""
    assert is_same(at_site(1, 7), at_site(1, 8))
    assert not is_same(at_site(1, 7), at_site(2, 7))
    assert is_same(at_site(1, 7), build_holder(party(7), None))
    assert not is_same(at_site(1), build_holder(party(7), None))
