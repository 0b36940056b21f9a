"""The commands on members, keys and votes, against an API that answers what a test tells it to."""

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from node.api.schema import governance as schema
from node.api.schema.network import Member, MembersResult
from node.app.joining import build_join_request, encode_join_request
from node.config.addresses import Address
from node.crypto.keys import load_key
from node.ledger.changes import rotation_signing_bytes
from node.ledger.genesis import decode_genesis
from node.wire.ids import FeedNumber, MemberId
from tests.support import served
from tests.support.api_backends import FakeNode
from tests.support.networks import build_key

PROPOSAL = "ab" * 32
OTHER = "abcdef" + "00" * 29


class Desk(served.Desk):
    """A home, and the node that answers for it."""

    def __init__(self, folder: Path, node: FakeNode, address: Address) -> None:
        super().__init__(folder, address)
        self.node = node

    def propose(self, *words: str | Path) -> tuple[schema.Change, ...]:
        """Propose, and return the changes that came to the node."""
        result = self.run("govern", "propose", *words, "--note", "why")
        assert result.exit_code == 0, result.output
        changes, note, _ = self.node.proposed[-1]
        assert note == "why"
        return changes

    @property
    def genesis_id(self) -> str:
        return decode_genesis(self.home.genesis.read_bytes()).network_id.hex()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    node = FakeNode()
    with served.serving(node.backends()) as address:
        yield Desk(tmp_path / "net", node, address)


def test_every_kind_of_proposal_comes_to_the_node_as_it_was_typed(desk: Desk) -> None:
    """One change each; a replacement is two, which stand or fall together."""
    assert desk.propose("remove-member", "dairy") == (schema.RemoveMember("dairy"),)
    assert desk.propose("set-role", "dairy", "validator") == (schema.SetRole("dairy", "validator"),)
    assert desk.propose("new-feed", "dairy") == (schema.NewFeed("dairy"),)
    assert desk.propose("set-actor-keys", "dairy", "11" * 32) == (schema.SetActorKeys("dairy", ("11" * 32,)),)
    assert desk.propose("change-member", "dairy", "--name", "D", "--address", "a:1") == (
        schema.ChangeMember("dairy", name="D", address="a:1"),
    )
    assert desk.propose("set-parameters", "clock_tolerance_ms=5", "timing=wan") == (
        schema.SetParameters(clock_tolerance_ms=5, timing="wan"),
    )
    assert desk.propose("set-parameters", "inbound_steps=urn:x:landing,urn:x:beaching", "clean_steps=") == (
        schema.SetParameters(inbound_steps=("urn:x:landing", "urn:x:beaching"), clean_steps=()),
    )
    assert desk.propose("replace", "mill", "dairy") == (
        schema.SetRole("mill", "member"),
        schema.SetRole("dairy", "validator"),
    )
    assert desk.propose("replace", "mill", "dairy", "--remove")[0] == schema.RemoveMember("mill")


def test_a_firm_is_proposed_by_its_own_request(desk: Desk, tmp_path: Path) -> None:
    """Word for word, with the role that the proposer chooses; a changed one is refused before anything is sent."""
    request = build_join_request(
        decode_genesis(desk.home.genesis.read_bytes()).network_id,
        member="dairy",
        name="The dairy",
        organisation_id="",
        address="a:1",
        node_key=build_key("dairy"),
        actor_keys=(),
    )
    path = tmp_path / "join-request.json"
    path.write_bytes(encode_join_request(request))
    (added,) = desk.propose("add-member", path, "--role", "observer")
    assert isinstance(added, schema.AddMember)
    assert (added.id, added.node_key, added.proof, added.role) == ("dairy", request.node_key, request.proof, "observer")
    path.write_bytes(encode_join_request(request).replace(b"a:1", b"b:1"))
    refused = desk.run("govern", "propose", "add-member", path)
    assert (refused.exit_code, len(desk.node.proposed)) == (2, 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("set-parameters", "clock=1"), "is not KEY=VALUE with a KEY of: block_bytes_max"),
        (("set-parameters", "clock_tolerance_ms=soon"), "expected a whole number"),
        (("set-parameters", "clock_tolerance_ms=1", "clock_tolerance_ms=5000"), "clock_tolerance_ms is given twice"),
        (("set-parameters",), "Missing argument"),
        (("set-role", "dairy", "king"), "'king' is not one of"),
        (("change-member", "dairy"), "nothing to change"),
        (("add-member", "absent.json"), "absent.json"),
    ],
)
def test_what_makes_no_sense_is_misuse(desk: Desk, words: tuple[str, ...], said: str) -> None:
    """Exit code 2, and nothing is sent."""
    result = desk.run("govern", "propose", *words)
    assert (result.exit_code, desk.node.proposed) == (2, [])
    assert said in result.stderr


