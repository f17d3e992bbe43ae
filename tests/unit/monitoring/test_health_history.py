"""What checks found, in SQL: states, samples, incidents, roll-ups, uptime and the workers' poll."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from monitoring.checks import troubled_providers
from monitoring.health import CheckResult, HealthPolicy
from monitoring.health_cache import clear_health_cache
from monitoring.health_history import Finding, TargetKey, record
from monitoring.health_refresher import read_news
from monitoring.models import BreakerEvent, HealthRollup, HealthSample, HealthState, Incident, MonitoringSettings
from monitoring.operator_requests import request_reset
from monitoring.rollups import forget_old, roll_up
from monitoring.uptime import uptime_by_provider, uptime_percent
from providers.models import Deployment, Provider

pytestmark = pytest.mark.django_db

POLICY = HealthPolicy()
T0 = 1_700_000_000.0


@pytest.fixture
def openai() -> Provider:
    return Provider.objects.create(name="openai", kind="openai", base_url="https://api.openai.com")


def saw(provider: Provider, passed: bool, at: float, deployment: Deployment | None = None, **fields):
    fields.setdefault("message", "" if passed else "connection refused")
    result = CheckResult(passed=passed, evidence="models", at=at, response_time_s=0.2 if passed else None, **fields)
    key = TargetKey(provider.pk, deployment.pk if deployment else None)
    return record([Finding(key=key, name=str(deployment or provider), result=result)], POLICY, fresh_s=30)


def test_the_first_result_begins_a_state_and_a_sample(openai):
    (verdict,) = saw(openai, True, T0)
    assert (verdict.before, verdict.after) == ("unknown", "healthy")
    state = HealthState.objects.get()
    assert (state.status, state.evidence, state.response_time_s) == ("healthy", "models", 0.2)
    assert state.last_check_at.timestamp() == T0
    assert state.fresh_until - state.last_check_at == timedelta(seconds=30)
    sample = HealthSample.objects.get()
    assert (sample.name, sample.passed, sample.status) == ("openai", True, "healthy")


def test_an_incident_has_a_beginning_an_end_and_the_first_cause(openai):
    for position, passed in enumerate([True, False, False, False, False, True, True, True]):
        saw(openai, passed, T0 + 60 * position)
    incident = Incident.objects.get()
    assert incident.started_at.timestamp() == T0 + 180
    assert incident.ended_at is not None
    assert incident.ended_at.timestamp() == T0 + 360
    assert incident.cause == "connection refused"
    assert HealthState.objects.get().since.timestamp() == T0 + 360
    assert HealthSample.objects.count() == 8


def test_deployments_are_judged_apart_from_their_provider(openai):
    deployment = Deployment.objects.create(provider=openai, model="gpt-4")
    saw(openai, True, T0)
    for position in range(3):
        saw(openai, False, T0 + position, deployment)
    assert HealthState.objects.get(deployment=None).status == "healthy"
    assert HealthState.objects.get(deployment=deployment).status == "unhealthy"
    assert Incident.objects.get().name == "openai/gpt-4"


def test_a_finding_that_may_not_begin_a_state_does_not(openai):
    deployment = Deployment.objects.create(provider=openai, model="gpt-4")
    finding = Finding(
        key=TargetKey(openai.pk, deployment.pk), name="x", only_if_known=True,
        result=CheckResult(passed=True, evidence="models", at=T0),
    )  # fmt: skip
    assert record([finding], POLICY, fresh_s=30) == []
    saw(openai, False, T0, deployment)
    assert len(record([finding], POLICY, fresh_s=30)) == 1


def test_targets_deleted_during_the_check_are_left_out(openai):
    gone = Provider.objects.create(name="gone", kind="openai", base_url="https://api.example.com")
    findings = [
        Finding(key=TargetKey(each.pk, None), name=each.name, result=CheckResult(passed=True, evidence="models", at=T0))
        for each in (openai, gone)
    ]
    gone.delete()
    assert [verdict.name for verdict in record(findings, POLICY, fresh_s=30)] == ["openai"]


def test_a_batch_costs_few_queries(openai, django_assert_max_num_queries):
    providers = [
        Provider.objects.create(name=f"p{number}", kind="openai", base_url="https://api.example.com")
        for number in range(100)
    ]
    findings = [
        Finding(key=TargetKey(each.pk, None), name=each.name, result=CheckResult(passed=True, evidence="models", at=T0))
        for each in providers
    ]
    with django_assert_max_num_queries(8):
        record(findings, POLICY, fresh_s=30)
    with django_assert_max_num_queries(10):
        record(findings, POLICY, fresh_s=30)


# ------------------------------------------------------------------------------------------------------------- history


def samples(provider: Provider, start: datetime, statuses: str) -> None:
    """One a minute: `+` healthy, `~` degraded, `-` unhealthy."""
    words = {"+": "healthy", "~": "degraded", "-": "unhealthy"}
    HealthSample.objects.bulk_create(
        HealthSample(
            provider_id=provider.pk, name=provider.name, at=start + timedelta(minutes=position), passed=sign != "-",
            status=words[sign], evidence="models", response_time_s=0.5 if sign == "+" else None,
        )
        for position, sign in enumerate(statuses)
    )  # fmt: skip


NOW = datetime(2026, 3, 2, 14, 10, tzinfo=UTC)


def test_whole_hours_and_days_are_summed_up_once(openai):
    samples(openai, NOW.replace(hour=12, minute=0), "+" * 50 + "~" * 6 + "-" * 4)
    samples(openai, NOW.replace(minute=0), "+" * 10)
    samples(openai, datetime(2026, 3, 1, 9, tzinfo=UTC), "+" * 30)
    assert roll_up(NOW) == 3
    assert roll_up(NOW) == 0
    hour = HealthRollup.objects.get(span="hour", start_at=NOW.replace(hour=12, minute=0))
    assert (hour.samples, hour.passed, hour.degraded, hour.unhealthy) == (60, 56, 6, 4)
    assert (hour.timed, hour.response_time_sum_s, hour.response_time_max_s) == (50, 25.0, 0.5)
    day = HealthRollup.objects.get(span="day")
    assert (day.start_at, day.samples) == (datetime(2026, 3, 1, tzinfo=UTC), 30)


def test_uptime_is_the_share_of_checks_in_rotation_from_roll_ups_and_samples(openai):
    assert uptime_percent(now=NOW) == 100.0
    samples(openai, NOW.replace(hour=12, minute=0), "+" * 54 + "-" * 6)
    samples(openai, NOW.replace(minute=0), "+~-++~++++")
    before = uptime_percent(now=NOW)
    assert before == pytest.approx(100 * 63 / 70)
    roll_up(NOW)
    assert uptime_percent(now=NOW) == before
    assert uptime_by_provider(now=NOW) == {openai.pk: before}
    assert uptime_percent(now=NOW, window=timedelta(minutes=30)) == pytest.approx(90.0)


def test_the_past_is_forgotten_as_the_operator_wants(openai):
    MonitoringSettings.objects.create(pk=1, sample_days=2, hour_days=5, event_days=10)
    samples(openai, NOW - timedelta(days=3), "+++")
    samples(openai, NOW - timedelta(days=1), "++")
    for days in (4, 6):
        HealthRollup.objects.create(
            span="hour", start_at=NOW - timedelta(days=days), provider_id=openai.pk, name="openai"
        )
    BreakerEvent.objects.create(at=NOW - timedelta(days=11), provider_id=openai.pk, provider_name="openai")
    deleted = forget_old(NOW)
    assert (deleted["samples"], deleted["hours"], deleted["events"]) == (3, 1, 1)
    assert (HealthSample.objects.count(), HealthRollup.objects.count()) == (2, 1)


# --------------------------------------------------------------------------------------------------------------- polls


def test_workers_read_what_changed_and_what_operators_asked(openai):
    deployment = Deployment.objects.create(provider=openai, model="gpt-4")
    saw(openai, True, timezone.now().timestamp())
    first = read_news(None, None)
    (state,) = first.health
    assert (state.provider_id, state.deployment_id, state.status, state.passed) == (openai.pk, None, "healthy", True)
    assert state.fresh_until > timezone.now()
    (start,) = first.requests
    assert start.action == ""
    assert request_reset(["openai"]) == ["openai/gpt-4"]
    second = read_news(timezone.now() + timedelta(minutes=1), start.pk)
    assert second.health == []
    assert [(each.action, each.deployment_id) for each in second.requests] == [("reset", deployment.pk)]


def test_resetting_an_unknown_provider_says_so(openai):
    with pytest.raises(LookupError, match="nobody"):
        request_reset(["nobody"])


def test_clearing_the_cache_ends_freshness(openai):
    saw(openai, True, timezone.now().timestamp())
    since = timezone.now()
    assert clear_health_cache() == 1
    # Workers ask for what has changed.
    (state,) = read_news(since, None).health
    assert state.fresh_until <= timezone.now()
    assert clear_health_cache() == 0


def test_trouble_is_ill_health_or_a_breaker_that_did_not_close(openai):
    assert troubled_providers() == set()
    saw(openai, False, T0)
    assert troubled_providers() == {openai.pk}
    for position in range(2):
        saw(openai, True, T0 + 1 + position)
    assert troubled_providers() == set()

    def event(after: str, minutes: float) -> None:
        BreakerEvent.objects.create(
            at=timezone.now() - timedelta(minutes=minutes),
            provider_id=7,
            provider_name="p",
            deployment_id=70,
            after=after,
        )

    event("open", 3)
    assert troubled_providers() == {7}
    event("half_open", 2)
    assert troubled_providers() == {7}
    event("closed", 1)
    assert troubled_providers() == set()
