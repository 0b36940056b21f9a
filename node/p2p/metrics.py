"""What this package counts, as a Protocol that telemetry fills in. Label values come from enums only."""

from typing import Protocol

from node.p2p.errors import Refusal
from node.wire.tags import Tag


class P2pMetrics(Protocol):
    """Counters of the sessions between nodes. Called on the hot path: each call should be an addition or two."""

    def on_sent(self, kind: Tag, size: int) -> None:
        """A frame of `size` bytes was handed to the socket."""
        ...

    def on_received(self, kind: Tag, size: int) -> None:
        """A whole frame of `size` bytes arrived."""
        ...

    def on_dropped(self, kind: Tag) -> None:
        """A frame for a connected peer was dropped, as its queue was full; or a waiting status was replaced."""
        ...

    def on_closed(self, reason: Refusal) -> None:
        """A connection was refused or a session ended."""
        ...

    def on_peers(self, connected: int) -> None:
        """So many members are connected now."""
        ...


class NoMetrics:
    """Counts nothing."""

    def on_sent(self, kind: Tag, size: int) -> None:
        """Do nothing."""

    def on_received(self, kind: Tag, size: int) -> None:
        """Do nothing."""

    def on_dropped(self, kind: Tag) -> None:
        """Do nothing."""

    def on_closed(self, reason: Refusal) -> None:
        """Do nothing."""

    def on_peers(self, connected: int) -> None:
        """Do nothing."""
