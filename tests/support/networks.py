"""Builders of small networks: keys, genesis, transactions, batches. Everything is a function of a name."""

import hashlib

import msgspec

from consensus.types import Digest
from node.crypto.keys import SigningKey
from node.ledger.batch import Batch, seal_batch
from node.ledger.genesis import GENESIS_FORMAT, Genesis, GenesisDocument, GenesisMember, decode_genesis, encode_genesis
from node.ledger.roster import Parameters, Role
from node.ledger.transaction import Kind, SignedTransaction, Transaction, sign_transaction
from node.wire.ids import FeedId, FeedNumber, MemberId, Seq

CREATED_MS = 1_760_000_000_000
DAY_MS = 86_400_000
ZERO = Digest(bytes(32))


def build_key(name: str) -> SigningKey:
    """A key that is the same at each call with one name."""
    return SigningKey(hashlib.sha256(f"test key {name}".encode()).digest())


def build_document(*, validators: int = 4, members: int = 0, observers: int = 0) -> GenesisDocument:
    """A network of firm-0 … with one actor key each; the later ones are members and observers."""
    roles = [Role.VALIDATOR] * validators + [Role.MEMBER] * members + [Role.OBSERVER] * observers
    return GenesisDocument(
        format=GENESIS_FORMAT,
        network="test",
        incarnation=0,
        created_ms=CREATED_MS,
        members=tuple(
            GenesisMember(
                id=f"firm-{number}",
                name=f"Firm {number}",
                role=role,
                node_key=build_key(f"firm-{number}").public_key.hex(),
                address=f"127.0.0.1:{4000 + number}",
                actor_keys=(build_key(f"actor-{number}").public_key.hex(),),
            )
            for number, role in enumerate(roles)
        ),
    )


def build_genesis(
    *, validators: int = 4, members: int = 0, observers: int = 0, parameters: Parameters | None = None
) -> Genesis:
    """The genesis of `build_document`. parameters: None for the defaults."""
    document = build_document(validators=validators, members=members, observers=observers)
    if parameters is not None:
        document = msgspec.structs.replace(document, parameters=parameters)
    return decode_genesis(encode_genesis(document))


def build_transaction(
    genesis: Genesis,
    *,
    member: str = "firm-0",
    kind: int = Kind.NOOP,
    payload: bytes = b"",
    created_ms: int = CREATED_MS,
    nonce: int = 0,
    actor: SigningKey | None = None,
) -> SignedTransaction:
    """A transaction; equal arguments give the same id."""
    transaction = Transaction(
        kind=kind,
        member=MemberId(member),
        actor_key=None if actor is None else actor.public_key,
        created_ms=created_ms,
        nonce=nonce.to_bytes(16, "big"),
        payload=payload,
    )
    return sign_transaction(transaction, genesis.network_id, actor)


def build_batch(
    genesis: Genesis,
    *transactions: SignedTransaction,
    member: str = "firm-0",
    seq: int = 0,
    previous: Digest = ZERO,
    time_ms: int = CREATED_MS,
) -> Batch:
    """A batch signed by its member's node."""
    return seal_batch(
        network_id=genesis.network_id,
        feed=FeedId(MemberId(member), FeedNumber(0)),
        seq=Seq(seq),
        previous=previous,
        time_ms=time_ms,
        transactions=transactions,
        key=build_key(member),
    )
