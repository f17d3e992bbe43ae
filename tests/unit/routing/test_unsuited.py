"""What a client is told when its request suited nobody."""

from typing import Any

import pytest

from providers.types import Operation
from routing.plan import Candidate, Draws, RoutePlan, RouteQuery, make_plan
from routing.strategies import STRATEGIES
from routing.unsuited import unsuited
from tests.unit.routing.pools import candidate

SMALL: dict[str, Any] = {"context_window": 100}
WIDER: dict[str, Any] = {"context_window": 200}
MUTE: dict[str, Any] = {"capabilities": frozenset({"chat"})}


def plan(*candidates: Candidate, **query: Any) -> RoutePlan:
    return make_plan(RouteQuery(model="m", **query), candidates, STRATEGIES["priority"], Draws())


def test_what_no_window_holds_is_refused_as_openai_refuses_it():
    refusal = unsuited([plan(candidate(1, spec=SMALL), candidate(2, spec=WIDER), input_tokens=300)])
    assert refusal is not None
    assert (refusal.status, refusal.code, refusal.param) == (400, "context_length_exceeded", "messages")
    assert refusal.message == (
        "This model's maximum context length is 200 tokens. However, this request has about 300 tokens of input."
    )


@pytest.mark.parametrize(("operation", "param"), [(Operation.COMPLETIONS, "prompt"), (Operation.EMBEDDINGS, "input")])
def test_an_answer_that_leaves_no_room_is_named_with_it(operation: Operation, param: str):
    refusal = unsuited([plan(candidate(1, spec=SMALL), input_tokens=50, max_output_tokens=60, operation=operation)])
    assert refusal is not None
    assert refusal.param == param
    assert refusal.message.endswith("this request has about 50 tokens of input and asks for up to 60 of output.")


def test_what_nobody_can_do_is_refused_by_name():
    refusal = unsuited([plan(candidate(1, spec=MUTE), needs=frozenset({"tools"}))])
    assert refusal is not None
    assert (refusal.status, refusal.code, refusal.param) == (400, "unsupported_by_model", "model")
    assert refusal.message == "The model 'm' cannot serve this request: it lacks tools."


def test_where_some_are_too_small_and_others_cannot_it_is_too_long():
    made = plan(candidate(1, spec=SMALL), candidate(2, spec=MUTE), input_tokens=300, needs=frozenset({"tools"}))
    refusal = unsuited([made])
    assert refusal is not None
    assert refusal.code == "context_length_exceeded"


@pytest.mark.parametrize(
    "query", [{}, {"tags": frozenset({"eu"})}, {"tags": frozenset({"eu"}), "needs": frozenset({"tools"})}]
)
def test_nothing_is_said_of_states_and_tags(query: dict[str, Any]):
    tagged = {"tags": frozenset({"eu"})}
    assert unsuited([plan(candidate(1, bar="credential_cooling"), candidate(2, bar="held_open"), **query)]) is None
    assert unsuited([plan(candidate(1, spec=MUTE | tagged), candidate(2), **query)]) is None
    assert unsuited([]) is None
