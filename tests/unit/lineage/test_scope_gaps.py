"""node/lineage: what worlds of known truth (tests/support/truth.py) once found left out of scopes, each in short."""

import pytest

from node.lineage.hazards import Hazard
from node.lineage.readings import Readings
from node.lineage.scope_question import Seed
from tests.support.chronicle import Chronicle
from tests.support.events import at, lot, place, product_class
from tests.support.scopes import Asked, of_event

A, B, C, D, E = (lot("1", code) for code in "ABCDE")
M, N = lot("2", "M"), lot("2", "N")
CLASS = product_class("1")


@pytest.mark.parametrize("is_addressed", [True, False])
@pytest.mark.parametrize("hazard", [Hazard.ORIGIN, Hazard.MICROBE])
def test_goods_sent_by_their_products_name_and_never_received_may_go_on_by_their_lots(
    hazard: Hazard, *, is_addressed: bool
) -> None:
    """World 35924: a bad lot was sent back under its product's name, and used there under its own."""
    story = Chronicle()
    story.make({A: 20}, at(1, "08:00"), at=2)
    sent = story.ship({A: None}, at(1, "09:00"), at=2, to=1)
    story.receive({A: 1}, at(1, "10:00"), at=1, source=2)
    story.ship({CLASS: 1}, at(1, "11:00"), at=1, to=2 if is_addressed else None)
    used = story.run({A: 1}, {M: 1}, at(1, "12:00"), at=2)
    asked = Asked(story, of_event(A, sent), hazard=hazard)
    assert asked.status(asked.find(A, "used", used)) == "possible, open"
    assert M in {one.item for one in asked.scope.reached}


def test_what_spreads_gets_into_goods_that_came_by_their_products_name_without_a_record() -> None:
    """World 36838: they lie beside the bad ones of their lot."""
    story = Chronicle()
    story.make({A: 53}, at(1, "08:00"), at=1)
    sent = story.ship({A: 29}, at(1, "09:00"), at=1, to=2, bill="1")
    story.receive({A: 29}, at(1, "10:00"), at=2, bill="1")
    story.ship({CLASS: 16}, at(1, "11:00"), at=1, to=2)
    asked = Asked(story, of_event(A, sent), hazard=Hazard.MICROBE)
    assert asked.status(asked.find(CLASS, "in_transit")) == "possible, open"
    asked = Asked(story, of_event(A, sent), hazard=Hazard.ORIGIN)
    assert CLASS not in {one.item for one in asked.scope.reached}


def _received_twice(first: int | None, second: int | None, *, sent: int | None, bill: str | None = None) -> list[str]:
    story = Chronicle()
    story.make({A: 100}, at(1, "08:00"), at=1)
    shipped = story.ship({A: sent}, at(1, "09:00"), at=1, to=2, bill=bill)
    receipts = [
        story.receive({A: first}, at(1, "12:00"), at=2, source=1, bill=bill),
        story.receive({A: second}, at(2, "12:00"), at=2, source=1, bill=bill),
    ]
    asked = Asked(story, of_event(A, shipped))
    return [asked.status(asked.find(A, "received", receipt)) for receipt in receipts]


@pytest.mark.parametrize(("first", "second", "sent"), [(4, None, None), (None, 37, 40), (None, 4, None), (4, 37, None)])
def test_what_was_received_more_often_than_sent_is_certain_only_if_amounts_tell(
    first: int | None, second: int | None, sent: int | None
) -> None:
    """Worlds 31485, 37634, 39251 and 39509: one was of a shipment that nobody recorded, no one knows which."""
    assert _received_twice(first, second, sent=sent) == ["possible", "possible"]


def test_what_was_received_in_parts_is_certain_where_amounts_or_documents_tell() -> None:
    assert _received_twice(15, 25, sent=40) == ["certain", "certain"]
    assert _received_twice(15, 25, sent=None, bill="7") == ["certain", "certain"]


def test_what_was_received_as_often_as_sent_is_certain_without_amounts() -> None:
    story = Chronicle()
    made = story.make({A: 100}, at(1, "08:00"), at=1)
    for day in (1, 2):
        story.ship({A: None}, at(day, "09:00"), at=1, to=2)
        received = story.receive({A: None}, at(day, "12:00"), at=2, source=1)
    asked = Asked(story, of_event(A, made))
    assert asked.status(asked.find(A, "received", received)) == "certain"


