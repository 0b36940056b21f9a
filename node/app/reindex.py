"""Rebuilding the index of a stopped node."""

from collections.abc import Callable

from node.app.identity import load_genesis_and_key, store_paths
from node.config.home import Home, lock_home
from node.storage.chain import open_chain
from node.storage.reindex import Reindexed, reindex


def rebuild_index(home: Home, say: Callable[[int, int], None]) -> Reindexed:
    """Build the index of a home anew from its chain. say: told (height, final height) after each block.

    Raises ConfigError if the node runs or the home is wrong, StorageError if the chain is damaged.
    """
    genesis, _ = load_genesis_and_key(home)
    with lock_home(home):
        chain = open_chain(store_paths(home).chain, genesis)
        try:
            final_height = chain.final_height
            return reindex(chain, home.index, genesis, on_block=lambda height: say(height, final_height))
        finally:
            chain.close()
