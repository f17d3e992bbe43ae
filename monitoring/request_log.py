"""One log line for each call, in the shape that docs/operations.md documents. Never a prompt, never a secret."""

import logging
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

import orjson

from monitoring.finished_call import NOT_A_FAILURE, FinishedCall

LOGGER_NAME = "llm_proxy.routing.gateway"
_NAMES = {logging.INFO: "INFO", logging.WARNING: "WARNING", logging.ERROR: "ERROR"}


class RequestLog:
    """`write` costs some microseconds and cannot block: `put` takes finished lines."""

    def __init__(self, put: Callable[[bytes], None], *, console: bool = False, level: int = logging.INFO) -> None:
        self._put = put
        self._line = console_line if console else json_line
        self.level = level

    def write(self, calls: Iterable[FinishedCall]) -> None:
        lines = []
        for call in calls:
            level = level_of(call.status)
            if level >= self.level:
                lines.append(self._line(call, _NAMES[level]))
        if lines:
            self._put(b"".join(lines))


def level_of(status: int) -> int:
    """Our failures and the providers' are errors, the clients' mistakes warnings, and a client that left is neither."""
    if status < 400 or status == 499:
        return logging.INFO
    return logging.ERROR if status >= 500 else logging.WARNING


def message_of(status: int) -> str:
    if status < 400:
        return "Request completed successfully"
    return "Client closed the request" if status == 499 else "Request failed"


_MILLISECONDS = tuple(f".{number:03d}Z" for number in range(1000))


class _Second:
    """The text of the current second: a call later within it reuses it."""

    second = -1
    text = ""


def timestamp(at: float) -> str:
    """ISO 8601 in UTC with milliseconds."""
    second = int(at)
    if second != _Second.second:
        _Second.text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        _Second.second = second
    return _Second.text + _MILLISECONDS[int((at - second) * 1000)]


def json_line(call: FinishedCall, level: str) -> bytes:
    """Most of a line is the same as in others, so only its numbers are encoded anew: half of what all of it takes."""
    before, behind = _words(
        call.status, call.provider, call.model, call.endpoint, call.stream, call.key_id, call.key_name, call.team,
        call.deployment, len(call.attempts), call.cache, call.revision,
    )  # fmt: skip
    first, cost = call.first_token_s, call.cost_nano_usd
    fields: dict[str, Any] = {
        "request_id": call.request_id,
        "tokens": call.input_tokens + call.output_tokens,
        # `round` would take three times as long.
        "duration": int(call.duration_s * 1e4) / 1e4,
        "time_to_first_token": None if first is None else int(first * 1e4) / 1e4,
        "input_tokens": call.input_tokens,
        "output_tokens": call.output_tokens,
        "cached_tokens": call.cached_tokens,
        "cost_usd": None if cost is None else cost / 1e9,
        "trace_id": call.trace_id,
    }
    if call.overhead_s is not None:
        fields["overhead"] = int(call.overhead_s * 1e5) / 1e5
    if call.error_type is not None:
        fields["error_type"] = call.error_type
    if call.condensed is not None:
        fields["condensed"] = call.condensed
    if len(call.attempts) > 1 or call.status >= 400:
        fields["failures"] = [
            {"provider": attempt.provider, "outcome": attempt.outcome, "status": attempt.status}
            for attempt in call.attempts
            if attempt.outcome not in NOT_A_FAILURE
        ]
    began = f'{{"timestamp":"{timestamp(call.ended_at)}","level":"{level}",'.encode()
    return b"".join((began, before, orjson.dumps(fields)[1:-1], behind))


@lru_cache(maxsize=1024)
def _words(
    status: int,
    provider: str,
    model: str,
    endpoint: str,
    stream: bool,
    key_id: Any,
    key_name: str,
    team: Any,
    deployment: str,
    attempts: int,
    cache: str | None,
    revision: int,
) -> tuple[bytes, bytes]:
    """The two runs of words in a line, which are the same for all calls of one key for one model that end the same way."""
    before = {"logger": LOGGER_NAME, "message": message_of(status), "provider": provider, "model": model}
    behind = {
        "status_code": status,
        "endpoint": endpoint,
        "stream": stream,
        "key_id": key_id,
        "key_name": key_name,
        "team": team,
        "deployment": deployment,
        "attempts": attempts,
        "cache": cache,
        "revision": revision,
    }
    return orjson.dumps(before)[1:-1] + b",", b"," + orjson.dumps(behind)[1:] + b"\n"


def console_line(call: FinishedCall, level: str) -> bytes:
    """For people: the same call in one line of text."""
    first = "" if call.first_token_s is None else f" first token {call.first_token_s:.3f} s"
    tried = "" if len(call.attempts) < 2 else f" after {len(call.attempts)} attempts"
    error = "" if call.error_type is None else f" {call.error_type}"
    key = printable(call.key_name or str(call.key_id or "-"))
    text = (
        f"{timestamp(call.ended_at)} {level:<7} {call.status} {call.endpoint} {printable(call.model)} → {call.provider}"
        f"{tried} in {call.duration_s:.3f} s{first}, {call.input_tokens}+{call.output_tokens} tokens, key {key},"
        f" {call.request_id}{error}\n"
    )
    return text.encode("utf-8", "replace")


def printable(text: str) -> str:
    """A line stays one line, and a terminal is told nothing but text."""
    return "".join(character if character.isprintable() else " " for character in text)
