"""Health in words, part by part."""

from node.telemetry.health import Health, PartHealth, State


def test_only_needed_parts_keep_a_node_from_being_ready() -> None:
    """Degraded is ready: three of four firms are enough to go on."""
    health = Health()
    health.add("engine", lambda: PartHealth(State.STARTING, "catching up"), is_needed=True)
    health.add("peers", lambda: PartHealth(State.FAILED, "none"), is_needed=False)
    health.add("store", lambda: PartHealth(State.DEGRADED, "slow"), is_needed=True)
    assert list(health.report()) == ["engine", "peers", "store"]
    assert list(health.find_unready()) == ["engine"]
