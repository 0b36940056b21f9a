"""Who this node is: its genesis, its key, and the member whose key that is."""

from dataclasses import dataclass

from node.config.home import Home
from node.crypto.keys import SigningKey, load_key
from node.errors import ConfigError
from node.ledger.genesis import GENESIS_BYTES_MAX, Genesis, decode_genesis
from node.ledger.roster import Member
from node.storage.stores import StorePaths


@dataclass(frozen=True, slots=True)
class Identity:
    """A node's place in its network."""

    genesis: Genesis
    key: SigningKey
    member: Member


def store_paths(home: Home) -> StorePaths:
    """Return where the stores of a home lie."""
    return StorePaths(chain=home.chain, index=home.index, votes=home.votes)


def load_identity(home: Home) -> Identity:
    """Return who the node of a home is. Raises ConfigError with all that is wrong with genesis and key."""
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
    for member in genesis.members.values():
        if member.node_key == key.public_key:
            return Identity(genesis, key, member)
    which = f"{home.node_key} is the key of no member in {home.genesis} (public key {key.public_key.hex()})"
    raise ConfigError([f"{which}: key and genesis are not of one home"])


def _load_genesis(home: Home) -> Genesis:
    try:
        with home.genesis.open("rb") as file:
            encoded = file.read(GENESIS_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError([str(error.strerror or error)]) from error
    return decode_genesis(encoded)
