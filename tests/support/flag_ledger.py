"""A real index that grows by blocks of EPCIS events told in short words, with its flags."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

from consensus.messages import FLAG_EPOCH_END
from consensus.types import Digest, Epoch, Height
from node.ledger.batch import Batch
from node.ledger.changes import SetParameters
from node.ledger.governance import Request
from node.ledger.roster import Parameters
from node.ledger.state import WriteSet
from node.ledger.transaction import Kind, SignedTransaction
from node.ledger.verdicts import EventCode, TransactionCode
from node.lineage.flag_model import Flag
from node.storage.execution import execute_block
from node.storage.flags import ALL, Listed
from node.storage.following import follow
from node.storage.index import IndexStore, create_index, open_index
from node.storage.store import Row
from tests.support.captures import build_capture
from tests.support.chains import ChainBuilder
from tests.support.events import lot, place, serial, unit
from tests.support.networks import build_batch, build_genesis, build_transaction

Events = Sequence[dict[str, object]]
_CHILDREN = {"epcList": "childEPCs", "quantityList": "childQuantityList"}


def stamp(hour: int) -> str:
    """An hour of October 2025; hour 24 is the next day's first."""
    return f"2025-10-{6 + hour // 24:02d}T{hour % 24:02d}:00:00.000+02:00"


def _event(kind: str, hour: int, at: int, **fields: object) -> dict[str, object]:
    where = {"id": place(at)}
    return {
        "type": kind,
        "eventTime": stamp(hour),
        "eventTimeZoneOffset": "+02:00",
        "readPoint": where,
        "bizLocation": where,
        **fields,
    }


def _goods(item: str, amount: int) -> dict[str, object]:
    if "/10/" in item:
        return {"quantityList": [{"epcClass": item, "quantity": amount, "uom": "KGM"}]}
    return {"epcList": [item]}


def make(item: str, amount: int, hour: int, at: int = 1) -> dict[str, object]:
    return _event("ObjectEvent", hour, at, action="ADD", bizStep="commissioning", **_goods(item, amount))


def ship(item: str, amount: int, hour: int, at: int = 1, to: int = 2, *, bill: str | None = None) -> dict[str, object]:
    more: dict[str, object] = {"destinationList": [{"type": "location", "destination": place(to)}]}
    if bill is not None:
        more["bizTransactionList"] = [{"type": "bol", "bizTransaction": f"urn:example:bol:{bill}"}]
    goods = _goods(item, amount)
    return _event("ObjectEvent", hour, at, action="OBSERVE", bizStep="shipping", **goods, **more)


def receive(item: str, amount: int, hour: int, at: int = 2) -> dict[str, object]:
    return _event("ObjectEvent", hour, at, action="OBSERVE", bizStep="receiving", **_goods(item, amount))


def run(
    taken: dict[str, int], given: dict[str, int], hour: int, at: int = 1, name: str | None = None
) -> dict[str, object]:
    more = {} if name is None else {"transformationID": f"urn:example:run:{name}"}
    sides = {
        key: [{"epcClass": item, "quantity": amount, "uom": "KGM"} for item, amount in side.items()]
        for key, side in (("inputQuantityList", taken), ("outputQuantityList", given))
        if side
    }
    return _event("TransformationEvent", hour, at, **sides, **more)


def on_line(event: dict[str, object], at: int = 1) -> dict[str, object]:
    """The event at a line of its site."""
    return {**event, "readPoint": {"id": f"{place(at)}/254/1"}}


def clean(hour: int, at: int = 1, *, passed: bool = True) -> dict[str, object]:
    """A cleaning of that line, verified or failed."""
    word = "conformant" if passed else "non_conformant"
    goods = {"epcList": ["urn:example:machine:1"], "disposition": word}
    return on_line(_event("ObjectEvent", hour, at, action="OBSERVE", bizStep="urn:example:step:cleaning", **goods), at)


def pack(unit_id: str, item: str, amount: int, hour: int, at: int = 1, action: str = "ADD") -> dict[str, object]:
    goods = {_CHILDREN[key]: value for key, value in _goods(item, amount).items()}
    step = "packing" if action == "ADD" else "unpacking"
    return _event("AggregationEvent", hour, at, action=action, parentID=unit_id, bizStep=step, **goods)


def void(event: dict[str, object]) -> dict[str, object]:
    """Declare an event, which must bear an eventID, to be in error."""
    assert "eventID" in event
    return {**event, "errorDeclaration": {"declarationTime": stamp(400), "reason": "did_not_occur"}}


def called(event: dict[str, object], name: str) -> dict[str, object]:
    return {**event, "eventID": f"urn:uuid:{name}"}


