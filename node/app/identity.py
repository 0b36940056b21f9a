"""Who this node is: its genesis, its key, and the member whose key that is."""

from dataclasses import dataclass
from pathlib import Path

from node.config.home import Home
from node.crypto.keys import SigningKey, load_key
from node.errors import ConfigError
from node.ledger.genesis import GENESIS_BYTES_MAX, Genesis, decode_genesis
from node.storage.stores import StorePaths
from node.wire.codec import MalformedError
from node.wire.ids import MemberId, read_member_id


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a node is: its network, its key, and the member whose node it is.

    Whether the network knows the member by this key yet, or still, the roster of the present epoch says.
    """

    genesis: Genesis
    key: SigningKey
    member: MemberId


def store_paths(home: Home) -> StorePaths:
    """Return where the stores of a home lie."""
    return StorePaths(chain=home.chain, index=home.index, votes=home.votes)


def load_identity(home: Home, *, member: str) -> Identity:
    """Return who the node of a home is. Raises ConfigError with all that is wrong with genesis, key and member.

    member: as `p2p.member` of the settings says; empty where genesis names the key.
    """
    genesis, key = load_genesis_and_key(home)
    named = next((one.id for one in genesis.roster.members.values() if one.node_key == key.public_key), None)
    if named is not None and member not in ("", named):
        raise ConfigError([f"p2p.member = {member!r}, but {home.node_key} is the key of {named} in {home.genesis}"])
    if named is None and not member:
        which = f"{home.node_key} is the key of no member in {home.genesis} (public key {key.public_key.hex()})"
        way_out = "set p2p.member to the member's short name if its key was rotated or it joined later"
        raise ConfigError([f"{which}: key and genesis are not of one home; {way_out}"])
    try:
        return Identity(genesis, key, named or read_member_id(member, "p2p.member"))
    except MalformedError as error:
        raise ConfigError([str(error)]) from error


def load_genesis_and_key(home: Home) -> tuple[Genesis, SigningKey]:
    """Return the network and the key of a home. Raises ConfigError with all that is wrong with them."""
    problems: list[str] = []
    genesis, key = None, None
    try:
        genesis = _load_genesis(home)
    except ConfigError as error:
        problems += [f"{home.genesis}: {problem}" for problem in error.problems]
    try:
        key = load_key(home.node_key)
    except ConfigError as error:
        problems += error.problems
    if genesis is None or key is None:
        raise ConfigError(problems)
    return genesis, key


def _load_genesis(home: Home) -> Genesis:
    return decode_genesis(read_genesis_file(home.genesis))


def read_genesis_file(path: Path) -> bytes:
    """Return the content of a genesis file, at most one byte over what is allowed. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            return file.read(GENESIS_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError([str(error.strerror or error)]) from error
