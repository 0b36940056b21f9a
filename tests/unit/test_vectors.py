"""The byte layouts of docs/protocol.md against golden bytes. A difference here is another protocol.

`tests/vectors/protocol.json` is what `build_vectors` gives; it changes with a protocol version only.
"""

import json
from pathlib import Path

from consensus.messages import Subject, Vote, VoteKind
from consensus.scheme import vote_signing_bytes
from consensus.types import Epoch, ValidatorIndex, View
from node.ledger.genesis import encode_genesis
from node.ledger.transaction import Capture, Kind
from node.wire.messages import EvidenceData, Rejoin, RejoinAnswer, encode
from tests.support.memory_state import build_block
from tests.support.networks import build_batch, build_document, build_genesis, build_key, build_transaction

FILE = Path(__file__).parents[1] / "vectors" / "protocol.json"
NONCE = bytes(range(16))


def build_vectors() -> dict[str, str]:
    """Every layout once, as hex (genesis as text)."""
    genesis = build_genesis(validators=1)
    payload = Capture(b"[]", (b'{"type":"ObjectEvent"}',), ()).encode()
    signed = build_transaction(genesis, kind=Kind.CAPTURE, payload=payload, actor=build_key("actor-0"))
    batch = build_batch(genesis, signed, build_transaction(genesis))
    block = build_block(genesis, batch)
    subject = Subject(VoteKind.NOTARIZE, Epoch(0), View(1), View(0), block.header.digest())
    signing = vote_signing_bytes(genesis.network_id, subject)
    vote = Vote(subject, ValidatorIndex(0), build_key("firm-0").sign(signing))
    return {
        "genesis": encode_genesis(build_document(validators=1)).decode(),
        "network_id": genesis.network_id.hex(),
        "genesis_state_digest": genesis.state_digest.hex(),
        "node_seed": build_key("firm-0").seed.hex(),
        "actor_seed": build_key("actor-0").seed.hex(),
        "transaction": signed.encoded.hex(),
        "transaction_id": signed.id.hex(),
        "signed_transaction": signed.encode().hex(),
        "batch_signing_bytes": batch.header.signing_bytes().hex(),
        "batch_digest": batch.digest.hex(),
        "batch": batch.encoded.hex(),
        "cut": block.payload.hex(),
        "cut_digest": block.header.cut_digest.hex(),
        "header": block.header.encode().hex(),
        "block_digest": block.header.digest().hex(),
        "vote_signing_bytes": signing.hex(),
        "vote_frame": encode(vote).hex(),
        "rejoin_frame": encode(Rejoin(Epoch(1), NONCE)).hex(),
        "rejoin_answer_frame": encode(
            RejoinAnswer(Epoch(1), NONCE, None, vote, (batch.tip,), (), other_boot=False)
        ).hex(),
        "evidence_frame": encode(EvidenceData(b"two votes")).hex(),
    }


def test_every_layout_is_the_golden_one() -> None:
    """Byte for byte."""
    assert build_vectors() == json.loads(FILE.read_text(encoding="utf-8"))
