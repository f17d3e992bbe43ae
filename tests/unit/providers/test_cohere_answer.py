"""Complete answers, embeddings, errors inside 200s and the model list of Cohere."""

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.adapters.cohere import CohereAdapter
from providers.dialects.cohere_chat import (
    DEFAULT_INPUT_TYPE,
    decode_answer,
    decode_embeddings,
    encode_embeddings_request,
)
from providers.dialects.cohere_chat.errors import read_error_object
from providers.errors import BadAnswer, ClientFault, ContextOverflow, RateLimited, ServerFailed, Unsupported
from providers.specs import ProviderSpec
from providers.transport import Endpoint
from providers.types import ChatAnswer, Choice, JsonObject, ReasoningBlock, ToolCall, Usage


def body(**message: object) -> JsonObject:
    return {"id": "a", "finish_reason": "COMPLETE", "message": {"role": "assistant", **message}}


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"message": None},
        {"message": []},
        body(content=4),
        body(content=["x"]),
        body(tool_calls={"id": "x"}),
        body(tool_calls=[{"id": "x"}]),
        body(tool_calls=[{"id": "x", "function": {"arguments": "{}"}}]),
        body(tool_calls=[{"id": "x", "function": "f"}]),
        body(content="x", citations=["c"]),
        body(content="x", citations=[{"sources": ["s"]}]),
        {**body(content="x"), "logprobs": ["l"]},
    ],
)
def test_what_is_no_answer_is_a_bad_answer(answer: JsonObject) -> None:
    with pytest.raises(BadAnswer):
        decode_answer(answer)


def test_an_overflow_in_a_successful_answer_is_recognised() -> None:
    with pytest.raises(ContextOverflow):
        decode_answer(
            {"message": "too many tokens: total number of tokens in the prompt cannot exceed 10 - received 11"}
        )


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"message": "broken"}, ServerFailed),
        ({"error": {"message": "slow down", "type": "rate_limit_error"}}, RateLimited),
        ({"message": "too many tokens: size limit exceeded by 5 tokens."}, ContextOverflow),
    ],
)
def test_reads_an_error_object(value: JsonObject, kind: type) -> None:
    assert type(read_error_object(value)) is kind


@pytest.mark.parametrize("value", [{}, {"message": {"content": []}}, {"message": ""}, {"error": None}])
def test_an_object_without_an_error_is_none(value: JsonObject) -> None:
    assert read_error_object(value) is None


def test_text_and_plan_are_both_shown() -> None:
    choice = decode_answer(body(content=[{"type": "text", "text": "Well. "}], tool_plan="I look.")).choices[0]
    assert choice.text == "Well. I look."


def test_parts_of_unknown_type_are_not_shown() -> None:
    choice = decode_answer(body(content=[{"type": "hologram"}, {"type": "text", "text": "x"}])).choices[0]
    assert choice.text == "x"


texts = st.text(min_size=1, max_size=12)
usages = st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(0, 9)).map(lambda counts: Usage(*counts))
calls = st.lists(st.builds(ToolCall, id=texts, name=texts, arguments=texts), max_size=3).map(tuple)


REASONS = {"stop": "COMPLETE", "length": "MAX_TOKENS", "tool_calls": "TOOL_CALL", "content_filter": "ERROR_TOXIC"}


def written(answer: ChatAnswer) -> JsonObject:
    """As Cohere writes it."""
    choice = answer.choices[0]
    content = [{"type": "thinking", "thinking": block.text} for block in choice.reasoning]
    message: JsonObject = {"role": "assistant", "content": content, **answer.extra}
    if choice.tool_calls:
        message["tool_plan"] = choice.text
    elif choice.text:
        content.append({"type": "text", "text": choice.text})
    message["tool_calls"] = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in choice.tool_calls
    ]
    body: JsonObject = {"id": answer.id, "finish_reason": REASONS[choice.finish_reason], "message": message}
    if answer.usage is not None:
        figures = {"input_tokens": answer.usage.input_tokens, "output_tokens": answer.usage.output_tokens}
        body["usage"] = {"billed_units": figures, "tokens": figures, "cached_tokens": answer.usage.cached_tokens}
    return body


