"""OpenAI's chat completions: requests, answers, streams, usage. Pure.

Shapes: https://platform.openai.com/docs/api-reference/chat, and what other vendors widely add to it
(`reasoning_content`, `reasoning_details`, `citations`).
"""

from providers.dialects.openai_chat.answer import encode_answer, generated_text
from providers.dialects.openai_chat.old_functions import OldStreamEncoder, encode_old_answer, speaks_of_functions
from providers.dialects.openai_chat.one_call import OneCallEncoder, encode_one_call, keep_first_call, wants_one_call
from providers.dialects.openai_chat.request import decode_request
from providers.dialects.openai_chat.stream import StreamEncoder
from providers.dialects.openai_chat.stream_decoder import StreamDecoder
from providers.dialects.openai_chat.usage import read_usage, write_usage

__all__ = [
    "OldStreamEncoder",
    "OneCallEncoder",
    "StreamDecoder",
    "StreamEncoder",
    "decode_request",
    "encode_answer",
    "encode_old_answer",
    "encode_one_call",
    "generated_text",
    "keep_first_call",
    "read_usage",
    "speaks_of_functions",
    "wants_one_call",
    "write_usage",
]
