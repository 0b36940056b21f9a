"""`flag.list`, `flag.get`, `item.completeness`, `party.scorecard`: as `query` has them, see docs/flags.md."""

from typing import Annotated

import msgspec

from node.lineage.flag_model import FLAG_ID_BYTES
from node.query.flags import FlagAnswer, FlagRequest, FlagsAnswer
from node.query.scorecards import CompletenessAnswer, CompletenessRequest, Scorecard, ScorecardRequest

FlagListParams = FlagRequest
FlagListResult = FlagsAnswer
FlagResult = FlagAnswer
CompletenessParams = CompletenessRequest
CompletenessResult = CompletenessAnswer
ScorecardParams = ScorecardRequest
ScorecardResult = Scorecard


class FlagParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which flag: its id, as `flag.list` gives it."""

    id: Annotated[str, msgspec.Meta(min_length=2 * FLAG_ID_BYTES, max_length=2 * FLAG_ID_BYTES)]
