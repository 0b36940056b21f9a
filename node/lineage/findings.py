"""What each finding weighs and how it closes, by stable code: for flags, docs/lineage.md and whoever is asked."""

from enum import StrEnum
from typing import Final, NamedTuple


class Severity(StrEnum):
    """How much a finding can change a scope. HIGH: amounts or hands do not add up."""

    HIGH = "high"
    WARN = "warn"
    NOTE = "note"


class Remedy(NamedTuple):
    """severity: above. closes: what closes it, besides a counter-statement or a signed waiver."""

    severity: Severity
    closes: str


REMEDIES: Final[dict[str, Remedy]] = {
    "amounts_differ": Remedy(Severity.WARN, "a corrected shipment or receipt of equal amount"),
    "counted_below_book": Remedy(Severity.NOTE, "an end, shipment or run that accounts for what lacks"),
    "made_twice": Remedy(Severity.HIGH, "an error declaration of one of the two makings"),
    "moved_without_record": Remedy(Severity.HIGH, "the shipment and receipt that brought the goods there"),
    "no_source": Remedy(Severity.WARN, "the making, or the receipt and its shipment"),
    "overdrawn": Remedy(Severity.HIGH, "the receipt or making that put the rest there, or a corrected amount"),
    "receipt_without_shipment": Remedy(Severity.HIGH, "the shipment, entered by the sender"),
    "run_gain": Remedy(Severity.HIGH, "the inputs that the run lacks, or a corrected amount"),
    "unit_mismatch": Remedy(Severity.WARN, "a product fact that converts the units"),
    "used_before_receipt": Remedy(Severity.HIGH, "a corrected time of the use or of the receipt"),
}
