"""`flag.list` and `flag.get`. Questions and answers are those of `query`, described in docs/flags.md."""

from typing import Annotated

import msgspec

from node.lineage.flag_model import FLAG_ID_BYTES
from node.query.flags import FlagAnswer, FlagRequest, FlagsAnswer

FlagListParams = FlagRequest
FlagListResult = FlagsAnswer
FlagResult = FlagAnswer


class FlagParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which flag: its id, as `flag.list` gives it."""

    id: Annotated[str, msgspec.Meta(min_length=2 * FLAG_ID_BYTES, max_length=2 * FLAG_ID_BYTES)]
