"""Messages and their content blocks, to messages of a chat. Pure.

A result of a tool is a message of its own there, and comes before the rest of its turn. Blocks that no chat has (what
Anthropic's servers ran themselves, files that they keep) stay as they are, for a provider that knows them.
"""

import re
from typing import Any

from providers.dialects.anthropic_messages.arguments import arguments_from_object
from providers.dialects.anthropic_messages.messages import BLOCK_ORDER, REASONING_FORMAT
from providers.dialects.openai_chat import fields
from providers.dialects.openai_chat.reasoning import encode_block
from providers.dialects.openai_responses.carried_reasoning import PACKED, unpack
from providers.errors import ClientFault
from providers.types import JsonObject, ReasoningBlock

_INDEX = re.compile(r"\[(\d+)\]")
ROLES = ("user", "assistant", "system")


def chat_messages(body: JsonObject) -> list[JsonObject]:
    """Raises `ClientFault` naming the block."""
    messages = fields.objects(body, "messages")
    if not messages:
        fields.refuse("messages", "an array of messages that is not empty")
    chat: list[JsonObject] = []
    system = body.get("system")
    if system is not None and (content := _plain(system, "system")):
        chat.append({"role": "system", "content": content})
    for index, message in enumerate(messages):
        where = f"messages[{index}]"
        role = fields.required_text(message, "role", where + ".")
        if role not in ROLES:
            fields.refuse(where + ".role", f"one of {', '.join(ROLES)}")
        chat += _messages(role, message.get("content"), where + ".content")
    return chat


def _messages(role: str, content: Any, where: str) -> list[JsonObject]:
    if isinstance(content, str):
        return [{"role": role, "content": content}]
    if role == "system":
        return [{"role": role, "content": _plain(content, where)}]
    blocks = _blocks(content, where)
    return [_assistant(blocks)] if role == "assistant" else _user(blocks)


def _blocks(content: Any, where: str) -> list[tuple[JsonObject, str]]:
    """Each with the beginning of its fields' names."""
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        fields.refuse(where, "a string or an array of content blocks")
    for index, block in enumerate(content):
        fields.required_text(block, "type", f"{where}[{index}].")
    return [(block, f"{where}[{index}].") for index, block in enumerate(content)]


def _plain(content: Any, where: str) -> str | list[JsonObject]:
    """Of text alone."""
    if isinstance(content, str):
        return content
    blocks = _blocks(content, where)
    for block, place in blocks:
        if block["type"] != "text":
            # In Anthropic's words, by which Claude Code knows that it has to tell of changed tools in another way.
            found = f"Input tag '{block['type']}' found using 'type' does not match any of the expected tags: 'text'"
            where = _INDEX.sub(r".\1", place).removesuffix(".")
            raise ClientFault(f"{where}: {found}", param=place + "type", code="invalid_value")
    return [_text(block, place) for block, place in blocks]


def _text(block: JsonObject, where: str) -> JsonObject:
    """Without its citations: what they point to is elsewhere in the conversation."""
    return {"type": "text", "text": fields.required_text(block, "text", where), **_mark(block, where)}


def _mark(block: JsonObject, where: str) -> JsonObject:
    return fields.present(cache_control=fields.mapping(block, "cache_control", where))


def _user(blocks: list[tuple[JsonObject, str]]) -> list[JsonObject]:
    results = [_result(block, where) for block, where in blocks if block["type"] == "tool_result"]
    rest = [_part(block, where) for block, where in blocks if block["type"] != "tool_result"]
    return [*results, {"role": "user", "content": rest}] if rest else results


def _result(block: JsonObject, where: str) -> JsonObject:
    content = block.get("content")
    parts: str | list[JsonObject] = ""
    if isinstance(content, str):
        parts = content
    elif content is not None:
        parts = [_part(inner, place) for inner, place in _blocks(content, where + "content")]
    said = fields.present(
        is_error=fields.flag(block, "is_error", where) or None,
        cache_control=fields.mapping(block, "cache_control", where),
    )
    call_id = fields.required_text(block, "tool_use_id", where)
    return {"role": "tool", "tool_call_id": call_id, "content": parts, **said}


