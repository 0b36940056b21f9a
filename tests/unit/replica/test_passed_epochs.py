"""node.replica.rejoin, where a node passes again through epochs that it has served in: its chain is taken anew."""

from consensus.certificates import Notary
from consensus.recovery import GUARD_CLOSED, NO_GUARD
from consensus.timing import Timing
from consensus.types import Epoch, View
from node.replica.effects import Send
from node.replica.membership import Membership
from node.replica.moment import Moment
from node.replica.rejoin import Rejoining
from node.wire.ids import MemberId
from tests.support.fake_keys import FakeVerifier
from tests.support.networks import build_genesis

GENESIS = build_genesis()
OWN = MemberId("firm-0")
MEMBERSHIP = Membership(GENESIS.roster, OWN)
TIMING = Timing()


def enter(rejoining: Rejoining, epoch: int) -> None:
    """Begin an epoch in which nothing is on record."""
    notary = Notary(GENESIS.network_id, Epoch(epoch), 4, FakeVerifier())
    rejoining.enter(MEMBERSHIP, notary, epoch=Epoch(epoch), votes=(), is_covered=False)


def test_nothing_is_voted_in_an_epoch_before_the_newest_on_record() -> None:
    """The vote log keeps the votes of its newest epoch alone; those before it were cast, and are forgotten."""
    moment = Moment(0, 0)
    rejoining = Rejoining(moment, nonce=bytes(16), timing=TIMING, loss=None, logged_epoch=Epoch(2), is_decided=False)
    everybody = dict.fromkeys(MEMBERSHIP.others)
    for epoch in (0, 1):
        enter(rejoining, epoch)
        if epoch == 0:
            rejoining.start()
        moment.now_ms += TIMING.skip_ms + 1
        rejoining.ask(everybody)
        assert rejoining.advance(View(0)) is None
        assert rejoining.guard == GUARD_CLOSED
        assert not rejoining.is_open
        assert rejoining.waiting_for() == "the chain to come to epoch 2, which this node was in before it took it anew"
        # Nobody is asked, and nothing wakes this node again and again.
        assert not any(isinstance(effect, Send) for effect in moment.out)
        assert rejoining.deadline_ms() is None
    enter(rejoining, 2)
    assert rejoining.advance(View(0)) == NO_GUARD
    assert rejoining.is_open
    assert rejoining.waiting_for() is None
