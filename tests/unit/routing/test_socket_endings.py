"""A generation on a socket ends once, whatever its client says while the end is on its way."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from accounts.records import Principal
from routing.consumers import ChatConsumer
from routing.table import GatewayPolicy

CREATE = {"type": "create", "id": "a", "request": {"model": "m", "messages": [{"role": "user", "content": "hi"}]}}
CANCEL = json.dumps({"type": "cancel", "id": "a"})
KEY = Principal(key_id=1, public_id="k", name="k", team_id=None, team="", scopes=frozenset({"completions"}))


class SlowReader:
    """Takes what is sent, and lets the sender go on only when it is `ready`."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.ready = asyncio.Event()

    async def __call__(self, message: dict[str, Any]) -> None:
        self.got.append(json.loads(message["text"]))
        await self.ready.wait()


class Gateway:
    """Stands for the pipeline: it ends every call as `end` does."""

    draining = False
    table = SimpleNamespace(policy=GatewayPolicy())

    def __init__(self, end: Any) -> None:
        reports = SimpleNamespace(expecting={}, refused=lambda *_, **__: None)
        self.settlement = SimpleNamespace(reports=reports)
        self.accounts = self
        self._end = end

    async def authenticate(self, token: str, address: str | None) -> Principal:
        return KEY

    async def answer(self, request: Any, *, sink: Any, **_: Any) -> None:
        await self._end(sink)


async def finish(sink: Any) -> None:
    await sink.finish()


async def say_nothing(sink: Any) -> None:
    """As a call that was cancelled does: the connection says the end."""


async def fail(sink: Any) -> None:
    raise RuntimeError("broken")


@pytest.mark.parametrize(("end", "told"), [(finish, "done"), (say_nothing, "done"), (fail, "error")])
async def test_a_cancel_while_the_end_is_being_sent_does_not_end_it_again(end: Any, told: str) -> None:
    consumer = ChatConsumer(gateway=Gateway(end), trusted_origin=lambda _: True)  # type: ignore[arg-type]
    consumer.scope = {"headers": [(b"authorization", b"Bearer x")], "client": ("127.0.0.1", 1)}
    consumer.base_send = reader = SlowReader()
    await consumer.receive(json.dumps(CREATE))
    task = consumer._running["a"].task
    assert task is not None
    while not reader.got:
        await asyncio.sleep(0)
    await consumer.receive(CANCEL)
    await asyncio.sleep(0)
    reader.ready.set()
    await asyncio.wait([task])
    assert [message["type"] for message in reader.got] == [told]
