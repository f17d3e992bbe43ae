"""Everything of monitoring that lives as long as one worker, opened and closed in one place.

    monitoring = WorkerMonitoring(states, data_dir=…, family=family_name(os.getpid()), requests=logs.requests)
    await monitoring.open(); monitoring.observe(calls); await monitoring.aclose()

`family` names the workers whose metrics are one: that of the supervisor's process id when there is one, else our own.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from accounts.task_ending import end
from monitoring import metrics
from monitoring.event_recorder import EventRecorder
from monitoring.finished_call import FinishedCall
from monitoring.health_refresher import HealthRefresher
from monitoring.metric_names import GAUGES
from monitoring.metric_store import MetricStore
from monitoring.request_log import RequestLog
from monitoring.tally import tallies
from monitoring.tracing import Tracing
from monitoring.traffic import Traffic
from monitoring.upstream_state import UpstreamStates

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from monitoring.breaker_sharing import BreakerSharing

SAMPLE_EVERY_S = 1.0


def _sharing(states: UpstreamStates, redis: "Redis") -> "BreakerSharing":
    """Imported here: most installations have no Redis, and its library is a tenth of a worker's memory."""
    from monitoring.breaker_sharing import BreakerSharing

    return BreakerSharing(states, redis, clock=time.time)


class WorkerMonitoring:
    """`redis` None keeps breakers to this worker."""

    def __init__(
        self,
        states: UpstreamStates,
        *,
        data_dir: Path,
        family: str,
        requests: RequestLog | None = None,
        redis: "Redis | None" = None,
        tracing: Tracing | None = None,
        journal_backlog: Callable[[], int] = lambda: 0,
    ) -> None:
        self.traffic = Traffic()
        self.metrics = metrics.RequestMetrics(MetricStore(data_dir / "metrics", family, gauges=GAUGES))
        self.health = HealthRefresher(states)
        self.sharing = _sharing(states, redis) if redis is not None else None
        self.events = EventRecorder(states, clock=time.time, foreign=self._foreign)
        self._states = states
        self._requests = requests
        self._tracing = tracing
        self._journal_backlog = journal_backlog
        self._sampler: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """After the first routing table is in force."""
        self.metrics.open()
        metrics.install(self.metrics)
        await self.events.open()
        if self.sharing is not None:
            await self.sharing.open()
        await self.health.open()
        self._sampler = asyncio.create_task(self._sample(), name="gauge-sampler")

    async def aclose(self) -> None:
        await end(self._sampler)
        await self.health.aclose()
        if self.sharing is not None:
            await self.sharing.aclose()
        await self.events.aclose()
        metrics.install(None)
        self.metrics.close()
        if self._tracing is not None:
            await asyncio.to_thread(self._tracing.close)

    def observe(self, calls: Sequence[FinishedCall]) -> None:
        """Each finished call once, in the event loop."""
        added_up = tallies(calls)
        self.metrics.observe(calls, added_up)
        self.traffic.observe(calls, added_up)
        if self._requests is not None:
            self._requests.write(calls)
        if self._tracing is not None:
            for call in calls:
                self._tracing.observe(call)

    def sample(self) -> None:
        """Writes the gauges down as they are now."""
        self.metrics.sample(
            self._states,
            now=time.monotonic(),
            journal_backlog=self._journal_backlog(),
            health_cache_size=self.health.fresh_results,
        )

    def _foreign(self) -> bool:
        return self.sharing is not None and self.sharing.adopting

    async def _sample(self) -> None:
        while True:
            self.sample()
            await asyncio.sleep(SAMPLE_EVERY_S)
