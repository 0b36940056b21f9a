"""Homes, keys and genesis documents of new networks, written once before anything runs."""

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from node.app.identity import store_paths
from node.app.joining import build_join_request, encode_join_request
from node.clock import Clock
from node.config.addresses import Address, is_loopback, parse_address
from node.config.home import Home, create_home
from node.config.writing import render_settings
from node.crypto.keys import SigningKey, generate_key, store_key
from node.errors import ConfigError
from node.ledger.genesis import GENESIS_FORMAT, GenesisDocument, GenesisMember, decode_genesis, encode_genesis
from node.ledger.roster import TEXT_LENGTH_MAX, VALIDATORS_MAX, Parameters, Role, is_address, is_line
from node.storage.stores import create_lost_stores, create_stores
from node.wire.codec import MalformedError
from node.wire.ids import MemberId, read_member_id

PORTS_A_NODE: Final = 10
"""Nodes of a localnet are this many ports apart: p2p at +0, RPC at +1, operations at +2."""
BASE_PORT: Final = 26700
PORT_MAX: Final = 65_535


@dataclass(frozen=True, slots=True)
class Firm:
    """A member to be. id: see `MemberId`. organisation_id: a GLN or other id as a URI, or empty."""

    id: str
    name: str
    organisation_id: str = ""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where a node listens on loopback."""

    p2p: Address
    rpc: Address
    operations: Address


def ports_of(base_port: int, index: int) -> Ports:
    """Return the ports of the node at `index` of a localnet."""
    first = base_port + index * PORTS_A_NODE
    return Ports(*(Address("127.0.0.1", first + offset) for offset in range(3)))


def find_base_port(count: int, *, first: int) -> int:
    """Return the first base port from `first` on at which all ports of `count` nodes are free now.

    Raises ConfigError if there is none near.
    """
    span = count * PORTS_A_NODE
    for base_port in range(first, min(first + 50 * span, PORT_MAX - span), span):
        if all(_is_free(base_port + offset) for offset in range(span)):
            return base_port
    raise ConfigError([f"no {span} free ports in a row from {first} on: give --base-port"])


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def create_localnet(
    folder: Path, firms: Sequence[Firm], *, network: str, base_port: int, clock: Clock
) -> tuple[Home, ...]:
    """Write `genesis.json` and one home a firm below `folder`, named by the firm's id; all are validators.

    Raises ConfigError if the folder is in use or a number is out of bounds; nothing is written then.
    """
    problems = []
    if not 1 <= len(firms) <= VALIDATORS_MAX:
        problems.append(f"--validators {len(firms)}: from 1 to {VALIDATORS_MAX}")
    highest = PORT_MAX - PORTS_A_NODE * min(max(len(firms), 1), VALIDATORS_MAX)
    if not 1024 <= base_port <= highest:
        problems.append(f"--base-port {base_port}: from 1024 to {highest}")
    if folder.exists() and any(folder.iterdir()):
        problems.append(f"{folder} exists and is not empty: choose another folder, nothing was changed")
    if problems:
        raise ConfigError(problems)
    keys = [_generate_keys() for _ in firms]
    members = [
        _member(firm, key, ports_of(base_port, index).p2p)
        for index, (firm, key) in enumerate(zip(firms, keys, strict=True))
    ]
    encoded = _encode(network, members, clock)
    homes = []
    for index, (firm, key) in enumerate(zip(firms, keys, strict=True)):
        ports = ports_of(base_port, index)
        listens = {
            "p2p.listen": str(ports.p2p),
            "rpc.listen": str(ports.rpc),
            "operations.listen": str(ports.operations),
            "p2p.member": firm.id,
        }
        homes.append(_write_home(folder / firm.id, key, encoded, listens))
    (folder / "genesis.json").write_bytes(encoded)
    return tuple(homes)


def create_organisation(root: Path, firm: Firm, *, network: str, address: Address, clock: Clock) -> Home:
    """Write the home of one organisation, the only validator of a new network. address: of its node, for others.

    Raises ConfigError if the folder is in use or a name is not allowed; nothing is written then.
    """
    problems = _problems_of_firm(firm, address)
    if problems:
        raise ConfigError(problems)
    key = _generate_keys()
    encoded = _encode(network, [_member(firm, key, address)], clock)
    return _write_home(root, key, encoded, {"p2p.listen": str(_listen_for(address)), "p2p.member": firm.id})


def create_joining_home(root: Path, firm: Firm, *, genesis: bytes, address: Address, join: Address) -> Home:
    """Write the home of a firm that joins a running network, and the request that it hands to a member.

    genesis: the network's file. join: where a member's node answers. Raises ConfigError if the folder is in use, a name
    is not allowed or taken, or the file is no genesis; nothing is written then.
    """
    network = decode_genesis(genesis)
    keys = _generate_keys()
    problems = _problems_of_firm(firm, address)
    if network.roster.find(MemberId(firm.id)) is not None:
        problems.append(f"--member {firm.id}: the network has a member of this name already: choose another")
    if problems:
        raise ConfigError(problems)
    request = build_join_request(
        network.network_id,
        member=firm.id,
        name=firm.name,
        organisation_id=firm.organisation_id,
        address=str(address),
        node_key=keys.node,
        actor_keys=(keys.actor.public_key.hex(),),
    )
    settings = {"p2p.listen": str(_listen_for(address)), "p2p.join": [str(join)], "p2p.member": firm.id}
    home = _write_home(root, keys, genesis, settings)
    _write_file(home.join_request, encode_join_request(request))
    return home


def create_replacement_home(
    root: Path, key: SigningKey, *, genesis: bytes, member: str, address: Address | None, join: Address | None
) -> Home:
    """Write the home of a member whose machine was lost: the same key, and no memory of what it signed.

    # Safety: no vote log is made, for the key has one somewhere: the node asks the others before it signs anything.

    member: empty where genesis names the key. address: where others reach it, None as genesis has it. Raises
    ConfigError if the folder is in use or the member cannot be told; nothing is written then.
    """
    network = decode_genesis(genesis)
    named = next((one for one in network.roster.members.values() if one.node_key == key.public_key), None)
    problems = []
    if named is not None and member not in ("", named.id):
        problems.append(f"--member {member}: in this genesis the key is that of {named.id}")
    if named is None and not member:
        problems.append("--member is missing: genesis does not name this key, so say whose node it is")
    known = named or network.roster.find(MemberId(member))
    if address is None and known is None and not problems:
        problems.append(f"--address is missing: genesis does not know where {member} is reached")
    if problems:
        raise ConfigError(problems)
    reached = address or parse_address(known.address if known else "")
    settings: dict[str, object] = {
        "p2p.listen": str(_listen_for(reached)),
        "p2p.member": named.id if named else member,
    }
    if join is not None:
        settings["p2p.join"] = [str(join)]
    home = create_home(root)
    try:
        store_key(home.node_key, key)
        create_lost_stores(store_paths(home), network)
        home.genesis.write_bytes(genesis)
        home.settings.write_text(render_settings(settings), encoding="utf-8")
    except OSError as error:
        raise ConfigError([f"cannot write into {root}: {error}"]) from error
    return home


def _listen_for(address: Address) -> Address:
    """Return where a node listens that others reach at `address`."""
    return address if is_loopback(address) else Address("0.0.0.0", address.port)  # noqa: S104 - authenticated by TLS


def _problems_of_firm(firm: Firm, address: Address) -> list[str]:
    problems = []
    try:
        read_member_id(firm.id, "--member")
    except MalformedError as error:
        problems.append(str(error))
    for option, text, lowest in (("--name", firm.name, 1), ("--organisation-id", firm.organisation_id, 0)):
        if not lowest <= len(text) <= TEXT_LENGTH_MAX:
            problems.append(f"{option}: {len(text)} characters, not {lowest} to {TEXT_LENGTH_MAX}")
        if not is_line(text):
            problems.append(f"{option}: {text!r} has control characters: give it in one line of plain text")
    if not is_address(str(address)):
        problems.append(f"--address {address} is not host:port")
    return problems


def write_new_file(path: Path) -> BinaryIO:
    """Return a new file of mode 0600, open for writing. Raises FileExistsError, OSError."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _write_file(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ConfigError([f"cannot write {path}: {error.strerror or error}"]) from error


