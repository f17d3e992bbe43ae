"""Input items of a Responses request: messages, function calls and their outputs, reasoning to replay. Pure.

One chat message may be several items (reasoning, text, each tool call), and consecutive items of the assistant are one
chat message again, so that calls stay next to their outputs. `call_id` names a call; an item's `id` never does.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from providers.dialects.call_ids import fitting
from providers.dialects.openai_chat.fields import present
from providers.dialects.openai_responses.carried_reasoning import REASONING_FORMAT, unpack
from providers.errors import ClientFault, Unsupported
from providers.types import (
    AudioPart,
    FilePart,
    ImagePart,
    JsonObject,
    Message,
    OpaquePart,
    Part,
    ReasoningBlock,
    RefusalPart,
    TextPart,
    ToolCall,
)

MOST_OF_ID = 64
_REPLAYED = (None, REASONING_FORMAT, "xai-responses-v1")


def encode_items(messages: Iterable[Message], *, provider: str) -> list[JsonObject]:
    items: list[JsonObject] = []
    custom_calls: set[str] = set()
    for message in messages:
        if message.role == "tool":
            items.append(_encode_output(message, custom=message.tool_call_id in custom_calls, provider=provider))
            continue
        items.extend(_encode_reasoning(block) for block in message.reasoning if can_be_replayed(block))
        if _says_something(message) or not (message.tool_calls or message.reasoning):
            content = _encode_content(message.parts, role=message.role, provider=provider)
            items.append({"type": "message", "role": message.role, "content": content})
        for call in message.tool_calls:
            if call.custom:
                custom_calls.add(call.id)
            items.append({**encode_call(call), "call_id": fitting(call.id, MOST_OF_ID)})
    return items


def can_be_replayed(block: ReasoningBlock) -> bool:
    """Another vendor's encrypted block is refused."""
    return bool(block.encrypted) and block.format in _REPLAYED


def _says_something(message: Message) -> bool:
    """Clients send an empty text beside tool calls; an empty message is refused."""
    return any(not isinstance(part, TextPart) or part.text for part in message.parts)


def _encode_reasoning(block: ReasoningBlock) -> JsonObject:
    summary = [{"type": "summary_text", "text": block.text}] if block.text else []
    return {"type": "reasoning", "summary": summary, "encrypted_content": block.encrypted}


def encode_call(call: ToolCall) -> JsonObject:
    """No arguments are `{}`: an empty string is no JSON."""
    if call.custom:
        return {"type": "custom_tool_call", "call_id": call.id, "name": call.name, "input": call.arguments}
    return {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments or "{}"}


def _encode_output(message: Message, *, custom: bool, provider: str) -> JsonObject:
    if not message.tool_call_id:
        raise ClientFault("A tool message needs 'tool_call_id'.", param="messages")
    kind = "custom_tool_call_output" if custom else "function_call_output"
    output = _encode_content(message.parts, role="tool", provider=provider)
    return {"type": kind, "call_id": fitting(message.tool_call_id, MOST_OF_ID), "output": output}


def _encode_content(parts: tuple[Part, ...], *, role: str, provider: str) -> str | list[JsonObject]:
    if not parts:
        return ""
    if len(parts) == 1 and isinstance(parts[0], TextPart):
        return parts[0].text
    return [_encode_part(part, role=role, provider=provider) for part in parts]


def _encode_part(part: Part, *, role: str, provider: str) -> JsonObject:
    match part:
        case TextPart():
            return {"type": "output_text" if role == "assistant" else "input_text", "text": part.text}
        case RefusalPart():
            return {"type": "refusal", "refusal": part.text}
        case ImagePart():
            return {"type": "input_image", "image_url": part.url, "detail": part.detail or "auto"}
        case FilePart():
            file = present(file_data=part.data, file_id=part.file_id, filename=part.filename)
            return {"type": "input_file", **file}
        case AudioPart():
            raise Unsupported(field="messages.content.input_audio", provider=provider)
        case OpaquePart():
            return _encode_opaque(part, provider)


