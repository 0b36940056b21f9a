"""`member.list`."""

from node.api.backends import Backends
from node.api.operations import NoParams, operation
from node.api.schema.network import MembersResult


@operation("member.list")
def member_list(backends: Backends, params: NoParams) -> MembersResult:  # noqa: ARG001 - every handler's shape
    """The members of the network with their roles, keys and addresses."""
    return backends.network.members()
