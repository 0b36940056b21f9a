"""Execution reads events by rules of our own, equal at every node and total over any bytes."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.epcis.errors import UnreadableEventError
from node.epcis.model import Action, Event, EventType, Goods, MasterKind
from node.epcis.reader import read_event, read_master
from node.epcis.times import read_instant

LOT = "https://id.gs1.org/01/09780345418913/10/L1"
SERIAL = "https://id.gs1.org/01/09780345418913/21/S1"
PLACE = "https://id.gs1.org/414/4012345000054"

OBJECT: dict[str, Any] = {
    "type": "ObjectEvent",
    "eventID": "urn:uuid:1",
    "eventTime": "2025-11-25T12:00:00Z",
    "eventTimeZoneOffset": "+00:00",
    "action": "OBSERVE",
    "bizStep": "shipping",
    "disposition": "in_transit",
    "epcList": [SERIAL],
    "quantityList": [{"epcClass": LOT, "quantity": 2.50, "uom": "KGM"}],
    "readPoint": {"id": PLACE},
    "bizLocation": {"id": PLACE},
    "bizTransactionList": [{"type": "bol", "bizTransaction": "urn:epcglobal:cbv:bt:4012345000054:7"}],
    "sourceList": [{"type": "owning_party", "source": "urn:epc:id:pgln:4012345.00005"}],
    "destinationList": [{"type": "location", "destination": "urn:epc:id:sgln:4012345.00005.0"}],
}
TRANSFORMATION: dict[str, Any] = {
    "type": "TransformationEvent",
    "eventTime": "2025-11-25T12:00:00Z",
    "inputQuantityList": [{"epcClass": LOT, "quantity": 3}],
    "outputEPCList": [SERIAL],
    "transformationID": "run 7",
    "ilmd": {"cbvmda:lotNumber": "L9"},
}


def read(event: dict[str, Any], **changes: Any) -> Event:
    return read_event(json.dumps(event | changes).encode(), b"{}")


def test_an_object_event_is_read_whole() -> None:
    """Ids are canonical, words bare, amounts exact, a serial is one piece."""
    event = read(OBJECT)
    assert (event.type, event.action, event.step, event.disposition) == (
        EventType.OBJECT,
        Action.OBSERVE,
        "shipping",
        "in_transit",
    )
    assert event.goods == (Goods(SERIAL, Decimal(1), None), Goods(LOT, Decimal("2.5"), "KGM"))
    assert (event.read_point, event.location, event.event_id) == (PLACE, PLACE, "urn:uuid:1")
    assert event.documents == (("bol", "urn:epcglobal:cbv:bt:4012345000054:7"),)
    assert event.sources == (("owning_party", "https://id.gs1.org/417/4012345000054"),)
    assert event.destinations == (("location", PLACE),)
    assert (event.time.lo_ms, event.time.hi_ms, event.time_text) == (
        1_764_072_000_000,
        1_764_072_000_000,
        "2025-11-25T12:00:00Z",
    )
    assert event.declaration is None


def test_a_transformation_has_inputs_outputs_and_run() -> None:
    """A transformation has no action; its run may have any name; ilmd states the lot."""
    event = read(TRANSFORMATION)
    assert event.action is None
    assert event.inputs == (Goods(LOT, Decimal(3), None),)
    assert event.outputs == (Goods(SERIAL, Decimal(1), None),)
    assert (event.transformation_id, event.lot_code) == ("run 7", "L9")


@pytest.mark.parametrize("kind", ["AggregationEvent", "AssociationEvent"])
def test_children_are_the_goods(kind: str) -> None:
    """An aggregation or association has a parent and children."""
    event = read(
        OBJECT, type=kind, parentID="urn:epc:id:sscc:4012345.3111111111", childEPCs=[SERIAL], childQuantityList=[]
    )
    assert event.parent == "https://id.gs1.org/00/340123451111111111"
    assert event.goods == (Goods(SERIAL, Decimal(1), None),)


def test_a_transaction_has_parent_and_goods() -> None:
    """A transaction event names goods as an object event does, and perhaps a parent."""
    event = read(OBJECT, type="TransactionEvent", parentID=LOT)
    assert (event.parent, len(event.goods)) == (LOT, 2)


@pytest.mark.parametrize(
    ("quantity", "amount"),
    [
        ("0", Decimal(0)),
        ("10.0", Decimal(10)),
        ("0.000000001", Decimal("0.000000001")),
        ("0.0000000001", None),
        ("999999999999999999", Decimal(999999999999999999)),
        ("999999999999999999.999999999", Decimal("999999999999999999.999999999")),
        ("1000000000000000000", None),
        ("1e18", None),
        ("1e17", Decimal(10**17)),
        ("-1", None),
        ("-0.5", None),
        ("null", None),
        ("9" * 3999, None),
    ],
)
def test_amounts_are_exact_or_unknown(quantity: str, amount: Decimal | None) -> None:
    """At most 18 digits before the point and 9 after it; negative or longer ones are unknown, never rounded."""
    raw = json.dumps(OBJECT | {"quantityList": [{"epcClass": LOT, "quantity": 7}]}).replace(
        '"quantity": 7', f'"quantity": {quantity}'
    )
    assert read_event(raw.encode(), b"").goods[1].amount == amount


def test_a_lot_in_an_epc_list_has_an_unknown_amount() -> None:
    """Only what is an instance is one piece: a lot, a class or an opaque id is not."""
    event = read(OBJECT, epcList=[LOT, "urn:uuid:5", SERIAL, "urn:epc:id:sgtin:978034541.0891.S1"], quantityList=None)
    assert [entry.amount for entry in event.goods[:3]] == [None, None, Decimal(1)]


def test_a_serial_in_two_spellings_is_one_piece() -> None:
    """An EPC list is a set of things, not of texts."""
    event = read(OBJECT, epcList=[SERIAL, "http://x.org/gtin/9780345418913/ser/S1", SERIAL], quantityList=[])
    assert event.goods == (Goods(SERIAL, Decimal(1), None),)


@pytest.mark.parametrize(
    "step", ["shipping", "urn:epcglobal:cbv:bizstep:shipping", "https://ref.gs1.org/cbv/BizStep-shipping"]
)
def test_words_have_three_spellings(step: str) -> None:
    """A CBV word is read as the bare word; another vocabulary's URI stays."""
    assert read(OBJECT, bizStep=step).step == "shipping"
    assert read(OBJECT, bizStep="urn:gdst:bizStep:landing").step == "urn:gdst:bizStep:landing"


