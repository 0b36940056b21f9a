"""What members declare that their goods need, which certificates hold, and which suppliers they approve (ADR 0032).

Each is an attribute of master data, of the form `word; from=…; to=…; record=…`. What cannot be read says nothing.
"""

from collections import Counter
from functools import lru_cache
from typing import Final, NamedTuple

from node.lineage.custody import Masters
from node.lineage.declared import read_time, split_fields
from node.lineage.timeline import FOREVER_MS
from node.wire.ids import MemberId

NEEDS: Final = "needs"
"""Attribute of a product: a type of document, `release` or `supplier`."""
CERTIFICATE: Final = "certificate"
"""Attribute of a document: `valid` or `revoked`."""
APPROVED: Final = "approvedSupplier"
"""Attribute of a party: `approved`."""
RELEASE: Final = "release"
SUPPLIER: Final = "supplier"
VALID: Final = "valid"
REVOKED: Final = "revoked"
_APPROVAL: Final = "approved"
NEEDS_MAX: Final = 16
"""Needs of one member for one product; of more, none counts."""
_FIELDS: Final = frozenset({"from", "to", "record", "by"})


class Said(NamedTuple):
    """A statement. word: what is said; from_ms … to_ms: when it holds, both ends included."""

    word: str
    from_ms: int
    to_ms: int


class Need(NamedTuple):
    """What a member needs of its goods, for what it does with them from from_ms to to_ms."""

    member: MemberId
    what: str
    from_ms: int
    to_ms: int


@lru_cache(maxsize=1 << 12)
def read_said(text: str) -> Said:
    """Return what an attribute's text says. Raises ValueError with the reason."""
    word, fields = split_fields(text)
    if not word or not fields.keys() <= _FIELDS:
        raise ValueError(f"{text!r} is not `word; from=…; to=…; record=…; by=…`")
    from_ms = read_time(fields["from"], is_end=False) if "from" in fields else -FOREVER_MS
    to_ms = read_time(fields["to"], is_end=True) if "to" in fields else FOREVER_MS
    if from_ms > to_ms:
        raise ValueError("it ends before it begins")
    return Said(word, from_ms, to_ms)


def needs_of(product: str, masters: Masters) -> list[Need]:
    """Return what each member needs of a product. One that does not say from when on is none."""
    needs = [
        Need(member, said.word, said.from_ms, said.to_ms)
        for member, said in _stated(product, NEEDS, masters)
        if said.from_ms != -FOREVER_MS
    ]
    counts = Counter(need.member for need in needs)
    return [need for need in needs if counts[need.member] <= NEEDS_MAX]


def certificate_of(document: str, members: frozenset[MemberId], masters: Masters) -> list[Said]:
    """Return what these members say of a document: that it is valid, or revoked."""
    said = [one for member, one in _stated(document, CERTIFICATE, masters) if member in members]
    # What is withdrawn for a time is not revoked.
    return [one for one in said if one.word == VALID or (one.word == REVOKED and one.to_ms == FOREVER_MS)]


def approvals_of(supplier: str, member: MemberId, masters: Masters) -> list[Said]:
    """Return when a member approves of a supplier."""
    stated = _stated(supplier, APPROVED, masters)
    return [said for by, said in stated if by == member and said.word == _APPROVAL]


def _stated(subject: str, name: str, masters: Masters) -> list[tuple[MemberId, Said]]:
    found: list[tuple[MemberId, Said]] = []
    for row in masters.rows_of(subject):
        for key, text in row.record.attributes:
            if key != name:
                continue
            try:
                found.append((row.member, read_said(text)))
            except ValueError:
                continue  # What cannot be read counts for nothing, as with other declarations (ADR 0028).
    return found
