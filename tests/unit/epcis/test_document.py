"""A document is taken apart at the door: each event judged by itself, each kept as it came."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.epcis.document import CONTEXT_BYTES_MAX, DOCUMENT_BYTES_MAX, Document, read_document
from node.epcis.errors import DocumentError
from node.epcis.json_values import EVENT_BYTES_MAX
from tests.support.epcis_documents import (
    CONTEXT,
    LOT,
    PLACE,
    SERIAL,
    SSCC,
    build_document,
    build_event,
    build_master_data,
    build_query_document,
    to_bytes,
)


def read(value: object) -> Document:
    return read_document(to_bytes(value))


def judge(event: object, *, in_query: bool = False) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Return errors, warnings and notices of one event as path to code, paths below the event."""
    document = read(build_query_document(event) if in_query else build_document(event))
    (judged,) = document.events
    base = judged.path
    return tuple(
        {finding.path.removeprefix(base).removeprefix("."): finding.code for finding in findings}
        for findings in (judged.errors, judged.warnings, judged.notices)
    )  # type: ignore[return-value]  # Three, as the loop has.


def test_a_valid_document_has_events_as_they_came() -> None:
    """Context and events are slices of the bytes, white space inside them and all."""
    events = b'[ {"type" : "ObjectEvent", "x:n":1.50,'
    text = to_bytes(build_document(build_event())).replace(b'[{"type": "ObjectEvent",', events)
    document = read_document(text)
    (event,) = document.events
    assert document.context == json.dumps(CONTEXT).encode()
    assert event.raw in text
    assert event.raw.startswith(b'{"type" : "ObjectEvent", "x:n":1.50')
    assert (event.path, event.errors, event.warnings) == ("epcisBody.eventList[0]", (), ())
    assert event.event is not None
    assert event.event.step == "shipping"


def test_a_bare_event_brings_its_context() -> None:
    """One event alone is a document of one."""
    document = read(build_event(**{"@context": [CONTEXT, {"ex": "https://example.org/"}]}))
    assert json.loads(document.context) == [CONTEXT, {"ex": "https://example.org/"}]
    assert (document.type, document.events[0].path) == ("ObjectEvent", "")
    without = read(build_event()).events[0]
    assert [(error.path, error.code) for error in without.errors] == [("@context", "missing_field")]


def test_a_query_document_is_taken_apart_too() -> None:
    """What a partner's system answered may be entered as it is."""
    document = read(build_query_document(build_event(), build_event(eventID="urn:uuid:2")))
    assert [event.path for event in document.events] == [
        "epcisBody.queryResults.resultsBody.eventList[0]",
        "epcisBody.queryResults.resultsBody.eventList[1]",
    ]
    assert all(event.event for event in document.events)


def test_one_bad_event_does_not_hide_the_others() -> None:
    """Each event has its own verdict."""
    document = read(build_document(build_event(), build_event(action="CREATE"), 7, build_event(type="x:Event")))
    assert [event.event is not None for event in document.events] == [True, False, False, False]
    codes = [[error.code for error in event.errors] for event in document.events]
    assert codes == [[], ["unknown_word"], ["wrong_type"], ["event_type"]]


