"""The running worker as the control plane sees it (`monitoring.live.LiveState`).

Views run in threads, the worker's state belongs to its event loop: every question hops there and waits for the answer.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from django.db import DatabaseError

from accounts.task_ending import end
from monitoring import live
from monitoring.deployment_state import UpstreamSnapshot
from monitoring.live import Conditions, ProviderNow
from monitoring.models import OperatorRequest
from monitoring.operator_requests import request_for
from monitoring.refusals import WorkerBusy
from providers.identity_cache import IdentityCache
from routing.explanation import explain
from routing.table import RoutingTable

if TYPE_CHECKING:
    from proxy_site.worker import Worker

logger = logging.getLogger("llm_proxy.proxy_site.live_worker")

Found = TypeVar("Found")
ANSWER_S = 5.0
WATCH_S = 1.0


class WorkerLiveState:
    """`open` inside the event loop makes it the one of this process."""

    def __init__(self, worker: "Worker") -> None:
        self._worker = worker
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._models = IdentityCache(_models, size=1)
        self._sql_up_at = time.monotonic()

    def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._watch_sql(), name="sql-watch")
        live.install(self)

    async def aclose(self) -> None:
        live.install(None)
        await end(self._task)

    # ------------------------------------------------------------------------------------------------- questions

    def providers(self) -> tuple[ProviderNow, ...]:
        return self._ask(self._providers)

    def conditions(self) -> Conditions:
        return self._ask(self._conditions)

    def key_header(self) -> str:
        return self._worker.tables.current.policy.api_key_header

    def explain(self, model: str) -> dict[str, Any] | None:
        return self._ask(lambda: explain(self._worker.tables.current, self._worker.states, model))

    def decision(self, request_id: str, tenant: str | None = None) -> dict[str, Any] | None:
        return self._ask(lambda: self._decision(request_id, tenant))

    # -------------------------------------------------------------------------------------------------- commands

    def reset_breakers(self, deployment_ids: tuple[int, ...]) -> None:
        """Here at once, whatever becomes of the others: an operator in an outage must not depend on the database."""

        def reset() -> None:
            for deployment_id in deployment_ids:
                self._worker.states.reset(deployment_id)

        self._ask(reset)
        try:
            request_for(deployment_ids, OperatorRequest.Action.RESET)
        except DatabaseError as error:
            logger.error("other workers were not told to reset their breakers: %s", type(error).__name__)

    def clear_cache(self, scope: str) -> dict[str, int]:
        if scope == "health" or self._loop is None:
            return {}
        clearing = asyncio.run_coroutine_threadsafe(self._worker.gateway.cache.clear(), self._loop)
        return {"responses": _answer_of(clearing)}

    # -------------------------------------------------------------------------------------------- in the event loop

    def _providers(self) -> tuple[ProviderNow, ...]:
        worker = self._worker
        table = worker.tables.current
        models = self._models.get(table)
        snapshots: dict[int, list[UpstreamSnapshot]] = {}
        for snapshot in worker.states.snapshots(time.time()):
            snapshots.setdefault(snapshot.provider_id, []).append(snapshot)
        return tuple(
            ProviderNow(
                id=spec.id,
                name=spec.name,
                kind=spec.kind,
                demo=spec.demo,
                health=worker.states.provider(spec).health,
                models=models.get(spec.id, ()),
                deployments=tuple(snapshots.get(spec.id, ())),
            )
            for spec in sorted(table.providers.values(), key=lambda spec: (spec.priority, spec.name))
        )

    def _conditions(self) -> Conditions:
        worker = self._worker
        accounts = worker.accounts
        down_s = 0.0 if self._sql_up() else time.monotonic() - self._sql_up_at
        return Conditions(
            revision=worker.tables.current.revision,
            stale=worker.tables.stale,
            draining=worker.gateway.draining,
            sql_down_s=down_s,
            redis_up=accounts.redis_up,
            journal_backlog=accounts.journal_backlog,
            journal_full=accounts.journal_full,
            app_version=worker.tables.current.policy.app_version,
        )

    def _decision(self, request_id: str, tenant: str | None) -> dict[str, Any] | None:
        decision = self._worker.gateway.decisions.get(request_id, tenant)
        if decision is None:
            return None
        self._worker.gateway.kept.asked_for(decision)
        return decision.render()

    async def _watch_sql(self) -> None:
        """Notes the last moment at which SQL was there, for readiness."""
        while True:
            if self._sql_up():
                self._sql_up_at = time.monotonic()
            await asyncio.sleep(WATCH_S)

    def _sql_up(self) -> bool:
        return self._worker.accounts.sql_up and not self._worker.tables.stale

    def _ask(self, question: Callable[[], Found]) -> Found:
        loop = self._loop
        if loop is None or _running() is loop:
            return question()

        asked: Future[Found] = Future()

        def answer() -> None:
            if asked.set_running_or_notify_cancel():
                try:
                    asked.set_result(question())
                except Exception as error:
                    asked.set_exception(error)

        loop.call_soon_threadsafe(answer)
        return _answer_of(asked)


def _answer_of(asked: "Future[Found]") -> Found:
    """Raises WorkerBusy, and what was asked is not done: whoever is told so asks again."""
    try:
        return asked.result(ANSWER_S)
    except TimeoutError:
        if asked.cancel():
            raise WorkerBusy from None
        return asked.result()


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _models(table: RoutingTable) -> dict[int, tuple[str, ...]]:
    """The names that clients use, by provider id."""
    found: dict[int, set[str]] = {}
    for route in table.routes.values():
        for spec in route.deployments:
            found.setdefault(spec.provider.id, set()).add(spec.model)
    return {provider: tuple(sorted(names)) for provider, names in found.items()}
