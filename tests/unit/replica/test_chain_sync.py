"""Ranges of final blocks: whom to ask, what an answer must prove, what is pursued at once."""

import dataclasses

import pytest

from consensus.certificates import Notary
from consensus.messages import FLAG_EPOCH_END, Block, Certificate, VoteKind
from consensus.types import Epoch, Height
from node.feed.feeds import Feeds
from node.replica import chain_sync
from node.replica.chain_sync import (
    ANSWER_MS_MAX,
    LOOK_AHEAD_BLOCKS,
    STRETCH_MS_MAX,
    STRETCH_PAUSE_MS,
    ChainSync,
)
from node.replica.membership import Membership
from node.replica.start import anchor_block
from node.replica.tree import BlockTree
from node.wire.ids import MemberId
from node.wire.messages import CHAIN_BLOCKS_MAX, ChainData, ChainRequest
from tests.support.fake_keys import FakeVerifier
from tests.support.final_chain import FinalChain
from tests.support.networks import build_genesis

GENESIS = build_genesis()
PEERS = [MemberId("firm-1"), MemberId("firm-2"), MemberId("firm-3")]


class Rig:
    """A node at height 0 that knows of a final block at the end of a chain of empty ones."""

    def __init__(self, length: int) -> None:
        self.chain = FinalChain(GENESIS)
        start = self.chain.frontier
        for _ in range(length):
            self.chain.extend()
        self.tree = BlockTree(
            feeds=Feeds((), (), 0),
            membership=Membership(GENESIS.roster, MemberId("firm-0")),
            batches_max=10,
            header=anchor_block(GENESIS).header,
            digest=GENESIS.anchor_digest,
            frontier=start,
        )
        self.sync = ChainSync(self.tree, Notary(GENESIS.network_id, Epoch(0), 4, FakeVerifier()), Epoch(0))

    def aim(self, height: int) -> None:
        """It learns that the block at this height is final."""
        self.sync.aim(Height(height), self.chain.finalization(min(height, len(self.chain.blocks))))

    def ask(self, now_ms: int = 0) -> MemberId:
        """Have it ask, and return whom."""
        request = self.sync.next_request(PEERS, now_ms)
        assert request is not None
        return request[0]

    def answer(self, first: int = 1, last: int | None = None) -> ChainData:
        """The true answer."""
        last = len(self.chain.blocks) if last is None else last
        return ChainData(Height(first), tuple(self.chain.blocks[first - 1 : last]), self.chain.finalization(last))

    def complete(self, upto: int) -> None:
        """Complete the blocks up to a height: they are empty."""
        for digest in self.chain.digests[:upto]:
            node = self.tree.find(digest)
            assert node is not None
            self.tree.complete(node)


def test_without_a_target_nothing_is_asked() -> None:
    """What peers claim moves nothing: the target comes from a verified certificate."""
    rig = Rig(3)
    assert rig.sync.next_request(PEERS, 0) is None
    assert rig.sync.deadline_ms() is None
    rig.aim(3)
    rig.aim(2)
    assert rig.sync.target == 3
    assert rig.sync.next_request([], 0) is None
    assert rig.sync.next_request(PEERS, 0) == (PEERS[1], ChainRequest(Height(1), Height(3)))


def test_one_range_is_asked_at_a_time_and_of_the_next_peer_when_no_answer_comes() -> None:
    """Bounded, and by turn."""
    rig = Rig(3)
    rig.aim(10_000)
    request = rig.sync.next_request(PEERS, 0)
    assert request == (PEERS[1], ChainRequest(Height(1), Height(CHAIN_BLOCKS_MAX)))
    assert rig.sync.next_request(PEERS, 1) is None
    assert rig.sync.deadline_ms() == ANSWER_MS_MAX
    assert rig.ask(ANSWER_MS_MAX) == PEERS[2]


