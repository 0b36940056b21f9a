"""`answer.diff`. The difference is that of `query`."""

import msgspec

from node.query.changes import Changes

DiffResult = Changes


class DiffParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """before, after: two answers of `trace.back`, `trace.forward`, `trace.both` or `scope.compute`, as they were."""

    before: msgspec.Raw
    after: msgspec.Raw
