"""What execution says of a transaction and of an event. The numbers are hashed into the state digest: never renumber.

The names, in lower case, stand in the API.
"""

from enum import IntEnum


class TransactionCode(IntEnum):
    """The verdict on a transaction. What is not accepted stays on the ledger and changes nothing else."""

    ACCEPTED = 0
    DUPLICATE = 1
    """The same id was executed before."""
    EXPIRED = 2
    """Created too long before its feed's clock."""
    TOO_EARLY = 3
    """Created too far after the block's time."""
    UNKNOWN_KIND = 4
    MALFORMED = 5
    """The payload cannot be read."""
    ACTOR_UNKNOWN = 6
    """The actor key is not one of the member's."""
    NOT_ENTITLED = 7
    """Who has no feed proposes nothing; who is no validator approves nothing."""
    NO_SUCH_PROPOSAL = 8
    """None of that id is open: it never was, or was decided, withdrawn, or too old."""
    ALREADY_APPROVED = 9
    """This validator has approved it before."""
    NOTHING_TO_WITHDRAW = 10
    """The member neither made the proposal nor approved it."""
    TOO_MANY_PROPOSALS = 11
    """So many of the member's, or in all, are open or wait to take effect."""
    UNKNOWN_MEMBER = 12
    """A change names a member that there is not, or that was removed."""
    MEMBER_EXISTS = 13
    """A change adds a member whose id is or was in use."""
    KEY_IN_USE = 14
    """A node key is or was another member's, or is the member's own already."""
    KEY_NOT_PROVEN = 15
    """The new node key has not signed that it becomes this member's for that feed."""
    ROLE_IMPOSSIBLE = 16
    """A change of role makes nobody former: that is what removing does."""
    VALIDATOR_NOT_SYNCED = 17
    """A validator-to-be first has a batch of its present feed final: so its node runs, and has what there is."""
    TOO_FEW_VALIDATORS = 18
    """Fewer than four would be left of four or more, or none."""
    TOO_MANY_VALIDATORS = 19
    TOO_MANY_CHANGES = 20
    """More validators would come or go at once than may be faulty."""
    TOO_MANY_MEMBERS = 21
    """More members, past members or actor keys than a roster holds."""
    PARAMETERS_OUT_OF_BOUNDS = 22
    NOTHING_CHANGES = 23
    """All is as the changes would have it."""
    PROPOSAL_STALE = 24
    """It had its approvals, but what was decided since makes it impossible; it is closed."""
    EVIDENCE_KNOWN = 25
    """This misdeed stands on the ledger already."""
    EVIDENCE_EXPIRED = 26
    """Of votes in an epoch before the last."""
    EVIDENCE_UNPROVEN = 27
    """The two things do not exclude each other, or are not both signed by whom it names."""


class EventCode(IntEnum):
    """The verdict on one event of an accepted capture."""

    ACCEPTED = 0
    DUPLICATE = 1
    """The member entered the same event before, eventID included."""
    UNREADABLE = 2
    """The network's numbered rules cannot read it."""
