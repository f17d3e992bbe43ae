"""When a provider or deployment counts as healthy, degraded or unhealthy: a pure function of what was seen. No clock.

    unknown    nothing seen yet; the first result decides between healthy and degraded
    healthy    the last results passed, in time
    degraded   it works, but slowly, or the last one or two results failed; it stays in rotation
    unhealthy  `fails_down` results in a row failed, and no real call succeeded lately; out of rotation

Back from unhealthy takes `passes_up` passes in a row. Real calls weigh more than probes ("passive wins"): a model list
that answers proves little about inference, and one that does not answer proves nothing against calls that succeed.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from monitoring.deployment_state import Health

Evidence: TypeAlias = Literal["traffic", "models", "completion", "reachable", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthPolicy:
    fails_down: int = 3
    passes_up: int = 2
    slow_s: float = 3.0
    """A probe that takes longer passes, and marks the target degraded."""
    passive_wins_s: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One look at a provider or deployment. `reason` is an error's word, `message` a sentence for operators; times are
    Unix seconds. `last_success_at` is the newest real call that succeeded, where known."""

    passed: bool
    evidence: Evidence
    at: float
    response_time_s: float | None = None
    reason: str = ""
    message: str = ""
    last_success_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthRecord:
    """What is remembered between results."""

    status: Health = "unknown"
    fails: int = 0
    passes: int = 0
    cause: str = ""


def judge(record: HealthRecord, result: CheckResult, policy: HealthPolicy) -> HealthRecord:
    """The record after `result`."""
    if result.passed:
        fails, passes = 0, record.passes + 1
    else:
        fails, passes = record.fails + 1, 0
    status = _passed(record, result, passes, policy) if result.passed else _failed(record, result, fails, policy)
    return HealthRecord(status=status, fails=fails, passes=passes, cause=_cause(status, result, record))


def _passed(record: HealthRecord, result: CheckResult, passes: int, policy: HealthPolicy) -> Health:
    if record.status == "unhealthy" and passes < policy.passes_up and result.evidence != "traffic":
        return "unhealthy"
    if _slow(result, policy):
        return "degraded"
    # One pass after failures is not yet trust, except where nothing had been seen before.
    if record.status == "degraded" and passes < policy.passes_up and result.evidence != "traffic":
        return "degraded"
    return "healthy"


def _slow(result: CheckResult, policy: HealthPolicy) -> bool:
    """Real calls may take their time: a reasoning model thinks before its first token."""
    return (
        result.evidence != "traffic" and result.response_time_s is not None and result.response_time_s > policy.slow_s
    )


def _failed(record: HealthRecord, result: CheckResult, fails: int, policy: HealthPolicy) -> Health:
    alive = result.last_success_at is not None and result.at - result.last_success_at < policy.passive_wins_s
    if alive:
        return "degraded"
    if fails >= policy.fails_down or record.status == "unhealthy":
        return "unhealthy"
    return "degraded"


def _cause(status: Health, result: CheckResult, before: HealthRecord) -> str:
    """Why it is not healthy; kept while it recovers, so that an incident's cause is its first."""
    if status == "healthy":
        return ""
    if not result.passed:
        return result.message or result.reason
    if before.cause:
        return before.cause
    return f"slow: answered after {result.response_time_s:.1f} s" if result.response_time_s is not None else ""