@settings(deadline=None)
@given(
    text=st.none() | texts,
    thought=st.none() | texts,
    calls=calls,
    reason=st.sampled_from(["stop", "length", "content_filter"]),
    usage=st.none() | usages,
)
def test_an_answer_survives_the_way_there_and_back(
    text: str | None, thought: str | None, calls: tuple[ToolCall, ...], reason: str, usage: Usage | None
) -> None:
    choice = Choice(
        text=text,
        reasoning=(ReasoningBlock(text=thought),) if thought else (),
        tool_calls=calls,
        finish_reason="tool_calls" if calls and reason == "stop" else reason,  # type: ignore[arg-type]
    )
    extra = {"citations": [{"start": 0, "end": 1, "text": "x"}]}
    answer = ChatAnswer(id="a", model="m", choices=(choice,), usage=usage, extra=extra)
    assert decode_answer(written(answer), model="m") == answer


# -------------------------------------------------------------------------------------------------------- embeddings


def embeddings_of(request: JsonObject) -> JsonObject:
    return encode_embeddings_request(request, model="m", provider="cohere", input_type=DEFAULT_INPUT_TYPE)


@pytest.mark.parametrize("wanted", [None, [], "", 4, {}])
def test_embeddings_need_input(wanted: object) -> None:
    request = {"input": wanted}
    if wanted == "":
        assert embeddings_of(request)["texts"] == [""]
        return
    with pytest.raises(ClientFault) as fault:
        embeddings_of(request)
    assert fault.value.param == "input"


@pytest.mark.parametrize("tokens", [[1, 2], [[1, 2], [3]], ["a", 1]])
def test_refuses_arrays_of_tokens(tokens: list[object]) -> None:
    with pytest.raises(Unsupported, match="tokens"):
        embeddings_of({"input": tokens})


@pytest.mark.parametrize("embeddings", [None, [], {}, {"float": []}, {"float": [None]}, {"float": [{"a": 1}]}, ["x"]])
def test_embeddings_of_another_shape_are_a_bad_answer(embeddings: object) -> None:
    with pytest.raises(BadAnswer):
        decode_embeddings({"embeddings": embeddings}, model="m")


@pytest.mark.parametrize("meta", [None, [], {}, {"billed_units": None}])
def test_embeddings_without_usage_have_none(meta: object) -> None:
    assert decode_embeddings({"embeddings": {"float": [[1.0]]}, "meta": meta}, model="m").usage is None


# ------------------------------------------------------------------------------------------------------------ models


def provider(base_path: str) -> ProviderSpec:
    endpoint = Endpoint(scheme="https", host="api.cohere.com", port=443)
    return ProviderSpec(id=1, name="cohere", kind="cohere", endpoint=endpoint, base_path=base_path)


@pytest.mark.parametrize(
    ("base_path", "path"),
    [("", "/v1/models"), ("/v2", "/v1/models"), ("/v1", "/v1/models"), ("/eu/v2", "/eu/v1/models")],
)
def test_the_model_list_is_of_version_1_whatever_the_address(base_path: str, path: str) -> None:
    request = CohereAdapter().models_request(provider(base_path), "co-1")
    assert request is not None
    assert request.method == "GET"
    assert request.path == f"{path}?page_size=1000"
    assert dict(request.headers)["authorization"] == "Bearer co-1"


def test_reads_the_model_list() -> None:
    rows = [
        {"name": "command-a", "endpoints": ["chat"], "context_length": 256000.0},
        {"name": "embed-v4.0", "endpoints": ["embed"], "context_length": 0},
        {"name": None},
        "nonsense",
    ]
    found = CohereAdapter().read_models(orjson.dumps({"models": rows, "next_page_token": ""}))
    assert [(model.id, model.context_window) for model in found] == [("command-a", 256000), ("embed-v4.0", None)]
    assert found[0].raw["endpoints"] == ["chat"]


@pytest.mark.parametrize("listing", [b"[]", b"{}", b"nonsense", b'{"models": 4}'])
def test_a_list_of_another_shape_is_a_bad_answer(listing: bytes) -> None:
    with pytest.raises(BadAnswer):
        CohereAdapter().read_models(listing)


def test_without_a_secret_no_authorization_is_sent() -> None:
    request = CohereAdapter().models_request(provider(""), "")
    assert request is not None
    assert "authorization" not in dict(request.headers)
