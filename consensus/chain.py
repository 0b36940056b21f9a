"""The known blocks above the last one handed out, which of them are local with all their data, and what is final.

Finality does not wait for bodies: a certificate moves `final_view` at once, and the blocks are handed out, in height
order and each once, when all of them are here.
"""

from dataclasses import dataclass, field
from typing import Final

from consensus.messages import FLAG_EPOCH_END, Block, Certificate, Header
from consensus.recovery import Setup
from consensus.types import Digest, Height, View

PENDING_FINAL_MAX: Final = 64
"""Finalizations whose blocks are not all here. A later one covers the earlier, so few need to be kept."""


class DisagreementError(Exception):
    """Certified facts exclude one another, or ours: too many are faulty, or our own execution is.

    certificate: the newly met one, to be kept as evidence beside the one already logged.
    """

    def __init__(self, why: str, certificate: Certificate | None = None) -> None:
        super().__init__(why)
        self.certificate = certificate


@dataclass(slots=True)
class KnownBlock:
    """A block we have seen. is_valid: the verdict on what its digest covers, None while there is none.

    judging_view: the newest view in which the verdict was asked for and not yet given, None for none.
    body_ms: when its body became local, None before. is_stored: the driver was told to keep it.
    is_chain_local: all its ancestors down to the last block handed out have their bodies as well.
    """

    block: Block
    digest: Digest
    is_valid: bool | None = None
    judging_view: View | None = None
    is_certified: bool = False
    is_stored: bool = False
    is_chain_local: bool = False
    body_ms: int | None = None

    @property
    def header(self) -> Header:
        """The header of the block."""
        return self.block.header

    @property
    def has_body(self) -> bool:
        """Whether all batches that it newly covers are local and durable."""
        return self.body_ms is not None