def test_what_became_of_a_request_is_said_with_what_to_do_next(desk: Desk) -> None:
    """Open: who else approves, and how. Approved: when it takes effect."""
    said = desk.run("govern", "propose", "remove-member", "dairy").stdout
    assert f"Proposal {PROPOSAL} is open: 1 of 3 approvals (mill)." in said
    assert f"lotvine govern approve {PROPOSAL[:12]} --home THEIR-HOME" in said
    for state, words in (
        ("approved", "takes effect at the next epoch"),
        ("closed", "is closed"),
        ("unknown", "not final yet"),
    ):
        desk.node.governed = state  # type: ignore[assignment]  # One of the four.
        assert words in desk.run("govern", "approve", PROPOSAL).stdout
    answer = json.loads(desk.run("govern", "approve", PROPOSAL, "--json").stdout)
    assert (answer["proposal"], answer["needed"]) == (PROPOSAL, 3)
    refused = desk.run("govern", "withdraw", PROPOSAL)
    assert (refused.exit_code, "no such proposal" in refused.stderr) == (1, True)


def build_list(*proposals: schema.ProposalEntry, **changes: object) -> schema.GovernList:
    listed = schema.GovernList(
        epoch=2,
        height=40,
        validators=("bakery", "mill", "port", "shop"),
        needed=3,
        proposals=proposals,
        epochs=(schema.EpochEntry(2, 30, ("added dairy (The dairy)",)),),
        evidence=1,
    )
    return msgspec.structs.replace(listed, **changes)


def build_proposal(proposal: str, state: str = "open", **changes: object) -> schema.ProposalEntry:
    entry = schema.ProposalEntry(
        id=proposal,
        state=state,  # type: ignore[arg-type]  # One of the two.
        proposer="mill",
        note="a new dairy",
        changes=(schema.SetRole("dairy", "validator"),),
        words=("make dairy a validator, now member",),
        approvals=("mill", "port"),
        proposed_ms=1_700_000_000_000,
    )
    return msgspec.structs.replace(entry, **changes)


def test_a_proposal_is_named_by_the_beginning_of_its_id(desk: Desk) -> None:
    """As long as that is one; too short or unknown is said."""
    desk.node.listed = build_list(build_proposal(PROPOSAL), build_proposal(OTHER))
    assert json.loads(desk.run("govern", "approve", "abcdef", "--json").stdout)["proposal"] == OTHER
    short = desk.run("govern", "approve", "ab")
    assert (short.exit_code, "at least the first 6" in short.stderr) == (2, True)
    unknown = desk.run("govern", "approve", "ffffff")
    assert (unknown.exit_code, "decided, withdrawn, or be too old" in unknown.stderr) == (1, True)
    desk.node.listed = build_list(build_proposal(OTHER), build_proposal(OTHER[:8] + "11" * 28))
    assert "2 proposals begin with abcdef" in desk.run("govern", "approve", "abcdef").stderr


@pytest.mark.parametrize(
    ("words", "exit_code", "code"),
    [
        (("govern", "approve", "ffffff"), 1, "not_found"),
        (("govern", "propose", "set-parameters", "color=red"), 2, "misconfigured"),
        (("govern", "propose", "set-role", "dairy", "king"), 2, "misused"),
    ],
)
def test_with_json_a_failure_is_an_object_on_standard_output_too(
    desk: Desk, words: tuple[str, ...], exit_code: int, code: str
) -> None:
    """And the sentences stay on standard error: a program reads the one, a person the other."""
    desk.node.listed = build_list(build_proposal(PROPOSAL))
    failed = desk.run(*words, "--json")
    assert (failed.exit_code, json.loads(failed.stdout)["error"]["code"]) == (exit_code, code)
    assert failed.stderr


