"""Governance through a node's API, from real stores: what is refused at the door, what is open, approved, enacted."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from consensus.messages import FLAG_EPOCH_END
from consensus.types import Digest, Epoch
from node.api.errors import NotFoundError
from node.api.schema import governance as schema
from node.api.schema.transactions import Wait
from node.app.backends import governance as backend
from node.app.backends.governance import Governance
from node.app.backends.transactions import Pending, Transactions
from node.app.joining import build_join_request
from node.errors import RequestError
from node.ledger.batch import Batch
from node.ledger.changes import sign_rotation
from node.ledger.evidence import pair_batches
from node.ledger.genesis import Genesis
from node.ledger.governance import GovernanceState
from node.ledger.roster import decode_roster
from node.ledger.transaction import Kind, SignedTransaction
from node.storage.chain import ChainStore, create_chain, open_chain
from node.storage.execution import execute_block
from node.storage.index import IndexStore, create_index, open_index
from node.wire.ids import FeedNumber, FeedTip, MemberId
from tests.support.chains import ChainBuilder
from tests.support.clocks import FixedClock
from tests.support.networks import build_batch, build_genesis, build_key, build_transaction

WAIT_SECONDS = 10


@dataclass
class Ledger:
    """A chain and its index, and the members' nodes as far as governance goes through them."""

    genesis: Genesis
    chain: ChainStore
    index: IndexStore
    builder: ChainBuilder
    tips: dict[str, FeedTip] = field(default_factory=dict)
    pending: Pending = field(default_factory=Pending)

    def submit(self, transactions: tuple[SignedTransaction, ...]) -> asyncio.Future[FeedTip]:
        """The engine of every node: what is submitted is final at the next turn of the loop."""
        accepted: asyncio.Future[FeedTip] = asyncio.get_running_loop().create_future()
        (signed,) = transactions
        batch = self._batch(signed.transaction.member, *transactions)
        accepted.set_result(batch.tip)
        asyncio.get_running_loop().call_later(0.01, self._execute, batch)
        return accepted

    def count_holders(self, tip: FeedTip) -> int:
        return 1

    def _batch(self, member: str, *transactions: SignedTransaction) -> Batch:
        before = self.tips.get(member)
        batch = build_batch(
            self.genesis,
            *transactions,
            member=member,
            seq=0 if before is None else before.seq + 1,
            previous=Digest(bytes(32)) if before is None else before.digest,
        )
        self.tips[member] = batch.tip
        return batch

    def _execute(self, *batches: Batch, **changes: object) -> None:
        with self.index.reader() as reader:
            epoch = reader.governance.roster.epoch
        block = self.builder.finalize(self.chain, *batches, epoch=epoch, **changes)
        write_set = execute_block(self.index, block, batches)
        self.pending.on_executed(write_set.height, write_set.transactions)

    def enter(self, member: str, kind: int = Kind.NOOP, payload: bytes = b"") -> None:
        """Have a transaction of a member final."""
        signed = build_transaction(
            self.genesis, member=member, kind=kind, payload=payload, nonce=1_000_000 + self.builder.height
        )
        self._execute(self._batch(member, signed))

    def end_epoch(self) -> None:
        """Have the last block of the epoch final, which enacts what is queued."""
        with self.index.reader() as reader:
            due, height = reader.governance.due_digest, reader.height
        self._execute(flags=FLAG_EPOCH_END, executed_height=height, next_epoch_digest=due)

    def node_of(self, member: str) -> Governance:
        """A member's node."""

        def governance() -> GovernanceState:
            with self.index.reader() as reader:
                return reader.governance

        network_id = self.genesis.network_id
        transactions = Transactions(
            self,
            self.index,
            network_id,
            MemberId(member),
            governance=governance,
            pending=self.pending,
            clock=FixedClock(),
            final_wait_ms=5_000,
        )
        return Governance(transactions, self.chain, self.index, network_id, MemberId(member), clock=FixedClock())

    def propose(self, member: str, *changes: schema.Change, note: str = "") -> schema.GovernResult:
        """Propose through a member's node, and wait until it is final."""
        return _run(lambda: self.node_of(member).propose(changes, note, wait=Wait.FINAL))

    def approve(self, member: str, proposal: str) -> schema.GovernResult:
        """Approve through a member's node, and wait until it is final."""
        return _run(lambda: self.node_of(member).approve(proposal, wait=Wait.FINAL))

    def withdraw(self, member: str, proposal: str) -> schema.GovernResult:
        """Withdraw through a member's node, and wait until it is final."""
        return _run(lambda: self.node_of(member).withdraw(proposal, wait=Wait.FINAL))

    def carry(self, *changes: schema.Change) -> str:
        """Propose, approve by three of four, and enact; return the proposal."""
        proposal = self.propose("firm-0", *changes).proposal
        for member in ("firm-1", "firm-2"):
            self.approve(member, proposal)
        self.end_epoch()
        return proposal


