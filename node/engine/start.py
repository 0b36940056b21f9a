"""From a home's stores to an engine that is ready to run."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from consensus.quorum import faulty_max
from consensus.timing import WAN, Timing
from node.clock import Clock
from node.crypto.keys import SigningKey
from node.engine.driver import Engine
from node.engine.observer import LogObserver, Observer
from node.engine.recovery import recover
from node.errors import ConfigError
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


def _check_decidable(record: EpochRecord) -> None:
    """Raise ConfigError if the others can tell what this node has said: then nobody else may decide it."""
    count = len(record.roster.validators)
    if faulty_max(count) > 0:
        words = f"--rejoin-unanswered is for networks of fewer than four validators, and this one has {count}"
        raise ConfigError([f"{words}: leave it out, the others answer"])


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
    is_loss_decided: bool = False,
) -> AsyncIterator[Opened]:
    """Open and check the stores, recover, and yield the engine; close the stores at the end.

    `Engine.run` must have returned by then. timing: None for the network's. is_loss_decided: see `ReplicaSetup`.
    Raises StorageError with the way out, or ConfigError if another process has the home, or if there is nothing to
    decide.
    """
    stores = await asyncio.to_thread(open_stores, paths, genesis, public_key=key.public_key)
    if stores.lost is not None:
        _log.error("the vote log is lost", why=stores.lost.why, kept=str(stores.lost.kept or "nothing"))
    try:
        recovered = await asyncio.to_thread(recover, stores, genesis)
        record = recovered.epoch or genesis.epoch_record
        if is_loss_decided:
            _check_decidable(record)
        replica = Replica(
            ReplicaSetup(
                genesis=genesis,
                member=member,
                boot_nonce=secrets.token_bytes(NONCE_BYTES),
                timing=timing_of(record) if timing is None else timing,
                node_key=key.public_key,
                is_loss_decided=is_loss_decided,
            ),
            recovered,
            signer=key,
            now_ms=clock.monotonic_ms(),
            wall_ms=clock.wall_ms(),
        )
        yield Opened(Engine(replica, stores, genesis, clock=clock, observer=observer or LogObserver()), stores)
    finally:
        await asyncio.to_thread(stores.close)
