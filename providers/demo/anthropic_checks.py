"""What Anthropic's Messages API refuses, in its own words. Pure. `check()` raises `RefusalError`."""

import base64
import hashlib
import re
from typing import Any

from providers.demo import anthropic_shapes as shapes
from providers.demo.shapes import Complaint, Shape, first_complaint
from providers.demo.wire import RefusalError
from providers.types import JsonObject

TYPE_WORDS = {
    "string": "a valid string",
    "integer": "a valid integer",
    "number": "a valid number",
    "boolean": "a valid boolean",
    "object": "a valid dictionary",
    "array": "a valid list",
    "text or parts": "a valid string or list",
}
MAGIC = {"image/png": b"\x89PNG", "image/jpeg": b"\xff\xd8\xff", "image/gif": b"GIF8", "image/webp": b"RIFF"}
TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
TOOL_ID = re.compile(r"[a-zA-Z0-9_-]+")


def invalid(message: str) -> RefusalError:
    return RefusalError(400, message, kind="invalid_request_error")


def check(body: JsonObject, *, shape: Shape, version: str) -> None:
    """A whole request body against `shape` (a message to be written, or tokens to be counted)."""
    if version != shapes.VERSIONS[0]:
        shape = {name: field for name, field in shape.items() if name not in shapes.SAMPLING}
    require(body, shape)
    _check_system(body.get("system"))
    _check_messages(body["messages"], version)
    _check_stop(body.get("stop_sequences") or [])
    if body.get("metadata"):
        require(body["metadata"], shapes.METADATA, "metadata")
    _check_tools(body)
    _check_thinking(body)
    _check_output(body)


def require(body: JsonObject, shape: Shape, path: str = "") -> None:
    complaint = first_complaint(body, shape, path=path)
    if complaint is not None:
        raise invalid(f"{complaint.path}: {_words(complaint)}")


def _words(complaint: Complaint) -> str:
    field = complaint.field
    if complaint.reason == "choice":
        return "Input should be " + " or ".join(f"'{entry}'" for entry in field.choices)
    return {
        "missing": "Field required",
        "unknown": "Extra inputs are not permitted",
        "type": f"Input should be {TYPE_WORDS.get(field.kind, 'valid')}",
        "low": f"Input should be greater than or equal to {field.low}",
        "high": f"Input should be less than or equal to {field.high}",
    }[complaint.reason]


def require_variant(value: Any, variants: dict[str, Shape], path: str) -> str:
    """An object told apart by its `type`; returns that type."""
    if not isinstance(value, dict):
        raise invalid(f"{path}: Input should be a valid dictionary")
    kind = value.get("type")
    if kind is None:
        raise invalid(f"{path}.type: Field required")
    if not isinstance(kind, str) or kind not in variants:
        names = ", ".join(f"'{name}'" for name in variants)
        raise invalid(f"{path}: Input tag '{kind}' found using 'type' does not match any of the expected tags: {names}")
    require({name: entry for name, entry in value.items() if name != "type"}, variants[kind], f"{path}.{kind}")
    return str(kind)


def _check_system(system: Any) -> None:
    for position, block in enumerate(system if isinstance(system, list) else ()):
        require_variant(block, {"text": shapes.BLOCKS["text"]}, f"system.{position}")
        if not block["text"].strip():
            raise invalid("system: text content blocks must be non-empty")


def _check_messages(messages: list[Any], version: str) -> None:
    if not messages:
        raise invalid("messages: at least one message is required")
    for position, message in enumerate(messages):
        path = f"messages.{position}"
        if not isinstance(message, dict):
            raise invalid(f"{path}: Input should be a valid dictionary")
        require(message, shapes.MESSAGE, path)
        _check_content(message["content"], message["role"], path, version)
    if messages[0]["role"] != "user":
        raise invalid('messages: first message must use the "user" role')
    if messages[-1]["role"] == "assistant":
        text = "This model does not support assistant message prefill. The conversation must end with a user message."
        raise invalid(text)
    _check_late_system([message["role"] for message in messages])
    _check_pairing(messages)