@dataclass(slots=True)
class Chain:
    """What is final and what may become so. Built by `Chain.from_anchor`.

    executed: state digests by height, as far as a new block may still name them. dropped: blocks forgotten while
    they were being judged; the core takes them from here.
    """

    anchor_digest: Digest
    anchor_height: Height
    delivered: KnownBlock
    final_view: View
    final_digest: Digest
    final_certificate: Certificate | None
    known: dict[Digest, KnownBlock]
    executed: dict[Height, Digest] = field(default_factory=dict)
    executed_height: Height = Height(0)  # noqa: RUF009 - a NewType is the int itself
    dropped: list[Digest] = field(default_factory=list)
    _pending: dict[View, Certificate] = field(default_factory=dict)
    _claims: dict[Height, Digest] = field(default_factory=dict)

    @classmethod
    def from_anchor(cls, setup: Setup) -> "Chain":
        """Return the chain of an epoch that has nothing but its anchor, which counts as executed."""
        height = setup.anchor.header.height
        anchor = KnownBlock(setup.anchor, setup.anchor_digest, is_valid=True, is_stored=True, body_ms=0)
        anchor.is_certified = anchor.is_chain_local = True
        return cls(
            anchor_digest=setup.anchor_digest,
            anchor_height=height,
            delivered=anchor,
            final_view=View(0),
            final_digest=setup.anchor_digest,
            final_certificate=None,
            known={setup.anchor_digest: anchor},
            executed_height=height,
        )

    @property
    def delivered_height(self) -> Height:
        """The height of the last block handed out."""
        return self.delivered.header.height

    def known_final_height(self) -> Height | None:
        """Return the height of the final block, or None while the block itself is unknown."""
        block = self.known.get(self.final_digest)
        return None if block is None else block.header.height

    def find(self, digest: Digest) -> KnownBlock | None:
        """Return the block of that name."""
        return self.known.get(digest)

    def add(self, block: Block, digest: Digest) -> KnownBlock:
        """Return the known block of that name, new or old."""
        known = self.known.get(digest)
        if known is None:
            known = self.known[digest] = KnownBlock(block, digest)
        return known

    def is_last(self, digest: Digest | None) -> bool:
        """Return whether that block is known to end this epoch, so that nothing but itself may follow it."""
        known = None if digest is None or digest == self.anchor_digest else self.known.get(digest)
        return known is not None and bool(known.header.flags & FLAG_EPOCH_END)

    def is_local(self, digest: Digest) -> bool:
        """Return whether the block and all its ancestors down to the last one handed out have their bodies."""
        return self._walk_down(digest)[0]

    def find_missing(self, digest: Digest) -> Digest | None:
        """Return the first block, going down from `digest`, whose body is worth fetching; None for none."""
        return self._walk_down(digest)[1]

    def _walk_down(self, digest: Digest) -> tuple[bool, Digest | None]:
        path: list[KnownBlock] = []
        while True:
            known = self.known.get(digest)
            if known is None:
                return False, digest
            if known.is_chain_local:
                break
            if known.header.height <= self.delivered_height:
                # Another branch than what is final: nobody will need it.
                return False, None
            if not known.has_body:
                return False, digest
            path.append(known)
            digest = known.header.parent_digest
        for known in path:
            known.is_chain_local = True
        return True, None

    def finalize(self, certificate: Certificate) -> None:
        """Move the final view up. The caller has checked that it rises."""
        subject = certificate.subject
        self.final_view = subject.view
        self.final_digest = subject.digest
        self.final_certificate = certificate
        self._pending[subject.view] = certificate
        if len(self._pending) > PENDING_FINAL_MAX:
            # Views rise, so the last one is the newest; the one before it is covered by it.
            del self._pending[list(self._pending)[-2]]

    def take_final(self) -> tuple[tuple[Block, ...], Certificate] | None:
        """Return what can be handed out now, up to the highest final block whose chain is here; None for nothing.

        Raises DisagreementError if a final block does not descend from the one handed out before.
        """
        for view in sorted(self._pending, reverse=True):
            certificate = self._pending[view]
            target = self.known.get(certificate.subject.digest)
            if target is self.delivered:
                del self._pending[view]
                continue
            if target is None or not target.has_body:
                continue
            path = self._path_to(target)
            if path is None:
                continue
            self._check_descent(path, view)
            self._hand_out(target)
            for passed in [other for other in self._pending if other <= view]:
                del self._pending[passed]
            return tuple(known.block for known in path), certificate
        return None

    def _path_to(self, target: KnownBlock) -> list[KnownBlock] | None:
        """Return the blocks from above the last one handed out up to `target`; None while a body is missing."""
        path: list[KnownBlock] = []
        cursor: KnownBlock | None = target
        while cursor is not None and cursor.has_body and cursor.header.height > self.delivered_height:
            path.append(cursor)
            if cursor.header.parent_digest == self.delivered.digest:
                return path[::-1]
            cursor = self.known.get(cursor.header.parent_digest)
        if path and path[-1].header.height > self.delivered_height + 1:
            return None
        raise DisagreementError(
            f"final block {target.digest.hex()} does not descend from {self.delivered.digest.hex()}"
        )

    def _check_descent(self, path: list[KnownBlock], view: View) -> None:
        digests = {known.digest: None for known in (self.delivered, *path)}
        for other, certificate in self._pending.items():
            if other < view and certificate.subject.digest not in digests:
                raise DisagreementError(f"final blocks of views {other} and {view} are on different branches")

    def _hand_out(self, target: KnownBlock) -> None:
        self.delivered = target
        target.is_chain_local = True
        self._forget_below()

    def _forget_below(self) -> None:
        """Drop the blocks handed out and their rivals, and the state digests that no new block can name."""
        last = self.delivered.header
        for known in list(self.known.values()):
            header = known.header
            if known is not self.delivered and (header.view <= last.view or header.height <= last.height):
                self._forget(known)
        for height in [height for height in self.executed if height < last.executed_height]:
            del self.executed[height]

    def forget_unfinished(self, *, below: View, keep: dict[Digest, None]) -> None:
        """Drop uncertified blocks of views below `below`, except `keep`."""
        for known in list(self.known.values()):
            if not known.is_certified and known.header.view < below and known.digest not in keep:
                self._forget(known)

    def _forget(self, known: KnownBlock) -> None:
        if known.judging_view is not None:
            self.dropped.append(known.digest)
        del self.known[known.digest]

    def sync_to(self, block: Block, digest: Digest, final_view: View, *, body_ms: int) -> None:
        """Take a block, final in `final_view` and above the last one handed out, as handed out by others."""
        known = self.add(block, digest)
        known.is_valid = known.is_certified = known.is_stored = True
        known.body_ms = body_ms
        self._hand_out(known)
        for passed in [view for view in self._pending if view <= final_view]:
            del self._pending[passed]

    def note_executed(self, height: Height, state_digest: Digest) -> None:
        """Compare the state after `height` with what certified headers claim.

        Raises DisagreementError when a certified header names another state: our execution disagrees with a quorum.
        """
        self.executed[height] = state_digest
        self.executed_height = max(self.executed_height, height)
        for claimed in [claimed for claimed in self._claims if claimed <= height]:
            self._compare(claimed, self._claims.pop(claimed))

    def note_certified(self, known: KnownBlock) -> None:
        """Hold a certified block's claim of a state against ours, now or when we have executed so far.

        Raises DisagreementError when they differ, or when the block was judged invalid.
        """
        if known.is_valid is False:
            raise DisagreementError(f"a quorum certified block {known.digest.hex()}, which we judged invalid")
        if known.is_certified:
            return
        known.is_certified = True
        header = known.header
        if header.executed_height <= self.executed_height:
            self._compare(header.executed_height, header.state_digest)
        elif self._claims.setdefault(header.executed_height, header.state_digest) != header.state_digest:
            raise DisagreementError(f"certified blocks name different states at height {header.executed_height}")

    def _compare(self, height: Height, claimed: Digest) -> None:
        own = self.executed.get(height)
        if own is not None and own != claimed:
            raise DisagreementError(f"a quorum certified state {claimed.hex()} at height {height}, ours is {own.hex()}")