@pytest.mark.parametrize(
    ("changes", "path", "code", "words"),
    [
        ({"bizStep": "shiping"}, "bizStep", "unknown_word", "perhaps shipping is meant"),
        ({"bizStep": "urn:epcglobal:cbv:bizstep:sold"}, "bizStep", "unknown_word", "no business step"),
        ({"bizStep": "cleaning"}, "bizStep", "unknown_word", "such as https://example.org/cleaning"),
        ({"bizStep": "<b>\u202e/"}, "bizStep", "unknown_word", "such as https://example.org/word"),
        ({"disposition": "urn:epcglobal:cbv:disp:sold"}, "disposition", "unknown_word", "no disposition"),
        ({"bizstep": "shipping"}, "bizstep", "unknown_field", "perhaps bizStep is meant"),
        ({"my field": 1}, "my field", "unknown_field", "example:myfield"),
        ({"action": "observe"}, "action", "unknown_word", "ADD, OBSERVE and DELETE"),
        ({"action": None}, "action", "missing_field", "say ADD"),
        ({"eventTime": None}, "eventTime", "missing_field", "when it happened"),
        ({"eventTime": "yesterday"}, "eventTime", "wrong_time", "such as 2026"),
        ({"eventTime": "1066-10-14T09:00:00Z"}, "eventTime", "event_time", "1971"),
        ({"eventTimeZoneOffset": "CET"}, "eventTimeZoneOffset", "wrong_form", "such as +01:00"),
        ({"epcList": ["L 1"]}, "epcList[0]", "no_uri", "no URI"),
        ({"epcList": [SERIAL, SERIAL]}, "epcList", "repeated", "twice"),
        ({"epcList": SERIAL}, "epcList", "wrong_type", "must be a list"),
        ({"epcList": ["urn:x:" + "y" * 1024]}, "epcList[0]", "length", "1024"),
        ({"epcList": None, "quantityList": []}, "", "missing_goods", "name the goods"),
        ({"ilmd": {"ex:a": 1}}, "ilmd", "not_allowed", "action is ADD"),
        ({"action": "ADD", "ilmd": {"lot": 1}}, "ilmd.lot", "unknown_field", "prefix"),
        ({"quantityList": [{"epcClass": LOT, "quantity": "2"}]}, "quantityList[0].quantity", "wrong_type", "quotes"),
        ({"quantityList": [{"epcClass": LOT, "uom": "kg"}]}, "quantityList[0].uom", "wrong_form", "KGM"),
        ({"quantityList": [{"quantity": 2}]}, "quantityList[0].epcClass", "missing_field", "which lot"),
        ({"quantityList": [{"epcClass": LOT, "ex:a": 2}]}, "quantityList[0].ex:a", "unknown_field", "no field of your"),
        ({"readPoint": PLACE}, "readPoint", "wrong_type", "an object"),
        ({"sourceList": [{"source": PLACE}]}, "sourceList[0].type", "missing_field", "type is missing"),
        (
            {"sourceList": [{"type": "owner", "source": PLACE}]},
            "sourceList[0].type",
            "unknown_word",
            "location, owning_party",
        ),
        ({"persistentDisposition": {}}, "persistentDisposition", "missing_field", "set or unset"),
        ({"persistentDisposition": {"set": []}}, "persistentDisposition.set", "empty_list", "must have an entry"),
        ({"errorDeclaration": {"reason": "other"}}, "errorDeclaration.declarationTime", "missing_field", "declared"),
        ({"certificationInfo": 5}, "certificationInfo", "wrong_type", "list of URIs"),
        (
            {"sensorElementList": [{"sensorReport": [{"type": "Temprature"}]}]},
            "sensorElementList[0].sensorReport[0].type",
            "unknown_word",
            "perhaps Temperature",
        ),
        (
            {"sensorElementList": [{"sensorReport": [{"type": "Mass", "hexBinaryValue": "xyz"}]}]},
            "sensorElementList[0].sensorReport[0].hexBinaryValue",
            "wrong_form",
            "hexadecimal",
        ),
        (
            {"sensorElementList": [{"sensorReport": [{"type": "Mass", "booleanValue": 1}]}]},
            "sensorElementList[0].sensorReport[0].booleanValue",
            "wrong_type",
            "true or false",
        ),
    ],
)
def test_a_refusal_says_where_what_and_how(changes: dict[str, Any], path: str, code: str, words: str) -> None:
    """Path of the field, stable code, and a sentence with what is allowed."""
    (judged,) = read(build_document(build_event(**changes))).events
    full = f"epcisBody.eventList[0].{path}" if path else "epcisBody.eventList[0]"
    assert (full, code) in {(error.path, error.code) for error in judged.errors}
    assert any(words in error.message for error in judged.errors)


@pytest.mark.parametrize(
    ("event_type", "words"),
    [
        ("AggregationEvent", "name the contents"),
        ("AssociationEvent", "name the children"),
        ("TransactionEvent", "name the goods"),
        ("TransformationEvent", "name inputs and outputs"),
    ],
)
def test_each_type_says_what_goods_it_needs(event_type: str, words: str) -> None:
    """The rule differs by type, and so does the sentence."""
    is_run = event_type == "TransformationEvent"
    event = build_event(
        type=event_type,
        epcList=None,
        quantityList=None,
        parentID=None if is_run else SSCC,
        action=None if is_run else "ADD",
    )
    if event_type == "TransactionEvent":
        event["bizTransactionList"] = [{"bizTransaction": "urn:x:1"}]
    (judged,) = read(build_document(event)).events
    assert any(words in error.message for error in judged.errors)


