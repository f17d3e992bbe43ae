from monitoring.traffic import COST, ERRORS, FIRST, FIRST_COUNT, INPUT, OUTPUT, RECENT, REQUESTS, SPAN_S, Row, Traffic
from tests.unit.monitoring.calls import finished, told

NOW = 1_700_000_100.5


def at(second: float, **fields):
    return finished(ended_at=NOW - second, **fields)


def sums(traffic: Traffic, window_s: int = 60) -> dict[str, Row]:
    """By provider, of the whole seconds before the one that is running."""
    found: dict[str, Row] = {}
    for rows in traffic.rows(since=int(NOW) - window_s, until=int(NOW)).values():
        for provider, row in rows.items():
            found[provider] = [one + other for one, other in zip(found.get(provider, [0] * len(row)), row, strict=True)]
    return found


def test_counts_a_call_in_the_second_in_which_it_ended():
    traffic = Traffic()
    traffic.observe(*told(at(0.1, output_tokens=9)))  # belongs to the second that is not over
    for seconds in (1, 2, 30):
        traffic.observe(*told(at(seconds, input_tokens=5, output_tokens=60, cost_nano_usd=10, first_token_s=0.5)))
    (row,) = sums(traffic).values()
    assert (row[REQUESTS], row[ERRORS], row[INPUT], row[OUTPUT], row[COST]) == (3, 0, 15, 180, 30)
    assert row[FIRST] / row[FIRST_COUNT] == 0.5
    assert len(traffic.rows(since=int(NOW) - 60, until=int(NOW))) == 3


def test_knows_providers_apart():
    traffic = Traffic()
    traffic.observe(*told(at(1)))
    traffic.observe(*told(at(1, provider="cohere", status=502)))
    found = {name: (row[REQUESTS], row[ERRORS]) for name, row in sums(traffic).items()}
    assert found == {"cohere": (1, 1), "openai": (1, 0)}


def test_forgets_what_is_older_than_the_ring():
    traffic = Traffic()
    traffic.observe(*told(at(SPAN_S + 10)))
    assert sums(traffic, 10 * SPAN_S) == {}
    traffic.observe(*told(at(10)))
    assert sums(traffic, 10 * SPAN_S)["openai"][REQUESTS] == 1


def test_a_clients_mistake_is_no_error_of_ours():
    traffic = Traffic()
    for status in (400, 429, 499):
        traffic.observe(*told(at(1, status=status)))
    assert sums(traffic)["openai"][ERRORS] == 0


def test_remembers_the_last_calls_only():
    traffic = Traffic()
    for number in range(RECENT + 50):
        traffic.observe(*told(at(1, request_id=f"req_{number}")))
    assert len(traffic.recent) == RECENT
    assert traffic.recent[-1].request_id == f"req_{RECENT + 49}"
    assert traffic.finished == RECENT + 50
