"""What each attempt of a call is booked as."""

from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from accounts.records import CallRecord, RecordFields
from monitoring.credential_state import ANONYMOUS
from providers.adapters.base import Delivered
from providers.errors import RateLimited
from providers.specs import Prices
from providers.types import ClientRequest, Operation, Usage
from routing.call import Attempt, CallOptions
from routing.endpoints.decoding import decode
from routing.estimation import estimate
from routing.settlement import Settlement
from tests.unit.routing.pools import deployment


class Booked:
    """Accounts that only write down what is settled."""

    def __init__(self) -> None:
        self.records: tuple[CallRecord, ...] = ()

    def settle(self, admission: Any, records: tuple[RecordFields, ...]) -> None:
        # As the journal's reader makes them: all fields, or an error.
        self.records = tuple([CallRecord._make(record) for record in records])


def attempt(number: int, outcome: str, status: int | None) -> Attempt:
    made = Attempt(number, deployment(number), ANONYMOUS, 0.0)
    made.outcome, made.status = outcome, status
    return made


def asked(text: str) -> ClientRequest:
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    return decode(Operation.CHAT, body, raw=orjson.dumps(body), received_at_s=0)


def ended(*attempts: Attempt) -> Any:
    return SimpleNamespace(
        admission=None, attempts=[*attempts], cache="", concluded=False, condensed=None, request_id="req_1", started_at=0.0,
        options=CallOptions(endpoint="chat/completions"), principal=SimpleNamespace(key_id=1, name="k", team=""),
        request=SimpleNamespace(model="m", stream=True), table=SimpleNamespace(revision=1),
    )  # fmt: skip


def booked(*attempts: Attempt) -> tuple[CallRecord, ...]:
    """Of a stream that the last one answered."""
    accounts: Any = Booked()
    won: Any = SimpleNamespace(attempt=attempts[-1], stream=SimpleNamespace(usage=Usage(3, 2), finish_reason="stop"))
    Settlement(accounts).streamed(ended(*attempts), won)
    return accounts.records


def broken(usage: Usage | None, text: str) -> CallRecord:
    """Of a stream that broke off after that usage and that text, of a prompt of a thousand bytes."""
    accounts: Any = Booked()
    last = attempt(1, "stream_truncated", 200)
    last.deployment = deployment(1, prices=Prices(input=10 * 10**6, output=20 * 10**6, cached_input=10**6))
    call = ended(last)
    call.request = asked("x" * 1000)
    won: Any = SimpleNamespace(attempt=last, stream=SimpleNamespace(usage=usage, delivered_text=lambda: text))
    Settlement(accounts).broken(call, won, RateLimited("slow down"))
    return accounts.records[0]


def failed_call(*attempts: Attempt) -> tuple[CallRecord, ...]:
    """Of one that none of them answered."""
    accounts: Any = Booked()
    Settlement(accounts).failed(ended(*attempts), RateLimited("slow down"))
    return accounts.records


@pytest.mark.parametrize(
    ("outcome", "status", "expected"),
    [("cancelled", None, 499), ("connect_failed", None, 502), ("server_error", 500, 500)],
)
def test_an_attempt_that_we_ended_is_booked_as_no_failure_of_its_upstream(
    outcome: str, status: int | None, expected: int
) -> None:
    other, answered = booked(attempt(1, outcome, status), attempt(2, "success", 200))
    assert (other.status, other.error_code, other.final, other.cost_nano_usd) == (expected, outcome, False, 0)
    assert (answered.status, answered.final, answered.output_tokens) == (200, True, 2)


def test_what_an_attempt_used_before_it_failed_is_its_providers_cost_and_nobodys_charge() -> None:
    failed = attempt(1, "rate_limit", 429)
    failed.deployment, failed.spent = deployment(1, prices=Prices(input=2 * 10**6, output=0)), Usage(96)
    unpriced = attempt(2, "rate_limit", 429)
    unpriced.spent = Usage(96)
    records = booked(failed, unpriced, attempt(3, "success", 200))
    assert [(each.cost_nano_usd, each.provider_cost_nano_usd, each.input_tokens) for each in records[:2]] == [
        (0, 192, 0),
        (0, None, 0),
    ]


@pytest.mark.parametrize("others", [0, 1])
def test_it_is_also_where_no_attempt_answered(others: int) -> None:
    last = attempt(others + 1, "rate_limit", 429)
    last.deployment, last.spent = deployment(1, prices=Prices(input=2 * 10**6, output=0)), Usage(96)
    record = failed_call(*[attempt(number, "server_error", 500) for number in range(1, others + 1)], last)[-1]
    assert (record.final, record.cost_nano_usd, record.provider_cost_nano_usd) == (True, 0, 192)


@pytest.mark.parametrize(
    ("usage", "tokens", "cost"),
    [
        (None, (258, 0, 10), 258 * 10 + 10 * 20),
        # As Anthropic tells at the beginning.
        (Usage(35, 0, cached_tokens=30), (35, 30, 10), 5 * 10 + 30 + 10 * 20),
        # As servers do that leave out a prompt they had in their cache, and tell the totals so far with each chunk.
        (Usage(0, 4), (258, 0, 10), 258 * 10 + 10 * 20),
    ],
)
def test_a_stream_that_broke_off_costs_the_prompt_that_its_provider_told(
    usage: Usage | None, tokens: tuple[int, int, int], cost: int
) -> None:
    record = broken(usage, "y" * 40)
    assert (record.input_tokens, record.cached_tokens, record.output_tokens) == tokens
    assert (record.usage_source, record.cost_nano_usd) == ("counted", cost)


