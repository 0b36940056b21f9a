"""A member's stores without a node around them, an engine that answers when told to, and documents for both."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from consensus.types import Digest
from node.ledger.apply import apply_block
from node.ledger.genesis import Genesis
from node.ledger.state import WriteSet
from node.ledger.transaction import SignedTransaction
from node.storage.chain import ChainStore, create_chain, open_chain
from node.storage.index import IndexStore, create_index, open_index
from node.wire.ids import FeedTip
from tests.support.chains import ChainBuilder
from tests.support.networks import build_batch, build_genesis

CONTEXT = b'["https://ref.gs1.org/standards/epcis/epcis-context.jsonld"]'
# Spaces, an escape and an extension: what comes back must be equal as a JSON value, and is equal as bytes.
SHIPPED = (
    b'{ "type":"ObjectEvent","eventTime":"2025-10-01T08:00:00.000+02:00","eventTimeZoneOffset":"+02:00",'
    b'"action":"OBSERVE","epcList":["https://id.gs1.org/00/095211010000000013"],"eventID":"urn:x:1",'
    b'"bizStep":"shipping", "ext:note":"K\\u00e4se"}'
)
UNREADABLE = b'{"type":"NoEvent"}'


class FakeEngine:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.submitted: list[tuple[tuple[SignedTransaction, ...], asyncio.Future[FeedTip]]] = []

    def submit(self, transactions: tuple[SignedTransaction, ...]) -> asyncio.Future[FeedTip]:
        future: asyncio.Future[FeedTip] = asyncio.get_running_loop().create_future()
        self.submitted.append((transactions, future))
        return future

    def count_holders(self, tip: FeedTip) -> int:
        return 2


@dataclass
class Stores:
    genesis: Genesis
    chain: ChainStore
    index: IndexStore
    builder: ChainBuilder
    tip: FeedTip | None = None

    def execute(self, *transactions: SignedTransaction, seq: int = 0) -> WriteSet:
        """Make a block of one batch of firm-0 final and execute it."""
        previous = Digest(bytes(32)) if self.tip is None else self.tip.digest
        batch = build_batch(self.genesis, *transactions, seq=seq, previous=previous)
        self.tip = batch.tip
        block = self.builder.finalize(self.chain, batch)
        with self.index.reader() as reader:
            write_set = apply_block(reader, block, (batch,))
        self.index.write(write_set, (batch.tip,))
        return write_set


@contextmanager
def open_stores(folder: Path) -> Iterator[Stores]:
    """Yield the new stores of a network of its own, below a folder."""
    genesis = build_genesis()
    create_chain(folder / "chain", genesis)
    create_index(folder / "index", genesis)
    chain, index = open_chain(folder / "chain", genesis), open_index(folder / "index", genesis)
    yield Stores(genesis, chain, index, ChainBuilder(genesis))
    index.close()
    chain.close()


def build_document(count: int) -> bytes:
    events = [json.loads(SHIPPED) | {"eventID": f"urn:x:{number}"} for number in range(count)]
    for event in events:
        del event["ext:note"]
    document = {
        "@context": ["https://ref.gs1.org/standards/epcis/epcis-context.jsonld"],
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": "2025-10-01T08:00:00Z",
        "epcisBody": {"eventList": events},
    }
    return json.dumps(document).encode()
