"""node/lineage/row_codec: an event row as bytes and back."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from node.epcis.model import Action, Declaration, EventType, Interval
from node.lineage.records import EventRow
from node.lineage.row_codec import decode_row, encode_row
from node.wire.codec import MalformedError, Packable, pack, unpack
from tests.support.events import at, build_event, build_row, lot, place, unit


def full_row() -> EventRow:
    event = build_event(
        EventType.TRANSFORMATION,
        Interval(at(1, "08:00"), at(1, "09:00")),
        action=Action.OBSERVE,
        goods={lot("1", "a"): "0.100"},
        inputs={lot("1", "a"): 5, lot("2", "b"): None},
        outputs=[unit(7)],
        parent=unit(9),
        step="commissioning",
        disposition="active",
        read_point=place(1),
        location=place(2),
        documents=((None, "urn:po:1"), ("bol", "urn:bol:7")),
        sources=(("location", place(1)),),
        destinations=(("owning_party", "urn:party:b"),),
        run="urn:run:1",
        lot_code="c",
        event_id="urn:uuid:1",
        declaration=Declaration(at(2, "08:00"), None, ("urn:uuid:2",)),
    )
    return build_row(replace(event, record_time_ms=at(3, "08:00")), 7)


def test_row_comes_back_equal() -> None:
    """Decoding an encoded row gives the row, amounts with their digits."""
    row = full_row()
    back = decode_row(encode_row(row))
    assert back == row
    assert str(back.event.goods[0].amount) == "0.100"
    assert back.event.inputs[0].amount == Decimal(5)


def test_row_of_a_bare_event_comes_back_equal() -> None:
    """What an event does not state stays unstated."""
    row = build_row(build_event(EventType.OBJECT, at(1, "08:00"), action=Action.ADD, goods=[lot("1", "a")]), 1)
    assert decode_row(encode_row(row)) == row


@pytest.mark.parametrize(
    ("path", "value"),
    [((0,), "x"), ((5, 0), "NoEvent"), ((5, 2), (1,)), ((5, 5), "EAT"), ((5, 15, 0, 1), "no number"),
     ((5, 15, 0), ("item",)), ((5, 19), (1,)), ((5, 14), (("item", None, None, None),))],
    ids=["ref", "type", "time", "action", "amount", "goods", "declaration", "one-too-many"],
)  # fmt: skip
def test_row_with_an_impossible_field_is_malformed(path: tuple[int, ...], value: Packable) -> None:
    """A field that nothing can be is refused, and nothing else is raised."""
    with pytest.raises(MalformedError):
        decode_row(pack(_put(unpack(encode_row(full_row()), what="row"), path, value)))


def _put(fields: object, path: tuple[int, ...], value: Packable) -> tuple[Packable, ...]:
    assert isinstance(fields, tuple)
    place, *rest = path
    inner = fields[place]
    if rest:
        value = _put(inner, tuple(rest), value)
    return (*fields[:place], value, *fields[place + 1 :])


def test_truncated_row_is_malformed() -> None:
    """Every prefix of a row is refused."""
    encoded = encode_row(full_row())
    for length in range(len(encoded)):
        with pytest.raises(MalformedError):
            decode_row(encoded[:length])
