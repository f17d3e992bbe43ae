"""Blackbox's adapter where golden cases do not reach."""

import orjson
import pytest

from providers.adapters.blackbox import BlackboxAdapter, repair_answer
from providers.errors import Unsupported
from providers.specs import DeploymentSpec, ProviderSpec
from providers.transport import Endpoint
from providers.types import ClientRequest, JsonObject, Operation

ADAPTER = BlackboxAdapter()


def deployment(base_path: str = "", **options: object) -> DeploymentSpec:
    endpoint = Endpoint(scheme="https", host="api.blackbox.ai", port=443)
    provider = ProviderSpec(
        id=1, name="blackbox", kind="blackbox", endpoint=endpoint, base_path=base_path, options=dict(options)
    )
    return DeploymentSpec(id=1, provider=provider, model="m", upstream_model="blackboxai/m")


def sent(
    body: JsonObject, operation: Operation = Operation.CHAT, where: DeploymentSpec | None = None
) -> tuple[str, JsonObject]:
    request = ClientRequest(operation=operation, model="m", body={"model": "m", **body})
    prepared = ADAPTER.prepare(request, where or deployment(), "sk-bb")
    return prepared.path, orjson.loads(prepared.body)


@pytest.mark.parametrize(
    ("operation", "options", "path"),
    [
        (Operation.CHAT, {}, "/chat/completions"),
        (Operation.COMPLETIONS, {}, "/chat/completions"),
        (Operation.COMPLETIONS, {"paths": {"completions": "/v1/completions"}}, "/v1/completions"),
        (Operation.COMPLETIONS, {"paths": {"chat/completions": "/v1/chat"}}, "/v1/chat"),
        (Operation.CHAT, {"paths": {"chat/completions": "/v1/chat"}}, "/v1/chat"),
    ],
)
def test_prompts_go_where_messages_go_unless_configured(operation: Operation, options: JsonObject, path: str) -> None:
    assert sent({"prompt": "x"}, operation, deployment(**options))[0] == path


@pytest.mark.parametrize("n", [2, 0, "2", [1]])
def test_refuses_any_other_number_of_answers_than_one(n: object) -> None:
    with pytest.raises(Unsupported) as refused:
        sent({"messages": [], "n": n})
    assert refused.value.param == "n"


@pytest.mark.parametrize("field", ["suffix", "echo", "best_of"])
def test_refuses_what_a_chat_cannot_do_in_a_text_completion(field: str) -> None:
    with pytest.raises(Unsupported) as refused:
        sent({"prompt": "x", field: 3}, Operation.COMPLETIONS)
    assert refused.value.param == field


def test_a_user_is_kept_before_a_safety_identifier() -> None:
    assert sent({"messages": [], "user": "u", "safety_identifier": "s"})[1]["user"] == "u"


def test_has_no_model_list() -> None:
    assert ADAPTER.models_request(deployment().provider, "sk-bb") is None


def test_text_that_says_none_is_text() -> None:
    answer = {
        "choices": [
            {"message": {"content": "None", "reasoning_content": "None"}, "text": "None", "finish_reason": "stop"}
        ]
    }
    assert repair_answer(answer) is False


@pytest.mark.parametrize(
    "answer",
    [
        {"choices": "None"},
        {"choices": [None, 4, {"message": "None"}]},
        {"choices": [{"provider_specific_fields": "None"}]},
        {"usage": "None"},
        {"usage": {"prompt_tokens": "None", "prompt_tokens_details": {"cached_tokens": "None"}}},
    ],
)
def test_never_stumbles_over_a_none(answer: JsonObject) -> None:
    repair_answer(answer)
    assert answer.get("usage") in (None, {"prompt_tokens": None, "prompt_tokens_details": {"cached_tokens": None}})


def test_a_call_that_is_none_is_no_call() -> None:
    answer = {"choices": [{"finish_reason": "None", "message": {"content": "x", "tool_calls": "None"}}]}
    assert repair_answer(answer) is True
    assert answer == {"choices": [{"finish_reason": "stop", "message": {"content": "x"}}]}


def test_a_complete_answer_without_a_reason_ended_by_itself() -> None:
    calls = [{"id": "a", "function": {"name": "f", "arguments": "{}"}}]
    answer = {"choices": [{"finish_reason": "None", "message": {"content": None, "tool_calls": calls}}]}
    repair_answer(answer)
    assert answer["choices"][0]["finish_reason"] == "tool_calls"
    chunk = {"choices": [{"finish_reason": "None", "delta": {"content": "x"}}]}
    repair_answer(chunk)
    assert chunk["choices"][0]["finish_reason"] is None
