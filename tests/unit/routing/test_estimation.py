"""What a call is taken to need before anybody counted: likely for limits and routing, at worst for budgets."""

import asyncio
import base64
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from providers.adapters import adapter_for
from providers.demo.openai_dialect import DIALECT
from providers.demo.wire import Call as DemoCall
from providers.demo.wire import DemoSettings, JsonAnswer, RefusalError
from providers.specs import DeploymentSpec, Prices
from providers.types import ClientRequest, Operation
from routing.endpoints.decoding import decode
from routing.errors import InvalidRequest
from routing.estimation import TOKENS_PER_IMAGE, UNKNOWN_WINDOW, Estimate, estimate, likely_context, needs
from routing.settlement import Settlement
from tests.unit.routing.pools import deployment

CHAT, COMPLETIONS, EMBEDDINGS = Operation.CHAT, Operation.COMPLETIONS, Operation.EMBEDDINGS
TEXT = "word " * 40_000
PLAIN = {"messages": [{"role": "user", "content": "hi"}]}


def request(operation: Operation = CHAT, **body: Any) -> ClientRequest:
    body = {"model": "m", **body}
    return decode(operation, body, raw=orjson.dumps(body), received_at_s=0)


def sized(operation: Operation = CHAT, **body: Any) -> Estimate:
    return estimate(request(operation, **body))


def said(*parts: Any, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(parts)}], **more}


class Reserved:
    """Accounts that only write down what is reserved."""

    def reserve(self, admission: Any, *, cost_nano_usd: int, tokens: int, unpriced: bool) -> Any:
        self.cost, self.tokens, self.unpriced = cost_nano_usd, tokens, unpriced
        return asyncio.sleep(0)


def reserved(asked: ClientRequest, *deployments: DeploymentSpec) -> Reserved:
    found: Any = Reserved()
    route = SimpleNamespace(deployments=deployments or (deployment(),), fallbacks=(), context_fallbacks=())
    call: Any = SimpleNamespace(request=asked, estimate=estimate(asked), route=route, admission=None)
    Settlement(found).reserve(call).close()
    return found


# ------------------------------------------------------------------------------------------------------------ output


@pytest.mark.parametrize(
    ("operation", "body", "answers"),
    [
        (CHAT, PLAIN, 1),
        (CHAT, {**PLAIN, "n": 10}, 10),
        (CHAT, {**PLAIN, "n": 2, "best_of": 20}, 20),
        (COMPLETIONS, {"prompt": "x", "n": 3}, 3),
        (COMPLETIONS, {"prompt": "x", "best_of": 20}, 20),
        (CHAT, {**PLAIN, "n_cmpl": 5}, 5),
        (COMPLETIONS, {"prompt": ["x"] * 100}, 100),
        (COMPLETIONS, {"prompt": ["x"] * 100, "n": 2.0, "best_of": 3}, 300),
        (COMPLETIONS, {"prompt": [1, 2, 3]}, 1),
        (COMPLETIONS, {"prompt": [[1, 2], [3]]}, 2),
        (COMPLETIONS, {"prompt": []}, 1),
        (COMPLETIONS, {}, 1),
        (EMBEDDINGS, {"input": ["x"] * 100}, 1),
    ],
)
def test_every_answer_that_is_made_counts(operation: Operation, body: dict[str, Any], answers: int) -> None:
    assert sized(operation, **body).answers == answers
    if operation is not EMBEDDINGS:
        limited = request(operation, **body, max_tokens=100)
        assert reserved(request(operation, **body)).tokens >= answers * 4096
        assert answers * 100 <= reserved(limited).tokens <= answers * 100 + limited.size_bytes + 8


def test_what_a_deployment_makes_at_most_is_reserved_for_every_answer() -> None:
    once, often = request(**PLAIN), request(**PLAIN, n=10)
    assert reserved(often, deployment(max_output_tokens=1000)).tokens >= 10_000
    priced = deployment(prices=Prices(input=0, output=1_000_000), max_output_tokens=1000)
    assert reserved(often, priced).cost == 10 * reserved(once, priced).cost == 10_000


