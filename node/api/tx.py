"""`tx.submit`, `tx.get`."""

import asyncio
import base64
import binascii

from node.api.backends import Backends
from node.api.operations import operation
from node.api.schema.transactions import GetParams, SubmitParams, TransactionResult
from node.errors import RequestError


@operation("tx.submit")
def tx_submit(backends: Backends, params: SubmitParams) -> asyncio.Future[TransactionResult]:
    """Submit a signed transaction; answered once it is durable on this node's disk, or final."""
    try:
        if params.encoding == "hex":
            signed = bytes.fromhex(params.signed)
        else:
            signed = base64.b64decode(params.signed, validate=True)
    except (ValueError, binascii.Error) as error:
        raise RequestError("invalid_params", f"not {params.encoding}: {error}", field="params.signed") from error
    return backends.transactions.submit(signed, wait=params.wait)


@operation("tx.get")
def tx_get(backends: Backends, params: GetParams) -> TransactionResult:
    """What became of a transaction: accepted or final, how many nodes hold it, and the verdict."""
    return backends.transactions.get(params.id)
