"""node.ledger.roster."""

import dataclasses
import random

import pytest

from consensus.errors import InvariantError
from consensus.types import Digest, Epoch, Height
from node.crypto.digests import sha256
from node.ledger.roster import (
    ROSTER_BYTES_MAX,
    VALIDATORS_MAX,
    EpochRecord,
    Member,
    Parameters,
    Role,
    Roster,
    build_roster,
    decode_epoch_record,
    decode_roster,
    is_address,
    parameter_fields,
    read_parameters,
)
from node.wire.codec import MalformedError, pack, read_array, unpack
from node.wire.ids import FeedNumber, MemberId
from tests.support.networks import build_genesis, build_key

GENESIS = build_genesis(validators=4, members=2, observers=1)
ROSTER = GENESIS.roster
RINSING = "urn:example:step:rinsing"


def change(roster: Roster, member: str, **fields: object) -> Roster:
    """The roster with other fields of one member."""
    one = dataclasses.replace(roster.members[MemberId(member)], **fields)  # type: ignore[arg-type]  # Test's choice.
    return build_roster(roster.epoch, (roster.members | {one.id: one}).values(), roster.parameters)


def test_a_roster_has_one_encoding_whatever_order_its_members_came_in() -> None:
    """Else one epoch had two digests."""
    members = list(ROSTER.members.values())
    random.Random(1).shuffle(members)
    shuffled = build_roster(ROSTER.epoch, members, ROSTER.parameters)
    assert shuffled == ROSTER
    assert shuffled.digest(GENESIS.network_id) == ROSTER.digest(GENESIS.network_id)
    assert shuffled.validators == ROSTER.validators


def test_a_roster_comes_back_from_its_bytes() -> None:
    """Removed members, raised feed numbers and other parameters too."""
    roster = change(change(ROSTER, "firm-6", role=Role.FORMER), "firm-1", feed_number=FeedNumber(3))
    for parameters in (Parameters(timing="wan"), Parameters(flag_speed_kmh=90), Parameters(clean_steps=(RINSING,))):
        roster = Roster(Epoch(7), roster.members, parameters)
        assert decode_roster(roster.encode()) == roster
        assert decode_roster(roster.encode()).validators == roster.validators


def whole(parameters: Parameters) -> tuple[object, ...]:
    """Parameters as a roster has them."""
    return read_array(parameter_fields(parameters), "parameters")


def test_parameters_that_came_later_stand_only_where_one_is_not_at_its_default() -> None:
    """So there is one encoding of each roster, and those of older networks keep their digests."""
    first, flags = whole(Parameters()), whole(Parameters(flag_speed_kmh=90))
    steps = whole(Parameters(clean_steps=(RINSING,)))
    assert (len(first), len(flags), len(steps)) == (6, 11, 18)
    assert flags[:6] == steps[:6] == first
    assert steps[6:11] == (168, 5, 50, 720, 1000)
    for fields in (steps[:11], flags + steps[11:17] + ((),), (*first, *steps[6:17], ())):
        with pytest.raises(MalformedError, match="left out"):
            read_parameters(fields, "parameters")


def test_the_digest_is_the_one_of_the_protocol_page() -> None:
    """Domain, network id, encoding."""
    assert ROSTER.digest(GENESIS.network_id) == sha256(b"lotvine/epoch/v1", GENESIS.network_id, ROSTER.encode())


def test_validators_stand_in_the_order_of_their_keys() -> None:
    """A validator's index is its place among the keys."""
    assert list(ROSTER.validator_keys()) == sorted(build_key(f"firm-{n}").public_key for n in range(4))
    assert [ROSTER.validator_index(member) for member in ROSTER.validators] == [0, 1, 2, 3]
    assert ROSTER.validator_index(MemberId("firm-5")) is None


def test_a_former_member_is_found_and_not_present() -> None:
    """What it wrote stays named; it has neither feed nor sessions."""
    roster = change(ROSTER, "firm-5", role=Role.FORMER)
    former = roster.find(MemberId("firm-5"))
    assert former is not None
    assert not former.is_present
    assert not former.has_feed
    assert former not in roster.present()
    assert len(roster.present()) == 6
    assert roster.find(MemberId("nobody")) is None


@pytest.mark.parametrize(
    ("role", "has_feed"), [(Role.VALIDATOR, True), (Role.MEMBER, True), (Role.OBSERVER, False), (Role.FORMER, False)]
)
def test_validators_and_members_have_a_feed(role: Role, has_feed: bool) -> None:
    """Observers only follow."""
    member = dataclasses.replace(ROSTER.members[MemberId("firm-5")], role=role)
    assert member.has_feed is has_feed
    assert member.feed.number == 0


def fields() -> list[object]:
    """An unpacked roster that may be spoilt."""
    return list(unpack(ROSTER.encode(), what="roster"))


def spoil(place: int, value: object, *, member: int | None = None) -> bytes:
    """The encoding with one field replaced: of the roster, or of one of its members."""
    whole = fields()
    if member is None:
        whole[place] = value
    else:
        members = [list(entry) for entry in whole[2]]  # type: ignore[attr-defined]  # An array.
        members[member][place] = value
        whole[2] = members
    return pack(whole)  # type: ignore[arg-type]  # Whatever the test wants.