def test_a_deployment_without_a_price_takes_nothing_from_what_the_others_may_cost() -> None:
    priced, unpriced = deployment(1, prices=Prices(input=0, output=1_000_000)), deployment(2)
    found = reserved(request(max_tokens=1000, **PLAIN), priced, unpriced)
    assert (found.cost, found.unpriced) == (1000, True)
    assert not reserved(request(**PLAIN), priced).unpriced


@pytest.mark.parametrize("operation", [CHAT, COMPLETIONS])
@pytest.mark.parametrize("limits", [(1, 4000), (4000, 1), (4000, None), (None, 4000)])
def test_of_two_limits_the_larger_counts(operation: Operation, limits: tuple[int | None, int | None]) -> None:
    newer, older = limits
    assert sized(operation, **PLAIN, prompt="a", max_completion_tokens=newer, max_tokens=older).output == 4000


@pytest.mark.parametrize("operation", [CHAT, COMPLETIONS])
@pytest.mark.parametrize(("predicted", "output"), [(5000, 5000), (10, 100), (0, 100), (-1, None), (None, 100)])
def test_the_limit_that_llama_cpp_obeys_counts_where_it_allows_more(
    operation: Operation, predicted: int | None, output: int | None
) -> None:
    for limits in ({"max_tokens": 100}, {"max_completion_tokens": 100}):
        assert sized(operation, **PLAIN, prompt="a", n_predict=predicted, **limits).output == output


@pytest.mark.parametrize("operation", [CHAT, COMPLETIONS])
def test_llama_cpps_limit_alone_is_sent_under_openais_name_as_well(operation: Operation) -> None:
    """Who does not know it, or is a translation that leaves it out, would answer at more length than is reserved."""
    limited = request(operation, **PLAIN, prompt="a", n_predict=50.0)
    assert (limited.body["max_tokens"], limited.body["n_predict"]) == (50, 50)
    assert estimate(limited).output == 50
    for none in (None, 0, -1):
        unlimited = request(operation, **PLAIN, prompt="a", n_predict=none)
        assert "max_tokens" not in unlimited.body
        assert estimate(unlimited).output is None


def test_a_whole_number_with_a_point_is_sent_without_it() -> None:
    """Clients whose numbers are floats; OpenAI refuses them."""
    body = request(**PLAIN, max_tokens=100.0, n=2.0).body
    assert all(type(body[name]) is int for name in ("max_tokens", "n"))


def test_a_limit_of_nothing_is_none() -> None:
    assert sized(**PLAIN, max_tokens=0).output is None
    assert sized(**PLAIN, max_tokens=0, n_predict=50).output is None


@pytest.mark.parametrize("operation", [CHAT, COMPLETIONS])
@pytest.mark.parametrize("name", ["n", "best_of", "max_tokens", "max_completion_tokens", "n_cmpl", "n_predict"])
@pytest.mark.parametrize("wrong", ["x", -3, 1.5, True, [1], {}])
def test_a_wrong_number_is_the_clients_mistake(operation: Operation, name: str, wrong: Any) -> None:
    with pytest.raises(InvalidRequest, match=name):
        request(operation, **PLAIN, prompt="a", **{name: wrong})


@pytest.mark.parametrize("operation", [COMPLETIONS, EMBEDDINGS])
@pytest.mark.parametrize("name", ["messages", "tools"])
def test_fields_of_a_chat_mean_nothing_elsewhere(operation: Operation, name: str) -> None:
    assert reserved(request(operation, prompt="a", input="a", **{name: 5})).tokens > 0


def test_each_answer_and_each_prompt_has_the_context_window_to_itself() -> None:
    assert sized(**PLAIN, n=10, max_tokens=1000).output == 1000
    for operation, field in ((EMBEDDINGS, "input"), (COMPLETIONS, "prompt")):
        asked = request(operation, **{field: ["x" * 4000, *["x" * 400] * 100]})
        assert estimate(asked).likely_input > 10_000
        assert likely_context(asked, estimate(asked).likely_input) == 1000
    numbers = request(EMBEDDINGS, input=[[7] * 500] * 100)
    assert likely_context(numbers, estimate(numbers).likely_input) == 500


# ------------------------------------------------------------------------------------------------------------- input

