"""URN and Digital Link pairs out of the tests of two public implementations."""

import csv
from typing import Final
from urllib.parse import unquote

import pytest

from node.epcis.identifiers import IdKind, identify
from node.epcis.urns import to_urn
from tests.conformance.material import EPCIS, needs_material

PAIRS: Final = EPCIS / "id-vectors" / "urn-digital-link.tsv"

# Where we part from the published pair, and why. Raw slashes, question marks and number signs end a path segment: a
# Digital Link has them encoded. A wrong check digit makes an identifier opaque.
CUT: Final = "a raw / ? or # stands in a value, where a Digital Link has it encoded"
LENGTH: Final = "longer than GS1 allows"
LIST: Final = "GS1's list has another prefix length today"
APART: Final = {
    "https://id.gs1.org/8010/4748374/23748#94//8011/94304": CUT,
    "https://id.gs1.org/8010/30056867890#1294-5A/8011/4893": CUT,
    "https://id.gs1.org/8010/8585885039434/38": CUT,
    "https://id.gs1.org/8010/9520885039434/38": CUT,
    'https://id.gs1.org/253/8934893489494":?>': CUT,
    'https://id.gs1.org/8004/3575958495850!"/%_': CUT,
    "https://id.gs1.org/8003/043847837483703:;<>=?AZ_az": CUT,
    "https://id.gs1.org/01/57875874837438/235/19:;<=>?AZ_az": CUT,
    "https://id.gs1.org/8004/42512183.SENSOR.TR-07-AVE-583:1": LENGTH,
    "https://hp.com/laptop/8018/302241753828392832": LIST,
}


def pairs(*kinds: str) -> list[dict[str, str]]:
    """Return each published pair of these kinds."""
    if not PAIRS.is_file():
        return []
    with PAIRS.open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [row for row in rows if row["kind"] in kinds]


def is_apart(row: dict[str, str]) -> bool:
    """Return whether we mean to part from this pair: listed above, or its caution says why."""
    raw = "raw slash" in row["caution"] and row["kind"] == "dl_to_urn"
    wrong = identify(row["input"]).warning or ""
    return row["input"] in APART or raw or "check digit" in wrong


@needs_material
def test_the_pairs_are_all_here() -> None:
    """So many pairs were published, and so many we part from: a wrong check digit, or a listed reason."""
    kinds = ("canonical_dl", "urn_to_dl", "dl_to_urn")
    assert [len(pairs(kind)) for kind in kinds] == [45, 55, 74]
    assert [sum(map(is_apart, pairs(kind))) for kind in kinds] == [1, 0, 26]


@needs_material
@pytest.mark.parametrize("row", pairs("canonical_dl", "urn_to_dl"), ids=lambda row: row["input"])
def test_a_uri_becomes_the_published_link(row: dict[str, str]) -> None:
    """Compared after percent-decoding where the source leaves characters raw; (none) is no GS1 identifier."""
    found = identify(row["input"])
    if row["expected"] == "(none)" or is_apart(row):
        assert (found.kind, found.id) == (IdKind.OPAQUE, row["input"])
    elif row["kind"] == "canonical_dl":
        assert found.id == row["expected"]
    else:
        assert unquote(found.id) == unquote(row["expected"])


@needs_material
@pytest.mark.parametrize("row", pairs("dl_to_urn"), ids=lambda row: row["input"])
def test_a_link_becomes_the_published_urn(row: dict[str, str]) -> None:
    """With the prefix length given, or from GS1's list; where we part, the URN is another or none."""
    urn = to_urn(row["input"], int(row["gcp_length"]) if row["gcp_length"] else None)
    same = urn is not None and unquote(urn) == unquote(row["expected"])
    assert same is not is_apart(row)
