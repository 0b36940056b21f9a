"""Engines over real stores whose network changes: epochs begin, restarts go on in them, and lost data come back."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import msgpack
import msgspec
import pytest

from consensus.types import Digest, Epoch
from node.app.backends.governance import Governance
from node.app.backends.transactions import Pending, Transactions
from node.engine.start import Opened
from node.ledger.changes import Change, ChangeMember, sign_rotation
from node.ledger.genesis import encode_genesis
from node.ledger.governance import GovernanceState, Request, encode_reference
from node.ledger.roster import decode_roster
from node.ledger.transaction import Kind
from node.storage.index import create_index
from node.storage.stores import renew_chain
from node.storage.vote_log import open_vote_log
from node.wire.codec import pack
from node.wire.ids import FeedNumber, MemberId
from node.wire.messages import certificate_fields
from tests.integration.engine.test_engine import CLOCK, Firms, digests, is_executed, paths_of, run, submit, until
from tests.support.light_client import EpochEnd, UnprovenError, follow_all
from tests.support.networks import build_document, build_key, build_transaction

NAMES = [MemberId(f"firm-{number}") for number in range(4)]


def epoch_of(one: Opened) -> Epoch:
    """The epoch that a node has executed itself into."""
    with one.stores.index.reader() as reader:
        return reader.governance.roster.epoch


async def say(opened: dict[MemberId, Opened], firms: Firms, member: MemberId, kind: Kind, payload: bytes) -> Digest:
    """Submit a transaction at a firm and wait until all that run have executed it."""
    firms.nonce += 1
    signed = build_transaction(
        firms.genesis, member=member, kind=kind, payload=payload, nonce=firms.nonce, created_ms=CLOCK.wall_ms()
    )
    await opened[member].engine.submit((signed,))
    await until(lambda: all(is_executed(one, signed.id) for one in opened.values()))
    return signed.id


async def enact(opened: dict[MemberId, Opened], firms: Firms, change: Change) -> None:
    """Decide a change at the first three firms and wait until all that run are in the next epoch."""
    before = epoch_of(opened[NAMES[0]])
    proposal = await say(opened, firms, NAMES[0], Kind.PROPOSE, Request((change,), "").encode())
    for member in NAMES[1:3]:
        await say(opened, firms, member, Kind.APPROVE, encode_reference(proposal))
    await until(lambda: all(epoch_of(one) == before + 1 for one in opened.values()))


def rename(text: str) -> ChangeMember:
    return ChangeMember(NAMES[3], text, "", "127.0.0.1:4003")


def test_a_network_goes_through_epochs_and_restarts_in_them(tmp_path: Path) -> None:
    """Each begins at the same block everywhere; what is logged of it is read again."""
    firms = Firms(tmp_path, 4)

    async def scenario() -> None:
        for number in range(2):
            async with firms.running(0, 1, 2, 3) as opened:
                await submit(opened, firms, "firm-3")
                await enact(opened, firms, rename(f"Name {number}"))
                await submit(opened, firms, "firm-2")
                records = []
                for one in opened.values():
                    with one.stores.index.reader() as reader:
                        records.append(reader.find_epoch(Epoch(number + 1)))
                    end = one.stores.chain.find_epoch_end(Epoch(number))
                    assert end is not None
                    assert end[0] == records[-1].anchor_height  # type: ignore[union-attr]  # Asserted to be equal below.
                assert all(record == records[0] is not None for record in records)
                await until(lambda: len({one.stores.index.height for one in opened.values()}) == 1)

    run(scenario)
    assert len({digest for _, digest in digests(firms, 0, 1, 2, 3)}) == 1
    log, logged = open_vote_log(
        paths_of(tmp_path, NAMES[0]).votes,
        network_id=firms.genesis.network_id,
        public_key=build_key(NAMES[0]).public_key,
    )
    log.close()
    assert logged.epoch_start is not None
    assert logged.epoch_start.epoch == 2
    assert {vote.subject.epoch for vote in logged.votes} == {2}


def read_ends(one: Opened) -> list[EpochEnd]:
    """What a node keeps of the end of each epoch, for whoever asks."""
    ends = []
    with one.stores.index.reader() as reader:
        for number in range(reader.governance.roster.epoch):
            end, record = one.stores.chain.find_epoch_end(Epoch(number)), reader.find_epoch(Epoch(number + 1))
            assert end is not None
            assert record is not None
            block = one.stores.chain.find_final_block(end[0])
            assert block is not None
            ends.append(EpochEnd(block.header.encode(), pack(certificate_fields(end[1])), record.roster.encode()))
    return ends


def ask_ends(one: Opened, firms: Firms) -> list[EpochEnd]:
    """What the API of a node answers, two epochs at a time, as JSON."""
    network_id = firms.genesis.network_id

    def governance() -> GovernanceState:
        with one.stores.index.reader() as reader:
            return reader.governance

    transactions = Transactions(
        one.engine,
        one.stores.index,
        network_id,
        NAMES[2],
        governance=governance,
        pending=Pending(),
        clock=CLOCK,
        final_wait_ms=1_000,
    )
    node = Governance(transactions, one.stores.chain, one.stores.index, network_id, NAMES[2], clock=CLOCK)
    ends: list[EpochEnd] = []
    following = 0
    while following <= 3:
        answer = json.loads(msgspec.json.encode(node.validators(from_epoch=following, count=2, proof=True)))
        for epoch in answer["epochs"]:
            proof = epoch["proof"]
            if epoch["epoch"] == 0:
                assert (proof["header"], proof["certificate"]) == (None, None)
                assert decode_roster(bytes.fromhex(proof["roster"])) == firms.genesis.roster
            else:
                ends.append(EpochEnd(*(bytes.fromhex(proof[part]) for part in ("header", "certificate", "roster"))))
        following += len(answer["epochs"])
    return ends


def test_a_verifier_goes_from_genesis_to_the_validators_of_today(tmp_path: Path) -> None:
    """With the genesis file alone, by what any node keeps; a certificate of too few, or of others, convinces nobody."""
    firms = Firms(tmp_path, 4)
    genesis = encode_genesis(build_document(validators=4))
    next_key = build_key("next key of firm-3")
    rotation = sign_rotation(firms.genesis.network_id, NAMES[3], FeedNumber(1), next_key)

    async def scenario() -> None:
        async with firms.running(0, 1, 2) as opened:
            await enact(opened, firms, rename("One"))
            await enact(opened, firms, rotation)
            await enact(opened, firms, rename("Two"))
            ends = read_ends(opened[NAMES[1]])
            assert ask_ends(opened[NAMES[2]], firms) == ends, "a node's API gives the same"
        today = follow_all(genesis, ends)
        keys = [build_key(member).public_key for member in NAMES[:3]]
        assert (today.epoch, today.keys) == (3, tuple(sorted([*keys, next_key.public_key])))
        subject, signatures = msgpack.unpackb(ends[1].certificate)
        short = pack((subject, signatures[:-1]))
        other = pack((subject, [[signer, bytes(64)] for signer, _ in signatures]))
        for spoilt in (
            [replace(ends[0], certificate=short), *ends[1:]],
            [ends[0], replace(ends[1], certificate=other), ends[2]],
            [ends[0], replace(ends[1], roster=ends[2].roster), ends[2]],
            [ends[1], ends[2]],
        ):
            with pytest.raises(UnprovenError):
                follow_all(genesis, spoilt)

    run(scenario)


@pytest.mark.parametrize("what", ["chain", "index", "votes", "everything"])
def test_a_validator_whose_data_were_lost_votes_again_in_a_later_epoch(tmp_path: Path, what: str) -> None:
    """It passes through the epochs that it had served in, and says nothing in them; then the network can lean on it."""
    firms = Firms(tmp_path, 4)
    paths = paths_of(tmp_path, NAMES[3])

    async def scenario() -> None:
        async with firms.running(0, 1, 2, 3) as opened:
            await submit(opened, firms, "firm-3")
            await enact(opened, firms, rename("One"))
            await enact(opened, firms, rename("Two"))
            early = await submit(opened, firms, "firm-3")
        match what:
            case "chain":
                shutil.rmtree(paths.chain)
                renew_chain(paths, firms.genesis, public_key=build_key(NAMES[3]).public_key)
            case "index":
                shutil.rmtree(paths.index)
                create_index(paths.index, firms.genesis)
            case "votes":
                shutil.rmtree(paths.votes)
            case _:
                for folder in (paths.chain, paths.index, paths.votes):
                    shutil.rmtree(folder)
        async with firms.running(0, 1, 2, 3) as opened:
            one = opened[NAMES[3]]
            assert (one.stores.lost is None) == (what in ("chain", "index"))
            await until(lambda: is_executed(one, early) and epoch_of(one) == 2)
            await until(lambda: one.engine.overview().waiting_for is None)
            # A no-op of its own ends the loss: until it is final, the node counts among the faulty ones.
            await submit(opened, firms, "firm-3")
        async with firms.running(1, 2, 3) as opened:
            await submit(opened, firms, "firm-1")

    run(scenario)
