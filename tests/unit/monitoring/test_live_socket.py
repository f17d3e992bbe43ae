"""What runs for a live page, and that it ends with the page."""

import asyncio
from typing import Any

import pytest

from monitoring import consumers, live_feed
from monitoring.consumers import DashboardConsumer


class Feed:
    number = 0
    draining = False

    def subscribe(self, wake: Any) -> Any:
        return lambda: None

    async def snapshot(self) -> str:
        return "{}"


# Channels looks for connections to close, and in a process that has tested with a database finds one.
@pytest.mark.django_db
@pytest.mark.parametrize("stalls", [False, True])
async def test_a_page_that_leaves_or_stalls_as_it_is_told_everything_leaves_nothing_behind(
    stalls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_feed, "current", Feed)
    monkeypatch.setattr(consumers, "STALLED_READER_S", 0.05)
    said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    said.put_nowait({"type": "websocket.connect"})
    frames = 0

    async def send(message: dict[str, Any]) -> None:
        nonlocal frames
        frames += message["type"] == "websocket.send"
        if frames == 1:
            said.put_nowait({"type": "websocket.receive", "text": '{"type": "snapshot"}'})
        elif frames > 1:
            await asyncio.sleep(5 if stalls else 0)
            raise ConnectionResetError

    application = DashboardConsumer.as_asgi()
    await asyncio.wait_for(application({"type": "websocket"}, said.get, send), 2)
    assert [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("dashboard")] == []
