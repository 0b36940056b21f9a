"""Engines over real stores in one process: four firms agree, execute, stop, and go on where they stopped."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import plyvel
import pytest

from consensus.timing import WAN, Timing
from consensus.types import Digest, Height
from node.clock import SystemClock
from node.engine.serving import read_range
from node.engine.start import Opened, open_engine, timing_of
from node.ledger.cut import encode_cut
from node.ledger.genesis import Genesis, decode_genesis, encode_genesis
from node.ledger.roster import Parameters
from node.ledger.transaction import SignedTransaction
from node.storage import keys
from node.storage.chain import open_chain
from node.storage.errors import DamagedStoreError
from node.storage.following import follow
from node.storage.index import IndexStore, create_index, open_index
from node.storage.reindex import reindex
from node.storage.store import Row
from node.storage.stores import StorePaths, create_stores, renew_chain
from node.wire.ids import MemberId
from node.wire.messages import FRAME_BYTES_MAX, encode
from tests.support.captures import build_capture, object_event, transformation_event
from tests.support.chains import ChainBuilder, final_write
from tests.support.hubs import Hub
from tests.support.networks import build_batch, build_document, build_genesis, build_key
from tests.support.records import build_block, build_tip

CLOCK = SystemClock()
QUICK = Timing(block_ms=5, status_ms=100, answer_ms=50, tail_ms=300, skip_ms=2_000)


def paths_of(root: Path, member: MemberId) -> StorePaths:
    return StorePaths(root / member / "chain", root / member / "index", root / member / "votes")


class Firms:
    """A network below a folder, with whoever of it runs."""

    def __init__(self, root: Path, count: int) -> None:
        self.root = root
        self.genesis: Genesis = build_genesis(validators=count)
        self.hub = Hub()
        self.nonce = 0
        for member in self.genesis.roster.members:
            create_stores(paths_of(root, member), self.genesis, public_key=build_key(member).public_key)

    @asynccontextmanager
    async def running(self, *numbers: int) -> AsyncIterator[dict[MemberId, Opened]]:
        """Open and run the engines of these firms; stop them in good order at the end."""
        async with AsyncExitStack() as stack:
            opened: dict[MemberId, Opened] = {}
            for number in numbers:
                member = MemberId(f"firm-{number}")
                opened[member] = await stack.enter_async_context(
                    open_engine(
                        paths_of(self.root, member), self.genesis, member, build_key(member), clock=CLOCK, timing=QUICK
                    )
                )
            async with asyncio.TaskGroup() as tasks:
                for member, one in opened.items():
                    tasks.create_task(one.engine.run(self.hub.join(member)), name=member)
                yield opened
                for member, one in opened.items():
                    one.engine.stop()
                    self.hub.leave(member)

    def build(self, member: str, *events: bytes) -> SignedTransaction:
        self.nonce += 1
        events = events or (object_event(f"LOT{self.nonce}"),)
        return build_capture(self.genesis, *events, member=member, nonce=self.nonce, created_ms=CLOCK.wall_ms())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for is on disk.
            await asyncio.sleep(0.005)


def is_executed(one: Opened, transaction_id: Digest) -> bool:
    with one.stores.index.reader() as reader:
        return reader.has_transaction(transaction_id)


async def submit(opened: dict[MemberId, Opened], firms: Firms, member: str) -> Digest:
    """Submit one capture at a firm and wait until all that run have executed it."""
    transaction = firms.build(member)
    tip = await opened[MemberId(member)].engine.submit((transaction,))
    assert tip.feed.member == member
    await until(lambda: all(is_executed(one, transaction.id) for one in opened.values()))
    return transaction.id


def digests(firms: Firms, *numbers: int) -> set[tuple[Height, Digest]]:
    """Height and state digest of stopped firms."""
    found = set()
    for number in numbers:
        index = open_index(paths_of(firms.root, MemberId(f"firm-{number}")).index, firms.genesis)
        found.add((index.height, index.state_digest))
        index.close()
    return found


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(60):
            await scenario()

    asyncio.run(main())


def test_one_firm_alone_is_a_network(tmp_path: Path) -> None:
    """Useful on day one."""
    firms = Firms(tmp_path, 1)

    async def scenario() -> None:
        async with firms.running(0) as opened:
            await submit(opened, firms, "firm-0")
            overview = opened[MemberId("firm-0")].engine.overview()
            assert overview.final_height >= 1
            # The index is written before the loop hears of it.
            await until(lambda: opened[MemberId("firm-0")].engine.unexecuted == 0)

    run(scenario)


def test_four_firms_come_to_one_state(tmp_path: Path) -> None:
    """Each submits at its own node; all execute the same."""
    firms = Firms(tmp_path, 4)

    async def scenario() -> None:
        async with firms.running(0, 1, 2, 3) as opened:
            for number in range(8):
                await submit(opened, firms, f"firm-{number % 4}")
            await until(lambda: len({one.stores.index.height for one in opened.values()}) == 1)

    run(scenario)
    assert len(digests(firms, 0, 1, 2, 3)) == 1


def test_four_firms_have_the_same_flags_and_make_them_anew_alike(tmp_path: Path) -> None:
    """Whatever a node's steps were; one that lost its flags in a crash makes the same ones after its start."""
    firms = Firms(tmp_path, 4)

    async def scenario() -> None:
        async with firms.running(0, 1, 2, 3) as opened:
            for number in range(6):
                taken = transformation_event([f"L{number % 3}"], [f"M{number}"])
                transaction = firms.build(f"firm-{number % 4}", object_event(f"L{number % 2}"), taken)
                await opened[MemberId(f"firm-{number % 4}")].engine.submit((transaction,))
                await until(lambda t=transaction: all(is_executed(one, t.id) for one in opened.values()))  # type: ignore[misc] # Bound now.
            await until(lambda: len({one.stores.index.height for one in opened.values()}) == 1)

    async def again() -> None:
        async with firms.running(2) as opened:
            index = opened[MemberId("firm-2")].stores.index
            await until(lambda: has_followed(index))

    run(scenario)
    stored: list[list[Row]] = []
    for number in range(4):
        index = open_index(paths_of(firms.root, MemberId(f"firm-{number}")).index, firms.genesis)
        while follow(index) is not None:
            pass
        stored.append(list(index.flags.rows()))
        index.close()
    heights = {height for height, _ in digests(firms, 0, 1, 2, 3)}
    assert len(heights) == 1
    assert stored[0] == stored[1] == stored[2] == stored[3]
    assert len(stored[0]) > 10
    chain = open_chain(paths_of(firms.root, MemberId("firm-2")).chain, firms.genesis)
    reindex(chain, paths_of(firms.root, MemberId("firm-2")).index, firms.genesis)
    chain.close()
    run(again)
    index = open_index(paths_of(firms.root, MemberId("firm-2")).index, firms.genesis)
    assert list(index.flags.rows()) == stored[2]
    index.close()


