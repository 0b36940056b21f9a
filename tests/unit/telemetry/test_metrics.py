"""Metrics: declared once, one registry a node."""

import re

import pytest

from node.telemetry.metrics import METRICS, Metrics

PACKAGES = "api|consensus|engine|feed|intake|ledger|p2p|query|storage"


def test_names_are_package_thing_and_unit() -> None:
    """Names are package, thing, unit; counters end in total."""
    for metric in METRICS:
        assert re.fullmatch(rf"({PACKAGES})(_[a-z0-9]+)+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert metric.name.endswith("_seconds") == (metric.kind == "histogram")
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_a_scrape_reads_counters_and_samples_under_their_declared_names() -> None:
    """What is scraped is what is declared."""
    metrics = Metrics()
    metrics.counter("api_requests_total").labels("tx.get", "answered").inc()
    metrics.histogram("api_request_seconds").labels("tx.get").observe(0.01)
    metrics.sample("ledger_events_total", lambda: 42)
    metrics.sample("p2p_peers", lambda: 3)
    text = metrics.render().decode()
    assert 'api_requests_total{method="tx.get",outcome="answered"} 1.0' in text
    assert 'api_request_seconds_count{method="tx.get"} 1.0' in text
    assert "ledger_events_total 42.0" in text
    assert "p2p_peers 3.0" in text


def test_two_nodes_in_one_process_do_not_mix() -> None:
    """Each has its own registry; a name that is not declared is our bug."""
    first, second = Metrics(), Metrics()
    first.sample("p2p_peers", lambda: 3)
    assert "p2p_peers" not in second.render().decode()
    with pytest.raises(KeyError):
        first.sample("undeclared", lambda: 0)
