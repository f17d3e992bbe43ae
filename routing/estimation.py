"""How many tokens a request will take, before anybody counted them. Pure.

Two figures for the input: a likely one (a token is about four bytes of text) for rate limits and routing, and an upper
bound (a token of a byte-level tokenizer is at least one byte) for budgets, which must never be exceeded.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from providers.dialects.served_messages.own_fields import OWN
from providers.types import ClientRequest, JsonObject, Operation
from providers.values import quick_tuple

BYTES_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 8
# Vision models charge an image by its tiles; the dearest common case (high detail, 2048 px) is below this.
TOKENS_PER_IMAGE = 2048
DEFAULT_OUTPUT_TOKENS = 4096
LEAST_OUTPUT_TOKENS = 16
"""The Responses API takes no lower limit, so that its adapter raises those that are."""
UNKNOWN_WINDOW = 128_000
"""Taken for the context window of a deployment without one, where a request may fill it."""

CHAT, EMBEDDINGS = Operation.CHAT, Operation.EMBEDDINGS
TEXT_FIELDS = ("tools", "response_format", "functions", "documents")
TEXT_PARTS = ("text", "refusal")
MEDIA_PARTS = ("image_url", "input_audio", "file")
MEASURED_PARTS = (*TEXT_PARTS, "image_url", "input_audio")
"""Parts of which the request's bytes, or the tokens of an image, are an upper bound."""
NAMES = frozenset({"role", "name", "tool_call_id"})
OWN_TOOLS = ("function", "custom")
"""Tools that the client runs; the results of others come into the prompt on the provider's side."""
SEVERAL = frozenset({"n", "best_of", "n_cmpl"})
OPEN_ENDED = frozenset(
    {
        "previous_response_id", "conversation", "container", "mcp_servers", "data_sources", "plugins",
        "web_search_options", "search_parameters", "search_mode", "search_domain_filter", "search_recency_filter",
    }
)  # fmt: skip

MAYBE_OPEN_ENDED = OPEN_ENDED | {"prompt", "tools", OWN}


class Estimate(NamedTuple):
    """`likely_input` and `most_input` tokens; `output` is what the client allows one answer, None when it set no
    limit; `answers` is how many the upstream makes, some of which it may keep to itself (`best_of`)."""

    likely_input: int
    most_input: int
    output: int | None
    answers: int


