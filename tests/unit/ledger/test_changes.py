"""node.ledger.changes."""

import dataclasses

import pytest

from consensus.types import U32_MAX, Digest, Epoch
from node.ledger.changes import (
    CHANGES_MAX,
    AddMember,
    Change,
    ChangeMember,
    NewFeed,
    RemoveMember,
    RotateKey,
    SetActorKeys,
    SetParameters,
    SetRole,
    apply_changes,
    change_fields,
    changed_validators,
    changes_allowed,
    read_changes,
    rotation_signing_bytes,
    sign_rotation,
)
from node.ledger.roster import Member, Parameters, Role, Roster, build_roster
from node.ledger.verdicts import TransactionCode
from node.wire.codec import MalformedError, pack, unpack
from node.wire.ids import FeedId, FeedNumber, MemberId
from tests.support.networks import build_genesis, build_key

GENESIS = build_genesis(validators=4, members=2, observers=1)
ROSTER = GENESIS.roster
NETWORK = GENESIS.network_id
V0, V1, V2, V3, M4, M5, O6 = (MemberId(f"firm-{number}") for number in range(7))
NEW = Member(
    id=MemberId("new"),
    name="New",
    organisation_id="urn:epc:id:pgln:9520001.00000",
    role=Role.MEMBER,
    node_key=build_key("new").public_key,
    actor_keys=(build_key("new actor").public_key,),
    address="new.example:4000",
    feed_number=FeedNumber(0),
)
ROTATION = sign_rotation(NETWORK, V1, FeedNumber(1), build_key("other"))
LANDING, PICKING = "urn:example:step:landing", "https://steps.example/picking"
VOTED = Parameters(contact_window_hours=8, inbound_steps=(LANDING,), primary_steps=(LANDING, PICKING))
EVERY: tuple[Change, ...] = (
    AddMember(NEW),
    RemoveMember(M5),
    SetRole(O6, Role.MEMBER),
    ROTATION,
    ChangeMember(V2, "Name", "", "[::1]:9"),
    SetActorKeys(V3, (build_key("a").public_key, build_key("b").public_key)),
    NewFeed(M4),
    SetParameters(VOTED),
    SetParameters(Parameters(flag_speed_kmh=90)),
    SetParameters(Parameters(timing="wan", block_batches_max=7)),
)


def apply(*changes: Change, roster: Roster = ROSTER, synced: tuple[MemberId, ...] = (M4,)) -> Roster | TransactionCode:
    """Apply, where the feed 0 of these members has a final batch."""

    def has_final_batch(feed: FeedId) -> bool:
        return feed.member in synced and feed.number == 0

    return apply_changes(roster, changes, NETWORK, has_final_batch)


def applied(*changes: Change, roster: Roster = ROSTER) -> Roster:
    """Apply what is not refused."""
    outcome = apply(*changes, roster=roster)
    assert isinstance(outcome, Roster)
    return outcome


def test_every_change_comes_back_from_its_bytes() -> None:
    """One encoding each."""
    encoded = pack(tuple(change_fields(change) for change in EVERY))
    assert read_changes(unpack(encoded, what="changes"), "changes") == EVERY


def test_every_change_changes_what_it_says() -> None:
    """And nothing else."""
    after = applied(*EVERY)
    expected = {member.id: member for member in ROSTER.members.values()}
    expected[NEW.id] = NEW
    expected[M5] = dataclasses.replace(expected[M5], role=Role.FORMER, actor_keys=())
    expected[O6] = dataclasses.replace(expected[O6], role=Role.MEMBER, feed_number=FeedNumber(1))
    expected[V1] = dataclasses.replace(expected[V1], node_key=build_key("other").public_key, feed_number=FeedNumber(1))
    expected[V2] = dataclasses.replace(expected[V2], name="Name", organisation_id="", address="[::1]:9")
    expected[V3] = dataclasses.replace(expected[V3], actor_keys=(build_key("a").public_key, build_key("b").public_key))
    expected[M4] = dataclasses.replace(expected[M4], feed_number=FeedNumber(1))
    assert after == build_roster(Epoch(0), expected.values(), Parameters(timing="wan", block_batches_max=7))
    assert applied(SetParameters(VOTED)).parameters == VOTED


