"""The metrics of a node: names are package, thing, unit; label values come from enums or code, never from peers.

One registry a node, so that two nodes in one process never mix. Most values are read from the parts at the moment
of a scrape: counting costs the hot path nothing but an integer addition. `docs/operations.md` is checked against
`METRICS`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


@dataclass(frozen=True, slots=True)
class Described:
    """A metric's name as scraped, its kind, its labels and a line of docs."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    docs: str
    labels: tuple[str, ...] = ()


METRICS: Final = (
    Described("api_requests_total", "counter", "RPC requests answered.", ("method", "outcome")),
    Described("api_request_seconds", "histogram", "Time from request to answer.", ("method",)),
    Described("api_websockets", "gauge", "Open WebSockets."),
    Described("consensus_view", "gauge", "View that the node is in."),
    Described("consensus_finalized_height", "gauge", "Height of the newest finalized block known."),
    Described("consensus_observing", "gauge", "1 while the node votes for nothing, as status says why."),
    Described("ledger_epoch", "gauge", "Number of the present epoch."),
    Described("ledger_validators", "gauge", "Validators of the present epoch."),
    Described("ledger_open_proposals", "gauge", "Proposals that are open."),
    Described("ledger_waiting_proposals", "gauge", "Proposals that are approved and wait for an epoch."),
    Described("ledger_executed_height", "gauge", "Height of the newest executed block."),
    Described("storage_flags_height", "gauge", "Height that flags hold at."),
    Described("ledger_transactions_total", "counter", "Transactions executed."),
    Described("ledger_events_total", "counter", "Events executed."),
    Described("feed_own_batches", "gauge", "Batches that this node has put on its own feed."),
    Described("feed_pending_transactions", "gauge", "Transactions accepted here that are not final yet."),
    Described(
        "feed_lapsed_transactions", "gauge", "Transactions accepted here that never become final: enter them again."
    ),
    Described("p2p_peers", "gauge", "Members' nodes connected."),
    Described("p2p_messages_total", "counter", "Whole messages between nodes.", ("kind", "direction")),
    Described("p2p_bytes_total", "counter", "Bytes of those messages, without framing.", ("kind", "direction")),
    Described("p2p_dropped_total", "counter", "Messages dropped as a peer's queue was full.", ("kind",)),
    Described("p2p_ended_total", "counter", "Connections refused and sessions ended.", ("reason",)),
    Described("p2p_peers_expected", "gauge", "Members' nodes of the network but this one."),
)
_BY_NAME: Final = {metric.name: metric for metric in METRICS}
_SECONDS: Final = (0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0)


class Metrics:
    """The registry of one node."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._sampled: dict[str, Callable[[], float]] = {}
        self._registry.register(_Sampler(self._sampled))

    def counter(self, name: str) -> Counter:
        """Return a new counter that METRICS describes."""
        one = _BY_NAME[name]
        return Counter(one.name.removesuffix("_total"), one.docs, one.labels, registry=self._registry)

    def histogram(self, name: str) -> Histogram:
        """Return a new histogram of seconds that METRICS describes."""
        one = _BY_NAME[name]
        return Histogram(one.name, one.docs, one.labels, registry=self._registry, buckets=_SECONDS)

    def sample(self, name: str, read: Callable[[], float]) -> None:
        """Have a metric that METRICS describes read by `read`, which returns at once, at each scrape."""
        self._sampled[_BY_NAME[name].name] = read

    def render(self) -> bytes:
        """Return the Prometheus text format."""
        return generate_latest(self._registry)


class _Sampler(Collector):
    """Reads the sampled metrics."""

    def __init__(self, sampled: Mapping[str, Callable[[], float]]) -> None:
        self._sampled = sampled

    def collect(self) -> Iterable[Metric]:
        """Yield each sampled metric with its value of now."""
        for name, read in self._sampled.items():
            one = _BY_NAME[name]
            if one.kind == "counter":
                yield CounterMetricFamily(name.removesuffix("_total"), one.docs, value=read())
            else:
                yield GaugeMetricFamily(name, one.docs, value=read())
