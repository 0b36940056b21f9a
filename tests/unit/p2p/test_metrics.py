"""What the sessions count is scraped under its declared names."""

from node.p2p.errors import Refusal
from node.p2p.metrics import SessionMetrics
from node.telemetry.metrics import Metrics
from node.wire.tags import Tag


def test_messages_are_scraped_by_kind_and_direction() -> None:
    """Label values come from enums."""
    metrics = Metrics()
    sessions = SessionMetrics(metrics)
    for size in (100, 50):
        sessions.on_sent(Tag.VOTE, size)
    sessions.on_received(Tag.BATCH, 7)
    sessions.on_dropped(Tag.CHAIN)
    sessions.on_closed(Refusal.WRONG_NETWORK)
    sessions.on_peers(3)
    lines = metrics.render().decode().splitlines()
    for line in (
        'p2p_messages_total{direction="sent",kind="vote"} 2.0',
        'p2p_bytes_total{direction="sent",kind="vote"} 150.0',
        'p2p_messages_total{direction="received",kind="batch"} 1.0',
        'p2p_bytes_total{direction="received",kind="batch"} 7.0',
        'p2p_dropped_total{kind="chain"} 1.0',
        'p2p_ended_total{reason="wrong_network"} 1.0',
        "p2p_peers 3.0",
    ):
        assert line in lines
