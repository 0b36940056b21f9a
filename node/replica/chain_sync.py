"""Catching up from far behind: ranges of final blocks, each proved by its hash links and one certificate.

The target is a final block that the core has a verified certificate for; what peers claim about heights moves nothing.

Where finality lagged, one certificate may stand for more blocks than fit into an answer. Such answers come without one,
and of their blocks the names alone are kept, a *stretch*: a liar wastes little room, and its time once. A certificate
higher up, at the latest our own of the target, proves all of it; then its blocks are fetched by their names.
"""

from dataclasses import dataclass
from typing import Final

from consensus.certificates import Notary
from consensus.messages import FLAG_EPOCH_END, Certificate, VoteKind, payload_digest
from consensus.types import Digest, Epoch, Height
from node.replica.tree import BlockTree
from node.wire.ids import MemberId
from node.wire.messages import CHAIN_BLOCKS_MAX, ChainData, ChainRequest

ANSWER_MS_MAX: Final = 3_000
LOOK_AHEAD_BLOCKS: Final = 32
"""So many blocks of a range are pursued at once."""

STRETCH_BLOCKS_MAX: Final = 200_000
"""So many blocks may hang on one certificate. Their names take 15 MB; whoever votes holds them all as they are."""
STRETCH_PAUSE_MS: Final = 150
"""Between two answers of a stretch: a member answers eight requests a second, and whatever is more it drops."""
STRETCH_MS_MAX: Final = 120_000
"""So long a member may take over a stretch before another one is asked, and no second stretch of its is taken."""


@dataclass(slots=True)
class Range:
    """A proven range of final blocks whose bodies are being fetched. first: the height of the first of them.

    pursued: how many of them so far; done: how many of those are complete, from the first on.
    """

    first: Height
    digests: tuple[Digest, ...]
    places: dict[Digest, int]
    certificate: Certificate
    pursued: int = 0
    done: int = 0


@dataclass(slots=True)
class Stretch:
    """Linked blocks above the final one that nothing proves yet, by name. member: who tells of them, since when."""

    member: MemberId
    since_ms: int
    first: Height
    digests: list[Digest]

    @property
    def following(self) -> Height:
        """The height above it."""
        return Height(self.first + len(self.digests))


@dataclass(frozen=True, slots=True)
class Asked:
    """An open request."""

    member: MemberId
    request: ChainRequest
    until_ms: int