def _run(start: Callable[[], Awaitable[object]]) -> schema.GovernResult:
    async def scenario() -> schema.GovernResult:
        async with asyncio.timeout(WAIT_SECONDS):
            result = await start()
        assert isinstance(result, schema.GovernResult)
        return result

    return asyncio.run(scenario())


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    genesis = build_genesis(validators=4, members=1, observers=1)
    create_chain(tmp_path / "chain", genesis)
    create_index(tmp_path / "index", genesis)
    chain, index = open_chain(tmp_path / "chain", genesis), open_index(tmp_path / "index", genesis)
    yield Ledger(genesis, chain, index, ChainBuilder(genesis))
    index.close()
    chain.close()


def build_add(genesis: Genesis, name: str = "dairy", **changes: object) -> schema.AddMember:
    key = build_key(name)
    request = build_join_request(
        genesis.network_id,
        member=name,
        name="The dairy",
        organisation_id="",
        address="node.dairy.example:7000",
        node_key=key,
        actor_keys=(build_key("dairy actor").public_key.hex(),),
    )
    added = schema.AddMember(
        id=request.id,
        name=request.name,
        node_key=request.node_key,
        address=request.address,
        proof=request.proof,
        actor_keys=request.actor_keys,
    )
    return msgspec.structs.replace(added, **changes)


def test_a_firm_is_proposed_approved_and_enacted(ledger: Ledger) -> None:
    """Open with one approval, approved with three of four, a member with the next epoch."""
    opened = ledger.propose("firm-0", build_add(ledger.genesis), note="our new dairy")
    assert (opened.state, opened.approvals, opened.needed) == ("open", ("firm-0",), 3)
    assert ledger.approve("firm-1", opened.proposal).approvals == ("firm-0", "firm-1")
    (shown,) = ledger.node_of("firm-5").proposals(epochs=10).proposals
    assert (shown.proposer, shown.note, shown.approvals) == ("firm-0", "our new dairy", ("firm-0", "firm-1"))
    assert shown.words[0].startswith("add dairy (The dairy) as a member, at node.dairy.example:7000, node key ")
    assert ledger.approve("firm-2", opened.proposal).state == "approved"
    (waiting,) = ledger.node_of("firm-5").proposals(epochs=10).proposals
    assert (waiting.state, waiting.proposer, waiting.note) == ("approved", "firm-0", "our new dairy")
    assert waiting.approved_height == 3
    with pytest.raises(RequestError, match="approved already"):
        ledger.approve("firm-3", opened.proposal)
    ledger.end_epoch()
    listed = ledger.node_of("firm-0").proposals(epochs=10)
    assert (listed.epoch, listed.proposals) == (1, ())
    (enacted,) = listed.epochs
    assert (enacted.epoch, enacted.anchor_height) == (1, 4)
    assert enacted.words[0].startswith("added dairy (The dairy) as a member")


