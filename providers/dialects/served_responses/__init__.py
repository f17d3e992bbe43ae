"""OpenAI's Responses API as clients are served it: its requests become chat completions, and those their answers. Pure.

Nothing is stored, so whatever refers to an earlier response is refused. `openai_responses` is the same API, asked of
providers.
"""

from providers.dialects.served_responses.request import name_of_field, to_chat
from providers.dialects.served_responses.response import opening
from providers.dialects.served_responses.stream import ServedStream

__all__ = ["ServedStream", "name_of_field", "opening", "to_chat"]
