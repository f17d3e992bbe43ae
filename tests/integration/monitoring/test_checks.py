"""Health checks end to end: real sockets, the real database, the whole round."""

import json
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from accounts.models import UsageRecord
from monitoring import checks
from monitoring.models import BreakerEvent, HealthSample, HealthState, MonitoringSettings, ProbeSpend
from monitoring.targets import load_targets
from providers.models import Credential, Deployment, Provider

pytestmark = pytest.mark.django_db(transaction=True)

MODELS = json.dumps({"object": "list", "data": [{"id": "gpt-4", "object": "model"}]}).encode()
CHAT = json.dumps(
    {
        "id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "H"}, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 8, "completion_tokens": 1, "total_tokens": 9},
    }
).encode()  # fmt: skip


class Upstream(ThreadingHTTPServer):
    """`status`, `delay_s` and `location` decide how it answers; `paths` and `keys` are what it was asked."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.delay_s, self.location = 200, 0.0, ""
        self.paths: list[str] = []
        self.keys: list[str | None] = []

    def handle_error(self, request, client_address) -> None:
        """A client that went away is what some tests are about."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        server.paths.append(self.path)
        server.keys.append(self.headers["authorization"])
        time.sleep(server.delay_s)
        self.send_response(server.status)
        if server.location:
            self.send_header("location", server.location)
        body = CHAT if self.command == "POST" else MODELS
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - http.server's name

    def log_message(self, *args) -> None:
        pass


@contextmanager
def serving():
    server = Upstream()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def upstream():
    with serving() as server:
        yield server


def provider(name: str, url: str, **fields) -> Provider:
    row = Provider.objects.create(name=name, kind="openai", base_url=url, **fields)
    credential = Credential(provider=row, name="default")
    credential.store(f"sk-test-{name}-0123456789")
    credential.save()
    return row


def statuses() -> dict[str, str]:
    return {state.provider.name: state.status for state in HealthState.objects.filter(deployment=None)}


def test_a_round_finds_the_living_and_the_dead(upstream):
    provider("alive", upstream.url)
    provider("dead", "http://127.0.0.1:1/v1")
    provider("off", upstream.url, enabled=False)
    verdicts = checks.check_now()
    assert [(each.name, each.after, each.result.evidence) for each in verdicts] == [
        ("alive", "healthy", "models"),
        ("dead", "degraded", "models"),
    ]
    assert upstream.keys == ["Bearer sk-test-alive-0123456789"]
    for _ in range(2):
        checks.check_now(["dead"])
    assert statuses() == {"alive": "healthy", "dead": "unhealthy"}
    assert HealthSample.objects.filter(name="dead").count() == 3


def test_one_slow_provider_delays_no_other(upstream, settings):
    settings.HTTP_TIMEOUT_S = 1.0
    with serving() as slow:
        slow.delay_s = 3.0
        provider("slow", slow.url)
        for number in range(20):
            provider(f"quick-{number}", upstream.url)
        seen: list[tuple[float, int]] = []
        began = time.monotonic()
        rounds = threading.Thread(target=check_and_close)
        rounds.start()
        while rounds.is_alive():
            seen.append((time.monotonic() - began, HealthState.objects.count()))
            time.sleep(0.05)
        took = time.monotonic() - began
    assert took < 3
    first_twenty = next(at for at, count in seen if count >= 20)
    assert first_twenty < took - 0.2
    assert statuses()["slow"] == "degraded"


def check_and_close() -> None:
    checks.check_now()
    connection.close()


def test_redirects_are_not_followed_and_the_key_goes_nowhere_else(upstream):
    with serving() as elsewhere:
        upstream.status, upstream.location = 302, elsewhere.url
        provider("redirecting", upstream.url)
        (verdict,) = checks.check_now()
        assert elsewhere.keys == []
    assert not verdict.result.passed


