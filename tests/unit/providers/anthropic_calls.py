"""Calls as the tests of Anthropic's dialect write them."""

import base64

from providers.dialects.anthropic_messages import ModelTraits, encode_request
from providers.types import (
    ChatCall,
    Message,
    TextPart,
    Tool,
    ToolCall,
)

OLD = ModelTraits(sampling_pair=False, structured_output=False)
NEW = ModelTraits(
    sampling=False,
    prefill=False,
    structured_output=True,
    late_system=True,
    adaptive_thinking=True,
    xhigh_effort=True,
)
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"0" * 24).decode()
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0" + b"0" * 24).decode()
WEBP = base64.b64encode(b"RIFF\x00\x00\x00\x00WEBPVP8 " + b"0" * 24).decode()
PDF = base64.b64encode(b"%PDF-1.7 " + b"0" * 24).decode()
LOOKUP = Tool(
    name="lookup", description="Looks up", parameters={"type": "object", "properties": {"q": {"type": "string"}}}
)


def user(text="hi"):
    return Message(role="user", parts=(TextPart(text=text),))


def assistant(text=None, calls=(), reasoning=()):
    parts = () if text is None else (TextPart(text=text),)
    return Message(role="assistant", parts=parts, tool_calls=calls, reasoning=reasoning)


def result(identifier, text="42"):
    return Message(role="tool", tool_call_id=identifier, parts=(TextPart(text=text),))


def call_of(*messages, **fields):
    return ChatCall(model="claude", messages=messages or (user(),), **fields)


def encode(call, traits=OLD, *, limit=None, version="2023-06-01"):
    return encode_request(call, model="claude-x", max_output_tokens=limit, traits=traits, version=version)


def tool_call(identifier="toolu_1", arguments='{"q":"x"}'):
    return ToolCall(id=identifier, name="lookup", arguments=arguments)
