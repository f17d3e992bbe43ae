"""What a choice of a stream's chunk says, for counting. Pure."""

from typing import Any

from providers.types import JsonObject

_TEXT_KEYS = frozenset({"content", "refusal", "reasoning_content", "reasoning"})


def chat_content(delta: Any, texts: list[str]) -> str:
    """Appends the texts of a delta; "tools", "content" or "" for what the delta holds."""
    if not isinstance(delta, dict):
        return ""
    kind = ""
    for key, value in delta.items():
        if not value or key == "role":
            continue
        kind = kind or "content"
        if key in _TEXT_KEYS and isinstance(value, str):
            if key != "reasoning" or "reasoning_content" not in delta:
                texts.append(value)
        elif key in ("tool_calls", "function_call"):
            kind = "tools"
            _tool_texts(value, texts)
    return kind


def _tool_texts(value: Any, texts: list[str]) -> None:
    for call in value if isinstance(value, list) else [{"function": value}]:
        function = call.get("function") or call.get("custom") if isinstance(call, dict) else None
        if isinstance(function, dict):
            texts += [part for key in ("name", "arguments", "input") if isinstance(part := function.get(key), str)]


def completion_content(choice: JsonObject, texts: list[str]) -> str:
    text = choice.get("text")
    if not isinstance(text, str) or not text:
        return ""
    texts.append(text)
    return "content"


def is_plain(text: str) -> bool:
    """True when `text` looks the same inside a JSON string."""
    return text.isprintable() and '"' not in text and "\\" not in text
