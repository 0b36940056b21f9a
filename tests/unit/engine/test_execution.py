"""The cache of batches between storing and executing."""

from node.engine.execution import BatchCache
from node.ledger.batch import Batch
from tests.support.networks import build_batch, build_genesis, build_transaction

GENESIS = build_genesis()


def build(nonce: int) -> Batch:
    return build_batch(GENESIS, build_transaction(GENESIS, nonce=nonce))


def test_a_kept_batch_is_given_out_once() -> None:
    """It is executed once."""
    cache, batch = BatchCache(), build(0)
    cache.put(batch)
    cache.put(batch)
    assert cache.pop(batch.digest) is batch
    assert cache.pop(batch.digest) is None


def test_the_oldest_go_when_there_are_too_many_bytes() -> None:
    """They are read from the chain then."""
    batches = [build(nonce) for nonce in range(5)]
    size = len(batches[0].encoded)
    cache = BatchCache(bytes_max=3 * size)
    for batch in batches:
        cache.put(batch)
    assert [cache.pop(batch.digest) for batch in batches] == [None, None, *batches[2:]]
    for batch in batches[:3]:
        cache.put(batch)
    assert cache.pop(batches[0].digest) is batches[0]
