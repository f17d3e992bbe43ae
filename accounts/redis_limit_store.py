"""Limits shared by all workers, counted in Redis by one script with the server's clock.

Calls that arrive while a script is running travel together in the next one, so load makes each cheaper. A running
call's place among the concurrent ones is leased for 15 s and renewed, so that a killed worker's places come free.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from contextvars import Context
from pathlib import Path
from time import monotonic
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from accounts.limit_store import Hold, Refused, StoreUnavailable, Taken
from accounts.limits import step_us
from accounts.outages import PROBE_EVERY_S, Breaker
from accounts.records import LimitRule
from accounts.task_ending import end

log = logging.getLogger("llm_proxy.accounts.redis_limit_store")
SCRIPT = (Path(__file__).parent / "limits.lua").read_text(encoding="utf-8")
BATCH = 128
RUNNING_LEASE_US = 15_000_000
RENEW_EVERY_S = 5.0
LOOK_AGAIN_S = 0.2
"""So soon after a failure the server is tried, until it answers or is left alone: where no call has a limit, nothing else
would ask before the next renewal."""
NEVER, UNKNOWN = -1, -2

Operation = list[Any]
Asked = tuple["asyncio.Future[list[int]]", Sequence[LimitRule], int, str]
"""A `take`: who waits for the answer, its rules, tokens and call."""
Sent = tuple[list[str], Operation, Asked | None]
"""Keys, what to do with them, and for whom."""


class RedisLimitStore:
    """`prefix` separates installations that share a server; its braces keep all keys on one node of a cluster."""

    def __init__(self, url: str, *, prefix: str, timeout_s: float = 0.05, script: str = SCRIPT) -> None:
        self.timeout_s = timeout_s
        self._prefix = prefix
        self._script = script
        self._redis: Redis = Redis.from_url(url, socket_connect_timeout=1.0, retry=Retry(NoBackoff(), 0))
        self._sha = ""
        self._breaker = Breaker()
        self._pending: list[Sent] = []
        self._pump: asyncio.Task[None] | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._probe: asyncio.Task[None] | None = None
        self._look: asyncio.TimerHandle | None = None
        self._running: dict[str, tuple[str, ...]] = {}

    @property
    def up(self) -> bool:
        return not self._breaker.open

    async def open(self) -> None:
        """Never fails: a server that is down now is said to be, and found when it comes."""
        try:
            async with asyncio.timeout(max(self.timeout_s, 1.0)):
                await self._send(self._trial())
        except (RedisError, OSError, TimeoutError) as error:
            self._breaker.trip(monotonic())
            self._leave_alone(error)
        self._renewal = asyncio.create_task(self._renew(), name="accounts-limits-renew")

    async def aclose(self) -> None:
        """Sends what is pending, then closes."""
        if self._pump is not None:
            with contextlib.suppress(StoreUnavailable):
                await self._pump
        if self._look is not None:
            self._look.cancel()
        await end(self._renewal, self._probe)
        await self._redis.aclose()

    async def take(self, rules: Sequence[LimitRule], *, tokens: int, call_id: str) -> Taken | Refused:
        """Raises StoreUnavailable; then the call may or may not have been counted."""
        if self._breaker.open:
            raise StoreUnavailable("the shared limits are unreachable")
        keys = [self._key(rule) for rule in rules]
        encoded = [
            [index, 2, rule.limit, 0, 1]
            if rule.kind == "concurrency"
            else [index, 1, rule.limit, step_us(rule.window_s), 1 if rule.kind == "requests" else tokens]
            for index, rule in enumerate(rules)
        ]
        future: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
        asked = (future, rules, tokens, call_id)
        self._enqueue(keys, [1, call_id, RUNNING_LEASE_US, encoded], asked)
        try:
            answer = await future
        except asyncio.CancelledError:
            self._end(call_id, self._places(rules))
            if not future.cancelled() and future.exception() is None:
                self._give_back(asked, future.result())
            raise
        verdict = _verdict(rules, answer)
        if isinstance(verdict, Taken):
            places = self._places(rules)
            if places:
                self._running[call_id] = places
        return verdict

    def settle(self, hold: Hold, tokens: int) -> None:
        if tokens != hold.tokens:
            for rule, bucket in zip(hold.rules, hold.buckets, strict=True):
                if rule.kind == "tokens":
                    difference = tokens - hold.tokens
                    self._enqueue([self._key(rule)], [2, 0, step_us(rule.window_s), bucket, difference], None)
        places = self._running.pop(hold.call_id, None)
        if places:
            self._end(hold.call_id, places)

    def cancel(self, hold: Hold) -> None:
        self.settle(hold, 0)

    def _give_back(self, asked: Asked, answer: Sequence[int]) -> None:
        """The tokens of a call that was cancelled before it knew where they are counted."""
        _, rules, tokens, call_id = asked
        verdict = _verdict(rules, answer)
        if isinstance(verdict, Taken):
            self.cancel(Hold(self, call_id, tuple(rules), verdict.buckets, tokens))

    # ------------------------------------------------------------------------------------------------- sending
    def _key(self, rule: LimitRule) -> str:
        return f"{self._prefix}{rule.scope}:{rule.kind}:{rule.window_s}"

    def _places(self, rules: Sequence[LimitRule]) -> tuple[str, ...]:
        return tuple(self._key(rule) for rule in rules if rule.kind == "concurrency")

    def _end(self, call_id: str, places: Sequence[str]) -> None:
        for key in places:
            self._enqueue([key], [3, 0, call_id], None)

    def _enqueue(self, keys: list[str], operation: Operation, asked: Asked | None) -> None:
        if self._breaker.open:
            # Corrections are lost with the server's counts; leases of running calls end by themselves.
            return
        self._pending.append((keys, operation, asked))
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._send_all(), name="accounts-limits-send")

    async def _send_all(self) -> None:
        while self._pending:
            batch, self._pending = self._pending[:BATCH], self._pending[BATCH:]
            try:
                async with asyncio.timeout(self.timeout_s):
                    answers = await self._send(batch)
            except (RedisError, OSError, TimeoutError) as error:
                self._failed(error)
                _tell(batch, StoreUnavailable("the shared limits did not answer"))
                continue
            self._breaker.succeeded()
            for (_, _, asked), answer in zip(batch, answers, strict=True):
                if asked is None:
                    continue
                if asked[0].done():
                    self._give_back(asked, answer)
                else:
                    asked[0].set_result(answer)

    async def _send(self, batch: Sequence[Sent]) -> list[list[int]]:
        numbers: dict[str, int] = {}
        operations = []
        for keys, operation, _ in batch:
            indexes = [numbers.setdefault(key, len(numbers) + 1) for key in keys]
            if operation[0] == 1:
                rules = [[indexes[rule[0]], *rule[1:]] for rule in operation[3]]
                operations.append([*operation[:3], rules])
            else:
                operations.append([operation[0], indexes[0], *operation[2:]])
        payload = orjson.dumps(operations)
        if self._sha:
            try:
                return orjson.loads(await self._redis.evalsha(self._sha, len(numbers), *numbers, payload))  # type: ignore[no-any-return]
            except NoScriptError:
                self._sha = ""
        self._sha = await self._redis.script_load(self._script)
        return orjson.loads(await self._redis.evalsha(self._sha, len(numbers), *numbers, payload))  # type: ignore[no-any-return]

    # ------------------------------------------------------------------------------------------------- outages
    def _failed(self, error: Exception) -> None:
        if self._breaker.failed(monotonic()):
            self._leave_alone(error)
        elif self._look is None and self.up:
            self._look = asyncio.get_running_loop().call_later(LOOK_AGAIN_S, self._look_again)

    def _look_again(self) -> None:
        self._look = None
        self._try()

    def _leave_alone(self, error: Exception) -> None:
        log.error("shared limits are unreachable (%s): each worker counts its share", type(error).__name__)
        _tell(self._pending, StoreUnavailable("the shared limits are unreachable"))
        self._pending.clear()
        # In a context of its own: what it says minutes later is not about the call that happened to fail.
        self._probe = asyncio.create_task(self._probe_until_back(), name="accounts-limits-probe", context=Context())

    def _trial(self) -> list[Sent]:
        """What a call does, and its end: a server may answer and let nobody write (a replica, full memory, an ACL)."""
        key = [f"{self._prefix}trial"]
        return [(key, [4, 0, "trial", RUNNING_LEASE_US], None), (key, [3, 0, "trial"], None)]

    def _try(self) -> None:
        for keys, operation, _ in self._trial():
            self._enqueue(keys, operation, None)

    async def _probe_until_back(self) -> None:
        while True:
            await asyncio.sleep(PROBE_EVERY_S)
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                async with asyncio.timeout(max(self.timeout_s, 0.2)):
                    await self._send(self._trial())
                self._breaker.succeeded()
                log.warning("shared limits are reachable again")
                return

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            # So that a server that is gone is missed where no call has a limit, too.
            self._try()
            for call_id, places in list(self._running.items()):
                for key in places:
                    self._enqueue([key], [4, 0, call_id, RUNNING_LEASE_US], None)


def _tell(sent: Sequence[Sent], error: StoreUnavailable) -> None:
    for _, _, asked in sent:
        if asked is not None and not asked[0].done():
            asked[0].set_exception(error)


def _verdict(rules: Sequence[LimitRule], answer: Sequence[int]) -> Taken | Refused:
    decided, wait = answer[0], answer[1]
    states = tuple((rule.limit, answer[2 + 3 * index], answer[3 + 3 * index] / 1e6) for index, rule in enumerate(rules))
    if decided < 0:
        return Refused(rules[-decided - 1], None if wait in {NEVER, UNKNOWN} else wait / 1e6, states)
    return Taken(states, tuple(answer[4 + 3 * index] for index in range(len(rules))))
