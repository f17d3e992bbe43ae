import errno
import os
import random
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitoring import metrics as metrics_module
from monitoring.credential_state import ANONYMOUS
from monitoring.metric_names import GAUGES, METRICS
from monitoring.metric_store import MetricStore, family_name
from monitoring.metrics import RequestMetrics, metrics_text
from monitoring.upstream_state import UpstreamStates
from providers.errors import ServerFailed
from tests.unit.monitoring.calls import attempt, finished, told, totals
from tests.unit.routing.pools import deployment, provider


def worker(directory, family: str = "family") -> RequestMetrics:
    metrics = RequestMetrics(MetricStore(directory, family, gauges=GAUGES))
    metrics.open()
    return metrics


def die(metrics: RequestMetrics) -> None:
    """Ends as by `kill -9`: the kernel lets go of the lock, the files stay."""
    os.close(metrics._store._keys_file)


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def value(metrics: RequestMetrics, name: str, **labels: str) -> float:
    return samples(metrics.text())[name, tuple(sorted(labels.items()))]


@pytest.fixture
def metrics(tmp_path):
    metrics = worker(tmp_path)
    yield metrics
    metrics.close()


def test_a_call_counts_everywhere_it_should(metrics):
    metrics.observe(*told(
        finished(
            input_tokens=100, output_tokens=50, cached_tokens=40, reasoning_tokens=20, cost_nano_usd=2_500_000,
            first_token_s=0.3, overhead_s=0.0004, cache="miss", condensed="summarised",
        )
    ))  # fmt: skip
    assert value(metrics, "llm_proxy_requests_total", provider="openai", endpoint="chat/completions", status="200") == 1
    for operation, tokens in (("input", 100), ("output", 50), ("cached", 40), ("reasoning", 20)):
        assert value(metrics, "llm_proxy_tokens_total", provider="openai", operation=operation) == tokens
    assert value(metrics, "llm_proxy_cost_usd_total", provider="openai") == pytest.approx(0.0025)
    assert value(metrics, "llm_proxy_cache_total", result="miss") == 1
    assert value(metrics, "llm_proxy_condensations_total", result="summarised") == 1
    assert value(metrics, "llm_proxy_response_time_seconds_sum", provider="openai") == pytest.approx(0.3)
    assert value(metrics, "llm_proxy_overhead_seconds_bucket", le="0.0005") == 1
    assert value(metrics, "llm_proxy_overhead_seconds_bucket", le="0.00025") == 0


def test_a_provider_is_not_blamed_for_the_time_that_went_to_another(metrics):
    metrics.observe(*told(
        finished(
            provider="cohere", first_token_s=20.5,
            attempts=(attempt("openai", "timeout"), attempt("cohere", started_s=20.0, first_token_s=20.5)),
        ),
        finished(
            provider="cohere", first_token_s=2.25,
            attempts=(attempt("cohere", started_s=2.0, first_token_s=2.25), attempt("openai", "cancelled", started_s=2.1)),
        ),
    ))  # fmt: skip
    assert value(metrics, "llm_proxy_response_time_seconds_sum", provider="cohere") == pytest.approx(0.75)
    assert value(metrics, "llm_proxy_response_time_seconds_bucket", provider="cohere", le="0.5") == 2


def test_failed_attempts_are_errors_retries_and_failovers(metrics):
    metrics.observe(
        *told(
            finished(
                provider="cohere",
                attempts=(
                    attempt("openai", "timeout"),
                    attempt("openai", "server_error"),
                    attempt("cohere", "success"),
                ),
            )
        )
    )
    for reason in ("timeout", "server_error"):
        assert value(metrics, "llm_proxy_errors_total", provider="openai", error_type=reason) == 1
        assert value(metrics, "llm_proxy_retries_total", provider="openai", reason=reason) == 1
    assert samples(metrics.text())["llm_proxy_failovers_total", (("from", "openai"), ("to", "cohere"))] == 1


def test_a_call_that_reached_nobody_is_an_error_of_no_provider(metrics):
    metrics.observe(*told(finished(provider="none", status=503, error_type="no_provider_available", attempts=())))
    assert value(metrics, "llm_proxy_errors_total", provider="none", error_type="no_provider_available") == 1


def test_a_client_that_left_is_no_error(metrics):
    metrics.observe(*told(finished(status=499, attempts=(attempt("openai", "cancelled"),))))
    assert totals(metrics, "llm_proxy_errors_total") == {}


