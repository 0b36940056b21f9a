"""A verifier that trusts a genesis file alone and follows the validators from epoch to epoch.

Written from docs/protocol.md, without the code of the node: it holds the page and what nodes keep against each other.
"""

import hashlib
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import msgpack
import nacl.exceptions
import nacl.signing

HEADER = struct.Struct(">B32sQQQI32sQ32s32s32sIIQ32sB32s")
VOTE = struct.Struct(">16s32sQBQQ32s")
EPOCH_END = 1
FINALIZE = 3
VALIDATOR = 1


class UnprovenError(Exception):
    """A step does not follow from the one before."""


@dataclass(frozen=True)
class EpochEnd:
    """The last block of an epoch: its header, what finalizes it, and the roster that it names."""

    header: bytes
    certificate: bytes
    roster: bytes


@dataclass(frozen=True)
class Validators:
    """Who votes in an epoch: node keys in the order of indexes. height: of the block that the epoch starts from."""

    epoch: int
    height: int
    keys: tuple[bytes, ...]


def _demand(is_so: bool, what: str) -> None:
    if not is_so:
        raise UnprovenError(what)


def validators_of_genesis(genesis: bytes) -> Validators:
    """Those of epoch 0."""
    members = json.loads(genesis)["members"]
    return Validators(
        0, 0, tuple(sorted(bytes.fromhex(one["node_key"]) for one in members if one["role"] == "validator"))
    )


def follow(network_id: bytes, known: Validators, end: EpochEnd) -> Validators:
    """One step: the present validators vouch for the next."""
    _demand(len(end.header) == HEADER.size, "a header of another size")
    version, network, epoch, height, view, *_, flags, next_digest = HEADER.unpack(end.header)
    _demand((version, network) == (1, network_id), "another network's")
    _demand(epoch == known.epoch and height > known.height, "not of this epoch")
    _demand(flags & EPOCH_END == EPOCH_END, "not the last of its epoch")
    digest = hashlib.sha256(b"lotvine/block/v1" + end.header).digest()
    (kind, voted_epoch, voted_view, parent_view, voted), signatures = msgpack.unpackb(end.certificate)
    _demand((kind, voted_epoch, parent_view, voted) == (FINALIZE, epoch, 0, digest), "finalizes something else")
    _demand(voted_view >= view, "finalized before it was proposed")
    signers = [signer for signer, _ in signatures]
    _demand(signers == sorted(set(signers)) and all(0 <= one < len(known.keys) for one in signers), "signers")
    _demand(len(signers) >= len(known.keys) - (len(known.keys) - 1) // 3, "less than a quorum")
    message = VOTE.pack(b"lotvine/vote/v1\0", network_id, epoch, kind, voted_view, 0, digest)
    for signer, signature in signatures:
        try:
            nacl.signing.VerifyKey(known.keys[signer]).verify(message, signature)
        except nacl.exceptions.BadSignatureError as error:
            raise UnprovenError("a bad signature") from error
    named = hashlib.sha256(b"lotvine/epoch/v1" + network_id + end.roster).digest()
    _demand(named == next_digest, "another roster")
    roster_version, next_epoch, members, _ = msgpack.unpackb(end.roster)
    _demand((roster_version, next_epoch) == (1, epoch + 1), "not the roster of the next epoch")
    return Validators(next_epoch, height, tuple(sorted(one[4] for one in members if one[3] == VALIDATOR)))


def follow_all(genesis: bytes, ends: Sequence[EpochEnd]) -> Validators:
    """From the genesis file to the validators of today."""
    network_id, known = hashlib.sha256(genesis).digest(), validators_of_genesis(genesis)
    for end in ends:
        known = follow(network_id, known, end)
    return known
