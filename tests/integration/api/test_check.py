"""`POST /check` against providers on real sockets, and what it leaves behind."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from monitoring.health_facts import Kept
from providers.demo import create_app
from providers.models import Credential, Provider
from tests.integration.api.fake_live import WELL, FakeLive, provider, snapshot
from tests.upstreams.servers import run_asgi


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    with run_asgi(create_app()) as url:
        yield f"{url}/v1"


# A round writes its results from a thread of its own, which must see the rows.
@pytest.mark.django_db(transaction=True)
def test_checks_now_and_answers_with_the_result(admin: Client, worker: FakeLive, upstream: str) -> None:
    rows = [
        Provider.objects.create(name=name, base_url=url)
        for name, url in (("up", upstream), ("down", "http://127.0.0.1:9/v1"))
    ]
    for row in rows:
        credential = Credential(provider=row)
        credential.store("sk-canary-123456789")
        credential.save()
    worker.known = tuple(
        provider(snapshot(row.pk, provider_id=row.pk), id=row.pk, name=row.name, health="unknown") for row in rows
    )
    answer = admin.post("/check")
    assert answer.status_code == 200, answer.content
    results = {each["name"]: each for each in answer.json()["results"]}
    assert (results["up"]["passed"], results["down"]["passed"]) == (True, False)
    assert b"canary" not in answer.content
    shown = {each["name"]: each for each in admin.get("/providers").json()["providers"]}
    assert shown["up"]["response_time"] > 0
    assert shown["up"]["last_check"] == pytest.approx(results["up"]["last_check"], abs=0.001)
    one = admin.post("/check?provider=up").json()
    assert ([each["name"] for each in one["results"]], len(one["providers"])) == (["up"], 1)
    assert admin.get("/health").json()["last_check"] is not None
    assert admin.post("/cache/clear?scope=health").json()["cleared"]["health"] == 2


def test_reads_a_kept_value_once_until_it_is_old() -> None:
    now, reads = [0.0], []
    kept = Kept(lambda: reads.append(1) or len(reads), 0, for_s=5.0, clock=lambda: now[0])
    assert [kept.get(), kept.get()] == [1, 1]
    now[0] = 5.0
    assert kept.get() == 2
    kept.forget()
    assert kept.get() == 3


def test_a_kept_value_stays_what_it_was_while_the_database_is_away() -> None:
    now, away, answers = [0.0], [False], iter([1, OperationalError(), 2])

    def read() -> int:
        answer = next(answers)
        if isinstance(answer, OperationalError):
            raise answer
        return answer

    kept = Kept(read, 0, for_s=5.0, clock=lambda: now[0], away=lambda: away[0])
    assert kept.get() == 1
    now[0] = 5.0
    assert kept.get() == 1  # it failed, after a wait
    away[0] = True
    assert kept.get() == 1  # nothing was asked
    away[0] = False
    assert kept.get() == 2


@pytest.mark.django_db
def test_health_does_not_ask_a_database_that_is_known_to_be_away(worker: FakeLive) -> None:
    worker.now = replace(WELL, sql_down_s=2.0)
    with CaptureQueriesContext(connection) as asked:
        assert Client().get("/health").json()["status"] == "healthy"
    assert asked.captured_queries == []


def test_a_read_that_fails_leaves_nothing_locked() -> None:
    def fail() -> int:
        raise ValueError

    kept = Kept(fail, 0, for_s=5.0)
    for _ in range(2):
        with pytest.raises(ValueError):
            kept.get()
