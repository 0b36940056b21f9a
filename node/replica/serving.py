"""What a peer may ask of us, and how much: a budget for each kind of request, filled up as time passes.

A request beyond the budget is dropped; a correct peer asks elsewhere, or again later.
"""

from dataclasses import dataclass
from typing import Final

from consensus.messages import Certificate, Status
from consensus.types import Epoch, Height
from node.replica.effects import ReportFault, Send, ServeBatch, ServeBlock, ServeChain, ServeEpochEnd
from node.replica.moment import Moment
from node.wire.ids import MemberId
from node.wire.messages import CHAIN_BLOCKS_MAX, BatchRequest, BlockRequest, ChainData, ChainRequest


@dataclass(frozen=True, slots=True)
class Budget:
    """burst: requests at once after a pause. per_second: requests in the long run."""

    burst: int
    per_second: int


DATA_BUDGET: Final = Budget(burst=128, per_second=512)
CHAIN_BUDGET: Final = Budget(burst=4, per_second=8)
HELP_BUDGET: Final = Budget(burst=1, per_second=1)
EVIDENCE_BUDGET: Final = Budget(burst=32, per_second=4)
REJOIN_BUDGET: Final = Budget(burst=8, per_second=2)
EPOCH_BUDGET: Final = Budget(burst=4, per_second=2)
"""Certificates of ended epochs: whoever was away for many of them asks for one after the other."""


class Allowance:
    """What is left of one budget, for each peer. Integers only: thousandths of a request."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._left: dict[MemberId, tuple[int, int]] = {}

    def take(self, member: MemberId, now_ms: int) -> bool:
        """Return whether the peer may ask once more; if so, count it."""
        full = self._budget.burst * 1000
        left, since_ms = self._left.get(member, (full, now_ms))
        left = min(full, left + (now_ms - since_ms) * self._budget.per_second)
        if left < 1000:
            self._left[member] = (left, now_ms)
            return False
        self._left[member] = (left - 1000, now_ms)
        return True


class Serving:
    """Answers to peers. What is on disk the driver reads: this machine keeps no bodies."""

    def __init__(self, moment: Moment) -> None:
        self._moment = moment
        self._data = Allowance(DATA_BUDGET)
        self._chain = Allowance(CHAIN_BUDGET)
        self._help = Allowance(HELP_BUDGET)
        self._epochs = Allowance(EPOCH_BUDGET)
        self._rejoins = Allowance(REJOIN_BUDGET)
        self._evidence = Allowance(EVIDENCE_BUDGET)

    def serve_data(self, member: MemberId, request: BatchRequest | BlockRequest) -> None:
        """Have a batch or a block sent."""
        if not self._data.take(member, self._moment.now_ms):
            return
        if isinstance(request, BatchRequest):
            self._moment.out.append(ServeBatch(member, request.tip))
        else:
            self._moment.out.append(ServeBlock(member, request.digest))

    def serve_chain(self, member: MemberId, request: ChainRequest, final_height: Height) -> None:
        """Have a range of final blocks sent; say at once that there is none above `final_height`."""
        out = self._moment.out
        if not request.first <= request.last < request.first + CHAIN_BLOCKS_MAX:
            out.append(ReportFault(member, "asks for too much of the chain", provable=True))
        elif not self._chain.take(member, self._moment.now_ms):
            return
        elif request.first > final_height:
            out.append(Send(member, ChainData(request.first, (), None)))
        else:
            out.append(ServeChain(member, request.first, request.last))

    def serve_epoch_end(self, member: MemberId, epoch: Epoch) -> None:
        """Have a node that is still in an epoch that is over here told how it ended."""
        if self._epochs.take(member, self._moment.now_ms):
            self._moment.out.append(ServeEpochEnd(member, epoch))

    def may_bring_evidence(self, member: MemberId) -> bool:
        """Return whether the member may have another piece of evidence checked: it costs two verifications."""
        return self._evidence.take(member, self._moment.now_ms)

    def may_answer_rejoin(self, member: MemberId) -> bool:
        """Return whether the member may ask what it said before once more."""
        return self._rejoins.take(member, self._moment.now_ms)

    def help_follower(self, member: MemberId, status: Status, certificate: Certificate | None) -> None:
        """Tell a node without a vote what is final: the core answers validators alone. It fetches the rest."""
        if certificate is None or status.final_view >= certificate.subject.view:
            return
        if self._help.take(member, self._moment.now_ms):
            self._moment.out.append(Send(member, certificate))
