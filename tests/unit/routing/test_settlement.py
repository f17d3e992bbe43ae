"""What each attempt of a call is booked as."""

from types import SimpleNamespace
from typing import Any

import pytest

from accounts.records import CallRecord
from providers.types import Usage
from routing.call import Attempt, CallOptions
from routing.settlement import Settlement
from tests.unit.routing.pools import deployment


class Booked:
    """Accounts that only write down what is settled."""

    def __init__(self) -> None:
        self.records: tuple[CallRecord, ...] = ()

    def settle(self, admission: Any, records: tuple[CallRecord, ...]) -> None:
        self.records = records


def attempt(number: int, outcome: str, status: int | None) -> Attempt:
    made = Attempt(number, deployment(number), None, 0.0)
    made.outcome, made.status = outcome, status
    return made


def booked(*attempts: Attempt) -> tuple[CallRecord, ...]:
    """Of a stream that the last one answered."""
    accounts: Any = Booked()
    won: Any = SimpleNamespace(attempt=attempts[-1], stream=SimpleNamespace(usage=Usage(3, 2), finish_reason="stop"))
    call: Any = SimpleNamespace(
        admission=None, attempts=[*attempts], cache="", concluded=False, condensed=None, request_id="req_1", started_at=0.0,
        options=CallOptions(endpoint="chat/completions"), principal=SimpleNamespace(key_id=1, name="k", team=""),
        request=SimpleNamespace(model="m", stream=True), table=SimpleNamespace(revision=1),
    )  # fmt: skip
    Settlement(accounts).streamed(call, won)
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
