"""One round of health checks: who is due, all probed at once, results written while the slow ones still run.

Starts are spread over time by provider, always in the same order, so that a thousand providers neither hit the network
in one instant nor drift; each probe has its own deadline, so that a slow one delays nobody. Results are written each
half second.
"""

import asyncio
import functools
import logging
import math
import socket
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connections
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from monitoring.health import CheckResult, HealthPolicy
from monitoring.health_cache import fresh_s
from monitoring.health_history import Finding, TargetKey, Verdict, record
from monitoring.models import BreakerEvent, HealthState, HealthStatus, MonitoringSettings
from monitoring.passive import Recent, Traffic, recent_traffic, since_opening
from monitoring.probe_spend import SpendCap
from monitoring.probes import Prober, never_spend
from monitoring.targets import Known, ledger_name, load_targets
from providers.control_plane import ControlPlaneClient
from providers.models import Deployment

logger = logging.getLogger("llm_proxy.monitoring.checks")

CHECK_ALL = "monitoring.check_providers"
WRITE_EVERY_S = 0.5
START_GAP_S = 0.03
NAME_THREADS = 64
TROUBLED_WINDOW = timedelta(minutes=15)
TROUBLED_AT_ONCE = 50
TRAFFIC_WINDOW_S = 60.0
TROUBLED_TRAFFIC_WINDOW_S = 5.0
"""What calls said since the round before. Who is back needs two passes in a row, and a call that failed speaks against the
first as long as it is in this window."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What to look at. `force` also checks what was checked less than the cache's time to live ago."""

    names: Collection[str] = ()
    ids: Collection[int] | None = None
    force: bool = True
    spread_s: float = 0.0
    traffic_window_s: float = TRAFFIC_WINDOW_S


def check_now(names: Collection[str] = ()) -> list[Verdict]:
    """Checks all providers, or some by name, and waits for the results: provider verdicts first in name order."""
    return sorted(run(Round(names=names)), key=lambda verdict: (verdict.key.deployment_id is not None, verdict.name))


def as_json(verdict: Verdict) -> dict[str, Any]:
    """For the command and the operations API. Times are seconds since 1970, `response_time` seconds."""
    result = verdict.result
    return {
        "name": verdict.name,
        "status": verdict.after,
        "passed": result.passed,
        "evidence": result.evidence,
        "response_time": result.response_time_s,
        "reason": result.reason or None,
        "message": result.message or None,
        "last_check": result.at,
    }


def check_interval_s() -> float:
    """Between two scheduled rounds, as the schedule says now: it may have been edited."""
    row = PeriodicTask.objects.filter(task=CHECK_ALL, enabled=True).select_related("interval").order_by("pk").first()
    if row is None or row.interval is None:
        return float(settings.HEALTH_CHECK_INTERVAL_S)
    return float(row.interval.schedule.run_every.total_seconds())


def check_all(*, interval_s: float) -> list[Verdict]:
    """The scheduled round: spread over half of the interval."""
    return run(Round(force=False, spread_s=interval_s / 2))


def check_troubled() -> list[Verdict]:
    """Providers that are not healthy, or have a breaker that opened and did not close: so they are back soon. Of very
    many those that were not looked at for longest: an outage of everything must not make this worker slow as well."""
    ids = longest_unseen(troubled_providers(), most=TROUBLED_AT_ONCE)
    return run(Round(ids=ids, traffic_window_s=TROUBLED_TRAFFIC_WINDOW_S)) if ids else []


def longest_unseen(ids: set[int], *, most: int) -> set[int]:
    if len(ids) <= most:
        return ids
    seen = dict(HealthState.objects.filter(deployment=None).values_list("provider_id", "last_check_at"))
    never = datetime.min.replace(tzinfo=UTC)
    return set(sorted(ids, key=lambda each: seen.get(each, never))[:most])


def troubled_providers() -> set[int]:
    ill = HealthState.objects.filter(status__in=(HealthStatus.DEGRADED, HealthStatus.UNHEALTHY), provider__enabled=True)
    return set(ill.values_list("provider_id", flat=True)) | {each.provider_id for each in open_breakers()}


def open_breakers() -> list[BreakerEvent]:
    """The last event of each breaker that opened lately and did not close, the oldest first."""
    latest: dict[int | None, BreakerEvent] = {}
    events = BreakerEvent.objects.filter(at__gte=timezone.now() - TROUBLED_WINDOW, kind="breaker").order_by("at", "pk")
    for event in events.only("at", "provider_id", "provider_name", "deployment_id", "after"):
        latest.pop(event.deployment_id, None)
        latest[event.deployment_id] = event
    return [event for event in latest.values() if event.after != "closed"]


def telling_traffic(since: datetime) -> Recent:
    """What calls say of now: not those of before a breaker opened, of which just the last ones failed."""
    opened: dict[tuple[str, str], float] = {}
    events = open_breakers()
    deployments = Deployment.objects.in_bulk([each.deployment_id for each in events if each.deployment_id])
    for event in events:
        opened[event.provider_name, ""] = event.at.timestamp()
        if deployment := deployments.get(event.deployment_id or 0):
            opened[event.provider_name, ledger_name(event.provider_name, deployment)] = event.at.timestamp()
    return since_opening(recent_traffic(since), opened)


