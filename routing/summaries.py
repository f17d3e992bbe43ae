"""Has a configured model sum up what is dropped from a conversation: a call like any other, booked on the same key."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import orjson

from accounts.errors import AccessDenied
from accounts.header_lines import HeaderLines
from providers.types import ClientRequest, JsonObject, Operation
from routing.call import Call, CallOptions
from routing.condensation.transcript import summary_body
from routing.configuration.document import Condensation
from routing.errors import ClientFacing, RequestError

logger = logging.getLogger("llm_proxy.routing.summaries")

SHARE_OF_TIME = 0.5
"""Of what is left until the deadline, a summary may take this much."""
SHARE_OF_WINDOW = 0.5
SMALLEST_WINDOW = 8192
"""Taken for the window of a model whose window nobody configured."""


async def summarise(
    answer: Callable[..., Awaitable[None]], call: Call, messages: Sequence[JsonObject], settings: Condensation
) -> str | None:
    """`answer` is the gateway's. None when there is no summary to be had; the call goes on without one."""
    route = call.table.route(settings.summary_model or "")
    left_s = call.deadline - time.monotonic()
    if route is None or left_s <= 1:
        return None
    windows = [each.context_window for each in route.deployments if each.context_window is not None]
    body = summary_body(
        messages,
        model=route.name,
        most_tokens=int(min(windows, default=SMALLEST_WINDOW) * SHARE_OF_WINDOW),
        answer_tokens=settings.max_tokens_default,
    )
    sink = _Collector()
    # The operator chose the model, so the key need not be allowed to use it.
    principal = replace(call.principal, model_test=None, cache_enabled=False, condensation=False, payload_logging=False)
    asking = answer(
        ClientRequest(operation=Operation.CHAT, model=route.name, body=body),
        request_id=f"{call.request_id[:100]}.summary",
        principal=principal,
        options=CallOptions(endpoint=Operation.CHAT.value, timeout_s=left_s * SHARE_OF_TIME),
        sink=sink,
    )
    try:
        # In a task of its own, so that its end by a deadline is not taken for the end of the call it serves.
        await asyncio.ensure_future(asking)
    except (AccessDenied, RequestError) as error:
        logger.info("no summary: %s", error.message, extra={"request_id": call.request_id})
    return sink.text()


class _Collector:
    """A client that only wants the text."""

    push = None

    def __init__(self) -> None:
        self.started = False
        self._body = b""

    def text(self) -> str | None:
        if not self._body:
            return None
        answer: Any = orjson.loads(self._body)
        text = answer["choices"][0]["message"].get("content")
        return text.strip() or None if isinstance(text, str) else None

    def watch(self, gone: Callable[[], None]) -> Callable[[], None]:
        return lambda: None

    async def reply(self, status: int, body: bytes, headers: HeaderLines = b"") -> None:
        if status == 200:
            self._body = body

    async def start(self, headers: HeaderLines) -> None:
        """Never streams."""

    async def write(self, frames: bytes) -> None:
        """Never streams."""

    async def finish(self, frames: bytes = b"") -> None:
        """Never streams."""

    async def fail(self, error: ClientFacing, headers: HeaderLines = b"") -> None:
        logger.info("no summary: %s", error.message)