def test_private_addresses_are_refused_where_they_are_not_allowed(upstream):
    provider("discovered", upstream.url, allow_private=False)
    provider("metadata", "http://169.254.169.254/v1")
    verdicts = checks.check_now()
    assert [each.result.reason for each in verdicts] == ["connect", "connect"]
    assert "loopback" in verdicts[0].result.message
    assert "metadata" in verdicts[1].result.message
    assert upstream.paths == []


def test_scheduled_rounds_leave_out_what_is_fresh_and_the_cache_can_be_cleared(upstream):
    provider("alive", upstream.url)
    assert len(checks.check_all(interval_s=0.2)) == 1
    assert checks.check_all(interval_s=0.2) == []
    call_command("clear_cache", "health", "--json")
    assert len(checks.check_all(interval_s=0.2)) == 1
    assert len(upstream.paths) == 2


def test_a_result_that_will_be_old_when_its_providers_turn_comes_is_no_reason_to_leave_it_out(upstream):
    """Or the last ones of each long round would be looked at in every second one only."""
    for number in range(10):
        provider(f"p{number}", upstream.url)
    checks.check_now()
    HealthState.objects.update(fresh_until=timezone.now() + timedelta(seconds=330))
    known = load_targets(traffic={})
    due = checks._due(known, spread_s=600)
    assert [each.target.provider.name for each in due] == ["p6", "p7", "p8", "p9"]
    assert checks._due(known, spread_s=200) == []


def test_of_very_many_in_trouble_those_are_looked_at_that_were_not_for_longest(upstream, monkeypatch):
    monkeypatch.setattr(checks, "TROUBLED_AT_ONCE", 3)
    upstream.status = 500
    for number in range(5):
        provider(f"p{number}", upstream.url)
    checks.check_now()
    looked_at = [{verdict.name for verdict in checks.check_troubled()} for _ in range(2)]
    assert [len(names) for names in looked_at] == [3, 3]
    assert looked_at[0] | looked_at[1] == {f"p{number}" for number in range(5)}


def test_troubled_providers_are_back_after_two_good_rounds(upstream):
    provider("alive", upstream.url)
    upstream.status = 500
    for _ in range(3):
        checks.check_now()
    assert statuses() == {"alive": "unhealthy"}
    upstream.status = 200
    assert [each.after for each in checks.check_troubled()] == ["unhealthy"]
    assert [each.after for each in checks.check_troubled()] == ["healthy"]
    assert checks.check_troubled() == []


def use(row: Provider, status: int, error_code: str = "", count: int = 1) -> None:
    for number in range(count):
        UsageRecord.objects.create(
            call_id=f"{row.name}-{status}-{number}", attempt=1, request_id="r", created_at=timezone.now(), status=status,
            provider=row.name, deployment=f"{row.name}/gpt-4", error_code=error_code, usage_source="provider",
            time_to_first_token_ms=300,
        )  # fmt: skip


def test_real_calls_are_looked_at_first(upstream):
    busy = provider("busy", upstream.url)
    deployment = Deployment.objects.create(provider=busy, model="gpt-4")
    use(busy, 200, count=3)
    use(busy, 400, "invalid_request_error", count=50)
    verdicts = checks.check_now()
    assert [(each.name, each.result.evidence, each.after) for each in verdicts] == [
        ("busy", "traffic", "healthy"),
        ("busy/gpt-4", "traffic", "healthy"),
    ]
    assert upstream.paths == []
    assert HealthState.objects.get(deployment=deployment).response_time_s == pytest.approx(0.3)


def test_calls_that_all_fail_speak_louder_than_a_list(upstream):
    broken = provider("broken", upstream.url)
    Deployment.objects.create(provider=broken, model="gpt-4")
    use(broken, 502, "server_error", count=5)
    for _ in range(3):
        checks.check_now()
    assert statuses() == {"broken": "unhealthy"}
    UsageRecord.objects.all().delete()
    checks.check_now()
    checks.check_now()
    assert {state.status for state in HealthState.objects.all()} == {"healthy"}


