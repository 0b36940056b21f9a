"""All that a node keeps, made and opened together, and checked against one another.

The chain counts its writes and the vote log notes the count; the chain notes how far the vote log was on disk. The
index is derived: behind the chain it is caught up, ahead of it or on another block it is of another chain.

A vote log that is missing, damaged or older than the chain has seen it is lost. It is set aside, never deleted, and a
new one takes its place that says so in its first record (docs/protocol.md, Durability).
"""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from node.errors import StorageError
from node.ledger.genesis import Genesis
from node.storage.chain import ChainStore, create_chain, open_chain
from node.storage.errors import REINDEX_ADVICE, VOTE_LOG_ADVICE, DamagedStoreError, DamagedVoteLogError
from node.storage.index import IndexStore, create_index, open_index
from node.storage.vote_log import VoteLog, create_lost_log, create_vote_log, open_vote_log
from node.storage.vote_records import LoggedState, LogPosition


@dataclass(frozen=True, slots=True)
class StorePaths:
    """The folders of one home."""

    chain: Path
    index: Path
    votes: Path


@dataclass(frozen=True, slots=True)
class LostLog:
    """Why the vote log was found lost at this start, and where what was left of it is kept, if anything was."""

    why: str
    kept: Path | None


@dataclass(frozen=True, slots=True)
class Stores:
    """The open stores, and what the vote log held when it was opened. lost: None unless it was just found lost."""

    chain: ChainStore
    index: IndexStore
    vote_log: VoteLog
    logged: LoggedState
    lost: LostLog | None = None

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

    # Safety: the vote log stays, so this node votes no second time where it voted before; a lost one is set aside
    # too, and a new one begun that says so. The node is one of the f that may be missing until it has caught up: what
    # it voted for, it no longer holds. Batches of its own that no other node holds are lost; where one was logged as
    # sent, it seals nothing before it has it back.

    The node must be stopped, the operator must have asked. Raises StorageError, or ConfigError if the node runs.
    """
    found = _find_votes(paths, genesis, public_key=public_key)
    if isinstance(found, DamagedVoteLogError):
        vote_log, _, lost = _replace_votes(paths, genesis, found, first_segment=1, public_key=public_key)
    else:
        (vote_log, _), lost = found, LostLog("", None)
    try:
        kept = [] if lost.kept is None else [lost.kept]
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


def _find_votes(
    paths: StorePaths, genesis: Genesis, *, public_key: bytes
) -> tuple[VoteLog, LoggedState] | DamagedVoteLogError:
    """Return the log and what it holds, or that it is lost, and why."""
    try:
        return open_vote_log(paths.votes, network_id=genesis.network_id, public_key=public_key)
    except DamagedVoteLogError as error:
        return error


def _replace_votes(
    paths: StorePaths, genesis: Genesis, why: DamagedVoteLogError, *, first_segment: int, public_key: bytes
) -> tuple[VoteLog, LoggedState, LostLog]:
    """Set aside what is left of a lost vote log and begin one that says so."""
    kept = None
    try:
        if paths.votes.exists():
            kept = _free_name(paths.votes)
            paths.votes.rename(kept)
        create_lost_log(paths.votes, network_id=genesis.network_id, public_key=public_key, first_segment=first_segment)
    except OSError as error:
        raise StorageError(f"cannot set the vote log aside: {error}; check the disk and who may write to it") from error
    vote_log, logged = open_vote_log(paths.votes, network_id=genesis.network_id, public_key=public_key)
    return vote_log, logged, LostLog(str(why), kept)


def open_stores(paths: StorePaths, genesis: Genesis, *, public_key: bytes) -> Stores:
    """Open and check all of them. Slow: it reads much. Close them when done.

    A lost vote log is replaced by one that says so; a home whose data are gone altogether begins with an empty chain
    and such a log. Raises StorageError with the way out, or ConfigError if another process has them.
    """
    if not any(folder.exists() for folder in (paths.chain, paths.index, paths.votes)):
        create_lost_stores(paths, genesis)
    with ExitStack() as opened:
        found = _find_votes(paths, genesis, public_key=public_key)
        if not isinstance(found, DamagedVoteLogError):
            # First opened and last closed: its lock says that this node runs.
            opened.callback(found[0].close)
        chain = open_chain(paths.chain, genesis)
        opened.callback(chain.close)
        vote_log, logged, lost = _judge_votes(paths, genesis, chain, found, public_key=public_key)
        opened.callback(vote_log.close)
        index = open_index(paths.index, genesis)
        opened.callback(index.close)
        _check_index(chain, index)
        opened.pop_all()
    return Stores(chain, index, vote_log, logged, lost)


def _judge_votes(
    paths: StorePaths,
    genesis: Genesis,
    chain: ChainStore,
    found: tuple[VoteLog, LoggedState] | DamagedVoteLogError,
    *,
    public_key: bytes,
) -> tuple[VoteLog, LoggedState, LostLog | None]:
    """Return the log that was found if it is all that the chain has seen of it, else one in place of a lost one."""
    mark = chain.log_position()
    if not isinstance(found, DamagedVoteLogError):
        vote_log, logged = found
        older = _find_older(vote_log, mark)
        if older is None and chain.commits >= logged.chain_commits:
            return vote_log, logged, None
        vote_log.close()
        if older is None:
            raise chain.damaged(f"it has {chain.commits} writes of {logged.chain_commits} that were synced")
        found = older
    first = mark.segment + 1 if mark.public_key == public_key else 1
    return _replace_votes(paths, genesis, found, first_segment=first, public_key=public_key)


def _find_older(vote_log: VoteLog, mark: LogPosition) -> DamagedVoteLogError | None:
    """Return that the log ends before a position at which it was once synced, if it does.

    A log of another key than the chain has seen was born with that key: its positions are others.
    """
    position = vote_log.position
    if mark.public_key != position.public_key or position >= mark:
        return None
    return DamagedVoteLogError(
        f"the vote log ends at {position}, before {mark}, where it was once synced: it was cut short or is an older "
        f"copy; {VOTE_LOG_ADVICE}"
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
