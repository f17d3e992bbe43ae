"""The bare relay: what forwarding costs in this stack with aiohttp and no features at all. The yardstick.

BENCH_UPSTREAM=URL uvicorn tests.bench.relay:app --loop uvloop --http httptools --lifespan off --no-access-log
"""

import os
from typing import Any

import aiohttp
import orjson

UPSTREAM = os.environ.get("BENCH_UPSTREAM", "http://127.0.0.1:9100/v1/chat/completions")
HEADERS = {"authorization": "Bearer sk-up", "content-type": "application/json"}
_sessions: list[aiohttp.ClientSession] = []


def session() -> aiohttp.ClientSession:
    if not _sessions:
        _sessions.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
    return _sessions[0]


async def app(scope: Any, receive: Any, send: Any) -> None:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    call = orjson.loads(body)
    response = await session().post(UPSTREAM, data=orjson.dumps(call), headers=HEADERS)
    if call.get("stream"):
        head = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        async for chunk in response.content.iter_any():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        response.release()
        await send({"type": "http.response.body", "body": b""})
        return
    answer = await response.read()
    response.release()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
