"""Cohere's v2 chat and embed formats: requests written, answers read. Pure.

Facts come from the vendor's OpenAPI description and client library (v2 chat, v2 embed). Requests are in `request` and
`messages`, complete answers in `answer`, streams in `stream`, errors in `errors`, embeddings in `embed`, and names of
tools that Cohere refuses in `tool_names`.
"""

from providers.dialects.cohere_chat.answer import decode_answer
from providers.dialects.cohere_chat.embed import (
    DEFAULT_INPUT_TYPE,
    INPUT_TYPES,
    decode_embeddings,
    encode_embeddings_request,
)
from providers.dialects.cohere_chat.request import encode_request
from providers.dialects.cohere_chat.stream import StreamDecoder
from providers.dialects.cohere_chat.tool_names import NamedStream, told_names, with_own_names, with_told_names

__all__ = [
    "DEFAULT_INPUT_TYPE",
    "INPUT_TYPES",
    "NamedStream",
    "StreamDecoder",
    "decode_answer",
    "decode_embeddings",
    "encode_embeddings_request",
    "encode_request",
    "told_names",
    "with_own_names",
    "with_told_names",
]