def place_of(number: int, owner: int) -> bytes:
    """Master data: the party of a place."""
    return json.dumps(
        {
            "type": "urn:epcglobal:epcis:vtype:Location",
            "vocabularyElementList": [
                {
                    "id": place(number),
                    "attributes": [
                        {"id": "urn:epcglobal:cbv:mda#owning_party", "attribute": f"urn:example:firm:{owner}"}
                    ],
                }
            ],
        }
    ).encode()


def stated(kind: str, subject: str, name: str, *texts: str) -> bytes:
    """Master data: an attribute of Lotvine's own. kind: EPCClass, BusinessTransaction or Party."""
    attributes = [{"id": f"urn:lotvine:mda#{name}", "attribute": text} for text in texts]
    element = {"id": subject, "attributes": attributes}
    return json.dumps({"type": f"urn:epcglobal:epcis:vtype:{kind}", "vocabularyElementList": [element]}).encode()


class FlagLedger:
    """An index in a folder. Close it."""

    def __init__(
        self, folder: Path, *, parameters: Parameters | None = None, members: int = 0, validators: int = 4
    ) -> None:
        self.genesis = build_genesis(parameters=parameters, validators=validators, members=members)
        create_index(folder, self.genesis)
        self.index: IndexStore = open_index(folder, self.genesis)
        self._builder = ChainBuilder(self.genesis)
        self._tips: dict[str, Batch] = {}
        self._nonce = 0

    def enter(
        self,
        *events: dict[str, object],
        member: str = "firm-0",
        vocabulary: tuple[bytes, ...] = (),
        later_ms: int = 1000,
    ) -> Height:
        """Execute a block with one transaction of these events, `later_ms` after the one before."""
        signed = build_capture(
            self.genesis,
            *[json.dumps(event).encode() for event in events],
            member=member,
            nonce=self._next_nonce(),
            vocabulary=vocabulary,
            created_ms=self._builder.time_ms,
        )
        written = self._execute(signed, member, later_ms)
        codes = [code for row in written.transactions for code in (row.code, *row.event_codes)]
        assert set(codes) <= {TransactionCode.ACCEPTED, EventCode.DUPLICATE}, codes
        return written.height

    def waive(self, payload: bytes, *, member: str = "firm-0") -> TransactionCode:
        """Execute a block with a waiver; return its verdict."""
        signed = build_transaction(
            self.genesis,
            member=member,
            kind=Kind.WAIVE,
            payload=payload,
            created_ms=self._builder.time_ms,
            nonce=self._next_nonce(),
        )
        return self._execute(signed, member, 1000).transactions[0].code

    def _next_nonce(self) -> int:
        self._nonce += 1
        return self._nonce

    def _execute(self, signed: SignedTransaction, member: str, later_ms: int) -> WriteSet:
        tip = self._tips.get(member)
        seq, previous = (0, Digest(bytes(32))) if tip is None else (tip.header.seq + 1, tip.digest)
        batch = build_batch(self.genesis, signed, member=member, seq=seq, previous=previous)
        self._tips[member] = batch
        block = self._builder.build_block(batch, time_ms=self._builder.time_ms + later_ms, epoch=self._epoch())
        return execute_block(self.index, block, [batch], sync=False)

    def _epoch(self) -> Epoch:
        with self.index.reader() as reader:
            return reader.governance.roster.epoch

    def set_parameters(self, parameters: Parameters) -> Height:
        """Have the lone validator change the parameters, and end the epoch."""
        payload = Request((SetParameters(parameters),), "").encode()
        created_ms, nonce = self._builder.time_ms, self._next_nonce()
        signed = build_transaction(self.genesis, kind=Kind.PROPOSE, payload=payload, created_ms=created_ms, nonce=nonce)
        decided = self._execute(signed, "firm-0", 1000)
        block = self._builder.build_block(
            epoch=self._epoch(),
            executed_height=decided.height,
            flags=FLAG_EPOCH_END,
            next_epoch_digest=decided.governance.due_digest,
        )
        return execute_block(self.index, block, [], sync=False).height

    def wait(self, hours: int) -> Height:
        """Execute a block with nothing in it, so much later."""
        return self.enter(later_ms=hours * 3_600_000)

    def follow(self, *, events_max: int = 4_000) -> int:
        """Have the flags follow; return in how many steps."""
        steps = 0
        while follow(self.index, events_max=events_max) is not None:
            steps += 1
        return steps

    def rows(self) -> list[Row]:
        """All that is stored of flags."""
        return list(self.index.flags.rows())

    def flags(self) -> list[tuple[str, Flag]]:
        """All flags with their subjects."""
        with self.index.reader() as reader:
            listed: list[Listed] = list(reader.flags.listed(ALL))
            found = []
            for one in listed:
                stored = reader.flags.find_flag(one.flag_id)
                assert stored is not None
                found.append((stored[0].subject.key, stored[1]))
            return found

    def codes(self, subject: str | None = None) -> set[str]:
        """The codes of open flags, of one subject or of all."""
        return {flag.code for name, flag in self.flags() if not flag.is_countered and subject in (None, name)}

    def close(self) -> None:
        self.index.close()