def has_followed(index: IndexStore) -> bool:
    with index.reader() as reader:
        return reader.flags.height == reader.height


def test_a_restart_goes_on_exactly_where_it_stopped(tmp_path: Path) -> None:
    """All stop and start again: nothing that was accepted is lost, and the chain grows on."""
    firms = Firms(tmp_path, 4)
    accepted: list[Digest] = []

    async def scenario() -> None:
        for _ in range(3):
            async with firms.running(0, 1, 2, 3) as opened:
                for number in range(4):
                    accepted.append(await submit(opened, firms, f"firm-{number}"))
                for one in opened.values():
                    assert all(is_executed(one, transaction_id) for transaction_id in accepted)
                # Accepted, and the nodes stop before it can be final: it becomes final in the next run.
                last = firms.build("firm-2")
                await opened[MemberId("firm-2")].engine.submit((last,))
                accepted.append(last.id)
        async with firms.running(0, 1, 2, 3) as opened:
            await until(
                lambda: all(is_executed(one, transaction_id) for one in opened.values() for transaction_id in accepted)
            )

    run(scenario)
    heights = {height for height, _ in digests(firms, 0, 1, 2, 3)}
    assert max(heights) - min(heights) <= 1


def test_a_firm_that_was_away_catches_up(tmp_path: Path) -> None:
    """Three go on without the fourth; it takes what it missed from the others, and executes it."""
    firms = Firms(tmp_path, 4)

    async def scenario() -> None:
        async with firms.running(0, 1, 2) as opened:
            missed = [await submit(opened, firms, f"firm-{number % 3}") for number in range(40)]
            async with firms.running(3) as late:
                (one,) = late.values()
                await until(lambda: all(is_executed(one, transaction_id) for transaction_id in missed))

    run(scenario)


def test_blocks_that_were_final_and_not_executed_are_executed_first(tmp_path: Path) -> None:
    """A crash between the two writes (T-25): the index is caught up from the chain at start."""
    firms = Firms(tmp_path, 1)
    paths = paths_of(tmp_path, MemberId("firm-0"))

    async def first() -> None:
        async with firms.running(0) as opened:
            for _ in range(3):
                await submit(opened, firms, "firm-0")

    run(first)
    before = digests(firms, 0)
    chain = open_chain(paths.chain, firms.genesis)
    final_height = chain.final_height
    chain.close()
    # As if nothing had ever been executed.
    for entry in paths.index.iterdir():
        entry.unlink()
    paths.index.rmdir()
    create_index(paths.index, firms.genesis)

    async def second() -> None:
        async with firms.running(0) as opened:
            (one,) = opened.values()
            await until(lambda: one.stores.index.height >= final_height)

    run(second)
    ((height, state_digest),) = before
    index = open_index(paths.index, firms.genesis)
    with index.reader() as reader:
        executed = reader.find_block(height)
    index.close()
    assert executed is not None
    assert executed.state_digest == state_digest