def run(wanted: Round) -> list[Verdict]:
    """Loads, probes, writes. Runs an event loop of its own: call it from a thread that has none."""
    options = MonitoringSettings.load()
    traffic = telling_traffic(timezone.now() - timedelta(seconds=wanted.traffic_window_s))
    known = load_targets(names=wanted.names, ids=wanted.ids, traffic=traffic, paid=options.paid_probes)
    if not wanted.force:
        known = _due(known, spread_s=_spread(wanted, known))
    if not known:
        return []
    policy = HealthPolicy(fails_down=options.fails_down, passes_up=options.passes_up, slow_s=options.slow_s)
    spend = SpendCap(usd_per_day=options.paid_probes_usd_per_day).reserve if options.paid_probes else never_spend
    timeout_s = settings.HTTP_TIMEOUT_S
    spread_s = _spread(wanted, known)
    # So many probes run at once when every one of them takes as long as it may.
    at_once = len(known) if not spread_s else math.ceil(len(known) * timeout_s / spread_s)
    names = NameThreads()
    client = ControlPlaneClient(
        timeout_s=timeout_s,
        connections=max(settings.HTTP_MAX_CONNECTIONS, at_once),
        resolve=names.resolve,
    )

    def write(findings: Sequence[Finding]) -> list[Verdict]:
        return record(findings, policy, fresh_s=fresh_s())

    async def whole() -> list[Verdict]:
        async with client:
            prober = Prober(client, clock=time.time, timer=time.monotonic, spend=spend)
            check = _checker(prober, traffic)
            return await probe_all(known, check=check, write=write, spread_s=spread_s)

    try:
        return asyncio.run(whole())
    finally:
        names.close()


def _spread(wanted: Round, known: Sequence[Known]) -> float:
    return min(wanted.spread_s, len(known) * START_GAP_S)


def _due(known: Sequence[Known], *, spread_s: float) -> list[Known]:
    """Those whose last result will be old when their turn comes. Asked of the round's beginning, the last ones of a
    round that takes half of the interval would still be fresh, and be left out of every second round."""
    now = timezone.now()
    fresh_until = dict(HealthState.objects.filter(deployment=None).values_list("provider_id", "fresh_until"))
    due = []
    for position, each in enumerate(known):
        turn = now + timedelta(seconds=spread_s * position / len(known))
        if fresh_until.get(each.target.provider.id, turn) <= turn:
            due.append(each)
    return due


class NameThreads:
    """Resolves names in threads of its own: the event loop's few would let one dead name server delay everybody."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(NAME_THREADS, thread_name_prefix="probe-names")

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        ask = functools.partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        return [str(address[0]) for *_, address in found]

    def close(self) -> None:
        """A thread that still waits for a name server is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)


Check = Callable[[Known], Awaitable[list[Finding]]]


def _checker(prober: Prober, traffic: Recent) -> Check:
    async def check(known: Known) -> list[Finding]:
        result = await prober.check(known.target)
        return list(findings_of(known, result, traffic, now=time.time()))

    return check


def findings_of(known: Known, result: CheckResult, traffic: Recent, *, now: float) -> Iterator[Finding]:
    """The provider's own result, and for each deployment what its calls say; without calls a deployment that was in
    trouble follows its provider, or it would stay in trouble for ever."""
    provider = known.target.provider
    yield Finding(key=TargetKey(provider.id, None), name=provider.name, result=result)
    for deployment in known.deployments:
        key = TargetKey(provider.id, deployment.id)
        own = traffic.get((provider.name, deployment.ledger_name))
        if own is not None and _speaks(own):
            yield Finding(key=key, name=deployment.label, result=own.result(at=now))
        else:
            yield Finding(key=key, name=deployment.label, result=result, only_if_known=True)


def _speaks(traffic: Traffic) -> bool:
    return traffic.proves_health or traffic.proves_failure


async def probe_all(
    known: Sequence[Known],
    *,
    check: Check,
    write: Callable[[Sequence[Finding]], list[Verdict]],
    spread_s: float = 0.0,
) -> list[Verdict]:
    """Starts one check for each, evenly over `spread_s`, and writes results as they come."""
    finished: asyncio.Queue[list[Finding]] = asyncio.Queue()

    async def one(position: int, each: Known) -> None:
        await asyncio.sleep(spread_s * position / len(known))
        try:
            finished.put_nowait(await check(each))
        except Exception:
            # A defect in one check is that check's alone; the others' results still count.
            logger.exception("provider %s could not be checked", each.target.provider.name)

    tasks = [asyncio.create_task(one(position, each)) for position, each in enumerate(known)]
    everything = asyncio.gather(*tasks)
    writer = ThreadPoolExecutor(1, thread_name_prefix="probe-results")
    loop = asyncio.get_running_loop()
    verdicts: list[Verdict] = []
    try:
        while not everything.done() or not finished.empty():
            await asyncio.wait([everything], timeout=WRITE_EVERY_S)
            batch = [finding for _ in range(finished.qsize()) for finding in finished.get_nowait()]
            if batch:
                verdicts.extend(await loop.run_in_executor(writer, write, batch))
    finally:
        everything.cancel()
        await loop.run_in_executor(writer, connections.close_all)
        writer.shutdown()
    return verdicts
