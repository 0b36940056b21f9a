"""What this package counts, as a Protocol that telemetry fills in. Label values come from enums only."""

from typing import Protocol

from node.p2p.errors import Refusal
from node.telemetry.metrics import Metrics
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


class SessionMetrics:
    """Counts into a node's registry. The children of each label are looked up once: a frame costs two additions."""

    def __init__(self, metrics: Metrics) -> None:
        messages, size = metrics.counter("p2p_messages_total"), metrics.counter("p2p_bytes_total")
        dropped, ended = metrics.counter("p2p_dropped_total"), metrics.counter("p2p_ended_total")
        names = {kind: kind.name.lower() for kind in Tag}
        self._sent = {kind: (messages.labels(name, "sent"), size.labels(name, "sent")) for kind, name in names.items()}
        self._received = {
            kind: (messages.labels(name, "received"), size.labels(name, "received")) for kind, name in names.items()
        }
        self._dropped = {kind: dropped.labels(name) for kind, name in names.items()}
        self._ended = {reason: ended.labels(reason.value) for reason in Refusal}
        self._connected = 0
        metrics.sample("p2p_peers", lambda: self._connected)

    def on_sent(self, kind: Tag, size: int) -> None:
        """Count a frame out."""
        count, total = self._sent[kind]
        count.inc()
        total.inc(size)

    def on_received(self, kind: Tag, size: int) -> None:
        """Count a frame in."""
        count, total = self._received[kind]
        count.inc()
        total.inc(size)

    def on_dropped(self, kind: Tag) -> None:
        """Count a frame that was not sent."""
        self._dropped[kind].inc()

    def on_closed(self, reason: Refusal) -> None:
        """Count an end by its reason."""
        self._ended[reason].inc()

    def on_peers(self, connected: int) -> None:
        """Keep the number for the next scrape."""
        self._connected = connected
