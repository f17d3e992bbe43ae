"""One worker's live page: computed once a second for all who look at it, however many they are; not at all for nobody.

    feed = LiveFeed(traffic, states, name=…, layer=…); await feed.open(); feed.subscribe(wake); feed.frame(n)

Every second has a number. A reader that missed one asks for the whole again (`snapshot`), so a slow reader costs itself
nothing but detail, and nobody else anything.
"""

import asyncio
import logging
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from typing import Any

import orjson
from django.db import DatabaseError

from accounts.task_ending import end
from monitoring import live
from monitoring.live import Conditions, ProviderNow
from monitoring.live_facts import LiveFacts, ProviderFacts, read_facts
from monitoring.live_page import IDLE, Card, changes, fixed_part, quick_part, slow_part
from monitoring.live_sharing import GROUP, SecondReader, WorkerSecond
from monitoring.live_window import STEP_S, LiveWindow
from monitoring.traffic import Traffic
from monitoring.upstream_state import UpstreamStates

logger = logging.getLogger("llm_proxy.monitoring.live_feed")

FACTS_EVERY_S = 10
TOTAL_STEP_S = 5
RECENT_SHOWN = 50
RECENT_PER_FRAME = 10
PEER_GONE_S = 5
ANSWER_S = 5.0
TELLING_S = 0.5
"""Longer than this nobody waits for a channel layer that does not answer: a second has to be over in one."""
LISTEN_AGAIN_S = 2.0
STRANGER = ProviderFacts()
_current: list["LiveFeed"] = []


def current() -> "LiveFeed | None":
    """The feed of this process's worker; None in commands and before the worker has opened."""
    return _current[0] if _current else None


