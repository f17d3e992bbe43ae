"""What OpenAI's API refuses, in its own words. Pure. Fields it does not know are ignored, as compatible servers do."""

import re
from collections.abc import Mapping
from typing import Any

from providers.demo.shapes import Complaint, Field, Shape, first_complaint
from providers.demo.wire import RefusalError
from providers.types import JsonObject

ROLES = ("system", "assistant", "user", "function", "tool", "developer")
PART_TYPES = {
    "user": ("text", "image_url", "input_audio", "file"),
    "assistant": ("text", "refusal"),
}
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")

PARAMETERS: Shape = {
    "temperature": Field("number", low=0, high=2),
    "top_p": Field("number", low=0, high=1),
    "presence_penalty": Field("number", low=-2, high=2),
    "frequency_penalty": Field("number", low=-2, high=2),
    "max_tokens": Field("integer", low=1),
    "max_completion_tokens": Field("integer", low=1),
    "n": Field("integer", low=1, high=128),
    "top_logprobs": Field("integer", low=0, high=20),
    "seed": Field("integer"),
    **dict.fromkeys(("stream", "parallel_tool_calls", "store"), Field("boolean")),
    **dict.fromkeys(("stream_options", "response_format", "logit_bias", "metadata"), Field("object")),
}
KIND_WORDS = {
    "string": "a string",
    "integer": "an integer",
    "number": "a decimal",
    "boolean": "a boolean",
    "object": "an object",
    "array": "an array of objects",
    "text or parts": "a string or an array of objects",
}


def invalid(message: str, param: str | None = None, code: str | None = None) -> RefusalError:
    return RefusalError(400, message, kind="invalid_request_error", param=param, code=code)


def missing(param: str) -> RefusalError:
    return invalid(f"Missing required parameter: '{param}'.", param, "missing_required_parameter")


def wrong_type(param: str, expected: str, value: Any) -> RefusalError:
    message = f"Invalid type for '{param}': expected {expected}, but got {json_type(value)} instead."
    return invalid(message, param, "invalid_type")


def wrong_value(param: str, value: Any, allowed: tuple[str, ...]) -> RefusalError:
    names = ", ".join(f"'{entry}'" for entry in allowed)
    return invalid(f"Invalid value: '{value}'. Supported values are: {names}.", param, "invalid_value")


def refusal_of(complaint: Complaint) -> RefusalError:
    field, path, value = complaint.field, complaint.path, complaint.value
    if complaint.reason == "missing":
        return missing(path)
    if complaint.reason == "unknown":
        return invalid(f"Unknown parameter: '{path}'.", path, "unknown_parameter")
    if complaint.reason == "type":
        return wrong_type(path, KIND_WORDS[field.kind], value)
    if complaint.reason == "choice":
        return wrong_value(path, value, field.choices)
    kind = "integer" if field.kind == "integer" else "decimal"
    side, sign, bound = ("below min", ">=", field.low) if complaint.reason == "low" else ("above max", "<=", field.high)
    text = f"Invalid '{path}': {kind} {side}imum value. Expected a value {sign} {bound}, but got {value} instead."
    return invalid(text, path, f"{kind}_{side.replace(' ', '_')}_value")


