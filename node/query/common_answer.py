"""The answer to "what do these bad lots have in common": its shape, and its digest, made as that of a trace."""

from typing import Annotated, Final

import msgspec
from msgspec.structs import replace

from node.crypto.digests import ANSWER_DOMAIN, sha256

_ENCODER: Final = msgspec.json.Encoder(order="sorted")


SEEDS_MAX: Final = 100
CANDIDATES_MAX: Final = 200

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
_Time = Annotated[str, msgspec.Meta(max_length=64)]


class CommonRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """items: the bad ones, in any spelling. limit: how many candidates to list. as_of: leave out what cannot have
    happened by then (RFC 3339); height, known_at: answer from the ledger as it was at that block, or time.
    """

    items: Annotated[tuple[_Text, ...], msgspec.Meta(min_length=2, max_length=SEEDS_MAX)]
    limit: Annotated[int, msgspec.Meta(ge=1, le=CANDIDATES_MAX)] = 20
    as_of: _Time | None = None
    height: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None
    known_at: _Time | None = None


class CommonStep(msgspec.Struct, frozen=True):
    """An item on the way from a candidate to a bad lot, and the event by which it went on; null at the lot itself."""

    item: str
    event: str | None


class CommonPath(msgspec.Struct, frozen=True):
    """How a bad lot comes from a candidate: the first step is at the candidate, the last is the lot."""

    seed: str
    steps: tuple[CommonStep, ...]


class CommonCandidate(msgspec.Struct, frozen=True):
    """What may be the common source. kind: item, run, line, place, party or supplier (a party with one product).

    id: of an item, place, line or party; of a run its transformationID, or its event. product: of a supplier. name:
    what master data call it. seeds, controls: how many bad lots, and how many others, come from it. share, specificity,
    time_fit, quantity_fit, score: decimal texts from 0 to 1, rounded down at the 4th place; null: not known. from, to:
    ISO 8601 UTC, when the bad lots had to do with it. links: from the nearest bad lot.
    """

    kind: str
    id: str
    product: str | None
    name: str | None
    score: str
    share: str
    specificity: str | None
    time_fit: str | None
    quantity_fit: str | None
    seeds: int
    controls: int
    since: str | None = msgspec.field(name="from")
    until: str | None = msgspec.field(name="to")
    links: int
    paths: tuple[CommonPath, ...]


class CommonAnswer(msgspec.Struct, frozen=True):
    """Candidates, the likeliest first. seeds: the bad lots, in the order asked. controls: other lots of their products
    that were traced to compare with. candidates_found: of all, also those not listed. warnings: stable codes.
    """

    seeds: tuple[str, ...]
    as_of: str | None
    height: int
    rules: int
    digest: str
    controls: int
    candidates_found: int
    candidates: tuple[CommonCandidate, ...]
    warnings: tuple[str, ...]


def digest_of(by_content: CommonAnswer) -> str:
    """Return the digest of an answer whose events are named by content: over all of it but height and digest."""
    return sha256(ANSWER_DOMAIN, _ENCODER.encode(replace(by_content, height=0, digest=""))).hex()
