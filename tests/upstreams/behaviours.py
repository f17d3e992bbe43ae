"""What a request meets at the fault upstream: the faults by name, their parameters, and the bytes of the answers."""

import dataclasses
import enum
import functools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

MODEL_PREFIX = "fault:"
CREATED = 1_790_000_000
ANSWER_ID = "chatcmpl-fault"


class Fault(enum.StrEnum):
    NONE = "none"
    # nothing of an answer is sent
    RST_BEFORE_HEADERS = "rst_before_headers"
    EOF_BEFORE_HEADERS = "eof_before_headers"
    HANG_BEFORE_HEADERS = "hang_before_headers"
    STALE = "stale"  # RST when a kept-alive connection is used again; the first request on it is answered
    # headers are sent, no token
    RST_AFTER_HEADERS = "rst_after_headers"
    EOF_AFTER_HEADERS = "eof_after_headers"
    HANG_AFTER_HEADERS = "hang_after_headers"
    # some of the body is sent: `cut_at` bytes of it, or `after_tokens` tokens
    CUT = "cut"  # ends as `cut_with` says
    HANG_MID_STREAM = "hang_mid_stream"
    HALF_CLOSE = "half_close"  # FIN from us, but the socket stays open and readable
    ERROR_EVENT = "error_event"  # an error event, then a clean end
    NO_FINISH = "no_finish"  # tokens, then a clean end without finish_reason and [DONE]
    BROKEN_EVENT = "broken_event"  # an event that is not JSON
    TRICKLE = "trickle"  # the body in single bytes, `interval_s` apart
    TRICKLE_HEADERS = "trickle_headers"
    # a whole answer that is not one
    STATUS = "status"  # `status`, with `retry_after` as `retry_after_form` says
    HTML_200 = "html_200"
    NOT_JSON_200 = "not_json_200"
    EMPTY_200 = "empty_200"
    ERROR_BODY_200 = "error_body_200"
    GIGANTIC_HEADER = "gigantic_header"  # `size` bytes
    GIGANTIC_BODY = "gigantic_body"  # `size` bytes
    NOT_HTTP = "not_http"
    SHORT_BODY = "short_body"  # fewer bytes than Content-Length said, then EOF


