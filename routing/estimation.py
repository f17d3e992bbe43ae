"""How many tokens a request will take, before anybody counted them. Pure.

Two figures: a likely one (a token is about four bytes of text) for rate limits and routing, and an upper bound (a token
of a byte-level tokenizer is at least one byte) for budgets, which must never be exceeded.
"""

from typing import Any, NamedTuple

from providers.types import ClientRequest, JsonObject, Operation

BYTES_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 8
# Vision models charge an image by its tiles; the dearest common case (high detail, 2048 px) is below this.
TOKENS_PER_IMAGE = 2048
DEFAULT_OUTPUT_TOKENS = 4096


class Estimate(NamedTuple):
    """`likely_input` and `most_input` tokens; `output` is what the client allows, None when it set no limit."""

    likely_input: int
    most_input: int
    output: int | None


def estimate(request: ClientRequest) -> Estimate:
    """Text alone is measured by the size of its JSON, which is never smaller than what is in it; a request with images
    or files part by part."""
    if request.size_bytes and not request.has_media:
        most = request.size_bytes + TOKENS_PER_MESSAGE * len(request.body.get("messages", ()))
        output = 0 if request.operation is Operation.EMBEDDINGS else asked_output(request)
        # The class's own constructor costs twice as much.
        return tuple.__new__(Estimate, (request.size_bytes // BYTES_PER_TOKEN, most, output))
    return measured(request)


def measured(request: ClientRequest) -> Estimate:
    """The careful way: what the texts hold, without the JSON around them."""
    text_bytes, images, messages = _measure(request)
    media = images * TOKENS_PER_IMAGE
    framing = messages * TOKENS_PER_MESSAGE
    return Estimate(
        likely_input=text_bytes // BYTES_PER_TOKEN + media + framing,
        most_input=text_bytes + media + framing,
        output=0 if request.operation is Operation.EMBEDDINGS else asked_output(request),
    )


def count_tokens(text: str) -> int:
    """Tokens of generated text when the provider reported none: a token is about four bytes."""
    return -(-_string_bytes(text) // BYTES_PER_TOKEN)


def message_tokens(message: JsonObject) -> int:
    """Likely tokens of one message of a conversation."""
    text_bytes, images = _message(message)
    return text_bytes // BYTES_PER_TOKEN + images * TOKENS_PER_IMAGE + TOKENS_PER_MESSAGE


def asked_output(request: ClientRequest) -> int | None:
    body = request.body
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if limit is None and request.operation is Operation.COMPLETIONS:
        limit = 16
    if limit is None:
        return None
    count = body.get("n")
    # Some clients send 100.0.
    return int(limit) if count is None else int(limit) * int(count or 1)


def _measure(request: ClientRequest) -> tuple[int, int, int]:
    """(bytes of text, images, messages)"""
    body = request.body
    if request.operation is Operation.EMBEDDINGS:
        size = _text_bytes(body["input"])
        return size, 0, 1
    if request.operation is Operation.COMPLETIONS:
        return _text_bytes(body.get("prompt", "")), 0, 1
    text = sum(_text_bytes(body[name]) for name in ("tools", "response_format", "functions") if body.get(name))
    images = 0
    for message in body["messages"]:
        more_text, more_images = _message(message)
        text += more_text
        images += more_images
    return text, images, len(body["messages"])


def _message(message: JsonObject) -> tuple[int, int]:
    content = message.get("content")
    calls = message.get("tool_calls")
    text = _text_bytes(calls) if calls else 0
    if isinstance(content, str):
        return text + _string_bytes(content), 0
    if content is None:
        return text, 0
    more_text, images = _parts(content)
    return text + more_text, images


def _string_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _parts(parts: list[Any]) -> tuple[int, int]:
    text = images = 0
    for part in parts:
        if not isinstance(part, dict):
            continue
        if isinstance(part.get("text"), str):
            text += _string_bytes(part["text"])
        elif part.get("type") in ("image_url", "file", "input_audio"):
            images += 1
    return text, images


def _text_bytes(value: Any) -> int:
    """Bytes of all strings and numbers inside `value`; token ids count four bytes, so that one id is one token."""
    total = 0
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            total += _string_bytes(item)
        elif isinstance(item, dict):
            total += sum(len(key) + 4 for key in item)
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)
        elif item is not None:
            total += BYTES_PER_TOKEN
    return total


def needs(request: ClientRequest) -> frozenset[str]:
    """The capabilities a deployment must have for this request, as named in `providers.capabilities`."""
    if request.operation is Operation.EMBEDDINGS:
        return EMBEDDINGS
    body = request.body
    if ASKING.isdisjoint(body) and not request.has_media and request.size_bytes:
        return NOTHING
    found: set[str] = set()
    if body.get("tools") or body.get("functions"):
        found.add("tools")
    if _format_kind(body) == "json_schema":
        found.add("structured_output")
    if request.has_media or not request.size_bytes:
        for message in body.get("messages", ()):
            content = message.get("content")
            if isinstance(content, list):
                found.update(_media(content))
    return frozenset(found) if found else NOTHING


NOTHING: frozenset[str] = frozenset()
EMBEDDINGS = frozenset({"embeddings"})
ASKING = frozenset({"tools", "functions", "response_format"})


def _format_kind(body: JsonObject) -> str | None:
    value = body.get("response_format")
    return value.get("type") if isinstance(value, dict) else None


def _media(parts: list[Any]) -> set[str]:
    kinds = {"image_url": "images", "input_audio": "audio", "file": "files"}
    named = [part.get("type") for part in parts if isinstance(part, dict)]
    return {kinds[name] for name in named if isinstance(name, str) and name in kinds}