FORMER_ROSTER = applied(RemoveMember(M5))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ([RemoveMember(MemberId("ghost"))], TransactionCode.UNKNOWN_MEMBER),
        ([SetRole(MemberId("ghost"), Role.MEMBER)], TransactionCode.UNKNOWN_MEMBER),
        ([NewFeed(MemberId("ghost"))], TransactionCode.UNKNOWN_MEMBER),
        ([RemoveMember(M5), RemoveMember(M5)], TransactionCode.UNKNOWN_MEMBER),
        ([AddMember(dataclasses.replace(NEW, id=V0))], TransactionCode.MEMBER_EXISTS),
        ([AddMember(dataclasses.replace(NEW, node_key=build_key("firm-6").public_key))], TransactionCode.KEY_IN_USE),
        ([AddMember(dataclasses.replace(NEW, role=Role.VALIDATOR))], TransactionCode.VALIDATOR_NOT_SYNCED),
        ([AddMember(dataclasses.replace(NEW, role=Role.FORMER))], TransactionCode.ROLE_IMPOSSIBLE),
        ([SetRole(V0, Role.FORMER)], TransactionCode.ROLE_IMPOSSIBLE),
        ([SetRole(M5, Role.VALIDATOR)], TransactionCode.VALIDATOR_NOT_SYNCED),
        ([SetRole(M4, Role.VALIDATOR), NewFeed(M4)], TransactionCode.VALIDATOR_NOT_SYNCED),
        ([sign_rotation(NETWORK, V1, FeedNumber(1), build_key("firm-1"))], TransactionCode.KEY_IN_USE),
        ([sign_rotation(NETWORK, V1, FeedNumber(1), build_key("firm-5"))], TransactionCode.KEY_IN_USE),
        ([sign_rotation(NETWORK, V1, FeedNumber(2), build_key("other"))], TransactionCode.KEY_NOT_PROVEN),
        ([sign_rotation(Digest(bytes(32)), V1, FeedNumber(1), build_key("other"))], TransactionCode.KEY_NOT_PROVEN),
        ([dataclasses.replace(ROTATION, id=V2)], TransactionCode.KEY_NOT_PROVEN),
        ([RemoveMember(V0)], TransactionCode.TOO_FEW_VALIDATORS),
        ([SetRole(V0, Role.MEMBER)], TransactionCode.TOO_FEW_VALIDATORS),
        ([ROTATION, sign_rotation(NETWORK, V2, FeedNumber(1), build_key("two"))], TransactionCode.TOO_MANY_CHANGES),
        ([SetParameters(Parameters(block_bytes_max=1024 * 1024))], TransactionCode.PARAMETERS_OUT_OF_BOUNDS),
        ([SetParameters(Parameters(timing="moon"))], TransactionCode.PARAMETERS_OUT_OF_BOUNDS),
        ([SetParameters(Parameters(primary_steps=("landing",)))], TransactionCode.PARAMETERS_OUT_OF_BOUNDS),
        ([SetParameters(Parameters(clean_steps=(PICKING, PICKING)))], TransactionCode.PARAMETERS_OUT_OF_BOUNDS),
        (
            [SetParameters(Parameters(inbound_steps=(LANDING,), ending_steps=(LANDING,)))],
            TransactionCode.PARAMETERS_OUT_OF_BOUNDS,
        ),
        ([SetParameters(Parameters())], TransactionCode.NOTHING_CHANGES),
        ([SetRole(M5, Role.MEMBER)], TransactionCode.NOTHING_CHANGES),
        (
            [ChangeMember(M5, "x", "", "x:1"), ChangeMember(M5, "Firm 5", "", "127.0.0.1:4005")],
            TransactionCode.NOTHING_CHANGES,
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(changes: list[Change], code: TransactionCode) -> None:
    """One code for each reason."""
    assert apply(*changes) is code


def test_a_former_member_and_its_key_never_come_back() -> None:
    """What it wrote stays its own."""
    former = FORMER_ROSTER.members[M5]
    assert apply(SetRole(M5, Role.MEMBER), roster=FORMER_ROSTER) is TransactionCode.UNKNOWN_MEMBER
    again = dataclasses.replace(NEW, id=M5)
    assert apply(AddMember(again), roster=FORMER_ROSTER) is TransactionCode.MEMBER_EXISTS
    stolen = dataclasses.replace(NEW, node_key=former.node_key)
    assert apply(AddMember(stolen), roster=FORMER_ROSTER) is TransactionCode.KEY_IN_USE


def test_a_validator_is_replaced_in_one_proposal_whatever_the_order() -> None:
    """The bounds hold for the outcome: there is never one too few."""
    for changes in (
        (RemoveMember(V0), SetRole(M4, Role.VALIDATOR)),
        (SetRole(M4, Role.VALIDATOR), RemoveMember(V0)),
    ):
        after = applied(*changes)
        assert set(after.validators) == {V1, V2, V3, M4}
        assert changed_validators(ROSTER, after) == 1


def test_a_network_without_tolerance_may_shrink_to_one_and_not_to_none() -> None:
    """One to three validators tolerate nothing; that is theirs to choose."""
    genesis = build_genesis(validators=2)
    one = apply(RemoveMember(V0), roster=genesis.roster)
    assert isinstance(one, Roster)
    assert one.validators == (V1,)
    assert apply(RemoveMember(V1), roster=one) is TransactionCode.TOO_FEW_VALIDATORS


@pytest.mark.parametrize(("validators", "allowed"), [(1, 1), (4, 1), (6, 1), (7, 2), (10, 3), (64, 21)])
def test_as_many_validators_may_change_as_may_be_faulty(validators: int, allowed: int) -> None:
    """One at least: else a small network could never change."""
    assert changes_allowed(validators) == allowed


def test_there_is_room_for_so_many_members_and_validators_only() -> None:
    """512 members, 64 validators, 2048 entries: what messages and certificates have room for."""
    crowd = {
        member.id: member
        for member in (
            dataclasses.replace(NEW, id=MemberId(f"m{n:04}"), node_key=build_key(f"m{n}").public_key, actor_keys=())
            for n in range(512 - len(ROSTER.members))
        )
    }
    full = build_roster(Epoch(0), (ROSTER.members | crowd).values(), ROSTER.parameters)
    assert apply(AddMember(NEW), roster=full) is TransactionCode.TOO_MANY_MEMBERS
    assert isinstance(apply(RemoveMember(M5), AddMember(NEW), roster=full), Roster)
    voting = {id_: dataclasses.replace(member, role=Role.VALIDATOR) for id_, member in list(crowd.items())[:60]}
    many = build_roster(Epoch(0), (ROSTER.members | voting).values(), ROSTER.parameters)
    assert apply(SetRole(M4, Role.VALIDATOR), roster=many) is TransactionCode.TOO_MANY_VALIDATORS


def test_actor_keys_are_bounded_together() -> None:
    """A roster is kept by every node for ever."""
    keys = (build_key("k").public_key,) * 1000
    loaded = {
        member.id: member
        for member in (
            dataclasses.replace(NEW, id=MemberId(f"m{n:04}"), node_key=build_key(f"m{n}").public_key, actor_keys=keys)
            for n in range(65)
        )
    }
    roster = build_roster(Epoch(0), (ROSTER.members | loaded).values(), ROSTER.parameters)
    assert apply(SetActorKeys(V0, keys), roster=roster) is TransactionCode.TOO_MANY_MEMBERS


def test_a_feed_number_at_its_end_changes_nothing() -> None:
    """Nobody gets there; the number never falls back to one that was used."""
    last = dataclasses.replace(ROSTER.members[M4], feed_number=FeedNumber(U32_MAX))
    roster = build_roster(Epoch(0), (ROSTER.members | {M4: last}).values(), ROSTER.parameters)
    assert apply(NewFeed(M4), roster=roster) is TransactionCode.NOTHING_CHANGES


def test_what_a_new_key_signs_is_the_layout_of_the_protocol_page() -> None:
    """84 bytes."""
    signed = rotation_signing_bytes(NETWORK, V1, FeedNumber(258))
    assert signed == b"lotvine/key/v1\0\0" + NETWORK + b"firm-1".ljust(32, b"\0") + bytes((0, 0, 1, 2))
    assert len(signed) == 84


@pytest.mark.parametrize(
    "value",
    [
        (),
        ((9, "firm-0"),) * 1,
        ((2, "firm-0"),) * (CHANGES_MAX + 1),
        ("x",),
        ((),),
        ((2,),),
        ((2, "Firm"),),
        ((True, "firm-0"),),
        ((2, "firm-0", 1),),
        ((3, "firm-0", 9),),
        ((4, "firm-0", bytes(32), bytes(63)),),
        ((5, "firm-0", "", "", "h:1"),),
        ((5, "firm-0", "x", "", "nowhere"),),
        ((6, "firm-0", (bytes(31),)),),
        ((8, (1, 2, 3)),),
        ((8, (-1, 1, 1, 1, 1, "lan")),),
        ((8, (1, 1, 1, 1, 1, 5)),),
        ((1, (1, 2)),),
        ((1, dataclasses.replace(NEW, feed_number=FeedNumber(1)).to_fields()),),
    ],
)
def test_what_is_no_change_is_refused(value: object) -> None:
    """As malformed, and nothing else."""
    with pytest.raises(MalformedError):
        read_changes(value, "changes")


def test_a_rotation_names_the_key_that_signed_it() -> None:
    """The helper for the command line."""
    assert RotateKey(V1, build_key("other").public_key, ROTATION.proof) == ROTATION


def test_a_feed_that_has_ended_never_goes_on() -> None:
    """Who has a feed again begins the next number: what was sealed on the old one and not cut is known to some only."""
    observer = applied(SetRole(M4, Role.OBSERVER))
    assert observer.members[M4].feed_number == 0
    assert applied(SetRole(M4, Role.MEMBER), roster=observer).members[M4].feed_number == 1
    assert apply(SetRole(M4, Role.VALIDATOR), roster=observer) is TransactionCode.VALIDATOR_NOT_SYNCED
