"""Giving a stopped node with a damaged chain an empty one, to be filled by the other nodes."""

from pathlib import Path

from node.app.identity import load_genesis_and_key, store_paths
from node.app.rotation import finish_adopting
from node.config.home import Home, lock_home
from node.storage.stores import renew_chain


def renew_stores(home: Home) -> tuple[Path, ...]:
    """Set chain and index of a home aside and begin empty ones; return where the old ones are kept.

    Raises ConfigError if the node runs or the home is wrong, StorageError if its vote log is not intact.
    """
    with lock_home(home):
        # A log that is only on its way to its new place is not lost.
        finish_adopting(home)
        genesis, key = load_genesis_and_key(home)
        return renew_chain(store_paths(home), genesis, public_key=key.public_key)
