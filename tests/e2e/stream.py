"""A stream of submissions into a localnet, with a journal outside the nodes.

Each client signs transactions for one firm and sends them to that firm's node alone, since a transaction travels in
its own member's feed. At each *accepted* it writes the id to the journal. A call that was cut off by a killed node
is uncertain: the client sends the same bytes again once the node is back, as an integrator would.
"""

import asyncio
import base64
import json
import os
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from node.api.client import RpcError, UnreachableError, open_client
from node.crypto.keys import SigningKey, load_key
from node.ledger.transaction import Capture, Kind, SignedTransaction, Transaction, sign_transaction
from tests.e2e.localnet import Localnet, NodeProcess

RETRIED: Final = frozenset({"not_ready", "starting", "busy", "too_many_pending", "feed_full", "feed_lost", "stopping"})
"""Refusals that say *later*."""


@dataclass
class Journal:
    """What clients were promised, in a file of its own. retried: ids whose call was uncertain and was sent again."""

    path: Path
    accepted: list[str] = field(default_factory=list)
    retried: set[str] = field(default_factory=set)

    def write(self, transaction_id: str) -> None:
        """Note an id that was answered *accepted*, before anything else is done."""
        with self.path.open("a", encoding="ascii") as file:
            file.write(transaction_id + "\n")
        self.accepted.append(transaction_id)

    def read(self) -> list[str]:
        """Return the ids as they stand in the file."""
        return self.path.read_text(encoding="ascii").split()


def build_submission(net: Localnet, node: NodeProcess, actor: SigningKey, number: int) -> SignedTransaction:
    """Return a signed capture of one event that no other has."""
    event = {
        "type": "ObjectEvent",
        "eventTime": "2026-01-05T08:00:00.000Z",
        "eventTimeZoneOffset": "+00:00",
        "eventID": f"urn:uuid:{os.urandom(4).hex()}-0000-4000-8000-{node.index:04x}{number:08x}",
        "epcList": [f"urn:epc:id:sgtin:4012345.{node.index:06d}.{number}"],
        "action": "OBSERVE",
        "bizStep": "inspecting",
    }
    context = json.dumps(["https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"]).encode()
    transaction = Transaction(
        kind=Kind.CAPTURE,
        member=node.member,
        actor_key=actor.public_key,
        created_ms=time.time_ns() // 1_000_000,
        nonce=os.urandom(16),
        payload=Capture(context, (json.dumps(event).encode(),), ()).encode(),
    )
    return sign_transaction(transaction, net.genesis.network_id, actor)


async def submit_for_ever(
    net: Localnet, node: NodeProcess, journal: Journal, stop: asyncio.Event, *, pause_seconds: float, first: int = 0
) -> None:
    """Submit one transaction after the other to one node until told to stop."""
    actor = load_key(node.home / "keys" / "actor.key")
    number = first
    while not stop.is_set():
        signed = build_submission(net, node, actor, number)
        number += 1
        params = {"signed": base64.b64encode(signed.encode()).decode(), "wait": "accepted"}
        async with open_client(node.rpc) as client:
            while not await _submit(client.call_raw("tx.submit", params)):
                journal.retried.add(signed.id.hex())
                if stop.is_set():
                    return
                await asyncio.sleep(0.05)
        journal.write(signed.id.hex())
        await asyncio.sleep(pause_seconds)


async def _submit(call: Awaitable[bytes]) -> bool:
    """Return whether the node said *accepted*; False while it is away or not yet ready."""
    try:
        answer = json.loads(await call)
    except UnreachableError:
        return False
    except RpcError as error:
        # A node that starts refuses submissions until it may write to its feed again: a retry is due, not a failure.
        # So does one that is cut off and has filled its window, or that asks its peers what it has lost.
        if error.code in RETRIED:
            return False
        raise
    assert answer["state"] in {"accepted", "final"}
    return True
