"""A worker as the control plane sees one, with values to be set by tests."""

from dataclasses import replace
from typing import Any

from monitoring.breaker import BreakerState
from monitoring.deployment_state import UpstreamSnapshot
from monitoring.live import Conditions, ProviderNow

WELL = Conditions(revision=7, stale=False, draining=False, sql_down_s=0.0, redis_up=True, journal_backlog=0)


def snapshot(number: int = 1, **changes: Any) -> UpstreamSnapshot:
    sound = UpstreamSnapshot(
        deployment_id=number, deployment=f"openai/m{number}", provider_id=1, provider="openai", bar=None,
        breaker=BreakerState.CLOSED, override=None, failure_count=0, last_failure_at=None, opens_in_s=None, cause="",
        outstanding=0, ttft_s=None, answer_s=None, error_rate=0.0, health="healthy",
    )  # fmt: skip
    return replace(sound, **changes)


def provider(*snapshots: UpstreamSnapshot, **changes: Any) -> ProviderNow:
    known = ProviderNow(
        id=1, name="openai", kind="openai", demo=False, health="healthy", models=("gpt-3.5-turbo", "gpt-4"),
        deployments=snapshots or (snapshot(),),
    )  # fmt: skip
    return replace(known, **changes)


class FakeLive:
    def __init__(self) -> None:
        self.known: tuple[ProviderNow, ...] = (provider(),)
        self.now = WELL
        self.header = "X-API-Key"
        self.was_reset: list[tuple[int, ...]] = []
        self.cleared: list[str] = []
        self.explained: dict[str, dict[str, Any]] = {}
        self.decisions: dict[str, tuple[dict[str, Any], str]] = {}

    def providers(self) -> tuple[ProviderNow, ...]:
        return self.known

    def conditions(self) -> Conditions:
        return self.now

    def key_header(self) -> str:
        return self.header

    def reset_breakers(self, deployment_ids: tuple[int, ...]) -> None:
        self.was_reset.append(deployment_ids)

    def clear_cache(self, scope: str) -> dict[str, int]:
        self.cleared.append(scope)
        return {"responses": 3}

    def explain(self, model: str) -> dict[str, Any] | None:
        return self.explained.get(model)

    def decision(self, request_id: str, tenant: str | None = None) -> dict[str, Any] | None:
        decision, owner = self.decisions.get(request_id, (None, ""))
        return decision if tenant in (None, owner) else None