def test_a_proven_range_is_pursued_a_few_blocks_ahead_and_done_when_all_is_complete() -> None:
    """Then its last block is final by the certificate that came with it."""
    rig = Rig(LOOK_AHEAD_BLOCKS + 8)
    rig.aim(LOOK_AHEAD_BLOCKS + 8)
    assert rig.sync.take(rig.ask(), rig.answer(), 0) is None
    assert rig.sync.deadline_ms() is None
    assert rig.sync.next_request(PEERS, 99_999) is None
    assert rig.sync.next_to_pursue() == tuple(rig.chain.digests[:LOOK_AHEAD_BLOCKS])
    assert rig.sync.next_to_pursue() == ()
    assert rig.sync.covers(rig.chain.digests[-1])
    rig.complete(5)
    assert rig.sync.next_to_pursue() == tuple(rig.chain.digests[LOOK_AHEAD_BLOCKS : LOOK_AHEAD_BLOCKS + 5])
    rig.complete(6)
    rig.tree.finalize(rig.tree.path_to(rig.chain.digests[5]))
    rig.sync.passed()
    assert len(rig.sync.next_to_pursue()) == 1
    assert rig.sync.completed() is None
    for digest in rig.chain.digests[6:]:
        node = rig.tree.find(digest)
        assert node is not None
        rig.tree.complete(node)
    assert rig.sync.completed() == (rig.chain.digests[-1], rig.chain.finalization(len(rig.chain.blocks)))
    rig.tree.finalize(rig.tree.path_to(rig.chain.digests[-1]))
    rig.sync.passed()
    assert rig.sync.completed() is None
    assert not rig.sync.covers(rig.chain.digests[-1])
    assert rig.sync.next_request(PEERS, 100_000) is None
    assert rig.sync.target is None


def test_an_answer_that_nobody_asked_for_is_ignored() -> None:
    """From another peer, to another question, or late."""
    rig = Rig(3)
    assert rig.sync.take(PEERS[0], rig.answer(), 0) is None
    rig.aim(3)
    member = rig.ask()
    assert rig.sync.take(PEERS[0], rig.answer(), 0) is None
    assert rig.sync.take(member, rig.answer(2), 0) is None
    assert rig.sync.range is None


def test_a_peer_that_has_nothing_is_followed_by_the_next_one_after_a_moment() -> None:
    """It is no fault not to have come so far."""
    rig = Rig(3)
    rig.aim(3)
    assert rig.sync.take(rig.ask(), ChainData(Height(1), (), None), 50) is None
    assert rig.sync.next_request(PEERS, 51) is None
    retry_ms = rig.sync.deadline_ms()
    assert retry_ms is not None
    assert rig.ask(retry_ms) == PEERS[2]


def test_an_answer_overtaken_by_finality_is_left_aside() -> None:
    """One commit path: what came another way is not taken twice."""
    rig = Rig(3)
    rig.aim(3)
    member = rig.ask()
    node = rig.tree.add(rig.chain.blocks[0], rig.chain.digests[0])
    rig.tree.complete(node)
    rig.tree.finalize([node])
    assert rig.sync.take(member, rig.answer(), 0) is None
    assert rig.sync.range is None
    rig.sync.passed()


def forge(block: Block, **changes: object) -> Block:
    """The block with another header."""
    return Block(dataclasses.replace(block.header, **changes), block.payload)  # type: ignore[arg-type] # by name


def stretch_rig(monkeypatch: pytest.MonkeyPatch, *, length: int = 9, target: int = 9) -> Rig:
    """One that asks for three blocks at once."""
    monkeypatch.setattr(chain_sync, "CHAIN_BLOCKS_MAX", 3)
    rig = Rig(length)
    rig.aim(target)
    return rig


def uncertified(rig: Rig, first: int) -> ChainData:
    """Three blocks that no certificate holds."""
    return dataclasses.replace(rig.answer(first, first + 2), certificate=None)


