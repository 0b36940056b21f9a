"""What was submitted, as it was submitted: a transaction's bytes from the chain, by its place in the index."""

from consensus.types import Digest
from node.ledger.state import TransactionRow
from node.ledger.transaction import SignedTransaction, read_signed
from node.storage.chain import ChainStore
from node.storage.index import IndexReader
from node.wire.codec import MalformedError, read_array, unpack
from node.wire.ids import FeedTip, Seq


def find_original(chain: ChainStore, reader: IndexReader, transaction_id: Digest) -> SignedTransaction | None:
    """Return an executed transaction with its signature, or None if none of that id was executed."""
    found = reader.find_transaction(transaction_id)
    return None if found is None else read_original(chain, reader, found[1])


def read_original(chain: ChainStore, reader: IndexReader, row: TransactionRow) -> SignedTransaction:
    """Return the transaction of an executed row. Raises DamagedStoreError if the chain does not have it.

    Only this one of the batch's transactions is read.
    """
    placed = reader.find_batch(row.feed, row.seq)
    encoded = None if placed is None else chain.find_batch(FeedTip(row.feed, Seq(row.seq), placed[1]))
    if encoded is None:
        raise chain.damaged(f"batch {row.seq} of {row.feed.member} is missing")
    try:
        entries = read_array(unpack(encoded, what="batch")[-1], "batch.transactions")
        signed = read_signed(entries[row.place], reader.network_id)
    except (MalformedError, IndexError) as error:
        raise chain.damaged(error) from error
    if signed.id != row.id:
        raise chain.damaged(f"transaction {row.place} of batch {row.seq} of {row.feed.member} is another one")
    return signed