def test_what_lacks_after_a_doubtful_receipt_may_be_what_its_sender_has_less() -> None:
    """World 37634: its sender's rest was certain, though it had been sent."""
    story = Chronicle()
    made = story.make({A: 44}, at(1, "08:00"), at=1)
    story.ship({A: 36}, at(1, "09:00"), at=1, to=2)
    story.receive({A: None}, at(1, "12:00"), at=2, source=1)
    story.receive({A: 8}, at(2, "12:00"), at=2, source=1)
    asked = Asked(story, of_event(A, made))
    assert asked.content(asked.find(A, "held", place=place(1))) == ("0", "8")


def test_what_was_drawn_by_its_products_name_may_be_what_its_holder_has_less() -> None:
    """World 32059: all of a lot had gone by its product's name, and was still held for certain."""
    story = Chronicle()
    made = story.make({A: 72}, at(1, "08:00"), at=1)
    story.ship({A: 41}, at(1, "09:00"), at=1, to=2)
    story.ship({CLASS: 21}, at(1, "10:00"), at=1, to=2)
    story.make({B: 30}, at(1, "08:00"), at=1)
    story.make({C: 30}, at(1, "08:00"), at=3)
    asked = Asked(story, of_event(A, made))
    assert asked.content(asked.find(A, "held", place=place(1))) == ("10", "31")
    story.ship({CLASS: None}, at(1, "11:00"), at=1, to=2)
    asked = Asked(story, of_event(A, made))
    assert asked.content(asked.find(A, "held", place=place(1))) == ("0", "31")


def test_what_came_by_its_products_name_may_be_in_what_is_drawn_of_a_lot_there() -> None:
    """World 36152: good ones of the lot had come by that name, and the bad ones were taken for all there was."""
    story = Chronicle()
    story.make({A: 70}, at(1, "08:00"), at=1)
    bad = story.ship({A: 40}, at(1, "09:00"), at=1, to=2, bill="1")
    story.receive({A: 40}, at(1, "10:00"), at=2, bill="1")
    story.ship({CLASS: 30}, at(1, "11:00"), at=1, to=2, bill="2")
    used = story.run({A: 20}, {M: 20}, at(1, "13:00"), at=2)
    asked = Asked(story, of_event(A, bad))
    assert asked.status(asked.find(A, "used", used)) == "possible"
    story.receive({CLASS: 30}, at(1, "12:00"), at=2, bill="2")
    asked = Asked(story, of_event(A, bad))
    assert asked.content(asked.find(A, "used", used)) == ("0", "20")
    assert asked.content(asked.find(A, "held", place=place(2))) == ("0", "20")


def test_what_a_holder_has_sent_is_not_what_it_sends_later() -> None:
    """World 60464: a second shipment was fed from the first, which was on its way, and both were received."""
    story = Chronicle()
    first = story.ship({A: 32}, at(1, "08:00"), at=1, to=2)
    second = story.ship({A: 28}, at(1, "09:00"), at=1, to=2)
    for amount in (32, 28):
        story.receive({A: amount}, at(2, "09:00"), at=2, source=1)
    asked = Asked(story, of_event(A, first))
    assert asked.status(asked.find(A, "shipped", second)) == "possible, open"
    assert asked.content(asked.find(A, "held", place=place(2))) == ("32", "60")


@pytest.mark.parametrize("hazard", [Hazard.ORIGIN, Hazard.MICROBE])
def test_seed_that_nobody_sent_is_all_seed_material(hazard: Hazard) -> None:
    """Whoever sent it: it was 0..20 before, for what it came from is unknown."""
    story = Chronicle()
    bad = story.receive({A: 20}, at(1, "09:00"), at=2)
    used = story.run({A: 20}, {M: 20}, at(1, "10:00"), at=2)
    asked = Asked(story, of_event(A, bad), hazard=hazard)
    for portion in (asked.find(A, "received", bad), asked.find(A, "used", used), asked.find(M, "held")):
        assert asked.content(portion) == asked.affected(portion) == ("20", "20")
        assert asked.status(portion) == "certain"


