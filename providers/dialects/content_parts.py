"""Text that came in parts → the string that OpenAI's clients know, and what was thought → the name they know. Pure.

Mistral's reasoning models answer with a list: `{"type": "thinking", "thinking": [{"type": "text", "text"}]}` and then
`{"type": "text", "text"}`, in streams as well. What was thought becomes `reasoning_content`; parts may be plain strings,
and those of other types (references to sources) have no text and are left out.
"""

from typing import Any

from providers.dialects.thought_names import name_thought_of
from providers.lenient import a_list
from providers.types import JsonObject


def mend_parts(said: JsonObject) -> bool:
    """Corrects a message or a delta in place; True when its content was a list."""
    content = said.get("content")
    if type(content) is not list:
        return False
    thought = "".join(_texts(part.get("thinking")) for part in content if isinstance(part, dict))
    said["content"] = _texts(content) or None
    if thought:
        before = said.get("reasoning_content")
        said["reasoning_content"] = before + thought if isinstance(before, str) else thought
    return True


def mend_choices(choices: list[JsonObject]) -> bool:
    """The same for the choices of a whole answer."""
    is_changed = False
    for choice in choices:
        message = choice.get("message")
        # Looked at here, since most content is a string: a call for each would take longer than all the rest.
        if type(message) is dict:
            if type(message.get("content")) is list:
                is_changed = mend_parts(message)
            if "reasoning" in message or "reasoning_details" in message:
                is_changed = name_thought_of(message) or is_changed
        elif message is None and "text" not in choice:
            # Gemini's, where all that was said was filtered out. Clients look into the message unasked.
            choice["message"] = {"role": "assistant", "content": None}
            is_changed = True
    return is_changed


def _texts(value: Any) -> str:
    if isinstance(value, str):
        return value
    parts = [part.get("text") if isinstance(part, dict) else part for part in a_list(value)]
    return "".join(part for part in parts if isinstance(part, str))