def test_a_chain_that_was_lost_is_taken_anew_from_the_others(tmp_path: Path) -> None:
    """The way out that the error names: the vote log stays, the chain comes back, the firm submits again."""
    firms = Firms(tmp_path, 4)
    member = MemberId("firm-3")
    paths = paths_of(tmp_path, member)

    async def scenario() -> None:
        async with firms.running(0, 1, 2, 3) as opened:
            early = [await submit(opened, firms, f"firm-{number % 4}") for number in range(12)]
        next(iter(paths.chain.glob("MANIFEST-*"))).unlink()
        with pytest.raises(DamagedStoreError, match="lotvine refetch"):
            async with firms.running(3):
                raise AssertionError("it must not start")
        kept = renew_chain(paths, firms.genesis, public_key=build_key(member).public_key)
        assert sorted(folder.name for folder in kept) == ["chain.damaged-1", "index.damaged-1"]
        async with firms.running(0, 1, 2, 3) as opened:
            one = opened[member]
            await until(lambda: all(is_executed(one, transaction_id) for transaction_id in early))
            await submit(opened, firms, "firm-3")

    run(scenario)


def test_a_stored_batch_that_was_altered_is_refused_at_start(tmp_path: Path) -> None:
    """What the replica is to hold is checked against its digest."""
    firms = Firms(tmp_path, 1)
    paths = paths_of(tmp_path, MemberId("firm-0"))
    batch, other = build_batch(firms.genesis, firms.build("firm-0")), build_batch(firms.genesis, firms.build("firm-0"))
    raw = plyvel.DB(str(paths.chain))
    raw.put(keys.batch_key(batch.tip), other.encoded)
    raw.close()

    async def scenario() -> None:
        with pytest.raises(DamagedStoreError, match="another one"):
            async with firms.running(0):
                raise AssertionError("it must not start")

    run(scenario)
    raw = plyvel.DB(str(paths.chain))
    raw.put(keys.batch_key(batch.tip), b"nonsense")
    raw.close()

    async def again() -> None:
        with pytest.raises(DamagedStoreError):
            async with firms.running(0):
                raise AssertionError("it must not start")

    run(again)


def test_a_range_ends_at_the_highest_block_with_a_certificate(tmp_path: Path) -> None:
    """So that the receiver can verify it at once; where none has one, a certificate further up proves them."""
    firms = Firms(tmp_path, 1)
    chain = open_chain(paths_of(tmp_path, MemberId("firm-0")).chain, firms.genesis)
    builder = ChainBuilder(firms.genesis)
    blocks = []
    for number in range(8):
        block = builder.build_block()
        write = final_write(block)
        if number not in (1, 3, 7):
            write.certificates.clear()
        chain.commit(write, chain.log_position())
        blocks.append(block)
    whole = read_range(chain, Height(1), Height(6))
    assert whole.blocks == tuple(blocks[:4])
    assert whole.certificate == chain.find_certificate(Height(4))
    assert read_range(chain, Height(2), Height(3)).blocks == (blocks[1],)
    assert read_range(chain, Height(5), Height(7)).blocks == tuple(blocks[4:7])
    assert read_range(chain, Height(5), Height(7)).certificate is None
    assert read_range(chain, Height(9), Height(12)).blocks == ()
    chain.close()


def test_a_range_is_cut_short_where_the_frame_is_full(tmp_path: Path) -> None:
    """2 MiB a frame, whatever was asked for."""
    firms = Firms(tmp_path, 1)
    chain = open_chain(paths_of(tmp_path, MemberId("firm-0")).chain, firms.genesis)
    digest = firms.genesis.anchor_digest
    payload = encode_cut(tuple(build_tip(1, f"m{number:04}") for number in range(900)))
    count = FRAME_BYTES_MAX // len(payload) + 5
    for height in range(1, count + 1):
        block = build_block(height, parent_digest=digest, network_id=firms.genesis.network_id, payload=payload)
        digest = block.header.digest()
        chain.commit(final_write(block), chain.log_position())
    answer = read_range(chain, Height(1), Height(count))
    assert count - 10 < len(answer.blocks) < count
    assert answer.certificate is not None
    assert len(encode(answer)) <= FRAME_BYTES_MAX
    chain.close()


def test_the_networks_parameters_name_the_durations() -> None:
    """The timers of one site, or of sites far apart."""
    document = build_document()
    far = msgspec.structs.replace(document, parameters=Parameters(timing="wan"))
    assert timing_of(build_genesis().epoch_record) == Timing()
    assert timing_of(decode_genesis(encode_genesis(far)).epoch_record) == WAN