class ChainSync:
    """The state of catching up. target: the height to reach; range: what is being fetched now; stretch: see above."""

    def __init__(self, tree: BlockTree, notary: Notary, epoch: Epoch) -> None:
        self._tree = tree
        self._notary = notary
        self._epoch = epoch
        self._asked: Asked | None = None
        self._turn = 0
        self._retry_ms = 0
        self.target: Height | None = None
        self.range: Range | None = None
        self.stretch: Stretch | None = None
        self._proof: Certificate | None = None
        self._doubted: dict[MemberId, None] = {}

    def enter(self, notary: Notary, epoch: Epoch) -> None:
        """Begin an epoch at the final block: ranges end with their epoch, and the next one has another notary."""
        self._notary = notary
        self._epoch = epoch
        self._asked = self.target = self.range = self.stretch = self._proof = None
        self._doubted.clear()
        self._retry_ms = 0

    def aim(self, height: Height, proof: Certificate) -> None:
        """Catch up at least to this height, of the block that a verified certificate finalizes."""
        if self.target is None or height > self.target:
            self.target, self._proof = height, proof

    def next_request(self, peers: list[MemberId], now_ms: int) -> tuple[MemberId, ChainRequest] | None:
        """Return the next range to ask for and whom, if there is one and nothing is under way."""
        if self.target is not None and self.target <= self._tree.final_height:
            self.target = self._asked = self.stretch = self._proof = None
        if self.target is None or self.range is not None or not peers:
            return None
        if self._asked is not None and now_ms < self._asked.until_ms:
            return None
        if now_ms < self._retry_ms:
            return None
        stretch = self.stretch
        if stretch is not None and (
            # It has left the last request without an answer, or is gone, or has had its time.
            self._asked is not None or stretch.member not in peers or stretch.since_ms + STRETCH_MS_MAX <= now_ms
        ):
            self._give_up_stretch()
        if all(peer in self._doubted for peer in peers):
            self._doubted.clear()
        _, first = self._upper_end()
        if self.stretch is None:
            self._turn += 1
            member = peers[self._turn % len(peers)]
        else:
            member = self.stretch.member
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
            self._give_up_stretch()
            return None
        below, first = self._upper_end()
        if data.first != first:
            # Finality has come another way meanwhile.
            return None
        fault = self._fault_of(asked.request, data, below)
        if fault is None and data.certificate is None:
            fault = self._stretch(member, data, now_ms)
        elif fault is None:
            assert data.certificate is not None
            for block in data.blocks:
                self._tree.add(block, block.header.digest())
            self._prove(self._named(data), data.certificate)
        if fault is not None:
            self._give_up_stretch()
        return fault

    def _upper_end(self) -> tuple[Digest, Height]:
        """Return what the next answer has to link to, and the height above that."""
        final, stretch = self._tree.final_digest, self.stretch
        above = Height(self._tree.final_height + 1)
        if stretch is not None:
            passed = above - stretch.first
            if 0 < passed <= len(stretch.digests) and stretch.digests[passed - 1] == final:
                # Finality has come some way along it.
                stretch.first = above
                del stretch.digests[:passed]
            if stretch.first == above:
                return stretch.digests[-1] if stretch.digests else final, stretch.following
            self.stretch = None
        return final, above

    @staticmethod
    def _named(data: ChainData) -> list[Digest]:
        return [block.header.digest() for block in data.blocks]

    def _stretch(self, member: MemberId, data: ChainData, now_ms: int) -> str | None:
        """Keep the names of blocks that link; return why no certificate can ever prove them, or None."""
        if member in self._doubted:
            # No fault of its own: its link may be slow.
            self._retry_ms = now_ms + ANSWER_MS_MAX // 10
            return None
        names, last = self._named(data), data.first + len(data.blocks) - 1
        if last == self.target:
            if self._proof is None or names[-1] != self._proof.subject.digest:
                return "another chain than the one that is final"
            self._prove(names, self._proof)
            return None
        if self.stretch is None:
            self.stretch = Stretch(member, now_ms, data.first, [])
        self.stretch.digests.extend(names)
        self._retry_ms = now_ms + STRETCH_PAUSE_MS
        if len(self.stretch.digests) > STRETCH_BLOCKS_MAX:
            self._give_up_stretch()
        return None

    def _give_up_stretch(self) -> None:
        if self.stretch is not None:
            self._doubted[self.stretch.member] = None
            self.stretch = None

    def _prove(self, names: list[Digest], certificate: Certificate) -> None:
        """Take a range up, with the stretch below it."""
        first = Height(self._tree.final_height + 1)
        digests = (*(() if self.stretch is None else self.stretch.digests), *names)
        self.range = Range(first, digests, {digest: place for place, digest in enumerate(digests)}, certificate)
        self.stretch = None

    def _fault_of(self, request: ChainRequest, data: ChainData, below: Digest) -> str | None:
        """Return why the answer does not link to `below` or not prove itself, or None.

        # Safety: the links go up from our own final block, and the certificate holds the upper end.
        """
        certificate, height = data.certificate, data.first
        if data.first + len(data.blocks) - 1 > request.last:
            return "chain longer than asked for"
        for block in data.blocks:
            header = block.header
            if header.parent_digest != below or header.height != height or header.epoch != self._epoch:
                return f"chain does not link at height {height}"
            if payload_digest(block.payload) != header.cut_digest:
                return f"payload of another block at height {height}"
            below, height = header.digest(), Height(height + 1)
        if certificate is None:
            is_end = any(block.header.flags & FLAG_EPOCH_END for block in data.blocks)
            return "end of an epoch without its certificate" if is_end else None
        subject = certificate.subject
        if subject.kind != VoteKind.FINALIZE or subject.epoch != self._epoch or subject.digest != below:
            return "certificate does not finalize the chain's last block"
        return self._notary.fault_of(certificate, None)

    def next_to_pursue(self) -> tuple[Digest, ...]:
        """Return the blocks of the range that may be pursued from now on, and the lowest one if it is not here."""
        current = self.range
        if current is None:
            return ()
        while current.done < current.pursued:
            is_final = current.first + current.done <= self._tree.final_height
            if not is_final and not self._tree.is_complete(current.digests[current.done]):
                break
            current.done += 1
        upto = min(len(current.digests), current.done + LOOK_AHEAD_BLOCKS)
        fresh = current.digests[current.pursued : upto]
        is_lacking = current.done < current.pursued and self._tree.find(current.digests[current.done]) is None
        lacking = current.digests[current.done : current.done + 1] if is_lacking else ()
        current.pursued = max(current.pursued, upto)
        return (*lacking, *fresh)

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
        if current is not None and current.first + len(current.digests) - 1 <= self._tree.final_height:
            self.range = None
