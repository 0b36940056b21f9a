"""What a firm hands to a member of a network that it wants to join: who it is, its keys, and where its node answers.

A JSON file signed by the firm's own node key, so that nobody is entered with a key that is not his. It gives no right
by itself: the members decide, by `lotvine govern`.
"""

from pathlib import Path
from typing import Annotated, Final

import msgspec

from consensus.types import Digest
from node.crypto.digests import JOIN_DOMAIN
from node.crypto.keys import SigningKey, verify_signature
from node.errors import ConfigError
from node.wire.codec import pack

REQUEST_FORMAT: Final = 1
REQUEST_BYTES_MAX: Final = 256 * 1024

_HexKey = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class JoinRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file. network_id, node_key, actor_keys: hex. proof: the node key's signature, hex; see `signing_bytes`."""

    format: Annotated[int, msgspec.Meta(ge=REQUEST_FORMAT, le=REQUEST_FORMAT)]
    network_id: _HexKey
    id: str
    name: str
    organisation_id: str
    node_key: _HexKey
    actor_keys: tuple[_HexKey, ...]
    address: str
    proof: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{128})?$")] = ""

    def signing_bytes(self) -> bytes:
        """Return what the node key signs: domain, network id, and the fields as one msgpack array."""
        fields = (
            self.id,
            self.name,
            self.organisation_id,
            bytes.fromhex(self.node_key),
            tuple(bytes.fromhex(key) for key in self.actor_keys),
            self.address,
        )
        return JOIN_DOMAIN + bytes.fromhex(self.network_id) + pack(fields)

    @property
    def is_proved(self) -> bool:
        """Whether it is signed by the node key that it names."""
        return verify_signature(bytes.fromhex(self.node_key), self.signing_bytes(), bytes.fromhex(self.proof))


def build_join_request(
    network_id: Digest,
    *,
    member: str,
    name: str,
    organisation_id: str,
    address: str,
    node_key: SigningKey,
    actor_keys: tuple[str, ...],
) -> JoinRequest:
    """Return a signed request. actor_keys: hex."""
    unsigned = JoinRequest(
        format=REQUEST_FORMAT,
        network_id=network_id.hex(),
        id=member,
        name=name,
        organisation_id=organisation_id,
        node_key=node_key.public_key.hex(),
        actor_keys=actor_keys,
        address=address,
    )
    return msgspec.structs.replace(unsigned, proof=node_key.sign(unsigned.signing_bytes()).hex())


def encode_join_request(request: JoinRequest) -> bytes:
    """Return the file of a request."""
    return msgspec.json.format(msgspec.json.encode(request), indent=2) + b"\n"


def load_join_request(path: Path) -> JoinRequest:
    """Return the request in a file. Raises ConfigError: unreadable, of another format, or not signed by its own key."""
    try:
        with path.open("rb") as file:
            encoded = file.read(REQUEST_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror or error}"]) from error
    if len(encoded) > REQUEST_BYTES_MAX:
        raise ConfigError([f"{path}: over {REQUEST_BYTES_MAX} bytes: this is no join request"])
    try:
        request = msgspec.json.decode(encoded, type=JoinRequest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError([f"{path}: no join request: {error}; lotvine init --join writes one"]) from error
    if not request.is_proved:
        words = "its proof is not by the node key that it names: it was changed on the way, get it again from that firm"
        raise ConfigError([f"{path}: {words}"])
    return request