def test_answers_without_certificate_are_a_stretch_that_the_next_one_above_proves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of one member, at the pace that it answers at; the names alone are kept, and nothing is in the tree before."""
    rig = stretch_rig(monkeypatch)
    member = rig.ask()
    assert rig.sync.take(member, uncertified(rig, 1), 0) is None
    assert (rig.sync.range, len(rig.tree)) == (None, 0)
    assert rig.sync.next_request(PEERS, STRETCH_PAUSE_MS - 1) is None
    assert rig.sync.next_request(PEERS, STRETCH_PAUSE_MS) == (member, ChainRequest(Height(4), Height(6)))
    assert rig.sync.take(member, rig.answer(4, 5), STRETCH_PAUSE_MS) is None
    assert rig.sync.next_to_pursue() == tuple(rig.chain.digests[:5])
    assert all(rig.sync.covers(digest) for digest in rig.chain.digests[:5])
    assert rig.sync.completed() is None
    for block, digest in zip(rig.chain.blocks[:3], rig.chain.digests[:3], strict=True):
        assert rig.sync.next_to_pursue() == (digest,), "the lowest that is not here is asked for again"
        rig.tree.add(block, digest)
        rig.complete(block.header.height)
    rig.complete(5)
    assert rig.sync.completed() == (rig.chain.digests[4], rig.chain.finalization(5))


def test_a_stretch_up_to_the_target_is_proved_by_what_proves_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever answers may hold another certificate than we do, of a block further up."""
    rig = stretch_rig(monkeypatch, target=6)
    member = rig.ask()
    assert rig.sync.take(member, uncertified(rig, 1), 0) is None
    assert rig.ask(STRETCH_PAUSE_MS) == member
    assert rig.sync.take(member, uncertified(rig, 4), 0) is None
    assert rig.sync.range is not None
    assert rig.sync.range.certificate == rig.chain.finalization(6)
    assert rig.sync.range.digests == tuple(rig.chain.digests[:6])


def test_a_stretch_that_comes_to_another_block_than_the_target_is_its_tellers_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was one member's from its beginning. What that tells without a certificate is not kept again."""
    rig = stretch_rig(monkeypatch, target=6)
    member = rig.ask()
    assert rig.sync.take(member, uncertified(rig, 1), 0) is None
    assert rig.ask(STRETCH_PAUSE_MS) == member
    false = uncertified(rig, 4)
    false = dataclasses.replace(false, blocks=(*false.blocks[:2], forge(false.blocks[2], timestamp_ms=5)))
    assert rig.sync.take(member, false, 0) == "another chain than the one that is final"
    assert (rig.sync.range, rig.sync.stretch) == (None, None)
    now_ms = 10_000
    while rig.ask(now_ms) != member:
        now_ms += ANSWER_MS_MAX
    assert rig.sync.take(member, uncertified(rig, 1), now_ms) is None
    assert rig.sync.stretch is None


