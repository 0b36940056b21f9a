"""docs/protocol.md is held against the code: a page that is wrong is worse than none."""

import re
from pathlib import Path

from consensus.messages import BLOCK_DOMAIN, CUT_DOMAIN, HEADER_BYTES
from consensus.scheme import VOTE_DOMAIN, vote_signing_bytes
from node.crypto import digests
from node.ledger.verdicts import EventCode, TransactionCode
from node.wire.tags import Tag
from tests.support.networks import build_batch, build_genesis, build_transaction
from tests.unit.wire.test_messages import VOTE

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")


def test_every_domain_is_listed_and_used_once() -> None:
    """No two kinds of things share a domain, and each is 16 bytes."""
    ours = [value for name, value in vars(digests).items() if name.endswith("_DOMAIN")]
    domains = [*ours, BLOCK_DOMAIN, VOTE_DOMAIN, CUT_DOMAIN]
    assert all(len(domain) == 16 for domain in domains)
    assert len(set(domains)) == len(domains)
    listed = re.findall(r"^\| `(lotvine/[^`]+)` \|", PAGE, re.MULTILINE)
    assert sorted(listed) == sorted(domain.rstrip(b"\0").decode() for domain in domains)


def test_every_tag_is_listed_by_its_number() -> None:
    """A second implementation reads them from the page."""
    listed = re.findall(r"^\| (\d+) \| ([A-Z_]+)", PAGE, re.MULTILINE)
    assert [(int(number), name) for number, name in listed] == [(int(tag), tag.name) for tag in Tag]


def test_the_sizes_of_what_is_signed_are_those_of_the_page() -> None:
    """Header, vote and batch have fixed layouts."""
    genesis = build_genesis()
    batch = build_batch(genesis, build_transaction(genesis))
    assert f"A *header* is {HEADER_BYTES} bytes" in PAGE
    assert f"A validator signs {len(vote_signing_bytes(genesis.network_id, VOTE.subject))} bytes" in PAGE
    assert f"SHA-256 of, {len(batch.header.signing_bytes())} bytes" in PAGE


def test_every_verdict_is_named() -> None:
    """The names are those of the API."""
    for code in (*TransactionCode, *EventCode):
        assert f"`{code.name.lower()}`" in PAGE


def test_every_refusal_is_listed_by_its_number() -> None:
    """The numbers are hashed into the state digest."""
    listed = re.findall(r"^\| (\d+) \| `(\w+)` \|", PAGE, re.MULTILINE)
    assert [(int(number), name) for number, name in listed] == [
        (int(code), code.name.lower()) for code in TransactionCode if code > TransactionCode.ACTOR_UNKNOWN
    ]
