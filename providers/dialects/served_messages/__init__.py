"""Anthropic's Messages API as clients speak it: its requests to chat completions, a chat's answer to a message. Pure.

request.py    body of POST /v1/messages → body of a chat completion (content.py, tools.py)
stream.py     chat frames → events of a message stream; a whole answer → a message (message_builder.py)
own_fields.py what a chat carries for a provider of Anthropic's dialect, and is left out or written anew for others
betas.py      which of Anthropic's trials a client may ask for
strictness.py whether OpenAI would take a schema as a strict one
errors.py     an error in Anthropic's shape
"""

from providers.dialects.served_messages.errors import error_body, error_event
from providers.dialects.served_messages.request import name_of_field, to_chat
from providers.dialects.served_messages.stream import ServedMessage

__all__ = ["ServedMessage", "error_body", "error_event", "name_of_field", "to_chat"]
