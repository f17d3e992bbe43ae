"""Asking by Anthropic's API over a real socket, and what its answers have to look like."""

import json
from typing import Any

from tests.unit.providers.message_frames import read, summed
from tests.unit.routing.test_wrong_types_of_messages import PLAIN

MESSAGES, COUNT = "/v1/messages", "/v1/messages/count_tokens"


def said(text: str, model: str = "m", **more: Any) -> dict[str, Any]:
    return {**PLAIN, "model": model, "max_tokens": 2000, "messages": [{"role": "user", "content": text}], **more}


def error_of(answer: tuple[int, dict[str, str], bytes], status: int) -> dict[str, Any]:
    """Of an answer in Anthropic's shape with the id of its request."""
    found, headers, body = answer
    assert found == status, body
    assert headers["content-type"] == "application/json"
    told = json.loads(body)
    assert told.keys() == {"type", "error", "request_id"}
    assert told["type"] == "error"
    assert told["request_id"] == headers["x-request-id"] == headers["request-id"]
    assert told["error"].keys() == {"type", "message", "code", "param"}
    assert told["error"]["message"]
    error: dict[str, Any] = told["error"]
    return error


def text_of(answer: tuple[int, dict[str, str], bytes]) -> str:
    status, headers, body = answer
    assert status == 200, body
    streamed = headers["content-type"].startswith("text/event-stream")
    message = summed(read(body)) if streamed else json.loads(body)
    assert message["type"] == "message"
    return "".join(block["text"] for block in message["content"] if block["type"] == "text")
