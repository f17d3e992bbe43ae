"""A body in OpenAI's dialect as Mistral's API takes it: every field that its schema does not know is a 422. Pure.

Source: Mistral's own Python client (`ChatCompletionRequest`, `AssistantMessage`, `ToolMessage` …) and what the API answers.
"""

import base64
import hashlib
import re
from typing import Any

from providers.types import JsonObject

DROPPED = frozenset(
    {
        "user", "safety_identifier", "store", "verbosity", "modalities", "top_logprobs",
        "prompt_cache_retention", "prompt_cache_options",
    }
)  # fmt: skip
REFUSED = frozenset(
    {"logprobs", "logit_bias", "audio", "web_search_options", "moderation", "functions", "function_call"}
)

_RENAMED = {"seed": "random_seed", "dimensions": "output_dimension"}
_TIERS = {"auto": "auto", "default": "standard_only"}
_EFFORTS = {"none": "none", "minimal": "none"}
"""Any other is `high`: it is the one effort there is."""
_ROLES = {"developer": "system"}
_OF_A_MESSAGE = {
    "assistant": frozenset({"role", "content", "tool_calls", "prefix"}),
    "tool": frozenset({"role", "content", "tool_call_id", "name"}),
}
_OF_ANY_MESSAGE = frozenset({"role", "content"})
_OF_A_CALL = frozenset({"id", "type", "function"})
BETWEEN: JsonObject = {"role": "assistant", "content": "OK"}
_ID = re.compile(r"[A-Za-z0-9]{9}")


def write_as_mistral(body: JsonObject) -> None:
    """Changes `body` in place, at its top level; what lies deeper is copied where it changes."""
    for name, wanted in _RENAMED.items():
        if (value := body.pop(name, None)) is not None:
            body[wanted] = value
    tier, effort = body.pop("service_tier", None), body.get("reasoning_effort")
    if isinstance(tier, str) and tier in _TIERS:
        body["service_tier"] = _TIERS[tier]
    if isinstance(effort, str):
        body["reasoning_effort"] = _EFFORTS.get(effort, "high")
    if isinstance(body.get("messages"), list):
        body["messages"] = [_message(each) if isinstance(each, dict) else each for each in body["messages"]]


def part_results(body: JsonObject) -> None:
    """A turn of the user that follows a tool's result at once is a 400 (3230): it takes one of the assistant between them."""
    messages, before = body.get("messages"), None
    if not isinstance(messages, list):
        return
    written: list[Any] = []
    for message in messages:
        role = message.get("role") if isinstance(message, dict) else None
        if (before, role) == ("tool", "user"):
            written.append(BETWEEN)
        written.append(message)
        before = role
    body["messages"] = written


def call_id(identifier: str) -> str:
    """Nine letters and digits, or the API refuses them: the same for the same id, so that calls and results of another
    provider still find each other."""
    if _ID.fullmatch(identifier):
        return identifier
    digest = hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).digest()
    return base64.b32encode(digest)[:9].decode()


def _message(message: JsonObject) -> JsonObject:
    """Reasoning of earlier turns is left out: another provider's is none that Mistral would read."""
    role = message.get("role")
    kept = _OF_A_MESSAGE.get(role, _OF_ANY_MESSAGE) if isinstance(role, str) else _OF_ANY_MESSAGE
    written = {name: value for name, value in message.items() if name in kept and value is not None}
    written["role"] = _ROLES.get(role, role) if isinstance(role, str) else role
    if (content := message.get("content") or message.get("refusal")) is not None:
        written["content"] = [_part(part) for part in content] if isinstance(content, list) else content
    if role == "tool":
        written.setdefault("content", "")
    if isinstance(written.get("tool_calls"), list):
        written["tool_calls"] = [_call(call) for call in written["tool_calls"]]
    if isinstance(written.get("tool_call_id"), str):
        written["tool_call_id"] = call_id(written["tool_call_id"])
    return written


def _part(part: Any) -> Any:
    match part:
        case {"type": "text", "text": text}:
            return {"type": "text", "text": text}
        case {"type": "refusal", "refusal": text}:
            return {"type": "text", "text": text}
    return part


def _call(call: Any) -> Any:
    if not isinstance(call, dict):
        return call
    written = {name: value for name, value in call.items() if name in _OF_A_CALL}
    if isinstance(written.get("id"), str):
        written["id"] = call_id(written["id"])
    return written
