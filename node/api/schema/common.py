"""`trace.common`. Question and answer are those of `query`, described in docs/trace.md."""

from node.query.common_answer import CommonAnswer, CommonRequest

CommonParams = CommonRequest
CommonResult = CommonAnswer