def test_buckets_are_cumulative_and_reach_from_5_ms_to_300_s(metrics):
    durations = [0.001, 0.005, 0.02, 1.0, 299.0, 1000.0]
    for duration in durations:
        metrics.observe(*told(finished(duration_s=duration)))
    buckets = {
        float(dict(labels)["le"]): number
        for (name, labels), number in samples(metrics.text()).items()
        if name == "llm_proxy_request_duration_seconds_bucket"
    }
    assert min(buckets) == 0.005
    assert sorted(buckets)[-2:] == [300.0, float("inf")]
    for bound, number in buckets.items():
        assert number == sum(duration <= bound for duration in durations)
    labels = {"provider": "openai", "endpoint": "chat/completions"}
    assert value(metrics, "llm_proxy_request_duration_seconds_count", **labels) == len(durations)


def test_every_name_of_the_contract_is_announced(metrics):
    text = metrics.text().decode()
    for metric in METRICS:
        assert f"# TYPE {metric.name} {metric.kind}\n" in text


def test_three_workers_are_summed_whichever_is_asked(tmp_path):
    workers = [worker(tmp_path) for _ in range(3)]
    for number, metrics in enumerate(workers):
        for _ in range(number + 1):
            metrics.observe(*told(finished(input_tokens=10)))
    for metrics in workers:
        assert sum(totals(metrics, "llm_proxy_requests_total").values()) == 6
        assert value(metrics, "llm_proxy_tokens_total", provider="openai", operation="input") == 60
    for metrics in workers:
        metrics.close()


def test_totals_survive_a_worker_that_dies_and_its_successor(tmp_path):
    first, second = worker(tmp_path), worker(tmp_path)
    for metrics in (first, second):
        metrics.observe(*told(finished()))
    die(second)
    assert sum(totals(first, "llm_proxy_requests_total").values()) == 2
    third = worker(tmp_path)
    third.observe(*told(finished(provider="cohere")))
    for metrics in (first, third):
        assert sum(totals(metrics, "llm_proxy_requests_total").values()) == 3
    assert len(list((tmp_path / "family").glob("*.keys"))) == 2
    first.close()
    third.close()


def test_the_last_worker_leaves_nothing_behind(tmp_path):
    first, second = worker(tmp_path), worker(tmp_path)
    first.close()
    assert list((tmp_path / "family").glob("*.keys"))
    second.close()
    assert not (tmp_path / "family").exists()


def test_families_do_not_mix(tmp_path):
    one, other = worker(tmp_path, "one"), worker(tmp_path, "other")
    one.observe(*told(finished()))
    assert totals(other, "llm_proxy_requests_total") == {}
    one.close()
    other.close()


def test_what_was_counted_before_opening_is_kept(tmp_path):
    metrics = RequestMetrics(MetricStore(tmp_path, "family", gauges=GAUGES))
    metrics.observe(*told(finished()))
    metrics.open()
    metrics.observe(*told(finished()))
    assert sum(totals(metrics, "llm_proxy_requests_total").values()) == 2
    metrics.close()
    assert sum(totals(metrics, "llm_proxy_requests_total").values()) == 2


def test_the_store_grows_and_others_follow(tmp_path):
    first, second = worker(tmp_path), worker(tmp_path)
    for number in range(400):
        first.observe(*told(finished(provider=f"p{number}")))
        if number % 50 == 0:
            assert sum(totals(second, "llm_proxy_requests_total").values()) == number + 1
    assert sum(totals(second, "llm_proxy_requests_total").values()) == 400
    assert sum(totals(first, "llm_proxy_requests_total").values()) == 400
    first.close()
    second.close()


class Disk:
    """Takes so many bytes, then none until it has `room` again."""

    def __init__(self) -> None:
        self.room = 10**9

    def write(self, file: int, data: bytes) -> int:
        if self.room == 0:
            raise OSError(errno.ENOSPC, "no space left")
        written = os.write(file, data[: self.room])
        self.room -= written
        return written


@pytest.mark.parametrize("room", [0, 1, 100])
def test_a_full_disk_fails_nobody_who_counts_and_others_follow_when_there_is_room(tmp_path, room):
    disk, other = Disk(), worker(tmp_path)
    metrics = RequestMetrics(MetricStore(tmp_path, "family", gauges=GAUGES, write=disk.write))
    metrics.open()
    disk.room = room
    for name in ("openai", "cohere", "openai"):
        metrics.observe(*told(finished(provider=name)))
    assert sum(totals(metrics, "llm_proxy_requests_total").values()) == 3

    disk.room = 10**9
    metrics.sample(UpstreamStates(time.monotonic, random.random), now=0.0)
    assert totals(other, "llm_proxy_requests_total") == totals(metrics, "llm_proxy_requests_total")
    metrics.close()
    other.close()


@pytest.mark.parametrize("room", [0, 101])
def test_numbers_without_room_are_counted_by_their_own_worker(tmp_path, room):
    disk, other = Disk(), worker(tmp_path)
    store = MetricStore(tmp_path, "family", write=disk.write)
    store.open()
    first = store.slot("first")
    store.numbers[first] += 1
    disk.room = room
    for number in range(5_000):
        slot = store.slot("more", str(number))
        store.numbers[slot] += 1
    store.numbers[first] += 1

    found = store.read()
    assert found[("more", "4999")] == [1]
    assert found[("first",)] == [2]
    assert sum(totals(other, "first").values()) == 1
    store.close()
    other.close()