def test_an_event_with_many_faults_tells_some() -> None:
    """A flood of errors is cut."""
    (judged,) = read(build_document(build_event(**{f"f{number}": 1 for number in range(50)}))).events
    assert len(judged.errors) == 16


@pytest.mark.parametrize(
    ("changes", "path", "code"),
    [
        ({"_comment": "x"}, "_comment", "comment"),
        ({"ex:a": {"_comment_b": 1}, "_comment": 1}, "ex:a._comment_b", "comment"),
        ({"bizStep": "urn:epcglobal:cbv:bizstep:shipping"}, "bizStep", "word_spelling"),
        ({"bizStep": "http://ns.gs1.org/cbv/BizStep-shipping"}, "bizStep", "word_spelling"),
        (
            {"bizTransactionList": [{"type": "urn:epcglobal:cbv:btt:po", "bizTransaction": "urn:x:1"}]},
            "bizTransactionList[0].type",
            "word_spelling",
        ),
        (
            {"persistentDisposition": {"set": ["urn:epcglobal:cbv:disp:damaged"]}},
            "persistentDisposition.set[0]",
            "word_spelling",
        ),
        (
            {
                "errorDeclaration": {
                    "declarationTime": "2025-11-26T12:00:00Z",
                    "reason": "urn:epcglobal:cbv:er:did_not_occur",
                }
            },
            "errorDeclaration.reason",
            "word_spelling",
        ),
        (
            {"sensorElementList": [{"sensorReport": [{"type": "Mass", "value": "94.2"}]}]},
            "sensorElementList[0].sensorReport[0].value",
            "number_as_text",
        ),
        (
            {"sensorElementList": [{"sensorReport": [{"type": "Angle", "component": "urn:epcglobal:cbv:comp:x"}]}]},
            "sensorElementList[0].sensorReport[0].component",
            "word_spelling",
        ),
        ({"eventTime": "2025-11-25T12:00:00"}, "eventTime", "time_without_offset"),
    ],
)
def test_what_real_files_deviate_in_is_accepted_with_a_warning(changes: dict[str, Any], path: str, code: str) -> None:
    """Mended for judging, kept as it was sent."""
    errors, warnings, _ = judge(build_event(**changes))
    assert errors == {}
    assert warnings.get(path) == code


def test_a_run_may_have_any_name() -> None:
    """A transformationID that is no URI is a name and no more."""
    run = build_event(type="TransformationEvent", action=None, epcList=None, quantityList=None)
    run |= {"inputEPCList": [SERIAL], "transformationID": "run 7"}
    assert judge(run)[:2] == ({}, {"transformationID": "no_uri"})


def test_fields_without_a_prefix_are_kept_in_query_answers_alone() -> None:
    """In a document they cannot be told from misspelt fields; deployed systems answer with them."""
    event = build_event(action="ADD", landing=1, ilmd={"harvest": 2, "ex:a": 3})
    assert judge(event, in_query=True)[:2] == ({}, {"landing": "unknown_field", "ilmd.harvest": "unknown_field"})
    assert judge(event)[0] == {"landing": "unknown_field", "ilmd.harvest": "unknown_field"}


@pytest.mark.parametrize("text", ["94,2", "1e5", "0x1", " 1", "--1", "9" * 40])
def test_only_plain_decimals_are_read_from_text(text: str) -> None:
    """A text that is no plain decimal stays wrong."""
    event = build_event(sensorElementList=[{"sensorReport": [{"type": "Mass", "value": text}]}])
    assert judge(event)[0] == {"sensorElementList[0].sensorReport[0].value": "wrong_type"}


