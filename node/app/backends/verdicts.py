"""What the verdicts of execution mean for the person who asked, and what to do next."""

from types import MappingProxyType
from typing import Final

from node.errors import RequestError
from node.ledger.verdicts import TransactionCode

_WORDS: Final = MappingProxyType(
    {
        TransactionCode.EXPIRED: (
            "when the network took it up, it was made longer ago than the network allows",
            "see that this node's clock is right (it may be behind) and that it is connected, and enter it again",
        ),
        TransactionCode.TOO_EARLY: (
            "it was made later than the network's time allows",
            "see that this node's clock is right (it is ahead), and enter it again",
        ),
        TransactionCode.MALFORMED: (
            "the network cannot read its content",
            "report it: this node should not have sent it",
        ),
        TransactionCode.UNKNOWN_KIND: (
            "the network does not know this kind of transaction",
            "run the version of the program that the other members run",
        ),
        TransactionCode.ACTOR_UNKNOWN: (
            "the actor key that signed it is not one of the member's",
            "lotvine member list names the keys; propose the key, or sign with another one",
        ),
        TransactionCode.NOT_ENTITLED: (
            "only validators approve, and only validators and members propose",
            "ask a member of the network to do it at its node",
        ),
        TransactionCode.NO_SUCH_PROPOSAL: (
            "no proposal of this id is open: it was decided, withdrawn or is too old",
            "lotvine govern list shows what is open",
        ),
        TransactionCode.ALREADY_APPROVED: ("this validator has approved it before", None),
        TransactionCode.NOTHING_TO_WITHDRAW: ("this member neither made the proposal nor approved it", None),
        TransactionCode.TOO_MANY_PROPOSALS: (
            "too many proposals are open or wait to take effect",
            "withdraw one, or wait until some are decided",
        ),
        TransactionCode.UNKNOWN_MEMBER: (
            "a change names a member that there is not, or that was removed",
            "lotvine member list names them all",
        ),
        TransactionCode.MEMBER_EXISTS: ("the id is or was in use", "choose another short name"),
        TransactionCode.KEY_IN_USE: (
            "the node key is or was in use",
            "make a new key: lotvine keys rotate, or lotvine init --join",
        ),
        TransactionCode.KEY_NOT_PROVEN: (
            "the new node key has not signed that it becomes this member's for its next feed",
            "run lotvine keys rotate at that member's node",
        ),
        TransactionCode.ROLE_IMPOSSIBLE: ("nobody is made former by a role", "propose remove-member"),
        TransactionCode.VALIDATOR_NOT_SYNCED: (
            "a member becomes a validator once something that its node entered is final",
            "have its node run and catch up first; it then enters something by itself",
        ),
        TransactionCode.TOO_FEW_VALIDATORS: (
            "fewer than four validators would be left of four or more, or none",
            "add another validator first, or replace this one",
        ),
        TransactionCode.TOO_MANY_VALIDATORS: ("a network has at most 64 validators", None),
        TransactionCode.TOO_MANY_CHANGES: (
            "more validators would come or go at once than may be faulty",
            "propose the changes one after the other",
        ),
        TransactionCode.TOO_MANY_MEMBERS: ("more members or keys than a network holds", None),
        TransactionCode.PARAMETERS_OUT_OF_BOUNDS: (
            "a parameter is out of its bounds",
            "docs/configuration.md has the bounds",
        ),
        TransactionCode.NOTHING_CHANGES: ("all is, or will be, as the changes would have it", None),
        TransactionCode.PROPOSAL_STALE: (
            "it had its approvals, but what was decided since makes it impossible",
            "lotvine govern list shows what was decided; propose anew",
        ),
    }
)


def describe_refusal(code: TransactionCode) -> str:
    """Return in words why a transaction was refused, the way out included."""
    words, hint = _explain(code)
    return words if hint is None else f"{words}: {hint}"


def _explain(code: TransactionCode) -> tuple[str, str | None]:
    return _WORDS.get(code, (f"refused: {code.name.lower().replace('_', ' ')}", None))


def refusal_of(code: TransactionCode, *, field: str) -> RequestError:
    """Return the refusal that a verdict is; its code is the verdict's name."""
    words, hint = _explain(code)
    return RequestError(code.name.lower(), words, field=field, hint=hint)
