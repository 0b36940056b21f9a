"""Flags following execution: behind each block, catching up, and where hardly a lot adds up.

By processor time: a core shared with others would tell of them.
"""

import gc
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.stores import EVENTS_A_TRANSACTION, TRANSACTIONS_A_BATCH, build_block, build_network, seal_batches
from bench.synthetic import build_chains, build_sound
from node.app.run import COLLECTOR_THRESHOLDS
from node.ledger.roster import Parameters
from node.storage.execution import execute_block
from node.storage.flags import ALL
from node.storage.following import follow
from node.storage.index import IndexStore, create_index, open_index


@dataclass(frozen=True, slots=True)
class FlagFigures:
    """Events a second of processor time, of following alone. flags: how many stand at the end.

    behind_each_block: a step after each block of 1,000 events; catching_up: from the first block, in steps of its own;
    unsound: catching up with chains of which nine lots in ten are flagged.
    """

    events: int
    behind_each_block: float
    catching_up: float
    flags: int
    unsound: float
    unsound_flags: int


def measure_flags(*, events: int = 100_000) -> FlagFigures:
    """Return the figures over sets of about `events` events."""
    sound = list(build_sound(events=events))
    rough = [event for chain in build_chains(events=events // 4, large_lots=()) for event in chain.events]
    each, flags = _measure(sound, is_behind=False)
    behind, _ = _measure(sound, is_behind=True)
    unsound, unsound_flags = _measure(rough, is_behind=True)
    return FlagFigures(len(sound), each, behind, flags, unsound, unsound_flags)


def _measure(events: Sequence[dict[str, object]], *, is_behind: bool) -> tuple[float, int]:
    """Execute blocks of 1,000 events; return events a second of following, at the end or after each, and the flags."""
    genesis, key = build_network(Parameters(flag_back_dated_hours=876_000))
    batches = list(seal_batches(genesis, key, events))
    assert EVENTS_A_TRANSACTION * TRANSACTIONS_A_BATCH == 1_000
    with tempfile.TemporaryDirectory(prefix="lotvine-bench-") as folder:
        create_index(Path(folder) / "index", genesis)
        index = open_index(Path(folder) / "index", genesis)
        try:
            gc.collect()
            gc.freeze()
            gc.set_threshold(*COLLECTOR_THRESHOLDS)
            parent, seconds = genesis.anchor_digest, 0.0
            for number, batch in enumerate(batches, 1):
                block = build_block(genesis, parent, number, [batch])
                parent = block.header.digest()
                execute_block(index, block, [batch])
                if not is_behind:
                    seconds += _follow(index)
            seconds += _follow(index)
            with index.reader() as reader:
                return len(events) / seconds, sum(1 for _ in reader.flags.listed(ALL))
        finally:
            gc.unfreeze()
            index.close()


def _follow(index: IndexStore) -> float:
    begin = time.process_time()
    while follow(index) is not None:
        pass
    return time.process_time() - begin
