"""The documents of `/health`, `/providers` and `/status`, field for field as the original documentation shows them."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from jsonschema import Draft202012Validator

from accounts.models import Team, UsageDaily, UsageHourly, UsageRecord
from accounts.provisioning import KeyOrder, create_key
from monitoring.breaker import BreakerState
from monitoring.checks import CHECK_ALL
from monitoring.models import HealthState
from providers.models import Provider
from tests.integration.api.conftest import ClientFor
from tests.integration.api.fake_live import FakeLive, provider, snapshot

WORD = {"enum": ["healthy", "degraded", "unhealthy"]}


def exactly(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


COUNT = {"type": "integer", "minimum": 0}
PROVIDER = exactly(
    name={"type": "string"},
    status=WORD,
    last_check={"type": ["number", "null"]},
    response_time={"type": ["number", "null"]},
    models={"type": "array", "items": {"type": "string"}},
    circuit_breaker=exactly(
        state={"enum": ["closed", "half_open", "open"]},
        failure_count=COUNT,
        last_failure_time={"type": ["number", "null"]},
    ),
)
UPTIME = {"type": "string", "pattern": r"^\d{1,3}\.\d\d%$"}
HEALTH = exactly(
    status=WORD,
    timestamp={"type": "number", "minimum": 1_600_000_000},
    providers=exactly(total=COUNT, healthy=COUNT, degraded=COUNT, unhealthy=COUNT),
    uptime=UPTIME,
    last_check={"type": ["string", "null"], "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"},
)
COMPONENTS = {
    "type": "object",
    "required": ["api_server", "health_worker", "metrics_collector", "config_manager"],
    "additionalProperties": WORD,
}


def check(answer: Any, schema: dict[str, Any]) -> Any:
    assert answer.status_code == 200, answer.content
    document = answer.json()
    Draft202012Validator(schema).validate(document)
    return document


def test_health_is_the_documented_summary_for_everybody(client_for: ClientFor, worker: FakeLive) -> None:
    for role in ("nobody", "garbage", "completions", "person"):
        check(client_for(role).get("/health"), HEALTH)


def test_health_tells_more_to_a_key_that_may_read(client_for: ClientFor, worker: FakeLive) -> None:
    document = client_for("read").get("/health").json()
    detailed = {name: document.pop(name) for name in ("version", "components", "provider_health")}
    Draft202012Validator(HEALTH).validate(document)
    Draft202012Validator(COMPONENTS).validate(detailed["components"])
    Draft202012Validator({"type": "array", "items": PROVIDER, "minItems": 1}).validate(detailed["provider_health"])


@pytest.mark.parametrize(("every_s", "health_worker"), [(60, "degraded"), (3600, "healthy")])
def test_a_health_worker_is_late_by_its_own_schedule(
    client_for: ClientFor, worker: FakeLive, every_s: int, health_worker: str
) -> None:
    """A file or a page of the admin may have changed the interval that the environment gives."""
    now = timezone.now()
    HealthState.objects.create(
        provider=Provider.objects.create(name="openai", base_url="http://127.0.0.1:9/v1"),
        status="healthy",
        since=now,
        updated_at=now,
        fresh_until=now,
        last_check_at=now - timedelta(minutes=50),
    )
    interval = IntervalSchedule.objects.create(every=every_s, period="seconds")
    PeriodicTask.objects.all().delete()
    PeriodicTask.objects.create(name="Check all providers", task=CHECK_ALL, interval=interval)
    for path in ("/health", "/status"):
        assert client_for("read").get(path).json()["components"]["health_worker"] == health_worker


def test_counts_providers_by_what_calls_would_meet(client_for: ClientFor, worker: FakeLive) -> None:
    broken = snapshot(2, breaker=BreakerState.OPEN, bar="breaker_open")
    worker.known = (
        provider(),
        provider(id=2, name="two", health="degraded"),
        provider(broken, id=3, name="three"),
        provider(snapshot(4), broken, id=4, name="four"),
        provider(id=5, name="five", health="unknown"),
    )
    document = client_for("nobody").get("/health").json()
    assert document["providers"] == {"total": 5, "healthy": 2, "degraded": 2, "unhealthy": 1}
    assert document["status"] == "degraded"


def test_providers_and_status_have_the_documented_shape(client_for: ClientFor, worker: FakeLive) -> None:
    worker.known = (provider(snapshot(failure_count=3, last_failure_at=1699999999.123)), provider(id=2, name="b"))
    reader = client_for("read")
    listed = check(reader.get("/providers"), exactly(providers={"type": "array", "items": PROVIDER}))
    assert [each["name"] for each in listed["providers"]] == ["openai", "b"]
    check(
        reader.get("/status"),
        exactly(
            status=WORD,
            uptime=UPTIME,
            version={"type": "string"},
            components=COMPONENTS,
            providers={"type": "array", "items": PROVIDER},
        ),
    )
    one = check(reader.get("/status/openai"), PROVIDER)
    assert one["circuit_breaker"] == {"state": "closed", "failure_count": 3, "last_failure_time": 1699999999.123}
    assert one["models"] == ["gpt-3.5-turbo", "gpt-4"]


def test_a_provider_nobody_named_is_404_in_the_error_shape(admin: Client) -> None:
    for answer in (admin.get("/status/nope"), admin.post("/circuit-breakers/reset?provider=nope")):
        assert answer.status_code == 404
        assert answer.json()["error"]["code"] == "provider_not_found"


def test_reset_names_every_deployment_of_the_provider(admin: Client, worker: FakeLive) -> None:
    worker.known = (provider(snapshot(1), snapshot(2)), provider(snapshot(3), id=2, name="b"))
    assert admin.post("/circuit-breakers/reset?provider=openai").json() == {"reset": ["openai"]}
    assert admin.post("/circuit-breakers/reset").json() == {"reset": ["openai", "b"]}
    assert worker.was_reset == [(1, 2), (1, 2, 3)]


def test_clears_the_cache_that_was_named(admin: Client, worker: FakeLive) -> None:
    assert admin.post("/cache/clear?scope=responses").json() == {"scope": "responses", "cleared": {"responses": 3}}
    assert admin.post("/cache/clear").json()["cleared"] == {"responses": 3, "health": 0}
    assert admin.post("/cache/clear?scope=everything").status_code == 400
    assert worker.cleared == ["responses", "all"]


@pytest.mark.django_db
class TestUsage:
    def book(self, key_id: int, team_id: int, model: str, requests: int) -> None:
        now = timezone.now()
        amounts = {"key_id": key_id, "team_id": team_id, "model": model, "requests": requests, "cost_nano_usd": 10**9}
        UsageHourly.objects.create(start_at=now.replace(minute=0, second=0, microsecond=0), **amounts)
        UsageDaily.objects.create(start_at=now.replace(hour=0, minute=0, second=0, microsecond=0), **amounts)

    def test_shows_a_key_its_own_and_its_teams_and_an_admin_all(
        self, client_for: ClientFor, worker: FakeLive, team: Team
    ) -> None:
        member = create_key(KeyOrder(name="member", team="research", scopes=("read",)))
        loner = create_key(KeyOrder(name="loner", scopes=("read",)))
        self.book(member.key.pk, team.pk, "a", 1)
        self.book(0, team.pk, "b", 2)
        self.book(loner.key.pk, 0, "c", 4)

        def seen(token: str, **query: str) -> int:
            client = Client(headers={"Authorization": f"Bearer {token}"})
            return int(client.get("/usage", {"group_by": "model", **query}).json()["total"]["requests"])

        assert seen(member.token) == 3
        assert seen(member.token, scope="key") == 1
        assert seen(loner.token) == 4
        assert seen(loner.token, scope="team") == 4
        assert client_for("admin").get("/usage").json()["total"]["requests"] == 7

    def test_has_the_documented_shape(self, admin: Client, team: Team) -> None:
        self.book(1, team.pk, "a", 1)
        amounts = {
            "requests": COUNT, "errors": COUNT, "input_tokens": COUNT, "output_tokens": COUNT, "cached_tokens": COUNT,
            "cost_usd": {"type": "number"}, "unpriced": COUNT, "searches": COUNT,
        }  # fmt: skip
        for group in ("team", "key", "model", "provider", "day"):
            row = exactly(**{group: {"type": "string"}, "name": {"type": "string"}}, **amounts)
            schema = exactly(
                group_by={"const": group},
                **{"from": {"type": "string"}, "to": {"type": "string"}},
                data={"type": "array", "items": row, "minItems": 1},
                total=exactly(**amounts),
            )
            check(admin.get("/usage", {"group_by": group}), schema)

    def test_takes_a_range_and_refuses_nonsense(self, admin: Client, team: Team) -> None:
        self.book(1, team.pk, "a", 1)
        tomorrow = (timezone.now() + timedelta(days=1)).date().isoformat()
        assert admin.get("/usage", {"from": "2020-01-01", "to": "2020-02-01"}).json()["data"] == []
        assert admin.get("/usage", {"to": tomorrow}).json()["total"]["requests"] == 1
        for query in ({"from": "yesterday"}, {"group_by": "colour"}):
            answer = admin.get("/usage", query)
            assert answer.status_code == 400
            assert answer.json()["error"]["param"] in query
        for query in ({"from": "2020-02-01", "to": "2020-01-01"}, {"from": tomorrow}):
            answer = admin.get("/usage", query)
            assert answer.status_code == 400
            assert answer.json()["error"]["message"].startswith("'from' must be before 'to'")

    @pytest.mark.parametrize(
        ("query", "requests"),
        [
            ({"to": "9999-12-31T23:59:59Z"}, 0),
            ({"from": "2020-01-01", "to": "9999-12-31T23:59:59Z"}, 1),
            ({"from": "0001-01-01T00:00:00+05:00"}, 1),
            ({"to": "0001-01-01"}, 0),
        ],
    )
    def test_takes_a_range_to_the_end_of_time(
        self, admin: Client, team: Team, query: dict[str, str], requests: int
    ) -> None:
        self.book(1, team.pk, "a", 1)
        assert admin.get("/usage", query).json()["total"]["requests"] == requests


@pytest.mark.django_db
class TestDecisions:
    def test_shows_what_was_recorded_whole(self, admin: Client, worker: FakeLive) -> None:
        recorded = {"request_id": "req_1", "candidates": [{"state": {"bar": None}}], "before": []}
        worker.decisions["req_1"] = (recorded, "key:1")
        worker.explained["m"] = {"model": "m", "fallbacks": [{"model": "n"}]}
        assert admin.get("/requests/req_1").json() == recorded
        assert admin.get("/routes/explain", {"model": "m"}).json() == worker.explained["m"]
        assert admin.get("/routes/explain", {"model": "x"}).json()["error"]["code"] == "model_not_found"
        assert admin.get("/routes/explain").status_code == 400

    def test_hides_the_requests_of_others(self, worker: FakeLive) -> None:
        mine = create_key(KeyOrder(name="mine", scopes=("read",)))
        worker.decisions = {
            "req_mine": ({"request_id": "req_mine"}, f"key:{mine.key.pk}"),
            "req_other": ({"request_id": "req_other"}, "team:99"),
        }
        client = Client(headers={"Authorization": f"Bearer {mine.token}"})
        assert client.get("/requests/req_mine").status_code == 200
        assert client.get("/requests/req_other").status_code == 404
        assert client.get("/requests/req_none").status_code == 404

    def test_falls_back_to_the_ledger_for_its_owner(self, admin: Client, worker: FakeLive) -> None:
        mine = create_key(KeyOrder(name="mine", scopes=("read",)))
        common = {"call_id": "c1", "request_id": "req_old", "key_id": mine.key.pk, "usage_source": "provider", "model": "m",
                  "created_at": timezone.now()}  # fmt: skip
        UsageRecord.objects.create(attempt=1, status=502, error_code="timeout", final=False, provider="a", **common)
        UsageRecord.objects.create(attempt=2, status=200, provider="b", duration_ms=1500, **common)
        other = create_key(KeyOrder(name="other", scopes=("read",)))
        for client in (admin, Client(headers={"Authorization": f"Bearer {mine.token}"})):
            found = client.get("/requests/req_old").json()
            assert [(each["provider"], each["outcome"]) for each in found["attempts"]] == [
                ("a", "timeout"),
                ("b", "success"),
            ]
            assert found["attempts"][1]["duration"] == 1.5
        assert Client(headers={"Authorization": f"Bearer {other.token}"}).get("/requests/req_old").status_code == 404
