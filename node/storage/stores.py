"""All that a node keeps, made and opened together, and checked against one another.

The chain counts its writes and the vote log notes the count; the chain notes how far the vote log was on disk. The
index is derived: behind the chain it is caught up, ahead of it or on another block it is of another chain.
"""

from dataclasses import dataclass
from pathlib import Path

from node.errors import StorageError
from node.ledger.genesis import Genesis
from node.storage.chain import ChainStore, create_chain, open_chain
from node.storage.errors import REINDEX_ADVICE, VOTE_LOG_ADVICE, DamagedStoreError, DamagedVoteLogError
from node.storage.index import IndexStore, create_index, open_index
from node.storage.vote_log import VoteLog, create_vote_log, open_vote_log
from node.storage.vote_records import LoggedState


@dataclass(frozen=True, slots=True)
class StorePaths:
    """The folders of one home."""

    chain: Path
    index: Path
    votes: Path


@dataclass(frozen=True, slots=True)
class Stores:
    """The open stores, and what the vote log held when it was opened."""

    chain: ChainStore
    index: IndexStore
    vote_log: VoteLog
    logged: LoggedState

    def close(self) -> None:
        """Close all of them; the vote log last, since its lock says that this node runs."""
        try:
            self.index.close()
            self.chain.close()
        finally:
            self.vote_log.close()


def create_stores(paths: StorePaths, genesis: Genesis, *, public_key: bytes) -> None:
    """Make the empty stores of a new key. Raises FileExistsError or StorageError if something is there already.

    # Safety: called only in the step that makes the key: an empty vote log says that it has never voted.
    """
    create_vote_log(paths.votes, network_id=genesis.network_id, public_key=public_key)
    create_chain(paths.chain, genesis)
    create_index(paths.index, genesis)


def create_lost_stores(paths: StorePaths, genesis: Genesis) -> None:
    """Make the stores of a key whose vote log is lost: an empty chain, and no vote log.

    Raises StorageError if something is there already.
    """
    create_chain(paths.chain, genesis)
    create_index(paths.index, genesis)


def renew_chain(paths: StorePaths, genesis: Genesis, *, public_key: bytes) -> tuple[Path, ...]:
    """Set a damaged chain and the index aside and begin empty ones, which the other nodes fill; return what was kept.

    # Safety: the vote log stays and must be intact, so this node votes no second time where it voted before. It is
    # one of the f that may be missing until it has caught up: what it voted for, it no longer holds. Batches of its
    # own that no other node holds are lost; where one was logged as sent, it seals nothing before it has it back.

    The node must be stopped, the operator must have asked. Raises StorageError, or ConfigError if the node runs.
    """
    vote_log, _ = open_vote_log(paths.votes, network_id=genesis.network_id, public_key=public_key)
    try:
        kept = []
        # The index first: without a chain it is refused, while a chain without an index only asks for a reindex.
        for folder in (paths.index, paths.chain):
            if folder.exists():
                aside = _free_name(folder)
                folder.rename(aside)
                kept.append(aside)
        create_chain(paths.chain, genesis)
        create_index(paths.index, genesis)
        vote_log.append_chain_mark(0)
        vote_log.sync()
    except OSError as error:
        raise StorageError(f"cannot set the stores aside: {error}; check the disk and who may write to it") from error
    finally:
        vote_log.close()
    return tuple(kept)


def _free_name(folder: Path) -> Path:
    number = 1
    while (aside := folder.with_name(f"{folder.name}.damaged-{number}")).exists():
        number += 1
    return aside


def open_stores(paths: StorePaths, genesis: Genesis, *, public_key: bytes) -> Stores:
    """Open and check all of them. Slow: it reads much. Close them when done.

    Raises StorageError with the way out, or ConfigError if another process has them.
    """
    vote_log, logged = open_vote_log(paths.votes, network_id=genesis.network_id, public_key=public_key)
    opened: list[ChainStore | IndexStore] = []
    try:
        chain = open_chain(paths.chain, genesis)
        opened.append(chain)
        _check_each_other(chain, vote_log, logged)
        index = open_index(paths.index, genesis)
        opened.append(index)
        _check_index(chain, index)
    except BaseException:
        for store in opened:
            store.close()
        vote_log.close()
        raise
    return Stores(chain, index, vote_log, logged)


def _check_each_other(chain: ChainStore, vote_log: VoteLog, logged: LoggedState) -> None:
    if chain.commits < logged.chain_commits:
        raise chain.damaged(f"it has {chain.commits} writes of {logged.chain_commits} that were synced")
    if vote_log.position < chain.log_position():
        raise DamagedVoteLogError(
            f"the vote log ends at {vote_log.position}, before {chain.log_position()}, where it was once synced: "
            f"it was cut short or is an older copy; {VOTE_LOG_ADVICE}"
        )


def _check_index(chain: ChainStore, index: IndexStore) -> None:
    if index.height == 0:
        return
    if index.height > chain.final_height:
        raise chain.damaged(f"it ends at block {chain.final_height}, and block {index.height} was executed")
    with index.reader() as reader:
        executed = reader.find_block(index.height)
    if executed is None or executed.digest != chain.find_final_digest(index.height):
        raise DamagedStoreError(f"the index is of another chain than this one: {REINDEX_ADVICE}")
    if executed.state_digest != index.state_digest:
        raise StorageError(f"the index does not agree with itself: {REINDEX_ADVICE}")