def test_every_kind_of_change_is_carried_and_told_in_words(ledger: Ledger) -> None:
    """What the API takes, the ledger enacts, and the list says."""
    genesis, next_key = ledger.genesis, build_key("firm-1 next")
    rotation = sign_rotation(genesis.network_id, MemberId("firm-1"), FeedNumber(1), next_key)
    changes: list[tuple[schema.Change, str, str]] = [
        (
            schema.RotateKey("firm-1", next_key.public_key.hex(), rotation.proof.hex()),
            "give firm-1 the node key",
            "firm-1 has the node key",
        ),
        (schema.NewFeed("firm-2"), "begin a new feed of firm-2", "firm-2 writes feed 1"),
        (
            schema.ChangeMember("firm-3", address="elsewhere.example:7000"),
            "say of firm-3: Firm 3, at elsewhere.example:7000",
            "firm-3 is Firm 3, at elsewhere.example:7000",
        ),
        (schema.SetActorKeys("firm-3", ()), "set the actor keys of firm-3: none", "firm-3 has 0 actor keys"),
        (
            schema.SetParameters(clock_tolerance_ms=1000),
            "set clock_tolerance_ms = 1000 (was 900000)",
            "clock_tolerance_ms = 1000 (was 900000)",
        ),
        (schema.SetRole("firm-4", "observer"), "make firm-4 an observer, now member", "firm-4 is an observer"),
        (schema.RemoveMember("firm-5"), "remove firm-5", "removed firm-5"),
    ]
    for change, proposed, enacted in changes:
        node = ledger.node_of("firm-0")
        opened = ledger.propose("firm-0", change)
        (shown,) = node.proposals(epochs=1).proposals
        assert shown.words[0].startswith(proposed)
        restored = msgspec.json.decode(msgspec.json.encode(shown), type=schema.ProposalEntry)
        assert restored.changes == shown.changes
        for member in ("firm-1", "firm-2"):
            if member in node.proposals(epochs=1).validators:
                ledger.approve(member, opened.proposal)
        ledger.end_epoch()
        assert node.proposals(epochs=1).epochs[0].words[0].startswith(enacted), change
    history = ledger.node_of("firm-0").validators(from_epoch=None, count=100)
    assert history.newest == len(changes)
    assert [one.epoch for one in history.epochs] == list(range(len(changes) + 1))
    keys = [{one.member: one.node_key for one in epoch.validators}["firm-1"] for epoch in history.epochs]
    assert keys == [build_key("firm-1").public_key.hex()] + [next_key.public_key.hex()] * len(changes)


def test_the_history_of_validators_is_what_certificates_are_checked_by(ledger: Ledger) -> None:
    """Each epoch with its anchor, its roster's digest as the anchor names it, and its quorum."""
    ledger.carry(schema.SetParameters(clock_tolerance_ms=1000))
    with ledger.index.reader() as reader:
        record = reader.find_epoch(Epoch(1))
    assert record is not None
    first, second = ledger.node_of("firm-0").validators(from_epoch=0, count=10).epochs
    assert (first.anchor_height, first.anchor_digest) == (0, ledger.genesis.network_id.hex())
    assert (second.anchor_height, second.anchor_digest) == (record.anchor_height, record.anchor_digest.hex())
    assert second.roster_digest == record.roster.digest(ledger.genesis.network_id).hex()
    assert (second.quorum, second.parameters["clock_tolerance_ms"]) == (3, 1000)
    assert [one.index for one in second.validators] == [0, 1, 2, 3]
    assert (first.proof, second.proof) == (None, None), "it is large, and not asked for"
    only = ledger.node_of("firm-0").validators(from_epoch=1, count=1)
    assert [one.epoch for one in only.epochs] == [1]
    assert ledger.node_of("firm-0").validators(from_epoch=9, count=1).epochs == ()


