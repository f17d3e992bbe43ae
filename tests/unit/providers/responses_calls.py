"""Chat calls for tests of the Responses dialect, and what they become."""

from providers.adapters.base import Quirks
from providers.dialects.openai_responses.request import encode_request
from providers.types import (
    ChatCall,
    Message,
    TextPart,
)


def says(role, text):
    return Message(role=role, parts=(TextPart(text=text),))


PLAIN = Quirks()


def encode(*messages, quirks=PLAIN, **fields):
    call = ChatCall(model="client-name", messages=messages or (says("user", "Hi"),), **fields)
    return encode_request(call, model="upstream-name", quirks=quirks, provider="acme")
