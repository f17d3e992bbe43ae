"""A field of OpenAI's reaches the upstream, is refused by its name, or is left out as docs/providers.md says."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from providers.adapters.base import Adapter
from providers.errors import Unsupported
from providers.types import JsonObject
from tests.contract.asking import SECRET, asked, deployed

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}
FIELDS: list[tuple[str, Any]] = [
    ("stop", ["X"]),
    ("n", 2),
    ("logprobs", True),
    ("top_logprobs", 3),
    ("seed", 7),
    ("temperature", 0.5),
    ("top_p", 0.5),
    ("presence_penalty", 0.5),
    ("frequency_penalty", 0.5),
    ("logit_bias", {"1": 5}),
    ("response_format", {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}}),
    ("response_format", {"type": "json_object"}),
    ("max_tokens", 2000),
    ("max_completion_tokens", 2000),
    ("reasoning_effort", "low"),
    ("tool_choice", "none"),
    ("tool_choice", "required"),
    ("tool_choice", {"type": "function", "function": {"name": "get_weather"}}),
    ("parallel_tool_calls", False),
    ("user", "u"),
    ("safety_identifier", "s"),
    ("service_tier", "auto"),
    ("verbosity", "low"),
    ("store", True),
    ("metadata", {"a": "b"}),
    ("prediction", {"type": "content", "content": "x"}),
    ("modalities", ["text", "audio"]),
    ("web_search_options", {"search_context_size": "high"}),
    ("prompt_cache_key", "k"),
    ("moderation", {"model": "m"}),
]
OF_TOOLS = frozenset({"tool_choice", "parallel_tool_calls"})
WORDS = {
    "prompt_cache_key": "prompt_cache_*",
    "presence_penalty": "penalties",
    "frequency_penalty": "penalties",
}
SAID_AS = {"modalities": "audio", "top_logprobs": "logprobs"}
"""What a refusal may name instead."""
DOCUMENT = Path(__file__).parents[2] / "docs" / "providers.md"


def row(kind: str) -> str:
    """What the table says of a kind, and of all that speak another dialect than OpenAI's."""
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    table = lines[lines.index("## What is mapped, dropped and refused") :]
    return next(line for line in table if line.startswith(f"| `{kind}`"))


def sent(adapter: Adapter, stream: bool, base: JsonObject, **more: Any) -> JsonObject:
    request = asked(stream=stream, **base, **more)
    if request.body["tools"] is None:
        del request.body["tools"]
    serving = adapter.serving(request, deployed(adapter))
    upstream: JsonObject = json.loads(serving.prepare(request, deployed(adapter), SECRET).body)
    return upstream


def _sent_or_refused(adapter: Adapter, stream: bool, base: JsonObject, **more: Any) -> JsonObject | str | None:
    """What goes upstream, or the name of the field that is refused."""
    try:
        return sent(adapter, stream, base, **more)
    except Unsupported as error:
        return error.param


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("name", "value"), FIELDS, ids=[f"{name}-{number}" for number, (name, _) in enumerate(FIELDS)])
def test_is_mapped_refused_or_documented_to_be_dropped(adapter: Adapter, stream: bool, name: str, value: Any) -> None:
    base: JsonObject = {} if name in OF_TOOLS else {"tools": None}
    # With a limit that leaves room to think.
    base["max_tokens"] = None if name == "max_completion_tokens" else 3000
    if name == "max_tokens":
        del base["max_tokens"]
    upstream = _sent_or_refused(adapter, stream, base, **{name: value})
    if isinstance(upstream, str):
        assert upstream in (name, SAID_AS.get(name))
    elif upstream == sent(adapter, stream, base):
        word = WORDS.get(name, name)
        assert re.search(rf"(?<![\w*]){re.escape(word)}(?![\w*])", row(adapter.kind)), f"{adapter.kind} drops {name}"
