"""The objects of the Responses wire format as Perplexity's Agent API takes them, and what it refuses. Pure.

Stricter than OpenAI's own: unknown fields are refused, and message items must carry `"type": "message"`.
"""

from typing import Any

from providers.demo.shapes import Complaint, Field, Shape, first_complaint, first_complaint_of
from providers.demo.wire import RefusalError
from providers.types import JsonObject

EFFORTS = ("fast", "low", "medium", "high", "xhigh")
ROLES = ("user", "assistant", "system", "developer")

REQUEST: Shape = {
    "input": Field("any", required=True),
    "instructions": Field("string"),
    "model": Field("string"),
    "models": Field("array"),
    "preset": Field("string", choices=(*EFFORTS, "fast-search", "pro-search", "deep-research")),
    "effort": Field("string", choices=EFFORTS),
    "max_output_tokens": Field("integer", low=1),
    "max_steps": Field("integer", low=1, high=100),
    "temperature": Field("number", low=0, high=2),
    "top_p": Field("number", low=0, high=1),
    "reasoning": Field("object"),
    "response_format": Field("object"),
    "tools": Field("array"),
    "tool_choice": Field("any"),
    "stream": Field("boolean"),
    "store": Field("boolean"),
    "previous_response_id": Field("string"),
    "background": Field("boolean"),
    "language_preference": Field("string"),
    "prompt_cache_key": Field("string"),
    "service_tier": Field("string"),
}
ITEMS: dict[str, Shape] = {
    "message": {
        "role": Field("string", required=True, choices=ROLES),
        "content": Field("text or parts", required=True),
        "id": Field("string"),
        "status": Field("string"),
    },
    "function_call": {
        "call_id": Field("string", required=True),
        "name": Field("string", required=True),
        "arguments": Field("string", required=True),
        "id": Field("string"),
        "status": Field("string"),
        "thought_signature": Field("string"),
    },
    "function_call_output": {
        "call_id": Field("string", required=True),
        "output": Field("text or parts", required=True),
        "name": Field("string"),
        "id": Field("string"),
        "status": Field("string"),
    },
}
PARTS: dict[str, Shape] = {
    "input_text": {"text": Field("string", required=True)},
    "output_text": {"text": Field("string", required=True), "annotations": Field("array"), "logprobs": Field("array")},
    "input_image": {"image_url": Field("string", required=True), "detail": Field("string")},
}
PARTS_OF = {
    "user": ("input_text", "input_image"),
    "assistant": ("output_text", "input_text"),
    "system": ("input_text",),
    "developer": ("input_text",),
}
TOOLS: dict[str, Shape] = {
    "function": {
        "name": Field("string", required=True),
        "description": Field("string"),
        "parameters": Field("object"),
        "strict": Field("boolean"),
    },
    "web_search": {
        "filters": Field("object"),
        "search_context_size": Field("string", choices=("low", "medium", "high")),
        "user_location": Field("object"),
        "max_tokens": Field("integer", low=1),
        "max_tokens_per_page": Field("integer", low=1),
    },
    **{name: {} for name in ("fetch_url", "people_search", "finance_search", "image_search", "sandbox")},
}
REASONING: Shape = {
    "effort": Field("string", choices=("none", "minimal", "low", "medium", "high", "xhigh")),
    "summary": Field("string"),
}
RESPONSE_FORMATS: dict[str, Shape] = {
    "text": {},
    "json_schema": {"json_schema": Field("object", required=True)},
    "regex": {"regex": Field("object", required=True)},
}


def invalid(message: str, param: str | None = None) -> RefusalError:
    return RefusalError(400, message, kind="invalid_request", param=param)


def check(body: JsonObject) -> None:
    _refuse(first_complaint(body, REQUEST))
    if not any(body.get(name) for name in ("model", "models", "preset", "effort")):
        raise invalid("one of model, models, preset or effort is required", "model")
    if not all(isinstance(name, str) for name in body.get("models") or ()):
        raise invalid("Invalid type for 'models': expected an array of strings.", "models")
    if body.get("previous_response_id"):
        raise invalid("previous_response_id: no such response: the demo keeps none", "previous_response_id")
    _check_input(body["input"])
    if body.get("reasoning") is not None:
        _refuse(first_complaint(body["reasoning"], REASONING, path="reasoning"))
    if body.get("response_format") is not None:
        kind = _require_variant(body["response_format"], RESPONSE_FORMATS, "response_format")
        if kind == "json_schema" and not isinstance(body["response_format"]["json_schema"].get("schema"), dict):
            raise invalid("response_format.json_schema.schema: required", "response_format")
    _check_tools(body)


def _require_variant(value: Any, variants: dict[str, Shape], path: str) -> str:
    _refuse(first_complaint_of(value, variants, path=path))
    return str(value["type"])


def _refuse(complaint: Complaint | None) -> None:
    if complaint is not None:
        raise invalid(_words(complaint), complaint.path)


def _words(complaint: Complaint) -> str:
    field = complaint.field
    return {
        "missing": f"Missing required parameter: '{complaint.path}'.",
        "unknown": f"Unknown parameter: '{complaint.path}'.",
        "type": f"Invalid type for '{complaint.path}': expected {field.kind}.",
        "choice": f"Invalid value for '{complaint.path}': expected one of {', '.join(field.choices)}.",
        "low": f"Invalid '{complaint.path}': expected a value >= {field.low}.",
        "high": f"Invalid '{complaint.path}': expected a value <= {field.high}.",
    }[complaint.reason]


def _check_input(given: Any) -> None:
    if isinstance(given, str) and given:
        return
    if not isinstance(given, list) or not given:
        raise invalid("Invalid type for 'input': expected a non-empty string or array.", "input")
    waiting: list[str] = []
    for position, item in enumerate(given):
        kind = _require_variant(item, ITEMS, f"input[{position}]")
        if kind == "message":
            _refuse_unanswered(waiting)
            _check_content(item, f"input[{position}].content")
        elif kind == "function_call":
            waiting.append(item["call_id"])
        else:
            _check_output(item, waiting, f"input[{position}].output")
    _refuse_unanswered(waiting)


def _check_output(item: JsonObject, waiting: list[str], path: str) -> None:
    if item["call_id"] not in waiting:
        raise invalid(f"No tool call found for function call output with call_id {item['call_id']}.", "input")
    waiting.remove(item["call_id"])
    for position, part in enumerate(item["output"] if isinstance(item["output"], list) else ()):
        _require_variant(part, {name: PARTS[name] for name in PARTS_OF["user"]}, f"{path}[{position}]")


def _refuse_unanswered(waiting: list[str]) -> None:
    if waiting:
        raise invalid(f"No tool output found for function call {waiting[0]}.", "input")


def _check_content(item: JsonObject, path: str) -> None:
    if not item["content"]:
        raise invalid(f"Invalid '{path}': must not be empty.", path)
    if isinstance(item["content"], list):
        allowed = {name: PARTS[name] for name in PARTS_OF[item["role"]]}
        for position, part in enumerate(item["content"]):
            _require_variant(part, allowed, f"{path}[{position}]")


def _check_tools(body: JsonObject) -> None:
    names = []
    for position, tool in enumerate(body.get("tools") or ()):
        if _require_variant(tool, TOOLS, f"tools[{position}]") == "function":
            names.append(tool["name"])
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        if choice.get("type") != "function" or choice.get("name") not in names:
            raise invalid("Invalid value for 'tool_choice': no such function among the tools.", "tool_choice")
    elif choice not in (None, "none", "auto", "required"):
        raise invalid("Invalid value for 'tool_choice': expected none, auto, required or a function.", "tool_choice")
