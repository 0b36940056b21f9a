"""The bounds of a node towards its peers. Each stands against a way to waste its memory, sockets or time."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Budget:
    """How much may wait in one queue. bytes_max is passed by at most one frame or one read."""

    bytes_max: int
    count_max: int


@dataclass(frozen=True, slots=True)
class Limits:
    """All bounds, with the defaults of a running node. Times in milliseconds.

    handshake_ms: TLS and the first frame together. idle_ms: without a whole frame; a replica sends its status every
    2 s. stall_ms: a peer takes nothing of what we send. dial_ms: TCP connect. backoff_*: between attempts to dial;
    steady_ms: a session that stood so long resets the back-off. yield_ms: how long the node with the greater member
    id leaves the first attempt to the other one. join_ms: without a session with anyone, before an address of
    `p2p.join` is tried; patience_ms: with one that brings no block, before the next. tick_ms: how often silence is
    looked for. pending_*: accepted connections without a first frame.
    """

    handshake_ms: int = 5_000
    idle_ms: int = 15_000
    stall_ms: int = 15_000
    dial_ms: int = 5_000
    backoff_ms_min: int = 100
    backoff_ms_max: int = 5_000
    steady_ms: int = 5_000
    yield_ms: int = 400
    join_ms: int = 2_000
    patience_ms: int = 30_000
    mute_ms: int = 60_000
    tick_ms: int = 1_000
    pending_total: int = 128
    pending_per_source: int = 32
    consensus_out: Budget = Budget(bytes_max=1024 * 1024, count_max=1_000)
    data_out: Budget = Budget(bytes_max=8 * 1024 * 1024, count_max=4_096)
    bulk_out: Budget = Budget(bytes_max=8 * 1024 * 1024, count_max=1_024)
    consensus_in: Budget = Budget(bytes_max=1024 * 1024, count_max=1_000)
    data_in: Budget = Budget(bytes_max=8 * 1024 * 1024, count_max=4_096)
    bulk_in: Budget = Budget(bytes_max=8 * 1024 * 1024, count_max=1_024)


DEFAULT_LIMITS = Limits()
