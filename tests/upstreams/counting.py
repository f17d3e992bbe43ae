"""An upstream that counts its calls and has a context window: a token is a word, or four bytes if that is more.

The model's name says what it does: `window=1000` refuses longer prompts in OpenAI's words, `words=…` refuses them in the
given ones (underscores are spaces), `delay=0.2` waits, `fail=2` answers 500 to the first two calls with equal text,
`cut` ends streams early, `filter` finishes with content_filter, `nousage` reports none, `usage=9` reports so many tokens
of input, `searches=2` so many searches, `short` embeds no input "lost", `placed` tells no indexes. Parts are joined by `;`.
"""

import asyncio
import json
from collections import Counter
from typing import Any

Request = dict[str, Any]


class CountingUpstream:
    """An ASGI application. `requests` are the bodies it was sent, in order."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def asked(self, mark: str) -> list[Request]:
        """The requests whose last message, prompt or input has this text."""
        return [request for request in self.requests if mark in json.dumps(last_text(request))]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] != "POST":
            await _reply(send, 404, {"error": {"message": "no such page"}})
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        request = json.loads(body)
        self.requests.append(request)
        traits = dict(part.partition("=")[::2] for part in request["model"].split(";"))
        await asyncio.sleep(float(traits.get("delay") or 0))
        before = Counter(json.dumps(last_text(each)) for each in self.requests)[json.dumps(last_text(request))]
        if before <= int(traits.get("fail") or 0):
            await _reply(send, 500, {"error": {"message": "broken", "type": "server_error"}})
        elif (tokens := count(request)) > (window := int(traits.get("window") or 10**9)):
            await _reply(send, 400, _overflow(traits, window, tokens))
        elif scope["path"].endswith("/embeddings"):
            await _reply(send, 200, _vectors(request, traits))
        elif request.get("stream"):
            await _stream(send, request, traits, tokens)
        else:
            await _reply(send, 200, _answer(request, traits, tokens))


def last_text(request: Request) -> Any:
    if "messages" in request:
        users = [message for message in request["messages"] if message["role"] == "user"]
        return (users or request["messages"])[-1]["content"]
    return request.get("input") or request.get("prompt")


def count(request: Request) -> int:
    texts = [json.dumps(message.get("content") or "") for message in request.get("messages", [])]
    return sum(max(len(text) // 4, text.count(" ") + 1) for text in texts)


def _overflow(traits: dict[str, str], window: int, tokens: int) -> Request:
    words = traits.get("words")
    if words:
        return {"error": {"message": words.replace("_", " "), "type": "invalid_request_error", "code": None}}
    message = (
        f"This model's maximum context length is {window} tokens. However, your messages resulted in {tokens} tokens."
    )
    return {"error": {"message": message, "type": "invalid_request_error", "code": "context_length_exceeded"}}


def _vectors(request: Request, traits: dict[str, str]) -> Request:
    inputs = request["input"] if isinstance(request["input"], list) else [request["input"]]
    data = [
        {"object": "embedding", "index": index, "embedding": [len(str(each)), index + 0.5]}
        for index, each in enumerate(inputs)
        if "short" not in traits or each != "lost"
    ]
    if "placed" in traits:
        data = [{**each, "index": 0} for each in data]
    usage = {"prompt_tokens": 3 * len(inputs), "total_tokens": 3 * len(inputs)}
    return {"object": "list", "data": data, "model": request["model"], "usage": usage}


def _names(request: Request, kind: str) -> Request:
    return {"id": "chatcmpl-1", "created": 1, "model": request["model"], "object": kind}


def _text(request: Request) -> str:
    return f"answer to {last_text(request)}"


def _usage(tokens: int, traits: dict[str, str]) -> Request:
    searches = int(traits.get("searches") or 0)
    more = {"server_tool_use": {"web_search_requests": searches}} if searches else {}
    return {"prompt_tokens": tokens, "completion_tokens": 7, "total_tokens": tokens + 7, **more}


def _finish(traits: dict[str, str]) -> str:
    return "content_filter" if "filter" in traits else "stop"


def _answer(request: Request, traits: dict[str, str], tokens: int) -> Request:
    message = {"role": "assistant", "content": _text(request), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(traits)}
    more = {} if "nousage" in traits else {"usage": _usage(int(traits.get("usage") or tokens), traits)}
    return {**_names(request, "chat.completion"), "choices": [choice], **more}


async def _stream(send: Any, request: Request, traits: dict[str, str], tokens: int) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    names = _names(request, "chat.completion.chunk")
    deltas: list[tuple[Request, str | None]] = [({"role": "assistant", "content": ""}, None)]
    deltas += [({"content": piece + " "}, None) for piece in _text(request).split(" ")]
    deltas += [] if "cut" in traits else [({}, _finish(traits))]
    for delta, reason in deltas:
        await _event(send, {**names, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
        await asyncio.sleep(float(traits.get("pace") or 0))
    if "cut" not in traits:
        if (request.get("stream_options") or {}).get("include_usage") and "nousage" not in traits:
            await _event(send, {**names, "choices": [], "usage": _usage(tokens, traits)})
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _event(send: Any, event: Request) -> None:
    await send(
        {"type": "http.response.body", "body": b"data: " + json.dumps(event).encode() + b"\n\n", "more_body": True}
    )


async def _reply(send: Any, status: int, body: Request) -> None:
    data = json.dumps(body).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(data)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data})
