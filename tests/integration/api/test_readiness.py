from dataclasses import replace

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings

from monitoring import live
from tests.integration.api.conftest import ClientFor
from tests.integration.api.fake_live import WELL, FakeLive


@pytest.mark.django_db
def test_is_alive_before_the_worker_has_started() -> None:
    live.install(None)
    assert Client().get("/livez").status_code == 200
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["reasons"]) == (503, {"worker": "starting"})
    assert Client().get("/health").status_code == 503


@pytest.mark.django_db
def test_asks_the_database_nothing(worker: FakeLive) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert Client().get("/livez").status_code == 200
        assert Client().get("/readyz").status_code == 200
    assert len(queries) == 0


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({}, 200, None),
        ({"draining": True}, 503, "worker"),
        ({"sql_down_s": 3.0, "stale": True}, 200, "database"),
        ({"sql_down_s": 301.0, "stale": True}, 503, "database"),
        ({"redis_up": False}, 200, "redis"),
        ({"stale": True}, 200, "configuration"),
        ({"journal_backlog": 1_000_000}, 200, "journal"),
        ({"journal_full": True}, 503, "journal"),
        ({"journal_full": True, "journal_backlog": 1_000_000}, 503, "journal"),
    ],
)
def test_says_why_it_is_not_as_it_should_be(
    changes: dict[str, object], status: int, reason: str | None, worker: FakeLive
) -> None:
    worker.now = replace(WELL, **changes)  # type: ignore[arg-type]
    answer = Client().get("/readyz")
    assert answer.status_code == status
    assert answer.json()["status"] == ("ready" if status == 200 else "not_ready")
    assert (reason is None and answer.json()["reasons"] == {}) or reason in answer.json()["reasons"]


@pytest.mark.django_db
def test_answers_head_with_the_status_alone(worker: FakeLive) -> None:
    for path in ("/livez", "/readyz", "/health"):
        answer = Client().head(path)
        assert (answer.status_code, answer.content) == (200, b""), path
    worker.now = replace(WELL, draining=True)
    assert Client().head("/readyz").status_code == 503
    live.install(None)
    seen = [Client().head(path).status_code for path in ("/livez", "/readyz", "/health")]
    assert seen == [200, 503, 503]


@pytest.mark.parametrize(("configured", "shown"), [("2026.11-blue", "2026.11-blue"), ("", settings.VERSION)])
def test_shows_readers_the_version_that_the_configuration_names(
    configured: str, shown: str, client_for: ClientFor, worker: FakeLive
) -> None:
    worker.now = replace(WELL, app_version=configured)
    reader = client_for("read")
    assert (reader.get("/health").json()["version"], reader.get("/status").json()["version"]) == (shown, shown)
    assert "version" not in Client().get("/health").json()


@pytest.mark.django_db
@override_settings(ALLOWED_HOSTS=["llm.example.com"], SECURE_SSL_REDIRECT=True)
def test_probes_and_scrapers_need_no_host_name(worker: FakeLive) -> None:
    """They ask by an address: Docker's health check, a kubelet, HAProxy, Prometheus."""
    by_address = Client(headers={"host": "10.1.2.3:8000"})
    seen = [by_address.get(path).status_code for path in ("/livez", "/readyz", "/health", "/metrics")]
    assert seen == [200, 200, 200, 401]


@pytest.mark.django_db
@override_settings(ALLOWED_HOSTS=["llm.example.com"])
def test_everything_else_needs_one_and_says_which_setting_names_them() -> None:
    for path in ("/providers", "/api/providers/", "/dashboard/", "/admin/"):
        answer = Client(headers={"host": "10.1.2.3:8000"}).get(path)
        assert answer.status_code == 400, path
        assert "PROXY_API_ALLOWED_HOSTS" in answer.json()["error"]["message"], path
