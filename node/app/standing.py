"""Whether the network knows a node as whose it is, and what the node waits for if not, in words."""

from collections.abc import Sequence

from node.crypto.keys import PublicKey
from node.ledger.roster import Roster
from node.p2p.joining import JoinState, JoinStatus
from node.p2p.peers import PeerStatus
from node.wire.ids import MemberId

ADD_ADVICE = (
    "a member proposes to add it by lotvine govern propose add-member join-request.json, and validators approve"
)


def describe_standing(
    roster: Roster,
    member: MemberId,
    key: PublicKey,
    *,
    next_key: PublicKey | None,
    peers: Sequence[PeerStatus],
    joining: JoinStatus,
) -> str | None:
    """Return what keeps the network from knowing this node, or None if it does.

    roster: the newest that the node knows, which may be old. key, next_key: the node's own, and the one that waits.
    """
    own = roster.find(member)
    if own is not None and own.is_present and own.node_key == key:
        return None
    if own is not None and not own.is_present:
        return f"{member} was removed from the network; what it wrote stays"
    if own is None:
        what = f"{member} is not a member in the newest epoch known here ({roster.epoch})"
    elif next_key is not None and own.node_key == next_key:
        return "the next key is in force: the node takes it up now"
    else:
        what = f"epoch {roster.epoch}, the newest known here, has another key of {member}"
    return f"{what}; {_describe_contact(peers, joining)}"


def _describe_contact(peers: Sequence[PeerStatus], joining: JoinStatus) -> str:
    connected = [peer.member for peer in peers if peer.is_connected]
    if connected:
        return f"catching up from {', '.join(connected)}"
    if joining.state is JoinState.CONNECTED:
        return f"catching up from {joining.address}"
    refusing = [peer.member for peer in peers if peer.does_not_know_us]
    if joining.state is JoinState.NOT_A_MEMBER:
        refusing.append(MemberId(str(joining.address)))
    if refusing:
        return f"{', '.join(refusing)} {'do' if len(refusing) > 1 else 'does'} not know its key: {ADD_ADVICE}"
    where = f" at {joining.address}: {joining.words}" if joining.state is JoinState.UNREACHABLE else ""
    return f"no member's node answers{where}"
