"""`govern.*`, `network.validators` and `evidence.list`."""

from typing import Annotated, Literal

import msgspec

from node.api.schema.transactions import TransactionId, TransactionResult, Wait

_MemberName = Annotated[str, msgspec.Meta(max_length=32, description="A member's short name.")]
_Text = Annotated[str, msgspec.Meta(max_length=200)]
_Key = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$", description="A public key: 64 lower-case hex digits.")]
_Signature = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{128}$", description="128 lower-case hex digits.")]
_Role = Literal["validator", "member", "observer"]


class _Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="change", omit_defaults=True):
    """One change of a proposal; `change` says which."""


class AddMember(_Change, frozen=True, tag="add_member"):
    """Take in a firm, by the request that it made: `lotvine init --join` writes it. It votes later, by set_role.

    proof: the node key's signature; empty where a proposal is shown, for it is not on the ledger.
    """

    id: _MemberName
    name: _Text
    node_key: _Key
    address: str
    proof: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{128})?$")]
    organisation_id: _Text = ""
    actor_keys: tuple[_Key, ...] = ()
    role: Literal["member", "observer"] = "member"


class RemoveMember(_Change, frozen=True, tag="remove_member"):
    """End a member's part in the network; what it wrote stays, its id is never used again."""

    id: _MemberName


class SetRole(_Change, frozen=True, tag="set_role"):
    """Make a member validator, member or observer."""

    id: _MemberName
    role: _Role


class RotateKey(_Change, frozen=True, tag="rotate_key"):
    """Give a member another node key. proof: the new key's signature; `lotvine keys rotate` makes both."""

    id: _MemberName
    node_key: _Key
    proof: _Signature


class ChangeMember(_Change, frozen=True, tag="change_member"):
    """Change what a member is called and where its node is reached; what is not given stays."""

    id: _MemberName
    name: _Text | None = None
    organisation_id: _Text | None = None
    address: str | None = None


class SetActorKeys(_Change, frozen=True, tag="set_actor_keys"):
    """Say by which keys a member's people and machines sign, in place of those before."""

    id: _MemberName
    actor_keys: tuple[_Key, ...]


class NewFeed(_Change, frozen=True, tag="new_feed"):
    """Begin the member's next feed under the same key, for a feed that stands still."""

    id: _MemberName


class SetParameters(_Change, frozen=True, tag="set_parameters"):
    """Change parameters of the network; what is not given stays."""

    block_bytes_max: int | None = None
    block_batches_max: int | None = None
    rules_version: int | None = None
    clock_tolerance_ms: int | None = None
    transaction_expiry_ms: int | None = None
    timing: str | None = None
    flag_unmatched_hours: int | None = None
    flag_run_gain_permille: int | None = None
    flag_run_loss_permille: int | None = None
    flag_back_dated_hours: int | None = None
    flag_speed_kmh: int | None = None
    handover_window_hours: int | None = None
    contact_window_hours: int | None = None
    outbound_steps: tuple[str, ...] | None = None
    inbound_steps: tuple[str, ...] | None = None
    ending_steps: tuple[str, ...] | None = None
    primary_steps: tuple[str, ...] | None = None
    clean_steps: tuple[str, ...] | None = None


Change = AddMember | RemoveMember | SetRole | RotateKey | ChangeMember | SetActorKeys | NewFeed | SetParameters


class ProposeParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """changes: applied in order, all or none. note: for people."""

    changes: Annotated[tuple[Change, ...], msgspec.Meta(min_length=1, max_length=16)]
    note: Annotated[str, msgspec.Meta(max_length=500)] = ""
    wait: Wait = Wait.FINAL


class ReferenceParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """id: of the proposal."""

    id: TransactionId
    wait: Wait = Wait.FINAL


