"""What OpenAI's Responses API refuses, in its own words. Pure. `check()` raises `RefusalError`."""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

from providers.demo import openai_responses_shapes as shapes
from providers.demo.answering import THINKING
from providers.demo.openai_checks import NAME, invalid, refusal_of, wrong_type, wrong_value
from providers.demo.shapes import Complaint, Shape, first_complaint, first_complaint_of
from providers.demo.wire import RefusalError
from providers.types import JsonObject

LONGEST_CALL_ID = 64
IMAGE_ADDRESSES = ("http://", "https://", "data:image/")


def check(body: JsonObject) -> None:
    """A whole request body."""
    _refuse(first_complaint(body, shapes.REQUEST))
    _refuse_what_is_kept(body)
    _check_input(body.get("input"))
    _check_tools(body)
    _check_text(body)
    if body.get("reasoning") is not None:
        _refuse(first_complaint(body["reasoning"], shapes.REASONING, path="reasoning"))
    for position, name in enumerate(body.get("include") or ()):
        if name not in shapes.INCLUDABLE:
            raise wrong_value(f"include[{position}]", name, shapes.INCLUDABLE)
    for key, value in (body.get("metadata") or {}).items():
        if not isinstance(value, str):
            raise wrong_type(f"metadata.{key}", "a string", value)
    if body.get("stream_options") is not None and not body.get("stream"):
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise invalid(message, "stream_options")


def encrypted(thought: str) -> str:
    """Encrypted reasoning can be read by the service that wrote it; another's is refused."""
    return base64.b64encode(hashlib.sha256(f"demo responses {thought}".encode()).digest()).decode()


def _require_variant(value: Any, variants: dict[str, Shape], path: str, *, default: str | None = None) -> str:
    """An object told apart by its `type`; returns that type."""
    _refuse(first_complaint_of(value, variants, path=path, default=default))
    return str(value.get("type", default))


def _refuse(complaint: Complaint | None) -> None:
    if complaint is not None:
        moved = complaint.reason == "unknown" and complaint.path in shapes.MOVED
        raise _moved(complaint.path) if moved else refusal_of(complaint)


def _moved(path: str) -> RefusalError:
    text = (
        f"Unsupported parameter: '{path}'. In the Responses API, this parameter has moved to '{shapes.MOVED[path]}'. "
        "Try again with the new parameter."
    )
    return invalid(text, path, "unsupported_parameter")


def _refuse_what_is_kept(body: JsonObject) -> None:
    """The demo keeps nothing, so whatever is referred to was never there."""
    if body.get("previous_response_id"):
        text = f"Previous response with id '{body['previous_response_id']}' not found."
        raise invalid(text, "previous_response_id", "previous_response_not_found")
    for name in ("conversation", "prompt"):
        if body.get(name):
            raise _not_found(name.capitalize(), body[name], name)
    if body.get("background"):
        raise invalid("Background mode is not supported with this model.", "background", "unsupported_parameter")


def _not_found(what: str, named: Any, param: str) -> RefusalError:
    name = named.get("id") if isinstance(named, dict) else named
    return RefusalError(404, f"{what} with id '{name}' not found.", kind="invalid_request_error", param=param)


def _check_input(given: Any) -> None:
    if not given:
        text = "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' must be provided."
        raise invalid(text, "input", "missing_required_parameter")
    if isinstance(given, str):
        return
    for position, item in enumerate(given):
        _check_item(item, f"input[{position}]")
    _check_pairing(given)


def _check_item(item: Any, path: str) -> None:
    kind = _require_variant(item, shapes.ITEMS, path, default="message")
    begins = shapes.ID_BEGINS.get(kind, "")
    if not (item.get("id") or begins).startswith(begins):
        text = f"Invalid '{path}.id': '{item['id']}'. Expected an ID that begins with '{begins}'."
        raise invalid(text, f"{path}.id", "invalid_value")
    if kind == "message":
        parts = shapes.OUTPUT_PARTS if item["role"] == "assistant" else shapes.INPUT_PARTS
        _check_parts(item["content"], parts, f"{path}.content")
    elif kind in ("reasoning", "item_reference"):
        _check_recalled(item, path)
    elif "call_id" in item:
        _check_call_id(item["call_id"], f"{path}.call_id")
        _check_parts(item.get("output"), shapes.INPUT_PARTS, f"{path}.output")


def _check_parts(content: Any, allowed: tuple[str, ...], path: str) -> None:
    for position, part in enumerate(content if isinstance(content, list) else ()):
        where = f"{path}[{position}]"
        kind = _require_variant(part, {name: shapes.PARTS[name] for name in allowed}, where)
        address = str(part.get("image_url") or "")
        if kind == "input_image" and not (part.get("file_id") or address.startswith(IMAGE_ADDRESSES)):
            text = f"Invalid '{where}.image_url'. Expected a valid URL, but got a value with an invalid format."
            raise invalid(text, f"{where}.image_url", "invalid_value")


def _check_recalled(item: JsonObject, path: str) -> None:
    """Reasoning must bring its encrypted content, since nothing is stored here to be referred to."""
    if item.get("encrypted_content") is None:
        raise _not_found("Item", item, "input")
    for position, part in enumerate(item["summary"]):
        _require_variant(part, shapes.SUMMARY, f"{path}.summary[{position}]")
    if item["encrypted_content"] != encrypted(THINKING):
        text = "could not be verified. Reason: Encrypted content could not be decrypted or parsed."
        shown = item["encrypted_content"][:4]
        raise invalid(f"The encrypted content {shown}... {text}", None, "invalid_encrypted_content")


