"""Catching up from far behind: ranges of final blocks, each proved by its hash links and one certificate.

The target is a final block that the core has a verified certificate for; what peers claim about heights moves nothing.
"""

from dataclasses import dataclass
from typing import Final

from consensus.certificates import Notary
from consensus.messages import Certificate, VoteKind, payload_digest
from consensus.types import Digest, Epoch, Height
from node.replica.tree import BlockTree
from node.wire.ids import MemberId
from node.wire.messages import CHAIN_BLOCKS_MAX, ChainData, ChainRequest

ANSWER_MS_MAX: Final = 3_000
LOOK_AHEAD_BLOCKS: Final = 32
"""So many blocks of a range are pursued at once."""


@dataclass(slots=True)
class Range:
    """A proven range of final blocks whose bodies are being fetched.

    pursued: how many of them so far; done: how many of those are complete, from the first on.
    """

    digests: tuple[Digest, ...]
    places: dict[Digest, int]
    certificate: Certificate
    pursued: int = 0
    done: int = 0


@dataclass(frozen=True, slots=True)
class Asked:
    """An open request."""

    member: MemberId
    request: ChainRequest
    until_ms: int


class ChainSync:
    """The state of catching up. target: the height to reach; range: what is being fetched now."""

    def __init__(self, tree: BlockTree, notary: Notary, epoch: Epoch) -> None:
        self._tree = tree
        self._notary = notary
        self._epoch = epoch
        self._asked: Asked | None = None
        self._turn = 0
        self._retry_ms = 0
        self.target: Height | None = None
        self.range: Range | None = None

    def enter(self, notary: Notary, epoch: Epoch) -> None:
        """Begin an epoch at the final block: ranges end with their epoch, and the next one has another notary."""
        self._notary = notary
        self._epoch = epoch
        self._asked = self.target = self.range = None
        self._retry_ms = 0

    def aim(self, height: Height) -> None:
        """Catch up at least to this height, of a block with a verified certificate."""
        if self.target is None or height > self.target:
            self.target = height

    def next_request(self, peers: list[MemberId], now_ms: int) -> tuple[MemberId, ChainRequest] | None:
        """Return the next range to ask for and whom, if there is one and nothing is under way."""
        if self.target is not None and self.target <= self._tree.final_height:
            self.target = self._asked = None
        if self.target is None or self.range is not None or not peers:
            return None
        if self._asked is not None and now_ms < self._asked.until_ms:
            return None
        if now_ms < self._retry_ms:
            return None
        self._turn += 1
        member = peers[self._turn % len(peers)]
        first = Height(self._tree.final_height + 1)
        request = ChainRequest(first, Height(min(self.target, first + CHAIN_BLOCKS_MAX - 1)))
        self._asked = Asked(member, request, now_ms + ANSWER_MS_MAX)
        return member, request

    def deadline_ms(self) -> int | None:
        """Return when `next_request` is worth a call again."""
        if self.target is None or self.range is not None:
            return None
        return self._retry_ms if self._asked is None else self._asked.until_ms

    def take(self, member: MemberId, data: ChainData, now_ms: int) -> str | None:
        """Take an answer; return why it is wrong, or None. What nobody asked for is ignored."""
        asked = self._asked
        if asked is None or asked.member != member or asked.request.first != data.first:
            return None
        self._asked = None
        if not data.blocks:
            # It may not have come so far itself; the next one is asked, in a moment.
            self._retry_ms = now_ms + ANSWER_MS_MAX // 10
            return None
        if data.first != self._tree.final_height + 1:
            # Finality has come another way meanwhile.
            return None
        fault = self._fault_of(asked.request, data)
        if fault is None:
            digests = tuple(block.header.digest() for block in data.blocks)
            for block, digest in zip(data.blocks, digests, strict=True):
                self._tree.add(block, digest)
            assert data.certificate is not None
            self.range = Range(digests, {digest: place for place, digest in enumerate(digests)}, data.certificate)
        return fault

    def _fault_of(self, request: ChainRequest, data: ChainData) -> str | None:
        """Return why the answer does not prove itself, or None.

        # Safety: the links go up from our own final block, and the certificate holds the upper end.
        """
        certificate = data.certificate
        if certificate is None or data.first + len(data.blocks) - 1 > request.last:
            return "chain without certificate, or longer than asked for"
        below, height = self._tree.final_digest, data.first
        for block in data.blocks:
            header = block.header
            if header.parent_digest != below or header.height != height or header.epoch != self._epoch:
                return f"chain does not link at height {height}"
            if payload_digest(block.payload) != header.cut_digest:
                return f"payload of another block at height {height}"
            below, height = header.digest(), Height(height + 1)
        subject = certificate.subject
        if subject.kind != VoteKind.FINALIZE or subject.epoch != self._epoch or subject.digest != below:
            return "certificate does not finalize the chain's last block"
        return self._notary.fault_of(certificate, None)

    def next_to_pursue(self) -> tuple[Digest, ...]:
        """Return the blocks of the range that may be pursued from now on."""
        current = self.range
        if current is None:
            return ()
        while current.done < current.pursued:
            digest = current.digests[current.done]
            if self._tree.find(digest) is not None and not self._tree.is_complete(digest):
                break
            current.done += 1
        upto = min(len(current.digests), current.done + LOOK_AHEAD_BLOCKS)
        fresh = current.digests[current.pursued : upto]
        current.pursued = max(current.pursued, upto)
        return fresh

    def covers(self, digest: Digest) -> bool:
        """Return whether the block is part of the range."""
        return self.range is not None and digest in self.range.places

    def completed(self) -> tuple[Digest, Certificate] | None:
        """Return the last block of the range with its certificate, once all of it is complete."""
        current = self.range
        if current is None or not self._tree.is_complete(current.digests[-1]):
            return None
        return current.digests[-1], current.certificate

    def passed(self) -> None:
        """Finality has moved: what it has reached needs no catching up."""
        current = self.range
        if current is not None:
            last = self._tree.find(current.digests[-1])
            if last is None or last.height <= self._tree.final_height:
                self.range = None
