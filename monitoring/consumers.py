"""`/ws/dashboard/`: the live page's figures, for signed-in staff. One frame a second, or a snapshot to who missed one."""

import asyncio
import contextlib
import time
from typing import Any

from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import Error as DatabaseError

from accounts.callers import is_staff
from accounts.socket_session import user_of_now
from accounts.task_ending import end
from monitoring import live_feed
from monitoring.live_feed import LiveFeed

SERVICE_RESTART = 1012
STALLED_READER_S = 30.0
LOOK_AT_SESSION_S = 5.0
SIGNED_OUT = 4401
GOING_AWAY = 1001


class DashboardConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Whoever may open it was decided before (`proxy_site.websockets`); whether they still may is looked at now and then.
    Frames are sent by one task of its own, which waits for a slow reader and then skips to the present. Each second it asks
    whether that task has waited too long: a timer for each frame would cost more than the frame."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._news = asyncio.Event()
        self._sender: asyncio.Task[None] | None = None
        self._session_watch: asyncio.Task[None] | None = None
        self._sending_since: float | None = None

    async def connect(self) -> None:
        feed = live_feed.current()
        if feed is None:
            await self.close()
            return
        await self.accept()
        self._sender = asyncio.create_task(self._keep_sending(feed), name="dashboard-sender")
        self._session_watch = asyncio.create_task(self._leave_when_signed_out(), name="dashboard-session-watch")

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Anything a page says means that it woke up and wants to see everything: `{"type": "snapshot"}`."""
        feed = live_feed.current()
        if feed is not None:
            try:
                async with asyncio.timeout(STALLED_READER_S):
                    await self._put(await feed.snapshot())
            except OSError:
                # It is gone, or reads nothing any more: what runs for it ends with it.
                await self.disconnect(GOING_AWAY)

    async def disconnect(self, code: int) -> None:
        await end(self._session_watch)
        await end(self._sender)
        raise StopConsumer

    async def _leave_when_signed_out(self) -> None:
        """Apart from the sender: a database that is away signs nobody out, and must not hold up what is shown of it."""
        while True:
            await asyncio.sleep(LOOK_AT_SESSION_S)
            with contextlib.suppress(DatabaseError):
                if not is_staff(await user_of_now(self.scope)):
                    await end(self._sender)
                    await self.close(SIGNED_OUT)
                    return

    async def _keep_sending(self, feed: LiveFeed) -> None:
        unsubscribe = feed.subscribe(self._wake)
        try:
            await self._send(await feed.snapshot())
            number = feed.number
            while True:
                await self._news.wait()
                self._news.clear()
                if feed.draining:
                    await self.close(SERVICE_RESTART)
                    return
                frame = feed.frame(number + 1)
                number = feed.number
                await self._send(frame if frame is not None else await feed.snapshot())
        except OSError:
            # The reader is gone; its disconnect follows.
            return
        finally:
            unsubscribe()

    def _wake(self) -> None:
        """Each second."""
        self._news.set()
        since = self._sending_since
        if since is not None and time.monotonic() - since > STALLED_READER_S and self._sender is not None:
            self._sender.cancel()

    async def _send(self, frame: str) -> None:
        self._sending_since = time.monotonic()
        try:
            await self._put(frame)
        finally:
            self._sending_since = None

    async def _put(self, frame: str) -> None:
        await self.base_send({"type": "websocket.send", "text": frame})