TEXT = "y" * 40


@pytest.mark.parametrize(
    ("told", "text", "tokens", "source"),
    [
        (Usage(35, 0), TEXT, (35, 10), "counted"),
        (Usage(35, 0), "", (35, 0), "provider"),
        (Usage(35, 7), TEXT, (35, 7), "provider"),
        (Usage(35, 0, cost_nano_usd=9), TEXT, (35, 0), "provider"),
        (Usage(35, 0, billed=(35, 0)), TEXT, (35, 0), "provider"),
        (Usage(0, 7), TEXT, (258, 7), "counted"),
        (Usage(0, 7), "", (258, 7), "counted"),
        (Usage(0, 7, cost_nano_usd=9), TEXT, (0, 7), "provider"),
        (Usage(0, 7, billed=(0, 7)), TEXT, (0, 7), "provider"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_or_a_text_of_which_no_token_is_told_is_counted(
    told: Usage, text: str, tokens: tuple[int, int], source: str, stream: bool
) -> None:
    accounts: Any = Booked()
    last = attempt(1, "success", 200)
    call = ended(last)
    call.request = asked("x" * 1000)
    if stream:
        said: Any = SimpleNamespace(usage=told, finish_reason="stop", delivered_text=lambda: text)
        Settlement(accounts).streamed(call, SimpleNamespace(attempt=last, stream=said))  # type: ignore[arg-type]
    else:
        Settlement(accounts).delivered(call, SimpleNamespace(attempt=last), Delivered(b"{}", told, "stop", text))  # type: ignore[arg-type]
    (record,) = accounts.records
    assert (record.input_tokens, record.output_tokens, record.usage_source) == (*tokens, source)


@pytest.mark.parametrize(
    ("raw", "per_token"),
    [
        (b'{"model": "m", "max_tokens": 0, "messages": [{"role": "user", "content": "h\\u00e9"}]}', 2),
        (b'{"model": "m", "messages": [{"role": "user", "content": "h", "cache_control": {"ttl": "1h"}}]}', 6),
        (
            b'{"model": "m", "messages": [{"role": "user", "content": "h", "cache_control": {"\\u0074t\\u006C": "1h"}}]}',
            6,
        ),
    ],
)
def test_a_cache_for_an_hour_is_reserved_for_who_asks_for_it(raw: bytes, per_token: int) -> None:
    held: list[int] = []
    accounts: Any = SimpleNamespace(
        reserve=lambda admission, *, cost_nano_usd, tokens, unpriced: held.append(cost_nano_usd)
    )
    request = decode(Operation.CHAT, orjson.loads(raw), raw=raw, received_at_s=0)
    route = SimpleNamespace(
        fallbacks=(), context_fallbacks=(),
        deployments=[deployment(prices=Prices(input=2 * 10**6, output=0, cache_write_1h=6 * 10**6))],
    )  # fmt: skip
    found = estimate(request)
    Settlement(accounts).reserve(SimpleNamespace(admission=None, request=request, route=route, estimate=found))  # type: ignore[arg-type]
    assert held == [found.most_input * per_token]


def searching(usage: Usage, **fields: Any) -> CallRecord:
    accounts: Any = Booked()
    last = attempt(1, "success", 200)
    last.deployment = deployment(1, prices=Prices(input=10**6, output=10**6, search=10 * 10**9), **fields)
    won: Any = SimpleNamespace(attempt=last, stream=SimpleNamespace(usage=usage, finish_reason="stop"))
    Settlement(accounts).streamed(ended(last), won)
    return accounts.records[0]


def test_searches_are_booked_and_charged_beside_the_tokens() -> None:
    record = searching(Usage(3, 2, searches=4))
    assert (record.searches, record.cost_nano_usd, record.provider_cost_nano_usd) == (4, 40_000_005, 40_000_005)
    assert searching(Usage(3, 2)).cost_nano_usd == 5


def test_an_answer_of_a_model_that_always_searches_is_one_search() -> None:
    assert searching(Usage(3, 2), always_searches=True).searches == 1
    assert searching(Usage(3, 2, searches=4), always_searches=True).searches == 4
    accounts: Any = Booked()
    last = attempt(1, "server_error", 500)
    last.deployment = deployment(1, always_searches=True)
    Settlement(accounts).failed(ended(last), RateLimited("slow down"))
    assert accounts.records[0].searches == 0


def test_an_attempt_that_did_not_answer_is_booked_without_searches() -> None:
    failed = attempt(1, "cancelled", None)
    last = attempt(2, "success", 200)
    last.deployment = deployment(2, prices=Prices(input=0, output=0, search=10**9))
    accounts: Any = Booked()
    won: Any = SimpleNamespace(
        attempt=last, stream=SimpleNamespace(usage=Usage(3, 2, searches=1), finish_reason="stop")
    )
    Settlement(accounts).streamed(ended(failed, last), won)
    assert [(each.searches, each.cost_nano_usd) for each in accounts.records] == [(0, 0), (1, 10**6)]


def test_a_provider_is_booked_its_own_time_to_the_first_token() -> None:
    """Not what its client had waited for another before."""
    answered = attempt(2, "success", 200)
    answered.started_at, answered.first_token_s = 20.0, 20.5
    *_, last = booked(attempt(1, "timeout", 504), answered)
    assert last.time_to_first_token_ms == 500