class GovernResult(msgspec.Struct, frozen=True):
    """What became of a proposal, an approval or a withdrawal.

    proposal: its id. state: open, approved (takes effect at the next epoch), closed, or unknown (not final yet).
    approvals: validators that approve it; needed: how many carry it. transaction: what carried the request.
    """

    proposal: str
    state: Literal["open", "approved", "closed", "unknown"]
    approvals: tuple[str, ...]
    needed: int
    transaction: TransactionResult


class ListParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """epochs: how many of the newest epochs to tell of."""

    epochs: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10


class ProposalEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A proposal. changes, words: the same, for programs and for people.

    state: open; or approved, and waiting for an epoch that can take it. proposed_ms: time of its block. approvals: the
    validators that have approved it so far; once it is approved they are not kept. approved_height: of the block that
    approved it.
    """

    id: str
    state: Literal["open", "approved"]
    proposer: str
    note: str
    changes: tuple[Change, ...]
    words: tuple[str, ...]
    approvals: tuple[str, ...] = ()
    proposed_ms: int | None = None
    approved_height: int | None = None


class EpochEntry(msgspec.Struct, frozen=True):
    """An epoch and what its beginning changed, in words. anchor_height: of the block that it starts from."""

    epoch: int
    anchor_height: int
    words: tuple[str, ...]


class GovernList(msgspec.Struct, frozen=True):
    """All that governance has before it.

    needed: validators that carry a proposal. proposals: open ones, oldest first, then approved ones in the order in
    which they take effect. epochs: the newest first. evidence: misdeeds on the ledger, see `evidence.list`.
    """

    epoch: int
    height: int
    validators: tuple[str, ...]
    needed: int
    proposals: tuple[ProposalEntry, ...]
    epochs: tuple[EpochEntry, ...]
    evidence: int


class ValidatorsParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """from_epoch: the first to tell of; None for the newest `count`. proof: with what proves each set."""

    from_epoch: Annotated[int, msgspec.Meta(ge=0)] | None = None
    count: Annotated[int, msgspec.Meta(ge=1, le=100)] = 10
    proof: bool = False


class SetProof(msgspec.Struct, frozen=True):
    """What proves an epoch's validators to whoever knows those of the epoch before: docs/protocol.md, light client.

    Each as hex. roster: the whole one, whose digest the header names. header: of the anchor, the last block of the
    epoch before; certificate: what finalizes it, `[subject, [[signer, signature]…]]`. Both None in epoch 0, which the
    genesis file proves.
    """

    roster: str
    header: str | None
    certificate: str | None


class Validator(msgspec.Struct, frozen=True):
    """A validator of an epoch. index: what its votes are signed as."""

    index: int
    member: str
    node_key: str


class ValidatorSet(msgspec.Struct, frozen=True):
    """Who voted in an epoch: all that is needed to check its certificates.

    anchor_height, anchor_digest: of the block that it starts from, at 0 genesis. roster_digest: what that block named
    as the next epoch's. parameters: those of the epoch. proof: None unless asked for.
    """

    epoch: int
    anchor_height: int
    anchor_digest: str
    roster_digest: str
    quorum: int
    validators: tuple[Validator, ...]
    parameters: dict[str, int | str | tuple[str, ...]]
    proof: SetProof | None = None


class ValidatorsResult(msgspec.Struct, frozen=True):
    """Epochs in order, perhaps fewer than asked for; newest: the number of the present one."""

    newest: int
    epochs: tuple[ValidatorSet, ...]


class EvidenceEntry(msgspec.Struct, frozen=True):
    """Proof on the ledger that a member's node signed two things that exclude each other.

    kind: `fork` (two batches of one place in its feed) or the kinds of two votes. words: what it did. reporter: whose
    node brought it. transaction, height: where it stands. evidence: the proof itself, hex.
    """

    signer: str
    kind: str
    words: str
    epoch: int
    reporter: str
    transaction: str
    height: int
    evidence: str


class EvidenceParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """member: of this one only."""

    member: str | None = None


class EvidenceResult(msgspec.Struct, frozen=True):
    """All evidence on the ledger, by height, at most 1,000."""

    evidence: tuple[EvidenceEntry, ...]
