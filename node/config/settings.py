"""The keys of `node.toml`: one Struct a table, each field with its unit in its name, a default and a line of docs.

`docs/configuration.md` is checked against `describe_keys()`, so a key cannot be added in silence.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

LogFormat = Literal["words", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]


class P2pSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sessions with the other members' nodes."""

    listen: Annotated[str, Meta(description="Address for the other members' nodes, as host:port.")] = "127.0.0.1:26700"
    join: Annotated[
        tuple[str, ...],
        Meta(
            max_length=64,
            description="Addresses (host:port) to catch up from while too few validators are met by keys known here.",
        ),
    ] = ()
    member: Annotated[
        str, Meta(description="Who this node is, where genesis does not name its key: the member's short name.")
    ] = ""


class RpcSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The JSON-RPC listener, for this organisation's own systems."""

    listen: Annotated[
        str, Meta(description="Address for this organisation's own systems, as host:port; loopback only.")
    ] = "127.0.0.1:26701"
    body_bytes_max: Annotated[
        int, Meta(ge=65_536, le=1_073_741_824, description="Largest request body or WebSocket message, in bytes.")
    ] = 67_108_864
    batch_requests_max: Annotated[int, Meta(ge=1, le=10_000, description="Most requests in one JSON-RPC batch.")] = (
        1_000
    )
    inflight_requests_max: Annotated[
        int,
        Meta(ge=1, le=1_000_000, description="Most unanswered requests of one WebSocket; beyond it we stop reading."),
    ] = 4_096
    connections_max: Annotated[
        int,
        Meta(
            ge=1,
            le=100_000,
            description="Most connections open; then the one that asks nothing longest makes room.",
        ),
    ] = 256
    final_wait_ms: Annotated[
        int,
        Meta(ge=1, le=3_600_000, description="How long a request with wait = final waits at most, in milliseconds."),
    ] = 30_000
    question_seconds_max: Annotated[
        int, Meta(ge=1, le=3_600, description="How long one trace, scope or search may compute, in seconds.")
    ] = 60


class OperationsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The listener for health and metrics."""

    listen: Annotated[str, Meta(description="Address for health checks and metrics, as host:port; loopback only.")] = (
        "127.0.0.1:26702"
    )
    ready_lag_blocks_max: Annotated[
        int, Meta(ge=0, le=1_000_000, description="Blocks that a ready node may be behind in executing.")
    ] = 10


class LogSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the node writes to standard error."""

    format: Annotated[LogFormat, Meta(description="Lines in words or as JSON objects.")] = "words"
    level: Annotated[LogLevel, Meta(description="The least severe level that is written.")] = "info"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of `node.toml`."""

    p2p: P2pSettings = P2pSettings()
    rpc: RpcSettings = RpcSettings()
    operations: OperationsSettings = OperationsSettings()
    log: LogSettings = LogSettings()


ENVIRONMENT_PREFIX: Final = "LOTVINE_"
"""Of every variable; LOTVINE_HOME alone is not a key of `node.toml`."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of `node.toml`: its dotted path, variable, type, default and line of docs."""

    path: str
    variable: str
    type: Any
    default: object
    docs: str

    @property
    def shown_default(self) -> str:
        """The default as `docs/configuration.md` writes it."""
        return json.dumps(self.default) if isinstance(self.default, tuple) else str(self.default)


def describe_keys() -> Iterator[Key]:
    """Yield every key in the order of the file."""
    for table in msgspec.structs.fields(Settings):
        for field in msgspec.structs.fields(table.type):
            described = msgspec.json.schema(field.type)
            yield Key(
                path=f"{table.name}.{field.name}",
                variable=f"{ENVIRONMENT_PREFIX}{table.name}__{field.name}".upper(),
                type=field.type,
                default=field.default,
                docs=str(described.get("description", "")),
            )