@pytest.mark.parametrize(
    ("changes", "path", "code"),
    [
        ({"bizStep": "https://ref.gs1.org/cbv/BizStep-shipping"}, "bizStep", "word_spelling"),
        ({"bizStep": "https://ref.gs1.org/cbv/BizStep-freezing"}, "bizStep", "word_of_later_edition"),
        ({"epcList": ["urn:epc:id:sscc:08600031303.0004"]}, "epcList[0]", "identifier"),
        ({"epcList": [LOT]}, "epcList[0]", "lot_without_amount"),
        ({"quantityList": [{"epcClass": LOT, "quantity": -2}]}, "quantityList[0].quantity", "amount_unknown"),
        ({"type": "AggregationEvent", "childEPCs": [SERIAL], "parentID": PLACE}, "parentID", "place_as_parent"),
        (
            {"eventID": None, "errorDeclaration": {"declarationTime": "2025-11-26T12:00:00Z"}},
            "errorDeclaration",
            "declaration_of_nothing",
        ),
        (
            {"sensorElementList": [{"sensorReport": [{"type": "Mass", "time": "2025-11-25T12:00:01Z"}]}]},
            "sensorElementList[0].sensorReport[0].time",
            "sensor_time",
        ),
    ],
)
def test_what_a_person_should_know_is_a_notice(changes: dict[str, Any], path: str, code: str) -> None:
    """Right by the schema, and entered without a warning, but told."""
    event = build_event(**changes)
    if event["type"] == "AggregationEvent":
        del event["epcList"], event["quantityList"]
    errors, warnings, notices = judge(event)
    assert (errors, warnings) == ({}, {})
    assert notices.get(path) == code


def test_an_association_may_name_a_place() -> None:
    """Only there may a place be the parent."""
    event = build_event(
        type="AssociationEvent", epcList=None, quantityList=None, parentID=PLACE, childQuantityList=[{"epcClass": LOT}]
    )
    assert judge(event) == ({}, {}, {})


def test_amounts_of_a_run_are_told_on_both_sides() -> None:
    """Inputs and outputs have lists of their own."""
    run = build_event(type="TransformationEvent", action=None, epcList=None, quantityList=None)
    run |= {
        "inputQuantityList": [{"epcClass": LOT, "quantity": 1}, {"epcClass": LOT, "quantity": 1e20}],
        "outputEPCList": [SERIAL],
        "outputQuantityList": [{"epcClass": LOT, "quantity": -1}],
    }
    assert judge(run)[2] == {
        "inputQuantityList[1].quantity": "amount_unknown",
        "outputQuantityList[0].quantity": "amount_unknown",
    }


def test_an_opaque_identifier_is_told_once() -> None:
    """Not once for each event that names it."""
    events = [build_event(eventID=f"urn:uuid:{number}", epcList=["urn:uuid:5"]) for number in range(3)]
    document = read(build_document(*events))
    assert [len(event.notices) for event in document.events] == [1, 0, 0]


def test_master_data_comes_one_element_a_slice() -> None:
    """With its vocabulary's type, and only what the reader uses."""
    document = read(build_document(epcisHeader=build_master_data(LOT, PLACE)))
    assert [json.loads(raw)["vocabularyElementList"][0]["id"] for raw in document.vocabulary] == [LOT, PLACE]
    other = read(build_document(epcisHeader=build_master_data(LOT, kind="urn:x:other")))
    assert other.vocabulary == ()


def test_master_data_that_cannot_be_read_is_told() -> None:
    """It costs no event."""
    document = read(build_document(build_event(), epcisHeader=build_master_data("urn:x:" + "y" * 1024)))
    assert document.vocabulary == ()
    assert [notice.code for notice in document.notices] == ["length"]
    assert document.events[0].event is not None


def test_a_header_in_a_query_answer_is_read() -> None:
    """Deployed seafood systems send it so; what else stands in it is nobody's business."""
    header = build_master_data(LOT) | {"StandardBusinessDocumentHeader": {"a": []}}
    document = read(build_query_document(build_event(), epcisHeader=header))
    assert [warning.code for warning in document.warnings] == ["header_in_query"]
    assert len(document.vocabulary) == 1
    odd = read(build_query_document(build_event(), epcisHeader={"epcisMasterData": 5}))
    assert [notice.code for notice in odd.notices] == ["master_data"]
    assert odd.events[0].event is not None


