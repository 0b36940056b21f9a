"""The codes of flags: group, severity, what each means to a quality manager, who settles it and how it closes.

A code keeps its meaning for good; docs/flags.md holds the table for people, and a test holds it against this one.
"""

from enum import StrEnum
from typing import Final, NamedTuple

from node.lineage.findings import REMEDIES, Severity


class Group(StrEnum):
    """What part of the record a flag is about."""

    IDENTITY = "identity"
    QUANTITY = "quantity"
    SERIAL = "serial"
    CUSTODY = "custody"
    TIME = "time"
    PROCESS = "process"
    QUALITY = "quality"
    CORRECTION = "correction"


class FlagCode(NamedTuple):
    """means: in a sentence, to a quality manager. settles: who can settle it. closes: what closes it, besides a
    counter-statement. tolerance: the network parameter that it is measured by, or None."""

    group: Group
    severity: Severity
    means: str
    settles: str
    closes: str
    tolerance: str | None = None


_HOLDER: Final = "who held the goods"
_BOTH: Final = "sender and receiver"
_DECLARED: Final = "the member that declared the need"
_ENTERED: Final = "the member that entered it"


def _of_finding(code: str, group: Group, means: str, settles: str, tolerance: str | None = None) -> FlagCode:
    """Return the flag of a finding of the portion ledger: its severity and remedy are those of the finding."""
    remedy = REMEDIES[code]
    return FlagCode(group, remedy.severity, means, settles, remedy.closes, tolerance)