def test_the_list_tells_who_approved_what_waits_what_was_enacted_and_who_lied(desk: Desk) -> None:
    """In words, and as one JSON object with the evidence."""
    waiting = build_proposal(OTHER, "approved", approvals=(), proposed_ms=None, approved_height=39)
    desk.node.listed = build_list(build_proposal(PROPOSAL), waiting)
    desk.node.found = schema.EvidenceResult(
        (schema.EvidenceEntry("shop", "fork", "shop wrote two batches", 1, "mill", "cd" * 32, 35, "00"),)
    )
    said = desk.run("govern", "list").stdout.splitlines()
    assert said == [
        "epoch 2 at height 40: 4 validators, 3 carry a proposal",
        "open:",
        f"  {PROPOSAL[:12]}  by mill, 2023-11-14 22:13 UTC: a new dairy",
        "    make dairy a validator, now member",
        "    approved by 2 of 3: mill, port; not by bakery, shop",
        "approved, waiting for the next epoch:",
        f"  {OTHER[:12]}  by mill: a new dairy",
        "    make dairy a validator, now member",
        "    approved in block 39",
        "enacted:",
        "  epoch 2, from block 30 on",
        "    added dairy (The dairy)",
        "evidence:",
        "  block 35: shop wrote two batches (brought by mill)",
    ]
    answer = json.loads(desk.run("govern", "list", "--json").stdout)
    assert answer["evidence"][0]["signer"] == "shop"
    assert [one["id"] for one in answer["proposals"]] == [PROPOSAL, OTHER]
    desk.node.listed, desk.node.found = build_list(epochs=()), schema.EvidenceResult(())
    assert desk.run("govern", "list").stdout.splitlines()[1:] == [
        "open: nothing",
        "enacted: nothing, all is as in genesis",
    ]


def build_member(desk: Desk, member: str = "mill", **changes: object) -> Member:
    key = load_key(desk.home.node_key).public_key.hex()
    built = Member(member, "The mill", "", "validator", "a:1", key, key[:16], 4, ())
    return msgspec.structs.replace(built, **changes)


def test_members_and_validators_are_listed(desk: Desk) -> None:
    """With what an operator compares by telephone."""
    desk.node.roster = MembersResult(
        epoch=2, members=(build_member(desk), build_member(desk, "shop", role="former", feed=0))
    )
    lines = desk.run("member", "list").stdout.splitlines()
    assert lines[0] == "epoch 2, 2 members"
    assert lines[1].split()[:4] == ["mill", "validator", "feed", "4"]
    assert lines[2].split()[:2] == ["shop", "former"]
    assert json.loads(desk.run("member", "list", "--json").stdout)["epoch"] == 2
    validators = (schema.Validator(0, "mill", "11" * 32),)
    desk.node.history = schema.ValidatorsResult(
        1, (schema.ValidatorSet(1, 30, "22" * 32, "33" * 32, 1, validators, {}),)
    )
    assert desk.run("validators").stdout.splitlines() == [
        "epoch 1, after block 30: 1 validator, 1 of them a quorum",
        "   0 mill                 1111111111111111",
    ]
    assert json.loads(desk.run("validators", "--json", "--from-epoch", "1").stdout)["newest"] == 1


def rename_to_mill(desk: Desk) -> None:
    """The fake node answers for mill."""
    settings = desk.home.settings.read_text(encoding="utf-8")
    desk.home.settings.write_text(settings.replace('member = "node-0"', 'member = "mill"'), encoding="utf-8")


def test_a_rotation_is_proposed_with_the_next_keys_own_signature(desk: Desk) -> None:
    """Over the number of the feed that begins with it; the key is made once and kept secret."""
    rename_to_mill(desk)
    desk.node.roster = MembersResult(epoch=2, members=(build_member(desk),))
    said = desk.run("keys", "rotate")
    assert said.exit_code == 0, said.output
    assert "back it up now" in said.stdout
    ((change,), _, _) = desk.node.proposed[-1]
    assert isinstance(change, schema.RotateKey)
    following = load_key(desk.home.next_node_key)
    message = rotation_signing_bytes(
        decode_genesis(desk.home.genesis.read_bytes()).network_id, MemberId("mill"), FeedNumber(5)
    )
    assert (change.node_key, change.proof) == (following.public_key.hex(), following.sign(message).hex())
    again = json.loads(desk.run("govern", "propose", "rotate-key", "--json").stdout)
    assert again["state"] == "open"
    assert desk.node.proposed[-1][0] == (change,)
    desk.node.listed = build_list(build_proposal(PROPOSAL, changes=(change,)))
    assert f"is proposed already, by {PROPOSAL}" in desk.run("keys", "rotate").stdout
    assert json.loads(desk.run("keys", "rotate", "--json").stdout) == {"proposal": PROPOSAL, "state": "known"}
    assert len(desk.node.proposed) == 2