def test_comments_and_a_byte_order_mark_around_events_are_told() -> None:
    """A comment is a deviation, the mark no more than a notice."""
    document = read_document(b"\xef\xbb\xbf" + to_bytes(build_document(build_event(), _comment="x")))
    assert [warning.path for warning in document.warnings] == ["_comment"]
    assert [notice.code for notice in document.notices] == ["byte_order_mark"]


@pytest.mark.parametrize(
    ("raw", "code", "field"),
    [
        (b"", "not_json", None),
        (b'{"type": "EPCISDocument",}', "not_json", None),
        (b'{"type": NaN}', "not_json", None),
        (b'{"type": 1' + b"0" * 5000 + b"}", "not_a_capture_document", "type"),
        (b'{"type": "\xff"}', "not_utf8", None),
        (b'{"type": "EPCISDocument", "a": 1, "a": 2}', "repeated_key", None),
        (b"[" * 65 + b"]" * 65, "too_deep", None),
        (b"[" * 100, "not_json", None),
        (b"[]", "not_a_capture_document", "type"),
        (b'{"type": "EPCISMasterDataDocument"}', "not_a_capture_document", "type"),
        (b'{"type": "EPCISDocument"}', "invalid_document", "@context"),
        (to_bytes(build_document(**{"@context": None})), "invalid_document", "@context"),
        (to_bytes(build_document(schemaVersion="two")), "invalid_document", "schemaVersion"),
        (to_bytes(build_document(creationDate=None)), "invalid_document", "creationDate"),
        (to_bytes(build_document(epcisBody={})), "invalid_document", "epcisBody.eventList"),
        (to_bytes(build_document(epcisBody=[])), "invalid_document", "epcisBody"),
        (to_bytes(build_document(epcisBody={"eventList": {}})), "invalid_document", "epcisBody.eventList"),
        (to_bytes(build_document(sender2=1)), "invalid_document", "sender2"),
        (
            to_bytes(build_query_document(epcisBody={"queryResults": 1})),
            "invalid_document",
            "epcisBody.queryResults",
        ),
        (
            to_bytes(build_document(epcisHeader={"epcisMasterData": 1})),
            "invalid_document",
            "epcisHeader.epcisMasterData",
        ),
        (to_bytes(build_document(**{"@context": {"ex": "x" * CONTEXT_BYTES_MAX}})), "context_too_large", "@context"),
        (
            to_bytes(build_document(**{"@context": {"ex": "\ud800"}})),
            "lone_surrogate",
            None,
        ),
    ],
)
def test_what_cannot_be_taken_apart_is_refused_whole(raw: bytes, code: str, field: str | None) -> None:
    """With a code, and the field where there is one."""
    with pytest.raises(DocumentError) as refused:
        read_document(raw)
    assert (refused.value.code, refused.value.field) == (code, field)


def test_a_document_has_a_size_limit() -> None:
    """Checked before anything is parsed."""
    with pytest.raises(DocumentError, match="more than"):
        read_document(bytes(DOCUMENT_BYTES_MAX + 1))


def test_an_event_has_a_size_limit() -> None:
    """Such an event is refused; the others of its document are not."""
    large = build_event(**{"ex:a": "x" * EVENT_BYTES_MAX})
    document = read(build_document(large, build_event(**{"ex:a": "\U0001f41f"})))
    codes = [[error.code for error in event.errors] for event in document.events]
    assert codes == [["too_large"], []]


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(build_event()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_TOP = st.dictionaries(
    st.sampled_from(["@context", "type", "epcisBody", "epcisHeader", "schemaVersion", "eventTime"]), _VALUES
)


@given(
    st.binary()
    | _TOP.map(to_bytes)
    | _TOP.map(lambda fields: to_bytes(build_document() | fields))
    | _TOP.map(lambda fields: to_bytes(build_query_document() | fields))
    | _TOP.map(lambda fields: to_bytes(build_event(**{"@context": CONTEXT}) | fields))
    | _VALUES.map(lambda event: to_bytes(build_document(event, event)))
)
def test_any_bytes_are_a_document_or_a_named_refusal(raw: bytes) -> None:
    """Nothing that is sent raises anything else."""
    try:
        document = read_document(raw)
    except DocumentError:
        return
    for event in document.events:
        assert (event.event is None) is bool(event.errors)
        json.loads(event.raw)
