"""The whole key schema of `chain/` and `index/`. Integers are big-endian, so that the order of keys is numeric.

A key begins with one byte that names its table. A feed stands as member, zero byte, number u32; as no member id has
a zero byte, the order of feeds in keys is that of `FeedId`. A long text stands as the first 16 bytes of its SHA-256
(`short`): what is found there says in full what it is, or is an event, which names its items itself.

chain/ (the truth; never rewritten but for the marks)

| key                             | value                                                     |
| ------------------------------- | --------------------------------------------------------- |
| `s` name                        | marks: schema, network, commits, log, history             |
| `a` feed seq u64 digest         | a batch as received                                       |
| `b` digest                      | a block: `[header, payload]`                              |
| `c` height u64 digest           | nothing: a stored block by its height, final or not       |
| `d` height u64                  | digest of the final block                                 |
| `e` height u64                  | the finalization certificate of the block at that height  |
| `f` feed                        | tip of the feed that is final: `[seq, digest]`            |
| `g` epoch u64                   | height u64 of the last block of the epoch                 |

index/ (derived from the chain; `lotvine reindex` builds it anew)

| key                             | value                                                     |
| ------------------------------- | --------------------------------------------------------- |
| `s` name                        | marks: schema, network, state                             |
| `B` height u64                  | a block: `[digest, time, state digest, counts, due]`      |
| `C` feed                        | the feed's clock u64                                      |
| `D` member 00 event digest      | nothing: the member has entered this event                |
| `E` height u64 place u32 no u16 | an event, as `lineage/row_codec` has it                   |
| `F` feed seq u64                | an executed batch: `[digest, height]`                     |
| `G`                             | the state of governance                                   |
| `H` epoch u64                   | an epoch: `[epoch, anchor height, anchor digest, roster]` |
| `I` item                        | nothing: the item was named; its id says what it is       |
| `K` folded code 00 item         | nothing: items by the letters and digits of their code    |
| `L` reversed folded code 00 item| nothing: the same from its end                            |
| `M` short(id) member            | master data: `[ref, kind, id, attributes]`                |
| `N` short(id) member 00 ref     | the same, every version: what stood at an earlier height  |
| `P` short(product) item         | nothing: items by product, where no prefix of `I` does it |
| `Q` word 00 id                  | nothing: master data by the words of its names            |
| `T` transaction id              | a transaction with its verdict                            |
| `U` kind u8 short(key) time ref | role u8: an event by what it is filed under               |
| `V` what it is counted once by  | evidence: who signed two things, and both of them         |
| `W` height u64                  | what the block adds to the arrays of `lineage/links`      |
| `X` flag member                 | a waiver: `[reason, transaction id, height]`              |

index/, follows the tables above on its own mark (`flags.py`)

| key                             | value                                                     |
| ------------------------------- | --------------------------------------------------------- |
| `Y` `m`                         | mark: `[rules, settings, height]`                         |
| `Y` `s` subject                 | a subject's flags: `[kind, key, due, part, flags]`        |
| `Y` `d` due u64 subject         | nothing: to be looked at once a block is that late        |
| `Y` `i` flag                    | subject of the flag                                       |
| `Y` `q` height u64 id           | nothing: master data that flags have not followed yet     |
| `Y` `l` short(list) age flag    | subject: the flags of one list, the newest first          |

A subject stands as short(kind `:` key); age is 2^64 − 1 − time, so that the newest comes first.
"""

import hashlib
import struct
from collections.abc import Iterable
from typing import Final

from consensus.types import Digest, Epoch, Height
from node.lineage.records import EventRef, Posting, PostingKind
from node.wire.ids import FeedId, FeedNumber, FeedTip, MemberId, Seq

SHORT_BYTES: Final = 16
TIME_OFFSET_MS: Final = 1 << 63
"""Added to a time, which may lie before 1970, so that its order in keys is that of time."""

MARK: Final = b"s"
BATCH: Final = b"a"
BLOCK: Final = b"b"
BLOCK_AT: Final = b"c"
FINAL: Final = b"d"
CERTIFICATE: Final = b"e"
FINAL_TIP: Final = b"f"
EPOCH_END: Final = b"g"

EXECUTED: Final = b"B"
FEED_CLOCK: Final = b"C"
EVENT_DIGEST: Final = b"D"
EVENT: Final = b"E"
EXECUTED_BATCH: Final = b"F"
GOVERNANCE: Final = b"G"
EPOCH: Final = b"H"
ITEM: Final = b"I"
CODE: Final = b"K"
CODE_REVERSED: Final = b"L"
MASTER: Final = b"M"
MASTER_VERSION: Final = b"N"
PRODUCT: Final = b"P"
WORD: Final = b"Q"
TRANSACTION: Final = b"T"
POSTING: Final = b"U"
EVIDENCE: Final = b"V"
WAIVER: Final = b"X"
FLAGS: Final = b"Y"
FLAG_MARK: Final = FLAGS + b"m"
FLAG_SUBJECT: Final = FLAGS + b"s"
FLAG_DUE: Final = FLAGS + b"d"
FLAG_ID: Final = FLAGS + b"i"
FLAG_MASTER: Final = FLAGS + b"q"
FLAG_LIST: Final = FLAGS + b"l"
LINKS: Final = b"W"
AFTER_LINKS: Final = LINKS + b"\xff"
"""Above every key by a height: none has so many bits."""

