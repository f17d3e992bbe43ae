"""One name for what a model thought, whatever its server calls it. Pure.

DeepSeek's `reasoning_content` is what most clients read and what the gateway gives for every other dialect. vLLM (from
0.16), Ollama, Groq, Cerebras, Together and OpenRouter say `reasoning`, MiniMax and OpenRouter `reasoning_details`. The name
is added; what the server sent stays, since some want it back as it was.
"""

from typing import Any

import orjson

from providers.dialects.chunk_texts import is_plain
from providers.types import JsonObject

NAME = "reasoning_content"

_PROBE = b"~probe~"
_LESSONS = 4
"""After so many templates in a row that no event fitted, no more are made."""


def name_thought(said: JsonObject) -> bool:
    """Adds the name to a message or a delta, in place; True when it did."""
    thought = said.get("reasoning")
    if not thought or not isinstance(thought, str) or said.get(NAME):
        return False
    said[NAME] = thought
    return True


def name_thought_of(message: JsonObject) -> bool:
    """The same for a whole message, which may tell it in blocks only. In a stream some servers (MiniMax's) repeat in each
    block what the ones before it said: there the blocks pass as they are."""
    if name_thought(message):
        return True
    details = message.get("reasoning_details")
    if message.get(NAME) or not isinstance(details, list):
        return False
    thought = "".join(_text_of(block) for block in details if isinstance(block, dict))
    if thought:
        message[NAME] = thought
    return bool(thought)


def _text_of(block: JsonObject) -> str:
    text = block.get("text") or block.get("summary")
    return text if isinstance(text, str) else ""


def says_only_thought(chunk: JsonObject, text: str) -> bool:
    """`text` is all that the chunk says: a thought under both names, in one choice that goes on."""
    choice, *others = chunk["choices"]
    delta = choice.get("delta")
    goes_on = not others and not choice.get("finish_reason") and type(delta) is dict
    return bool(goes_on and text and delta.get("reasoning") == text == delta.get(NAME))


class ThoughtFrames:
    """Frames of one stream that say nothing but a thought, written with its second name without being parsed.

    Such frames are equal but for the thought. What stands around it in one of them, as it came and as it was written, is
    kept; a frame with the same around another thought is written by putting that one in.
    """

    __slots__ = ("_fixed", "_lessons", "_read", "_written")

    def __init__(self) -> None:
        self._read: list[bytes] = []
        self._written: list[bytes] = []
        self._fixed = 0
        self._lessons = _LESSONS

    def write(self, frame: bytes) -> tuple[str, bytes] | None:
        """The thought, and the frame for the client; None when the frame is none like the one that was learned."""
        read = self._read
        if not read or not frame.startswith(read[0]):
            return None
        size, rest = divmod(len(frame) - self._fixed, len(read) - 1)
        start = len(read[0])
        said = frame[start : start + size]
        if rest or size <= 0 or said.join(read) != frame:
            return None
        try:
            thought = said.decode()
        except UnicodeDecodeError:
            return None
        if not is_plain(thought):
            return None
        self._lessons = _LESSONS
        return thought, said.join(self._written)

    def learn(self, frame: bytes, written: bytes, thought: str) -> None:
        """A parse with another thought in its place proves that nothing else would change with it."""
        if self._lessons == 0 or not is_plain(thought):
            return
        read, made = _around(thought, frame), _around(thought, written)
        if len(read) < 2 or _written_anew(_PROBE.join(read)) != _PROBE.join(made):
            return
        self._lessons -= 1
        self._read, self._written = read, made
        self._fixed = sum(map(len, read))


def _around(thought: str, frame: bytes) -> list[bytes]:
    """What stands around a thought, its quotes included. JSON holds no null byte."""
    return frame.replace(b'"' + thought.encode() + b'"', b'"\0"').split(b"\0")


def _written_anew(frame: bytes) -> bytes:
    """As the relay writes the frame of a choice whose role was told: b"" when it is none."""
    try:
        chunk: Any = orjson.loads(frame[6:])
        delta = chunk["choices"][0]["delta"]
        delta.pop("role", None)
        name_thought(delta)
    except (orjson.JSONDecodeError, LookupError, TypeError, AttributeError):
        return b""
    return b"data: " + orjson.dumps(chunk) + b"\n\n"
