"""Messages and their parts, both ways. Pure."""

from typing import Any

from providers.dialects.openai_chat import fields
from providers.dialects.openai_chat.reasoning import decode_reasoning, encode_reasoning
from providers.types import (
    AudioPart,
    FilePart,
    ImagePart,
    JsonObject,
    Message,
    OpaquePart,
    Part,
    RefusalPart,
    Role,
    TextPart,
    ToolCall,
)

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_TYPED = frozenset(
    {"role", "content", "name", "tool_calls", "tool_call_id", "refusal", "function_call"}
    | {"reasoning_details", "reasoning_content", "reasoning"}
)


def decode_messages(body: JsonObject) -> tuple[Message, ...]:
    """Raises `ClientFault` naming the message. The old function messages become tool messages."""
    messages = fields.objects(body, "messages")
    if not messages:
        fields.refuse("messages", "an array of messages that is not empty")
    return tuple(decode_message(message, f"messages[{index}].") for index, message in enumerate(messages))


def decode_message(message: JsonObject, where: str) -> Message:
    role = _ROLES.get(fields.required_text(message, "role", where))
    if role is None:
        fields.refuse(where + "role", f"one of {', '.join(_ROLES)}")
    parts = _decode_content(message.get("content"), where + "content")
    refusal = fields.text(message, "refusal", where)
    tool_call_id = fields.text(message, "tool_call_id", where)
    if message["role"] == "function":
        tool_call_id = _function_id(fields.required_text(message, "name", where))
    elif role == "tool" and tool_call_id is None:
        fields.refuse(where + "tool_call_id", "a string")
    # By position: with keywords it would take twice as long.
    return Message(
        role,
        (*parts, RefusalPart(text=refusal)) if refusal else parts,
        fields.text(message, "name", where),
        _decode_calls(message, where),
        tool_call_id,
        decode_reasoning(message),
        {key: value for key, value in message.items() if key not in _TYPED and value is not None},
    )


def _decode_content(content: Any, where: str) -> tuple[Part, ...]:
    if content is None:
        return ()
    if isinstance(content, str):
        return (TextPart(content),)
    if not isinstance(content, list):
        fields.refuse(where, "a string or an array of parts")
    parts: list[Part] = []
    for index, part in enumerate(content):
        place = f"{where}[{index}]"
        if isinstance(part, str):
            parts.append(TextPart(text=part))
        elif isinstance(part, dict):
            parts.append(decode_part(part, place + "."))
        else:
            fields.refuse(place, "an object")
    return tuple(parts)


def decode_part(part: JsonObject, where: str) -> Part:
    kind = fields.required_text(part, "type", where)
    if kind == "text":
        return TextPart(
            text=fields.required_text(part, "text", where), cache_control=fields.mapping(part, "cache_control", where)
        )
    if kind == "image_url":
        return _decode_image(part, where)
    if kind == "input_audio":
        audio = fields.required_mapping(part, "input_audio", where)
        place = where + "input_audio."
        return AudioPart(
            data=fields.required_text(audio, "data", place), format=fields.required_text(audio, "format", place)
        )
    if kind == "file":
        file = fields.required_mapping(part, "file", where)
        place = where + "file."
        return FilePart(
            data=fields.text(file, "file_data", place),
            file_id=fields.text(file, "file_id", place),
            filename=fields.text(file, "filename", place),
            cache_control=fields.mapping(part, "cache_control", where),
        )
    if kind == "refusal":
        return RefusalPart(text=fields.required_text(part, "refusal", where))
    return OpaquePart(raw=part)


def _decode_image(part: JsonObject, where: str) -> ImagePart:
    """Some clients give the address itself where OpenAI wants an object."""
    image = part.get("image_url")
    mark = fields.mapping(part, "cache_control", where)
    if isinstance(image, str):
        return ImagePart(url=image, cache_control=mark)
    image = fields.required_mapping(part, "image_url", where)
    place = where + "image_url."
    url, detail = fields.required_text(image, "url", place), fields.text(image, "detail", place)
    return ImagePart(url=url, detail=detail, cache_control=mark)


def _decode_calls(message: JsonObject, where: str) -> tuple[ToolCall, ...]:
    calls = tuple(
        decode_call(call, f"{where}tool_calls[{index}].")
        for index, call in enumerate(fields.objects(message, "tool_calls", where))
    )
    old = fields.mapping(message, "function_call", where)
    if old is None or calls:
        return calls
    name = fields.required_text(old, "name", where + "function_call.")
    return (ToolCall(id=_function_id(name), name=name, arguments=_arguments(old, where + "function_call.")),)


def decode_call(call: JsonObject, where: str) -> ToolCall:
    custom = call.get("type") == "custom" or ("custom" in call and "function" not in call)
    key = "custom" if custom else "function"
    inner = fields.required_mapping(call, key, where)
    place = f"{where}{key}."
    return ToolCall(
        id=fields.text(call, "id", where) or "",
        name=fields.required_text(inner, "name", place),
        arguments=(fields.text(inner, "input", place) or "") if custom else _arguments(inner, place),
        custom=custom,
    )


def _arguments(function: JsonObject, where: str) -> str:
    return fields.text(function, "arguments", where) or ""


def _function_id(name: str) -> str:
    """The old function calls had no ids: the name joins call and result."""
    return f"call_{name}"


# ---------------------------------------------------------------------------------------------------- writing


def encode_message(message: Message) -> JsonObject:
    refusals = [part.text for part in message.parts if isinstance(part, RefusalPart)]
    parts = tuple(part for part in message.parts if not isinstance(part, RefusalPart))
    encoded: JsonObject = {"role": message.role, "content": encode_content(parts)}
    encoded |= fields.present(name=message.name, tool_call_id=message.tool_call_id)
    if refusals:
        encoded["refusal"] = "".join(refusals)
    if message.tool_calls:
        encoded["tool_calls"] = [encode_call(call) for call in message.tool_calls]
    return encoded | encode_reasoning(message.reasoning) | message.extra


def encode_content(parts: tuple[Part, ...]) -> str | list[JsonObject] | None:
    if not parts:
        return None
    if len(parts) == 1 and isinstance(parts[0], TextPart) and parts[0].cache_control is None:
        return parts[0].text
    return [encode_part(part) for part in parts]


def encode_part(part: Part) -> JsonObject:
    match part:
        case TextPart():
            return {"type": "text", "text": part.text, **fields.present(cache_control=part.cache_control)}
        case ImagePart():
            return {"type": "image_url", "image_url": {"url": part.url, **fields.present(detail=part.detail)}}
        case AudioPart():
            return {"type": "input_audio", "input_audio": {"data": part.data, "format": part.format}}
        case FilePart():
            file = fields.present(file_data=part.data, file_id=part.file_id, filename=part.filename)
            return {"type": "file", "file": file}
        case RefusalPart():
            return {"type": "refusal", "refusal": part.text}
        case OpaquePart():
            return part.raw


def encode_call(call: ToolCall) -> JsonObject:
    if call.custom:
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
