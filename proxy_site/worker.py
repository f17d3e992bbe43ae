"""Composition of one worker process: what the data plane is made of, opened and closed in one place."""

import asyncio
import functools
import gc
import logging
import os
import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from channels.layers import get_channel_layer
from django.conf import settings

from accounts.admission import Accounts
from accounts.records import AccountsSettings
from monitoring.live_feed import LiveFeed
from monitoring.logs import configure_logging
from monitoring.metric_store import family_name
from monitoring.tracing import configure_tracing
from monitoring.upstream_state import UpstreamStates
from monitoring.worker_monitoring import WorkerMonitoring
from providers.transport import Transport
from proxy_site.lean_start import started
from proxy_site.live_worker import WorkerLiveState
from proxy_site.vanished_redis import tell_lost_connections
from routing.config_watch import ConfigWatcher
from routing.gateway import Gateway
from routing.table import GatewayPolicy, RoutingTable
from routing.table_refresh import TableRefresher

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from routing.answer_store import AnswerStore

AFTER_A_CALL_S = 60.0
"""So much longer than a call may last, what it held is not taken for abandoned."""
REPORT_EVERY_S = 0.002
"""Finished calls are told to metrics, log and pages together, this often."""

logger = logging.getLogger("llm_proxy.proxy_site.worker")


def accounts_settings(policy: GatewayPolicy) -> AccountsSettings:
    usual = AccountsSettings()
    return replace(
        usual,
        rate_limit_rpm=policy.rate_limit_requests,
        rate_limit_window_s=policy.rate_limit_window_s,
        workers=settings.WORKERS,
        lease_grace_s=max(usual.lease_grace_s, policy.request_timeout_s + AFTER_A_CALL_S),
    )


def redis_client() -> "Redis | None":
    """None without REDIS_URL; the library is a tenth of this process's memory, and is not loaded then."""
    if not settings.REDIS_URL:
        return None
    from redis.asyncio import Redis

    tell_lost_connections()
    client: Redis = Redis.from_url(settings.REDIS_URL)
    return client


def shared_answers() -> "AnswerStore | None":
    if not settings.REDIS_URL:
        return None
    from routing.redis_answer_store import RedisAnswerStore

    return RedisAnswerStore(settings.REDIS_URL)


def make_transport() -> Transport:
    """The upstream HTTP client that PROXY_API_UPSTREAM_CLIENT names; both obey one conformance suite."""
    if settings.UPSTREAM_CLIENT == "aiohttp":
        from providers.aiohttp_transport import AiohttpTransport

        return AiohttpTransport()
    from providers.http1 import Http1Transport

    return Http1Transport()


class Worker:
    """Everything that lives as long as one worker. `open` and `aclose` run inside the server's event loop."""

    def __init__(self) -> None:
        self.states = UpstreamStates(time.monotonic, random.random)
        self.tables = TableRefresher()
        self.tables.on_change.append(self._apply)
        self.config = ConfigWatcher(settings.CONFIG_FILE, on_change=self.tables.nudge)
        self.transport = make_transport()
        self.accounts = Accounts(
            pepper=settings.KEY_PEPPER, data_dir=settings.DATA_DIR, redis_url=settings.REDIS_URL or None
        )
        self.gateway = Gateway(
            transport=self.transport,
            states=self.states,
            tables=self.tables,
            accounts=self.accounts,
            answers=shared_answers(),
        )
        self.logs = configure_logging(level=settings.LOG_LEVEL, style=settings.LOG_FORMAT)
        self.redis = redis_client()
        self.monitoring = WorkerMonitoring(
            self.states,
            data_dir=settings.DATA_DIR,
            family=family_name(settings.SUPERVISOR_PID or os.getpid()),
            requests=self.logs.requests,
            redis=self.redis,
            tracing=configure_tracing(),
            journal_backlog=lambda: self.accounts.journal_backlog,
        )
        self.live = WorkerLiveState(self)
        self.on_drain: list[Callable[[], object]] = []
        self.feed = LiveFeed(
            self.monitoring.traffic,
            self.states,
            name=self.accounts.worker,
            layer=get_channel_layer() if settings.REDIS_URL else None,
        )

    def _apply(self, table: RoutingTable) -> None:
        deployments = {spec.id: spec for route in table.routes.values() for spec in route.deployments}
        self.states.sync(deployments.values(), table.providers.values())
        self.monitoring.health.reapply()
        self.logs.set_file(table.policy.log_file)
        self.logs.set_level(table.policy.log_level or settings.LOG_LEVEL)
        keys = (credential.secret for provider in table.providers.values() for credential in provider.credentials)
        self.logs.protect((*keys, *settings.UPSTREAM_PROXIES.secrets()))
        self.accounts.configure(accounts_settings(table.policy))

    async def open(self) -> None:
        # Often nobody set them for this program: they came with the machine or the container.
        for scheme, proxy in settings.UPSTREAM_PROXIES.known():
            logger.info("calls to %s:// addresses go through the proxy at %s:%d", scheme, proxy.host, proxy.port)
        await self.tables.open()
        await self.accounts.open()
        await self.monitoring.open()
        reports = self.gateway.settlement.reports
        reports.observe = self.monitoring.observe
        reports.limited = self.monitoring.metrics.limited
        reports.later = functools.partial(asyncio.get_running_loop().call_later, REPORT_EVERY_S)
        self.gateway.open()
        self.live.open()
        await self.feed.open()
        await self.config.open()
        _settle_memory()

    def drain(self) -> None:
        self.gateway.drain(settings.DRAIN_TIMEOUT_S)
        for listener in self.on_drain:
            listener()

    def is_busy(self) -> bool:
        """Whether calls are running, over whichever door they came."""
        return bool(len(self.gateway.active))

    async def aclose(self) -> None:
        """In the order that loses nothing: running calls end, their usage is written, then connections close."""
        await self.config.aclose()
        await self.gateway.aclose()
        self.gateway.settlement.reports.flush()
        await self.feed.aclose()
        await self.live.aclose()
        await self.tables.aclose()
        await self.accounts.aclose()
        await self.monitoring.aclose()
        await self.transport.aclose()
        if self.redis is not None:
            await self.redis.aclose()
        self.logs.flush()


def _settle_memory() -> None:
    """Calls leave few cycles, so the collector may come less often, too. In a profile it took a tenth of a chat's CPU."""
    started()
    gc.set_threshold(20_000, 20, 50)


class Lifespan:
    """ASGI lifespan: the server starts accepting when `open` is done and ends when `aclose` is."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        try:
            await self._worker.open()
        except Exception as error:
            logger.exception("the worker cannot start")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._worker.aclose()
        await send({"type": "lifespan.shutdown.complete"})
