"""How Cohere reads what `encode_request` writes: the counterpart by which tests tell that nothing was lost."""

from providers.types import (
    ChatCall,
    ImagePart,
    JsonObject,
    Message,
    OpaquePart,
    Part,
    ReasoningBlock,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCall,
    ToolChoice,
)

OWN_FIELDS = ("documents", "citation_options", "safety_mode", "priority", "thinking", "strict_tools", "k")


def read_request(body: JsonObject) -> ChatCall:
    choice = body.get("tool_choice")
    return ChatCall(
        model=body["model"],
        messages=tuple(_message(message) for message in body["messages"]),
        tools=tuple(Tool(**tool["function"], strict=body.get("strict_tools")) for tool in body.get("tools", ())),
        tool_choice=ToolChoice(mode=choice.lower()) if choice else None,
        response_format=_format(body.get("response_format")),
        max_output_tokens=body.get("max_tokens"),
        temperature=body.get("temperature"),
        top_p=body.get("p"),
        stop=tuple(body.get("stop_sequences", ())),
        seed=body.get("seed"),
        presence_penalty=body.get("presence_penalty"),
        frequency_penalty=body.get("frequency_penalty"),
        logprobs=body.get("logprobs"),
        stream=body.get("stream", False),
        extra={name: body[name] for name in OWN_FIELDS if name in body},
    )


def _message(message: JsonObject) -> Message:
    content = message.get("content", [])
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    plan = [TextPart(text=message["tool_plan"])] if "tool_plan" in message else []
    return Message(
        role=message["role"],
        parts=(*(_part(block) for block in blocks if block["type"] != "thinking"), *plan),
        tool_calls=tuple(ToolCall(id=call["id"], **call["function"]) for call in message.get("tool_calls", ())),
        tool_call_id=message.get("tool_call_id"),
        reasoning=tuple(ReasoningBlock(text=block["thinking"]) for block in blocks if block["type"] == "thinking"),
        extra={"citations": message["citations"]} if "citations" in message else {},
    )


def _part(block: JsonObject) -> Part:
    match block["type"]:
        case "text":
            return TextPart(text=block["text"])
        case "image_url":
            return ImagePart(**block["image_url"])
    return OpaquePart(raw=block)


def _format(wanted: JsonObject | None) -> ResponseFormat | None:
    if wanted is None:
        return None
    schema = wanted.get("json_schema")
    return ResponseFormat(kind="json_schema", schema=schema) if schema else ResponseFormat(kind="json_object")