PDF = {"type": "file", "file": {"file_data": "data:application/pdf;base64," + "A" * 3_000_000, "filename": "a.pdf"}}
NOTES = "data:text/plain;base64," + base64.b64encode(TEXT.encode()).decode()


@pytest.mark.parametrize(
    "body",
    [
        said({"type": "text", "text": "hi"}, TEXT, stop=["file"]),
        said({"type": "image_url", "image_url": {"url": "https://x.test/y.png"}}, TEXT),
        said({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}, "text": TEXT}),
        said({"type": "image_url", "image_url": {"url": "data:text/plain," + TEXT}}),
        said({"type": "refusal", "refusal": TEXT}, stop=["file"]),
        said({"type": "file", "file": {"file_data": NOTES, "filename": "a.txt"}}),
        said({"type": "input_audio", "input_audio": {"data": "A" * 200_000, "format": "wav"}}),
        said({"type": "something", "else": TEXT}),
        said("hi", documents=[TEXT], stop=["file"]),
        {"messages": [{"role": "assistant", "content": ["a"], "reasoning_details": [{"text": TEXT}]}]},
    ],
)
def test_every_byte_that_is_sent_may_be_a_token(body: dict[str, Any]) -> None:
    assert sized(**body).most_input >= len(TEXT)
    assert reserved(request(**body)).tokens >= min(len(TEXT), UNKNOWN_WINDOW)


def test_the_word_file_in_a_text_is_no_file() -> None:
    asked = request(**PLAIN, stop=["file", "image_url", "input_audio"])
    assert not asked.has_media
    assert request(**said({"type": "text", "text": "hi"}, "ho")).has_media is False
    assert needs(request(**said(PDF))) == {"files"}


def test_an_image_costs_its_tiles_and_not_its_bytes() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_000_000}}
    size = sized(**said(image, {"type": "image_url", "image_url": image["image_url"]["url"]}))
    assert 2 * TOKENS_PER_IMAGE <= size.likely_input <= size.most_input <= 2 * TOKENS_PER_IMAGE + 500


def test_the_type_of_an_image_may_be_escaped() -> None:
    raw = rb'{"model":"m","messages":[{"role":"user","content":[{"type":"image\u005furl","image_url":{"url":"https://x"}}]}]}'
    assert estimate(decode(CHAT, orjson.loads(raw), raw=raw, received_at_s=0)).most_input >= TOKENS_PER_IMAGE