SCHEMA_MARK: Final = MARK + b"schema"
NETWORK_MARK: Final = MARK + b"network"
COMMITS_MARK: Final = MARK + b"commits"
LOG_MARK: Final = MARK + b"log"
HISTORY_MARK: Final = MARK + b"history"
STATE_MARK: Final = MARK + b"state"

_U64: Final = struct.Struct(">Q")
_U32: Final = struct.Struct(">I")
_EVENT: Final = struct.Struct(">cQIH")
_POSTING_TAIL: Final = struct.Struct(">QQIH")
POSTING_TAIL_BYTES: Final = _POSTING_TAIL.size

_POSTING_HEADS: Final = {kind: POSTING + bytes([kind]) for kind in PostingKind}


def u64(value: int) -> bytes:
    """Return eight bytes."""
    return _U64.pack(value)


def read_u64(encoded: bytes) -> int:
    """Return the number in eight bytes. Raises struct.error for another length."""
    value: int = _U64.unpack(encoded)[0]
    return value


def short(text: str) -> bytes:
    """Return what stands for a long text in a key."""
    return hashlib.sha256(text.encode()).digest()[:SHORT_BYTES]


def feed_part(feed: FeedId) -> bytes:
    """Return how a feed stands in keys."""
    return feed.member.encode() + b"\0" + _U32.pack(feed.number)


def _read_feed(part: bytes) -> tuple[FeedId, int]:
    end = part.index(b"\0") + 1
    return FeedId(MemberId(part[: end - 1].decode()), FeedNumber(_U32.unpack_from(part, end)[0])), end + _U32.size


def batch_key(tip: FeedTip) -> bytes:
    """Return where the batch `tip` stands."""
    return BATCH + feed_part(tip.feed) + _U64.pack(tip.seq) + tip.digest


def batch_prefix(feed: FeedId, seq: int) -> bytes:
    """Return the beginning of the keys of the batches of `feed` at `seq`."""
    return BATCH + feed_part(feed) + _U64.pack(seq)


def read_batch_key(key: bytes) -> FeedTip:
    """Return the batch that a key names."""
    feed, end = _read_feed(key[1:])
    return FeedTip(feed, Seq(_U64.unpack_from(key, 1 + end)[0]), Digest(key[1 + end + _U64.size :]))


def block_key(digest: Digest) -> bytes:
    """Return where a block stands."""
    return BLOCK + digest


def block_at_key(height: Height, digest: Digest) -> bytes:
    """Return where a stored block is noted by its height."""
    return BLOCK_AT + _U64.pack(height) + digest


def final_key(height: Height) -> bytes:
    """Return where the digest of the final block at `height` stands."""
    return FINAL + _U64.pack(height)


def certificate_key(height: Height) -> bytes:
    """Return where the finalization certificate of the block at `height` stands."""
    return CERTIFICATE + _U64.pack(height)


def final_tip_key(feed: FeedId) -> bytes:
    """Return where the final tip of a feed stands."""
    return FINAL_TIP + feed_part(feed)


def read_final_tip_key(key: bytes) -> FeedId:
    """Return the feed that a key names."""
    return _read_feed(key[1:])[0]


def height_of(key: bytes) -> Height:
    """Return the height in the key of a table by height."""
    return Height(_U64.unpack_from(key, 1)[0])


def executed_key(height: Height) -> bytes:
    """Return where an executed block stands."""
    return EXECUTED + _U64.pack(height)


def feed_clock_key(feed: FeedId) -> bytes:
    """Return where the clock of a feed stands."""
    return FEED_CLOCK + feed_part(feed)


def event_digest_key(member: MemberId, event_digest: Digest) -> bytes:
    """Return where it is noted that a member has entered an event."""
    return EVENT_DIGEST + member.encode() + b"\0" + event_digest


def event_key(ref: EventRef) -> bytes:
    """Return where an event stands."""
    return _EVENT.pack(EVENT, ref.height, ref.transaction, ref.event)


def executed_batch_key(feed: FeedId, seq: int) -> bytes:
    """Return where an executed batch is noted."""
    return EXECUTED_BATCH + feed_part(feed) + _U64.pack(seq)


def item_key(item: str) -> bytes:
    """Return where an item stands."""
    return ITEM + item.encode()


