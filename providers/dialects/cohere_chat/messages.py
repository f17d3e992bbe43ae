"""Messages of Cohere's v2 chat.

system     string or text parts (`developer` is renamed)
user       string or parts `text` and `image_url`
assistant  `content` (string, or parts `text` and `thinking`), `tool_calls`, `tool_plan`, `citations`
tool       `tool_call_id`, `content` (string, or parts `text` and `document`)
"""

from collections.abc import Callable, Sequence

from providers.dialects.tool_images import placed
from providers.errors import ClientFault, Unsupported
from providers.types import (
    AudioPart,
    FilePart,
    ImagePart,
    JsonObject,
    Message,
    OpaquePart,
    Part,
    RefusalPart,
    TextPart,
    ToolCall,
)

# OpenAI's `original` asks for the full resolution; Cohere's best is `high`.
_DETAILS = {"auto": "auto", "low": "low", "high": "high", "original": "high"}


def encode_messages(messages: Sequence[Message], *, provider: str) -> list[JsonObject]:
    """Raises `Unsupported` naming the message and part that Cohere cannot take.

    Cohere refuses messages without content. An empty system or assistant message says nothing and is left out; an empty
    user message stays, because what the client meant by it cannot be known.
    """
    encoded = [_ENCODERS[message.role](message, f"messages[{i}]", provider) for i, message in placed(messages)]
    return [message for message in encoded if message["role"] in ("user", "tool") or len(message) > 1]


def _system(message: Message, where: str, provider: str) -> JsonObject:
    content = _content(message.parts, where, provider, images=False)
    return {"role": "system", "content": content} if content else {"role": "system"}


def _user(message: Message, where: str, provider: str) -> JsonObject:
    return {"role": "user", "content": _content(message.parts, where, provider, images=True)}


def _tool(message: Message, where: str, provider: str) -> JsonObject:
    if not message.tool_call_id:
        raise ClientFault("A tool message needs the id of the call it answers.", param=f"{where}.tool_call_id")
    # Documents among tool results are Cohere's own part type; they arrive as opaque parts and go back unchanged.
    documents = [p.raw for p in message.parts if isinstance(p, OpaquePart) and p.raw.get("type") == "document"]
    rest = tuple(p for p in message.parts if not (isinstance(p, OpaquePart) and p.raw.get("type") == "document"))
    content = _content(rest, where, provider, images=False)
    if documents:
        texts = [{"type": "text", "text": content}] if isinstance(content, str) and content else content or []
        content = [*texts, *documents]
    # A tool that answers nothing is common; Cohere wants content, and its results are JSON objects by preference.
    return {"role": "tool", "tool_call_id": message.tool_call_id, "content": content or "{}"}


def _assistant(message: Message, where: str, provider: str) -> JsonObject:
    encoded: JsonObject = {"role": "assistant"}
    # Encrypted blocks belong to the model that made them and mean nothing here; plain reasoning is replayed.
    thinking = [{"type": "thinking", "thinking": block.text} for block in message.reasoning if block.text]
    content = _content(message.parts, where, provider, images=False)
    if message.tool_calls and isinstance(content, str) and content:
        # What a model says before it calls a tool is its plan; Cohere keeps that in a field of its own.
        encoded["tool_plan"] = content
        content = ""
    if thinking:
        texts = [{"type": "text", "text": content}] if isinstance(content, str) and content else content or []
        content = [*thinking, *texts]
    if content:
        encoded["content"] = content
    if message.tool_calls:
        encoded["tool_calls"] = [_encode_call(call, where, provider) for call in message.tool_calls]
    if "citations" in message.extra:
        encoded["citations"] = message.extra["citations"]
    return encoded


def _encode_call(call: ToolCall, where: str, provider: str) -> JsonObject:
    if call.custom:
        raise Unsupported(field=f"{where}.tool_calls", provider=provider, why="custom tools are OpenAI's own")
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments or "{}"},
    }


def _content(parts: Sequence[Part], where: str, provider: str, *, images: bool) -> str | list[JsonObject]:
    """A string when there is at most one text part, else a list of parts; nothing at all is the empty string."""
    encoded = [_part(part, f"{where}.content[{i}]", provider, images=images) for i, part in enumerate(parts)]
    if not encoded:
        return ""
    if len(encoded) == 1 and encoded[0]["type"] == "text":
        return str(encoded[0]["text"])
    return encoded


def _part(part: Part, where: str, provider: str, *, images: bool) -> JsonObject:
    match part:
        case TextPart() | RefusalPart():
            return {"type": "text", "text": part.text}
        case ImagePart() if images:
            detail = {"detail": _DETAILS.get(part.detail, "auto")} if part.detail else {}
            return {"type": "image_url", "image_url": {"url": part.url, **detail}}
        case ImagePart():
            raise Unsupported(field=where, provider=provider, why="images belong in user messages")
        case AudioPart():
            raise Unsupported(field=where, provider=provider, why="it takes no audio")
        case FilePart():
            raise Unsupported(field=where, provider=provider, why="it takes no files")
        case OpaquePart():
            kind = part.raw.get("type")
            raise Unsupported(field=where, provider=provider, why=f"it knows no content part of type {kind!r}")


_ENCODERS: dict[str, Callable[[Message, str, str], JsonObject]] = {
    "system": _system,
    "developer": _system,
    "user": _user,
    "assistant": _assistant,
    "tool": _tool,
}
