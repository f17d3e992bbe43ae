from monitoring.traffic import RECENT, SPAN_S, Traffic
from tests.unit.monitoring.calls import finished, told

NOW = 1_700_000_100.5


def at(second: float, **fields):
    return finished(ended_at=NOW - second, **fields)


def test_sums_up_the_window_before_the_running_second():
    traffic = Traffic()
    traffic.observe(*told(at(0.1, output_tokens=9)))  # belongs to the second that is not over
    for seconds in (1, 2, 30):
        traffic.observe(
            *told(at(seconds, input_tokens=5, output_tokens=60, cost_nano_usd=10, first_token_s=0.5, cache="hit"))
        )
    traffic.observe(*told(at(2, status=503, provider="cohere", duration_s=4.5)))
    total = traffic.total(now=NOW, window_s=60)
    assert (total.requests, total.errors, total.input_tokens, total.output_tokens) == (4, 1, 15, 180)
    assert (total.cost_nano_usd, total.cache_hits) == (30, 3)
    assert (total.requests_per_s, total.tokens_per_s, total.error_rate) == (4 / 60, 3.0, 0.25)
    assert total.first_token_s == 0.5
    assert total.duration_s == (3 * 1.5 + 4.5) / 4


def test_knows_providers_apart():
    traffic = Traffic()
    traffic.observe(*told(at(1)))
    traffic.observe(*told(at(1, provider="cohere", status=502)))
    by_provider = traffic.by_provider(now=NOW)
    assert {name: (each.requests, each.errors) for name, each in by_provider.items()} == {
        "cohere": (1, 1),
        "openai": (1, 0),
    }


def test_draws_every_second_with_zeros_where_nothing_ended():
    traffic = Traffic()
    traffic.observe(*told(at(3)))
    seconds = traffic.per_second(now=NOW, window_s=5)
    assert [each.requests for each in seconds] == [0, 0, 1, 0, 0]
    assert seconds[0].first_token_s is None


def test_forgets_what_is_older_than_the_ring():
    traffic = Traffic()
    traffic.observe(*told(at(SPAN_S + 10)))
    assert traffic.total(now=NOW, window_s=10 * SPAN_S).requests == 0
    traffic.observe(*told(at(10)))
    assert traffic.total(now=NOW, window_s=10 * SPAN_S).requests == 1


def test_a_clients_mistake_is_no_error_of_ours():
    traffic = Traffic()
    for status in (400, 429, 499):
        traffic.observe(*told(at(1, status=status)))
    assert traffic.total(now=NOW).errors == 0


def test_remembers_the_last_calls_only():
    traffic = Traffic()
    for number in range(RECENT + 50):
        traffic.observe(*told(at(1, request_id=f"req_{number}")))
    assert len(traffic.recent) == RECENT
    assert traffic.recent[-1].request_id == f"req_{RECENT + 49}"
    assert traffic.finished == RECENT + 50


def test_workers_add_each_others_rows():
    mine, theirs = Traffic(), Traffic()
    mine.observe(*told(at(2)))
    theirs.observe(*told(at(2, output_tokens=7)))
    theirs.observe(*told(at(1, provider="cohere")))
    mine.merge(theirs.rows(since=int(NOW) - 60, until=int(NOW)))
    total = mine.total(now=NOW)
    assert (total.requests, total.output_tokens) == (3, 7)
    mine.merge({int(NOW) - 2 * SPAN_S: {"old": [1] * 10}})
    assert mine.total(now=NOW).requests == 3
