"""From a JSON body to a `ClientRequest`: what routing needs is checked here, the rest is the upstream's to judge. Pure."""

from collections.abc import Callable
from typing import Any, TypeAlias

from providers.dialects.served_messages.own_fields import OWN
from providers.types import ClientRequest, JsonObject, Operation
from routing.errors import InvalidRequest

Check: TypeAlias = Callable[[JsonObject, str], None]
Fields: TypeAlias = dict[str, Check]

MAX_MODEL_NAME = 256
TEXT_PARTS = ("text", "refusal")
PLAIN_ROLES = frozenset({"system", "user", "assistant"})
RARER_ROLES = frozenset({"developer", "tool", "function"})
ROLES = PLAIN_ROLES | RARER_ROLES
MAX_EMBEDDING_INPUTS = 2048
MOST = 2**53
"""Beyond it, languages whose numbers are floats no longer count in ones, and encoders refuse."""


def decode(operation: Operation, body: JsonObject, *, raw: bytes, received_at_s: int) -> ClientRequest:
    """`raw` is the JSON that `body` was read from. Raises `InvalidRequest` naming the field."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise InvalidRequest("'model' is required and must be a string.", param="model")
    if len(model) > MAX_MODEL_NAME:
        raise InvalidRequest(f"'model' is longer than {MAX_MODEL_NAME} characters.", param="model")
    has_media, has_plain_roles = CHECKS[operation](body)
    fields = FIELDS[operation]
    for name in body:
        if name in fields:
            fields[name](body, name)
    if "tools" in body and not body["tools"]:
        body = _without_tools(body)
    if "n_predict" in body and operation is not Operation.EMBEDDINGS:
        body = _limited(body)
    stream, include_usage = (
        _streaming(operation, body) if "stream" in body or "stream_options" in body else (False, False)
    )
    # By position: with keywords it would take twice as long.
    return ClientRequest(
        operation, model, body, stream, include_usage, received_at_s, len(raw), has_media, has_plain_roles
    )


def _streaming(operation: Operation, body: JsonObject) -> tuple[bool, bool]:
    """Whether the answer is streamed, and ends with its usage."""
    stream: bool = body.get("stream") or False
    options: JsonObject | None = body.get("stream_options")
    if options and not stream:
        raise InvalidRequest("'stream_options' is only allowed when 'stream' is true.", param="stream_options")
    if stream and operation is Operation.EMBEDDINGS:
        raise InvalidRequest("Embeddings cannot be streamed.", param="stream")
    return stream, options is not None and options.get("include_usage") is True


def _limited(body: JsonObject) -> JsonObject:
    """llama.cpp's limit also under OpenAI's name where it is the only one: else an upstream that does not know it, or is
    not sent it, would answer at a length that was never reserved."""
    predicted = body["n_predict"]
    if not predicted or predicted < 0 or body.get("max_tokens") is not None:
        return body
    return body if body.get("max_completion_tokens") is not None else {**body, "max_tokens": predicted}


def _without_tools(body: JsonObject) -> JsonObject:
    """Many clients send an empty list when they have no tools; many servers refuse it (DeepSeek, vLLM, Azure). What is said
    of tools goes with it, which needs some, but for a choice that wants one: that is an error, and stays it."""
    choice = body.get("tool_choice")
    needless = ("tools", "parallel_tool_calls", "tool_choice" if choice in (None, "auto", "none") else "")
    return {name: value for name, value in body.items() if name not in needless}


def _kind(kind: type, article: str) -> Check:
    def check(body: JsonObject, name: str) -> None:
        value = body[name]
        if value is not None and not isinstance(value, kind):
            raise InvalidRequest(f"'{name}' must be {article}, not {_found(value)}.", param=name)

    return check


def _found(value: object) -> str:
    names = {
        bool: "a boolean",
        dict: "an object",
        list: "an array",
        str: "a string",
        int: "a number",
        float: "a number",
    }
    return "null" if value is None else names.get(type(value), "something else")


def _whole_number(least: int) -> Check:
    def check(body: JsonObject, name: str) -> None:
        value = body[name]
        if value is None or (type(value) is int and least <= value <= MOST):
            return
        # Some clients send 100.0; what is a whole number is accepted as one, and written as one for upstreams that do not.
        whole = not isinstance(value, bool) and isinstance(value, int | float) and value == int(value)
        if not whole or not least <= value <= MOST:
            raise InvalidRequest(f"'{name}' must be an integer of at least {least}.", param=name)
        body[name] = int(value)

    return check


def _number(low: float, high: float) -> Check:
    def check(body: JsonObject, name: str) -> None:
        value = body[name]
        if value is None:
            return
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise InvalidRequest(f"'{name}' must be a number from {low:g} to {high:g}.", param=name)

    return check


def _refused(body: JsonObject, name: str) -> None:
    raise InvalidRequest(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")


def _chat(body: JsonObject) -> tuple[bool, bool]:
    """Whether a message holds more than text, and whether all roles are plain."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest("'messages' is required and must be a non-empty array.", param="messages")
    has_parts, has_rarer = False, False
    for message in messages:
        if (
            type(message) is dict
            and type(role := message.get("role")) is str
            # Set only where a role is not plain, and to False only before the refusal.
            and (role in PLAIN_ROLES or (has_rarer := role in RARER_ROLES))
        ):
            content = message.get("content")
            if type(content) is str or content is None:
                continue
            if type(content) is list:
                has_parts = True
                continue
        raise _wrong_message(messages)
    return has_parts and _holds_media(messages), not has_rarer