def test_a_declaration_is_read() -> None:
    """Time, reason as bare word, and the corrective events."""
    declared = read(
        OBJECT,
        errorDeclaration={
            "declarationTime": "2025-11-26T12:00:00Z",
            "reason": "urn:epcglobal:cbv:er:incorrect_data",
            "correctiveEventIDs": ["urn:uuid:2"],
        },
    )
    assert declared.declaration is not None
    assert declared.declaration.time_ms == 1_764_158_400_000
    assert declared.declaration.reason == "incorrect_data"
    assert declared.declaration.corrective_event_ids == ("urn:uuid:2",)
    plain = read(OBJECT)
    assert declared.content_digest == plain.content_digest
    assert declared.event_digest != plain.event_digest


def test_the_event_digest_is_of_the_json_value() -> None:
    """Order of keys, white space, spelling of numbers, record time and context do not count; all else does."""
    plain = read(OBJECT).event_digest
    turned = dict(reversed(OBJECT.items())) | {"recordTime": "2025-11-27T12:00:00Z", "@context": "https://x.org"}
    assert read_event(json.dumps(turned, indent=2).replace("2.5", "25e-1").encode(), b"[]").event_digest == plain
    assert read(OBJECT, eventID="urn:uuid:2").event_digest != plain
    assert read(OBJECT, **{"ex:a": 1}).event_digest != plain