def opened(row: Provider, deployment: Deployment, *, seconds_ago: float) -> None:
    BreakerEvent.objects.create(
        at=timezone.now() - timedelta(seconds=seconds_ago),
        provider_id=row.pk,
        provider_name=row.name,
        deployment_id=deployment.pk,
        after="open",
    )


def test_calls_from_before_a_breaker_opened_prove_nothing(upstream):
    died = provider("died", upstream.url)
    deployment = Deployment.objects.create(provider=died, model="gpt-4", upstream_model="gpt-4")
    use(died, 200, count=9)
    use(died, 502, "server_error", count=5)
    opened(died, deployment, seconds_ago=0)
    upstream.status = 500
    assert [(each.result.passed, each.result.evidence) for each in checks.check_troubled()] == [(False, "models")]
    upstream.status = 200
    UsageRecord.objects.filter(status=200).delete()
    assert {(each.result.passed, each.result.evidence) for each in checks.check_troubled()} == {(True, "models")}


def test_calls_that_succeed_after_a_breaker_opened_count(upstream):
    busy = provider("busy", upstream.url)
    deployment = Deployment.objects.create(provider=busy, model="gpt-4", upstream_model="gpt-4")
    opened(busy, deployment, seconds_ago=3)
    use(busy, 200, count=9)
    assert {each.result.evidence for each in checks.check_troubled()} == {"traffic"}


def test_paid_probes_stop_at_the_cap_of_the_day(upstream):
    MonitoringSettings.objects.create(pk=1, paid_probes=True, paid_probes_usd_per_day="0.0001")
    row = provider("paid", upstream.url)
    Deployment.objects.create(
        provider=row, model="gpt-4", input_nano_usd_per_mtok=1_000_000_000, output_nano_usd_per_mtok=2_000_000_000
    )
    evidence = [checks.check_now()[0].result.evidence for _ in range(4)]
    # 16 tokens at 3 USD per million are 48,000 nano-USD, twice within 100,000.
    assert evidence == ["completion", "completion", "models", "models"]
    spend = ProbeSpend.objects.get()
    assert (spend.probes, spend.nano_usd) == (2, 96_000)


@pytest.mark.parametrize("capabilities", [["embeddings"], []])
def test_a_paid_probe_chats_with_a_model_that_chats_though_embeddings_are_cheaper(upstream, capabilities):
    row = provider("paid", upstream.url)
    for model, price, can in (("text-embedding-3-small", 0, capabilities), ("gpt-4", 1_000_000_000, [])):
        prices = {"input_nano_usd_per_mtok": price, "output_nano_usd_per_mtok": price}
        Deployment.objects.create(provider=row, model=model, capabilities=can, **prices)
    (known,) = load_targets(traffic={}, paid=True)
    assert known.target.cheapest.model == "gpt-4"


def test_the_command_prints_results_and_fails_when_somebody_is_unhealthy(upstream, capsys):
    provider("alive", upstream.url)
    call_command("check_providers", "--json")
    (result,) = json.loads(capsys.readouterr().out)["providers"]
    assert (result["name"], result["status"], result["passed"], result["evidence"]) == (
        "alive",
        "healthy",
        True,
        "models",
    )
    provider("dead", "http://127.0.0.1:1/v1")
    for _ in range(2):
        call_command("check_providers", "dead")
    with pytest.raises(CommandError, match="Unhealthy: dead"):
        call_command("check_providers")
    with pytest.raises(CommandError, match="nobody"):
        call_command("check_providers", "nobody")


def test_a_provider_that_asks_for_a_key_where_none_is_configured_says_so(upstream):
    upstream.status = 401
    Provider.objects.create(name="keyless", base_url=upstream.url)
    checks.check_now()
    assert "asks for a credential, and none is configured" in HealthState.objects.get().cause


def test_secrets_stay_out_of_everything_a_check_leaves_behind(upstream):
    upstream.status = 401
    provider("canary", upstream.url)
    checks.check_now()
    left = json.dumps([list(HealthState.objects.values()), list(HealthSample.objects.values())], default=str)
    assert "sk-test-canary" not in left
