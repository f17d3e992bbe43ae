"""Whoever asks a worker that is too busy to answer is told so, and how to ask again: never an error of the server's own."""

import asyncio
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import UsageRecord
from monitoring import live, live_feed
from monitoring.refusals import WorkerBusy
from providers.models import Deployment, Provider
from proxy_site import live_worker
from proxy_site.live_worker import WorkerLiveState
from tests.integration.api.conftest import ClientFor
from tests.integration.api.fake_live import FakeLive

HTML = {"Accept": "text/html"}
PAGES = ("/dashboard/requests/?id=req_x", "/dashboard/requests/req_x/")
"""Those that can say nothing without it."""


class BusyLive(FakeLive):
    def _busy(self, *asked: Any) -> Any:
        raise WorkerBusy

    providers = conditions = reset_breakers = clear_cache = explain = decision = _busy


class BusyFeed:
    def snapshot_from_thread(self) -> str:
        raise TimeoutError


@pytest.fixture(autouse=True)
def _busy(db: None) -> Iterator[None]:
    live.install(BusyLive())
    yield
    live.install(None)


@pytest.fixture
def provider() -> Provider:
    row = Provider.objects.create(name="own", base_url="https://own.example/v1")
    Deployment.objects.create(provider=row, model="m")
    return row


def test_the_dashboard_is_shown_and_its_figures_follow(client_for: ClientFor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_feed, "_current", [BusyFeed()])
    client = client_for("staff")
    page = client.get("/dashboard/", headers=HTML)
    assert page.status_code == 200
    assert '"late": true' in page.content.decode()
    assert client.get("/dashboard/live.json").status_code == 503


@pytest.mark.parametrize("address", PAGES)
def test_a_page_that_has_nothing_to_show_leads_to_itself_again(client_for: ClientFor, address: str) -> None:
    answer = client_for("staff").get(address, headers=HTML)
    assert (answer.status_code, answer["Retry-After"], answer["Cache-Control"]) == (503, "5", "no-store")
    page = answer.content.decode()
    assert "The gateway is busy" in page
    assert f'href="{address}"' in page


def test_a_provider_is_shown_without_what_the_worker_alone_knows(client_for: ClientFor, provider: Provider) -> None:
    client, address = client_for("superuser"), f"/dashboard/providers/{provider.pk}/"
    page = client.get(address, headers=HTML).content.decode()
    assert "The gateway is too busy to answer" in page
    assert "not checked yet</span>" not in page, "nobody knows that"
    assert page.count("data-action=") == 4
    client.handler.enforce_csrf_checks = False
    pressed = client.post(f"{address}reset/")
    assert (pressed.status_code, "too busy" in pressed.json()["message"]) == (503, True)


def test_a_booked_request_is_shown_without_its_decision(client_for: ClientFor) -> None:
    UsageRecord.objects.create(
        request_id="req_x", call_id="c", model="m", deployment="own/m", provider="own", status=200, attempt=1,
        final=True, created_at=timezone.now(), endpoint="chat",
    )  # fmt: skip
    page = client_for("staff").get(PAGES[1], headers=HTML)
    assert (page.status_code, "The gateway is too busy to answer" in page.content.decode()) == (200, True)


def test_the_playground_opens(client_for: ClientFor, provider: Provider) -> None:
    assert client_for("viewer").get("/playground/", headers=HTML).status_code == 200


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("get", "/health"), ("get", "/providers"), ("get", "/status"), ("get", "/routes/explain?model=m"),
        ("get", "/requests/req_x"), ("post", "/cache/clear"), ("post", "/circuit-breakers/reset"),
    ],
)  # fmt: skip
def test_programs_are_told_when_to_ask_again(client_for: ClientFor, method: str, address: str) -> None:
    answer = getattr(client_for("admin"), method)(address, headers=HTML)
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert (answer.json()["error"]["type"], answer.json()["error"]["code"]) == ("server_error", "busy")


def test_a_busy_worker_is_not_ready_and_alive() -> None:
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["reasons"]) == (503, {"worker": "busy"})
    assert Client().get("/livez").status_code == 200


def test_what_a_busy_loop_was_asked_is_not_done_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_worker, "ANSWER_S", 0.05)
    done: list[int] = []
    worker: Any = SimpleNamespace(states=SimpleNamespace(reset=done.append))
    state = WorkerLiveState(worker)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    state._loop = loop
    loop.call_soon_threadsafe(time.sleep, 0.3)
    with pytest.raises(WorkerBusy):
        state.reset_breakers((1,))
    monkeypatch.setattr(live_worker, "ANSWER_S", 5.0)
    state.reset_breakers(())
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    assert done == []
