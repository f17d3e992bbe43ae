"""An indiscreet provider: whatever it says, it quotes the credential, the extra header `x-own` and the prompt that it was sent.

What it does is decided by the model name: `good`, `status-<n>`, `html-<n>`, `redirect`, `not-json`, `event`, `broken`,
`header`, `cut`.
"""

import json
from typing import Any

PROMPT_LIMIT = 4000
INDISCREET_HEADERS = (
    "x-request-id",
    "retry-after",
    "openai-organization",
    "set-cookie",
    "x-ratelimit-limit-requests",
)


async def echoing_upstream(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
    secret = " ".join(headers.get(name, "") for name in ("authorization", "api-key", "x-api-key", "x-own"))
    indiscretion = f"rejected: {secret} sent {body.decode('utf-8', 'replace')[:PROMPT_LIMIT]}"
    asked = json.loads(body) if body else {}
    await answer(str(asked.get("model", "list")), bool(asked.get("stream")), secret, indiscretion, send)


async def answer(model: str, stream: bool, secret: str, indiscretion: str, send: Any) -> None:
    kind, _, number = model.partition("-")
    status = int(number) if number.isdigit() else 200
    quoted = json.dumps({"error": {"message": indiscretion, "type": indiscretion, "code": indiscretion}}).encode()
    location = ("location", f"http://127.0.0.1:9/?key={secret.strip()}")
    refusals: dict[str, tuple[int, bytes, str, list[tuple[str, str]]]] = {
        "status": (status, quoted, "application/json", []),
        "html": (status, f"<html>{indiscretion}</html>".encode(), "text/html", []),
        "redirect": (302, b"", "text/plain", [location]),
        "not": (200, indiscretion.encode(), "application/json", []),
        "header": (429, quoted, "application/json", [(name, secret) for name in INDISCREET_HEADERS]),
        "list": (401, quoted, "application/json", []),
    }
    if kind in refusals:
        await reply(send, *refusals[kind])
    elif stream:
        await events(kind, quoted, indiscretion, send)
    elif kind == "cut":
        await start(send, 200, "application/json", [("content-length", "5000")])
        await send({"type": "http.response.body", "body": quoted, "more_body": True})
        raise ConnectionResetError
    else:
        await reply(send, 200, whole_answer(), "application/json", [])


async def events(kind: str, quoted: bytes, indiscretion: str, send: Any) -> None:
    await start(send, 200, "text/event-stream", [])
    tail = {
        "event": b"data: %b\n\n" % quoted,
        "broken": b'data: {"broken": "%b\n\n' % indiscretion.encode(),
        "cut": b"data: " + quoted[:200],
    }.get(kind, chunk({}, "stop") + b"data: [DONE]\n\n")
    await send({"type": "http.response.body", "body": chunk({"content": "Hi"}), "more_body": True})
    await send({"type": "http.response.body", "body": tail})


def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    value = {"id": "c", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": "m"}
    return (
        b"data: %b\n\n"
        % json.dumps({**value, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}).encode()
    )


def whole_answer() -> bytes:
    message = {"role": "assistant", "content": "Hi"}
    value = {"id": "c", "object": "chat.completion", "created": 1_790_000_000, "model": "m"}
    usage = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
    return json.dumps(
        {**value, "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage}
    ).encode()


async def start(send: Any, status: int, kind: str, more: list[tuple[str, str]]) -> None:
    pairs = [("content-type", kind), *more]
    headers = [(name.encode(), value.encode("latin-1", "replace")) for name, value in pairs]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def reply(send: Any, status: int, body: bytes, kind: str, more: list[tuple[str, str]]) -> None:
    await start(send, status, kind, more)
    await send({"type": "http.response.body", "body": body})
