"""The objects of Cohere's v2 API as the demo knows them, and what the service refuses, in its own words. Pure."""

import re
from typing import Any

from providers.demo.shapes import Complaint, Field, Shape, first_complaint
from providers.demo.wire import RefusalError
from providers.types import JsonObject

TOOL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MAX_STOP_SEQUENCES = 5
MAX_INPUTS = 96

CHAT: Shape = {
    "model": Field("string", required=True),
    "messages": Field("array", required=True),
    "stream": Field("boolean"),
    "tools": Field("array"),
    "strict_tools": Field("boolean"),
    "tool_choice": Field("string", choices=("REQUIRED", "NONE")),
    "documents": Field("array"),
    "citation_options": Field("object"),
    "response_format": Field("object"),
    "safety_mode": Field("string", choices=("CONTEXTUAL", "STRICT", "OFF")),
    "max_tokens": Field("integer", low=0),
    "stop_sequences": Field("array"),
    "temperature": Field("number", low=0, high=1.0),
    "seed": Field("integer", low=0),
    "frequency_penalty": Field("number", low=0, high=1.0),
    "presence_penalty": Field("number", low=0, high=1.0),
    "k": Field("number", low=0, high=500),
    "p": Field("number", low=0.01, high=0.99),
    "logprobs": Field("boolean"),
    "thinking": Field("object"),
    "priority": Field("integer", low=0, high=999),
}
MESSAGES: dict[str, Shape] = {
    "system": {"content": Field("text or parts", required=True)},
    "user": {"content": Field("text or parts", required=True)},
    "assistant": {
        "content": Field("text or parts"),
        "tool_calls": Field("array"),
        "tool_plan": Field("string"),
        "citations": Field("array"),
    },
    "tool": {"tool_call_id": Field("string", required=True), "content": Field("text or parts", required=True)},
}
PARTS: dict[str, Shape] = {
    "text": {"text": Field("string", required=True)},
    "image_url": {"image_url": Field("object", required=True)},
    "thinking": {"thinking": Field("string", required=True)},
    "document": {"document": Field("object", required=True)},
}
PARTS_OF = {
    "system": ("text",),
    "user": ("text", "image_url"),
    "assistant": ("text", "thinking"),
    "tool": ("text", "document"),
}
FUNCTION: Shape = {
    "name": Field("string", required=True),
    "description": Field("string"),
    "parameters": Field("object", required=True),
}
TOOL: Shape = {
    "type": Field("string", required=True, choices=("function",)),
    "function": Field("object", required=True),
}
CALL: Shape = {**TOOL, "id": Field("string", required=True)}
CALLED: Shape = {"name": Field("string", required=True), "arguments": Field("string", required=True)}
IMAGE: Shape = {"url": Field("string", required=True), "detail": Field("string", choices=("auto", "low", "high"))}
THINKING: Shape = {
    "type": Field("string", required=True, choices=("enabled", "disabled")),
    "token_budget": Field("integer", low=0),
}
RESPONSE_FORMAT: Shape = {
    "type": Field("string", required=True, choices=("text", "json_object")),
    "json_schema": Field("object"),
    "schema": Field("object"),
}
EMBED: Shape = {
    "model": Field("string", required=True),
    "input_type": Field(
        "string", required=True, choices=("search_document", "search_query", "classification", "clustering", "image")
    ),
    "texts": Field("array"),
    "images": Field("array"),
    "inputs": Field("array"),
    "embedding_types": Field("array"),
    "output_dimension": Field("integer"),
    "max_tokens": Field("integer", low=1),
    "truncate": Field("string", choices=("NONE", "START", "END")),
    "priority": Field("integer", low=0, high=999),
}
EMBEDDING_TYPES = ("float", "int8", "uint8", "binary", "ubinary", "base64")
DIMENSIONS = (256, 512, 1024, 1536)


def invalid(message: str, status: int = 400) -> RefusalError:
    return RefusalError(status, message)


def require(body: Any, shape: Shape, path: str = "") -> None:
    if not isinstance(body, dict):
        raise invalid(f"invalid type: parameter {path or 'body'} should be of type object.")
    complaint = first_complaint(body, shape, path=path)
    if complaint is None:
        return
    if complaint.reason == "unknown":
        raise invalid(f"unknown field: parameter '{complaint.path}' is not a valid field", 422)
    raise invalid(_words(complaint))


def _words(complaint: Complaint) -> str:
    field = complaint.field
    if complaint.path == "input_type":
        return "invalid request: valid input_type must be provided with the provided model"
    if complaint.reason in ("low", "high"):
        upper = f"between {field.low} and {field.high} inclusive" if field.high is not None else f"at least {field.low}"
        return f"{complaint.path} must be {upper}"
    return {
        "missing": f"invalid request: {complaint.path} must be specified",
        "type": f"invalid type: parameter {complaint.path} should be of type {field.kind}.",
        "choice": f"invalid request: {complaint.path} must be one of {', '.join(field.choices)}",
    }[complaint.reason]


