"""Every metric and operations route is on its page."""

from pathlib import Path

from node.api.listeners import OPERATIONS_ROUTES
from node.telemetry.health import State
from node.telemetry.metrics import METRICS

PAGE = (Path(__file__).parents[3] / "docs" / "operations.md").read_text(encoding="utf-8")


def test_every_metric_is_documented_with_its_labels() -> None:
    """One row a metric, as it is declared."""
    rows = [
        line
        for line in PAGE.splitlines()
        if line.endswith(" |") and line.split("|")[2].strip() in {"counter", "gauge", "histogram"}
    ]
    labels = {metric.name: "{" + ",".join(metric.labels) + "}" if metric.labels else "" for metric in METRICS}
    assert rows == [f"| `{metric.name}{labels[metric.name]}` | {metric.kind} | {metric.docs} |" for metric in METRICS]


def test_every_operations_route_and_state_is_documented() -> None:
    """By its path and word."""
    for route in OPERATIONS_ROUTES:
        assert f"| `{route}` |" in PAGE
    for state in State:
        assert f"*{state}*" in PAGE