def estimate(request: ClientRequest) -> Estimate:
    """Text alone is measured by the size of its JSON, which is never smaller than what is in it; a request with images
    or files part by part."""
    if request.operation is not CHAT:
        return _of_prompts(request)
    body, size = request.body, request.size_bytes
    output = asked_output(body)
    answers = 1 if SEVERAL.isdisjoint(body) else asked_answers(body)
    if size and not request.has_media:
        most = size + TOKENS_PER_MESSAGE * len(body["messages"])
        return quick_tuple(Estimate, (size // BYTES_PER_TOKEN, most, output, answers))
    return Estimate(prompt_tokens(request), _most_input(request), output, answers)


def _of_prompts(request: ClientRequest) -> Estimate:
    body, size = request.body, request.size_bytes
    likely = size // BYTES_PER_TOKEN if size else prompt_tokens(request)
    most = size or len(orjson.dumps(body))
    if request.operation is EMBEDDINGS:
        return Estimate(likely, most, output=0, answers=1)
    answers = asked_answers(body) * len(_prompts(body.get("prompt", "")))
    return Estimate(likely, most, asked_output(body), answers)


def asked_output(body: JsonObject) -> int | None:
    """Tokens of one answer. Of several limits the largest: which of them counts is the upstream's choice. 0 is no limit to
    some upstreams, less than that to llama.cpp. A text completion without a limit has the upstream's own, which is 16
    only at OpenAI."""
    newer, older, predicted = body.get("max_completion_tokens"), body.get("max_tokens"), body.get("n_predict")
    if newer is not None and (older is None or newer > older):
        older = newer
    if predicted is not None and older and not 0 <= predicted <= older:
        older = max(predicted, 0)
    # Some clients send 100.0.
    return int(older) if older else None


def asked_answers(body: JsonObject) -> int:
    """How many answers are made to a prompt: as many as are wanted, or as the best are chosen from."""
    return max(int(body.get(name) or 1) for name in SEVERAL)


def _prompts(given: Any) -> list[Any]:
    """The prompts of a text completion, or the inputs of embeddings; a list of numbers is one of them."""
    if isinstance(given, list) and given and not all(type(each) is int for each in given):
        return given
    return [given]


def _most_input(request: ClientRequest) -> int:
    """Every byte a token, but of images that are sent along: an image costs what its tiles do, however it is given."""
    size = request.size_bytes or len(orjson.dumps(request.body))
    for url in _images(request.body):
        size += TOKENS_PER_IMAGE
        if url.startswith("data:image/"):
            size -= _string_bytes(url)
    return size + TOKENS_PER_MESSAGE * len(request.body["messages"])


def may_keep_for_an_hour(request: ClientRequest) -> bool:
    """Whether it may ask a provider's cache for an hour (`cache_control` with a `ttl`, anywhere), which has its own price."""
    return orjson.dumps(request.body).find(b'"ttl"') >= 0


def may_fill_window(request: ClientRequest) -> bool:
    """Whether the upstream may read more than the request's bytes: a file (its text is packed, and each page counts as
    an image too), what is only named, what the provider looks up, a part of an unknown kind. The window is the bound."""
    body = request.body
    chat = request.operation is CHAT
    if not MAYBE_OPEN_ENDED.isdisjoint(body):
        asked = {**body, **body[OWN]} if OWN in body else body
        if any(asked.get(name) is not None for name in OPEN_ENDED):
            return True
        # A prompt that OpenAI keeps is named here; a tool that the provider runs adds what it found.
        if chat and (type(body.get("prompt")) is dict or not all(map(_is_own_tool, body.get("tools") or ()))):
            return True
    if not chat:
        return False
    # A loop of its own: most messages are plain text, and a generator costs more than looking at them.
    for message in body["messages"]:
        content = message.get("content")
        if message.get("audio") or (type(content) is list and not all(map(_is_measured, content))):
            return True
    return False


def _is_own_tool(tool: Any) -> bool:
    return type(tool) is dict and tool.get("type") in OWN_TOOLS


def _is_measured(part: Any) -> bool:
    return type(part) is str or (type(part) is dict and part.get("type") in MEASURED_PARTS)


def most_output_at(output: int | None, largest: int | None) -> int:
    """Of one answer by a deployment whose answers have at most `largest` tokens, None where nobody knows."""
    if output is None:
        return largest or DEFAULT_OUTPUT_TOKENS
    return output if output > LEAST_OUTPUT_TOKENS or output == 0 else LEAST_OUTPUT_TOKENS


def most_input_at(most_input: int, window: int | None, request: ClientRequest, *, open_ended: bool) -> int:
    """`most_input` at a deployment with this context window, which no input exceeds; texts are not measured by it."""
    if open_ended:
        return window or max(most_input, UNKNOWN_WINDOW)
    return window if request.has_media and window is not None and window < most_input else most_input


def likely_context(request: ClientRequest, likely_input: int) -> int:
    """What has to fit into the context window: of several prompts the longest, since each has the window to itself."""
    if request.operation is CHAT:
        return likely_input
    given = request.body.get("input" if request.operation is EMBEDDINGS else "prompt", "")
    several = _prompts(given)
    return likely_input if len(several) == 1 else min(likely_input, max(map(_text_bytes, several)) // BYTES_PER_TOKEN)


def count_tokens(text: str) -> int:
    """Tokens of generated text when the provider reported none: a token is about four bytes."""
    return -(-_string_bytes(text) // BYTES_PER_TOKEN)


def prompt_tokens(request: ClientRequest) -> int:
    """Likely tokens of the input, measured by its texts without the JSON around them."""
    body = request.body
    if request.operation is EMBEDDINGS:
        return _text_bytes(body["input"]) // BYTES_PER_TOKEN + TOKENS_PER_MESSAGE
    if request.operation is not CHAT:
        return _text_bytes(body.get("prompt", "")) // BYTES_PER_TOKEN + TOKENS_PER_MESSAGE
    text = sum(_text_bytes(body[name]) for name in TEXT_FIELDS if body.get(name))
    media = TOKENS_PER_MESSAGE * len(body["messages"])
    for message in body["messages"]:
        more_text, more_media = _message(message)
        text += more_text
        media += more_media
    return text // BYTES_PER_TOKEN + media


def message_tokens(message: JsonObject) -> int:
    """Likely tokens of one message of a conversation."""
    text_bytes, media = _message(message)
    return text_bytes // BYTES_PER_TOKEN + media + TOKENS_PER_MESSAGE


def _message(message: JsonObject) -> tuple[int, int]:
    """(bytes of text, tokens of what is no text)"""
    text = media = 0
    for name, value in message.items():
        if name == "content" and isinstance(value, list):
            for part in value:
                more_text, more_media = _part(part)
                text += more_text
                media += more_media
        elif value and name not in NAMES:
            text += _string_bytes(value) if isinstance(value, str) else _text_bytes(value)
    return text, media


def _part(part: Any) -> tuple[int, int]:
    if isinstance(part, str):
        return _string_bytes(part), 0
    if not isinstance(part, dict):
        return 0, 0
    for name in TEXT_PARTS:
        if isinstance(part.get(name), str):
            return _string_bytes(part[name]), 0
    if part.get("type") in MEDIA_PARTS:
        return 0, TOKENS_PER_IMAGE
    # Of an unknown kind: it may be text, or the bytes of a picture.
    return 0, min(_text_bytes(part) // BYTES_PER_TOKEN, TOKENS_PER_IMAGE)


def _images(body: JsonObject) -> Iterator[str]:
    """The addresses of all images in the messages."""
    for message in body["messages"]:
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            if isinstance(part, dict) and part.get("type") == "image_url":
                image = part.get("image_url")
                url = image.get("url") if isinstance(image, dict) else image
                yield url if isinstance(url, str) else ""


def _string_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


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
    """The capabilities a deployment must have for this request."""
    if request.operation is EMBEDDINGS:
        return ONLY_EMBEDDINGS
    body = request.body
    if ASKING.isdisjoint(body) and not request.has_media and request.size_bytes:
        return NOTHING
    found: set[str] = set()
    if body.get("tools") or body.get("functions"):
        found.add("tools")
    if _format_kind(body) == "json_schema":
        found.add("structured_output")
    if request.operation is Operation.CHAT and (request.has_media or not request.size_bytes):
        for message in body["messages"]:
            content = message.get("content")
            if isinstance(content, list):
                found.update(_media(content))
    return frozenset(found) if found else NOTHING


NOTHING: frozenset[str] = frozenset()
ONLY_EMBEDDINGS = frozenset({"embeddings"})
ASKING = frozenset({"tools", "functions", "response_format"})


def _format_kind(body: JsonObject) -> str | None:
    value = body.get("response_format")
    return value.get("type") if isinstance(value, dict) else None


def _media(parts: list[Any]) -> set[str]:
    kinds = {"image_url": "images", "input_audio": "audio", "file": "files"}
    named = [part.get("type") for part in parts if isinstance(part, dict)]
    return {kinds[name] for name in named if isinstance(name, str) and name in kinds}