def check_chat(body: JsonObject) -> None:
    require(body, CHAT)
    if not body["messages"]:
        raise invalid("invalid request: messages must not be empty")
    for position, message in enumerate(body["messages"]):
        _check_message(message, f"messages[{position}]")
    _check_pairing(body["messages"])
    stop = body.get("stop_sequences") or []
    if len(stop) > MAX_STOP_SEQUENCES or not all(isinstance(entry, str) for entry in stop):
        raise invalid(f"invalid request: stop_sequences must be at most {MAX_STOP_SEQUENCES} strings")
    _check_tools(body)
    _check_modes(body)


def _check_message(message: Any, path: str) -> None:
    role = message.get("role") if isinstance(message, dict) else None
    if not isinstance(role, str) or role not in MESSAGES:
        raise invalid(f"invalid request: {path}.role must be one of {', '.join(MESSAGES)}")
    require({name: value for name, value in message.items() if name != "role"}, MESSAGES[role], path)
    content = message.get("content")
    if not content and not message.get("tool_calls"):
        raise invalid(f"invalid request: all elements in messages must have a non-empty content: {path}")
    for number, part in enumerate(content if isinstance(content, list) else ()):
        _check_part(part, role, f"{path}.content[{number}]")
    for number, call in enumerate(message.get("tool_calls") or ()):
        require(call, CALL, f"{path}.tool_calls[{number}]")
        require(call["function"], CALLED, f"{path}.tool_calls[{number}].function")


def _check_part(part: Any, role: str, path: str) -> None:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind not in PARTS_OF[role]:
        raise invalid(f"invalid request: {path}.type must be one of {', '.join(PARTS_OF[role])}")
    require({name: value for name, value in part.items() if name != "type"}, PARTS[kind], path)
    if kind == "image_url":
        require(part["image_url"], IMAGE, f"{path}.image_url")


def _check_pairing(messages: list[JsonObject]) -> None:
    waiting: list[str] = []
    for position, message in enumerate(messages):
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                text = f"tool_call_id '{message['tool_call_id']}' has no matching tool call in the message before it"
                raise invalid(f"invalid request: messages[{position}]: {text}")
            waiting.remove(message["tool_call_id"])
            continue
        if waiting:
            raise invalid(f"invalid request: tool calls without a tool message right after: {', '.join(waiting)}")
        waiting = [call["id"] for call in message.get("tool_calls") or ()]
    if waiting:
        raise invalid(f"invalid request: tool calls without a tool message right after: {', '.join(waiting)}")


def _check_tools(body: JsonObject) -> None:
    tools = body.get("tools")
    if not tools:
        if tools is not None or body.get("tool_choice") or body.get("strict_tools"):
            raise invalid("invalid request: tools must be specified and not empty")
        return
    for position, tool in enumerate(tools):
        require(tool, TOOL, f"tools[{position}]")
        require(tool["function"], FUNCTION, f"tools[{position}].function")
        if not TOOL_NAME.fullmatch(tool["function"]["name"]):
            text = "must only contain characters a-z, A-Z, 0-9, _ and must not begin with a digit"
            raise invalid(f"invalid request: tools[{position}].function.name {text}")


def _check_modes(body: JsonObject) -> None:
    if body.get("thinking") is not None:
        require(body["thinking"], THINKING, "thinking")
    if body.get("safety_mode") and (body.get("tools") or body.get("documents")):
        raise invalid("invalid request: safety_mode is not supported with tools or documents")
    wanted = body.get("response_format")
    if wanted is None:
        return
    require(wanted, RESPONSE_FORMAT, "response_format")
    if wanted["type"] == "json_object" and body.get("documents"):
        raise invalid("invalid request: response_format json_object is not supported with documents")


def check_embed(body: JsonObject) -> list[str]:
    """The inputs to embed, as texts."""
    require(body, EMBED)
    given = [name for name in ("texts", "images", "inputs") if body.get(name)]
    if len(given) != 1:
        raise invalid("invalid request: exactly one of texts, images or inputs must be specified and not empty")
    entries = body[given[0]]
    if len(entries) > MAX_INPUTS:
        raise invalid(
            f"invalid request: total number of {given[0]} must be at most {MAX_INPUTS} - received {len(entries)}"
        )
    if given[0] != "inputs" and not all(isinstance(entry, str) for entry in entries):
        raise invalid(f"invalid type: parameter {given[0]} should be of type array of strings.")
    if any(kind not in EMBEDDING_TYPES for kind in body.get("embedding_types") or ()):
        raise invalid(f"invalid request: embedding_types must be among {', '.join(EMBEDDING_TYPES)}")
    if body.get("output_dimension") not in (None, *DIMENSIONS):
        raise invalid(f"invalid request: output_dimension must be one of {', '.join(map(str, DIMENSIONS))}")
    return [entry if isinstance(entry, str) else _input_text(entry) for entry in entries]


def _input_text(entry: Any) -> str:
    content = entry.get("content") if isinstance(entry, dict) else None
    if not isinstance(content, list) or not content:
        raise invalid("invalid request: inputs must have content")
    for part in content:
        _check_part(part, "user", "inputs.content")
    return "".join(part.get("text") or str(part.get("image_url")) for part in content)