def json_type(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    names = {int: "an integer", float: "a decimal", str: "a string", list: "an array", dict: "an object"}
    return names.get(type(value), "an unknown value")


def check_model(body: JsonObject) -> str:
    model = body.get("model")
    if model is None or model == "":
        raise invalid("you must provide a model parameter")
    if not isinstance(model, str):
        raise wrong_type("model", "a string", model)
    return model


def check_parameters(body: JsonObject) -> None:
    """Types and ranges of everything but messages, tools and prompts."""
    complaint = first_complaint(body, PARAMETERS, open_ended=True)
    if complaint is not None:
        raise refusal_of(complaint)
    check_stop(body.get("stop"))
    if body.get("stream_options") is not None and not body.get("stream"):
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise invalid(message, "stream_options")


def check_stop(stop: Any) -> None:
    if stop is None or isinstance(stop, str):
        return
    if not isinstance(stop, list) or not all(isinstance(entry, str) for entry in stop):
        raise wrong_type("stop", "a string or an array of strings", stop)
    if len(stop) > 4:
        text = "Invalid 'stop': array too long. Expected an array with maximum length 4, "
        raise invalid(f"{text}but got an array with length {len(stop)} instead.", "stop", "array_above_max_length")


def check_messages(messages: Any) -> None:
    if messages is None:
        raise missing("messages")
    if not isinstance(messages, list):
        raise wrong_type("messages", "an array of objects", messages)
    if not messages:
        text = (
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead."
        )
        raise invalid(text, "messages", "empty_array")
    for position, message in enumerate(messages):
        path = f"messages[{position}]"
        if not isinstance(message, dict):
            raise wrong_type(path, "an object", message)
        if message.get("role") is None:
            raise missing(f"{path}.role")
        if message["role"] not in ROLES:
            raise wrong_value(f"{path}.role", message["role"], ROLES)
        _check_content(message, path)
        _check_tool_calls(message, path)
    _check_pairing(messages)


def _check_content(message: JsonObject, path: str) -> None:
    content = message.get("content")
    if content is None:
        if message["role"] == "assistant" and (message.get("tool_calls") or message.get("refusal")):
            return
        if message["role"] in ("assistant", "function") and "content" in message:
            return
        if "content" not in message:
            raise missing(f"{path}.content")
        raise wrong_type(f"{path}.content", "a string or an array of objects", content)
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        raise wrong_type(f"{path}.content", "a string or an array of objects", content)
    for position, part in enumerate(content):
        _check_part(part, message["role"], f"{path}.content[{position}]")


def _check_part(part: Any, role: str, path: str) -> None:
    if not isinstance(part, dict):
        raise wrong_type(path, "an object", part)
    allowed = PART_TYPES.get(role, ("text",))
    if part.get("type") is None:
        raise missing(f"{path}.type")
    if part["type"] not in allowed:
        raise wrong_value(f"{path}.type", part["type"], allowed)
    if part["type"] == "text" and not isinstance(part.get("text"), str):
        raise wrong_type(f"{path}.text", "a string", part.get("text"))
    if part["type"] == "image_url":
        image = part.get("image_url")
        if not isinstance(image, dict):
            raise wrong_type(f"{path}.image_url", "an object", image)
        if not str(image.get("url", "")).startswith(("http://", "https://", "data:image/")):
            raise invalid(
                "Invalid image URL: it must be an http(s) or data URL.", f"{path}.image_url.url", "invalid_image_url"
            )


def _check_tool_calls(message: JsonObject, path: str) -> None:
    calls = message.get("tool_calls")
    if calls is None:
        return
    if not isinstance(calls, list) or not calls:
        raise wrong_type(f"{path}.tool_calls", "a non-empty array of objects", calls)
    for position, call in enumerate(calls):
        kind = call.get("type") if isinstance(call, dict) else None
        function = call.get(kind) if isinstance(kind, str) else None
        if not isinstance(function, dict) or not isinstance(call.get("id"), str):
            raise missing(f"{path}.tool_calls[{position}].function")
        text = function.get("arguments" if kind == "function" else "input")
        if not isinstance(text, str):
            raise wrong_type(f"{path}.tool_calls[{position}].function.arguments", "a string", text)


def _check_pairing(messages: list[JsonObject]) -> None:
    """Every tool message answers a call of the assistant message before it, and every call is answered."""
    waiting: list[str] = []
    for position, message in enumerate(messages):
        if message["role"] == "tool":
            if message.get("tool_call_id") is None:
                raise missing(f"messages[{position}].tool_call_id")
            if message["tool_call_id"] not in waiting:
                text = "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
                raise invalid(f"Invalid parameter: {text}", f"messages.[{position}].role")
            waiting.remove(message["tool_call_id"])
            continue
        _refuse_unanswered(waiting, position)
        waiting = [call["id"] for call in message.get("tool_calls") or ()]
    _refuse_unanswered(waiting, len(messages))


def _refuse_unanswered(waiting: list[str], position: int) -> None:
    if waiting:
        text = (
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(waiting)}"
        )
        raise invalid(text, f"messages.[{position}].role")


