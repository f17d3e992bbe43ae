"""A client for end-to-end tests that reports exactly what it got, and the file that measured figures go to."""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.e2e.gateway_process import GatewayProcess

ANSWER_WITHIN_S = 60.0


@dataclass(slots=True, kw_only=True)
class Got:
    """One answer as a client saw it. `errors` are error events or the error of the body; times are seconds."""

    status: int
    headers: dict[str, str]
    text: str = ""
    done: bool = False
    finish: str | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)
    broken: str = ""
    """How the transfer itself failed, which no client of a gateway should ever see."""
    duration_s: float = 0.0
    event_times: list[float] = field(default_factory=list)

    def is_clean(self, text: str) -> bool:
        """Whether this is the whole answer and nothing else."""
        whole = self.status == 200 and self.text == text and self.finish == "stop"
        return whole and not self.errors and not self.broken and self.done


class Caller:
    """An async context manager around one gateway."""

    def __init__(self, gateway: GatewayProcess, *, connections: int = 0) -> None:
        self.gateway = gateway
        self._connections = connections

    async def __aenter__(self) -> "Caller":
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._connections),
            headers={"authorization": f"Bearer {self.gateway.key}"},
            timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN_S),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    def post(self, model: str, *, stream: bool = True, headers: dict[str, str] | None = None, **fields: Any) -> Any:
        """The response as an async context manager."""
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": stream, **fields}
        return self.session.post(f"{self.gateway.url}/v1/chat/completions", json=body, headers=headers)

    async def ask(self, model: str, *, stream: bool = True, headers: dict[str, str] | None = None, **more: Any) -> Got:
        began = time.monotonic()
        got = Got(status=0, headers={})
        try:
            async with self.post(model, stream=stream, headers=headers, **more) as response:
                got.status = response.status
                got.headers = {name.lower(): value for name, value in response.headers.items()}
                if response.headers["content-type"].startswith("text/event-stream"):
                    await _read_events(response, got)
                else:
                    _read_body(await response.read(), got)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            got.broken = repr(error)
        got.duration_s = time.monotonic() - began
        return got


async def _read_events(response: aiohttp.ClientResponse, got: Got) -> None:
    # Read first and parse afterwards: a client that is busy parsing measures itself.
    lines = [(time.monotonic(), line) async for line in response.content]
    for when, line in lines:
        read_event(line, when, got)


def read_event(line: bytes, when: float, got: Got) -> None:
    """What a line of a stream adds to the answer."""
    if not line.startswith(b"data: "):
        return
    payload = line[6:].strip()
    if payload == b"[DONE]":
        got.done = True
        return
    event = json.loads(payload)
    if "error" in event:
        got.errors.append(event["error"])
    for choice in event.get("choices", ()):
        content = choice["delta"].get("content")
        if content:
            got.text += content
            got.event_times.append(when)
        got.finish = choice.get("finish_reason") or got.finish


def _read_body(body: bytes, got: Got) -> None:
    answer = json.loads(body)
    if "error" in answer:
        got.errors.append(answer["error"])
        return
    (choice,) = answer["choices"]
    got.text = choice["message"]["content"]
    got.finish = choice["finish_reason"]
    got.done = True


async def at_once(many: int, calls: Iterable[Callable[[], Awaitable[Got]]]) -> list[Got]:
    """All calls, `many` of them at a time, in order."""
    gate = asyncio.Semaphore(many)

    async def one(call: Callable[[], Awaitable[Got]]) -> Got:
        async with gate:
            return await call()

    return list(await asyncio.gather(*(one(call) for call in calls)))


def percentile(values: Iterable[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def report(line: str) -> None:
    """A measured figure: to the file that RESULTS_FILE names, and to standard output."""
    print(line)
    if path := os.environ.get("RESULTS_FILE"):
        with Path(path).open("a") as results:
            results.write(line + "\n")