def _encode_opaque(part: OpaquePart, provider: str) -> JsonObject:
    """A part that came from a Responses request goes on as it was; another dialect's means nothing here."""
    kind = part.raw.get("type")
    if isinstance(kind, str) and kind.startswith("input_"):
        return part.raw
    raise Unsupported(field=f"messages.content.{kind}", provider=provider)


# ------------------------------------------------------------------------------------------------------- and back


@dataclass
class _Turn:
    """The assistant's items since the last one of somebody else."""

    parts: list[Part] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    reasoning: list[ReasoningBlock] = field(default_factory=list)

    def message(self) -> Message:
        return Message(
            role="assistant",
            parts=tuple(self.parts),
            tool_calls=tuple(self.calls),
            reasoning=tuple(self.reasoning),
        )


def decode_items(items: Iterable[JsonObject]) -> tuple[Message, ...]:
    """`served_responses.input_items` has looked at them: each is of a kind that is known here, and whole."""
    messages: list[Message] = []
    turn: _Turn | None = None
    for item in items:
        kind = item.get("type") or "message"
        if _is_assistants(kind, item):
            if turn is not None and _starts_anew(turn, kind):
                messages.append(turn.message())
                turn = None
            turn = turn or _Turn()
            _add(turn, kind, item)
            continue
        if turn is not None:
            messages.append(turn.message())
            turn = None
        messages.append(_decode_other(kind, item))
    if turn is not None:
        messages.append(turn.message())
    return tuple(messages)


def _is_assistants(kind: str, item: JsonObject) -> bool:
    return kind in ("function_call", "custom_tool_call", "reasoning") or (
        kind == "message" and item.get("role") == "assistant"
    )


def _starts_anew(turn: _Turn, kind: str) -> bool:
    """Text after text, or reasoning after text, is a new message; calls are never parted from what went before."""
    return bool(turn.parts) and not turn.calls and kind in ("message", "reasoning")


def _add(turn: _Turn, kind: str, item: JsonObject) -> None:
    if kind == "message":
        turn.parts.extend(_decode_content(item["content"]))
    elif kind == "reasoning":
        turn.reasoning.extend(unpack(item.get("encrypted_content")) or (decode_reasoning(item),))
    else:
        turn.calls.append(decode_call(item))


def decode_call(item: JsonObject) -> ToolCall:
    custom = item.get("type") == "custom_tool_call"
    given = item.get("input" if custom else "arguments")
    arguments = given if isinstance(given, str) else ""
    return ToolCall(
        id=str(item.get("call_id") or item.get("id") or ""),
        name=str(item.get("name") or ""),
        arguments=arguments if custom else arguments or "{}",
        custom=custom,
    )


def decode_reasoning(item: JsonObject) -> ReasoningBlock:
    """The summary is shown where there is one, else the reasoning itself (open models send only that)."""
    encrypted = item.get("encrypted_content")
    return ReasoningBlock(
        text=_join(item.get("summary")) or _join(item.get("content")),
        encrypted=encrypted if isinstance(encrypted, str) and encrypted else None,
        format=REASONING_FORMAT,
    )


def _join(parts: object) -> str:
    """Paragraphs of a summary, parted by a blank line as the stream parts them."""
    if not isinstance(parts, list):
        return ""
    return "\n\n".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


def _decode_other(kind: str, item: JsonObject) -> Message:
    if kind == "message":
        return Message(role=item["role"], parts=_decode_content(item["content"]))
    return Message(role="tool", tool_call_id=item["call_id"], parts=_decode_content(item["output"]))


def _decode_content(content: str | list[JsonObject]) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (TextPart(text=content),) if content else ()
    return tuple(_decode_part(part) for part in content)


def _decode_part(part: JsonObject) -> Part:
    match part["type"]:
        case "input_text" | "output_text" | "text":
            return TextPart(text=part["text"])
        case "refusal":
            return RefusalPart(text=part["refusal"])
        case "input_image":
            detail = part.get("detail")
            return ImagePart(url=part["image_url"], detail=None if detail == "auto" else detail)
        case "input_file":
            return FilePart(data=part.get("file_data"), file_id=part.get("file_id"), filename=part.get("filename"))
    return OpaquePart(raw=part)
