"""Breakers of several workers agree within a second, over Redis publish/subscribe.

A change is published at once with the breaker's exported state; every few seconds, and when a worker says hello, each
worker publishes all it knows, which heals lost messages and tells those that have just started or come back. Messages
are merged by version (`breaker.merge`), so order, repetition and loss do not matter, and nothing is stored. Without
Redis each worker has its own breakers.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, cast

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from accounts.task_ending import end
from monitoring.breaker import BreakerChange, Override, SharedBreaker
from monitoring.deployment_state import UpstreamEvent
from monitoring.upstream_state import UpstreamStates

logger = logging.getLogger("llm_proxy.monitoring.breaker_sharing")

HELLO = b"hello "
CHANNEL = "llm_proxy:breakers"
PUBLISH_ALL_EVERY_S = 5.0
RETRY_S = 1.0
LONGEST_MESSAGE = 4 * 1024 * 1024


class BreakerSharing:
    """`open` and `aclose` run in the worker's event loop. `clock` is Unix time; `redis` is closed by who opened it."""

    def __init__(self, states: UpstreamStates, redis: Redis, *, clock: Callable[[], float], channel: str = "") -> None:
        self._states = states
        self._redis = redis
        self._clock = clock
        self._channel = channel or channel_of(redis)
        self._me = uuid.uuid4().hex
        self._changed = asyncio.Event()
        self._dirty: set[int] = set()
        self._greeted = False
        self._tasks: list[asyncio.Task[None]] = []
        self.adopting = False
        """True while changes come from another worker: hooks that record changes leave those to the one that made them."""
        self.up = False
        self._away = False

    async def open(self) -> None:
        self._states.hooks.append(self._on_event)
        self._tasks = [
            asyncio.create_task(self._keep(self._listen), name="breaker-listener"),
            asyncio.create_task(self._keep(self._publish), name="breaker-publisher"),
        ]

    async def aclose(self) -> None:
        if self._on_event in self._states.hooks:
            self._states.hooks.remove(self._on_event)
        await end(*self._tasks)

    def adopt(self, message: bytes) -> None:
        """Takes over what another worker says; what is not such a message is ignored."""
        if message.startswith(HELLO):
            if message != HELLO + self._me.encode():
                self._greeted = True
                self._changed.set()
            return
        theirs = parsed(message, ignoring=self._me)
        self.adopting = True
        try:
            self._states.adopt_breakers(theirs, self._clock())
        finally:
            self.adopting = False

    def _on_event(self, event: UpstreamEvent) -> None:
        if isinstance(event.change, BreakerChange) and not self.adopting:
            self._dirty.add(event.deployment_id)
            self._changed.set()

    async def _publish(self) -> None:
        await self._send(everything=True)
        while True:
            everything = False
            try:
                async with asyncio.timeout(PUBLISH_ALL_EVERY_S):
                    await self._changed.wait()
            except TimeoutError:
                everything = True
            self._changed.clear()
            everything, self._greeted = everything or self._greeted, False
            await self._send(everything=everything)

    async def _send(self, *, everything: bool) -> None:
        exported = self._states.export_breakers(self._clock())
        dirty, self._dirty = self._dirty, set()
        chosen = exported if everything else {key: exported[key] for key in dirty & exported.keys()}
        if not chosen:
            return
        try:
            await self._redis.publish(self._channel, message(self._me, chosen))
        except (RedisError, OSError):
            self._dirty |= dirty
            raise

    async def _listen(self) -> None:
        subscriber = self._redis.pubsub(ignore_subscribe_messages=True)
        try:
            await subscriber.subscribe(self._channel)
            # Its own connection may be one that broke meanwhile: only what was sent tells that Redis is back.
            await self._redis.publish(self._channel, HELLO + self._me.encode())
            self._is_up()
            async for each in subscriber.listen():
                if isinstance(each.get("data"), bytes):
                    self.adopt(each["data"])
        finally:
            await subscriber.aclose()  # type: ignore[no-untyped-call]

    def _is_up(self) -> None:
        self.up = True
        if self._away:
            self._away = False
            logger.warning("breakers are shared again")

    async def _keep(self, work: Callable[[], Any]) -> None:
        """Goes on after Redis was away; one line when it goes and one when it is back."""
        while True:
            try:
                await work()
            except (RedisError, OSError) as error:
                if self.up:
                    self._away = True
                    logger.warning("breakers are no longer shared, Redis is away: %s", error)
                self.up = False
            await asyncio.sleep(RETRY_S)


def channel_of(redis: Redis) -> str:
    """Publishing knows no databases: with their number in the name, gateways in different ones stay apart, whose
    deployments have the same ids and nothing to do with each other."""
    return f"{CHANNEL}:{redis.connection_pool.connection_kwargs.get('db') or 0}"


def message(sender: str, breakers: Mapping[int, SharedBreaker]) -> bytes:
    return orjson.dumps({"from": sender, "breakers": {str(key): asdict(shared) for key, shared in breakers.items()}})


def parsed(data: bytes, *, ignoring: str = "") -> dict[int, SharedBreaker]:
    """The breakers of a message, by deployment id. A message of the sender `ignoring`, and garbage, hold none."""
    if len(data) > LONGEST_MESSAGE:
        return {}
    try:
        content = orjson.loads(data)
        if content["from"] == ignoring:
            return {}
        return {int(key): _shared(fields) for key, fields in content["breakers"].items()}
    except (ValueError, TypeError, KeyError, AttributeError):
        logger.warning("a message about breakers cannot be read and is ignored")
        return {}


def _shared(fields: Mapping[str, Any]) -> SharedBreaker:
    until, override = fields["open_until_epoch_s"], fields["override"]
    if override not in (None, "open", "closed"):
        raise ValueError("unknown override")
    return SharedBreaker(
        version=int(fields["version"]),
        open_until_epoch_s=None if until is None else float(until),
        trips=int(fields["trips"]),
        override=cast("Override | None", override),
        cause=str(fields["cause"])[:300],
    )
