"""Known blocks, finality without bodies, and disagreement about states."""

import pytest

from consensus.chain import PENDING_FINAL_MAX, Chain, DisagreementError, KnownBlock
from consensus.messages import Block
from consensus.types import Height, View
from tests.support.core_builders import NETWORK_ID, build_block, build_digest, build_setup, change_header, finalization


def build_line(count: int) -> list[Block]:
    blocks: list[Block] = []
    for view in range(1, count + 1):
        blocks.append(build_block(view, parent=blocks[-1] if blocks else None))
    return blocks


def build_chain() -> Chain:
    return Chain.from_anchor(build_setup())


def know(chain: Chain, block: Block, *, with_body: bool = True) -> KnownBlock:
    known = chain.add(block, block.header.digest())
    if with_body:
        known.body_ms = 5
    return known


def test_an_epoch_begins_with_its_anchor_final_and_executed() -> None:
    """The anchor needs no certificate."""
    chain = build_chain()
    assert (chain.final_view, chain.final_digest, chain.final_certificate) == (0, NETWORK_ID, None)
    assert chain.known_final_height() == chain.delivered_height == 0
    assert chain.is_local(NETWORK_ID)


def test_a_block_is_local_with_all_its_ancestors() -> None:
    """The first missing one, going down, is what to fetch."""
    chain = build_chain()
    blocks = build_line(3)
    digests = [block.header.digest() for block in blocks]
    know(chain, blocks[2])
    assert chain.find_missing(digests[2]) == digests[1]
    know(chain, blocks[1], with_body=False)
    assert chain.find_missing(digests[2]) == digests[1]
    know(chain, blocks[1])
    assert chain.find_missing(digests[2]) == digests[0]
    assert not chain.is_local(digests[2])
    know(chain, blocks[0])
    assert chain.is_local(digests[2])
    assert chain.find_missing(digests[2]) is None
    assert chain.known[digests[0]].is_chain_local


def test_finality_does_not_wait_for_bodies_but_handing_out_does() -> None:
    """Blocks come out in height order, once, when all are here."""
    chain = build_chain()
    blocks = build_line(3)
    chain.finalize(finalization(blocks[2]))
    assert (chain.final_view, chain.known_final_height()) == (3, None)
    assert chain.take_final() is None
    know(chain, blocks[2])
    know(chain, blocks[0])
    assert chain.take_final() is None
    know(chain, blocks[1], with_body=False)
    assert chain.take_final() is None
    chain.known[blocks[1].header.digest()].body_ms = 9
    assert chain.take_final() == (tuple(blocks), finalization(blocks[2]))
    assert chain.take_final() is None
    assert chain.delivered_height == 3
    assert list(chain.known) == [blocks[2].header.digest()]


def test_a_lagging_node_hands_out_the_highest_final_block_that_is_complete() -> None:
    """Else a node whose bodies come late would hand out nothing under load."""
    chain = build_chain()
    blocks = build_line(3)
    for block in blocks:
        chain.finalize(finalization(block))
    know(chain, blocks[0])
    know(chain, blocks[1])
    assert chain.take_final() == (tuple(blocks[:2]), finalization(blocks[1]))
    know(chain, blocks[2])
    assert chain.take_final() == ((blocks[2],), finalization(blocks[2]))


def test_few_pending_finalizations_are_kept() -> None:
    """A later one covers the earlier, so the oldest and the newest matter."""
    chain = build_chain()
    blocks = build_line(PENDING_FINAL_MAX + 10)
    for block in blocks:
        chain.finalize(finalization(block))
    for block in blocks:
        know(chain, block)
    found = chain.take_final()
    assert found is not None
    assert len(found[0]) == len(blocks)


def test_a_final_block_on_another_branch_is_a_disagreement() -> None:
    """Never resolved by itself."""
    chain = build_chain()
    first = build_block(1)
    know(chain, first)
    chain.finalize(finalization(first))
    assert chain.take_final() is not None
    rival = build_block(2)
    know(chain, rival)
    chain.finalize(finalization(rival))
    with pytest.raises(DisagreementError, match="does not descend"):
        chain.take_final()


def test_two_final_blocks_of_one_height_are_a_disagreement_even_if_found_late() -> None:
    """The earlier one must lie on the path to the later."""
    chain = build_chain()
    first, rival = build_block(1), build_block(2)
    chain.finalize(finalization(first))
    chain.finalize(finalization(rival))
    know(chain, rival)
    with pytest.raises(DisagreementError, match="different branches"):
        chain.take_final()


