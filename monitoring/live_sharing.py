"""What a worker tells the others each second, so that every live page shows the whole installation.

One message per worker and second over the channel layer, only while it has something to tell; never one per request.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from monitoring.finished_call import NOT_A_FAILURE, FinishedAttempt, FinishedCall
from monitoring.live_window import class_of
from monitoring.traffic import Row, Traffic

GROUP = "llm_proxy.live.7"
"""Named for the columns of a row: workers of an older version, whose rows have others, are not understood and not heard."""
SHOWN_PER_SECOND = 8
"""More calls than this in a second are counted, not listed."""


@dataclass(slots=True, kw_only=True)
class WorkerSecond:
    """One worker's finished second. `diverted` names, for each call that went elsewhere, the provider that failed and the
    one that answered; `failed` counts attempts that another one followed."""

    worker: str
    at: int
    rows: dict[str, Row] = field(default_factory=dict)
    first_tokens: Counter[int] = field(default_factory=Counter)
    recent: list[dict[str, Any]] = field(default_factory=list)
    diverted: list[tuple[str, str]] = field(default_factory=list)
    running: dict[str, int] = field(default_factory=dict)
    failed: Counter[str] = field(default_factory=Counter)

    def message(self) -> dict[str, Any]:
        return {
            "type": "live.second",
            "worker": self.worker,
            "at": self.at,
            "rows": self.rows,
            # JSON and msgpack both have text as keys.
            "first_tokens": list(self.first_tokens.items()),
            "recent": self.recent,
            "diverted": self.diverted,
            "running": self.running,
            "failed": dict(self.failed),
        }

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> "WorkerSecond":
        return cls(
            worker=str(message["worker"]),
            at=int(message["at"]),
            rows={str(name): list(row) for name, row in message["rows"].items()},
            first_tokens=Counter(dict(message["first_tokens"])),
            recent=list(message["recent"]),
            diverted=[(str(one), str(other)) for one, other in message["diverted"]],
            running={str(name): int(count) for name, count in message["running"].items()},
            failed=Counter({str(name): int(count) for name, count in message["failed"].items()}),
        )


class SecondReader:
    """Cuts one worker's `Traffic` into finished seconds."""

    def __init__(self, traffic: Traffic, worker: str) -> None:
        self._traffic = traffic
        self._worker = worker
        self._seen = traffic.finished
        self._until: int | None = None

    def read(self, *, now: float, running: dict[str, int]) -> WorkerSecond:
        """Everything that ended before the second that is running now and was not read yet."""
        until = int(now)
        since = until - 1 if self._until is None else self._until
        self._until = until
        found = WorkerSecond(worker=self._worker, at=until - 1, running=running)
        for rows in self._traffic.rows(since=since, until=until).values():
            for provider, row in rows.items():
                mine = found.rows.setdefault(provider, [0] * len(row))
                mine[:] = [one + other for one, other in zip(mine, row, strict=True)]
        new = self._new_calls()
        found.first_tokens.update(class_of(call.first_token_s) for call in new if call.first_token_s is not None)
        found.recent = [shown(call) for call in new[-SHOWN_PER_SECOND:]]
        found.failed.update(each.provider for call in new for each in call.attempts[:-1] if _failed(each))
        found.diverted = [pair for call in new for pair in diverted(call)]
        return found

    def _new_calls(self) -> Sequence[FinishedCall]:
        """At most as many as are remembered: above that rate the times are a sample."""
        recent = self._traffic.recent
        count = min(self._traffic.finished - self._seen, len(recent))
        self._seen = self._traffic.finished
        return list(recent)[len(recent) - count :]


def diverted(call: FinishedCall) -> list[tuple[str, str]]:
    """Who failed this call, and who answered it instead."""
    if len(call.attempts) < 2 or call.status >= 400:
        return []
    failed = {each.provider for each in call.attempts if _failed(each)}
    return [(name, call.provider) for name in sorted(failed - {call.provider})]


def _failed(attempt: FinishedAttempt) -> bool:
    return attempt.outcome not in NOT_A_FAILURE


def shown(call: FinishedCall) -> dict[str, Any]:
    """A line of the list of recent requests."""
    return {
        "id": call.request_id,
        "at": round(call.ended_at, 1),
        "key": call.key_name or "",
        "team": call.team or "",
        "model": call.model,
        "provider": call.provider,
        "attempts": len(call.attempts),
        "first": None if call.first_token_s is None else round(call.first_token_s * 1000),
        "total": round(call.duration_s * 1000),
        "in": call.input_tokens,
        "out": call.output_tokens,
        "cost": call.cost_nano_usd,
        "status": call.status,
        "error": call.error_type or "",
        "cache": call.cache or "",
    }
