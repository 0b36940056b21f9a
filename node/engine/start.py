"""From a home's stores to an engine that is ready to run."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from consensus.timing import WAN, Timing
from node.clock import Clock
from node.crypto.keys import SigningKey
from node.engine.driver import Engine
from node.engine.observer import LogObserver, Observer
from node.engine.recovery import recover
from node.ledger.genesis import Genesis
from node.ledger.roster import EpochRecord
from node.replica.recovered import ReplicaSetup
from node.replica.replica import Replica
from node.storage.stores import StorePaths, Stores, open_stores
from node.wire.ids import MemberId
from node.wire.messages import NONCE_BYTES

_log = structlog.get_logger()

_LAN: Final = Timing()


@dataclass(frozen=True, slots=True)
class Opened:
    """An engine with the stores that it writes; others read them."""

    engine: Engine
    stores: Stores


def timing_of(record: EpochRecord) -> Timing:
    """Return the durations that an epoch's parameters name; a node keeps them until it starts anew."""
    return WAN if record.roster.parameters.timing == "wan" else _LAN


@asynccontextmanager
async def open_engine(
    paths: StorePaths,
    genesis: Genesis,
    member: MemberId,
    key: SigningKey,
    *,
    clock: Clock,
    observer: Observer | None = None,
    timing: Timing | None = None,
) -> AsyncIterator[Opened]:
    """Open and check the stores, recover, and yield the engine; close the stores at the end.

    `Engine.run` must have returned by then. timing: None for the network's. Raises StorageError with the way out, or
    ConfigError if another process has the home.
    """
    stores = await asyncio.to_thread(open_stores, paths, genesis, public_key=key.public_key)
    if stores.lost is not None:
        _log.error("the vote log is lost", why=stores.lost.why, kept=str(stores.lost.kept or "nothing"))
    try:
        recovered = await asyncio.to_thread(recover, stores, genesis)
        replica = Replica(
            ReplicaSetup(
                genesis=genesis,
                member=member,
                boot_nonce=secrets.token_bytes(NONCE_BYTES),
                timing=timing_of(recovered.epoch or genesis.epoch_record) if timing is None else timing,
                node_key=key.public_key,
            ),
            recovered,
            signer=key,
            now_ms=clock.monotonic_ms(),
            wall_ms=clock.wall_ms(),
        )
        yield Opened(Engine(replica, stores, genesis, clock=clock, observer=observer or LogObserver()), stores)
    finally:
        await asyncio.to_thread(stores.close)