def test_an_observers_rotation_is_proposed_by_a_member(desk: Desk, tmp_path: Path) -> None:
    """An observer proposes nothing; it hands over a file with the next key's own signature."""
    rename_to_mill(desk)
    desk.node.roster = MembersResult(epoch=2, members=(build_member(desk, role="observer"),))
    path = tmp_path / "rotation.json"
    written = json.loads(desk.run("keys", "rotate", "--to", path, "--json").stdout)
    assert written["node_key"] == load_key(desk.home.next_node_key).public_key.hex()
    assert desk.node.proposed == []
    (change,) = desk.propose("rotate-key", path)
    assert isinstance(change, schema.RotateKey)
    assert change.node_key == written["node_key"]
    again = desk.run("keys", "rotate", "--to", path)
    assert (again.exit_code, "nothing was changed" in again.stderr) == (2, True)
    said = desk.run("keys", "rotate", "--to", tmp_path / "other.json").stdout
    assert "lotvine govern propose rotate-key other.json" in said
    for content in (b"{", b"\xff", b'{"change": "new_feed", "id": "mill"}'):
        path.write_bytes(content)
        refused = desk.run("govern", "propose", "rotate-key", path)
        assert (refused.exit_code, "lotvine keys rotate --to writes one" in refused.stderr) == (2, True)
    assert desk.run("govern", "propose", "rotate-key", tmp_path / "absent").exit_code == 2
    assert desk.run("keys", "rotate", "--to", tmp_path / "absent" / "file").exit_code == 2


def test_a_next_key_is_discarded_only_if_nothing_names_it(desk: Desk) -> None:
    """Else the epoch that holds it would find a node without its key."""
    rename_to_mill(desk)
    assert "There is no next key" in desk.run("keys", "rotate", "--discard").stdout
    desk.node.roster = MembersResult(epoch=2, members=(build_member(desk),))
    assert desk.run("keys", "rotate").exit_code == 0
    ((change,), _, _) = desk.node.proposed[-1]
    desk.node.listed = build_list(build_proposal(PROPOSAL, changes=(change,)))
    refused = desk.run("keys", "rotate", "--discard")
    assert (refused.exit_code, "withdraw the proposal first" in refused.stderr) == (2, True)
    desk.node.listed = build_list()
    assert json.loads(desk.run("keys", "rotate", "--discard", "--json").stdout) == {"discarded": True}
    assert not desk.home.next_node_key.exists()


def test_a_key_that_the_network_does_not_know_is_not_rotated(desk: Desk) -> None:
    """The node is behind, or the home is another one's; and without a name it would be nobody's afterwards."""
    rename_to_mill(desk)
    desk.node.roster = MembersResult(epoch=2, members=(build_member(desk, node_key="11" * 32),))
    refused = desk.run("keys", "rotate")
    assert (refused.exit_code, "by another key" in refused.stderr) == (2, True)
    assert not desk.home.next_node_key.exists()
    settings = desk.home.settings.read_text(encoding="utf-8")
    desk.home.settings.write_text(settings.replace('member = "mill"', ""), encoding="utf-8")
    refused = desk.run("keys", "rotate")
    assert (refused.exit_code, "p2p.member is not set" in refused.stderr) == (2, True)


def test_the_keys_of_a_home_are_shown_without_anything_secret(desk: Desk) -> None:
    """Offline: whose they are follows from genesis and settings."""
    shown = json.loads(desk.run("keys", "show", "--json").stdout)
    assert (shown["member"], shown["network_id"]) == ("node-0", desk.genesis_id)
    assert shown["node_key"] == load_key(desk.home.node_key).public_key.hex()
    assert shown["next_node_key"] is None
    said = desk.run("keys", "show").stdout
    assert load_key(desk.home.node_key).seed.hex() not in said
    assert "next node key" not in said
