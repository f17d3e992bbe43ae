"""Anthropic's Messages dialect: requests written, answers read. Pure.

request.py        ChatCall → body of POST /v1/messages (messages.py, blocks.py, tools.py, thinking.py, schema.py)
answer.py         body of the answer → ChatAnswer
stream.py         event stream → StreamEvents (stream_blocks.py)
errors.py         status and body, or an error event → UpstreamError
traits.py         what one model accepts; chosen by the adapter
"""

from providers.dialects.anthropic_messages.answer import decode_answer
from providers.dialects.anthropic_messages.errors import error_of_object, read_error
from providers.dialects.anthropic_messages.request import encode_request
from providers.dialects.anthropic_messages.stream import StreamDecoder
from providers.dialects.anthropic_messages.tools import JSON_ANSWER_TOOL, needs_json_tool
from providers.dialects.anthropic_messages.traits import ModelTraits

__all__ = [
    "JSON_ANSWER_TOOL",
    "ModelTraits",
    "StreamDecoder",
    "decode_answer",
    "encode_request",
    "error_of_object",
    "needs_json_tool",
    "read_error",
]