def _holds_media(messages: list[JsonObject]) -> bool:
    """By the type of each part: the same word somewhere in a text means nothing."""
    for message in messages:
        content = message.get("content")
        if type(content) is list:
            for part in content:
                if type(part) is not str and not (type(part) is dict and part.get("type") in TEXT_PARTS):
                    return True
    return False


def _wrong_message(messages: list[Any]) -> InvalidRequest:
    """About the first that is wrong."""
    for index, message in enumerate(messages):
        if type(message) is not dict or type(role := message.get("role")) is not str or role not in ROLES:
            what = f"an object with a role: one of {', '.join(sorted(ROLES))}."
            return InvalidRequest(f"'messages[{index}]' must be {what}", param=f"messages[{index}]")
        content = message.get("content")
        if content is not None and type(content) not in (str, list):
            what = f"a string or an array of parts, not {_found(content)}."
            name = f"messages[{index}].content"
            return InvalidRequest(f"'{name}' must be {what}", param=name)
    raise AssertionError("no message is wrong")


def _completions(body: JsonObject) -> tuple[bool, bool]:
    prompt = body.get("prompt", "")
    if prompt is None or not isinstance(prompt, str | list):
        raise InvalidRequest("'prompt' must be a string or an array.", param="prompt")
    return False, True


def _embeddings(body: JsonObject) -> tuple[bool, bool]:
    inputs = body.get("input")
    if not isinstance(inputs, str | list) or not inputs:
        raise InvalidRequest("'input' is required: a non-empty string or array.", param="input")
    if isinstance(inputs, list) and isinstance(inputs[0], str | list) and len(inputs) > MAX_EMBEDDING_INPUTS:
        raise InvalidRequest(f"'input' has more than {MAX_EMBEDDING_INPUTS} entries.", param="input")
    if body.get("encoding_format") not in (None, "float", "base64"):
        raise InvalidRequest("'encoding_format' must be 'float' or 'base64'.", param="encoding_format")
    return False, True


CHECKS: dict[Operation, Callable[[JsonObject], tuple[bool, bool]]] = {
    Operation.CHAT: _chat,
    Operation.COMPLETIONS: _completions,
    Operation.EMBEDDINGS: _embeddings,
}
ANY: Fields = {"stream": _kind(bool, "a boolean"), "stream_options": _kind(dict, "an object"), OWN: _refused}
SAMPLED: Fields = {
    **ANY,
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "n": _whole_number(1),
    "best_of": _whole_number(1),
    "max_tokens": _whole_number(0),
    "max_completion_tokens": _whole_number(1),
    # llama.cpp's names for the answers and the length of one, which there win over OpenAI's; below 0 is no limit.
    "n_cmpl": _whole_number(1),
    "n_predict": _whole_number(-2),
}
FIELDS: dict[Operation, Fields] = {
    Operation.CHAT: {**SAMPLED, "tools": _kind(list, "an array")},
    Operation.COMPLETIONS: SAMPLED,
    Operation.EMBEDDINGS: {**ANY, "dimensions": _whole_number(1)},
}
"""Only what a body has is looked at: most have three or four of these."""