@dataclass(frozen=True, slots=True)
class _Keys:
    node: SigningKey
    actor: SigningKey


def _generate_keys() -> _Keys:
    return _Keys(generate_key(), generate_key())


def _member(firm: Firm, keys: _Keys, address: Address) -> GenesisMember:
    return GenesisMember(
        id=firm.id,
        name=firm.name,
        role=Role.VALIDATOR,
        node_key=keys.node.public_key.hex(),
        actor_keys=(keys.actor.public_key.hex(),),
        address=str(address),
        organisation_id=firm.organisation_id,
    )


def _encode(network: str, members: Sequence[GenesisMember], clock: Clock) -> bytes:
    document = GenesisDocument(
        format=GENESIS_FORMAT,
        network=network,
        incarnation=0,
        created_ms=clock.wall_ms(),
        members=tuple(sorted(members, key=lambda member: member.id)),
        parameters=Parameters(),
    )
    encoded = encode_genesis(document)
    decode_genesis(encoded)  # Raises ConfigError for a name or address that no node would take.
    return encoded


def _write_home(root: Path, keys: _Keys, genesis: bytes, settings: Mapping[str, object]) -> Home:
    home = create_home(root)
    try:
        store_key(home.node_key, keys.node)
        store_key(home.actor_key, keys.actor)
        network = decode_genesis(genesis)
        # The one moment in which an empty vote log is true: the key is new and has never voted.
        create_stores(store_paths(home), network, public_key=keys.node.public_key)
        home.genesis.write_bytes(genesis)
        home.settings.write_text(render_settings(settings), encoding="utf-8")
    except OSError as error:
        raise ConfigError([f"cannot write into {root}: {error}"]) from error
    return home