def check_tools(body: JsonObject) -> None:
    tools = body.get("tools")
    if tools is None:
        if body.get("tool_choice") is not None and body["tool_choice"] != "none":
            raise invalid("'tool_choice' is only allowed when 'tools' are specified.", "tool_choice")
        return
    if not isinstance(tools, list) or not tools:
        raise wrong_type("tools", "a non-empty array of objects", tools)
    for position, tool in enumerate(tools):
        _check_tool(tool, f"tools[{position}]")
    _check_tool_choice(body.get("tool_choice"), [tool[tool["type"]]["name"] for tool in tools])


def _check_tool(tool: Any, path: str) -> None:
    if not isinstance(tool, dict):
        raise wrong_type(path, "an object", tool)
    if tool.get("type") not in ("function", "custom"):
        raise wrong_value(f"{path}.type", tool.get("type"), ("function", "custom"))
    kind = tool["type"]
    definition = tool.get(kind)
    if not isinstance(definition, dict) or definition.get("name") is None:
        raise missing(f"{path}.{kind}.name")
    if not NAME.fullmatch(str(definition["name"])):
        text = f"Invalid '{path}.{kind}.name': string does not match pattern. Expected '^[a-zA-Z0-9_-]+$'."
        raise invalid(text, f"{path}.{kind}.name", "invalid_value")
    parameters = definition.get("parameters")
    if not isinstance(parameters, dict | None):
        raise wrong_type(f"{path}.function.parameters", "an object", parameters)
    if parameters and parameters.get("type", "object") != "object":
        text = (
            f"Invalid schema for function '{definition['name']}': schema must be a JSON Schema of 'type: \"object\"'."
        )
        raise invalid(text, f"{path}.function.parameters", "invalid_function_parameters")


def _check_tool_choice(choice: Any, names: list[str]) -> None:
    if isinstance(choice, Mapping):
        name = chosen_name(choice)
        if choice.get("type") != "allowed_tools" and name not in names:
            text = f"Invalid value for 'tool_choice': tool '{name}' is not among the tools specified."
            raise invalid(text, "tool_choice")
    elif choice not in (None, "none", "auto", "required"):
        raise wrong_value("tool_choice", choice, ("none", "auto", "required"))


def chosen_name(choice: Mapping[str, Any]) -> str:
    """The tool that a `tool_choice` object names."""
    definition = choice.get(str(choice.get("type")))
    return str(definition.get("name", "")) if isinstance(definition, Mapping) else ""


def check_response_format(body: JsonObject) -> None:
    wanted = body.get("response_format")
    if wanted is None:
        return
    kinds = ("json_object", "json_schema", "text")
    if wanted.get("type") not in kinds:
        raise wrong_value("response_format.type", wanted.get("type"), kinds)
    if wanted["type"] == "json_object" and "json" not in str(body["messages"]).lower():
        text = "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
        raise invalid(text, "messages")
    if wanted["type"] != "json_schema":
        return
    definition = wanted.get("json_schema")
    if not isinstance(definition, dict):
        raise missing("response_format.json_schema")
    if not NAME.fullmatch(str(definition.get("name", ""))):
        raise missing("response_format.json_schema.name")
    if not isinstance(definition.get("schema"), dict):
        raise missing("response_format.json_schema.schema")


def check_window(input_tokens: int, window: int, param: str) -> None:
    if input_tokens > window:
        text = (
            f"This model's maximum context length is {window} tokens. However, your messages resulted in "
            f"{input_tokens} tokens. Please reduce the length of the messages."
        )
        raise invalid(text, param, "context_length_exceeded")
