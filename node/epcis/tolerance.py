"""What real files deviate in and we still capture: mended for judging, told with a warning, kept as it was sent.

Only what cannot be misread is mended. A field that may be misspelt, a word whose meaning would be a guess, and
anything lineage rests on is refused instead. Which deviations occur was counted over published example files.
"""

import re
from typing import Any, Final

from node.epcis.explain import unknown_word, vocabulary_at
from node.epcis.findings import Finding, join_path
from node.epcis.schema import SENSOR_NUMBERS, is_uri, known_fields
from node.epcis.times import read_instant, read_offset
from node.epcis.vocabulary import URN_START, WEB_STARTS, Vocabulary

JsonObject = dict[str, Any]

_COMMENT: Final = "_comment"
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?")
_CBV_STARTS: Final = (URN_START, *WEB_STARTS)
_OPAQUE_RUN: Final = "urn:x-opaque:run"

KEPT: Final = "kept, not read"


def drop_comments(value: object, path: str, warnings: list[Finding]) -> object:
    """Return the value without fields whose name starts with `_comment`, at any depth; each gives a warning."""
    if isinstance(value, dict):
        kept: JsonObject = {}
        for name, entry in value.items():
            if name.startswith(_COMMENT):
                warnings.append(Finding(join_path(path, name), "comment", f"a comment: {KEPT}"))
            else:
                kept[name] = drop_comments(entry, join_path(path, name), warnings)
        return kept
    if isinstance(value, list):
        return [drop_comments(entry, join_path(path, place), warnings) for place, entry in enumerate(value)]
    return value


class Words:
    """The CBV words of one event in their bare form: what was respelt, and what CBV does not know.

    A URN is a deviation that the official schema refuses: a warning. A web address it lets through as if it were a
    private word: a notice, and one that CBV 2.0 does not know may be of a later edition.
    """

    __slots__ = ("base", "errors", "event", "notices", "warnings")

    def __init__(self, event: JsonObject, base: str) -> None:
        """event: is looked into and respelt in place; the caller owns it. base: its path."""
        self.event = event
        self.base = base
        self.warnings: list[Finding] = []
        self.errors: list[Finding] = []
        self.notices: list[Finding] = []

    def respell(self) -> None:
        """Put the bare word for every other spelling of it."""
        event = self.event
        self._respell(event, "bizStep", ["bizStep"])
        self._respell(event, "disposition", ["disposition"])
        for list_name in ("bizTransactionList", "sourceList", "destinationList"):
            for place, entry in _entries(event.get(list_name)):
                self._respell(entry, "type", [list_name, place, "type"])
        declaration = event.get("errorDeclaration")
        if isinstance(declaration, dict):
            self._respell(declaration, "reason", ["errorDeclaration", "reason"])
        persistent = event.get("persistentDisposition")
        if isinstance(persistent, dict):
            for name in ("set", "unset"):
                words = persistent.get(name)
                for place, _ in enumerate(words if isinstance(words, list) else []):
                    self._respell(words, place, ["persistentDisposition", name, place])
        for place, sensor in _entries(event.get("sensorElementList")):
            for number, report in _entries(sensor.get("sensorReport")):
                self._respell(report, "component", ["sensorElementList", place, "sensorReport", number, "component"])

    def _respell(self, holder: Any, key: str | int, steps: list[str | int]) -> None:
        value = holder.get(key) if isinstance(holder, dict) else holder[key]
        if not isinstance(value, str) or not value.startswith(_CBV_STARTS):
            return
        vocabulary = vocabulary_at(steps)
        if vocabulary is None:
            return
        path = join_path(self.base, *steps)
        bare = vocabulary.bare.get(value)
        is_refused = not _is_private_to_schema(value)
        if bare is None and not is_refused:
            self.notices.append(
                Finding(path, "word_of_later_edition", f"no {vocabulary.name} of CBV 2.0: kept as a URI")
            )
            return
        if bare is None:
            self.errors.append(Finding(path, "unknown_word", unknown_word(vocabulary, value)))
            holder[key] = _any_word(vocabulary)  # So that the schema does not tell the same again.
            return
        holder[key] = bare
        told = self.warnings if is_refused else self.notices
        told.append(Finding(path, "word_spelling", f"read as {bare}: JSON writes CBV words bare"))


def _is_private_to_schema(value: str) -> bool:
    """Return whether a CBV address is one that the schema takes for a word of somebody's own."""
    return "//ref.gs1.org/" in value


def _any_word(vocabulary: Vocabulary) -> str:
    return min(vocabulary.words)


def _entries(value: object) -> list[tuple[int, JsonObject]]:
    """Return the objects of a list with their places; what is no list has none."""
    if not isinstance(value, list):
        return []
    return [(place, entry) for place, entry in enumerate(value) if isinstance(entry, dict)]


def has_foreign_words(text: bytes) -> bool:
    """Return whether the JSON text can hold a CBV word in another than its bare form: cheap, and never wrongly no."""
    return b"cbv" in text or b"\\" in text


def mend_event(event: JsonObject, base: str, *, is_in_query: bool) -> list[Finding]:
    """Mend what the table of tolerances allows, in place, and return the warnings. CBV words are not looked at.

    is_in_query: in query answers of deployed systems, fields without a prefix are kept unread.
    """
    warnings: list[Finding] = []
    if is_in_query:
        _drop_unknown(event, base, warnings)
    for place, sensor in _entries(event.get("sensorElementList")):
        for number, report in _entries(sensor.get("sensorReport")):
            for name in SENSOR_NUMBERS:
                value = report.get(name)
                if isinstance(value, str) and _NUMBER.fullmatch(value):
                    path = join_path(base, "sensorElementList", place, "sensorReport", number, name)
                    report[name] = float(value)
                    warnings.append(Finding(path, "number_as_text", f"read as the number {value}: write it unquoted"))
    run = event.get("transformationID")
    if isinstance(run, str) and run and not is_uri(run):
        event["transformationID"] = _OPAQUE_RUN
        warnings.append(
            Finding(join_path(base, "transformationID"), "no_uri", "no URI: read as a name of this run and no more")
        )
    _mend_time(event, base, warnings)
    return warnings


def _drop_unknown(event: JsonObject, base: str, warnings: list[Finding]) -> None:
    known = known_fields(event["type"])
    ilmd = event.get("ilmd")
    unknown = [(event, name, join_path(base, name)) for name in event if name not in known and not is_uri(name)]
    if isinstance(ilmd, dict):
        unknown += [(ilmd, name, join_path(base, "ilmd", name)) for name in ilmd if not is_uri(name)]
    for holder, name, path in unknown:
        del holder[name]
        warnings.append(Finding(path, "unknown_field", f"a field without a prefix: {KEPT}"))


def _mend_time(event: JsonObject, base: str, warnings: list[Finding]) -> None:
    time, zone = event.get("eventTime"), event.get("eventTimeZoneOffset")
    if not isinstance(time, str) or not isinstance(zone, str):
        return
    try:
        if read_instant(time).offset_minutes is not None:
            return
        read_offset(zone)
    except ValueError:
        return
    event["eventTime"] = time + zone
    warnings.append(
        Finding(join_path(base, "eventTime"), "time_without_offset", f"no offset: eventTimeZoneOffset {zone} is taken")
    )
