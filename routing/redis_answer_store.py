"""Cached answers shared by all workers. One round trip to read, one to write.

`{prefix}:a:<key>` is an answer with its lifetime; `{prefix}:index` orders the keys by when they were used last, so that
the least recently used can leave when there are too many.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from routing.cached_answers import CachedAnswer

logger = logging.getLogger("llm_proxy.routing.redis_answer_store")

PREFIX = "{llm-proxy:answers}"
OUTAGE_S = 1.0
"""After a failure nobody waits for Redis for so long."""

GET = """
local found = redis.call('MGET', unpack(KEYS, 2))
for i, answer in ipairs(found) do
  if answer then redis.call('ZADD', KEYS[1], 'XX', ARGV[1], KEYS[i + 1]) end
end
return found
"""
PUT = """
for i = 2, #KEYS do
  redis.call('SET', KEYS[i], ARGV[i + 2], 'PX', ARGV[2])
  redis.call('ZADD', KEYS[1], ARGV[1], KEYS[i])
end
local over = redis.call('ZCARD', KEYS[1]) - tonumber(ARGV[3])
if over > 0 then
  local gone = redis.call('ZPOPMIN', KEYS[1], over)
  for i = 1, #gone, 2 do redis.call('DEL', gone[i]) end
end
redis.call('PEXPIRE', KEYS[1], math.max(tonumber(ARGV[2]), redis.call('PTTL', KEYS[1])))
return 1
"""
CLEAR = """
local keys = redis.call('ZRANGE', KEYS[1], 0, -1)
local count = 0
for _, key in ipairs(keys) do count = count + redis.call('DEL', key) end
redis.call('DEL', KEYS[1])
return count
"""
_AT_ONCE = 500
"""Keys in one script call, far below what Lua can unpack."""


def index_of(prefix: str) -> str:
    return f"{prefix}:index"


class RedisAnswerStore:
    """`prefix` separates installations that share a server; its braces keep all keys on one node of a cluster. Connections
    are made when they are needed."""

    def __init__(self, url: str, *, prefix: str = PREFIX, timeout_s: float = 0.1) -> None:
        self._prefix = prefix
        self._index = index_of(prefix)
        self._timeout_s = timeout_s
        self._redis: Redis = Redis.from_url(url, socket_connect_timeout=1.0, retry=Retry(NoBackoff(), 0))
        self._get = self._redis.register_script(GET)
        self._put = self._redis.register_script(PUT)
        self._clear = self._redis.register_script(CLEAR)
        self._down_until = 0.0
        self.failures = 0

    async def aclose(self) -> None:
        await self._redis.aclose()

    async def get(self, keys: Sequence[bytes]) -> list[CachedAnswer | None]:
        found: list[CachedAnswer | None] = []
        for start in range(0, len(keys), _AT_ONCE):
            some = keys[start : start + _AT_ONCE]
            stored = await self._call(self._get, some, [_now_ms()])
            found += [None] * len(some) if stored is None else [_decoded(each) for each in stored]
        return found

    def at_hand(self, key: bytes) -> CachedAnswer | None:
        """Nothing is kept here."""
        return None

    async def put(self, answers: Sequence[tuple[bytes, CachedAnswer]], *, ttl_s: float, max_entries: int) -> None:
        for start in range(0, len(answers), _AT_ONCE):
            some = answers[start : start + _AT_ONCE]
            values = [answer.encode() for _, answer in some]
            lifetime = max(int(ttl_s * 1000), 1)
            await self._call(self._put, [key for key, _ in some], [_now_ms(), lifetime, max_entries, *values])

    async def clear(self) -> int:
        return int(await self._call(self._clear, (), ()) or 0)

    async def _call(self, script: Any, keys: Sequence[bytes], arguments: Sequence[Any]) -> Any:
        """None when Redis did not answer in time."""
        if time.monotonic() < self._down_until:
            return None
        names = [self._index, *(f"{self._prefix}:a:{key.hex()}" for key in keys)]
        try:
            async with asyncio.timeout(self._timeout_s):
                return await script(keys=names, args=list(arguments))
        except (RedisError, OSError, TimeoutError) as error:
            self.failures += 1
            self._down_until = time.monotonic() + OUTAGE_S
            logger.warning("the response cache cannot reach Redis: %s", type(error).__name__)
            with contextlib.suppress(RedisError, OSError):
                await self._redis.connection_pool.disconnect(inuse_connections=False)
            return None


def _decoded(stored: bytes | None) -> CachedAnswer | None:
    return None if stored is None else CachedAnswer.decode(stored)


def _now_ms() -> int:
    return int(time.time() * 1000)