def test_proofs_of_validators_fill_an_answer_and_no_more(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A roster may be megabytes: as many as fit are told, one at least; who asks goes on from the next epoch."""
    ledger.carry(schema.SetParameters(clock_tolerance_ms=1000))
    ledger.carry(schema.SetParameters(clock_tolerance_ms=2000))
    node = ledger.node_of("firm-0")
    whole = node.validators(from_epoch=0, count=10, proof=True)
    proofs = [one.proof for one in whole.epochs if one.proof is not None]
    assert [proof.header is None for proof in proofs] == [True, False, False]
    digests = [one.roster_digest for one in whole.epochs]
    assert [
        decode_roster(bytes.fromhex(proof.roster)).digest(ledger.genesis.network_id).hex() for proof in proofs
    ] == digests
    monkeypatch.setattr(backend, "PROOF_BYTES_MAX", len(proofs[0].roster) // 2 + 10)
    assert [one.epoch for one in node.validators(from_epoch=0, count=10, proof=True).epochs] == [0]
    assert [one.epoch for one in node.validators(from_epoch=0, count=10).epochs] == [0, 1, 2]
    monkeypatch.setattr(backend, "PROOF_BYTES_MAX", 1)
    assert [one.epoch for one in node.validators(from_epoch=1, count=10, proof=True).epochs] == [1]


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        (schema.RemoveMember("nobody"), "unknown_member", "params.changes[0].id"),
        (schema.RemoveMember("firm-1"), "too_few_validators", "params.changes"),
        (schema.SetRole("firm-4", "validator"), "validator_not_synced", "params.changes"),
        (schema.SetRole("firm-1", "validator"), "nothing_changes", "params.changes"),
        (schema.SetParameters(block_bytes_max=1), "parameters_out_of_bounds", "params.changes[0].block_bytes_max"),
        (
            schema.SetParameters(inbound_steps=("urn:x:a",), outbound_steps=("urn:x:a",)),
            "parameters_out_of_bounds",
            "params.changes[0].inbound_steps",
        ),
        (
            schema.SetParameters(primary_steps=("urn:epcglobal:cbv:bizstep:commissioning",)),
            "parameters_out_of_bounds",
            "params.changes[0].primary_steps",
        ),
        (schema.ChangeMember("firm-1", address="nowhere"), "invalid_params", "params.changes[0].address"),
        (schema.ChangeMember("firm-1", name=""), "invalid_params", "params.changes[0].name"),
        (schema.ChangeMember("firm-1", name="A\x07"), "invalid_params", "params.changes[0].name"),
        (schema.SetActorKeys("firm-1", ("00" * 32,)), "invalid_params", "params.changes[0].actor_keys[0]"),
        (schema.SetActorKeys("firm-1", ("01" + "00" * 31,)), "invalid_params", "params.changes[0].actor_keys[0]"),
        (schema.RotateKey("firm-1", "11" * 32, "22" * 64), "key_not_proven", "params.changes"),
        (schema.AddMember("dairy", "D", "11" * 32, "a:1", "22" * 64), "key_not_proven", "params.changes[0].proof"),
        (schema.AddMember("Not A Slug", "D", "11" * 32, "a:1", ""), "invalid_params", "params.changes[0].id"),
        (schema.AddMember("dairy", "", "11" * 32, "a:1", ""), "invalid_params", "params.changes[0].name"),
        (schema.AddMember("dairy", "D", "11" * 32, "a:0", ""), "invalid_params", "params.changes[0].address"),
    ],
)
def test_what_could_not_be_enacted_is_refused_before_it_is_sent(
    ledger: Ledger, change: schema.Change, code: str, field: str
) -> None:
    """With the verdict's name, the field, and the way out; nothing comes onto the ledger."""
    with pytest.raises(RequestError) as refused:
        ledger.propose("firm-0", change)
    assert (refused.value.code, refused.value.field) == (code, field)
    assert ledger.builder.height == 0


def test_an_id_or_key_in_use_is_refused(ledger: Ledger) -> None:
    """Former ones too: an id is never used twice."""
    ledger.carry(build_add(ledger.genesis))
    with pytest.raises(RequestError, match="in use") as refused:
        ledger.propose("firm-0", build_add(ledger.genesis))
    assert refused.value.code == "member_exists"
    ledger.carry(schema.RemoveMember("dairy"))
    with pytest.raises(RequestError, match="was removed"):
        ledger.propose("firm-0", schema.SetRole("dairy", "observer"))


def test_only_who_is_entitled_proposes_and_approves(ledger: Ledger) -> None:
    """A member proposes and does not approve; an observer and a stranger do neither."""
    opened = ledger.propose("firm-4", schema.RemoveMember("firm-5"))
    assert opened.approvals == ()
    for member in ("firm-4", "firm-5"):
        with pytest.raises(RequestError, match="only validators approve"):
            ledger.approve(member, opened.proposal)
    with pytest.raises(RequestError, match="only validators approve, and only validators and members propose"):
        ledger.propose("firm-5", schema.RemoveMember("firm-4"))
    with pytest.raises(RequestError, match="dairy is not a member of the network yet"):
        ledger.propose("dairy", schema.RemoveMember("firm-4"))


def test_a_proposal_is_withdrawn_by_its_member_and_an_approval_by_its_own(ledger: Ledger) -> None:
    """Whoever did neither has nothing to take back."""
    opened = ledger.propose("firm-0", schema.RemoveMember("firm-5"))
    with pytest.raises(RequestError, match="neither made the proposal nor approved it"):
        ledger.withdraw("firm-1", opened.proposal)
    ledger.approve("firm-1", opened.proposal)
    with pytest.raises(RequestError, match="has approved it before"):
        ledger.approve("firm-1", opened.proposal)
    left = ledger.withdraw("firm-1", opened.proposal)
    assert (left.state, left.approvals) == ("open", ("firm-0",))
    assert ledger.withdraw("firm-0", opened.proposal).state == "closed"
    with pytest.raises(NotFoundError, match="no open proposal"):
        ledger.withdraw("firm-0", opened.proposal)


def test_what_execution_refuses_is_an_error_with_the_verdict(ledger: Ledger) -> None:
    """Between the door and the block another decision came first."""
    node = ledger.node_of("firm-1")
    opened = ledger.propose("firm-0", schema.RemoveMember("firm-5"))

    async def scenario() -> None:
        first = node.approve(opened.proposal, wait=Wait.FINAL)
        second = node.approve(opened.proposal, wait=Wait.FINAL)
        assert (await first).state == "open"
        with pytest.raises(RequestError) as refused:
            await second
        assert refused.value.code == "already_approved"

    asyncio.run(scenario())


def test_an_accepted_proposal_that_is_not_final_yet_says_so(ledger: Ledger) -> None:
    """Whoever does not wait gets the id all the same."""

    async def scenario() -> None:
        result = await ledger.node_of("firm-0").propose((schema.RemoveMember("firm-5"),), "", wait=Wait.ACCEPTED)
        assert (result.state, result.transaction.state) == ("unknown", "accepted")
        await asyncio.sleep(0.05)

    asyncio.run(scenario())
    (shown,) = ledger.node_of("firm-0").proposals(epochs=1).proposals
    assert shown.words == ("remove firm-5",)


def test_evidence_on_the_ledger_is_shown(ledger: Ledger) -> None:
    """Who, what, brought by whom."""
    one, other = (
        build_batch(ledger.genesis, build_transaction(ledger.genesis, member="firm-3", nonce=nonce), member="firm-3")
        for nonce in (1, 2)
    )
    evidence = pair_batches(Epoch(0), one, other)
    ledger.enter("firm-1", Kind.EVIDENCE, evidence.encode())
    node = ledger.node_of("firm-0")
    (shown,) = node.evidence(None).evidence
    assert (shown.signer, shown.kind, shown.reporter, shown.height) == ("firm-3", "fork", "firm-1", 1)
    assert shown.words == "firm-3 wrote two batches for one place of its feed"
    assert bytes.fromhex(shown.evidence) == evidence.encode()
    assert node.evidence("firm-3").evidence == (shown,)
    assert node.evidence("firm-2").evidence == ()
    assert node.proposals(epochs=1).evidence == 1