def _check_call_id(call_id: str, path: str) -> None:
    if len(call_id) > LONGEST_CALL_ID:
        text = (
            f"Invalid '{path}': string too long. Expected a string with maximum length {LONGEST_CALL_ID}, "
            f"but got a string with length {len(call_id)} instead."
        )
        raise invalid(text, path, "string_above_max_length")


def _check_pairing(items: list[JsonObject]) -> None:
    """Every output answers a call of its kind before it, and every call is answered."""
    waiting: list[tuple[str, str]] = []
    for item in items:
        kind = item.get("type", "message")
        if kind in shapes.OUTPUT_OF:
            waiting.append((shapes.OUTPUT_OF[kind], item["call_id"]))
        elif kind in shapes.OUTPUT_OF.values():
            if (kind, item["call_id"]) not in waiting:
                words = kind.replace("_", " ")
                raise invalid(f"No tool call found for {words} with call_id {item['call_id']}.", "input")
            waiting.remove((kind, item["call_id"]))
    if waiting:
        words = waiting[0][0].removesuffix("_output").replace("_", " ")
        raise invalid(f"No tool output found for {words} {waiting[0][1]}.", "input")


def _check_tools(body: JsonObject) -> None:
    offered: list[tuple[str, str]] = []
    for position, tool in enumerate(body.get("tools") or ()):
        path = f"tools[{position}]"
        kind = _require_variant(tool, shapes.TOOLS, path)
        offered.append((kind, tool.get("name", "")))
        if "name" in tool and not NAME.fullmatch(tool["name"]):
            text = f"Invalid '{path}.name': string does not match pattern. Expected '^[a-zA-Z0-9_-]+$'."
            raise invalid(text, f"{path}.name", "invalid_value")
        if tool.get("parameters"):
            _check_parameters(tool, f"{path}.parameters")
    _check_tool_choice(body.get("tool_choice"), offered)


def _check_parameters(tool: JsonObject, path: str) -> None:
    fault = next(_strict_faults(tool["parameters"], ()), None) if tool.get("strict") else None
    kind = tool["parameters"].get("type", "object")
    if kind != "object":
        fault = f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'."
    if fault is not None:
        raise invalid(f"Invalid schema for function '{tool['name']}': {fault}", path, "invalid_function_parameters")


def _strict_faults(schema: Any, context: tuple[str, ...]) -> Iterator[str]:
    """What strict mode does not take: objects that are open, or have properties that may be left out."""
    if not isinstance(schema, dict):
        return
    properties = _inner(schema, "properties")
    if schema.get("type") == "object" or properties:
        if schema.get("additionalProperties") is not False:
            yield f"In context={context}, 'additionalProperties' is required to be supplied and to be false."
        required = schema.get("required")
        optional = [name for name, _ in properties if not isinstance(required, list) or name not in required]
        if optional:
            words = "'required' is required to be supplied and to be an array including every key in properties."
            yield f"In context={context}, {words} Missing '{optional[0]}'."
    yield from _strict_faults(schema.get("items"), (*context, "items"))
    for keyword in ("properties", "$defs", "anyOf"):
        for name, entry in _inner(schema, keyword):
            yield from _strict_faults(entry, (*context, keyword, name))


def _inner(schema: JsonObject, keyword: str) -> list[tuple[str, Any]]:
    given = schema.get(keyword)
    if isinstance(given, dict):
        return list(given.items())
    return [(str(place), entry) for place, entry in enumerate(given)] if isinstance(given, list) else []


def _check_tool_choice(choice: Any, offered: list[tuple[str, str]]) -> None:
    if choice in (None, "none", "auto"):
        return
    if choice == "required":
        if not offered:
            raise invalid("Tool choice 'required' must be specified with 'tools' parameter.", "tool_choice")
        return
    if not isinstance(choice, dict):
        raise wrong_value("tool_choice", choice, ("none", "auto", "required"))
    for wanted in _chosen(choice):
        if wanted not in offered:
            raise invalid(f"Tool choice '{wanted[1] or wanted[0]}' not found in 'tools' parameter.", "tool_choice")


def _chosen(choice: JsonObject) -> list[tuple[Any, Any]]:
    """The tools that a choice speaks of, by type and name."""
    if choice.get("type") != "allowed_tools":
        return [(choice.get("type"), choice.get("name", ""))]
    if choice.get("mode") not in ("auto", "required"):
        raise wrong_value("tool_choice.mode", choice.get("mode"), ("auto", "required"))
    tools = choice.get("tools")
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise wrong_type("tool_choice.tools", "an array of objects", tools)
    return [(tool.get("type"), tool.get("name", "")) for tool in tools]


def _check_text(body: JsonObject) -> None:
    text = body.get("text")
    if text is None:
        return
    _refuse(first_complaint(text, shapes.TEXT, path="text"))
    wanted = text.get("format")
    if wanted is None:
        return
    kind = _require_variant(wanted, shapes.FORMATS, "text.format")
    if kind == "json_object" and "json" not in str(body["input"]).lower():
        words = "must contain the word 'json' in some form to use 'text.format' of type 'json_object'."
        raise invalid(f"Response input messages {words}", "input")
    if kind == "json_schema":
        fault = next(_strict_faults(wanted["schema"], ()), None) if wanted.get("strict") else None
        if fault is not None:
            text = f"Invalid schema for response_format '{wanted['name']}': {fault}"
            raise invalid(text, "text.format.schema", "invalid_json_schema")
