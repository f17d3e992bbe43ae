"""How a service reads what `encode_request` writes: the counterpart by which tests tell that nothing was lost."""

import base64

from providers.dialects.anthropic_messages.answer import call_from_block, reasoning_from_block
from providers.dialects.anthropic_messages.request import JSON_INSTRUCTION
from providers.dialects.anthropic_messages.thinking import ADAPTIVE, BUDGETS, DISABLED
from providers.types import (
    ChatCall,
    FilePart,
    ImagePart,
    Message,
    OpaquePart,
    ResponseFormat,
    TextPart,
    Tool,
    ToolChoice,
)

TYPED = frozenset(
    {
        "model", "system", "messages", "tools", "tool_choice", "max_tokens", "temperature", "top_p", "stop_sequences",
        "metadata", "service_tier", "stream", "thinking", "output_config",
    }
)  # fmt: skip
MODES = {"auto": "auto", "none": "none", "any": "required", "tool": "tool"}
NO_ARGUMENTS = {"type": "object", "properties": {}}


def read_request(body):
    config = body.get("output_config") or {}
    choice = body.get("tool_choice") or {}
    wanted = config.get("format")
    messages, json_object = _without_instruction(_messages(body))
    effort, extra = _effort(body)
    rest = {key: value for key, value in config.items() if key not in ("effort", "format")}
    return ChatCall(
        model=body["model"],
        messages=messages,
        tools=tuple(_tool(tool) for tool in body.get("tools", ())),
        tool_choice=ToolChoice(mode=MODES[choice["type"]], name=choice.get("name")) if choice else None,
        parallel_tool_calls=False if choice.get("disable_parallel_tool_use") else None,
        response_format=ResponseFormat(kind="json_object")
        if json_object
        else wanted and ResponseFormat(kind="json_schema", name="answer", schema=wanted["schema"], strict=True),
        max_output_tokens=body["max_tokens"],
        temperature=body.get("temperature"),
        top_p=body.get("top_p"),
        stop=tuple(body.get("stop_sequences", ())),
        reasoning_effort=effort,
        user=body.get("metadata", {}).get("user_id"),
        service_tier={"auto": "auto", "standard_only": "default"}.get(body.get("service_tier")),
        stream=body.get("stream", False),
        include_usage=body.get("stream", False),
        extra={key: value for key, value in body.items() if key not in TYPED}
        | extra
        | ({"output_config": rest} if rest else {}),
    )


def _messages(body):
    system = [Message(role="system", parts=_parts(body["system"]))] if "system" in body else []
    return (*system, *(read for message in body["messages"] for read in _message(message["role"], message["content"])))


def _message(role, content):
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    of_kind = {kind: [block for block in blocks if block["type"] == kind] for kind in ("tool_result", "tool_use")}
    thought = [block for block in blocks if block["type"] in ("thinking", "redacted_thinking")]
    rest = [block for block in blocks if block not in (*of_kind["tool_result"], *of_kind["tool_use"], *thought)]
    for block in of_kind["tool_result"]:
        extra = {name: block[name] for name in ("is_error", "cache_control") if name in block}
        yield Message(role="tool", tool_call_id=block["tool_use_id"], parts=_parts(block.get("content")), extra=extra)
    if rest or not of_kind["tool_result"]:
        yield Message(
            role=role,
            parts=_parts(rest),
            tool_calls=tuple(call_from_block(block) for block in of_kind["tool_use"]),
            reasoning=tuple(reasoning_from_block(block) for block in thought),
        )


def _without_instruction(messages):
    """Our own instruction at the end of the system prompt is `json_object` again."""
    first = messages[0]
    if first.role != "system" or first.parts[-1:] != (TextPart(text=JSON_INSTRUCTION),):
        return messages, False
    kept = (Message(role="system", parts=first.parts[:-1]),) if first.parts[:-1] else ()
    return (*kept, *messages[1:]), True


def _parts(content):
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    return tuple(_part(block) for block in blocks or ())


def _part(block):
    source = block.get("source")
    match block["type"], source and source["type"]:
        case "text", None:
            return TextPart(text=block["text"], cache_control=block.get("cache_control"))
        case "image", "url" | "base64":
            return ImagePart(url=_url(source))
        case "document", "file":
            return FilePart(file_id=source["file_id"], filename=block.get("title"))
        case "document", "url" | "base64":
            return FilePart(data=_url(source), filename=block.get("title"))
        case "document", "text":
            data = base64.b64encode(source["data"].encode()).decode()
            return FilePart(data=f"data:text/plain;base64,{data}", filename=block.get("title"))
    return OpaquePart(raw=block)


def _url(source):
    return source["url"] if source["type"] == "url" else f"data:{source['media_type']};base64,{source['data']}"


def _effort(body):
    """The effort, and under the key `thinking` what it does not express (None when thinking was not asked for)."""
    thinking = body.get("thinking")
    effort = (body.get("output_config") or {}).get("effort")
    if thinking is None:
        return effort, {} if effort is None else {"thinking": None}
    if thinking == DISABLED and effort is None:
        return "none", {}
    if thinking == ADAPTIVE and effort is not None:
        return effort, {}
    budget = thinking.get("budget_tokens")
    if effort is None and budget is not None:
        effort = [name for name, tokens in BUDGETS.items() if tokens <= budget and name != "minimal"][-1]
        if budget == BUDGETS[effort] and budget * 2 <= body["max_tokens"]:
            return effort, {}
    return effort, {"thinking": thinking}


def _tool(tool):
    schema = tool.get("input_schema")
    return Tool(
        name=tool["name"],
        description=tool.get("description"),
        parameters=None if schema in (NO_ARGUMENTS, {**NO_ARGUMENTS, "additionalProperties": False}) else schema,
        strict=tool.get("strict"),
        extra={key: tool[key] for key in tool.keys() - {"name", "description", "input_schema", "strict"}},
    )
