"""bench/core.py: the figures of the core are of runs that make blocks, and mean what they say."""

import pytest

from bench.core import measure_latency, measure_load


@pytest.mark.parametrize("is_real", [True, False], ids=["ed25519", "bare"])
def test_a_view_of_four_costs_each_some_twelve_messages(*, is_real: bool) -> None:
    """Three others send a proposal or a vote, a certificate, a finalize vote and a finalization."""
    found = measure_load(4, blocks=5, is_real=is_real)
    assert 8 <= found.messages <= 20
    assert 0 < found.cpu_ms < 100
    assert found.views_per_second == pytest.approx(1_000 / found.cpu_ms)
    assert found.messages_per_second == pytest.approx(found.messages * found.views_per_second)


def test_a_block_is_final_after_three_hops_and_three_syncs_at_least() -> None:
    """Proposal, notarize, finalize, each with its record on disk before it is sent."""
    assert 3 * 40 + 3 * 20 <= measure_latency(4, blocks=2, delay_ms=40, sync_ms=20) < 3 * 40 + 3 * 20 + 100
