"""Blocks of signed batches of events, as a node of its own network would have them, stored and executed."""

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from bench.network import capture_payload
from consensus.messages import Block, Certificate, Header, Subject, VoteKind
from consensus.types import ZERO_DIGEST, Digest, Epoch, Height, ValidatorIndex, View
from node.crypto.keys import SigningKey
from node.crypto.merkle import merkle_root
from node.ledger.batch import Batch, decode_batch, seal_batch
from node.ledger.cut import cut_digest, encode_cut
from node.ledger.genesis import GENESIS_FORMAT, Genesis, GenesisDocument, GenesisMember, decode_genesis, encode_genesis
from node.ledger.roster import Parameters, Role
from node.ledger.transaction import Kind, Transaction, sign_transaction
from node.storage.chain import ChainStore, ChainWrite
from node.storage.execution import execute_block
from node.storage.index import IndexStore
from node.wire.ids import FeedId, FeedNumber, MemberId, Seq

CREATED_MS: Final = 1_760_000_000_000
BATCHES_A_BLOCK: Final = 4
EVENTS_A_TRANSACTION: Final = 100
TRANSACTIONS_A_BATCH: Final = 10


def build_network(parameters: Parameters | None = None) -> tuple[Genesis, SigningKey]:
    """Return the genesis of a network of one member, and its key. parameters: None for the defaults."""
    key = SigningKey(hashlib.sha256(b"bench").digest())
    member = GenesisMember(
        id="plant", name="Plant", role=Role.VALIDATOR, node_key=key.public_key.hex(), address="127.0.0.1:4000"
    )
    document = GenesisDocument(
        format=GENESIS_FORMAT,
        network="bench",
        incarnation=0,
        created_ms=CREATED_MS,
        members=(member,),
        parameters=parameters or Parameters(),
    )
    return decode_genesis(encode_genesis(document)), key


def seal_batches(genesis: Genesis, key: SigningKey, events: Iterable[dict[str, object]]) -> Iterator[Batch]:
    """Yield batches of the events, in their order, made as they are asked for."""
    feed, given = FeedId(MemberId("plant"), FeedNumber(0)), iter(events)
    previous, seq, count = ZERO_DIGEST, 0, 0
    while some := list(islice(given, EVENTS_A_TRANSACTION * TRANSACTIONS_A_BATCH)):
        signed = []
        for place in range(0, len(some), EVENTS_A_TRANSACTION):
            payload = capture_payload(some[place : place + EVENTS_A_TRANSACTION])
            nonce = count.to_bytes(16, "big")
            transaction = Transaction(Kind.CAPTURE, feed.member, None, CREATED_MS, nonce, payload)
            signed.append(sign_transaction(transaction, genesis.network_id, None))
            count += 1
        batch = seal_batch(
            network_id=genesis.network_id, feed=feed, seq=Seq(seq), previous=previous, time_ms=CREATED_MS,
            transactions=tuple(signed), key=key,
        )  # fmt: skip
        yield batch
        previous, seq = batch.digest, seq + 1


def build_block(genesis: Genesis, parent: Digest, height: int, batches: Sequence[Batch]) -> Block:
    """Return the block of these batches above `parent`."""
    payload = encode_cut((batches[-1].tip,))
    return Block(
        Header(
            network_id=genesis.network_id, epoch=Epoch(0), height=Height(height), view=View(height),
            proposer=ValidatorIndex(0), parent_digest=parent, timestamp_ms=CREATED_MS + height,
            cut_digest=cut_digest(payload), batch_root=merkle_root([batch.digest for batch in batches]),
            history_root=ZERO_DIGEST, batch_count=len(batches),
            transaction_count=sum(len(batch.transactions) for batch in batches), executed_height=Height(height - 1),
            state_digest=genesis.state_digest, flags=0, next_epoch_digest=ZERO_DIGEST,
        ),
        payload,
    )  # fmt: skip


def store_and_execute(chain: ChainStore | None, index: IndexStore, genesis: Genesis, batches: Iterable[Batch]) -> float:
    """Execute blocks of four batches, stored in the chain first; return the seconds of decoding and execution."""
    parent = genesis.anchor_digest
    seconds = 0.0
    height, given = 0, iter(batches)
    while covered := list(islice(given, BATCHES_A_BLOCK)):
        height += 1
        block = build_block(genesis, parent, height, covered)
        parent = block.header.digest()
        subject = Subject(VoteKind.FINALIZE, Epoch(0), block.header.view, View(0), parent)
        write = ChainWrite(
            batches=list(covered),
            blocks=[block],
            finals=[(block, parent)],
            certificates=[(block.header.height, Certificate(subject, ()))],
        )
        if chain is not None:
            chain.commit(write, chain.log_position())
        begin = time.perf_counter()
        decoded = [decode_batch(batch.encoded, genesis.network_id) for batch in covered]
        execute_block(index, block, decoded)
        seconds += time.perf_counter() - begin
    return seconds
