"""The judgements that the core waits for: each is given once everything that it rests on is here."""

from consensus.effects import RequestJudgement
from consensus.errors import invariant
from consensus.inputs import Judged
from consensus.types import Digest, View
from node.ledger.roster import EpochRecord
from node.replica.bodies import Bodies
from node.replica.effects import Alarm
from node.replica.executed import ExecutedHeights
from node.replica.judge import Invalid, NeedsExecution, judge_block
from node.replica.moment import Moment
from node.replica.tree import BlockTree


class Judging:
    """The blocks of one epoch under judgement, by digest."""

    def __init__(
        self, moment: Moment, *, record: EpochRecord, executed: ExecutedHeights, tree: BlockTree, bodies: Bodies
    ) -> None:
        self._moment = moment
        self._parameters = record.roster.parameters
        self._anchor_height = record.anchor_height
        self._executed = executed
        self._tree = tree
        self._bodies = bodies
        self._requests: dict[Digest, RequestJudgement] = {}

    def pending(self) -> tuple[Digest, ...]:
        """Return the blocks under judgement."""
        return tuple(self._requests)

    def ask(self, digest: Digest, request: RequestJudgement) -> None:
        """Take a block under judgement."""
        self._requests[digest] = request

    def drop(self, digest: Digest) -> None:
        """The core no longer wants this verdict."""
        if self._requests.pop(digest, None) is not None:
            self._bodies.give_up(digest)

    def abandon(self, view: View) -> None:
        """Stop judging what was proposed before `view`, which we have just left ourselves.

        Else a leader that names batches that do not exist would have us ask for them for ever. What of it gets
        certified all the same, the core asks for by name.
        """
        for digest, request in tuple(self._requests.items()):
            if request.proposal.view < view:
                self.drop(digest)

    def look(self, digest: Digest) -> Judged | None:
        """Return the verdict on a block, if it is asked for and nothing is missing; then it is no longer pending."""
        request, node = self._requests.get(digest), self._tree.find(digest)
        if request is None or node is None:
            return None
        why = node.broken
        if why is None:
            if node.covered is None:
                return None
            header = node.block.header
            frontier = self._tree.frontier_of(node.parent)
            invariant(frontier is not None, "the parent of a complete block is here")
            assert frontier is not None
            verdict = judge_block(
                header,
                request.parent.header,
                node.covered,
                parameters=self._parameters,
                history_root=frontier.root(),
                anchor_height=self._anchor_height,
                executed=self._executed.find(header.executed_height),
            )
            if isinstance(verdict, NeedsExecution):
                return None
            why = verdict.why if isinstance(verdict, Invalid) else None
        del self._requests[digest]
        if why is not None:
            self._moment.out.append(Alarm(f"block {digest.hex()} is invalid: {why}"))
            self._bodies.drop(digest)
        return Judged(digest, why is None)
