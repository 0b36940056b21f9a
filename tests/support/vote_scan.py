"""Reads the vote logs of homes and looks for what an honest validator never signs. It shares no code with the core.

A node deletes whole old segments, and a wiped one all of them: a test that wants to see all votes copies the files
before it wipes.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from consensus.messages import Certificate, Vote, VoteKind
from node.storage.vote_records import HEADER_BYTES, RecordType
from node.wire.codec import MalformedError, unpack
from node.wire.messages import read_certificate, read_vote

HEAD_BYTES: Final = 9
"""Length (4), type (1) and checksum (4) before a record's payload."""
TAIL_BYTES: Final = 4


def read_records(segment: Path) -> Iterator[tuple[int, bytes]]:
    """Yield type and payload of each whole record of a segment; a torn or damaged end is the node's own business."""
    data = segment.read_bytes()
    offset = HEADER_BYTES
    while offset + HEAD_BYTES <= len(data):
        size, kind = int.from_bytes(data[offset : offset + 4], "big"), data[offset + 4]
        end = offset + HEAD_BYTES + size + TAIL_BYTES
        if end > len(data):
            return
        yield kind, data[offset + HEAD_BYTES : end - TAIL_BYTES]
        offset = end


def read_log(folders: Iterable[Path]) -> tuple[list[Vote], list[Certificate]]:
    """Return all votes and certificates in the logs below these folders: one node's, at different times."""
    votes, certificates = [], []
    for folder in folders:
        for segment in sorted(folder.rglob("*.votes")):
            for kind, payload in read_records(segment):
                try:
                    if kind == RecordType.VOTE:
                        votes.append(read_vote(unpack(payload, what="vote"), "vote"))
                    elif kind == RecordType.CERTIFICATE:
                        certificates.append(read_certificate(unpack(payload, what="certificate"), "certificate"))
                except MalformedError:
                    # A test has damaged this record.
                    continue
    return votes, certificates


def find_double_votes(votes: Iterable[Vote]) -> list[str]:
    """Return what one validator should not have signed together, in words. votes: all of one signer.

    As docs/protocol.md says: one subject a kind and view; never nullify and finalize in one view; finalize nothing
    but what one has notarized, if one has notarized.
    """
    signed: dict[tuple[int, int], dict[VoteKind, set[tuple[int, bytes]]]] = defaultdict(lambda: defaultdict(set))
    for vote in votes:
        subject = vote.subject
        signed[subject.epoch, subject.view][subject.kind].add((subject.parent_view, subject.digest))
    found = []
    for (epoch, view), kinds in sorted(signed.items()):
        place = f"epoch {epoch}, view {view}"
        found += [f"{place}: {len(each)} times {kind.name}" for kind, each in kinds.items() if len(each) > 1]
        if VoteKind.NULLIFY in kinds and VoteKind.FINALIZE in kinds:
            found.append(f"{place}: NULLIFY and FINALIZE")
        notarized = {digest for _, digest in kinds.get(VoteKind.NOTARIZE, ())}
        finalized = {digest for _, digest in kinds.get(VoteKind.FINALIZE, ())}
        if notarized and finalized - notarized:
            found.append(f"{place}: FINALIZE of another block than NOTARIZE")
    return found


def find_rival_certificates(certificates: Iterable[Certificate]) -> list[str]:
    """Return pairs of certificates that cannot both be with at most f Byzantine validators. From all nodes' logs."""
    held: dict[tuple[int, int], dict[VoteKind, set[bytes]]] = defaultdict(lambda: defaultdict(set))
    for certificate in certificates:
        subject = certificate.subject
        held[subject.epoch, subject.view][subject.kind].add(subject.digest)
    found = []
    for (epoch, view), kinds in sorted(held.items()):
        place = f"epoch {epoch}, view {view}"
        blocks = kinds.get(VoteKind.NOTARIZE, set()) | kinds.get(VoteKind.FINALIZE, set())
        if len(blocks) > 1:
            found.append(f"{place}: certificates for {len(blocks)} blocks")
        if VoteKind.NULLIFY in kinds and VoteKind.FINALIZE in kinds:
            found.append(f"{place}: a nullification and a finalization")
    return found