RETRY_AFTER_FORMS = (
    "seconds", "float", "date", "ms", "duration", "text", "none", "garbage", "negative", "past_date", "reset_header",
)  # fmt: skip
"""`text` is a sentence in the error's message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """Times are seconds. `delay_s` passes before anything is sent, for every fault.

    `cut_at` counts bytes of the decoded body, without HTTP's framing. `cut_with` is `rst`, `eof` or `clean` (the framing
    ends in order, so that only the missing finish tells). `framing` is `chunked` or `close` (the body ends with the
    connection). `tokens` numbered tokens `t0 t1 …` are sent, `interval_s` apart in a stream.
    """

    fault: Fault = Fault.NONE
    delay_s: float = 0.0
    tokens: int = 8
    interval_s: float = 0.0
    after_tokens: int = 3
    cut_at: int | None = None
    cut_with: str = "eof"
    framing: str = "chunked"
    status: int = 500
    code: str | None = None
    message: str = "scripted failure"
    retry_after: float = 1.0
    retry_after_form: str = "none"
    size: int = 1_000_000
    close: bool = False
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Behaviour":
        """From JSON or query values: numbers may be text. `TypeError` or `ValueError` when they make no sense."""
        kinds = {field.name: type(field.default) for field in dataclasses.fields(cls)}
        unknown = values.keys() - kinds.keys()
        if unknown:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        converted = {name: _convert(name, value, kinds[name]) for name, value in values.items()}
        return cls(**converted)

    @classmethod
    def named(cls, model: str) -> "Behaviour | None":
        """The behaviour in a model name such as `fault:cut?cut_at=120&cut_with=rst`; None for other names."""
        if not model.startswith(MODEL_PREFIX):
            return None
        fault, _, query = model.removeprefix(MODEL_PREFIX).partition("?")
        return cls.of({"fault": fault, **dict(parse_qsl(query))})


def _convert(name: str, value: Any, kind: type) -> Any:
    if name == "headers":
        return tuple((str(key), str(entry)) for key, entry in value)
    if name == "cut_at":
        return None if value is None else int(value)
    if kind is bool:
        return value in (True, "true", "1")
    return value if value is None or kind is type(None) else kind(value)


def failing(status: int, *, retry_after: float | None = None, form: str = "seconds", **more: Any) -> Behaviour:
    """An error status, with the wait named in one of `RETRY_AFTER_FORMS` when `retry_after` seconds are given."""
    if retry_after is None:
        return Behaviour(fault=Fault.STATUS, status=status, **more)
    return Behaviour(fault=Fault.STATUS, status=status, retry_after=retry_after, retry_after_form=form, **more)


def retry_after_header(behaviour: Behaviour, *, now_s: float) -> list[tuple[str, str]]:
    wait_s = behaviour.retry_after
    forms = {
        "duration": [("retry-after", f"0m{wait_s:g}s")],
        "text": [],
        "none": [],
        "seconds": [("retry-after", str(int(wait_s)))],
        "float": [("retry-after", f"{wait_s:.3f}")],
        "date": [("retry-after", formatdate(now_s + wait_s, usegmt=True))],
        "past_date": [("retry-after", formatdate(now_s - wait_s, usegmt=True))],
        "ms": [("retry-after-ms", str(int(wait_s * 1000)))],
        "garbage": [("retry-after", "soon")],
        "negative": [("retry-after", str(-int(wait_s)))],
        "reset_header": [("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", f"{wait_s:g}s")],
    }
    return forms[behaviour.retry_after_form]


# ------------------------------------------------------------------------------------------------------ the answers


def token(number: int) -> str:
    return f"t{number} "


def expected_text(tokens: int) -> str:
    """What a client has when nothing was lost or repeated."""
    return "".join(map(token, range(tokens)))


@functools.lru_cache(maxsize=64)
def stream_events(behaviour: Behaviour, model: str, *, include_usage: bool) -> list[bytes]:
    """The events of a healthy stream: role, one per token, finish, usage when asked for, `[DONE]`."""
    choices = [_choice({"role": "assistant", "content": ""})]
    choices += [_choice({"content": token(number)}) for number in range(behaviour.tokens)]
    choices.append(_choice({}, "stop"))
    events = [event(_chunk(model, [choice])) for choice in choices]
    if include_usage:
        events.append(event({**_chunk(model, []), "usage": usage(behaviour)}))
    return [*events, b"data: [DONE]\n\n"]


def stream_size(behaviour: Behaviour, model: str, *, include_usage: bool = False) -> int:
    """Bytes of the healthy stream: the offsets a cut can have are 0 to this."""
    return sum(map(len, stream_events(behaviour, model, include_usage=include_usage)))


def _choice(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish}


def _chunk(model: str, choices: Iterable[dict[str, Any]]) -> dict[str, Any]:
    head = {"id": ANSWER_ID, "object": "chat.completion.chunk", "created": CREATED, "model": model}
    return {**head, "choices": list(choices)}


def event(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"


def usage(behaviour: Behaviour) -> dict[str, int]:
    return {"prompt_tokens": 5, "completion_tokens": behaviour.tokens, "total_tokens": 5 + behaviour.tokens}


def completion(behaviour: Behaviour, model: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": expected_text(behaviour.tokens)}
    return {
        "id": ANSWER_ID,
        "object": "chat.completion",
        "created": CREATED,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": usage(behaviour),
    }


def error(behaviour: Behaviour) -> dict[str, Any]:
    message = behaviour.message
    if behaviour.retry_after_form == "text":
        message += f". Please try again in {behaviour.retry_after:g}s."
    return {"error": {"message": message, "type": "server_error", "param": None, "code": behaviour.code}}