@pytest.mark.parametrize("hazard", [Hazard.MICROBE, Hazard.ORIGIN, Hazard.UNKNOWN])
def test_nobody_is_asked_whether_the_seed_went_into_itself(hazard: Hazard) -> None:
    """It was made where it lies; what else is made there without inputs is asked about."""
    story = Chronicle()
    story.make({A: 100}, at(1, "08:00"), at=1)
    story.make({B: 5}, at(1, "09:00"), at=1)
    asked = Asked(story, Seed(item=A), hazard=hazard, readings=Readings())
    assert [(one.item, one.reason) for one in asked.scope.answer().unknowns] == [(B, "no_inputs")]


def test_receipt_before_the_one_that_a_document_ties_to_the_only_shipment_is_doubted() -> None:
    """World 62016: the bill of the second receipt is the shipment's, so the first was of another."""
    story = Chronicle()
    story.make({A: 35}, at(1, "08:00"), at=1)
    sent = story.ship({A: 2}, at(1, "09:00"), at=1, to=2, bill="1")
    first = story.receive({A: None}, at(1, "10:00"), at=2, source=1)
    second = story.receive({A: 2}, at(1, "12:00"), at=2, source=1, bill="1")
    asked = Asked(story, of_event(A, sent))
    assert asked.status(asked.find(A, "received", first)) == "possible"
    assert asked.status(asked.find(A, "received", second)) == "certain"


@pytest.mark.parametrize("hazard", list(Hazard))
def test_least_amount_depends_on_no_class_of_hazard(hazard: Hazard) -> None:
    """Neither on what only touched goods, nor on stock that a seed might itself be made of."""
    story = Chronicle()
    made = story.make({A: 100}, at(1, "08:00"), at=1)
    story.make({B: 40}, at(1, "08:00"), at=1)
    story.ship({A: 15}, at(1, "09:00"), at=1, to=2)
    run = story.run({A: 60}, {M: 60}, at(1, "10:00"), at=1)
    story.run({B: 40}, {N: 40}, at(1, "11:00"), at=1)
    story.receive({A: 5}, at(1, "12:00"), at=2, source=1)
    asked = Asked(story, of_event(A, made), hazard=hazard, readings=Readings())
    assert [asked.content(asked.find(A, kind))[0] for kind in ("in_transit", "shipped")] == ["10", "15"]
    assert asked.content(asked.find(M, "output", run))[0] == "60"
    assert [asked.status(asked.find(A, kind)) for kind in ("in_transit", "used")] == ["certain", "certain"]


def test_portion_is_certain_just_where_its_least_content_is_more_than_nothing() -> None:
    """What only a reading leads to is printed with no least content: a receipt by a document that no shipment bears."""
    story = Chronicle()
    made = story.make({A: 40}, at(1, "08:00"), at=1)
    story.ship({A: 40}, at(1, "09:00"), at=1, to=2)
    received = story.receive({A: 40}, at(1, "12:00"), at=2, source=1, bill="9")
    by_event = Asked(story, of_event(A, made))
    portion = by_event.find(A, "received", received)
    assert (by_event.status(portion), by_event.content(portion)) == ("possible", ("0", "40"))
    by_code = Asked(story, Seed(item=A))
    portion = by_code.find(A, "received", received)
    assert (by_code.status(portion), by_code.content(portion)) == ("certain", ("40", "40"))


@pytest.mark.parametrize("hazard", [Hazard.ORIGIN, Hazard.PIECE, Hazard.MICROBE, Hazard.UNKNOWN])
@pytest.mark.parametrize("source", [None, 1])
def test_goods_sent_by_their_lot_may_be_what_was_received_by_the_products_name(
    hazard: Hazard, source: int | None
) -> None:
    """A shop scans no lot: what it took in, and used, under the product's name alone may be the bad lot."""
    story = Chronicle()
    story.make({A: 100}, at(1, "08:00"))
    story.ship({A: 100}, at(1, "09:00"), to=2)
    story.receive({CLASS: 100}, at(2, "09:00"), at=2, source=source)
    used = story.run({CLASS: 100}, {M: 99}, at(3, "09:00"), at=2)
    story.make({CLASS: 7}, at(1, "06:00"), at=3)
    elsewhere = story.run({CLASS: 7}, {lot("2", "ELSEWHERE"): 7}, at(3, "09:00"), at=3)
    asked = Asked(story, of_event(A, story.rows[0].event), hazard=hazard)
    assert asked.status(asked.find(CLASS, "used", used)) == "possible, open"
    assert asked.status(asked.find(M, "output", used)) == "possible, open"
    assert asked.status(asked.find(CLASS, "used", elsewhere)).startswith("excluded")