def _check_late_system(roles: list[str]) -> None:
    for before, role, after in zip(roles, roles[1:], [*roles[2:], "assistant"], strict=False):
        if role == "system" and (before, after) != ("user", "assistant"):
            raise invalid(
                "messages: a system message must follow a user message, and be the last or be followed by an assistant message"
            )


def _check_content(content: Any, role: str, path: str, version: str) -> None:
    if not content:
        raise invalid(
            f"{path}: all messages must have non-empty content except for the optional final assistant message"
        )
    if isinstance(content, str):
        if not content.strip():
            raise invalid("messages: text content blocks must contain non-whitespace text")
        return
    allowed = {name: shapes.BLOCKS[name] for name in shapes.BLOCKS_OF[role]}
    if role == "assistant" and version != shapes.VERSIONS[0]:
        del allowed["document"]
    results_over = False
    for position, block in enumerate(content):
        kind = require_variant(block, allowed, f"{path}.content.{position}")
        _check_block(block, kind, f"{path}.content.{position}.{kind}", version)
        if kind == "tool_result" and results_over:
            raise invalid(f"{path}: `tool_result` blocks must come first in the content of a message")
        results_over = kind != "tool_result"


def _check_block(block: JsonObject, kind: str, path: str, version: str) -> None:
    if kind == "text" and not block["text"].strip():
        what = "be non-empty" if not block["text"] else "contain non-whitespace text"
        raise invalid(f"messages: text content blocks must {what}")
    if kind in ("image", "document"):
        _check_source(block["source"], kind, f"{path}.source")
    if kind == "tool_use" and not TOOL_ID.fullmatch(block["id"]):
        raise invalid(f"{path}.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
    if kind == "tool_result" and isinstance(block.get("content"), list) and block["content"]:
        _check_content(block["content"], "tool_result", path, version)
    if kind == "thinking" and block["signature"] != signature_of(block["thinking"]):
        raise invalid(f"{path}: Invalid `signature` in `thinking` block")


def signature_of(thinking: str) -> str:
    """Signatures bind thinking to the service that wrote it; another provider's are refused."""
    return base64.b64encode(hashlib.sha256(f"demo {thinking}".encode()).digest()).decode()


def _check_source(source: JsonObject, kind: str, path: str) -> None:
    allowed = ("base64", "url", "file") if kind == "image" else tuple(shapes.SOURCES)
    form = require_variant(source, {name: shapes.SOURCES[name] for name in allowed}, path)
    if form != "base64":
        return
    media_types = shapes.IMAGE_TYPES if kind == "image" else ("application/pdf",)
    if source["media_type"] not in media_types:
        names = " or ".join(f"'{name}'" for name in media_types)
        raise invalid(f"{path}.base64.media_type: Input should be {names}")
    try:
        data = base64.b64decode(source["data"], validate=True)
    except ValueError:
        raise invalid(f"{path}.base64.data: Input should be valid base64") from None
    if kind == "image" and not data.startswith(MAGIC[source["media_type"]]):
        raise invalid(
            f"{path}.base64: The image was specified using the {source['media_type']} media type, but is not one"
        )


def _check_pairing(messages: list[JsonObject]) -> None:
    """Every tool_use is answered in the very next message, and nothing else is answered; no id is used twice."""
    asked: list[str] = []
    used: set[str] = set()
    for position, message in enumerate(messages):
        blocks = message["content"] if isinstance(message["content"], list) else []
        answered = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        orphans = [entry for entry in answered if entry not in asked]
        if orphans:
            text = f"messages.{position}: unexpected `tool_use_id` found in `tool_result` blocks: {', '.join(orphans)}."
            more = "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
            raise invalid(f"{text} {more}")
        missing = [entry for entry in asked if entry not in answered]
        if missing:
            text = f"messages.{position - 1}: `tool_use` ids were found without `tool_result` blocks immediately after:"
            raise invalid(f"{text} {', '.join(missing)}.")
        asked = [block["id"] for block in blocks if block["type"] == "tool_use"]
        if len(used.union(asked)) < len(used) + len(asked):
            raise invalid(f"messages.{position}: `tool_use` ids must be unique")
        used.update(asked)


def _check_stop(sequences: list[Any]) -> None:
    for position, entry in enumerate(sequences):
        if not isinstance(entry, str):
            raise invalid(f"stop_sequences.{position}: Input should be a valid string")
        if not entry.strip():
            raise invalid("stop_sequences: each stop sequence must contain non-whitespace")


def _check_tools(body: JsonObject) -> None:
    tools = body.get("tools") or []
    for position, tool in enumerate(tools):
        if not isinstance(tool, dict):
            raise invalid(f"tools.{position}: Input should be a valid dictionary")
        require(tool, shapes.TOOL, f"tools.{position}.custom")
        if not TOOL_NAME.fullmatch(tool["name"]):
            raise invalid(f"tools.{position}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
        if tool["input_schema"].get("type") != "object":
            raise invalid(f"tools.{position}.custom.input_schema.type: Input should be 'object'")
    names = [tool["name"] for tool in tools]
    if len(set(names)) < len(names):
        raise invalid("tools: Tool names must be unique.")
    if not tools and _speaks_of_tools(body["messages"]):
        raise invalid("tools: Field required when messages hold `tool_use` or `tool_result` blocks")
    _check_tool_choice(body.get("tool_choice"), names)


def _speaks_of_tools(messages: list[JsonObject]) -> bool:
    blocks = [block for message in messages if isinstance(message["content"], list) for block in message["content"]]
    return any(block["type"] in ("tool_use", "tool_result") for block in blocks)


def _check_tool_choice(choice: Any, names: list[str]) -> None:
    if choice is None:
        return
    kind = require_variant(choice, shapes.TOOL_CHOICES, "tool_choice")
    if not names:
        raise invalid("tool_choice: tool_choice may only be specified while providing tools")
    if kind == "tool" and choice["name"] not in names:
        raise invalid(f"tool_choice.tool.name: Tool '{choice['name']}' not found in provided tools")


def _check_thinking(body: JsonObject) -> None:
    if body.get("thinking") is None:
        return
    kind = require_variant(body["thinking"], shapes.THINKING, "thinking")
    if kind == "disabled":
        return
    if kind == "enabled" and body["thinking"]["budget_tokens"] >= body.get("max_tokens", float("inf")):
        raise invalid("`max_tokens` must be greater than `thinking.budget_tokens`")
    if (body.get("tool_choice") or {}).get("type") in ("any", "tool"):
        raise invalid("Thinking may not be enabled when tool_choice forces tool use.")
    if body.get("temperature") not in (None, 1):
        raise invalid("`temperature` may only be set to 1 when thinking is enabled.")


def _check_output(body: JsonObject) -> None:
    config = body.get("output_config")
    if config is None:
        return
    require(config, shapes.OUTPUT_CONFIG, "output_config")
    if config.get("format") is not None:
        require_variant(config["format"], shapes.OUTPUT_FORMAT, "output_config.format")
        _check_schema(config["format"]["schema"])


def _check_schema(schema: Any) -> None:
    """Structured outputs know only a part of JSON Schema."""
    if isinstance(schema, list):
        for entry in schema:
            _check_schema(entry)
    if not isinstance(schema, dict):
        return
    refused = sorted(shapes.REFUSED_KEYWORDS & schema.keys())
    if refused:
        raise invalid(f"output_config.format.schema: property '{refused[0]}' is not supported")
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        text = "For 'object' type, 'additionalProperties' must be explicitly set to false"
        raise invalid(f"output_config.format.schema: {text}")
    nested = [*(schema.get("properties") or {}).values(), *(schema.get("$defs") or {}).values()]
    _check_schema([*nested, schema.get("items"), schema.get("anyOf"), schema.get("allOf")])
