"""Django's pages are loaded once, in a thread; whoever asks before they are there waits for them."""

import asyncio
import threading
from typing import Any

import pytest

from proxy_site.late_pages import LatePages


class Pages:
    """Loaded when `ready` is set; counts how often."""

    def __init__(self, error: Exception | None = None) -> None:
        self.ready = threading.Event()
        self.loads = 0
        self.answered: list[str] = []
        self._error = error

    def load(self) -> Any:
        self.loads += 1
        assert self.ready.wait(10)
        assert threading.current_thread() is not threading.main_thread()
        if self._error is not None:
            raise self._error
        return self._answer

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        self.answered.append(scope["path"])


async def test_requests_before_it_is_loaded_wait_and_later_ones_go_straight_through():
    pages = Pages()
    late = LatePages(pages.load)
    early = [asyncio.create_task(late({"path": path}, None, None)) for path in ("/a", "/b")]
    await asyncio.sleep(0.02)
    assert pages.answered == []
    assert pages.loads == 1
    pages.ready.set()
    await asyncio.gather(*early)
    assert sorted(pages.answered) == ["/a", "/b"]
    await late({"path": "/c"}, None, None)
    late.begin()
    assert (pages.loads, pages.answered[-1]) == (1, "/c")


async def test_one_who_leaves_while_it_loads_takes_it_from_nobody():
    pages = Pages()
    late = LatePages(pages.load)
    left, stays = (asyncio.create_task(late({"path": path}, None, None)) for path in ("/left", "/stays"))
    await asyncio.sleep(0.02)
    left.cancel()
    await asyncio.sleep(0.02)
    pages.ready.set()
    await stays
    assert pages.answered == ["/stays"]


async def test_a_failure_to_load_is_everybodys():
    pages = Pages(error=ImportError("no such module"))
    pages.ready.set()
    late = LatePages(pages.load)
    for _ in range(2):
        with pytest.raises(ImportError, match="no such module"):
            await late({"path": "/"}, None, None)
    late.join()
    assert pages.loads == 1