def test_the_numbers_have_their_room_on_the_disk_before_they_are_touched(tmp_path):
    """A hole in a mapped file, touched when the disk is full, ends the process with SIGBUS."""
    metrics = worker(tmp_path)
    (numbers,) = (tmp_path / "family").glob("*.numbers")
    found = numbers.stat()
    assert found.st_blocks * 512 >= found.st_size > 0
    metrics.close()


def test_junk_makes_no_series(metrics):
    draw = random.Random(1)
    for number in range(100_000):
        junk = f"junk-{draw.random()}"
        metrics.observe(*told(finished(model=junk, endpoint="chat/completions", status=draw.choice([200, 404]))))
        if number % 10 == 0:
            metrics.observe(
                *told(finished(endpoint=junk, status=draw.randint(200, 999), error_type=junk, cache=junk, attempts=()))
            )
            metrics.limited(junk)
    began = time.perf_counter()
    text = metrics.text()
    seconds = time.perf_counter() - began
    lines = [line for line in text.splitlines() if not line.startswith(b"#")]
    assert len(lines) <= 2000
    assert seconds < 0.5, "50 ms on a machine of its own"
    assert sum(totals(metrics, "llm_proxy_requests_total").values()) == 110_000


def test_failovers_between_very_many_providers_are_folded(metrics):
    for number in range(1000):
        metrics.observe(*told(finished(attempts=(attempt(f"a{number}", "timeout"), attempt(f"b{number}")))))
    failovers = totals(metrics, "llm_proxy_failovers_total")
    assert sum(failovers.values()) == 1000
    assert len(failovers) <= 500
    assert failovers["other", "other"] > 0


def test_labels_are_escaped(metrics):
    metrics.observe(*told(finished(provider='we"ird\\na\nme')))
    assert value(
        metrics, "llm_proxy_requests_total", provider='we"ird\\na\nme', endpoint="chat/completions", status="200"
    )


def test_gauges_come_from_what_is_known_of_upstreams(metrics):
    states = UpstreamStates(lambda: 1000.0, lambda: 0.5)
    first, second = deployment(1, of=provider(1)), deployment(2, of=provider(1))
    states.sync([first, second, deployment(3)])
    states.on_start(first, ANONYMOUS)
    states.on_start(second, ANONYMOUS)
    for _ in range(5):
        states.on_failure(states.on_start(second, ANONYMOUS), ServerFailed("x"))
    states.set_provider_health(1, "degraded")
    metrics.sample(states, now=1000.0, journal_backlog=7, health_cache_size=2)
    assert value(metrics, "llm_proxy_active_connections", provider="p1") == 2
    assert value(metrics, "llm_proxy_circuit_breaker_state", provider="p1") == 2
    assert value(metrics, "llm_proxy_circuit_breaker_state", provider="p3") == 0
    assert value(metrics, "llm_proxy_provider_health", provider="p1") == 0.5
    assert value(metrics, "llm_proxy_journal_backlog") == 7
    assert value(metrics, "llm_proxy_health_check_cache_size") == 2
    assert ("llm_proxy_provider_health", (("provider", "p3"),)) not in samples(metrics.text())
    states.sync([deployment(3)])
    metrics.sample(states, now=1000.0)
    assert ("llm_proxy_active_connections", (("provider", "p1"),)) not in samples(metrics.text())


def test_gauges_of_the_dead_are_forgotten_and_those_of_the_living_combined(tmp_path):
    one, other = worker(tmp_path), worker(tmp_path)
    states = UpstreamStates(lambda: 1000.0, lambda: 0.5)
    spec = deployment(1)
    states.sync([spec])
    states.on_start(spec, ANONYMOUS)
    for metrics in (one, other):
        metrics.sample(states, now=1000.0, journal_backlog=3)
    assert value(one, "llm_proxy_active_connections", provider="p1") == 2
    assert value(one, "llm_proxy_journal_backlog") == 6
    die(other)
    assert value(one, "llm_proxy_active_connections", provider="p1") == 1
    one.close()


def test_the_view_shows_ours_and_djangos(metrics):
    metrics_module.install(metrics)
    try:
        text = metrics_text()
    finally:
        metrics_module.install(None)
    assert b"llm_proxy_requests_total" in text
    assert b"python_info" in text
    assert len(list(text_string_to_metric_families(text.decode()))) > len(METRICS)
    assert b"# TYPE llm_proxy" not in metrics_text()


def test_a_family_is_named_for_one_life_of_a_process():
    import os

    assert family_name(os.getpid()) == family_name(os.getpid())
    assert family_name(os.getpid()) != family_name(os.getppid())
