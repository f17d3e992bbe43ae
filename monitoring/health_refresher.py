"""Carries what health checks found into one worker's UpstreamStates: a poll each second.

The checks run in Celery, in this process or another; the table HealthState is what they have in common with workers.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, cast

from django.db import DatabaseError
from django.utils import timezone

from accounts.borrowed_connection import borrowed_connection
from accounts.task_ending import end
from monitoring.deployment_state import DeploymentState, Health
from monitoring.models import HealthState, OperatorRequest
from monitoring.recovery import RecoveryWatch
from monitoring.upstream_state import UpstreamStates

logger = logging.getLogger("llm_proxy.monitoring.health_refresher")

INTERVAL_S = 1.0
OVERLAP = timedelta(seconds=10)
"""Rows are read again for this long: transactions commit later than they are dated, and clocks differ a little."""
WHOLE_EVERY = 60
"""Every so many polls all rows are read, so that nothing that was missed stays missing."""


class HealthNews(NamedTuple):
    provider_id: int
    deployment_id: int | None
    status: Health
    passed: bool
    last_check_at: datetime
    updated_at: datetime
    fresh_until: datetime


class OperatorNews(NamedTuple):
    pk: int
    action: str
    deployment_id: int | None


class News(NamedTuple):
    health: Sequence[HealthNews]
    requests: Sequence[OperatorNews]


def read_news(since: datetime | None, after_request: int | None) -> News:
    """One poll: small indexed queries. `since` None reads every state; `after_request` None only finds the newest."""
    states = HealthState.objects.all() if since is None else HealthState.objects.filter(updated_at__gte=since)
    rows = states.values_list(
        "provider_id", "deployment_id", "status", "passed", "last_check_at", "updated_at", "fresh_until"
    )
    # In no order: people's, by the names of providers, would take three joins each second.
    health = [HealthNews(row[0], row[1], as_health(row[2]), *row[3:]) for row in rows.order_by()]
    return News(health, _requests(after_request))


# For threads outside of Django's request cycle.
poll_news = borrowed_connection()(read_news)


def _requests(after: int | None) -> list[OperatorNews]:
    if after is None:
        newest = OperatorRequest.objects.order_by("-pk").values_list("pk", flat=True).first()
        return [OperatorNews(newest or 0, "", None)]
    rows = OperatorRequest.objects.filter(pk__gt=after).order_by("pk").values_list("pk", "action", "deployment_id")
    return [OperatorNews(*row) for row in rows[:1000]]


class HealthRefresher:
    """Started inside the worker's event loop with `open`.

    A database that is away leaves the last known health in force.
    """

    def __init__(
        self,
        states: UpstreamStates,
        *,
        interval_s: float = INTERVAL_S,
        read: Callable[[datetime | None, int | None], News] = poll_news,
    ) -> None:
        self._states = states
        self._interval_s = interval_s
        self._read = read
        self._known: dict[tuple[int, int | None], HealthNews] = {}
        self._newest: datetime | None = None
        self._request: int | None = None
        self._recovery = RecoveryWatch()
        self._task: asyncio.Task[None] | None = None
        self.polls = 0
        self.stale = False

    async def open(self) -> None:
        self._task = asyncio.create_task(self._watch(), name="health-refresher")

    async def aclose(self) -> None:
        await end(self._task)

    def reapply(self) -> None:
        """After the table changed: what is new here gets the health that is known of it."""
        new_providers = {state.provider.spec.id for state in self._states if state.provider.health == "unknown"}
        new_deployments = {state.spec.id for state in self._states if state.health == "unknown"}
        for news in self._known.values():
            if news.deployment_id in new_deployments or (
                news.deployment_id is None and news.provider_id in new_providers
            ):
                self._set(news)

    async def refresh(self) -> None:
        """One poll. Raises DatabaseError."""
        whole = self.polls % WHOLE_EVERY == 0 or self._newest is None
        self.polls += 1
        since = None if whole or self._newest is None else self._newest - OVERLAP
        news = await asyncio.to_thread(self._read, since, self._request)
        self.apply(news)
        if whole:
            there = {(each.provider_id, each.deployment_id) for each in news.health}
            self._known = {key: each for key, each in self._known.items() if key in there}

    @property
    def fresh_results(self) -> int:
        """How many results are still within the health cache's time to live."""
        now = timezone.now()
        return sum([each.deployment_id is None and each.fresh_until > now for each in self._known.values()])

    def apply(self, news: News) -> None:
        for each in news.health:
            self._apply_health(each)
        for request in news.requests:
            self._request = max(request.pk, self._request or 0)
            self._operate(request)

    def _apply_health(self, news: HealthNews) -> None:
        key = (news.provider_id, news.deployment_id)
        if self._newest is None or news.updated_at > self._newest:
            self._newest = news.updated_at
        before = self._known.get(key)
        self._known[key] = news
        if before is not None and before.updated_at == news.updated_at:
            return
        self._set(news)
        for state in self._concerned(news):
            opened = state.breaker.open_until is not None
            if self._recovery.checked(
                state.spec.id, at=news.last_check_at.timestamp(), passed=news.passed, opened=opened
            ):
                self._states.probe_passed(state.spec.id)

    def _set(self, news: HealthNews) -> None:
        if news.deployment_id is None:
            self._states.set_provider_health(news.provider_id, news.status)
        else:
            self._states.set_health(news.deployment_id, news.status)

    def _concerned(self, news: HealthNews) -> Iterable[DeploymentState]:
        if news.deployment_id is not None:
            state = self._states.find(news.deployment_id)
            return [] if state is None else [state]
        return [state for state in self._states if state.provider.spec.id == news.provider_id]

    def _operate(self, request: OperatorNews) -> None:
        actions = {
            "reset": self._states.reset,
            "hold_open": self._states.hold_open,
            "force_close": self._states.force_close,
        }
        action = actions.get(request.action)
        if action is None:
            return
        ids = [state.spec.id for state in self._states] if request.deployment_id is None else [request.deployment_id]
        for deployment_id in ids:
            action(deployment_id)

    async def _watch(self) -> None:
        while True:
            try:
                await self.refresh()
                self.stale = False
            except DatabaseError as error:
                if not self.stale:
                    logger.warning("health cannot be read, the last known stays in force: %s", error)
                self.stale = True
            except Exception:
                # One unreadable row must not end the refresher.
                logger.exception("health could not be applied")
                self.stale = True
            await asyncio.sleep(self._interval_s)


def as_health(text: str) -> Health:
    return cast("Health", text if text in ("healthy", "degraded", "unhealthy") else "unknown")
