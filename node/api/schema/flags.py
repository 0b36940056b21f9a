"""Flags, completeness, scorecards and balances: as `query` has them, see docs/flags.md."""

from typing import Annotated

import msgspec

from node.api.schema.transactions import Wait
from node.ledger.waivers import REASON_LENGTH_MAX
from node.lineage.flag_model import FLAG_ID_BYTES
from node.query.balances import BalanceAnswer, BalanceRequest
from node.query.flags import FlagAnswer, FlagRequest, FlagsAnswer
from node.query.scorecards import CompletenessAnswer, CompletenessRequest, Scorecard, ScorecardRequest

FlagId = Annotated[str, msgspec.Meta(min_length=2 * FLAG_ID_BYTES, max_length=2 * FLAG_ID_BYTES)]
FlagListParams = FlagRequest
FlagListResult = FlagsAnswer
FlagResult = FlagAnswer
CompletenessParams = CompletenessRequest
CompletenessResult = CompletenessAnswer
ScorecardParams = ScorecardRequest
ScorecardResult = Scorecard
BalanceParams = BalanceRequest
BalanceResult = BalanceAnswer


class WaiveParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which flag, and why it may stand: a line for people. wait: until it is on this node's disk, or final."""

    id: FlagId
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=REASON_LENGTH_MAX)]
    wait: Wait = Wait.FINAL


class FlagParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which flag: its id, as `flag.list` gives it."""

    id: FlagId