def with_steps(*, inbound: object, ending: object = (), window: int = 72) -> tuple[object, ...]:
    """All fields of parameters, these ones changed."""
    return (*whole(Parameters(flag_speed_kmh=90)), window, 24, (), inbound, ending, (), ())


@pytest.mark.parametrize(
    ("encoded", "word"),
    [
        (b"\x01", "not an array"),
        (spoil(0, 2), "version"),
        (spoil(1, -1), "epoch"),
        (spoil(2, ()), "0 validators"),
        (spoil(3, (1, 2)), "parameters"),
        (spoil(3, (2**20, 256, 1, 900_000, 86_400_000, "lan")), "block_bytes_max"),
        (spoil(3, (8 * 2**20, True, 1, 900_000, 86_400_000, "lan")), "block_batches_max"),
        (spoil(3, (8 * 2**20, 256, 1, 900_000, 86_400_000, "moon")), "timing"),
        (spoil(3, with_steps(inbound=("landing",))), "inbound_steps"),
        (spoil(3, with_steps(inbound=("urn:a b",))), "inbound_steps"),
        (spoil(3, with_steps(inbound=("urn:a\n",))), "inbound_steps"),
        (spoil(3, (8 * 2**20, 256, 1, 900_000, 86_400_000, "wan\n")), "timing"),
        (spoil(3, with_steps(inbound=(7,))), "inbound_steps"),
        (spoil(3, with_steps(inbound=RINSING)), "inbound_steps"),
        (spoil(3, with_steps(inbound=(RINSING, RINSING))), "stands twice"),
        (spoil(3, with_steps(inbound=tuple(f"urn:x:{number}" for number in range(33)))), "inbound_steps"),
        (spoil(3, with_steps(inbound=(RINSING,), ending=(RINSING,))), "one of inbound_steps already"),
        (spoil(3, with_steps(inbound=(RINSING,), window=0)), "handover_window_hours"),
        (spoil(0, "Firm", member=1), "id"),
        (spoil(0, "firm-0", member=1), "do not rise"),
        (spoil(1, "", member=1), "name"),
        (spoil(1, 5, member=1), "name"),
        (spoil(2, "x" * 201, member=1), "organisation_id"),
        (spoil(1, "a\x1b[2Jb", member=1), "control"),
        (spoil(2, "a\u202eb", member=1), "control"),
        (spoil(3, 0, member=1), "role"),
        (spoil(3, 5, member=1), "role"),
        (spoil(4, b"short", member=1), "node_key"),
        (spoil(4, build_key("firm-0").public_key, member=1), "stands twice"),
        (spoil(5, 2**32, member=1), "feed_number"),
        (spoil(6, (b"short",), member=1), "actor_keys"),
        (spoil(6, (bytes(32),) * 1001, member=1), "actor_keys"),
        (spoil(7, "nowhere", member=1), "address"),
        (spoil(7, 5, member=1), "address"),
        (bytes(ROSTER_BYTES_MAX + 1), "more than"),
    ],
)
def test_what_is_no_roster_is_refused(encoded: bytes, word: str) -> None:
    """By the name of the field."""
    with pytest.raises(MalformedError, match=word):
        decode_roster(encoded)


def test_a_roster_of_too_many_validators_is_refused() -> None:
    """The wire's certificates have room for so many signatures."""
    many = [
        Member(
            id=MemberId(f"v{number:03d}"),
            name="V",
            organisation_id="",
            role=Role.VALIDATOR,
            node_key=build_key(f"v{number}").public_key,
            actor_keys=(),
            address="h:1",
            feed_number=FeedNumber(0),
        )
        for number in range(VALIDATORS_MAX + 1)
    ]
    encoded = build_roster(Epoch(0), many, Parameters()).encode()
    with pytest.raises(MalformedError, match="65 validators"):
        decode_roster(encoded)


def test_members_out_of_order_or_twice_are_our_bug() -> None:
    """Whoever builds a roster goes through `build_roster`."""
    members = dict(reversed(list(ROSTER.members.items())))
    with pytest.raises(InvariantError):
        Roster(Epoch(0), members, Parameters())
    one = next(iter(ROSTER.members.values()))
    with pytest.raises(InvariantError):
        build_roster(Epoch(0), [one, one], Parameters())


def test_an_epoch_record_comes_back_from_its_bytes() -> None:
    """Genesis gives that of epoch 0."""
    record = GENESIS.epoch_record
    assert record == EpochRecord(Epoch(0), Height(0), GENESIS.network_id, ROSTER)
    assert decode_epoch_record(record.encode()) == record
    wrong = pack((1, 0, Digest(bytes(32)), ROSTER.encode()))
    with pytest.raises(MalformedError, match="another epoch"):
        decode_epoch_record(wrong)


@pytest.mark.parametrize(
    ("text", "is_good"),
    [("mill.example:4000", True), ("[::1]:4000", True), ("mill", False), ("mill:0", False), ("x" * 290 + ":1", False)],
)
def test_addresses_are_host_and_port(text: str, is_good: bool) -> None:
    """A name or an address, and a port that can be."""
    assert is_address(text) is is_good
