"""node/lineage/units: what converts exactly, and nothing by guess."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from consensus.types import Digest
from node.crypto.digests import sha256
from node.epcis.model import Action, EventType, Goods
from node.lineage.units import convert, to_base
from tests.support.chronicle import Chronicle, goods_of, holders_of
from tests.support.events import at, build_event, lot, place, unit

FLOUR, BREAD = lot("1", "F1"), lot("3", "B")


@pytest.mark.parametrize(
    ("amount", "uom", "target", "found"),
    [
        ("1", "TNE", "KGM", "1000"),
        ("10", "LBR", "GRM", "4535.9237"),
        ("16", "ONZ", "LBR", "1"),
        ("2", "MTQ", "HLT", "20"),
        ("7", "EA", None, "7"),
        ("7", "H87", "C62", "7"),
        ("5", "CS", "CS", "5"),
        ("5", "CS", "KGM", None),
        ("5", "LTR", "KGM", None),
        ("1", "KGM", "LBR", None),
    ],
)
def test_units_convert_exactly_or_not_at_all(
    amount: str, uom: str | None, target: str | None, found: str | None
) -> None:
    """A pound is so many grams by definition; a kilogram in pounds has no end, a case in kilograms is a guess."""
    assert convert(Decimal(amount), uom, target) == (None if found is None else Decimal(found))


def test_amounts_are_counted_in_the_unit_of_their_kind() -> None:
    """An unknown amount stays unknown, an unknown unit as it is."""
    assert to_base(Decimal(1500), "GRM") == (Decimal("1.5"), "KGM")
    assert to_base(None, "MLT") == (None, "LTR")
    assert to_base(Decimal(3), "EA") == (Decimal(3), None)
    assert to_base(Decimal(3), "CS") == (Decimal(3), "CS")


def test_stock_and_contents_in_grams_are_those_in_kilograms() -> None:
    """All shipped, all unpacked: nobody else has any, and nothing is in the unit any more."""
    story = Chronicle()
    grams = (Goods(FLOUR, Decimal(5000), "GRM"),)
    story.make({FLOUR: 10}, at(1, "07:00"))
    story.pack(unit(1), {FLOUR: 5}, at(1, "08:00"))
    for kind, parent, step, when in (
        (EventType.AGGREGATION, unit(1), "unpacking", at(1, "09:00")),
        (EventType.OBJECT, None, "destroying", at(1, "10:00")),
    ):
        event = build_event(kind, when, action=Action.DELETE, goods=(), parent=parent, step=step, location=place(1))
        story.add(replace(event, goods=grams, content_digest=Digest(sha256(step.encode()))))
    story.ship({FLOUR: 5}, at(1, "11:00"), to=2)
    story.run([unit(1)], {BREAD: 1}, at(1, "12:00"))
    answer = story.forward(FLOUR)
    assert holders_of(answer, FLOUR) == [(place(2), "in_transit")]
    assert not answer.warnings
    assert BREAD not in goods_of(answer)
