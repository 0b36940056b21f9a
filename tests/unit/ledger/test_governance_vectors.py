"""The layouts of governance and evidence against golden bytes. A difference here is another protocol.

`tests/vectors/governance.json` is what `build_vectors` gives; it changes with a protocol version only.
"""

import json
from pathlib import Path

from consensus.evidence import Equivocation
from consensus.messages import Subject, Vote, VoteKind
from consensus.scheme import vote_signing_bytes
from consensus.types import ZERO_DIGEST, Digest, Epoch, ValidatorIndex, View
from node.ledger.changes import (
    AddMember,
    Change,
    ChangeMember,
    NewFeed,
    RemoveMember,
    SetActorKeys,
    SetParameters,
    SetRole,
    change_fields,
    rotation_signing_bytes,
    sign_rotation,
)
from node.ledger.evidence import VoteEvidence, decode_evidence, pair_batches
from node.ledger.governance import Request, decode_governance, decode_request, encode_reference
from node.ledger.roster import Member, Parameters, Role, decode_epoch_record, decode_roster
from node.ledger.transaction import Kind
from node.wire.codec import pack
from node.wire.ids import FeedNumber, MemberId
from tests.support.governed import GovernedLedger
from tests.support.networks import build_batch, build_genesis, build_key, build_transaction

FILE = Path(__file__).parents[2] / "vectors" / "governance.json"
GENESIS = build_genesis(validators=1, members=1)
NETWORK = GENESIS.network_id
FIRST, SECOND = MemberId("firm-0"), MemberId("firm-1")
CHANGES: dict[str, Change] = {
    "add_member": AddMember(
        Member(
            id=MemberId("mill"),
            name="Mühle",
            organisation_id="urn:epc:id:pgln:9520001.00000",
            role=Role.OBSERVER,
            node_key=build_key("mill").public_key,
            actor_keys=(build_key("miller").public_key,),
            address="mill.example:26700",
            feed_number=FeedNumber(0),
        )
    ),
    "remove_member": RemoveMember(SECOND),
    "set_role": SetRole(SECOND, Role.OBSERVER),
    "rotate_key": sign_rotation(NETWORK, FIRST, FeedNumber(1), build_key("next key of firm-0")),
    "change_member": ChangeMember(SECOND, "Bakery", "", "[::1]:26700"),
    "set_actor_keys": SetActorKeys(SECOND, (build_key("baker").public_key,)),
    "new_feed": NewFeed(SECOND),
    "set_parameters": SetParameters(Parameters(timing="wan")),
}


def _vote(digest: bytes) -> Vote:
    subject = Subject(VoteKind.NOTARIZE, Epoch(0), View(7), View(6), Digest(digest))
    return Vote(subject, ValidatorIndex(0), build_key(FIRST).sign(vote_signing_bytes(NETWORK, subject)))


def build_vectors() -> dict[str, str]:
    """Every layout once, as hex."""
    votes = VoteEvidence(Equivocation.pair(_vote(b"\1" * 32), _vote(b"\2" * 32)))
    fork = pair_batches(
        Epoch(0),
        *(
            build_batch(GENESIS, build_transaction(GENESIS, member=SECOND, nonce=nonce), member=SECOND, seq=3)
            for nonce in (1, 2)
        ),
    )
    ledger = GovernedLedger(GENESIS)
    request = Request((CHANGES["add_member"], CHANGES["set_parameters"]), "a mill joins, far away")
    open_one = ledger.propose(SECOND, CHANGES["change_member"], note="we moved")
    ledger.run(open_one, ledger.transaction(FIRST, Kind.PROPOSE, request.encode()))
    governance = ledger.governance
    ledger.run(ledger.transaction(FIRST, Kind.EVIDENCE, fork.encode()))
    with_evidence = ledger.state.state_digest
    record = ledger.seal().epoch_record
    assert record is not None
    return {
        "network_id": NETWORK.hex(),
        "roster": GENESIS.roster.encode().hex(),
        "epoch_digest": GENESIS.roster.digest(NETWORK).hex(),
        "epoch_record_of_genesis": GENESIS.epoch_record.encode().hex(),
        **{f"change_{name}": pack(change_fields(change)).hex() for name, change in CHANGES.items()},
        "rotation_signing_bytes": rotation_signing_bytes(NETWORK, FIRST, FeedNumber(1)).hex(),
        "proposal_payload": request.encode().hex(),
        "reference_payload": encode_reference(open_one.id).hex(),
        "governance_state": governance.encode().hex(),
        "governance_digest": governance.digest().hex(),
        "due_digest": governance.due_digest.hex(),
        "next_epoch_record": record.encode().hex(),
        "evidence_votes": votes.encode().hex(),
        "evidence_votes_key": votes.key(FIRST).hex(),
        "evidence_fork": fork.encode().hex(),
        "evidence_fork_key": fork.key(SECOND).hex(),
        "state_digest_with_evidence": with_evidence.hex(),
        "state_digest_of_epoch_end": ledger.state.state_digest.hex(),
    }


def test_every_layout_is_the_golden_one() -> None:
    """Byte for byte."""
    assert build_vectors() == json.loads(FILE.read_text(encoding="utf-8"))


def test_the_golden_bytes_are_read_back() -> None:
    """Each decoder takes what stands in the file."""
    golden = {name: bytes.fromhex(text) for name, text in json.loads(FILE.read_text(encoding="utf-8")).items()}
    assert decode_roster(golden["roster"]) == GENESIS.roster
    assert decode_epoch_record(golden["epoch_record_of_genesis"]) == GENESIS.epoch_record
    after = decode_epoch_record(golden["next_epoch_record"])
    assert after.roster.digest(NETWORK) == golden["due_digest"] != ZERO_DIGEST
    assert after.roster.parameters.timing == "wan"
    assert decode_request(golden["proposal_payload"]).note == "a mill joins, far away"
    assert decode_governance(golden["governance_state"], NETWORK).due_digest == golden["due_digest"]
    assert decode_evidence(golden["evidence_votes"]).key(FIRST) == golden["evidence_votes_key"]
    assert decode_evidence(golden["evidence_fork"]).key(SECOND) == golden["evidence_fork_key"]