CODES: Final[dict[str, FlagCode]] = {
    "amounts_differ": _of_finding(
        "amounts_differ", Group.CUSTODY, "More was received than the shipment says was sent.", _BOTH
    ),
    "back_dated": FlagCode(
        Group.TIME, Severity.NOTE, "An event was entered much later than it happened.", _ENTERED,
        "an error declaration, and the event with its true time", "flag_back_dated_hours",
    ),
    "certificate_expired": FlagCode(
        Group.QUALITY, Severity.HIGH, "Goods were used or shipped after their certificate had expired.", _DECLARED,
        "a certificate that held then, on an event of the goods, or its true validity",
    ),
    "certificate_missing": FlagCode(
        Group.QUALITY, Severity.WARN, "Goods were used or shipped without a document that they need.", _DECLARED,
        "the document, on an event of the goods",
    ),
    "certificate_revoked": FlagCode(
        Group.QUALITY, Severity.HIGH, "Goods were used or shipped after their certificate was revoked.", _DECLARED,
        "a certificate that held then, on an event of the goods",
    ),
    "contents_differ": FlagCode(
        Group.SERIAL, Severity.WARN, "A unit was seen with other contents than were packed into it.", _HOLDER,
        "the packing or unpacking that is missing",
    ),
    "counted_below_book": _of_finding(
        "counted_below_book", Group.QUANTITY, "A count found less than the record says is there.", _HOLDER
    ),
    "counter_statement": FlagCode(
        Group.CORRECTION, Severity.WARN, "Another member declares an event void: two statements stand.",
        "both members", "the withdrawal of either statement: the member's own declaration of the event",
    ),
    "event_id_reused": FlagCode(
        Group.IDENTITY, Severity.WARN, "Events that say different things bear one eventID: each counts.", _ENTERED,
        "an error declaration of all but one",
    ),
    "impossible_speed": FlagCode(
        Group.TIME, Severity.WARN, "A piece or unit was at two places too soon one after the other for any vehicle.",
        "both holders", "a corrected time, place or coordinate", "flag_speed_kmh",
    ),
    "in_two_units": FlagCode(
        Group.SERIAL, Severity.HIGH, "A piece or unit was packed into a second unit while it was in another one.",
        "both packers", "the unpacking that is missing, or an error declaration of one packing",
    ),
    "made_twice": _of_finding(
        "made_twice", Group.SERIAL, "A piece was made that already exists elsewhere.", "both makers"
    ),
    "malformed_id": FlagCode(
        Group.IDENTITY, Severity.WARN, "A GS1 key has a wrong check digit or length: it is traced as it is spelt.",
        _ENTERED, "an error declaration, and the event with the right key",
    ),
    "moved_without_record": _of_finding(
        "moved_without_record", Group.CUSTODY, "Goods are where no record brought them.", "old and new holder"
    ),
    "no_source": _of_finding(
        "no_source", Group.QUANTITY, "Goods appear, and nobody recorded where they came from.", _HOLDER
    ),
    "output_before_input": FlagCode(
        Group.PROCESS, Severity.HIGH, "A run put something out before anything that it lists was in.", "who ran it",
        "a corrected time, or the input that the run lacks",
    ),
    "overdrawn": _of_finding(
        "overdrawn", Group.QUANTITY, "More was taken from a holding than the record put there.", _HOLDER
    ),
    "receipt_without_shipment": _of_finding(
        "receipt_without_shipment", Group.CUSTODY, "Goods were received that no recorded shipment sent.", _BOTH
    ),
    "received_before_shipped": FlagCode(
        Group.CUSTODY, Severity.WARN, "Goods were received certainly before the shipment that sent them there.", _BOTH,
        "a corrected time of the shipment or of the receipt",
    ),
    "run_across_cleaning": FlagCode(
        Group.PROCESS, Severity.HIGH, "Goods of a run were in a line while it was cleaned.", "who ran it",
        "a corrected time or place of the cleaning, or the input or output that the run lacks",
    ),
    "run_gain": _of_finding(
        "run_gain", Group.QUANTITY, "More came out of a run than went in.", "who ran it", "flag_run_gain_permille"
    ),
    "run_loss": FlagCode(
        Group.QUANTITY, Severity.WARN, "Much less came out of a run than went in.", "who ran it",
        "the outputs, by-products or waste that the run lacks, or a corrected amount", "flag_run_loss_permille",
    ),
    "sender_never_held": FlagCode(
        Group.CUSTODY, Severity.HIGH, "Goods were shipped by who never had them by the record.", "the sender",
        "the making or receipt that brought them there",
    ),
    "shipment_unmatched": FlagCode(
        Group.CUSTODY, Severity.WARN, "Goods were shipped and, long after, nobody has received them.", _BOTH,
        "the receipt, or a declaration that voids the shipment", "flag_unmatched_hours",
    ),
    "shipped_in_transit": FlagCode(
        Group.CUSTODY, Severity.WARN, "A piece or unit was shipped by another while it was on its way.", "both senders",
        "the receipt between the two shipments",
    ),
    "supplier_not_approved": FlagCode(
        Group.QUALITY, Severity.WARN, "Goods came from a supplier that was not approved at the time.", _DECLARED,
        "the approval, in master data of the supplier, or a corrected receipt",
    ),
    "time_in_future": FlagCode(
        Group.TIME, Severity.WARN, "An event says that it happened after the block that holds it.", _ENTERED,
        "an error declaration, and the event with its true time", "clock_tolerance_ms",
    ),
    "told_twice": FlagCode(
        Group.IDENTITY, Severity.NOTE, "One member reported the same event more than once.", _ENTERED,
        "an error declaration of all but one",
    ),
    "unit_mismatch": _of_finding(
        "unit_mismatch", Group.QUANTITY, "Amounts of goods are stated in units that do not convert.", _HOLDER
    ),
    "unpacked_without_packing": FlagCode(
        Group.SERIAL, Severity.WARN, "Something was taken out of a unit that nobody recorded to be put in.", _HOLDER,
        "the packing",
    ),
    "used_after_end": FlagCode(
        Group.SERIAL, Severity.HIGH, "A piece was seen after it was sold, destroyed or otherwise over.", "both holders",
        "an error declaration of either, or the return that is missing",
    ),
    "used_after_expiry": FlagCode(
        Group.PROCESS, Severity.HIGH, "Goods were used or sold after the date until which they may be.", _HOLDER,
        "a corrected date or time, or an error declaration of the use",
    ),
    "used_after_input": FlagCode(
        Group.SERIAL, Severity.HIGH, "A piece was seen after a run had used it up.", "both holders",
        "an error declaration of either",
    ),
    "used_before_release": FlagCode(
        Group.QUALITY, Severity.HIGH, "Goods were used or shipped before the release that they need.", _DECLARED,
        "the release that was before, or a corrected time",
    ),
    "used_before_receipt": _of_finding(
        "used_before_receipt", Group.CUSTODY, "Goods came in only after they were used there.", _HOLDER
    ),
    "used_dirty": FlagCode(
        Group.PROCESS, Severity.HIGH, "A line was used after a cleaning of it failed, before a verified one.",
        "who ran it", "the verified cleaning that is missing, or an error declaration of the one that failed",
    ),
    "used_on_hold": FlagCode(
        Group.PROCESS, Severity.HIGH, "Goods were used, sold or shipped after they were put on hold.", _HOLDER,
        "the release that is missing, or an error declaration of either",
    ),
    "used_while_blocked": FlagCode(
        Group.QUALITY, Severity.HIGH, "Goods were used, sold or shipped after they were said to be recalled.",
        _HOLDER, "the release that is missing, or an error declaration of either",
    ),
    "void_without_original": FlagCode(
        Group.CORRECTION, Severity.WARN, "A declaration voids an event that its member never reported in this form.",
        _ENTERED, "a declaration that repeats the original exactly",
    ),
}  # fmt: skip
