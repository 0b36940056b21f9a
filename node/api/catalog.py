"""All operations, by name. What is not in this list is not served."""

from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from node.api import (
    answer,
    backup,
    block,
    event,
    evidence,
    flag,
    govern,
    item,
    member,
    network,
    party,
    scope,
    trace,
    tx,
)
from node.api.backends import Backends
from node.api.discover import describe_api
from node.api.operations import NoParams, Operation, operation


def program_version() -> str:
    """Return the version of the installed distribution, `0+source` when run from a source tree."""
    try:
        return version("lotvine")
    except PackageNotFoundError:
        return "0+source"


@operation("rpc.discover")
def rpc_discover(backends: Backends, params: NoParams) -> dict[str, Any]:  # noqa: ARG001 - every handler's shape
    """This description of the API, in OpenRPC."""
    return _describe()


@cache
def _describe() -> dict[str, Any]:
    # Made once: it takes milliseconds of the loop that carries the votes, and never changes.
    return describe_api(tuple(OPERATIONS.values()), version=program_version())


OPERATIONS: Final[Mapping[str, Operation]] = {
    one.name: one
    for one in (
        network.network_status,
        network.network_validators,
        member.member_list,
        govern.govern_propose,
        govern.govern_approve,
        govern.govern_withdraw,
        govern.govern_list,
        evidence.evidence_list,
        backup.backup_create,
        event.event_capture,
        event.event_get,
        tx.tx_submit,
        tx.tx_get,
        block.block_get,
        item.item_get,
        item.item_find,
        trace.trace_back,
        trace.trace_forward,
        trace.trace_both,
        trace.trace_closure,
        trace.trace_picture,
        trace.trace_common,
        scope.scope_compute,
        scope.scope_picture,
        answer.answer_diff,
        flag.flag_list,
        flag.flag_get,
        flag.flag_waive,
        flag.item_completeness,
        party.party_scorecard,
        party.party_balance,
        rpc_discover,
    )
}
