"""Upstream events for tests of the same-dialect stream."""

import json
from typing import Any

from providers.dialects.relay import RelayStream
from providers.types import ClientRequest, Operation

NAMES = {"id": "c-1", "object": "chat.completion.chunk", "created": 1790000000, "model": "m"}
COUNTS = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}


def frame(value: Any, *, compact: bool = True) -> bytes:
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":") if compact else None)
    return f"data: {text}\n\n".encode()


def chunk(delta: Any, finish: str | None = None, index: int = 0, **extra: Any) -> bytes:
    choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
    return frame({**NAMES, "choices": [choice], **extra})


ROLE = chunk({"role": "assistant", "content": ""})
STOP = chunk({}, "stop")
USAGE = frame({**NAMES, "choices": [], "usage": COUNTS})


def open_stream(*, include_usage: bool = False, operation: Operation = Operation.CHAT, **body: Any) -> RelayStream:
    return RelayStream(
        ClientRequest(operation=operation, model="m", body=body, stream=True, include_usage=include_usage)
    )


def values(data: bytes) -> list[Any]:
    found = [part.removeprefix("data: ") for part in data.decode().split("\n\n") if part]
    return [part if part == "[DONE]" else json.loads(part) for part in found]


def words(count: int) -> list[bytes]:
    return [chunk({"content": f" word{number}"}) for number in range(count)]