@pytest.mark.parametrize("how", ["silent", "slow", "empty"])
def test_a_stretch_that_comes_to_nothing_begins_anew_with_the_next_member(
    monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Whose fault that is cannot be told; when nobody is left, all are tried again."""
    rig = stretch_rig(monkeypatch, length=600, target=600)
    now_ms = 0
    for _ in range(7):
        request = rig.sync.next_request(PEERS, now_ms)
        assert request is not None
        member, asked = request
        assert asked.first == 1
        assert rig.sync.take(member, uncertified(rig, 1), now_ms) is None
        assert rig.sync.stretch is not None
        now_ms += STRETCH_PAUSE_MS
        assert rig.sync.next_request(PEERS, now_ms) == (member, ChainRequest(Height(4), Height(6)))
        if how == "silent":
            now_ms += ANSWER_MS_MAX
        elif how == "slow":
            now_ms += STRETCH_MS_MAX
            assert rig.sync.take(member, uncertified(rig, 4), now_ms) is None
            now_ms += STRETCH_PAUSE_MS
        else:
            assert rig.sync.take(member, ChainData(Height(4), (), None), now_ms) is None
            now_ms += ANSWER_MS_MAX


def test_a_stretch_ends_with_the_session_of_who_tells_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another member may have another certificate."""
    rig = stretch_rig(monkeypatch)
    member = rig.ask()
    assert rig.sync.take(member, uncertified(rig, 1), 0) is None
    others = [peer for peer in PEERS if peer != member]
    request = rig.sync.next_request(others, STRETCH_PAUSE_MS)
    assert request is not None
    assert (request[0] in others, request[1]) == (True, ChainRequest(Height(1), Height(3)))


def test_finality_that_moves_along_a_stretch_shortens_it_and_any_other_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The core goes on meanwhile: what has become final is not taken twice."""
    rig = stretch_rig(monkeypatch)
    member = rig.ask()
    assert rig.sync.take(member, uncertified(rig, 1), 0) is None
    for block, digest in zip(rig.chain.blocks[:2], rig.chain.digests[:2], strict=True):
        rig.tree.complete(rig.tree.add(block, digest))
    rig.tree.finalize(rig.tree.path_to(rig.chain.digests[1]))
    rig.sync.passed()
    assert rig.sync.next_request(PEERS, STRETCH_PAUSE_MS) == (member, ChainRequest(Height(4), Height(6)))
    assert rig.sync.take(member, rig.answer(4, 5), STRETCH_PAUSE_MS) is None
    assert rig.sync.range is not None
    assert rig.sync.range.digests == tuple(rig.chain.digests[2:5])
    other = stretch_rig(monkeypatch)
    assert other.sync.take(other.ask(), uncertified(other, 1), 0) is None
    for block, digest in zip(other.chain.blocks[:4], other.chain.digests[:4], strict=True):
        other.tree.complete(other.tree.add(block, digest))
    other.tree.finalize(other.tree.path_to(other.chain.digests[3]))
    request = other.sync.next_request(PEERS, STRETCH_PAUSE_MS)
    assert request is not None
    assert request[1] == ChainRequest(Height(5), Height(7))


def test_a_stretch_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty-two bytes a block, and not for ever."""
    monkeypatch.setattr(chain_sync, "STRETCH_BLOCKS_MAX", 5)
    rig = stretch_rig(monkeypatch)
    member = rig.ask()
    assert rig.sync.take(member, uncertified(rig, 1), 0) is None
    assert rig.ask(STRETCH_PAUSE_MS) == member
    assert rig.sync.take(member, uncertified(rig, 4), 0) is None
    assert rig.sync.stretch is None


BLOCKS = tuple(Rig(3).chain.blocks)


def certificates() -> dict[str, Certificate]:
    """Certificates that do not finalize block 3."""
    chain = Rig(3).chain
    good = chain.finalization(3)
    signatures = tuple((signer, bytes(64)) for signer, _ in good.signatures)
    return {
        "of a notarization": chain.certify(chain.digests[2], 3, kind=VoteKind.NOTARIZE),
        "of another block": chain.finalization(2),
        "of too few": chain.certify(chain.digests[2], 3, signers=2),
        "badly signed": dataclasses.replace(good, signatures=signatures),
        "of another epoch": dataclasses.replace(good, subject=dataclasses.replace(good.subject, epoch=Epoch(1))),
    }


@pytest.mark.parametrize(
    "data",
    [
        ChainData(Height(1), (BLOCKS[0], BLOCKS[1], forge(BLOCKS[2], timestamp_ms=5)), None),
        ChainData(Height(1), (forge(BLOCKS[0], flags=FLAG_EPOCH_END),), None),
        ChainData(Height(1), BLOCKS[1:], None),
        ChainData(Height(1), (*BLOCKS, BLOCKS[0]), Rig(3).chain.finalization(3)),
        ChainData(Height(1), BLOCKS[1:], Rig(3).chain.finalization(3)),
        ChainData(Height(1), (BLOCKS[0], forge(BLOCKS[1], timestamp_ms=5), BLOCKS[2]), Rig(3).chain.finalization(3)),
        ChainData(Height(1), (forge(BLOCKS[0], height=Height(2)),), Rig(3).chain.finalization(3)),
        ChainData(Height(1), (forge(BLOCKS[0], epoch=Epoch(1)),), Rig(3).chain.finalization(3)),
        ChainData(Height(1), (*BLOCKS[:2], Block(BLOCKS[2].header, b"\x91\x90")), Rig(3).chain.finalization(3)),
        *(ChainData(Height(1), BLOCKS, certificate) for certificate in certificates().values()),
    ],
)
def test_an_answer_that_does_not_prove_itself_is_a_fault_and_changes_nothing(data: ChainData) -> None:
    """Hash links from our own final block up, and one good certificate at the end."""
    rig = Rig(3)
    rig.aim(3)
    assert rig.sync.take(rig.ask(), data, 0) is not None
    assert rig.sync.range is None
    assert len(rig.tree) == 0
    assert rig.ask(1) == PEERS[2]
