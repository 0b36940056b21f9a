"""docs/protocol.md is held against the code: a page that is wrong is worse than none."""

import re
from pathlib import Path

from consensus.messages import BLOCK_DOMAIN, CUT_DOMAIN, HEADER_BYTES
from consensus.proposal_rules import PROPOSAL_PAYLOAD_BYTES_MAX
from consensus.scheme import VOTE_DOMAIN, vote_signing_bytes
from consensus.types import U32_MAX, U64_MAX, Digest
from node.crypto import digests
from node.ledger.cut import CUT_FEEDS_MAX
from node.ledger.verdicts import EventCode, TransactionCode
from node.wire.codec import pack
from node.wire.ids import FeedId, FeedNumber, FeedTip, MemberId, Seq
from node.wire.messages import KINDS, PAYLOAD_BYTES_MAX, Priority
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


def test_every_message_stands_with_its_queue_and_its_limit() -> None:
    """Who sends more, or in another queue, is cut off."""
    listed = re.findall(r"^\| (\d+) \| [A-Z_]+\b.*\| (\w+) \| ([\d,]+) \|$", PAGE, re.MULTILINE)
    assert [(int(tag), queue, int(most.replace(",", ""))) for tag, queue, most in listed] == [
        (int(tag), kind.priority.name.lower(), kind.bytes_max) for tag, kind in KINDS.items()
    ]
    assert all(f"{int(queue)} {queue.name.lower()}" in PAGE for queue in Priority)


def test_what_a_core_takes_fits_into_a_frame_and_is_what_the_page_says() -> None:
    """Else an honest leader could build what its own wire refuses. A full cut is less than either."""
    assert PROPOSAL_PAYLOAD_BYTES_MAX == PAYLOAD_BYTES_MAX
    assert f"at most {PAYLOAD_BYTES_MAX // 1024} KiB of cut" in PAGE
    widest = FeedTip(FeedId(MemberId("m" * 32), FeedNumber(U32_MAX)), Seq(U64_MAX), Digest(bytes(32)))
    assert CUT_FEEDS_MAX * len(pack(widest.to_fields())) + 8 <= PAYLOAD_BYTES_MAX


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
