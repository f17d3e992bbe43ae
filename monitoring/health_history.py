"""Writes what checks found: the present state of each target, a sample for history, and incidents as they begin and end.

One transaction a batch. The judgement itself is `monitoring.health.judge`; the stored state is its memory, so that it
survives restarts and is the same whichever process checks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from django.db import transaction
from django.utils import timezone

from monitoring.health import CheckResult, HealthPolicy, HealthRecord, judge
from monitoring.health_refresher import as_health
from monitoring.models import HealthSample, HealthState, Incident
from monitoring.passive import from_epoch
from providers.models import Deployment, Provider

CHANGING = (
    "status", "since", "cause", "fails", "passes", "evidence", "passed", "response_time_s", "last_check_at", "fresh_until",
    "updated_at",
)  # fmt: skip
LONGEST_TEXT = 300


class TargetKey(NamedTuple):
    provider_id: int
    deployment_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A result for a target. `only_if_known` findings change a state that exists and never begin one."""

    key: TargetKey
    name: str
    result: CheckResult
    only_if_known: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a finding led to."""

    key: TargetKey
    name: str
    result: CheckResult
    before: str
    after: str


@transaction.atomic
def record(findings: Sequence[Finding], policy: HealthPolicy, *, fresh_s: float) -> list[Verdict]:
    """Writes a batch; at most one finding for each target. Targets that were deleted meanwhile are left out."""
    states = _states(findings)
    findings = _still_there([each for each in findings if not each.only_if_known or each.key in states])
    verdicts: list[Verdict] = []
    new: list[HealthState] = []
    changed: list[HealthState] = []
    for finding in findings:
        state = states.get(finding.key)
        (new if state is None else changed).append(state := state or _begun(finding))
        verdicts.append(_apply(finding, state, policy, fresh_s))
    HealthState.objects.bulk_create(new)
    if changed:
        # An upsert by primary key: a third of what bulk_update's CASE expressions cost.
        HealthState.objects.bulk_create(
            changed, update_conflicts=True, unique_fields=["id"], update_fields=CHANGING, batch_size=200
        )
    HealthSample.objects.bulk_create([_sample(verdict) for verdict in verdicts])
    for verdict in verdicts:
        _note_incident(verdict)
    return verdicts


def _states(findings: Sequence[Finding]) -> dict[TargetKey, HealthState]:
    providers = {finding.key.provider_id for finding in findings}
    rows = HealthState.objects.select_for_update(of=("self",)).filter(provider_id__in=providers)
    return {TargetKey(row.provider_id, row.deployment_id): row for row in rows}


def _still_there(findings: Sequence[Finding]) -> list[Finding]:
    """A row may have gone since the check began; a state for it would break the batch."""
    providers = set(
        Provider.objects.filter(pk__in={each.key.provider_id for each in findings}).values_list("pk", flat=True)
    )
    wanted = {each.key.deployment_id for each in findings if each.key.deployment_id is not None}
    deployments: set[int | None] = {None}
    if wanted:
        deployments |= set(Deployment.objects.filter(pk__in=wanted).values_list("pk", flat=True))
    return [each for each in findings if each.key.provider_id in providers and each.key.deployment_id in deployments]


def _begun(finding: Finding) -> HealthState:
    at = from_epoch(finding.result.at)
    return HealthState(provider_id=finding.key.provider_id, deployment_id=finding.key.deployment_id, since=at)


def _apply(finding: Finding, state: HealthState, policy: HealthPolicy, fresh_s: float) -> Verdict:
    result = finding.result
    before = HealthRecord(status=as_health(state.status), fails=state.fails, passes=state.passes, cause=state.cause)
    after = judge(before, result, policy)
    at = from_epoch(result.at)
    state.status, state.fails, state.passes = after.status, after.fails, after.passes
    state.since = state.since if after.status == before.status else at
    state.cause = after.cause[:LONGEST_TEXT]
    state.evidence, state.passed, state.response_time_s = result.evidence, result.passed, result.response_time_s
    state.last_check_at = at
    state.fresh_until = at + timedelta(seconds=fresh_s)
    state.updated_at = timezone.now()
    return Verdict(key=finding.key, name=finding.name, result=result, before=before.status, after=after.status)


def _sample(verdict: Verdict) -> HealthSample:
    result = verdict.result
    return HealthSample(
        provider_id=verdict.key.provider_id,
        deployment_id=verdict.key.deployment_id,
        name=verdict.name,
        at=from_epoch(result.at),
        passed=result.passed,
        status=verdict.after,
        evidence=result.evidence,
        response_time_s=result.response_time_s,
        reason=result.reason[:32],
        message=result.message[:LONGEST_TEXT],
    )


def _note_incident(verdict: Verdict) -> None:
    if verdict.before == verdict.after:
        return
    at = from_epoch(verdict.result.at)
    if verdict.after == "unhealthy":
        Incident.objects.get_or_create(
            name=verdict.name,
            ended_at=None,
            defaults={
                "provider_id": verdict.key.provider_id,
                "deployment_id": verdict.key.deployment_id,
                "started_at": at,
                "cause": (verdict.result.message or verdict.result.reason)[:LONGEST_TEXT],
            },
        )
    elif verdict.before == "unhealthy":
        Incident.objects.filter(name=verdict.name, ended_at=None).update(ended_at=at)