def test_the_content_digest_is_of_what_happened() -> None:
    """Other spellings and another order are the same content; another time, amount, place or step is not."""
    plain = read(OBJECT).content_digest
    same = read(
        OBJECT,
        eventID="urn:uuid:9",
        bizStep="urn:epcglobal:cbv:bizstep:shipping",
        eventTime="2025-11-25T13:00:00+01:00",
        readPoint={"id": "urn:epc:id:sgln:4012345.00005.0"},
        epcList=["urn:epc:id:sgtin:978034541.0891.S1", SERIAL],
    )
    assert same.content_digest == plain
    two = [{"epcClass": LOT, "quantity": 1}, {"epcClass": LOT}]
    assert read(OBJECT, quantityList=two).content_digest == read(OBJECT, quantityList=two[::-1]).content_digest
    changes: list[dict[str, Any]] = [
        {"eventTime": "2025-11-25T12:00:01Z"},
        {"quantityList": []},
        {"bizStep": None},
        {"readPoint": None},
        {"sourceList": []},
        {"action": "ADD"},
    ]
    for change in changes:
        assert read(OBJECT, **change).content_digest != plain


@pytest.mark.parametrize(
    ("change", "code", "path"),
    [
        ({"type": "QuantityEvent"}, "event_type", "type"),
        ({"type": 1}, "event_type", "type"),
        ({"eventTime": None}, "event_time", "eventTime"),
        ({"eventTime": "22-07-2026"}, "event_time", "eventTime"),
        ({"action": "observe"}, "action", "action"),
        ({"action": None}, "action", "action"),
        ({"bizStep": 3}, "wrong_type", "bizStep"),
        ({"bizStep": ""}, "length", "bizStep"),
        ({"eventID": "x" * 1025}, "length", "eventID"),
        ({"eventID": "a\x00"}, "control_character", "eventID"),
        ({"epcList": SERIAL}, "wrong_type", "epcList"),
        ({"epcList": [SERIAL, 7]}, "wrong_type", "epcList[1]"),
        ({"epcList": ["a\nb"]}, "control_character", "epcList[0]"),
        ({"quantityList": {}}, "wrong_type", "quantityList"),
        ({"quantityList": [LOT]}, "wrong_type", "quantityList[0]"),
        ({"quantityList": [{"quantity": 1}]}, "wrong_type", "quantityList[0].epcClass"),
        ({"quantityList": [{"epcClass": LOT, "quantity": "2"}]}, "quantity", "quantityList[0].quantity"),
        ({"quantityList": [{"epcClass": LOT, "quantity": True}]}, "quantity", "quantityList[0].quantity"),
        ({"quantityList": [{"epcClass": LOT, "uom": 5}]}, "wrong_type", "quantityList[0].uom"),
        ({"readPoint": PLACE}, "wrong_type", "readPoint"),
        ({"readPoint": {}}, "wrong_type", "readPoint.id"),
        ({"bizTransactionList": [{}]}, "wrong_type", "bizTransactionList[0].bizTransaction"),
        ({"sourceList": [{"source": PLACE}]}, "wrong_type", "sourceList[0].type"),
        ({"destinationList": [{"type": "location"}]}, "wrong_type", "destinationList[0].destination"),
        ({"errorDeclaration": 1}, "wrong_type", "errorDeclaration"),
        ({"errorDeclaration": {}}, "declaration_time", "errorDeclaration.declarationTime"),
        ({"errorDeclaration": {"declarationTime": "now"}}, "declaration_time", "errorDeclaration.declarationTime"),
        (
            {"errorDeclaration": {"declarationTime": "2025-11-26T12:00:00Z", "correctiveEventIDs": [1]}},
            "wrong_type",
            "errorDeclaration.correctiveEventIDs[0]",
        ),
    ],
)
def test_what_lineage_rests_on_must_be_readable(change: dict[str, Any], code: str, path: str) -> None:
    """A refusal names the code and the path of the field."""
    with pytest.raises(UnreadableEventError) as refused:
        read(OBJECT, **change)
    assert (refused.value.code, refused.value.path) == (code, path)


@pytest.mark.parametrize("raw", [b"", b"[]", b"1", b"nul", b'{"type":"ObjectEvent"', b"\xff", b"[" * 100])
def test_what_is_no_object_is_refused(raw: bytes) -> None:
    """Any bytes give an event or UnreadableEventError."""
    for reading in (lambda: read_event(raw, raw), lambda: read_master(raw)):
        with pytest.raises(UnreadableEventError):
            reading()