class LiveFeed:
    """`layer` is the channel layer when there may be other workers, else None. Everything runs in the event loop."""

    def __init__(
        self,
        traffic: Traffic,
        states: UpstreamStates,
        *,
        name: str,
        layer: Any = None,
        clock: Callable[[], float] = time.time,
        facts: Callable[[], LiveFacts] = read_facts,
    ) -> None:
        self.number = 0
        self.window = LiveWindow()
        self._reader = SecondReader(traffic, name)
        self._states = states
        self._name = name
        self._layer = layer
        self._clock = clock
        self._read_facts = facts
        self._facts = LiveFacts()
        self._facts_at = float("-inf")
        self._cost_at_facts = 0
        self._arrived: list[WorkerSecond] = []
        self._peers: dict[str, tuple[float, dict[str, int]]] = {}
        self._told_running = False
        self._recent: deque[dict[str, Any]] = deque(maxlen=RECENT_SHOWN)
        self._diverted: dict[str, Counter[str]] = defaultdict(Counter)
        self._readers: set[Callable[[], None]] = set()
        self._providers: tuple[ProviderNow, ...] = ()
        self._fixed: dict[int, Card] = {}
        self._cards: dict[int, Card] = {}
        self._incidents: tuple[dict[str, Any], ...] = ()
        self._frame = ""
        self._snapshot: tuple[int, str] = (-1, "")
        self._conditions: Conditions | None = None
        self._looked_at = -1
        self._making = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._tasks.append(asyncio.create_task(self._tick_each_second(), name="live-feed"))
        if self._layer is not None:
            self._tasks.append(asyncio.create_task(self._listen(), name="live-feed-peers"))
        _current[:] = [self]

    async def aclose(self) -> None:
        _current[:] = []
        await end(*self._tasks)

    # ------------------------------------------------------------------------------------------------- readers

    def subscribe(self, wake: Callable[[], None]) -> Callable[[], None]:
        """`wake` is called each second; the returned callable ends that."""
        self._readers.add(wake)
        return lambda: self._readers.discard(wake)

    @property
    def draining(self) -> bool:
        """Whether this worker sends its readers to another one, as of the newest second that was looked at."""
        return self._conditions is None or self._conditions.draining

    def frame(self, number: int) -> str | None:
        """What changed in second `number`; None when that is not the newest, and the reader needs a snapshot."""
        return self._frame if number == self.number and self._frame else None

    async def snapshot(self) -> str:
        """Everything as of the newest second, as JSON; made at most once a second."""
        async with self._making:
            if self._looked_at != self.number and self._clock() - self._facts_at >= FACTS_EVERY_S:
                await self._refresh_facts()
            # Within a second that readers were told of, the cards stay what they were told.
            if self._looked_at != self.number:
                self._look()
            if self._snapshot[0] != self.number:
                self._snapshot = (self.number, orjson.dumps(self._whole()).decode())
            return self._snapshot[1]

    def snapshot_from_thread(self) -> str:
        """The same for a view, which runs in a thread of its own. Raises TimeoutError when the loop is too busy."""
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(self.snapshot(), self._loop).result(ANSWER_S)

    # ------------------------------------------------------------------------------------------------ each second

    async def _tick_each_second(self) -> None:
        while True:
            await asyncio.sleep(1.02 - self._clock() % 1)
            try:
                await self.tick()
            except Exception:
                # The page is a witness, not a part: whatever goes wrong here must show in the log and go on.
                logger.exception("the live page missed a second")

    async def tick(self) -> None:
        mine = self._reader.read(now=self._clock(), running=self._running())
        # Once more when nothing runs any more, because what was told of it last stands for some seconds.
        if self._layer is not None and (mine.rows or mine.running or self._told_running):
            await self._tell(mine)
        self._told_running = bool(mine.running)
        for each in (mine, *self._arrived):
            self._take(each)
        self._arrived.clear()
        self.window.close(mine.at)
        self.number += 1
        if not self._readers:
            self._frame = ""
            return
        if self._clock() - self._facts_at >= FACTS_EVERY_S:
            await self._refresh_facts()
        # Text once for all, because every reader's socket takes text.
        self._frame = orjson.dumps(self._changed(), option=orjson.OPT_NON_STR_KEYS).decode()
        for wake in tuple(self._readers):
            wake()

    def _take(self, second: WorkerSecond) -> None:
        self.window.add(second.rows, second.first_tokens, second.failed)
        for call in second.recent:
            self._recent.appendleft({**call, "n": self.number + 1})
        for failed, instead in second.diverted:
            self._diverted[failed][instead] += 1
        if second.worker != self._name:
            self._peers[second.worker] = (self._clock(), second.running)

    def _running(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for state in self._states:
            if state.outstanding:
                name = state.provider.spec.name
                found[name] = found.get(name, 0) + state.outstanding
        return found

    def _all_running(self) -> Counter[str]:
        total = Counter(self._running())
        for worker, (at, running) in tuple(self._peers.items()):
            if self._clock() - at > PEER_GONE_S:
                del self._peers[worker]
            else:
                total.update(running)
        return total

    async def _refresh_facts(self) -> None:
        self._facts_at = self._clock()
        try:
            self._facts = await asyncio.to_thread(self._read_facts)
            self._cost_at_facts = self.window.cost_nano_usd
        except DatabaseError as error:
            logger.warning("the live page shows old health and cost: %s", type(error).__name__)

    # ------------------------------------------------------------------------------------------------------ JSON

    def _look(self) -> bool:
        """Brings the cards up to date; True when the set of providers is another one."""
        self._looked_at = self.number
        state = live.current()
        self._conditions = state.conditions() if state is not None else None
        served = state.providers() if state is not None else ()
        ids = {each.id for each in served}
        self._providers = (*served, *(each for each in self._facts.without_models if each.id not in ids))
        now, figures, running = self._clock(), self.window.by_provider(), self._all_running()
        fixed, cards = {}, {}
        for provider in self._providers:
            facts = self._facts.providers.get(provider.id, STRANGER)
            fixed[provider.id] = fixed_part(provider, facts)
            quick = quick_part(
                provider,
                facts,
                now=now,
                figures=figures.get(provider.name, IDLE),
                running=running[provider.name],
                diverted=self._diverted.get(provider.name),
            )
            if quick["state"] == "healthy":
                self._diverted.pop(provider.name, None)
            cards[provider.id] = {**quick, **slow_part(facts)}
        changed = fixed != self._fixed
        self._fixed, self._cards = fixed, cards
        return changed

    def _whole(self) -> dict[str, Any]:
        series = self.window.provider_series(provider.name for provider in self._providers)
        return {
            "type": "snapshot",
            **self._head(),
            "step": TOTAL_STEP_S,
            "series": [list(figures) for figures in self.window.series(TOTAL_STEP_S)],
            "providers": [
                {**self._fixed[each.id], **self._cards[each.id], "spark": series[each.name]} for each in self._providers
            ],
            "recent": list(self._recent),
            "incidents": list(self._facts.incidents),
        }

    def _changed(self) -> dict[str, Any]:
        before = self._cards
        if self._look():
            return self._whole()
        frame: dict[str, Any] = {"type": "second", **self._head()}
        if changed := changes(before, self._cards):
            frame["providers"] = changed
        if self.number % TOTAL_STEP_S == 0:
            frame["point"] = list(self.window.last_step(TOTAL_STEP_S))
        if self.number % STEP_S == 0:
            points = self.window.provider_points(provider.name for provider in self._providers)
            frame["spark"] = {provider.id: points[provider.name] for provider in self._providers}
        if recent := [call for call in self._recent if call["n"] == self.number]:
            frame["recent"] = recent[:RECENT_PER_FRAME]
        if self._facts.incidents != self._incidents:
            self._incidents = self._facts.incidents
            frame["incidents"] = list(self._incidents)
        return frame

    def _head(self) -> dict[str, Any]:
        return {
            "n": self.number,
            "t": round(self._clock(), 1),
            "figures": list(self.window.figures()),
            "cost": self._facts.cost_today_nano_usd + self.window.cost_nano_usd - self._cost_at_facts,
            "active": self._all_running().total(),
            "stale_config": self._conditions is not None and self._conditions.stale,
        }

    # ------------------------------------------------------------------------------------------------ other workers

    async def _tell(self, mine: WorkerSecond) -> None:
        try:
            async with asyncio.timeout(TELLING_S):
                await self._layer.group_send(GROUP, mine.message())
        except Exception as error:
            # Which errors a layer raises is its library's affair; this worker's own page goes on without the others.
            logger.debug("other workers were not told of this second: %s", error)

    async def _listen(self) -> None:
        channel, level = "", logging.WARNING
        while True:
            try:
                # One for good: of another, messages would come for this one that nobody takes.
                channel = channel or await self._layer.new_channel()
                await self._layer.group_add(GROUP, channel)
                level = logging.WARNING
                while True:
                    message = await self._layer.receive(channel)
                    if message["worker"] != self._name:
                        self._arrived.append(WorkerSecond.from_message(message))
            except Exception as error:
                # Once for each time that it goes away, and not every other second until it is back.
                logger.log(level, "live figures of other workers are missing: %s", error)
                level = logging.DEBUG
                await asyncio.sleep(LISTEN_AGAIN_S)