def test_a_longer_rival_branch_is_a_disagreement() -> None:
    """It links at no height."""
    chain = build_chain()
    blocks = build_line(1)
    know(chain, blocks[0])
    chain.finalize(finalization(blocks[0]))
    chain.take_final()
    other = [build_block(2)]
    other.append(build_block(3, parent=other[0]))
    for block in other:
        know(chain, block)
    chain.finalize(finalization(other[1]))
    with pytest.raises(DisagreementError, match="does not descend"):
        chain.take_final()


def test_rivals_of_what_was_handed_out_are_forgotten_and_judgements_dropped() -> None:
    """A dead branch is neither fetched nor ever local."""
    chain = build_chain()
    first, rival = build_block(2), build_block(1)
    know(chain, rival).judging_view = View(1)
    know(chain, first)
    chain.finalize(finalization(first))
    chain.take_final()
    assert chain.find(rival.header.digest()) is None
    assert chain.dropped == [rival.header.digest()]
    low = know(chain, change_header(build_block(5), view=5), with_body=False)
    assert not chain.is_local(low.digest)
    assert chain.find_missing(low.digest) is None


def test_unfinished_blocks_of_old_views_are_forgotten() -> None:
    """Certified ones, wanted ones and the last one handed out stay."""
    chain = build_chain()
    names = {}
    for view in range(1, 6):
        block = build_block(view)
        names[view] = know(chain, block).digest
    chain.known[names[1]].is_certified = True
    chain.known[names[2]].judging_view = View(1)
    chain.forget_unfinished(below=View(4), keep={names[3]: None})
    assert list(chain.known) == [NETWORK_ID, names[1], names[3], names[4], names[5]]
    assert chain.dropped == [names[2]]


def test_chain_sync_moves_the_floor_and_drops_what_it_passed() -> None:
    """The driver hands those blocks out itself."""
    chain = build_chain()
    blocks = build_line(4)
    for block in blocks[:2]:
        chain.finalize(finalization(block))
    know(chain, blocks[0])
    chain.sync_to(blocks[2], blocks[2].header.digest(), View(3), body_ms=7)
    assert chain.delivered_height == 3
    assert chain.take_final() is None
    know(chain, blocks[3])
    chain.finalize(finalization(blocks[2]))
    chain.finalize(finalization(blocks[3]))
    assert chain.take_final() == ((blocks[3],), finalization(blocks[3]))
    chain.finalize(finalization(blocks[3]))
    assert chain.take_final() is None


GOOD, BAD = build_digest("good state"), build_digest("bad state")


def build_claim(executed_height: int, state: bytes) -> Block:
    line = build_line(2)
    return change_header(
        build_block(3, parent=line[1]), executed_height=executed_height, state_digest=type(GOOD)(state)
    )


def test_a_certified_state_that_differs_from_ours_is_a_disagreement() -> None:
    """Whichever is known first; no fork of state is silent."""
    chain = build_chain()
    chain.note_executed(Height(1), GOOD)
    chain.note_certified(know(chain, build_claim(1, GOOD)))
    chain.note_certified(know(chain, build_claim(1, GOOD)))
    with pytest.raises(DisagreementError, match="quorum certified"):
        chain.note_certified(know(chain, build_claim(1, BAD)))

    chain = build_chain()
    chain.note_certified(know(chain, build_claim(1, BAD)))
    with pytest.raises(DisagreementError, match="quorum certified"):
        chain.note_executed(Height(1), GOOD)


def test_two_certified_states_of_one_height_are_a_disagreement() -> None:
    """Even before we have executed so far."""
    chain = build_chain()
    chain.note_certified(know(chain, build_claim(2, GOOD)))
    with pytest.raises(DisagreementError, match="different states"):
        chain.note_certified(know(chain, build_claim(2, BAD)))


def test_a_certified_block_that_we_judged_invalid_is_a_disagreement() -> None:
    """Our execution disagrees with a quorum."""
    chain = build_chain()
    known = know(chain, build_block(1))
    known.is_valid = False
    with pytest.raises(DisagreementError, match="judged invalid"):
        chain.note_certified(known)


def test_states_that_no_new_block_can_name_are_forgotten() -> None:
    """Executed heights never fall along the chain."""
    chain = build_chain()
    for height in range(1, 4):
        chain.note_executed(Height(height), GOOD)
    block = change_header(build_block(1), executed_height=2, state_digest=GOOD)
    chain.sync_to(block, block.header.digest(), View(1), body_ms=0)
    assert list(chain.executed) == [2, 3]
    assert chain.executed_height == 3