@pytest.mark.parametrize(
    ("ilmd", "code"),
    [
        ({"cbvmda:lotNumber": "A", "gs1:hasBatchLotNumber": "B"}, "A"),
        ({"https://ref.gs1.org/voc/hasBatchLotNumber": "B"}, "B"),
        ({"urn:epcglobal:cbv:mda#lotNumber": 7}, "7"),
        ({"ex:noLotNumber": "A", "ex:mylotNumber": "B"}, None),
        ({"ex:lotNumber": ["A"], "fx:lotNumber": ""}, None),
        ([], None),
    ],
)
def test_the_lot_number_is_found_under_any_prefix(ilmd: object, code: str | None) -> None:
    """No context is read, so the local name decides; an odd value is as if it were not there."""
    assert read(TRANSFORMATION, ilmd=ilmd).lot_code == code


@pytest.mark.parametrize(
    ("links", "code"),
    [
        (["https://id.gs1.org/01/09780345418913/10/L%2F2/21/S1"], "L/2"),
        (
            [
                "https://a.example/x/gtin/9780345418913/lot/L2/ser/S1?a=b",
                "https://a.example/01/09780345418913/10/L2/21/S2",
            ],
            "L2",
        ),
        (
            ["https://id.gs1.org/01/09780345418913/10/L2/21/S1", "https://id.gs1.org/01/09780345418913/10/L3/21/S2"],
            None,
        ),
        (["https://id.gs1.org/01/09780345418913/10/L2/21/S1", SERIAL], None),
        (["https://id.gs1.org/01/09780345418914/10/L2/21/S1"], None),
        (["https://id.gs1.org/01/09780345418913/10/%FF/21/S1"], None),
        ([LOT], None),
    ],
)
def test_digital_links_of_serials_may_name_their_lot(links: list[str], code: str | None) -> None:
    """The canonical id of a serial has no lot; what its link says beside it is not lost, where the event says one."""
    assert read(OBJECT, action="ADD", epcList=links).lot_code == code
    assert read(TRANSFORMATION, ilmd=None, outputEPCList=links).lot_code == code
    assert read(TRANSFORMATION, outputEPCList=links).lot_code == "L9"


@pytest.mark.parametrize(
    ("text", "ms"), [("2025-11-25T12:00:00Z", 1_764_072_000_000), ("now", None), (3, None), (None, None)]
)
def test_a_bad_record_time_is_no_loss(text: object, ms: int | None) -> None:
    """The sender's record time is kept where it can be read."""
    assert read(OBJECT, recordTime=text).record_time_ms == ms


