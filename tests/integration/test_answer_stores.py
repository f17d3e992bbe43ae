"""One suite for every store of cached answers."""

import asyncio
import io
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from routing.answer_store import AnswerStore, MemoryAnswerStore
from routing.cached_answers import CachedAnswer
from routing.redis_answer_store import RedisAnswerStore

REDIS = "redis://127.0.0.1:6379/0"
REDIS_OF_THE_COMMAND = "redis://127.0.0.1:6379/13"
KINDS = [pytest.param("memory"), pytest.param("redis", marks=pytest.mark.redis)]


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest) -> AsyncIterator[AnswerStore]:
    made: AnswerStore
    if request.param == "memory":
        made = MemoryAnswerStore()
    else:
        made = RedisAnswerStore(REDIS, prefix=f"{{test:{secrets.token_hex(6)}}}", timeout_s=2)
    yield made
    await made.clear()
    await made.aclose()


def answer(text: str = "x") -> CachedAnswer:
    return CachedAnswer(tenant="t", data=text.encode(), usage={"total_tokens": 3})


def key(number: int) -> bytes:
    return number.to_bytes(32, "big")


async def put(store: AnswerStore, *numbers: int, ttl_s: float = 60, max_entries: int = 100) -> None:
    await store.put([(key(number), answer(str(number))) for number in numbers], ttl_s=ttl_s, max_entries=max_entries)


async def found(store: AnswerStore, *numbers: int) -> list[str | None]:
    return [None if each is None else each.data.decode() for each in await store.get([key(n) for n in numbers])]


async def test_gives_back_what_was_put_in_the_order_asked_for(store: AnswerStore) -> None:
    await put(store, 1, 2)
    assert await found(store, 2, 3, 1) == ["2", None, "1"]
    (got,) = await store.get([key(1)])
    assert got is not None
    assert (got.tenant, got.usage) == ("t", {"total_tokens": 3})


async def test_forgets_after_the_time(store: AnswerStore) -> None:
    await put(store, 1, ttl_s=0.1)
    await put(store, 2, ttl_s=60)
    await asyncio.sleep(0.2)
    assert await found(store, 1, 2) == [None, "2"]


async def test_the_least_recently_used_leave_first(store: AnswerStore) -> None:
    for number in (1, 2, 3):
        await put(store, number, max_entries=3)
        await asyncio.sleep(0.003)
    await found(store, 1)
    await asyncio.sleep(0.003)
    await put(store, 4, max_entries=3)
    assert await found(store, 1, 2, 3, 4) == ["1", None, "3", "4"]


async def test_clearing_takes_everything_and_counts(store: AnswerStore) -> None:
    await put(store, 1, 2, 3)
    assert await store.clear() == 3
    assert await found(store, 1, 2, 3) == [None, None, None]
    assert await store.clear() == 0


async def test_many_at_once(store: AnswerStore) -> None:
    await put(store, *range(2000), max_entries=5000)
    assert await found(store, 0, 1999, 2000) == ["0", "1999", None]


async def test_memory_is_bounded_by_bytes_too() -> None:
    store = MemoryAnswerStore(max_bytes=10_000)
    for number in range(100):
        await store.put([(key(number), answer("x" * 1000))], ttl_s=60, max_entries=1000)
    assert store.bytes <= 10_000
    assert 0 < len(store) < 10


async def test_without_redis_there_is_nothing_cached_and_nothing_breaks() -> None:
    store = RedisAnswerStore("redis://127.0.0.1:1/0", prefix="{x}")
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: put(store, 1),
        lambda: found(store, 1),
        store.clear,
    ]
    assert [await call() for call in calls] == [None, [None], 0]
    assert store.failures == 1, "after the first failure nobody waits"
    await store.aclose()


@pytest.mark.redis
async def test_the_command_forgets_what_workers_keep_in_redis(settings: Any) -> None:
    settings.REDIS_URL = REDIS_OF_THE_COMMAND
    store = RedisAnswerStore(settings.REDIS_URL, timeout_s=2)
    await store.clear()
    await put(store, 1, 2)
    said = io.StringIO()
    await asyncio.to_thread(call_command, "clear_cache", "responses", stdout=said)
    assert said.getvalue() == "responses: 2 cleared\n"
    assert await found(store, 1, 2) == [None, None]
    await store.aclose()


def test_the_command_says_when_redis_is_away(settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    with pytest.raises(CommandError, match="Redis does not answer"):
        call_command("clear_cache", "responses")
