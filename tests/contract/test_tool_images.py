"""An image that a tool returned, in a conversation that goes on, as every adapter sends it."""

import json
from typing import Any

import orjson

from providers.adapters.base import Adapter
from providers.types import Operation
from routing.endpoints.decoding import decode
from tests.contract.asking import SECRET, WEATHER, deployed

NATIVE = {"anthropic", "openai_responses", "openrouter"}
"""Their own clients know images in a tool's result."""
PIXELS = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ"
IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXELS}"}}
CALLS = [{"id": name, "type": "function", "function": {"name": "get_weather", "arguments": "{}"}} for name in "ab"]
MESSAGES: list[Any] = [
    {"role": "user", "content": "look"},
    {"role": "assistant", "content": None, "tool_calls": CALLS},
    {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "first"}, IMAGE]},
    {"role": "tool", "tool_call_id": "b", "content": "second"},
]
LATER = [{"role": "assistant", "content": "seen"}, {"role": "user", "content": "and now?"}]


def sent(adapter: Adapter, messages: list[Any]) -> list[Any]:
    body = {"model": "m", "messages": messages, "tools": [WEATHER], "max_tokens": 50}
    request = decode(Operation.CHAT, body, raw=orjson.dumps(body), received_at_s=0)
    prepared = json.loads(adapter.prepare(request, deployed(adapter), SECRET).body)
    written: list[Any] = prepared.get("messages") or prepared["input"]
    return written


def holding(messages: list[Any], text: str) -> list[int]:
    return [place for place, message in enumerate(messages) if text in json.dumps(message)]


def test_it_is_seen_once_and_results_stay_together(adapter: Adapter) -> None:
    for messages in (MESSAGES, MESSAGES + LATER):
        written = sent(adapter, messages)
        [image], [first], [second] = (holding(written, text) for text in (PIXELS, "first", "second"))
        assert json.dumps(written).count(PIXELS) == 1
        if adapter.kind in NATIVE:
            assert image == first <= second <= first + 1
        else:
            assert (second, image) == (first + 1, second + 1)
            assert written[image]["role"] == "user"


def test_where_users_show_it_the_result_is_one_text(adapter: Adapter) -> None:
    if adapter.kind not in NATIVE:
        written = sent(adapter, MESSAGES)
        result = written[holding(written, "first")[0]]
        said = result.get("content", result.get("output"))
        assert said == "first\nWhat was returned is in the next message of the user."
