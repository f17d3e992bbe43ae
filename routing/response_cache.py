"""Answers repeated requests from memory: exact, for each tenant by itself, and with one upstream call for a stampede.

The first of equal requests leads: it goes its way through the pipeline while what it is answered is written down. Those
that arrive meanwhile follow: they wait for it. When the leader fails, one of them leads again; whoever has seen two
leaders fail, or waited for long, goes by itself. A leader whose client leaves is no failure: the next leads.

Only complete, successful answers are kept, of the route that was asked for, and only of conversations that were not
shortened. docs/response-cache.md says what makes two requests the same.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from providers.types import Operation
from routing.answer_store import AnswerStore, MemoryAnswerStore
from routing.cache_key import cache_key
from routing.cached_answers import CachedAnswer
from routing.call import Call
from routing.condensation import switched_on
from routing.recording import AnswerRecorder
from routing.settlement import Settlement
from routing.vector_cache import VectorCache

Run = Callable[[Call], Awaitable[None]]

LEADERS_AWAITED = 2
FOLLOWING_S = 60.0
"""How long a request waits for an equal one, in all, before it goes by itself."""

HIT = b"x-llm-proxy-cache: hit\r\n"
MISS = b"x-llm-proxy-cache: miss\r\n"
BYPASS = b"x-llm-proxy-cache: bypass\r\n"


def concerns(call: Call) -> bool:
    """Whether the cache is on for this call. Asked for every request."""
    key, alias = call.principal.cache_enabled, call.route.cache_enabled
    setting = call.table.policy.response_cache
    if not setting.enabled and key is None and alias is None:
        return False
    return switched_on(key, alias, default=setting.enabled) and bool(call.principal.tenant)


class ResponseCache:
    """One per worker."""

    def __init__(self, settlement: Settlement, store: AnswerStore | None = None) -> None:
        self.store: AnswerStore = store or MemoryAnswerStore()
        self._settlement = settlement
        self._vectors = VectorCache(self.store)
        self._flights: dict[bytes, _Flight] = {}
        self._clears = 0
        self._writes: set[asyncio.Task[None]] = set()

    async def aclose(self) -> None:
        await asyncio.gather(*self._writes, return_exceptions=True)
        await self.store.aclose()

    async def clear(self) -> int:
        """Forgets all answers; those on their way are not kept either."""
        self._clears += 1
        return await self.store.clear()

    async def answer(self, call: Call, run: Run) -> None:
        """Answers the call from the cache, or by `run`."""
        if call.options.no_cache:
            call.cache = "bypass"
            call.head = call.head + BYPASS
            await run(call)
            return
        key = cache_key(
            call.request, tenant=call.principal.tenant, revision=call.table.answers_revision, tags=call.options.tags
        )
        at_hand = _for_tenant(self.store.at_hand(key), call)
        if at_hand is not None:
            await self._replay(call, at_hand)
            return
        flight = self._flights.get(key)
        found = None if flight is None else await self._follow(call, key, flight)
        if found is not None:
            await self._replay(call, found)
        else:
            await self._lead(call, key, run)

    async def _follow(self, call: Call, key: bytes, flight: "_Flight | None") -> CachedAnswer | None:
        """The answer of an equal request; None when this one has to find its own."""
        failures = 0
        until = min(time.monotonic() + FOLLOWING_S, call.deadline)
        while flight is not None and failures < LEADERS_AWAITED and time.monotonic() < until:
            ended = await flight.wait(until - time.monotonic())
            if flight.answer is not None:
                return _for_tenant(flight.answer, call)
            failures += ended == "failed"
            flight = self._flights.get(key)
        return None

    async def _lead(self, call: Call, key: bytes, run: Run) -> None:
        flight = _Flight(self._clears)
        # One that goes by itself leads nobody: others wait for the one that is registered.
        self._flights.setdefault(key, flight)
        try:
            if call.request.operation is Operation.EMBEDDINGS:
                await self._keep(await self._vectors.answer(call, run, flight.land, self._hit), flight, call)
                return
            (found,) = await self.store.get((key,))
            found = _for_tenant(found, call)
            if found is not None:
                flight.land(found)
                await self._replay(call, found)
                return
            call.cache = "miss"
            call.head = call.head + MISS
            call.sink = AnswerRecorder(call, flight.land)
            await run(call)
        finally:
            self._end(call, key, flight)

    def _end(self, call: Call, key: bytes, flight: "_Flight") -> None:
        answer = flight.answer
        flight.end("left" if call.interrupted == "client_gone" else "failed")
        if self._flights.get(key) is not flight:
            return
        if answer is None or call.cache != "miss" or call.request.operation is Operation.EMBEDDINGS:
            del self._flights[key]
            return
        # Whoever comes before the answer is written still finds the flight.
        task = asyncio.create_task(self._write(key, flight, answer, call), name="cache-write")
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    async def _write(self, key: bytes, flight: "_Flight", answer: CachedAnswer, call: Call) -> None:
        try:
            await self._keep([(key, answer)], flight, call)
        finally:
            if self._flights.get(key) is flight:
                del self._flights[key]

    async def _keep(self, answers: Sequence[tuple[bytes, CachedAnswer]], flight: "_Flight", call: Call) -> None:
        """Unless the cache was cleared while they were on their way."""
        if answers and flight.clears == self._clears:
            setting = call.table.policy.response_cache
            await self.store.put(answers, ttl_s=setting.ttl, max_entries=setting.max_entries)

    # ------------------------------------------------------------------------------------------------- answering

    async def _replay(self, call: Call, answer: CachedAnswer) -> None:
        if call.request.stream:
            frames = answer.frames(include_usage=call.request.include_usage)
            self._hit(call)
            if not call.sink.started:
                await call.sink.start(call.head)
            await call.sink.finish(frames)
        else:
            body = answer.body()
            self._hit(call)
            await call.sink.reply(200, body, call.head)

    def _hit(self, call: Call) -> None:
        """Booked, for nothing, before it is sent."""
        call.cache = "hit"
        call.head = call.head + HIT
        self._settlement.cached(call)


def _for_tenant(answer: CachedAnswer | None, call: Call) -> CachedAnswer | None:
    """The tenant is part of the key; should keys ever meet, nothing is given to the wrong one."""
    return answer if answer is not None and answer.tenant == call.principal.tenant else None


class _Flight:
    """A request on its way that others wait for. `clears` is how often the cache had been cleared when it began."""

    __slots__ = ("_ended", "_how", "answer", "clears")

    def __init__(self, clears: int) -> None:
        self.answer: CachedAnswer | None = None
        self.clears = clears
        self._how: Literal["", "landed", "failed", "left"] = ""
        self._ended: asyncio.Event | None = None

    def land(self, answer: CachedAnswer | None) -> None:
        """The answer is there; None: there is one, but not to be shared."""
        self.answer = answer
        self.end("landed" if answer is not None else "failed")

    def end(self, how: Literal["landed", "failed", "left"]) -> None:
        self._how = self._how or how
        if self._ended is not None:
            self._ended.set()

    async def wait(self, timeout_s: float) -> str:
        """How it ended; "" when it has not."""
        if not self._how:
            self._ended = self._ended or asyncio.Event()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._ended.wait()
            except TimeoutError:
                return ""
        return self._how
