"""One worker's monitoring as a whole: opened, told of calls, asked for metrics, closed; health arrives within two seconds."""

import asyncio
import time

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from monitoring.credential_state import ANONYMOUS
from monitoring.event_recorder import write_rows
from monitoring.metrics import metrics_text
from monitoring.models import BreakerEvent, HealthState
from monitoring.request_log import RequestLog
from monitoring.upstream_state import UpstreamStates
from monitoring.worker_monitoring import WorkerMonitoring
from providers.errors import ServerFailed
from providers.models import Provider
from tests.unit.monitoring.calls import finished
from tests.unit.routing.pools import deployment, provider

pytestmark = pytest.mark.django_db(transaction=True)


@sync_to_async
def found_unhealthy() -> int:
    row = Provider.objects.create(name="p", kind="openai", base_url="https://api.example.com")
    now = timezone.now()
    HealthState.objects.create(
        provider=row, status="unhealthy", since=now, last_check_at=now, fresh_until=now, updated_at=now
    )
    return row.pk


async def until(condition, within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("fault", [{"cause": "half a pair: \ud83d"}, {"provider_id": 2**70}])
def test_an_event_that_cannot_be_written_does_not_hold_up_the_others(fault):
    rows = [BreakerEvent(at=timezone.now(), provider_id=number) for number in range(5)]
    for name, value in fault.items():
        setattr(rows[2], name, value)
    write_rows(rows)
    assert sorted(BreakerEvent.objects.values_list("provider_id", flat=True)) == [0, 1, 3, 4]


async def test_a_worker_observes_follows_and_leaves_nothing_open(tmp_path):
    states = UpstreamStates(time.monotonic, lambda: 0.5)
    lines: list[bytes] = []
    monitoring = WorkerMonitoring(
        states, data_dir=tmp_path, family="test", requests=RequestLog(lines.append), journal_backlog=lambda: 3
    )
    provider_id = await found_unhealthy()
    spec = deployment(1, of=provider(provider_id))
    states.sync([spec])
    await monitoring.open()
    try:
        monitoring.observe([finished()])
        assert monitoring.traffic.finished == len(lines) == 1
        await until(lambda: states.find(1).provider.health == "unhealthy", within_s=2)
        for _ in range(5):
            states.on_failure(states.on_start(spec, ANONYMOUS), ServerFailed("x"))
        monitoring.sample()
        text = metrics_text().decode()
        assert 'llm_proxy_requests_total{provider="openai",endpoint="chat/completions",status="200"} 1' in text
        assert f'llm_proxy_provider_health{{provider="p{provider_id}"}} 0' in text
        assert f'llm_proxy_circuit_breaker_state{{provider="p{provider_id}"}} 2' in text
        assert "llm_proxy_journal_backlog 3" in text
    finally:
        await monitoring.aclose()
    event = await sync_to_async(BreakerEvent.objects.get)()
    assert (event.after, event.deployment_id) == ("open", 1)
    assert states.hooks == []
    assert b"llm_proxy_requests" not in metrics_text()
    assert not any((tmp_path / "metrics").iterdir())
    assert len(asyncio.all_tasks()) == 1
