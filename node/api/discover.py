"""`rpc.discover`: the API described by OpenRPC, built from the same declarations that serve it.

Source: OpenRPC specification 1.3, and its service discovery method.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from node.api.errors import NUMBERS, REFUSED
from node.api.operations import Operation

OPENRPC_VERSION: Final = "1.3.2"
_REFERENCE: Final = "#/components/schemas/{name}"


def describe_api(operations: Sequence[Operation], *, version: str) -> dict[str, Any]:
    """Return the OpenRPC document of these operations."""
    types = [one.params for one in operations] + [one.result for one in operations]
    schemas, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    results = schemas[len(operations) :]
    methods = [
        {
            "name": one.name,
            "summary": one.words,
            "paramStructure": "by-name",
            "params": _describe_params(one, components),
            "result": {"name": "result", "schema": result},
        }
        for one, result in zip(operations, results, strict=True)
    ]
    errors = {code: {"code": number, "message": code} for code, number in NUMBERS.items()}
    errors["refused"] = {"code": REFUSED, "message": "refused: data.code says why"}
    return {
        "openrpc": OPENRPC_VERSION,
        "info": {
            "title": "Lotvine",
            "version": version,
            "description": "A node's API for its organisation's own systems, over POST and WebSocket at /rpc.",
        },
        "methods": methods,
        "components": {"schemas": components, "errors": errors},
    }


def _describe_params(one: Operation, components: dict[str, Any]) -> list[dict[str, Any]]:
    described = components[one.params.__name__]
    required = set(described.get("required", ()))
    return [
        {"name": name, "required": name in required, "schema": schema}
        for name, schema in described["properties"].items()
    ]