_JUDGEMENTS: tuple[dict[str, object], ...] = (
    {"bizStep": "holding"},
    {"bizStep": "inspecting", "disposition": "conformant"},
    {"bizStep": "inspecting", "disposition": "non_conformant"},
    {"bizStep": "inspecting", "disposition": "recalled"},
)


def random_statement(chance: random.Random) -> bytes:
    """Master data that flags rest on: of a place, a product, a document or a supplier."""
    period = chance.choice(("from=2025-01-01", "from=2025-10-06T12:00:00Z", "from=2025-10-01; to=2025-10-07"))
    return chance.choice(
        (
            place_of(chance.randrange(1, 4), chance.randrange(2)),
            stated(
                "EPCClass",
                lot("952110000001", "L").partition("/10/")[0],
                "needs",
                *[f"{what}; {period}" for what in ("cert", "testres", "release", "supplier") if chance.random() < 0.5],
            ),
            stated(
                "BusinessTransaction",
                f"urn:example:cert:{chance.choice((0, 0, 0, 1))}",
                "certificate",
                chance.choice(("valid; to=2025-10-06T18:00:00Z", "revoked; from=2025-10-06T12:00:00Z", "revoked")),
            ),
            stated("Party", "urn:example:firm:9", "approvedSupplier", f"approved; {period}"),
        )
    )


def random_events(chance: random.Random, count: int) -> list[tuple[dict[str, object], str]]:
    """Events with much that does not add up, each with the member that enters it."""
    lots = [lot("952110000001", f"L{number}") for number in range(5)]
    pieces = [serial("952110000002", f"S{number}") for number in range(3)]
    units = [unit(number) for number in (11, 12)]
    items = [*lots, *pieces, *units]
    told: list[tuple[dict[str, object], str]] = []
    for number in range(count):
        hour, at, to = chance.randrange(48), chance.randrange(1, 4), chance.randrange(1, 4)
        item, amount = chance.choice(items), chance.randrange(1, 50)
        member = chance.choice(("firm-0", "firm-0", "firm-1"))
        kind = chance.randrange(12)
        if kind == 0:
            event = make(item, amount, hour, at)
        elif kind == 1:
            event = ship(item, amount, hour, at, to)
        elif kind == 2:
            event = receive(item, amount, hour, to)
        elif kind == 11:
            event = {**receive(item, amount, hour, to), **chance.choice(_JUDGEMENTS)}
        elif kind == 9:
            event = clean(hour, at, passed=chance.random() < 0.6)
        elif kind in (3, 4, 10):
            taken, given = chance.sample(lots, k=2)
            name = chance.choice((None, "R1"))
            event = run({taken: amount}, {given: chance.randrange(1, 60)}, hour, at, name)
            event = on_line(event, at) if kind != 3 else event
        elif kind == 5:
            event = pack(chance.choice(units), chance.choice([*lots, *pieces, units[0]]), amount, hour, at)
            if str(event["parentID"]) in str(event.get("childEPCs", "")):
                continue
        elif kind == 6:
            event = pack(chance.choice(units), chance.choice([*lots, *pieces]), amount, hour, at, "DELETE")
        elif kind == 7 and told:
            original, by = chance.choice(told)
            if "eventID" not in original or "errorDeclaration" in original:
                continue
            event, member = void(original), chance.choice((by, "firm-1"))
        else:
            event = called(receive(item, amount, hour, to), f"0000000{chance.randrange(4)}")
        if kind != 7 and chance.random() < 0.2:
            paper = f"urn:example:cert:{chance.choice((0, 0, 0, 1))}"
            event = {**event, "bizTransactionList": [{"type": "cert", "bizTransaction": paper}]}
        if kind == 2 and chance.random() < 0.5:
            event = {**event, "sourceList": [{"type": "possessing_party", "source": "urn:example:firm:9"}]}
        if kind != 7 and chance.random() < 0.4:
            event = called(event, f"{number:08d}")
        told.append((event, member))
    return told