_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from([LOT, "ADD", "shipping"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "type", "epcClass", "quantity", "uom", "source", "declarationTime", "x"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)


@given(
    st.sampled_from([OBJECT, TRANSFORMATION]),
    st.dictionaries(
        st.sampled_from([*OBJECT, *TRANSFORMATION, "parentID", "childEPCs", "errorDeclaration", "recordTime"]), _JUNK
    ),
)
def test_no_event_raises_anything_else(event: dict[str, Any], changes: dict[str, Any]) -> None:
    """Reading is total: an event or a named refusal, and twice the same."""
    raw = json.dumps(event | changes).encode()
    try:
        once = read_event(raw, b"")
    except UnreadableEventError:
        with pytest.raises(UnreadableEventError, match=r"."):
            read_event(raw, b"x")
    else:
        assert read_event(raw, b"x") == once


def test_master_data_is_read_by_kind() -> None:
    """Products, locations and parties under their canonical ids, names of attributes shortened."""
    element = {
        "id": "urn:epc:id:sgln:4012345.00005.0",
        "attributes": [
            {"id": "urn:epcglobal:cbv:mda#name", "attribute": "Mill"},
            {"id": "https://x.org/area", "attribute": 12.50},
            {"id": "ex:address", "attribute": {"b": 1, "a": 2}},
            {"id": "ex:none"},
        ],
    }
    raw = {"type": "urn:epcglobal:epcis:vtype:BusinessLocation", "vocabularyElementList": [element]}
    (record,) = read_master(json.dumps(raw).encode())
    assert (record.kind, record.id) == (MasterKind.LOCATION, PLACE)
    assert record.attributes == (("name", "Mill"), ("area", "12.5"), ("address", '{"a":2,"b":1}'))
    assert read_master(b'{"type":"urn:x:other"}') == ()
    paper = {"type": "urn:epcglobal:epcis:vtype:BusinessTransaction", "vocabularyElementList": [{"id": "urn:x:cert:1"}]}
    assert [one.kind for one in read_master(json.dumps(paper).encode())] == [MasterKind.DOCUMENT]


@pytest.mark.parametrize(
    ("element", "path"),
    [
        ("x", "vocabularyElementList[0]"),
        ({}, "vocabularyElementList[0].id"),
        ({"id": LOT, "attributes": [1]}, "vocabularyElementList[0].attributes[0]"),
        ({"id": LOT, "attributes": [{}]}, "vocabularyElementList[0].attributes[0].id"),
        ({"id": LOT, "attributes": [{"id": "a", "attribute": "x" * 4097}]}, "vocabularyElementList[0].attributes[0]"),
        ({"id": LOT, "attributes": [{"id": "a", "attribute": 1}] * 257}, "vocabularyElementList[0].attributes"),
    ],
)
def test_odd_master_data_is_refused_with_its_path(element: object, path: str) -> None:
    """Bounds and types hold for master data too."""
    with pytest.raises(UnreadableEventError) as refused:
        read_master(json.dumps({"type": "x:EPCClass", "vocabularyElementList": [element]}).encode())
    assert refused.value.path == path


@pytest.mark.parametrize(
    ("stated", "certificates"),
    [
        (None, ()),
        ("urn:example:cert:1", ("urn:example:cert:1",)),
        (
            ["urn:example:cert:1", "urn:example:cert:2", "urn:example:cert:1"],
            ("urn:example:cert:1", "urn:example:cert:2"),
        ),
        ("urn:epc:id:gdti:0614141.06012.1234", ("https://id.gs1.org/253/06141410601221234",)),
        ([7, "", "x" * 2_000, "a\x00b", {"id": "urn:1"}], ()),
        ({"id": "urn:1"}, ()),
    ],
)
def test_certificates_are_the_ids_of_certification_info(stated: object, certificates: tuple[str, ...]) -> None:
    """What is no id is left out: nothing that execution decides rests on it."""
    assert read(TRANSFORMATION, certificationInfo=stated).certificates == certificates


@pytest.mark.parametrize(
    ("ilmd", "expires"),
    [
        ({"cbvmda:itemExpirationDate": "2026-04-27T12:00:00Z"}, "2026-04-27T12:00:00Z"),
        ({"https://ref.gs1.org/voc/expirationDate": "2026-04-27T12:00:00+02:00"}, "2026-04-27T10:00:00Z"),
        ({"gs1:expirationDate": "2026-04-27"}, "2026-04-28T11:59:59.999Z"),
        (
            {"gs1:expirationDate": "2026-04-27", "cbvmda:itemExpirationDate": "2026-05-01T08:00:00Z"},
            "2026-05-01T08:00:00Z",
        ),
        ({"gs1:bestBeforeDate": "2026-04-27"}, None),
        ({"gs1:myexpirationDate": "2026-04-27"}, None),
        ({"gs1:expirationDate": "soon"}, None),
        ({"gs1:expirationDate": "2026-13-01"}, None),
        ({"gs1:expirationDate": 20260427}, None),
        ({"gs1:expirationDate": ["2026-04-27"]}, None),
        ("2026-04-27", None),
        (None, None),
    ],
)
def test_expiry_is_the_latest_that_ilmd_states(ilmd: object, expires: str | None) -> None:
    """A date ends with its day wherever that is last; best before is none; what cannot be read is left out."""
    wanted = None if expires is None else read_instant(expires).ms
    assert read(TRANSFORMATION, ilmd=ilmd).expires_ms == wanted
