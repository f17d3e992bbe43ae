"""What the control plane may ask of the worker it runs in, without knowing how a worker is made.

Composition calls `install`; views call `current`. It is None in commands, in Celery and before the worker has opened.
Every method may be called from any thread; those that ask the event loop raise `refusals.WorkerBusy` when it does not answer
in time.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from monitoring.deployment_state import Health, UpstreamSnapshot
from providers.values import value


@value
class ProviderNow:
    """A provider as this worker sees it. `models` are the names that clients use, sorted."""

    id: int
    name: str
    kind: str
    demo: bool
    health: Health
    models: tuple[str, ...]
    deployments: tuple[UpstreamSnapshot, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """How the worker itself is. `stale` means that the configuration can no longer be read and the last one is used;
    `redis_up` is also true when no Redis is used; `sql_down_s` is how long SQL has not answered, 0 while it does."""

    revision: int
    stale: bool
    draining: bool
    sql_down_s: float
    redis_up: bool
    journal_backlog: int
    journal_full: bool = False
    """No usage can be recorded, because of a full disk for instance: calls are refused."""
    app_version: str = ""
    """What the configuration calls this version; empty: the program's own."""


class LiveState(Protocol):
    def providers(self) -> tuple[ProviderNow, ...]:
        """In order of priority, then name."""

    def conditions(self) -> Conditions: ...

    def key_header(self) -> str:
        """The configured name of the header that may carry a key instead of Authorization."""

    def reset_breakers(self, deployment_ids: tuple[int, ...]) -> None:
        """Closes these breakers in every worker: here at once, elsewhere within two seconds."""

    def clear_cache(self, scope: str) -> dict[str, int]:
        """Drops `health`, `responses` or `all` in every worker; how many entries went here, by cache."""

    def explain(self, model: str) -> dict[str, Any] | None:
        """The decision a chat request for `model` would get now; None for an unknown model."""

    def decision(self, request_id: str, tenant: str | None = None) -> dict[str, Any] | None:
        """A recorded decision, the newest with this id of the tenant, or of all."""


_current: list[LiveState] = []


def install(state: LiveState | None) -> None:
    """Makes `state` the one that views of this process see; None takes it away."""
    _current[:] = [] if state is None else [state]


def current() -> LiveState | None:
    return _current[0] if _current else None
