"""What the demo's dialects are made of: a request, the two kinds of answer, a refusal, and the record of a dialect."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import orjson

from providers.types import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSettings:
    """`latency_ms` passes before the headers; `tokens` is the length of a plain answer (None: as long as the echo);
    `fail_rate` is the share of requests answered with 503; `events_per_second` paces streams (0: as fast as read).
    With `require_key` any other key is refused; without it every key is welcome."""

    latency_ms: float = 0.0
    tokens: int | None = None
    fail_rate: float = 0.0
    events_per_second: float = 0.0
    require_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One HTTP request. `path` has no version prefix and no slashes around it; `number` counts requests from 1."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    number: int
    now_s: float
    settings: DemoSettings

    @property
    def id(self) -> str:
        """24 hexadecimal digits, different for each request."""
        return hashlib.sha256(b"%d %.6f " % (self.number, self.now_s) + self.body).hexdigest()[:24]

    @property
    def bearer(self) -> str:
        scheme, _, key = self.headers.get("authorization", "").partition(" ")
        return key.strip() if scheme.lower() == "bearer" else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonAnswer:
    body: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamAnswer:
    """`events` are whole SSE events, encoded."""

    events: Iterable[bytes]


Answer: TypeAlias = JsonAnswer | StreamAnswer
Handler: TypeAlias = Callable[[Call], Answer]


class RefusalError(Exception):
    """The service says no. `kind` is the dialect's error type, `param` and `code` are shown where it has them."""

    def __init__(
        self, status: int, message: str, *, kind: str = "", param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind
        self.param = param
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """A wire format. Keys of `routes` are `METHOD path`; a path ending in `/*` takes the rest of the request's path.

    `authorize` raises `RefusalError`; `error_body` shapes one; `prefixes` are path beginnings that may be left out.
    """

    name: str
    prefixes: tuple[str, ...]
    routes: Mapping[str, Handler]
    authorize: Callable[[Call], None]
    error_body: Callable[[RefusalError, Call], JsonObject]
    request_id_header: str = "x-request-id"


def read_json(call: Call, refusal: RefusalError) -> JsonObject:
    """The body as a JSON object; `refusal` when it is anything else."""
    try:
        body = orjson.loads(call.body)
    except orjson.JSONDecodeError:
        raise refusal from None
    if not isinstance(body, dict):
        raise refusal
    return body


def sse(data: JsonObject, *, event: str | None = None) -> bytes:
    head = b"event: %s\n" % event.encode() if event else b""
    return head + b"data: " + orjson.dumps(data) + b"\n\n"


def is_number(value: Any) -> bool:
    """JSON numbers only: in Python a bool is an int, on the wire it is not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