def item_of_key(key: bytes) -> str:
    """Return the item that a key names."""
    return key[1:].decode()


def code_key(folded: str, item: str) -> bytes:
    """Return where an item is noted by its folded code."""
    return CODE + folded.encode() + b"\0" + item.encode()


def code_reversed_key(folded: str, item: str) -> bytes:
    """Return where an item is noted by its folded code read from the end."""
    return CODE_REVERSED + folded[::-1].encode() + b"\0" + item.encode()


def product_key(product: str, item: str) -> bytes:
    """Return where an item is noted by its product."""
    return PRODUCT + short(product) + item.encode()


def item_of_product_key(key: bytes) -> str:
    """Return the item that a key by product names."""
    return key[1 + SHORT_BYTES :].decode()


def master_key(id: str, member: MemberId) -> bytes:  # noqa: A002 - the field's word
    """Return where a member's master data of `id` stand."""
    return MASTER + short(id) + member.encode()


def master_prefix(id: str) -> bytes:  # noqa: A002 - the field's word
    """Return the beginning of the keys of all members' master data of `id`."""
    return MASTER + short(id)


def master_version_key(id: str, member: MemberId, ref: EventRef) -> bytes:  # noqa: A002 - the field's word
    """Return where a version of a member's master data of `id` stands, in ledger order."""
    return MASTER_VERSION + short(id) + member.encode() + b"\0" + ref.encode()


def word_key(word: str, id: str) -> bytes:  # noqa: A002 - the field's word
    """Return where master data of `id` is noted by a word of its name."""
    return WORD + word.encode() + b"\0" + id.encode()


def transaction_key(transaction_id: Digest) -> bytes:
    """Return where a transaction stands."""
    return TRANSACTION + transaction_id


def epoch_end_key(epoch: Epoch) -> bytes:
    """Return where the height of the last block of `epoch` stands."""
    return EPOCH_END + _U64.pack(epoch)


def epoch_key(epoch: Epoch) -> bytes:
    """Return where an epoch stands."""
    return EPOCH + _U64.pack(epoch)


def evidence_key(key: bytes) -> bytes:
    """Return where evidence stands. key: see `EvidenceRow`."""
    return EVIDENCE + key


def waiver_key(flag_id: bytes, member: str) -> bytes:
    """Return where a member's waiver of a flag stands. member: empty for the beginning of all of the flag's."""
    return WAIVER + flag_id + member.encode()


def flag_due_key(due_ms: int, subject: bytes) -> bytes:
    """Return where it is noted when a subject's flags are due. due_ms: ledger time, not negative."""
    return FLAG_DUE + _U64.pack(due_ms) + subject


def flag_master_key(height: Height, id: str) -> bytes:  # noqa: A002 - the field's word
    """Return where it is noted that a block has master data of `id`, for flags to follow."""
    return FLAG_MASTER + _U64.pack(height) + id.encode()


def flag_list_prefix(name: str) -> bytes:
    """Return the beginning of the keys of the flags in a list."""
    return FLAG_LIST + short(name)


def flag_age(since_ms: int, flag_id: bytes) -> bytes:
    """Return the place of a flag in each of its lists: the newest first, then by id."""
    return _U64.pack((1 << 64) - 1 - (since_ms + TIME_OFFSET_MS)) + flag_id


def links_key(height: Height) -> bytes:
    """Return where it stands what a block adds to the links."""
    return LINKS + _U64.pack(height)


def posting_prefix(kind: PostingKind, shortened: bytes) -> bytes:
    """Return the beginning of the keys of what is filed under (kind, key). shortened: `short(key)`."""
    return _POSTING_HEADS[kind] + shortened


def posting_tail(time_ms: int, ref: EventRef) -> bytes:
    """Return the end of a posting's key: its order is by time, then by place on the ledger."""
    return _POSTING_TAIL.pack(time_ms + TIME_OFFSET_MS, ref.height, ref.transaction, ref.event)


def time_part(time_ms: int) -> bytes:
    """Return how a time stands at the beginning of a posting's tail; one out of all bounds is the bound."""
    return _U64.pack(min(max(time_ms + TIME_OFFSET_MS, 0), (1 << 64) - 1))


def read_postings(kind: PostingKind, key: str, rows: Iterable[tuple[bytes, bytes]]) -> list[Posting]:
    """Return the postings under (kind, key) from their rows, each of whose keys ends in a tail, its value the role."""
    # In bulk: a named tuple made by its own constructor takes twice as long.
    new, unpack = tuple.__new__, _POSTING_TAIL.unpack_from
    return [
        new(Posting, (kind, key, time - TIME_OFFSET_MS, new(EventRef, (height, transaction, event)), role[0]))
        for encoded, role in rows
        for time, height, transaction, event in (unpack(encoded, len(encoded) - POSTING_TAIL_BYTES),)
    ]