def test_draw_of_unknown_amount_is_not_bounded_by_the_stock_where_more_came_by_the_products_name() -> None:
    """World 100517: 114 had come by that name, unrecorded, and 1 by the lot's; a run took what nobody weighed."""
    story = Chronicle()
    made = story.make({A: 115}, at(1, "08:00"), at=1)
    story.ship({CLASS: 114}, at(1, "09:00"), at=1, to=2)
    story.ship({A: 1}, at(1, "09:30"), at=1, to=2)
    story.receive({A: 1}, at(1, "10:00"), at=2, source=1)
    story.run({A: None}, {M: None}, at(1, "11:00"), at=2)
    asked = Asked(story, of_event(A, made))
    assert asked.content(asked.find(A, "used")) == ("0", "115")


@pytest.mark.parametrize(
    ("used", "left", "least"),
    [(55, "5", "0"), (15, "40", "25"), (20, "40", "20")],
)
def test_what_is_left_in_transit_may_be_others_where_its_receiver_drew_of_both(
    used: int, left: str, least: str
) -> None:
    """All 40 may have come, and the receiver's own be what is left of the two."""
    story = Chronicle()
    made = story.make({A: 40}, at(1, "08:00"), at=1)
    story.ship({A: 40}, at(1, "09:00"), at=1, to=3)
    story.make({A: 20}, at(1, "10:00"), at=3)
    story.run({A: used}, {M: used}, at(1, "12:00"), at=3)
    asked = Asked(story, of_event(A, made))
    rest = asked.find(A, "in_transit")
    assert asked.content(rest) == (least, left)
    assert asked.status(rest).startswith("certain" if least != "0" else "possible")
    by_code = Asked(story, Seed(item=A))
    assert by_code.content(by_code.find(A, "in_transit")) == (left, left)


def test_rest_in_transit_is_certain_where_its_receiver_had_no_others() -> None:
    """What it drew before the goods were sent it drew of others; what it drew later is off the rest already."""
    story = Chronicle()
    story.make({A: 20}, at(1, "06:00"), at=3)
    story.run({A: 20}, {N: 20}, at(1, "07:00"), at=3)
    made = story.make({A: 40}, at(1, "08:00"), at=1)
    story.ship({A: 40}, at(1, "09:00"), at=1, to=3)
    story.run({A: 35}, {M: 35}, at(1, "12:00"), at=3)
    asked = Asked(story, of_event(A, made))
    assert asked.content(asked.find(A, "in_transit")) == ("5", "5")
    assert asked.status(asked.find(A, "in_transit")) == "certain"


@pytest.mark.parametrize("by_code", [False, True])
@pytest.mark.parametrize(
    ("received", "used", "least", "status"),
    [
        (27, CLASS, "0", "possible"),
        (27, A, "0", "possible"),
        (10, None, "17", "certain"),
        (None, CLASS, "0", "possible"),
    ],
)
def test_what_was_received_by_its_products_name_may_be_what_is_less_in_transit(
    received: int | None, used: str | None, least: str, status: str, by_code: bool
) -> None:
    """A shop scans no lot: what it took in so is no longer on its way, though no receipt names the lot."""
    story = Chronicle()
    story.receive({CLASS: 500}, at(1, "06:00"), at=3, source=7)
    made = story.make({A: 40}, at(1, "08:00"), at=1)
    story.ship({A: 27}, at(1, "10:00"), at=1, to=3)
    if received is not None:
        story.receive({CLASS: received}, at(1, "12:00"), at=3, source=1)
    if used is not None:
        story.run({used: 27}, {M: 27}, at(1, "14:00"), at=3)
    story.run({CLASS: 400}, {N: 400}, at(1, "14:00"), at=4)
    asked = Asked(story, Seed(item=A) if by_code else of_event(A, made))
    rest = asked.find(A, "in_transit")
    assert (asked.content(rest), asked.status(rest)) == ((least, "27"), status)