def _part(block: JsonObject, where: str) -> JsonObject:
    match block["type"]:
        case "text":
            return _text(block, where)
        case "image":
            return _image(block, where)
        case "document":
            return _document(block, where)
        case "tool_use" | "thinking" | "redacted_thinking":
            message = f"'{where}type' is '{block['type']}', which only the assistant says."
            raise ClientFault(message, param=where + "type", code="invalid_value")
    return block


def _image(block: JsonObject, where: str) -> JsonObject:
    source = fields.required_mapping(block, "source", where)
    place = where + "source."
    match fields.required_text(source, "type", place):
        case "base64":
            url = _data_url(source, place)
        case "url":
            url = fields.required_text(source, "url", place)
        case _:
            return block
    return {"type": "image_url", "image_url": {"url": url}, **_mark(block, where)}


def _document(block: JsonObject, where: str) -> JsonObject:
    """One that is to be cited stays as it is: no other API cites."""
    source = fields.required_mapping(block, "source", where)
    place = where + "source."
    cited = (fields.mapping(block, "citations", where) or {}).get("enabled")
    name = fields.text(block, "title", where)
    match fields.required_text(source, "type", place):
        case "base64" if not cited:
            file = {"file_data": _data_url(source, place), "filename": name or "document.pdf"}
            return {"type": "file", "file": file, **_mark(block, where)}
        case "text" if not cited:
            text = fields.required_text(source, "data", place)
            return {"type": "text", "text": f"{name}\n\n{text}" if name else text, **_mark(block, where)}
    return block


def _data_url(source: JsonObject, where: str) -> str:
    kind, data = fields.required_text(source, "media_type", where), fields.required_text(source, "data", where)
    return f"data:{kind};base64,{data}"


def _assistant(blocks: list[tuple[JsonObject, str]]) -> JsonObject:
    thought: list[ReasoningBlock] = []
    calls: list[JsonObject] = []
    parts: list[JsonObject] = []
    order = ""
    for block, where in blocks:
        match block["type"]:
            case "thinking" | "redacted_thinking":
                found = _thought(block, where)
                thought += found
                order += "t" * len(found)
            case "tool_use":
                calls.append(_call(block, where))
            case _:
                parts.append(_part(block, where))
                order += "p"
    # No content beside no calls is what OpenAI refuses: a turn that was cut while it thought is an empty text.
    message: JsonObject = {"role": "assistant", "content": parts or (None if calls else "")}
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        message["content"] = parts[0]["text"]
    if calls:
        message["tool_calls"] = calls
    return message | _thoughts(thought, order)


def _thoughts(thought: list[ReasoningBlock], order: str) -> JsonObject:
    if not thought:
        return {}
    said: JsonObject = {"reasoning_details": [encode_block(block) for block in thought]}
    if text := "".join([block.text for block in thought]):
        said["reasoning_content"] = text
    return {**said, BLOCK_ORDER: order} if "pt" in order else said


def _thought(block: JsonObject, where: str) -> tuple[ReasoningBlock, ...]:
    """What another vendor thought comes back in the signature it was sent in."""
    if block["type"] == "redacted_thinking":
        data = fields.required_text(block, "data", where)
        return (ReasoningBlock(encrypted=data, format=REASONING_FORMAT),)
    text = fields.text(block, "thinking", where) or ""
    signature = fields.text(block, "signature", where) or None
    if signature is not None and signature.startswith(PACKED):
        return unpack(signature, where, "signature")
    named = None if signature is None else REASONING_FORMAT
    return (ReasoningBlock(text=text, signature=signature, format=named),) if text or signature else ()


def _call(block: JsonObject, where: str) -> JsonObject:
    arguments = fields.required_mapping(block, "input", where)
    function = {"name": fields.required_text(block, "name", where), "arguments": arguments_from_object(arguments)}
    return {"id": fields.required_text(block, "id", where), "type": "function", "function": function}