@pytest.mark.parametrize(
    "body",
    [
        said(PDF),
        said({"type": "file", "file": {"file_id": "file-1"}}),
        said({"type": "video_url", "video_url": {"url": "https://x.test/y.mp4"}}),
        said({"type": ["text"]}),
        said(5),
        {"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}]},
        {**PLAIN, "previous_response_id": "resp_1"},
        {**PLAIN, "prompt": {"id": "pmpt_1"}},
        {**PLAIN, "web_search_options": {}},
        {**PLAIN, "tools": [{"type": "web_search"}]},
    ],
)
def test_what_the_upstream_reads_beside_the_request_is_bounded_by_the_window(body: dict[str, Any]) -> None:
    asked = request(**body, max_tokens=20)
    assert reserved(asked, deployment(context_window=50_000)).tokens == 50_020
    assert reserved(asked, deployment(), deployment(2, context_window=50_000)).tokens >= UNKNOWN_WINDOW


def test_a_recording_is_no_longer_than_the_window() -> None:
    audio = {"type": "input_audio", "input_audio": {"data": "A" * 200_000, "format": "wav"}}
    assert reserved(request(**said(audio), max_tokens=20), deployment(context_window=50_000)).tokens == 50_020


def test_a_text_is_never_measured_by_the_window() -> None:
    text = request(messages=[{"role": "user", "content": TEXT}])
    assert reserved(text, deployment(context_window=50_000)).tokens > len(TEXT)


@pytest.mark.parametrize(
    "part",
    [TEXT, {"type": "text", "text": TEXT}, {"type": "refusal", "refusal": TEXT}],
    ids=["bare", "text", "refusal"],
)
def test_the_likely_figure_sees_all_text_beside_an_image(part: Any) -> None:
    likely = sized(**said(part, {"type": "image_url", "image_url": {"url": "https://x"}})).likely_input
    assert 50_000 + TOKENS_PER_IMAGE <= likely <= 50_100 + TOKENS_PER_IMAGE


@pytest.mark.parametrize("part", [PDF, {"type": "image", "source": {"type": "base64", "data": "A" * 1_000_000}}])
def test_the_bytes_of_a_file_are_not_likely_to_be_text(part: Any) -> None:
    assert sized(**said(part)).likely_input < 3000


def test_without_its_json_a_request_is_measured_all_the_same() -> None:
    asked = ClientRequest(CHAT, "m", {"model": "m", **said(TEXT, PDF)})
    assert estimate(asked).most_input > len(TEXT) + 3_000_000
    assert estimate(ClientRequest(EMBEDDINGS, "m", {"input": [TEXT]})).most_input > len(TEXT)


# ---------------------------------------------------------------------------------------------------------- property

texts = st.text(st.characters(codec="utf-8"), max_size=60)
parts = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": texts}),
    st.builds(
        lambda url: {"type": "image_url", "image_url": {"url": url}},
        st.sampled_from(["https://x/y", "data:image/png;base64,AA=="]),
    ),
    st.builds(lambda data: {"type": "file", "file": {"file_data": data}}, texts),
    st.builds(lambda data: {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}, texts),
)
users = st.fixed_dictionaries({"role": st.just("user"), "content": texts | st.lists(parts, min_size=1, max_size=4)})
helpers = st.fixed_dictionaries({"role": st.just("assistant"), "content": texts})
tools = st.lists(
    st.builds(lambda name: {"type": "function", "function": {"name": name}}, st.sampled_from(["f", "g"])), max_size=2
)
counts = st.none() | st.integers(1, 5)
limits = st.fixed_dictionaries(
    {},
    optional={
        "n": counts, "max_tokens": st.none() | st.integers(1, 300), "stop": st.lists(texts, max_size=2),
        "user": texts,
    },
)  # fmt: skip
chats = st.builds(
    lambda messages, more, offered, newer: {"messages": messages, **more, "max_completion_tokens": newer}
    | ({"tools": offered} if offered else {}),
    st.lists(users | helpers, min_size=1, max_size=4), limits, tools, counts,
)  # fmt: skip
numbers = st.lists(st.integers(0, 10**6), min_size=1, max_size=5)
prompts = texts | st.lists(texts, min_size=1, max_size=5) | numbers | st.lists(numbers, min_size=1, max_size=4)
completions = st.builds(lambda prompt, more, best: {"prompt": prompt, **more, "best_of": best}, prompts, limits, counts)
embeddings = st.builds(lambda given: {"input": given}, prompts)
bodies = st.one_of(
    st.tuples(st.just(CHAT), chats),
    st.tuples(st.just(COMPLETIONS), completions),
    st.tuples(st.just(EMBEDDINGS), embeddings),
)
LONGEST = deployment(max_output_tokens=400)
"""What the demo is told to make when nobody sets a limit."""


def spent(asked: ClientRequest) -> int | None:
    """What the demo reports for a request that arrived over the adapter, at worst; None where it refuses."""
    prepared = adapter_for("openai").prepare(asked, LONGEST, "key")
    _, _, path = prepared.path.partition("/v1/")
    call = DemoCall(
        method="POST", path=path, query={}, headers={}, body=prepared.body, number=1, now_s=0.0,
        settings=DemoSettings(tokens=400),
    )  # fmt: skip
    try:
        answer = DIALECT.routes[f"POST {path}"](call)
    except RefusalError:
        return None
    assert isinstance(answer, JsonAnswer)
    usage, body = answer.body["usage"], asked.body
    # The demo does not make what `best_of` throws away; OpenAI does, and charges it.
    made = usage.get("completion_tokens", 0) * max(1, (body.get("best_of") or 1) / (body.get("n") or 1))
    return int(usage["prompt_tokens"] + made)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(bodies)
def test_no_call_spends_more_than_was_reserved(given_body: tuple[Operation, dict[str, Any]]) -> None:
    operation, body = given_body
    try:
        asked = request(operation, **body)
    except InvalidRequest:
        assume(False)
    used = spent(asked)
    assume(used is not None)
    assert used is not None
    assert used <= reserved(asked, LONGEST).tokens
